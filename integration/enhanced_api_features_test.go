package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// TestBatchSqlExecution is story 9, scenario 1: the statements of one request
// run in order, and each has its result.
func TestBatchSqlExecution(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ns := s.Namespace(t)
	a := s.Post(t, map[string]any{"namespace_id": ns, "sql": `CREATE USER TABLE t (id BIGINT PRIMARY KEY, s TEXT);
		INSERT INTO t VALUES (1, 'semi;colon'), (2, 'it''s'); -- a comment; with a semicolon
		SELECT s, id FROM t /* another; one */ ORDER BY id;;`})
	if a.HTTPStatus != 200 || a.Status != "success" || len(a.Results) != 3 {
		t.Fatalf("HTTP %d %s", a.HTTPStatus, a.Body)
	}
	if a.Results[0].RowCount != 0 || a.Results[1].RowCount != 2 || !strings.Contains(a.Results[1].Message, "2 rows") || a.Results[2].RowCount != 2 {
		t.Errorf("%s", a.Body)
	}
	if !slices.Equal(a.Results[2].Columns, []string{"s", "id"}) || a.Row(t, 2, 0)["s"] != "semi;colon" || a.Row(t, 2, 1)["s"] != "it's" {
		t.Errorf("%s", a.Body)
	}
	// The columns keep their order in the row too.
	if got := string(a.Results[2].Rows[0]); got != `{"s":"semi;colon","id":1}` {
		t.Errorf("the row is %s", got)
	}
	for _, empty := range []string{"", ";", " -- nothing"} {
		if a := s.Post(t, map[string]any{"sql": empty}); a.HTTPStatus != 400 {
			t.Errorf("%q: HTTP %d %s", empty, a.HTTPStatus, a.Body)
		}
	}
}

// TestBatchSqlPartialFailure is story 9, scenario 1 with a statement that
// fails: those before it count, those behind it do not run.
func TestBatchSqlPartialFailure(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ns := s.Namespace(t)
	a := s.Post(t, map[string]any{"namespace_id": ns, "sql": "CREATE USER TABLE t (id BIGINT PRIMARY KEY);\nINSERT INTO t VALUES (1);\nSELECT * FROM nothing;\nINSERT INTO t VALUES (2)"})
	if a.HTTPStatus != 404 || a.Status != "error" || len(a.Results) != 2 || a.Error == nil {
		t.Fatalf("HTTP %d %s", a.HTTPStatus, a.Body)
	}
	e := a.Error
	if e.Statement != 3 || e.Code != "TABLE_NOT_FOUND" || !strings.Contains(e.Message, "Statement 3 failed") || !strings.Contains(e.Details, "SELECT * FROM nothing") || e.SQLState != "42P01" {
		t.Errorf("the error is %+v", e)
	}
	c := s.Admin(t, link.WithNamespace(ns))
	checkIDs(t, c, []int64{1}, "SELECT id FROM t")
	// A mistake in the grammar anywhere: nothing before the failing statement
	// is lost from the answer, and nothing behind it runs.
	a = s.Post(t, map[string]any{"namespace_id": ns, "sql": "INSERT INTO t VALUES (3); INSERT INTO t VALUES (4), (1); INSERT INTO t VALUES (5)"})
	if a.HTTPStatus != 409 || len(a.Results) != 1 || a.Error == nil || a.Error.Statement != 2 || a.Error.Code != "UNIQUE_VIOLATION" {
		t.Errorf("HTTP %d %s", a.HTTPStatus, a.Body)
	}
	checkIDs(t, c, []int64{1, 3}, "SELECT id FROM t ORDER BY id")
	results, err := c.Batch(harness.Context(t), "SELECT 1; SELEC 2; SELECT 3")
	if le, ok := err.(*link.Error); !ok || le.Statement != 2 || link.CodeOf(err) != link.CodeInvalidSQL || len(results) > 1 {
		t.Errorf("link gives %d results and %v", len(results), err)
	}
}

