package integration

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// flushed is a row of FLUSH's answer.
type flushed struct {
	Namespace, TableName, StorageLocation, JobID string
	RecordsFlushed, Files                        int64
	DurationMS                                   float64
}

// stats is the row of SHOW TABLE STATS.
type stats struct {
	BufferedRows, FlushedRows, TotalRows, StorageBytes, Files int64
	LastFlush                                                 *time.Time
	FlushPolicy                                               *string
}

func tableStats(t *testing.T, c *link.Client, table string) stats {
	t.Helper()
	got := harness.Query[stats](t, c, "SHOW TABLE STATS "+table)
	if len(got) != 1 {
		t.Fatalf("SHOW TABLE STATS gives %d rows", len(got))
	}
	return got[0]
}

// segments lists the Parquet files of a server, by their paths below its
// storage location.
func segments(t *testing.T, s *harness.Server) []string {
	t.Helper()
	var out []string
	root := filepath.Join(s.Dir, "storage")
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".parquet") {
			rel, _ := filepath.Rel(root, path)
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(out)
	return out
}

// cellar is an own server, whose files are looked at, with a namespace app.
type cellar struct {
	*harness.Server
	admin, ada *link.Client
}

func newCellar(t *testing.T, create string, env ...string) *cellar {
	t.Helper()
	s := harness.Start(t, env...)
	c := &cellar{s, s.Admin(t, link.WithNamespace("app")), s.As(t, "ada", link.WithNamespace("app"))}
	harness.Exec(t, c.admin, "CREATE NAMESPACE app")
	harness.Exec(t, c.admin, create)
	return c
}

// fill inserts rows first to last in one statement.
func fill(t *testing.T, c *link.Client, table string, first, last int) {
	t.Helper()
	rows := make([]string, 0, last-first+1)
	for i := first; i <= last; i++ {
		rows = append(rows, fmt.Sprintf("(%d, 'row %d')", i, i))
	}
	harness.Exec(t, c, "INSERT INTO "+table+" VALUES "+strings.Join(rows, ", "))
}

const flushTable = "CREATE USER TABLE messages (id BIGINT PRIMARY KEY, content TEXT)"

// TestFlushTableCommand is story 3, scenario 1: the rows move into a file, and
// are read, changed and deleted there as before.
func TestFlushTableCommand(t *testing.T) {
	t.Parallel()
	c := newCellar(t, flushTable)
	fill(t, c.ada, "messages", 1, 100)
	if got := harness.Query[flushed](t, c.admin, "FLUSH TABLE app.messages"); len(got) != 1 || got[0].RecordsFlushed != 100 || got[0].Files != 1 {
		t.Errorf("FLUSH TABLE gives %+v", got)
	}
	if got := segments(t, c.Server); len(got) != 1 || !strings.HasPrefix(got[0], "app/users/ada/messages/") {
		t.Errorf("the files are %v", got)
	}
	if got := tableStats(t, c.admin, "messages"); got.BufferedRows != 0 || got.FlushedRows != 100 {
		t.Errorf("the table has %+v", got)
	}
	harness.Exec(t, c.ada, "UPDATE messages SET content = 'new' WHERE id = 1")
	harness.Exec(t, c.ada, "DELETE FROM messages WHERE id = 2")
	fill(t, c.ada, "messages", 101, 101)
	if _, err := c.ada.Exec(harness.Context(t), "INSERT INTO messages VALUES (3, 'again')"); link.CodeOf(err) != link.CodeUniqueViolation {
		t.Errorf("the key of a flushed row: %v", err)
	}
	for range 2 {
		type row struct {
			N, Low, High int64
			New          int64
		}
		got := harness.Query[row](t, c.ada, "SELECT count(*) AS n, min(id) AS low, max(id) AS high, count(*) FILTER (WHERE content = 'new') AS new FROM messages")
		if got[0] != (row{100, 1, 101, 1}) {
			t.Errorf("the table holds %+v", got[0])
		}
		harness.Exec(t, c.admin, "FLUSH TABLE app.messages")
	}
	if _, err := c.ada.Exec(harness.Context(t), "FLUSH TABLE app.messages"); link.CodeOf(err) != link.CodePermissionDenied {
		t.Errorf("a user flushes: %v", err)
	}
	if _, err := c.admin.Exec(harness.Context(t), "FLUSH TABLE app.nothing"); link.CodeOf(err) != link.CodeTableNotFound {
		t.Errorf("no such table: %v", err)
	}
	if !harness.Durable() {
		return
	}
	c.Kill()
	c.Restart()
	if n := harness.Query[int64](t, c.ada, "SELECT count(*) FROM messages")[0]; n != 100 {
		t.Errorf("after kill -9 there are %d rows", n)
	}
}

