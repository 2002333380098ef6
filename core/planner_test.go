package core

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
)

// joined gives the tables of a plan from the top to the bottom: of each join
// the side that is probed comes first, that of the hash table second.
func (d *db) joined(text string) string {
	d.Helper()
	var out []string
	for _, line := range strings.Split(d.rows(admin, "EXPLAIN "+text), "\n") {
		if _, rest, ok := strings.Cut(line, " app."); ok {
			out = append(out, rest[:1])
		}
	}
	return strings.Join(out, "")
}

func TestJoinsAreOrderedBySizes(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.must(admin, `CREATE NAMESPACE app;
			CREATE SHARED TABLE app.s (id INT PRIMARY KEY, a INT);
			CREATE SHARED TABLE app.m (id INT PRIMARY KEY, a INT);
			CREATE SHARED TABLE app.l (id INT PRIMARY KEY, a INT, b INT)`)
		fill := func(table string, from, to int, cols string) {
			d.must(admin, fmt.Sprintf("INSERT INTO app.%s SELECT g, g %% 10%s FROM generate_series(%d, %d) g", table, cols, from, to))
		}
		fill("s", 1, 20, "")
		fill("m", 1, 500, "")
		fill("l", 1, 9000, ", g % 500")
		const query = "SELECT count(*), sum(l.id) FROM app.%s, app.%s, app.%s WHERE l.a = s.id AND l.b = m.id"
		// Whatever the order of FROM, the large table is probed.
		for _, from := range [][3]any{{"s", "m", "l"}, {"l", "m", "s"}, {"m", "l", "s"}} {
			q := fmt.Sprintf(query, from[:]...)
			if got := d.joined(q); got[0] != 'l' {
				t.Errorf("from %v: joined %s", from, got)
			}
			if got := d.rows(admin, q); got != "8100|36450000" {
				t.Errorf("from %v: %s", from, got)
			}
		}
		// The sizes are those of now.
		before := d.compiler.CacheStats()
		q := fmt.Sprintf(query, "s", "m", "l")
		d.must(admin, q)
		d.must(admin, q)
		if now := d.compiler.CacheStats(); now.Hits-before.Hits < 2 {
			t.Errorf("%+v, before %+v", now, before)
		}
		fill("s", 21, 60000, "")
		if got := d.joined(q); got[0] != 's' {
			t.Errorf("joined %s, s is the largest now", got)
		}
		before = d.compiler.CacheStats()
		if got := d.rows(admin, q); got != "8100|36450000" {
			t.Error(got)
		}
		d.must(admin, q)
		if now := d.compiler.CacheStats(); now.Misses-before.Misses != 1 || now.Hits-before.Hits != 1 {
			t.Errorf("the plan is that of a small table: %+v, before %+v", now, before)
		}
	})
}

// TestParallelGivesTheSame runs queries with one and with several goroutines, in
// every state of the tiers.
func TestParallelGivesTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a hundred thousand rows")
	}
	queries := []string{
		"SELECT count(*), sum(n), min(id), max(id), avg(n), min(word), max(word) FROM app.t",
		"SELECT count(*) FROM app.t WHERE n % 3 = 0",
		"SELECT n % 7, count(*), sum(id) FROM app.t GROUP BY 1 ORDER BY 1",
		"SELECT word, count(*), sum(n), min(x) FROM app.t WHERE id BETWEEN 1000 AND 90000 GROUP BY word ORDER BY word",
		"SELECT sum(x), avg(x) FROM app.t",
		"SELECT count(DISTINCT word) FROM app.t",
		"SELECT count(*), sum(n) FROM app.t WHERE _deleted",
		"SELECT count(*) FROM app.t a JOIN app.t b ON a.id = b.n WHERE b.word = 'w3'",
	}
	cfg := testConfig(config.BackendBadger, t.TempDir())
	d := openDB(t, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id BIGINT PRIMARY KEY, n INT, x DOUBLE, word TEXT) FLUSH ROW_THRESHOLD 100000000")
	insert := func(from, to, step int) {
		for ; from < to; from += 20000 * step {
			d.must(admin, fmt.Sprintf("INSERT INTO app.t SELECT g, g %% 1000, g * 0.1, 'w' || g %% 11 FROM generate_series(%d, %d, %d) g", from, min(to, from+20000*step)-1, step))
		}
	}
	check := func(state string) {
		t.Helper()
		for _, q := range queries {
			d.parallelism = 1
			want := d.rows(admin, q)
			d.parallelism = 4
			if got := d.rows(admin, q); got != want {
				t.Errorf("%s: %s: with four goroutines\n%s\nwith one\n%s", state, q, got, want)
			}
		}
	}
	insert(0, 100000, 1)
	check("hot")
	d.flushAll()
	check("flushed")
	insert(100000, 160000, 2)
	d.must(admin, "DELETE FROM app.t WHERE id % 50 = 7; UPDATE app.t SET n = n + 1, word = 'changed' WHERE id % 41 = 0")
	check("half flushed")
	d.flushAll()
	d.must(admin, "COMPACT TABLE app.t")
	check("compacted")
}
