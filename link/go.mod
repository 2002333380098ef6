module github.com/kalamdb/kalamdb/link

go 1.26.0

require github.com/kalamdb/kalamdb/commons v0.0.0

require github.com/coder/websocket v1.8.15

require go.uber.org/goleak v1.3.0

replace github.com/kalamdb/kalamdb/commons => ../commons
