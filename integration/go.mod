module github.com/kalamdb/kalamdb/integration

go 1.26.0

require (
	github.com/kalamdb/kalamdb/commons v0.0.0
	github.com/kalamdb/kalamdb/link v0.0.0
	github.com/kalamdb/kalamdb/store v0.0.0
	gonum.org/v1/plot v0.17.0
)

require (
	codeberg.org/go-fonts/liberation v0.5.0 // indirect
	codeberg.org/go-latex/latex v0.2.0 // indirect
	codeberg.org/go-pdf/fpdf v0.11.1 // indirect
	git.sr.ht/~sbinet/gg v0.7.0 // indirect
	github.com/ajstarks/svgo v0.0.0-20211024235047-1546f124cd8b // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	github.com/redis/go-redis/v9 v9.23.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/image v0.30.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	github.com/creack/pty v1.1.24
)

replace (
	github.com/kalamdb/kalamdb/cli => ../cli
	github.com/kalamdb/kalamdb/commons => ../commons
	github.com/kalamdb/kalamdb/core => ../core
	github.com/kalamdb/kalamdb/link => ../link
	github.com/kalamdb/kalamdb/live => ../live
	github.com/kalamdb/kalamdb/server => ../server
	github.com/kalamdb/kalamdb/sql => ../sql
	github.com/kalamdb/kalamdb/store => ../store
)
