//go:build cgo

package bench

// flightQueries are the shapes that dashboards ask.
var flightQueries = []struct{ name, text string }{
	{"count", `SELECT count(*) FROM flights`},
}
