package core

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/core/job"
	"github.com/kalamdb/kalamdb/core/table"
)

// parquet lists the files below a folder, without what is in their names.
func parquet(t testing.TB, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // it is being deleted
		}
		if err == nil && strings.HasSuffix(path, ".parquet") {
			rel, err := filepath.Rel(dir, filepath.Dir(path))
			if err != nil {
				return err
			}
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}

func TestFlushStatements(t *testing.T) {
	dir := t.TempDir()
	d := openDB(t, testConfig(config.BackendBadger, dir))
	d.must(admin, `CREATE NAMESPACE app; CREATE NAMESPACE other; CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT);
		CREATE SHARED TABLE app.words (w TEXT) ACCESS open; CREATE SHARED TABLE other.t (n INT); CREATE STREAM TABLE app.s (n INT) TTL 1h`)
	d.must("ann", "INSERT INTO app.notes VALUES (1, 'a'), (2, 'b')")
	d.must("bob@example.org", "INSERT INTO app.notes VALUES (1, 'c')")
	a := d.must(admin, "FLUSH TABLE app.notes")[0]
	if got := strings.Join(a.cols, ","); got != "namespace,table_name,records_flushed,files,storage_location,job_id,duration_ms" {
		t.Errorf("columns are %s", got)
	}
	at := filepath.Join(dir, "storage")
	want := fmt.Sprintf("app|notes|3|2|%s/app/users/{userId}/notes/|job_", at)
	if len(a.rows) != 1 || !strings.HasPrefix(a.rows[0], want) {
		t.Errorf("answered %v, want %s…", a.rows, want)
	}
	if want := "3 rows of app.notes flushed into 2 files at " + at; !strings.HasPrefix(a.message, want) {
		t.Errorf("the message is %q", a.message)
	}
	if got := fmt.Sprint(parquet(t, at)); got != "[app/users/ann/notes app/users/bob@example.org/notes]" {
		t.Errorf("files are in %s", got)
	}
	id := strings.Split(a.rows[0], "|")[5]
	if got := d.rows(admin, "SELECT job_type, status, namespace, table_name, parameters, result IS NOT NULL, trace, memory_used > 0, cpu_used > 0, started_at >= created_at, completed_at >= started_at, node, error FROM system.jobs WHERE job_id = '"+id+"'"); got !=
		`flush|completed|app|notes|["app.notes"]|t|node=test origin="FLUSH TABLE" user="root" step="removing hot rows"|t|t|t|t|test|NULL` {
		t.Errorf("the job is %s", got)
	}
	if got := d.rows("ann", "SELECT count(*) FROM system.jobs"); got != "0" {
		t.Errorf("ann sees %s jobs", got)
	}
	if got := d.rows(admin, "SHOW TABLE STATS app.notes"); !strings.HasPrefix(got, "app|notes|0|3|3|") || strings.Contains(got, "NULL") {
		t.Errorf("statistics are %s", got)
	}
	d.must("ann", "INSERT INTO app.words VALUES ('x'), ('y')")
	d.must(admin, "INSERT INTO other.t VALUES (1)")
	if got := flushed(d.must(admin, "FLUSH ALL TABLES IN other")[0]); got != "other|t|1|1" {
		t.Errorf("IN other flushed %s", got)
	}
	if got := flushed(d.must(admin, "FLUSH ALL TABLES")[0]); got != "app|words|2|1" {
		t.Errorf("ALL flushed %s", got)
	}
	if got := flushed(d.must(admin, "FLUSH TABLE app.words")[0]); got != "app|words|0|0" {
		t.Errorf("nothing flushed is %s", got)
	}
	d.script([]line{
		{sql: "FLUSH ALL TABLES", want: ""},
		{sql: "FLUSH ALL TABLES IN nowhere", want: "!NAMESPACE_NOT_FOUND nowhere"},
		{sql: "FLUSH TABLE app.nope", want: "!TABLE_NOT_FOUND app.nope"},
		{sql: "FLUSH TABLE app.s", want: "!UNSUPPORTED nothing to flush"},
		{sql: "FLUSH TABLE system.users", want: "!UNSUPPORTED nothing to flush"},
		{as: "ann", sql: "FLUSH TABLE app.notes", want: "!PERMISSION_DENIED admin"},
		{as: "ann", sql: "FLUSH ALL TABLES", want: "!PERMISSION_DENIED admin"},
		{sql: "KILL JOB '" + id + "'", want: "!CONFLICT ended"},
		{as: "ann", sql: "KILL JOB '" + id + "'", want: "!NOT_FOUND Job"},
		{sql: "KILL JOB 'job_x'", want: "!NOT_FOUND job_x"},
	})
}

