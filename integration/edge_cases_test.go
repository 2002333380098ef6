package integration

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// TestShardingChangesBesideFlushes asks: What occurs when sharding
// configuration changes while flush jobs are in progress? Each file goes where
// the template said when its flush began, and is found there ever after.
func TestShardingChangesBesideFlushes(t *testing.T) {
	t.Parallel()
	c := newCellar(t, "CREATE STORAGE moving TYPE filesystem PATH '"+t.TempDir()+"'; "+flushTable+" STORAGE moving")
	templates := []string{
		"{storageLocation}/{namespace}/{shard}/{userId}/{tableName}/",
		"{storageLocation}/{namespace}/users/{userId}/{tableName}/",
	}
	stop, changed := make(chan struct{}), 0
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				changed = i
				return
			default:
				if _, err := c.admin.Exec(harness.Context(t), "ALTER STORAGE moving SET USER_TABLES_TEMPLATE '"+templates[i%2]+"'"); err != nil {
					t.Errorf("change %d: %v", i, err)
					return
				}
			}
		}
	})
	const rounds, rows = 3, 10
	for round := range rounds {
		fill(t, c.ada, "messages", round*rows+1, (round+1)*rows)
		harness.Exec(t, c.admin, "FLUSH TABLE messages")
	}
	close(stop)
	changing.Wait()
	if changed == 0 {
		t.Error("the template was never changed")
	}
	want := fmt.Sprint(rounds * rows)
	check := func() {
		t.Helper()
		if got := harness.Query[string](t, c.ada, "SELECT count(*)::text || ' ' || count(DISTINCT id)::text FROM messages"); got[0] != want+" "+want {
			t.Errorf("there are %s rows and keys", got[0])
		}
	}
	check()
	harness.Exec(t, c.admin, "ALTER STORAGE moving SET USER_TABLES_TEMPLATE '{storageLocation}/elsewhere/{namespace}/{userId}/{tableName}/'")
	check()
	harness.Exec(t, c.admin, "COMPACT TABLE messages")
	check()
	_, err := c.admin.Exec(harness.Context(t), "ALTER STORAGE moving SET USER_TABLES_TEMPLATE '{storageLocation}/{namespace}/{tableName}/'")
	if err == nil {
		t.Error("a template that puts all users into one folder was taken")
	}
}

// TestAnotherBackendFindsNothing asks: What happens when switching storage
// backends with existing data in RocksDB - is migration required? Another
// backend begins empty and touches nothing; what is to come along comes by
// BACKUP and RESTORE.
func TestAnotherBackendFindsNothing(t *testing.T) {
	t.Parallel()
	if harness.Backend() != "badger" {
		t.Skip("skipped: the first backend is the default one")
	}
	c := newCellar(t, flushTable)
	fill(t, c.ada, "messages", 1, 10)
	backup := t.TempDir() + "/app"
	harness.Exec(t, c.admin, "BACKUP DATABASE app TO '"+backup+"'")

	other := harness.Start(t, "KALAMDB_STORE_BACKEND=memory")
	admin := other.Admin(t)
	if _, err := admin.Exec(harness.Context(t), "SELECT * FROM app.messages"); link.CodeOf(err) != link.CodeNamespaceNotFound && link.CodeOf(err) != link.CodeTableNotFound {
		t.Errorf("the other backend has the table: %v", err)
	}
	harness.Exec(t, admin, "RESTORE DATABASE app FROM '"+backup+"'")
	if got := harness.Query[int64](t, other.As(t, "ada"), "SELECT id FROM app.messages ORDER BY id"); len(got) != 10 {
		t.Errorf("restored: %v", got)
	}
	if got := harness.Query[int64](t, c.ada, "SELECT id FROM messages ORDER BY id"); len(got) != 10 {
		t.Errorf("the first backend has %v", got)
	}
}

// TestUnknownFunctionsAreNamed asks: What happens when a SQL function requires
// functionality not available in DataFusion's built-in UDFs? The statement is
// refused with its place, before anything runs.
func TestUnknownFunctionsAreNamed(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	for _, sql := range []string{"SELECT pg_sleep_forever(1)", "INSERT INTO messages VALUES (1, nothing_like_it('x'))", "SELECT upper(1, 2, 3)"} {
		a := r.server.Post(t, map[string]any{"sql": sql, "namespace_id": r.ns})
		if a.HTTPStatus != 404 || a.Error == nil || a.Error.Code != "FUNCTION_NOT_FOUND" || a.Error.Line != 1 || a.Error.Column < 8 {
			t.Errorf("%s: HTTP %d %s", sql, a.HTTPStatus, a.Body)
		}
	}
	if got := harness.Query[int64](t, r.writer, "SELECT count(*) FROM messages"); got[0] != 0 {
		t.Errorf("%d rows were written", got[0])
	}
}