// TestWebsocketInitialDataFetch is story 9, scenario 2: the newest 50 of 100
// rows come first, oldest of them first, and all before the first change.
func TestWebsocketInitialDataFetch(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	r.insert(t, 1, 100)
	harness.Exec(t, r.writer, "DELETE FROM messages WHERE id = 99")
	harness.Exec(t, r.writer, "UPDATE messages SET content = 'newest' WHERE id = 3")
	s := r.server.Socket(t, "ada")
	fifty := 50
	if err := s.Send(wire.ClientMessage{Subscriptions: []wire.Subscription{{ID: "s1", SQL: "SELECT id FROM " + r.ns + ".messages", Options: &wire.SubscriptionOptions{LastRows: &fifty}}}}); err != nil {
		t.Fatal(err)
	}
	ack := read(t, s)
	if ack.Type != wire.TypeSubscriptionAck || ack.SubscriptionID != "s1" || ack.LastRows == nil || *ack.LastRows != 50 || ack.LiveID == "" || ack.Seq == 0 {
		t.Fatalf("the answer is %+v", ack)
	}
	r.insert(t, 101, 101)
	var got []int64
	for last := false; !last; {
		m := read(t, s)
		if m.Type != wire.TypeInitialData || m.Count != len(m.Rows) || m.Seq != ack.Seq {
			t.Fatalf("before the end of the initial rows came %+v", m)
		}
		for _, row := range m.Rows {
			var v struct{ ID int64 }
			if err := json.Unmarshal(row, &v); err != nil {
				t.Fatal(err)
			}
			got = append(got, v.ID)
		}
		last = m.Last
	}
	// The newest by commit: 52 to 98, 100, and 3, which was changed last.
	var want []int64
	for id := int64(51); id <= 100; id++ {
		if id != 99 {
			want = append(want, id)
		}
	}
	want = append(want, 3)
	if !slices.Equal(got, want) {
		t.Errorf("the initial rows are %v, want %v", got, want)
	}
	if m := read(t, s); m.Type != wire.TypeChange || m.ChangeType != "insert" || m.Seq <= ack.Seq {
		t.Errorf("the first change is %+v", m)
	}

	ids := func(opts ...link.SubscribeOption) (out []int64) {
		t.Helper()
		sub := subscribe(t, r.writer, "SELECT id FROM messages WHERE id >= 95", opts...)
		for {
			e, err := sub.Next(harness.Context(t))
			if err != nil {
				t.Fatal(err)
			}
			switch e.Kind {
			case link.EventLoaded:
				return out
			case link.EventInitial:
				out = append(out, field[int64](t, e.Row, "id"))
			}
		}
	}
	for n, want := range map[int][]int64{0: nil, 1: {101}, 3: {98, 100, 101}, 1000: {95, 96, 97, 98, 100, 101}, -1: {95, 96, 97, 98, 100, 101}} {
		if n == 0 {
			continue // asks for nothing, so that no end of it comes
		}
		if got := ids(link.LastRows(n)); !slices.Equal(got, want) {
			t.Errorf("last_rows %d gives %v, want %v", n, got, want)
		}
	}
}

