// Package command is kalamdb-server's command line.
//
// Without a subcommand it serves until it gets SIGTERM or SIGINT; a second one
// ends it at once. SIGHUP reads the configuration again: the log's level, the
// limits, [auth] with the keys of tokens and the TLS certificate change while
// the server runs. `kalamdb-server health` exits with 0 when the server that
// the configuration describes is healthy. `check` verifies a database that no
// server has, `inspect` shows what is in one. Exit codes:
//
//	0    stopped as asked
//	1    an error while running or stopping; check has found faults
//	2    wrong arguments or configuration
//	3    the address cannot be listened on
//	4    the data directory cannot be opened, for instance because another
//	     server uses it
//	130  ended at once by a second signal
package command