// flushed is the first columns of an answer.
func flushed(a answer) string {
	var out []string
	for _, r := range a.rows {
		out = append(out, strings.Join(strings.Split(r, "|")[:4], "|"))
	}
	return strings.Join(out, "\n")
}

// TestFlushAtShutdown closes a database with hot rows and finds them cold.
func TestFlushAtShutdown(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(config.BackendBadger, dir)
	d := openDB(t, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY)")
	d.must("ann", "INSERT INTO app.t VALUES (1), (2)")
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(parquet(t, dir)); n != 1 {
		t.Errorf("%d files", n)
	}
	d = openDB(t, cfg)
	if got := d.rows(admin, "SHOW TABLE STATS app.t"); !strings.HasPrefix(got, "app|t|0|2|2|") {
		t.Errorf("statistics are %s", got)
	}
	if got := d.rows(admin, "SELECT status, trace FROM system.jobs"); !strings.HasPrefix(got, `completed|node=test origin="shutdown"`) {
		t.Errorf("jobs are %s", got)
	}
	if got := d.rows("ann", "SELECT id FROM app.t ORDER BY id"); got != "1\n2" {
		t.Errorf("rows are %s", got)
	}
}

// TestFlushIsDoneAgain opens a database whose server died in a flush.
func TestFlushIsDoneAgain(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	d := openDB(t, testConfig(config.BackendBadger, dir))
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY)")
	d.must("ann", "INSERT INTO app.t VALUES (1), (2)")
	begun, end := make(chan struct{}), make(chan struct{})
	if _, err := d.jobs.Start(t.Context(), job.Spec{Type: "flush", Namespace: "app", Table: "t", Key: "x"}, func(context.Context, *job.Task) (string, error) {
		close(begun)
		<-end
		return "", nil
	}); err != nil {
		t.Fatal(err)
	}
	<-begun
	copyFolder(t, dir, copied)
	close(end)
	c := openDB(t, testConfig(config.BackendBadger, copied))
	// A flush that is asked for now comes after the one that is done again.
	c.must(admin, "FLUSH TABLE app.t")
	got := c.rows(admin, "SELECT status, error, trace FROM system.jobs ORDER BY job_id")
	lines := strings.Split(got, "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "failed|the server ended while the job was running|") ||
		!strings.HasPrefix(lines[1], `completed|NULL|node=test origin="again, as the server ended in job_`) {
		t.Errorf("jobs are\n%s", got)
	}
	if got := c.rows(admin, "SHOW TABLE STATS app.t"); !strings.HasPrefix(got, "app|t|0|2|2|") {
		t.Errorf("statistics are %s", got)
	}
}

// TestStorageOfATable flushes into another storage, and reads what lies in
// both.
func TestStorageOfATable(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		dir := t.TempDir()
		d.must(admin, fmt.Sprintf(`CREATE NAMESPACE app; CREATE STORAGE attic TYPE filesystem PATH '%s' USER_TABLES_TEMPLATE '{shard}/{userId}/{namespace}-/{tableName}/';
			CREATE USER TABLE app.t (id INT PRIMARY KEY) STORAGE attic`, dir))
		d.must("Ann", "INSERT INTO app.t VALUES (1)")
		d.must("42", "INSERT INTO app.t VALUES (2)")
		d.must(admin, "FLUSH TABLE app.t; ALTER TABLE app.t SET (storage = 'local')")
		if got := fmt.Sprint(parquet(t, dir)); got != "[a/%41nn/app-/t other/42/app-/t]" {
			t.Errorf("files are in %s", got)
		}
		d.must("Ann", "INSERT INTO app.t VALUES (3)")
		d.must(admin, "FLUSH TABLE app.t")
		if got := d.rows("Ann", "SELECT id FROM app.t ORDER BY id"); got != "1\n3" {
			t.Errorf("Ann has %s", got)
		}
		d.fails(admin, "DROP STORAGE attic", dberr.Conflict, "2 file(s) of tables lie there")
		d.fails(admin, "ALTER STORAGE attic SET PATH '/tmp'", dberr.Conflict, "2 file(s)")
	})
}