// TestLiveQueriesAreListedWhileTheyComeAndGo asks: What occurs when
// system.live_queries is queried while subscriptions are being
// created/destroyed rapidly? Every answer is whole: each live query once, with
// all its columns; and afterwards none is left.
func TestLiveQueriesAreListedWhileTheyComeAndGo(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	c := r.listener(t)
	keep := subscribe(t, c, "SELECT * FROM messages")
	var coming sync.WaitGroup
	for range 4 {
		coming.Go(func() {
			for range 25 {
				sub, err := c.Subscribe(harness.Context(t), "SELECT id FROM messages WHERE id > 5")
				if err != nil {
					t.Error(err)
					return
				}
				if err := sub.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	gone := make(chan struct{})
	go func() { coming.Wait(); close(gone) }()
	admin := r.server.Admin(t)
	type listed struct{ LiveID, Query, UserID, Options, Node string }
	for asked := 0; ; asked++ {
		seen, kept := map[string]bool{}, false
		for _, l := range harness.Query[listed](t, admin, "SELECT live_id, query, user_id, options::text AS options, node FROM system.live_queries WHERE namespace = $1", r.ns) {
			if seen[l.LiveID] || l.LiveID == "" || l.UserID != "ada" || !strings.HasPrefix(l.Query, "SELECT") || !strings.HasPrefix(l.Options, "{") || l.Node == "" {
				t.Errorf("listed is %+v", l)
			}
			seen[l.LiveID] = true
			kept = kept || l.LiveID == keep.LiveID()
		}
		// Of each of the four, one may still be on its way out.
		if !kept || len(seen) > 1+2*4 {
			t.Errorf("%d live queries; the one that stays is among them: %t", len(seen), kept)
		}
		select {
		case <-gone:
			if asked > 0 {
				nothingMore(t, keep, r.writer, "messages", "'end'")
				return
			}
		default:
		}
	}
}

// TestJobsOfAnyText asks: How does the system handle job parameters that
// contain special characters or very long strings? And: What happens when a
// job completes but the trace information is unavailable (null case)? The
// parameters are JSON that gives the very texts back, and a trace that is NULL
// is NULL.
func TestJobsOfAnyText(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	admin := s.Admin(t)
	for _, name := range []string{`sp ace "quo'te" \ ü 日本 {"a":[1]}`, strings.Repeat("long", 15)} {
		ns := s.Namespace(t)
		quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		harness.Exec(t, admin, fmt.Sprintf("CREATE TABLE %s.%s (id BIGINT PRIMARY KEY); INSERT INTO %[1]s.%[2]s VALUES (1); FLUSH TABLE %[1]s.%[2]s", ns, quoted))
		_, err := admin.Exec(harness.Context(t), fmt.Sprintf("BACKUP DATABASE %s TO '/nonexistent/%s'", ns, strings.Repeat("x", 3000)))
		if err == nil {
			t.Error("a backup to nowhere succeeded")
		}
		type job struct {
			JobType, Status string
			TableName       *string
			Trace           *string
			Parameters      json.RawMessage
		}
		jobs := harness.Query[job](t, admin, "SELECT job_type, status, table_name, trace, parameters FROM system.jobs WHERE namespace = $1", ns)
		flushes := 0
		for _, j := range jobs {
			var parameters []any
			if err := json.Unmarshal(j.Parameters, &parameters); err != nil {
				t.Errorf("%s: %v", j.Parameters, err)
			}
			if j.JobType == "flush" {
				flushes++
				if j.Status != "completed" || j.TableName == nil || *j.TableName != name {
					t.Errorf("the job is %+v", j)
				}
			}
		}
		nulls := slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return j.Trace != nil })
		if got := harness.Query[int64](t, admin, "SELECT count(*) FROM system.jobs WHERE namespace = $1 AND trace IS NULL", ns); flushes != 1 || int(got[0]) != len(nulls) {
			t.Errorf("%d flushes; %d jobs without a trace, read %d", flushes, got[0], len(nulls))
		}
	}
}

// TestHundredsOfSchemaVersions asks: How does DESCRIBE TABLE display schema
// history when there are hundreds of schema versions? It names the version and
// the query for the others, and stays as long as the table is wide.
func TestHundredsOfSchemaVersions(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	r.insert(t, 1, 1)
	admin := r.server.Admin(t, link.WithNamespace(r.ns))
	const turns = 100
	for range turns {
		harness.Exec(t, admin, "ALTER TABLE messages ADD COLUMN extra INT DEFAULT 1; ALTER TABLE messages DROP COLUMN extra")
	}
	a := r.server.Post(t, map[string]any{"sql": "DESCRIBE messages", "namespace_id": r.ns})
	if a.HTTPStatus != 200 || a.Results[0].RowCount > 10 {
		t.Fatalf("HTTP %d, %d rows", a.HTTPStatus, a.Results[0].RowCount)
	}
	if want := fmt.Sprintf(`"current_schema_version":%d`, 2*turns+1); !strings.Contains(strings.ReplaceAll(a.Body, " ", ""), want) || !strings.Contains(a.Body, "system.table_schemas") {
		t.Errorf("no %s in %s", want, a.Body)
	}
	versions := harness.Query[int64](t, admin, "SELECT version FROM system.table_schemas WHERE namespace = $1 AND table_name = 'messages' ORDER BY version", r.ns)
	for i, v := range versions {
		if v != int64(i+1) {
			t.Fatalf("version %d is %d", i+1, v)
		}
	}
	if len(versions) != 2*turns+1 {
		t.Errorf("%d versions", len(versions))
	}
	if got := harness.Query[string](t, r.writer, "SELECT content FROM messages"); !slices.Equal(got, []string{"message 1"}) {
		t.Errorf("the row of the first version is %v", got)
	}
}

// TestStatementsThatWouldKeepState asks: What happens when kalamdb-sql
// receives SQL that would violate stateless operation (e.g., session state
// mutation)? It is refused with what to do instead, and the next statement does
// not run.
func TestStatementsThatWouldKeepState(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	for _, sql := range []string{
		"BEGIN", "START TRANSACTION", "COMMIT", "ROLLBACK", "SAVEPOINT a", "SET search_path = app", "RESET ALL", "DISCARD ALL",
		"PREPARE p AS SELECT 1", "EXECUTE p", "DECLARE c CURSOR FOR SELECT 1", "LISTEN x", "LOCK TABLE messages", "CREATE TEMP TABLE x (a INT)",
	} {
		a := r.server.Post(t, map[string]any{"sql": sql + "; INSERT INTO messages VALUES (1, 'x')", "namespace_id": r.ns})
		if a.HTTPStatus != 400 || a.Error == nil || a.Error.Code != "UNSUPPORTED" || a.Error.Hint == "" {
			t.Errorf("%s: HTTP %d %s", sql, a.HTTPStatus, a.Body)
		}
	}
	if got := harness.Query[int64](t, r.writer, "SELECT count(*) FROM messages"); got[0] != 0 {
		t.Errorf("%d rows were written", got[0])
	}
}

// TestRowsOutliveTheirUser asks: What happens when DELETE FROM system.users
// attempts to remove a user that has active data in user tables? The entry
// goes; the rows stay the user's, who is known by a token, not by the entry.
func TestRowsOutliveTheirUser(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	admin, id := people(t)
	register(t, admin, id, "Grace", nil)
	c := r.server.As(t, id, link.WithNamespace(r.ns))
	harness.Exec(t, c, "INSERT INTO messages VALUES (1, 'mine')")
	harness.Exec(t, admin, "DELETE FROM system.users WHERE user_id = '"+id+"'")
	if got := harness.Query[string](t, c, "SELECT content FROM messages"); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("the rows are %v", got)
	}
	if got := harness.Query[string](t, r.writer, "SELECT content FROM messages"); len(got) != 0 {
		t.Errorf("somebody else sees %v", got)
	}
	register(t, admin, id, "Grace again", nil)
	if got := harness.Query[string](t, c, "SELECT content FROM messages"); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("the rows are %v", got)
	}
}

