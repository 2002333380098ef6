// Package wire measures the built server beside a PostgreSQL server, each over
// its own protocol with its own Go client, on the same disk, both with a commit
// on the disk before it is acknowledged:
//
//	GOWORK=off go test ./wire -run '^$' -bench Postgres
//
// Each figure is of turns that alternate, and the ratio is the median of those
// of neighbouring turns: our time by PostgreSQL's, so that less than 1 is
// faster. It is skipped where no PostgreSQL server is installed.
package wire
