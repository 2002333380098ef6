package integration

import (
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// quickly lets the scheduler look often.
const quickly = "KALAMDB_FLUSH_CHECK_INTERVAL=50ms"

// folders are the folders of a server's Parquet files, each once.
func folders(t *testing.T, s *harness.Server) []string {
	t.Helper()
	var out []string
	for _, f := range segments(t, s) {
		out = append(out, path.Dir(f))
	}
	return slices.Compact(out)
}

// TestScheduledFlushInterval is story 2, scenario 1: a table is flushed when
// its interval has passed, or when it has as many rows as it may, and a table
// for which neither holds is not.
func TestScheduledFlushInterval(t *testing.T) {
	t.Parallel()
	c := newCellar(t, `CREATE USER TABLE timed (id BIGINT PRIMARY KEY, s TEXT) FLUSH INTERVAL 1s;
		CREATE USER TABLE counted (id BIGINT PRIMARY KEY, s TEXT) FLUSH INTERVAL 1h ROW_THRESHOLD 10;
		CREATE USER TABLE patient (id BIGINT PRIMARY KEY, s TEXT) FLUSH INTERVAL 1h ROW_THRESHOLD 1000`, quickly)
	for _, table := range []string{"timed", "counted", "patient"} {
		fill(t, c.ada, table, 1, 9)
	}
	await(t, "the flush by time", func() bool { return tableStats(t, c.admin, "timed").FlushedRows == 9 })
	if got := tableStats(t, c.admin, "counted"); got.FlushedRows != 0 {
		t.Errorf("the table that counts has %+v", got)
	}
	fill(t, c.ada, "counted", 10, 12)
	await(t, "the flush by rows", func() bool { return tableStats(t, c.admin, "counted").FlushedRows >= 10 })
	if got := folders(t, c.Server); !slices.Equal(got, []string{"app/users/ada/counted", "app/users/ada/timed"}) {
		t.Errorf("the folders are %v", got)
	}
	if got := tableStats(t, c.admin, "patient"); got.FlushedRows != 0 || got.BufferedRows != 9 {
		t.Errorf("the patient table has %+v", got)
	}
	for _, table := range []string{"timed", "counted"} {
		if n := harness.Query[int64](t, c.ada, "SELECT count(*) FROM "+table)[0]; n != map[string]int64{"timed": 9, "counted": 12}[table] {
			t.Errorf("%s holds %d rows", table, n)
		}
	}
	for _, bad := range []string{"FLUSH INTERVAL 0s", "FLUSH INTERVAL -1s", "FLUSH ROW_THRESHOLD 0", "FLUSH INTERVAL soon"} {
		if _, err := c.admin.Exec(harness.Context(t), "CREATE USER TABLE bad (id BIGINT) "+bad); err == nil {
			t.Errorf("%s was accepted", bad)
			harness.Exec(t, c.admin, "DROP TABLE bad")
		}
	}
}

// TestMultiUserFlushGrouping is story 2, scenario 2: each user's rows go to
// files of that user.
func TestMultiUserFlushGrouping(t *testing.T) {
	t.Parallel()
	c := newCellar(t, flushTable)
	users := map[string]*link.Client{}
	for i, name := range []string{"user1", "user2", "user3"} {
		users[name] = c.As(t, name, link.WithNamespace("app"))
		fill(t, users[name], "messages", 1, 10*(i+1))
	}
	if got := harness.Query[flushed](t, c.admin, "FLUSH TABLE messages"); len(got) != 1 || got[0].RecordsFlushed != 60 || got[0].Files != 3 {
		t.Errorf("FLUSH TABLE gives %+v", got)
	}
	if got := folders(t, c.Server); !slices.Equal(got, []string{"app/users/user1/messages", "app/users/user2/messages", "app/users/user3/messages"}) {
		t.Errorf("the folders are %v", got)
	}
	for name, want := range map[string]int64{"user1": 10, "user2": 20, "user3": 30} {
		if n := harness.Query[int64](t, users[name], "SELECT count(*) FROM messages")[0]; n != want {
			t.Errorf("%s has %d rows, want %d", name, n, want)
		}
	}
}

// TestStoragePathTemplateSubstitution is story 2, scenario 3: the template's
// variables are filled in, and no name leaves its folder.
func TestStoragePathTemplateSubstitution(t *testing.T) {
	t.Parallel()
	c := newCellar(t, flushTable, "KALAMDB_STORAGE_USER_TEMPLATE={storageLocation}/of/{tableName}/in/{namespace}/for/{userId}/")
	fill(t, c.ada, "messages", 1, 1)
	for _, name := range []string{"../../../escaped", "a/b", "auth0|5f7c", "ü@example.com", ".", ".."} {
		fill(t, c.As(t, name, link.WithNamespace("app")), "messages", 1, 1)
	}
	harness.Exec(t, c.admin, "FLUSH TABLE messages")
	got := folders(t, c.Server)
	if len(got) != 7 || !slices.Contains(got, "of/messages/in/app/for/ada") {
		t.Errorf("the folders are %v", got)
	}
	for _, f := range got {
		if rest, ok := strings.CutPrefix(f, "of/messages/in/app/for/"); !ok || strings.Contains(rest, "/") || rest == ".." || rest == "." {
			t.Errorf("the folder %s left its place", f)
		}
	}
	for _, name := range []string{"../../../escaped", "a/b", ".."} {
		if n := harness.Query[int64](t, c.As(t, name, link.WithNamespace("app")), "SELECT count(*) FROM messages")[0]; n != 1 {
			t.Errorf("%s has %d rows", name, n)
		}
	}
	if r := harness.RunClient(t, "", "", "-h", c.URL, "-e", "CREATE STORAGE bad TYPE filesystem PATH 'x' USER_TABLES_TEMPLATE '{storageLocation}/{namespace}/{tableName}/'"); r.Code != 1 || !strings.Contains(r.Err, "{userId}") {
		t.Errorf("a template without the user: %+v", r)
	}
}

// TestShardingStrategyDistribution is story 2, scenario 4: the alphabetic
// shards are the first letters of the users' ids.
func TestShardingStrategyDistribution(t *testing.T) {
	t.Parallel()
	c := newCellar(t, flushTable, "KALAMDB_STORAGE_USER_TEMPLATE={storageLocation}/{namespace}/{shard}/{userId}/{tableName}/")
	for _, name := range []string{"ada", "Anna", "bob", "zoe", "9lives", "über"} {
		fill(t, c.As(t, name, link.WithNamespace("app")), "messages", 1, 1)
	}
	harness.Exec(t, c.admin, "FLUSH TABLE messages")
	shards := map[string]int{}
	for _, f := range segments(t, c.Server) {
		parts := strings.Split(f, "/")
		shards[parts[1]]++
	}
	if len(shards) != 4 || shards["a"] != 2 || shards["b"] != 1 || shards["z"] != 1 || shards["other"] != 2 {
		t.Errorf("the shards have %v", shards)
	}
}

// TestUserVsSharedTablePaths is story 2, scenario 5.
func TestUserVsSharedTablePaths(t *testing.T) {
	t.Parallel()
	c := newCellar(t, flushTable+"; CREATE SHARED TABLE news (id BIGINT PRIMARY KEY, content TEXT) ACCESS open")
	fill(t, c.ada, "messages", 1, 3)
	fill(t, c.ada, "news", 1, 3)
	harness.Exec(t, c.admin, "FLUSH ALL TABLES")
	if got := folders(t, c.Server); !slices.Equal(got, []string{"app/news", "app/users/ada/messages"}) {
		t.Errorf("the folders are %v", got)
	}
	if n := harness.Query[int64](t, c.As(t, "bob", link.WithNamespace("app")), "SELECT count(*) FROM news")[0]; n != 3 {
		t.Errorf("another user reads %d shared rows", n)
	}
}

// TestFlushJobStatusTracking is story 2: a flush that nobody asked for leaves
// a job like any other.
func TestFlushJobStatusTracking(t *testing.T) {
	t.Parallel()
	c := newCellar(t, flushTable+" FLUSH ROW_THRESHOLD 5", quickly)
	fill(t, c.ada, "messages", 1, 25)
	type job struct {
		JobType, Status, TableName, Result, Trace string
		StartedAt, CompletedAt                    *time.Time
	}
	var got []job
	await(t, "the flush", func() bool {
		got = harness.Query[job](t, c.admin, "SELECT job_type, status, table_name, coalesce(result, '') AS result, coalesce(trace, '') AS trace, started_at, completed_at FROM system.jobs WHERE namespace = 'app' AND status IN ('completed', 'failed')")
		return len(got) > 0
	})
	if j := got[0]; j.JobType != "flush" || j.Status != "completed" || j.TableName != "messages" || !strings.Contains(j.Result, "25") || j.Trace == "" || j.StartedAt == nil || j.CompletedAt == nil {
		t.Errorf("the job is %+v", j)
	}
	if n := harness.Query[int64](t, c.ada, "SELECT count(*) FROM system.jobs")[0]; n != 0 {
		t.Errorf("a user sees %d jobs", n)
	}
}

// TestSchedulerRecoveryAfterRestart is story 2: what was to be flushed when the
// server died is flushed after its restart.
func TestSchedulerRecoveryAfterRestart(t *testing.T) {
	harness.NeedDurable(t)
	t.Parallel()
	c := newCellar(t, flushTable+" FLUSH INTERVAL 2s", quickly)
	fill(t, c.ada, "messages", 1, 20)
	c.Kill()
	c.Restart()
	await(t, "the flush after the restart", func() bool { return tableStats(t, c.admin, "messages").FlushedRows == 20 })
	if got := folders(t, c.Server); !slices.Equal(got, []string{"app/users/ada/messages"}) {
		t.Errorf("the folders are %v", got)
	}
	if n := harness.Query[int64](t, c.ada, "SELECT count(*) FROM messages")[0]; n != 20 {
		t.Errorf("%d rows are there", n)
	}
}