// TestFlushAllTablesCommand is story 3, scenario 2.
func TestFlushAllTablesCommand(t *testing.T) {
	t.Parallel()
	c := newCellar(t, "CREATE USER TABLE a (id BIGINT, s TEXT); CREATE SHARED TABLE b (id BIGINT, s TEXT) ACCESS open; CREATE USER TABLE c (id BIGINT, s TEXT); CREATE STREAM TABLE d (id BIGINT, s TEXT) TTL 1h")
	for i, table := range []string{"a", "b", "c", "d"} {
		fill(t, c.ada, table, 1, 10*(i+1))
	}
	counts := map[string]int64{}
	for _, f := range harness.Query[flushed](t, c.admin, "FLUSH ALL TABLES") {
		counts[f.Namespace+"."+f.TableName] = f.RecordsFlushed
	}
	if len(counts) != 3 || counts["app.a"] != 10 || counts["app.b"] != 20 || counts["app.c"] != 30 {
		t.Errorf("FLUSH ALL TABLES gives %v", counts)
	}
	for _, table := range []string{"a", "b", "c"} {
		if got := tableStats(t, c.admin, table); got.BufferedRows != 0 || got.Files != 1 {
			t.Errorf("%s has %+v", table, got)
		}
	}
	if got := harness.Query[flushed](t, c.admin, "FLUSH ALL TABLES IN app"); len(got) > 3 || slices.ContainsFunc(got, func(f flushed) bool { return f.RecordsFlushed != 0 }) {
		t.Errorf("a second time it gives %+v", got)
	}
}

// TestFlushResponseIncludesMetrics is story 3, scenario 3.
func TestFlushResponseIncludesMetrics(t *testing.T) {
	t.Parallel()
	c := newCellar(t, flushTable)
	fill(t, c.ada, "messages", 1, 7)
	a := c.Post(t, map[string]any{"sql": "FLUSH TABLE app.messages"})
	if a.HTTPStatus != 200 || strings.Join(a.Results[0].Columns, ",") != "namespace,table_name,records_flushed,files,storage_location,job_id,duration_ms" {
		t.Fatalf("HTTP %d %s", a.HTTPStatus, a.Body)
	}
	row := a.Row(t, 0, 0)
	if fmt.Sprint(row["records_flushed"]) != "7" || !strings.Contains(fmt.Sprint(row["storage_location"]), "app/users/") || row["job_id"] == "" {
		t.Errorf("%s", a.Body)
	}
	status := harness.Query[string](t, c.admin, "SELECT status FROM system.jobs WHERE job_id = $1", row["job_id"])
	if !slices.Equal(status, []string{"completed"}) {
		t.Errorf("the job is %v", status)
	}
}