// TestDropTableWithActiveSubscriptions is story 9, scenario 3: a table that is
// watched is not dropped, and the error counts the subscriptions.
func TestDropTableWithActiveSubscriptions(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	admin := r.server.Admin(t, link.WithNamespace(r.ns))
	var subs []*link.Subscription
	for range 3 {
		subs = append(subs, subscribe(t, r.listener(t), "SELECT * FROM messages"))
	}
	refused := func(n int) {
		t.Helper()
		want := fmt.Sprintf("Cannot drop table '%s.messages': %d active subscription(s) exist", r.ns, n)
		for _, sql := range []string{"DROP TABLE messages", "DROP TABLE IF EXISTS " + r.ns + ".messages"} {
			_, err := admin.Exec(harness.Context(t), sql)
			if link.CodeOf(err) != link.CodeActiveSubscriptions || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", sql, err, want)
			}
			if le, ok := err.(*link.Error); ok && le.HTTPStatus != 409 {
				t.Errorf("%s: HTTP %d", sql, le.HTTPStatus)
			}
		}
		if _, err := admin.Exec(harness.Context(t), "DROP NAMESPACE "+r.ns+" CASCADE"); link.CodeOf(err) != link.CodeActiveSubscriptions {
			t.Errorf("DROP NAMESPACE: %v", err)
		}
	}
	refused(3)
	_ = subs[0].Close()
	await(t, "the end of one subscription", func() bool {
		return harness.Query[int64](t, admin, "SELECT count(*) FROM system.live_queries WHERE namespace = $1", r.ns)[0] == 2
	})
	refused(2)
	r.insert(t, 1, 1)
	if e := rows(t, subs[1], 1)[0]; e.Kind != link.EventInsert {
		t.Errorf("after the refusals came %s", e.Kind)
	}
	_, _ = subs[1].Close(), subs[2].Close()
	await(t, "the end of the subscriptions", func() bool {
		_, err := admin.Exec(harness.Context(t), "DROP TABLE messages")
		return err == nil
	})
	if _, err := r.writer.Subscribe(harness.Context(t), "SELECT * FROM messages"); link.CodeOf(err) != link.CodeTableNotFound {
		t.Errorf("subscribed to a table that is gone: %v", err)
	}
}

// TestKillLiveQueryCommand is story 9, scenario 4: the subscription ends, the
// connection and its other subscriptions go on.
func TestKillLiveQueryCommand(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	admin := r.server.Admin(t)
	c := r.listener(t)
	victim, other := subscribe(t, c, "SELECT id FROM messages"), subscribe(t, c, "SELECT * FROM messages")
	ids := harness.Query[string](t, admin, "SELECT live_id FROM system.live_queries WHERE namespace = $1 AND query LIKE 'SELECT id%'", r.ns)
	if len(ids) != 1 || ids[0] != victim.LiveID() {
		t.Fatalf("system.live_queries has %v, link %s", ids, victim.LiveID())
	}
	// Somebody else's live query is as good as none.
	if _, err := r.server.As(t, "bob").Exec(harness.Context(t), "KILL LIVE QUERY '"+ids[0]+"'"); link.CodeOf(err) != link.CodeSubscriptionNotFound {
		t.Errorf("killed by another user: %v", err)
	}
	a := r.server.Post(t, map[string]any{"sql": "KILL LIVE QUERY '" + ids[0] + "'"})
	if a.HTTPStatus != 200 || a.Results[0].Message != "Live query "+ids[0]+" terminated" {
		t.Errorf("HTTP %d %s", a.HTTPStatus, a.Body)
	}
	_, err := nextRow(harness.Context(t), victim)
	if closed, ok := err.(*link.ClosedError); !ok || closed.Reason != "killed" || closed.LiveID != ids[0] {
		t.Errorf("the subscription ended with %v", err)
	}
	if got := harness.Query[string](t, admin, "SELECT live_id FROM system.live_queries WHERE namespace = $1", r.ns); !slices.Equal(got, []string{other.LiveID()}) {
		t.Errorf("system.live_queries has %v", got)
	}
	nothingMore(t, other, r.writer, "messages", "'end'")
	for _, id := range []string{ids[0], "lq_nothing", ""} {
		if _, err := admin.Exec(harness.Context(t), "KILL LIVE QUERY '"+id+"'"); link.CodeOf(err) != link.CodeSubscriptionNotFound && id != "" || err == nil {
			t.Errorf("killed %q, which is not there: %v", id, err)
		}
	}
	// A user ends an own one.
	harness.Exec(t, r.writer, "KILL LIVE QUERY '"+other.LiveID()+"'")
}

