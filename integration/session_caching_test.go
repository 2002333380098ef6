package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// cache is what system.sessions tells of a session's tables.
type cache struct {
	CachedTables int64
	CacheHits    int64
	CacheMisses  int64
	Namespace    *string
	CreatedAt    time.Time
}

// cacheOf reads a client's session without being part of it.
func cacheOf(t *testing.T, watcher, c *link.Client) cache {
	t.Helper()
	got := harness.Query[cache](t, watcher, "SELECT cached_tables, cache_hits, cache_misses, namespace, created_at FROM system.sessions WHERE session_id = $1", c.Session())
	switch len(got) {
	case 0:
		return cache{}
	case 1:
		return got[0]
	}
	t.Fatalf("session %s is there %d times", c.Session(), len(got))
	return cache{}
}

// session makes n tables t0, t1, … with a row each and gives a client in a
// session that has used none of them, and one to watch it.
func session(t *testing.T, s *harness.Server, n int) (c, watcher *link.Client, ns string) {
	t.Helper()
	ns = s.Namespace(t)
	admin := s.Admin(t, link.WithNamespace(ns))
	filler := s.As(t, "ada", link.WithNamespace(ns))
	for i := range n {
		harness.Exec(t, admin, fmt.Sprintf("CREATE USER TABLE t%d (id BIGINT PRIMARY KEY)", i))
		harness.Exec(t, filler, fmt.Sprintf("INSERT INTO t%d VALUES (1)", i))
	}
	return s.As(t, "ada", link.WithNamespace(ns)), s.Admin(t), ns
}

// TestFirstQueryCachesRegistration is story 4, scenario 1: the first query
// notes the table in the session.
func TestFirstQueryCachesRegistration(t *testing.T) {
	t.Parallel()
	c, watcher, _ := session(t, harness.Shared(t), 1)
	before := cacheOf(t, watcher, c)
	checkIDs(t, c, []int64{1}, "SELECT id FROM t0")
	first := cacheOf(t, watcher, c)
	if before.CachedTables != 0 || first.CachedTables != 1 || first.CacheMisses != before.CacheMisses+1 || first.CacheHits != before.CacheHits {
		t.Errorf("from %+v to %+v", before, first)
	}
	checkIDs(t, c, []int64{1}, "SELECT id FROM t0")
	second := cacheOf(t, watcher, c)
	if second.CachedTables != 1 || second.CacheMisses != first.CacheMisses || second.CacheHits != first.CacheHits+1 {
		t.Errorf("from %+v to %+v", first, second)
	}
	// A table that is not there is not noted.
	if _, err := c.Exec(harness.Context(t), "SELECT * FROM nothing"); link.CodeOf(err) != link.CodeTableNotFound {
		t.Error(err)
	}
	if got := cacheOf(t, watcher, c); got.CachedTables != 1 {
		t.Errorf("after a failed query: %+v", got)
	}
}

// TestCachedRegistrationReuse is story 4, scenario 2: of ten queries one
// registers the table.
func TestCachedRegistrationReuse(t *testing.T) {
	t.Parallel()
	c, watcher, _ := session(t, harness.Shared(t), 1)
	for i := range 10 {
		checkIDs(t, c, []int64{1}, "SELECT id FROM t0 WHERE id < $1", 2+i)
	}
	if got := cacheOf(t, watcher, c); got.CachedTables != 1 || got.CacheMisses != 1 || got.CacheHits != 9 {
		t.Errorf("after ten queries: %+v", got)
	}
	harness.Exec(t, c, "INSERT INTO t0 VALUES (2)")
	harness.Exec(t, c, "UPDATE t0 SET id = 3 WHERE id = 2")
	harness.Exec(t, c, "DELETE FROM t0 WHERE id = 3")
	if got := cacheOf(t, watcher, c); got.CachedTables != 1 || got.CacheMisses != 1 {
		t.Errorf("after writes: %+v", got)
	}
}

// TestCacheEvictionAfterTimeout is story 4, scenario 3: a table that a living
// session has not used for long is registered anew, and so is everything after
// the session itself was forgotten.
func TestCacheEvictionAfterTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 500 * time.Millisecond
	s := harness.Start(t, "KALAMDB_SESSION_IDLE_TIMEOUT="+timeout.String())
	c, watcher, _ := session(t, s, 2)
	for try := 1; ; try++ {
		checkIDs(t, c, []int64{1}, "SELECT id FROM t0")
		before := cacheOf(t, watcher, c)
		// The session is kept alive through the other table.
		tick := time.NewTicker(20 * time.Millisecond)
		for end := time.Now().Add(timeout + timeout/4); time.Now().Before(end); <-tick.C {
			checkIDs(t, c, []int64{1}, "SELECT id FROM t1")
		}
		tick.Stop()
		checkIDs(t, c, []int64{1}, "SELECT id FROM t0")
		after := cacheOf(t, watcher, c)
		if !after.CreatedAt.Equal(before.CreatedAt) && try < 10 {
			continue // the machine was so busy that the session ended meanwhile
		}
		if after.CacheMisses < before.CacheMisses+1 {
			t.Errorf("from %+v to %+v: the table was not registered anew", before, after)
		}
		break
	}
	await(t, "the end of the session", func() bool { return cacheOf(t, watcher, c) == cache{} })
	checkIDs(t, c, []int64{1}, "SELECT id FROM t0")
	if got := cacheOf(t, watcher, c); got.CacheMisses != 1 || got.CacheHits != 0 {
		t.Errorf("the new session has %+v", got)
	}
}