// TestConcurrentFlushPrevention is story 3: flushes of one table wait for each
// other, so that each row is flushed once, also under writers.
func TestConcurrentFlushPrevention(t *testing.T) {
	t.Parallel()
	c := newCellar(t, flushTable)
	fill(t, c.ada, "messages", 1, 1000)
	ctx := harness.Context(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var records int64
	for i := range 4 {
		wg.Go(func() {
			got, err := link.Collect[flushed](c.admin.Query(ctx, "FLUSH TABLE app.messages"))
			if err != nil && link.CodeOf(err) != link.CodeConflict {
				t.Errorf("flush %d: %v", i, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, f := range got {
				records += f.RecordsFlushed
			}
		})
		wg.Go(func() {
			if _, err := c.ada.Exec(ctx, "INSERT INTO messages VALUES ($1, 'meanwhile')", 2000+i); err != nil {
				t.Errorf("insert %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := tableStats(t, c.admin, "messages"); got.TotalRows != 1004 || got.FlushedRows != records || got.BufferedRows != 1004-records || records < 1000 {
		t.Errorf("%d rows were flushed, the table has %+v", records, got)
	}
	if n := harness.Query[int64](t, c.ada, "SELECT count(*) FROM (SELECT DISTINCT id FROM messages) x")[0]; n != 1004 {
		t.Errorf("%d rows are there", n)
	}
}

// TestFlushEmptyTable is story 3: nothing to flush is no error.
func TestFlushEmptyTable(t *testing.T) {
	t.Parallel()
	c := newCellar(t, flushTable)
	for range 2 {
		if got := harness.Query[flushed](t, c.admin, "FLUSH TABLE messages"); len(got) != 1 || got[0].RecordsFlushed != 0 || got[0].Files != 0 {
			t.Errorf("FLUSH TABLE gives %+v", got)
		}
	}
	if got := segments(t, c.Server); len(got) != 0 {
		t.Errorf("the files are %v", got)
	}
}

// TestShutdownAutomaticFlush is story 3, scenario 4: a server that is asked to
// stop flushes every table first.
func TestShutdownAutomaticFlush(t *testing.T) {
	harness.NeedDurable(t)
	t.Parallel()
	c := newCellar(t, flushTable+"; CREATE SHARED TABLE news (id BIGINT, content TEXT) ACCESS open")
	fill(t, c.ada, "messages", 1, 50)
	fill(t, c.ada, "news", 1, 5)
	c.Stop()
	got := segments(t, c.Server)
	if len(got) != 2 || !strings.HasPrefix(got[0], "app/news/") || !strings.HasPrefix(got[1], "app/users/ada/messages/") {
		t.Errorf("the files are %v", got)
	}
	c.Restart()
	if got := tableStats(t, c.admin, "messages"); got.BufferedRows != 0 || got.FlushedRows != 50 {
		t.Errorf("the table has %+v", got)
	}
	if n := harness.Query[int64](t, c.ada, "SELECT count(*) FROM messages")[0]; n != 50 {
		t.Errorf("%d rows are there", n)
	}
}

// TestShutdownFlushTakesLessThanHalfAMinute is SC-010: a server with nine
// tables of 20,000 rows each stops within 30 seconds, and all rows are in files.
func TestShutdownFlushTakesLessThanHalfAMinute(t *testing.T) {
	harness.NeedDurable(t)
	t.Parallel()
	const tables, rows = 9, 20_000
	c := newCellar(t, flushTable)
	for i := range tables {
		harness.Exec(t, c.admin, fmt.Sprintf("CREATE SHARED TABLE wide%d AS SELECT i AS id, 'message ' || i AS content FROM generate_series(1, %d) AS g(i)", i, rows))
	}
	began := time.Now()
	c.Stop()
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if got := segments(t, c.Server); len(got) != tables {
		t.Errorf("the files are %v", got)
	}
	c.Restart()
	for i := range tables {
		if got := tableStats(t, c.admin, fmt.Sprintf("wide%d", i)); got.BufferedRows != 0 || got.FlushedRows != rows {
			t.Errorf("table %d has %+v", i, got)
		}
	}
}

// TestFlushTableSynchronousOperation is story 3: when the statement returns,
// the job is done and the files are there.
func TestFlushTableSynchronousOperation(t *testing.T) {
	t.Parallel()
	c := newCellar(t, flushTable)
	for round := 1; round <= 3; round++ {
		fill(t, c.ada, "messages", 1000*round, 1000*round+499)
		got := harness.Query[flushed](t, c.admin, "FLUSH TABLE app.messages")
		if len(got) != 1 || got[0].RecordsFlushed != 500 || got[0].DurationMS <= 0 {
			t.Errorf("round %d gives %+v", round, got)
		}
		if files := segments(t, c.Server); len(files) != round {
			t.Errorf("after round %d the files are %v", round, files)
		}
		type job struct {
			Status      string
			CompletedAt *time.Time
		}
		jobs := harness.Query[job](t, c.admin, "SELECT status, completed_at FROM system.jobs WHERE job_id = $1", got[0].JobID)
		if len(jobs) != 1 || jobs[0].Status != "completed" || jobs[0].CompletedAt == nil {
			t.Errorf("the job is %+v", jobs)
		}
	}
}