// TestSystemLiveQueriesEnhancedFields is story 9, scenario 5.
func TestSystemLiveQueriesEnhancedFields(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	r.insert(t, 1, 3)
	sub := subscribe(t, r.listener(t), "SELECT id FROM messages WHERE id > $1", link.Params(1), link.LastRows(2), link.ServerBuffer(100), link.OnSlow(link.SlowClose))
	r.insert(t, 4, 8)
	rows(t, sub, 2+5)
	type live struct {
		LiveID, ConnectionID, SubscriptionID, UserID, Namespace, TableName, Query, Options, Node string
		Changes                                                                                  int64
		CreatedAt, LastUpdate                                                                    time.Time
	}
	got := harness.Query[live](t, r.server.Admin(t), "SELECT * FROM system.live_queries WHERE live_id = $1", sub.LiveID())
	if len(got) != 1 {
		t.Fatalf("%d live queries", len(got))
	}
	l := got[0]
	var options map[string]any
	if err := json.Unmarshal([]byte(l.Options), &options); err != nil || options["last_rows"] != float64(2) || options["on_slow"] != "close" || options["buffer"] != float64(100) {
		t.Errorf("the options are %s, %v", l.Options, err)
	}
	if l.Changes != 5 || l.Node == "" || l.UserID != "ada" || l.Namespace != r.ns || l.TableName != "messages" || !strings.Contains(l.Query, "WHERE id > $1") ||
		l.ConnectionID == "" || l.SubscriptionID == "" || l.CreatedAt.IsZero() || l.LastUpdate.Before(l.CreatedAt) {
		t.Errorf("the live query is %+v", l)
	}
	a := r.server.Post(t, map[string]any{"sql": "SELECT * FROM system.live_queries WHERE false"})
	if want := "live_id,connection_id,subscription_id,user_id,namespace,table_name,query,options,changes,node,created_at,last_update"; strings.Join(a.Results[0].Columns, ",") != want {
		t.Errorf("the columns are %v", a.Results[0].Columns)
	}
	_ = sub.Close()
	await(t, "the end of the live query", func() bool {
		return len(harness.Query[live](t, r.server.Admin(t), "SELECT * FROM system.live_queries WHERE live_id = $1", l.LiveID)) == 0
	})
}

// TestSystemJobsEnhancedFields is story 9, scenario 6: a flush leaves a job with
// its parameters, its outcome, where it was and what it used.
func TestSystemJobsEnhancedFields(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	r.insert(t, 1, 20)
	admin := r.server.Admin(t)
	answer := harness.Query[flushed](t, admin, "FLUSH TABLE "+r.ns+".messages")
	type job struct {
		JobID, JobType, Status, Namespace, TableName, Result, Trace, Node string
		Parameters                                                        json.RawMessage
		MemoryUsed, CPUUsed                                               int64
		CreatedAt, StartedAt, CompletedAt                                 time.Time
		Error                                                             *string
	}
	got := harness.Query[job](t, admin, "SELECT * FROM system.jobs WHERE namespace = $1", r.ns)
	if len(got) != 1 || len(answer) != 1 {
		t.Fatalf("%d jobs, %d answers", len(got), len(answer))
	}
	j := got[0]
	var parameters []any
	if err := json.Unmarshal(j.Parameters, &parameters); err != nil || len(parameters) == 0 {
		t.Errorf("the parameters are %s, %v", j.Parameters, err)
	}
	if j.JobID != answer[0].JobID || j.JobType != "flush" || j.Status != "completed" || j.TableName != "messages" || !strings.Contains(j.Result, "20") ||
		j.Trace == "" || j.Node == "" || j.MemoryUsed <= 0 || j.CPUUsed <= 0 || j.Error != nil || j.StartedAt.Before(j.CreatedAt) || j.CompletedAt.Before(j.StartedAt) {
		t.Errorf("the job is %+v", j)
	}
	a := r.server.Post(t, map[string]any{"sql": "SELECT * FROM system.jobs WHERE false"})
	if want := "job_id,job_type,status,namespace,table_name,parameters,result,trace,memory_used,cpu_used,created_at,started_at,completed_at,node,error"; strings.Join(a.Results[0].Columns, ",") != want {
		t.Errorf("the columns are %v", a.Results[0].Columns)
	}
	if n := harness.Query[int64](t, r.writer, "SELECT count(*) FROM system.jobs WHERE namespace = $1", r.ns)[0]; n != 0 {
		t.Errorf("a user sees %d jobs of an admin", n)
	}
	if _, err := admin.Exec(harness.Context(t), "KILL JOB 'job_nothing'"); link.CodeOf(err) != link.CodeNotFound {
		t.Errorf("killed a job that is not there: %v", err)
	}
}

