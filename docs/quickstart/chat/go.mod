module github.com/kalamdb/kalamdb/docs/quickstart/chat

go 1.26.0

require github.com/kalamdb/kalamdb/link v0.0.0

require (
	github.com/coder/websocket v1.8.15 // indirect
	github.com/kalamdb/kalamdb/commons v0.0.0 // indirect
)

replace (
	github.com/kalamdb/kalamdb/commons => ../../../commons
	github.com/kalamdb/kalamdb/link => ../../../link
)
