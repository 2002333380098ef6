// Command kalamdb-server is the database server: SQL over HTTP and live
// queries over WebSocket in one process. Package command has its command line
// and exit codes.
package main

import (
	"os"

	"github.com/kalamdb/kalamdb/server/command"
)

func main() {
	os.Exit(command.Run(os.Args, command.Env{Stdout: os.Stdout, Stderr: os.Stderr}))
}