// TestShowTableStatsCommand is story 9, scenario 8.
func TestShowTableStatsCommand(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	admin := r.server.Admin(t, link.WithNamespace(r.ns))
	if got := tableStats(t, admin, "messages"); got.TotalRows != 0 || got.Files != 0 || got.LastFlush != nil {
		t.Errorf("an empty table has %+v", got)
	}
	r.insert(t, 1, 10)
	if got := tableStats(t, admin, "messages"); got.BufferedRows != 10 || got.FlushedRows != 0 || got.TotalRows != 10 || got.StorageBytes != 0 || got.LastFlush != nil {
		t.Errorf("before the flush the table has %+v", got)
	}
	before := time.Now().Truncate(time.Millisecond)
	harness.Exec(t, admin, "FLUSH TABLE messages")
	r.insert(t, 11, 13)
	for _, sql := range []string{"SHOW TABLE STATS messages", "SHOW STATS FOR TABLE " + r.ns + ".messages"} {
		got := harness.Query[stats](t, admin, sql)
		if len(got) != 1 || got[0].BufferedRows != 3 || got[0].FlushedRows != 10 || got[0].TotalRows != 13 || got[0].StorageBytes <= 0 || got[0].Files != 1 ||
			got[0].LastFlush == nil || got[0].LastFlush.Before(before) || got[0].FlushPolicy == nil {
			t.Errorf("%s gives %+v", sql, got)
		}
	}
	if _, err := admin.Exec(harness.Context(t), "SHOW TABLE STATS nothing"); link.CodeOf(err) != link.CodeTableNotFound {
		t.Errorf("no such table: %v", err)
	}
}

// TestDescribeTableSchemaHistory is story 9, scenario 7: DESCRIBE names the
// version and the query that gives the versions before it.
func TestDescribeTableSchemaHistory(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ns := s.Namespace(t)
	c := s.Admin(t, link.WithNamespace(ns))
	harness.Exec(t, c, "CREATE USER TABLE t (id BIGINT PRIMARY KEY, a TEXT NOT NULL DEFAULT 'x')")
	harness.Exec(t, c, "ALTER TABLE t ADD COLUMN b INT")
	harness.Exec(t, c, "ALTER TABLE t RENAME COLUMN a TO c")
	a := s.Post(t, map[string]any{"sql": "DESCRIBE TABLE t", "namespace_id": ns})
	if a.HTTPStatus != 200 || strings.Join(a.Results[0].Columns, ",") != "column_name,data_type,is_nullable,column_default,is_primary_key,is_system" {
		t.Fatalf("HTTP %d %s", a.HTTPStatus, a.Body)
	}
	var names []string
	for i := range a.Results[0].Rows {
		names = append(names, a.Row(t, 0, i)["column_name"].(string))
	}
	if got := strings.Join(names, ","); !strings.HasPrefix(got, "id,c,b") {
		t.Errorf("the columns are %s", got)
	}
	if row := a.Row(t, 0, 1); row["is_nullable"] != false || row["data_type"] != "TEXT" || row["is_primary_key"] != false || !strings.Contains(fmt.Sprint(row["column_default"]), "x") {
		t.Errorf("column c is %v", row)
	}
	var props struct {
		TableType     string `json:"table_type"`
		SchemaVersion int    `json:"current_schema_version"`
		History       string `json:"history"`
		StorageID     string `json:"storage_id"`
	}
	if err := json.Unmarshal(a.Results[0].Properties, &props); err != nil || props.SchemaVersion != 3 || props.TableType != "user" || !strings.Contains(props.History, "system.table_schemas") {
		t.Fatalf("the properties are %s, %v", a.Results[0].Properties, err)
	}
	type version struct {
		Version     int
		Changes     string
		ArrowSchema json.RawMessage
	}
	history := harness.Query[version](t, c, props.History)
	if len(history) != 3 {
		t.Fatalf("the history has %d versions", len(history))
	}
	for i, v := range history {
		if v.Version != i+1 || v.Changes == "" || !json.Valid(v.ArrowSchema) {
			t.Errorf("version %d is %+v", i+1, v)
		}
	}
	if strings.Contains(string(history[0].ArrowSchema), `"b"`) || !strings.Contains(string(history[1].ArrowSchema), `"b"`) || !strings.Contains(string(history[2].ArrowSchema), `"c"`) {
		t.Errorf("the schemas are %+v", history)
	}
	if a := s.Post(t, map[string]any{"sql": "DESCRIBE nothing", "namespace_id": ns}); a.HTTPStatus != 404 {
		t.Errorf("a table that does not exist: HTTP %d %s", a.HTTPStatus, a.Body)
	}
}

