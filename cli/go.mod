module github.com/kalamdb/kalamdb/cli

go 1.26.0

require (
	github.com/kalamdb/kalamdb/commons v0.0.0
	github.com/kalamdb/kalamdb/link v0.0.0
)

replace (
	github.com/kalamdb/kalamdb/commons => ../commons
	github.com/kalamdb/kalamdb/link => ../link
)
