//go:build cgo

package bench

// flightQueries are the shapes that dashboards ask: scans, filters and
// aggregates, few groups and many, numbers and text.
var flightQueries = []struct{ name, text string }{
	{"count", `SELECT count(*) FROM flights`},
	{"sum", `SELECT sum(delay), avg(distance), min(delay), max(delay) FROM flights`},
	{"filter-few", `SELECT count(*) FROM flights WHERE delay > 300`},
	{"filter-half", `SELECT count(*), sum(distance) FROM flights WHERE delay > 0`},
	{"filter-and", `SELECT count(*) FROM flights WHERE delay BETWEEN 10 AND 30 AND distance < 500`},
	{"filter-text", `SELECT count(*), avg(delay) FROM flights WHERE origin = 'SFO'`},
	{"filter-in", `SELECT count(*) FROM flights WHERE destination IN ('SFO', 'LAX', 'JFK', 'ORD')`},
	{"filter-like", `SELECT count(*) FROM flights WHERE origin LIKE 'S%'`},
	{"filter-date", `SELECT count(*), max(delay) FROM flights WHERE "date" >= TIMESTAMP '2001-02-01' AND "date" < TIMESTAMP '2001-03-01'`},
	{"arithmetic", `SELECT sum(delay * 2 + distance - 7) FROM flights WHERE distance % 2 = 0`},
	{"case", `SELECT sum(CASE WHEN delay > 0 THEN 1 ELSE 0 END) FROM flights`},
	{"group-text", `SELECT origin, count(*), avg(delay) FROM flights GROUP BY origin`},
	{"group-int", `SELECT delay, count(*) FROM flights GROUP BY delay`},
	{"group-two", `SELECT origin, destination, count(*), sum(distance) FROM flights GROUP BY origin, destination`},
	{"group-hour", `SELECT date_trunc('day', "date"), count(*), avg(delay) FROM flights GROUP BY 1`},
	{"group-having", `SELECT destination, max(delay) FROM flights WHERE distance > 1000 GROUP BY destination HAVING count(*) > 1000`},
	{"distinct", `SELECT count(DISTINCT destination), count(DISTINCT distance) FROM flights`},
	{"top-n", `SELECT "date", delay, origin FROM flights ORDER BY delay DESC, distance LIMIT 20`},
	{"sort", `SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY delay) AS r FROM flights WHERE distance > 1500) x WHERE r > 10`},
	{"self-join", `SELECT count(*) FROM flights f JOIN (SELECT origin, avg(delay) AS d FROM flights GROUP BY origin) o ON f.origin = o.origin WHERE f.delay > o.d`},
}