// TestSharedTableSubscriptionPrevention is story 9 with FR-128 and FR-129: a
// SHARED table is not subscribed to, however it is dressed up.
func TestSharedTableSubscriptionPrevention(t *testing.T) {
	t.Parallel()
	const refusal = "Live query subscriptions not supported on shared tables"
	s := harness.Shared(t)
	ns := s.Namespace(t)
	harness.Exec(t, s.Admin(t, link.WithNamespace(ns)), "CREATE SHARED TABLE config (id BIGINT PRIMARY KEY, v TEXT) ACCESS open; CREATE VIEW disguise AS SELECT * FROM config; CREATE VIEW deeper AS SELECT id FROM disguise; CREATE USER TABLE mine (id BIGINT)")
	socket := s.Socket(t, "ada")
	for i, query := range []string{
		"SELECT * FROM %s.config", "SELECT c.* FROM %s.config AS c WHERE c.id = 1", "SELECT * FROM (SELECT * FROM %s.config) x",
		"SELECT * FROM %s.disguise", "SELECT * FROM %s.deeper", "WITH x AS (SELECT * FROM %s.config) SELECT * FROM x",
		"SELECT * FROM %s.mine WHERE id IN (SELECT id FROM %[1]s.config)",
	} {
		query = fmt.Sprintf(query, ns)
		if err := socket.Send(wire.ClientMessage{Subscriptions: []wire.Subscription{{ID: fmt.Sprint(i), SQL: query}}}); err != nil {
			t.Fatal(err)
		}
		if m := read(t, socket); m.Type != wire.TypeError || m.SubscriptionID != fmt.Sprint(i) || m.Message != refusal || m.Code != "UNSUPPORTED" {
			t.Errorf("%s: %+v", query, m)
		}
	}
	a := s.Post(t, map[string]any{"sql": "SUBSCRIBE TO " + ns + ".config"})
	if a.HTTPStatus != 400 || a.Error == nil || !strings.Contains(a.Error.Message, refusal) {
		t.Errorf("SUBSCRIBE TO: HTTP %d %s", a.HTTPStatus, a.Body)
	}
	// The connection is as good as before.
	if err := socket.Send(wire.ClientMessage{Subscriptions: []wire.Subscription{{ID: "fine", SQL: "SELECT * FROM " + ns + ".mine"}}}); err != nil {
		t.Fatal(err)
	}
	if m := read(t, socket); m.Type != wire.TypeSubscriptionAck {
		t.Errorf("a USER table: %+v", m)
	}
}