func TestFailingStorage(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	dir := filepath.Join(t.TempDir(), "gone")
	d.must(admin, fmt.Sprintf("CREATE NAMESPACE app; CREATE STORAGE weak TYPE filesystem PATH '%s'; CREATE SHARED TABLE app.t (id INT) STORAGE weak; INSERT INTO app.t VALUES (1)", dir))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.fails(admin, "FLUSH TABLE app.t", dberr.StorageUnavailable, "")
	d.fails(admin, "FLUSH ALL TABLES", dberr.StorageUnavailable, "1 of 1 table(s)")
	if got := d.rows(admin, "SELECT DISTINCT status, error IS NOT NULL, error LIKE '%gone%' FROM system.jobs"); got != "failed|t|f" {
		t.Errorf("jobs are %s", got)
	}
	if got := d.rows(admin, "SELECT id FROM app.t"); got != "1" {
		t.Errorf("rows are %s", got)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if got := flushed(d.must(admin, "FLUSH TABLE app.t")[0]); got != "app|t|1|1" {
		t.Errorf("then flushed %s", got)
	}
}

// TestQueriesOverTiers runs queries over rows that came, changed and went with
// flushes in between: the answers are those of the hot tier alone.
func TestQueriesOverTiers(t *testing.T) {
	queries := []string{
		"SELECT count(*) FROM app.t",
		"SELECT count(*), sum(n), min(id), max(id), count(s) FROM app.t WHERE n > 3",
		"SELECT n, count(*) FROM app.t GROUP BY n ORDER BY n",
		"SELECT * FROM app.t ORDER BY id",
		"SELECT id FROM app.t ORDER BY id DESC LIMIT 7",
		"SELECT id FROM app.t ORDER BY id LIMIT 5 OFFSET 20",
		"SELECT * FROM app.t WHERE id = 17",
		"SELECT * FROM app.t WHERE id IN (3, 99, 40, 41, 1000) ORDER BY id",
		"SELECT id, s FROM app.t WHERE id BETWEEN 20 AND 40 AND n <> 2 ORDER BY id DESC",
		"SELECT id FROM app.t WHERE id > 90 ORDER BY id",
		"SELECT id, s FROM app.t WHERE s LIKE 'v3%' ORDER BY s, id",
		"SELECT count(*) FROM app.t WHERE n = 6",
		"SELECT id, _deleted FROM app.t WHERE _deleted ORDER BY id",
		"SELECT count(*) FROM app.t WHERE _deleted OR NOT _deleted",
		"SELECT a.id, b.id FROM app.t a JOIN app.t b ON b.id = a.id + 1 WHERE a.n = b.n ORDER BY 1",
		"SELECT id FROM app.t WHERE n = (SELECT max(n) FROM app.t) ORDER BY id",
		"SELECT late, count(*) FROM app.t GROUP BY late ORDER BY late",
		"SELECT id, late FROM app.t WHERE late = 'early' AND id < 30 ORDER BY id",
		"SELECT k, count(*) FROM (SELECT _seq > 0 AS k FROM app.t) x GROUP BY k",
		"SELECT body, n FROM app.keyless ORDER BY n, body",
		"SELECT count(*) FROM app.keyless WHERE n > 5",
	}
	run := func(t *testing.T, d *db) (out []string) {
		r := rand.New(rand.NewPCG(3, 4))
		d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, n INT, s TEXT); CREATE USER TABLE app.keyless (n INT, body TEXT)")
		for i := range 60 {
			id := r.IntN(100)
			d.must("ann", fmt.Sprintf("INSERT INTO app.t (id, n, s) VALUES (%d, %d, 'v%d') ON CONFLICT (id) DO UPDATE SET n = excluded.n, s = app.t.s || '+'", id, r.IntN(8), i))
			d.must("bob", fmt.Sprintf("INSERT INTO app.t (id, n) VALUES (%d, 1)", i))
			d.must("ann", fmt.Sprintf("INSERT INTO app.keyless (n, body) VALUES (%d, 'x'), (%d, 'y')", i, i%7))
			switch i % 6 {
			case 1:
				d.must("ann", fmt.Sprintf("UPDATE app.t SET n = n + 1 WHERE id %% 5 = %d", r.IntN(5)))
			case 2:
				d.must("ann", fmt.Sprintf("DELETE FROM app.t WHERE id = %d", id))
			case 3:
				d.must("ann", fmt.Sprintf("UPDATE app.t SET id = id + 1000 WHERE id = %d", id))
			case 4:
				d.must("ann", fmt.Sprintf("UPDATE app.keyless SET body = body || 'z' WHERE n = %d", i%7))
			case 5:
				d.must("ann", fmt.Sprintf("DELETE FROM app.keyless WHERE n = %d AND body = 'x'", i-1))
			}
			if i == 30 {
				d.must(admin, "ALTER TABLE app.t ADD COLUMN late TEXT DEFAULT 'early'")
			}
			d.fails("ann", "INSERT INTO app.keyless (n) VALUES (1 / 0)", dberr.DivisionByZero, "")
		}
		_, err := d.exec("ann", "INSERT INTO app.t (id) SELECT min(id) FROM app.t")
		out = append(out, string(dberr.CodeOf(err)))
		for _, q := range queries {
			out = append(out, d.rows("ann", q))
		}
		sub := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.t", LastRows: ptr[int64](5)})
		// Which rows these are is the tiers' affair: an UPDATE of several rows
		// numbers them in the order in which it finds them.
		last := strings.Fields(d.rows("ann", "SELECT id FROM (SELECT id, _seq + 0 AS seq FROM app.t) x ORDER BY seq DESC LIMIT 5"))
		slices.Reverse(last)
		if got := next(t, sub); fmt.Sprint(got.ids) != fmt.Sprint(last) {
			t.Errorf("the last rows are %v, want %s", got, last)
		} else {
			out = append(out, fmt.Sprint(got.kind, got.catchUp, got.last))
		}
		from := d.rows("ann", "SELECT _seq FROM app.t ORDER BY _seq DESC LIMIT 1 OFFSET 10")
		var seq uint64
		if _, err := fmt.Sscan(from, &seq); err != nil {
			t.Fatal(err)
		}
		sub = d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.t", FromSeq: &seq})
		since := strings.Fields(d.rows("ann", "SELECT id FROM app.t WHERE _seq > "+from+" AND (_deleted OR NOT _deleted) ORDER BY id"))
		for heard := map[int64]bool{}; len(heard) < len(since); {
			for _, id := range next(t, sub).ids {
				if heard[id] = true; !slices.Contains(since, fmt.Sprint(id)) {
					t.Errorf("row %d has not changed since", id)
				}
			}
		}
		return out
	}
	want := run(t, openDB(t, testConfig(config.BackendMemory, "")))
	forRestarts(t, func(t *testing.T, d *db) {
		got := run(t, d)
		for i := range want {
			if got[i] != want[i] {
				name := "an end"
				if i > 0 && i <= len(queries) {
					name = queries[i-1]
				}
				t.Errorf("%d: %s:\ngot:\n%s\nwant:\n%s", i, name, got[i], want[i])
			}
		}
	})
}

