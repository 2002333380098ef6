module github.com/kalamdb/kalamdb/sql

go 1.26.0

require (
	github.com/cockroachdb/apd/v3 v3.2.3
	github.com/hashicorp/golang-lru/v2 v2.0.7
	github.com/kalamdb/kalamdb/commons v0.0.0
	github.com/kalamdb/kalamdb/store v0.0.0
)

require golang.org/x/text v0.43.0

replace (
	github.com/kalamdb/kalamdb/commons => ../commons
	github.com/kalamdb/kalamdb/store => ../store
)