// TestSchemaChangeInvalidatesCache is story 4, scenario 4: after ALTER TABLE
// the next query sees the new columns.
func TestSchemaChangeInvalidatesCache(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	c, watcher, ns := session(t, s, 1)
	checkIDs(t, c, []int64{1}, "SELECT * FROM t0")
	checkIDs(t, c, []int64{1}, "SELECT * FROM t0")
	before := cacheOf(t, watcher, c)
	harness.Exec(t, watcher, "ALTER TABLE "+ns+".t0 ADD COLUMN note TEXT DEFAULT 'new'")
	type row struct {
		ID   int64
		Note string
	}
	if got := harness.Query[row](t, c, "SELECT * FROM t0"); len(got) != 1 || got[0] != (row{1, "new"}) {
		t.Errorf("after ALTER TABLE: %+v", got)
	}
	if after := cacheOf(t, watcher, c); after.CacheMisses != before.CacheMisses+1 || after.CachedTables != 1 {
		t.Errorf("from %+v to %+v", before, after)
	}
	harness.Exec(t, watcher, "ALTER TABLE "+ns+".t0 DROP COLUMN note")
	if _, err := c.Exec(harness.Context(t), "SELECT note FROM t0"); link.CodeOf(err) != link.CodeColumnNotFound {
		t.Errorf("a column that is gone: %v", err)
	}
}

// TestMultiTableSessionCache is story 4 with five tables: the second round
// registers none of them.
func TestMultiTableSessionCache(t *testing.T) {
	t.Parallel()
	c, watcher, _ := session(t, harness.Shared(t), 5)
	for round := range 2 {
		for i := range 5 {
			checkIDs(t, c, []int64{1}, fmt.Sprintf("SELECT id FROM t%d", i))
		}
		if got := cacheOf(t, watcher, c); got.CachedTables != 5 || got.CacheMisses != 5 || got.CacheHits != int64(5*round) {
			t.Errorf("after round %d: %+v", round+1, got)
		}
	}
	checkIDs(t, c, []int64{1}, "SELECT t0.id FROM t0 JOIN t1 ON t0.id = t1.id")
	if got := cacheOf(t, watcher, c); got.CacheMisses != 5 || got.CacheHits != 7 {
		t.Errorf("after a join: %+v", got)
	}

	// A bounded session forgets the table that was not used for longest.
	small := harness.Start(t, "KALAMDB_SESSION_MAX_CACHED_TABLES=2")
	c, watcher, _ = session(t, small, 3)
	for _, i := range []int{0, 1, 0, 2, 0, 1} { // 2 displaces 1, 1 displaces 2
		checkIDs(t, c, []int64{1}, fmt.Sprintf("SELECT id FROM t%d", i))
	}
	if got := cacheOf(t, watcher, c); got.CachedTables != 2 || got.CacheMisses != 4 || got.CacheHits != 2 {
		t.Errorf("with room for two tables: %+v", got)
	}
}

// TestCacheIsolationBetweenSessions is story 4: each session of a user has its
// own tables and its own namespace.
func TestCacheIsolationBetweenSessions(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	one, watcher, ns := session(t, s, 2)
	two := s.As(t, "ada", link.WithNamespace(ns))
	checkIDs(t, one, []int64{1}, "SELECT id FROM t0")
	checkIDs(t, one, []int64{1}, "SELECT id FROM t0")
	checkIDs(t, two, []int64{1}, "SELECT id FROM t0")
	checkIDs(t, two, []int64{1}, "SELECT id FROM t1")
	a, b := cacheOf(t, watcher, one), cacheOf(t, watcher, two)
	if a.CachedTables != 1 || a.CacheHits != 1 || a.CacheMisses != 1 || b.CachedTables != 2 || b.CacheHits != 0 || b.CacheMisses != 2 {
		t.Errorf("the sessions have %+v and %+v", a, b)
	}
	// Another user who names the session gets an own one.
	thief := s.As(t, "bob", link.WithSession(one.Session()), link.WithNamespace(ns))
	checkIDs(t, thief, nil, "SELECT id FROM t0")
	if got := harness.Query[int64](t, watcher, "SELECT cache_misses FROM system.sessions WHERE session_id = $1 AND user_id = 'ada'", one.Session()); len(got) != 1 || got[0] != 1 {
		t.Errorf("the session of ada has %v misses", got)
	}
	if got := harness.Query[string](t, s.As(t, "bob"), "SELECT DISTINCT user_id FROM system.sessions"); len(got) != 1 || got[0] != "bob" {
		t.Errorf("bob sees the sessions of %v", got)
	}
}

// TestDroppedTableCacheCleanup is story 4: a dropped table leaves the session,
// and a query of it says that it is gone.
func TestDroppedTableCacheCleanup(t *testing.T) {
	t.Parallel()
	c, watcher, ns := session(t, harness.Shared(t), 2)
	checkIDs(t, c, []int64{1}, "SELECT id FROM t0")
	checkIDs(t, c, []int64{1}, "SELECT id FROM t1")
	harness.Exec(t, watcher, "DROP TABLE "+ns+".t0")
	if _, err := c.Exec(harness.Context(t), "SELECT id FROM t0"); link.CodeOf(err) != link.CodeTableNotFound {
		t.Errorf("a dropped table: %v", err)
	}
	if got := cacheOf(t, watcher, c); got.CachedTables != 1 {
		t.Errorf("after DROP TABLE: %+v", got)
	}
	harness.Exec(t, watcher, "CREATE USER TABLE "+ns+".t0 (other TEXT)")
	if got := harness.Query[string](t, c, "SELECT * FROM t0"); len(got) != 0 {
		t.Errorf("a new table of the same name holds %v", got)
	}
}