func TestCompactTable(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(config.BackendBadger, dir)
	cfg.Retention.DeletedRows = config.Duration(time.Nanosecond)
	d := openDB(t, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, n INT)")
	for i := range 4 {
		d.must("ann", fmt.Sprintf("INSERT INTO app.t VALUES (%d, 0), (%d, 0)", i, i+100))
		d.must("ann", "UPDATE app.t SET n = n + 1")
		d.must(admin, "FLUSH TABLE app.t")
	}
	d.must("ann", "DELETE FROM app.t WHERE id > 100")
	d.must(admin, "FLUSH TABLE app.t")
	const q = "SELECT id, n FROM app.t ORDER BY id"
	before := d.rows("ann", q)
	a := d.must(admin, "COMPACT TABLE app.t")[0]
	if got := flushed(a); got != "app|t|5|1" || !strings.HasPrefix(a.message, "5 files of app.t merged into 1 file at ") {
		t.Errorf("answered %s: %s", got, a.message)
	}
	if got := d.rows("ann", q); got != before {
		t.Errorf("rows are\n%s\nwere\n%s", got, before)
	}
	if got := d.rows(admin, "SHOW TABLE STATS app.t"); !strings.HasPrefix(got, "app|t|0|5|5|") || strings.Split(got, "|")[6] != "1" {
		t.Errorf("statistics are %s", got)
	}
	if got := d.rows("ann", "SELECT count(*) FROM app.t WHERE _deleted"); got != "0" {
		t.Errorf("%s deleted rows are left", got)
	}
	// Who was away since before the deletions cannot be told of them.
	from := uint64(1)
	_, err := d.session(who("ann")).Subscribe(t.Context(), SubscribeRequest{SQL: "SELECT id FROM app.t", FromSeq: &from})
	if dberr.CodeOf(err) != dberr.ResyncRequired {
		t.Errorf("resuming: %v", err)
	}
	d.script([]line{
		{as: "ann", sql: "COMPACT TABLE app.t", want: "!PERMISSION_DENIED admin"},
		{sql: "COMPACT TABLE app.nope", want: "!TABLE_NOT_FOUND app.nope"},
		{sql: "CREATE STREAM TABLE app.s (n INT) TTL 1h; COMPACT TABLE app.s", want: "!UNSUPPORTED "},
		{sql: "SELECT status, job_type FROM system.jobs ORDER BY job_id DESC LIMIT 1", want: "completed|compact"},
	})
	// Many small files are merged without being asked.
	for i := range table.Crowd {
		d.must("bob", fmt.Sprintf("INSERT INTO app.t VALUES (%d, 1)", i))
		d.must(admin, "FLUSH TABLE app.t")
	}
	d.must(admin, "FLUSH TABLE app.t") // comes after the compaction
	if got := d.rows(admin, "SELECT count(*) FROM system.jobs WHERE trace LIKE '%automatic%' AND status = 'completed'"); got != "1" {
		t.Errorf("%s automatic compactions", got)
	}
	if got := d.rows("bob", "SELECT count(*), sum(n) FROM app.t"); got != "16|16" {
		t.Errorf("bob has %s", got)
	}
}
