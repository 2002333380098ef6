module github.com/kalamdb/kalamdb/live

go 1.26.0

require (
	github.com/kalamdb/kalamdb/commons v0.0.0
	github.com/kalamdb/kalamdb/sql v0.0.0
	github.com/kalamdb/kalamdb/store v0.0.0
)

require go.uber.org/goleak v1.3.0

require github.com/cockroachdb/apd/v3 v3.2.3 // indirect

require golang.org/x/text v0.43.0 // indirect

replace (
	github.com/kalamdb/kalamdb/commons => ../commons
	github.com/kalamdb/kalamdb/sql => ../sql
	github.com/kalamdb/kalamdb/store => ../store
)