// TestThousandsOfUsers asks: How does SELECT FROM system.users perform with
// thousands of users in the table? One user is found by its key without reading
// the others; the time is in core's BenchmarkUsers.
func TestThousandsOfUsers(t *testing.T) {
	t.Parallel()
	admin, p := people(t)
	const n = 5000
	harness.Exec(t, admin, "INSERT INTO system.users (user_id, username) SELECT $1 || '-' || i, 'user ' || i FROM generate_series(1, $2::int) AS g(i)", p, n)
	if u := user(t, admin, p+"-4711"); u == nil || u.Username != "user 4711" {
		t.Errorf("the user is %+v", u)
	}
	got := harness.Query[string](t, admin, "SELECT username FROM system.users WHERE user_id LIKE $1 ORDER BY length(user_id) DESC, user_id DESC LIMIT 3 OFFSET 1", p+"-%")
	if !slices.Equal(got, []string{"user 4999", "user 4998", "user 4997"}) {
		t.Errorf("found: %v", got)
	}
	if got := harness.Query[int64](t, admin, "SELECT count(*) FROM system.users WHERE user_id LIKE $1", p+"-%"); got[0] != n {
		t.Errorf("%d users", got[0])
	}
	if _, err := admin.Exec(harness.Context(t), "INSERT INTO system.users (user_id, username) VALUES ($1, 'twice')", p+"-1"); link.CodeOf(err) != link.CodeAlreadyExists && link.CodeOf(err) != link.CodeUniqueViolation {
		t.Errorf("inserted twice: %v", err)
	}
}

