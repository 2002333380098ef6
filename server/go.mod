module github.com/kalamdb/kalamdb/server

go 1.26.0

require (
	github.com/kalamdb/kalamdb/commons v0.0.0
	github.com/kalamdb/kalamdb/core v0.0.0
	github.com/kalamdb/kalamdb/live v0.0.0
	github.com/kalamdb/kalamdb/sql v0.0.0
	github.com/kalamdb/kalamdb/store v0.0.0
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	github.com/cpuguy83/go-md2man/v2 v2.0.7 // indirect
	github.com/goccy/go-json v0.10.6 // indirect
	github.com/lestrrat-go/jwx/v2 v2.1.7 // indirect
	github.com/lestrrat-go/option v1.0.1 // indirect
	github.com/pelletier/go-toml/v2 v2.4.3 // indirect
	github.com/prometheus/client_golang v1.25.0 // indirect
	github.com/russross/blackfriday/v2 v2.1.0 // indirect
	github.com/segmentio/asm v1.2.1 // indirect
	github.com/urfave/cli/v2 v2.27.7 // indirect
	github.com/xrash/smetrics v0.0.0-20240521201337-686a1a2994c1 // indirect
	go.uber.org/goleak v1.3.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)

replace (
	github.com/kalamdb/kalamdb/commons => ../commons
	github.com/kalamdb/kalamdb/core => ../core
	github.com/kalamdb/kalamdb/live => ../live
	github.com/kalamdb/kalamdb/sql => ../sql
	github.com/kalamdb/kalamdb/store => ../store
)