// TestMetadataNullIsNoObject asks: How does UPDATE handle setting metadata to
// NULL vs empty JSON object '{}'? Each is what it is.
func TestMetadataNullIsNoObject(t *testing.T) {
	t.Parallel()
	admin, id := people(t)
	register(t, admin, id, "x", `{"role": "user"}`)
	for _, step := range []struct {
		set    string
		isNull bool
	}{{"'{}'", false}, {"NULL", true}, {"'{}'", false}, {"'null'", false}} {
		harness.Exec(t, admin, "UPDATE system.users SET metadata = "+step.set+" WHERE user_id = '"+id+"'")
		type metadata struct {
			Missing bool
			Text    *string
		}
		// As text: in an answer, JSON's null looks like NULL.
		got := harness.Query[metadata](t, admin, "SELECT metadata IS NULL AS missing, metadata::text AS text FROM system.users WHERE user_id = $1", id)
		if len(got) != 1 || got[0].Missing != step.isNull || !step.isNull && "'"+*got[0].Text+"'" != step.set {
			t.Errorf("SET metadata = %s gives %+v", step.set, got)
		}
	}
	if _, err := admin.Exec(harness.Context(t), "UPDATE system.users SET metadata = '' WHERE user_id = '"+id+"'"); link.CodeOf(err) != link.CodeInvalidJSON {
		t.Errorf("an empty text was taken for metadata: %v", err)
	}
}

// TestClientKnowsNoTenant is FR-CLI-010 and FR-CLI-013: there is neither a flag
// nor a key for a tenant, and who uses one is told so.
func TestClientKnowsNoTenant(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	r := harness.RunClient(t, "", "", "-h", s.URL, "--tenant", "acme", "-e", "SELECT 1")
	if r.Code == 0 || !strings.Contains(r.Out+r.Err, "tenant") {
		t.Errorf("--tenant: %+v", r)
	}
	if r = harness.RunClient(t, "", "", "--help"); r.Code != 0 || strings.Contains(strings.ToLower(r.Out), "tenant") {
		t.Errorf("--help: %+v", r)
	}
}

// TestServerLogsItsSize is FR-051: the log tells how large the data is, at the
// start and again and again.
func TestServerLogsItsSize(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, "KALAMDB_LOG_SIZE_INTERVAL=20ms")
	ctx := harness.Context(t)
	for strings.Count(s.Log(), "msg=\"data size\"") < 2 {
		if ctx.Err() != nil {
			t.Fatalf("the log has\n%s", s.Log())
		}
		time.Sleep(5 * time.Millisecond)
	}
	ready := s.Log()[strings.Index(s.Log(), "is ready"):]
	ready, _, _ = strings.Cut(ready, "\n")
	if !regexp.MustCompile(`data_bytes=[1-9]`).MatchString(ready) {
		t.Errorf("the start is logged as %s", ready)
	}
}
