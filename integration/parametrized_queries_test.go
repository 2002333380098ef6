package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

const parametersTable = `CREATE USER TABLE messages (
	id BIGINT PRIMARY KEY, user_id TEXT, score DOUBLE, read BOOLEAN, created_at TIMESTAMP)`

// parameters is a namespace with the table above, filled with ten messages of
// two users on the first ten days of 2025, and a client in it.
func parameters(t *testing.T) (*harness.Server, *link.Client, string) {
	t.Helper()
	s := harness.Shared(t)
	ns := s.Namespace(t)
	harness.Exec(t, s.Admin(t, link.WithNamespace(ns)), parametersTable)
	c := s.As(t, "ada", link.WithNamespace(ns))
	for i := 1; i <= 10; i++ {
		harness.Exec(t, c, "INSERT INTO messages VALUES ($1, $2, $3, $4, $5)",
			i, fmt.Sprint("user", i%2), float64(i)/2, i%3 == 0, time.Date(2025, 1, i, 0, 0, 0, 0, time.UTC))
	}
	return s, c, ns
}

// TestParametrizedQueryExecution is story 1, scenario 1: values for $1, $2, …
// of every kind select exactly the rows that they should, and are never SQL.
func TestParametrizedQueryExecution(t *testing.T) {
	t.Parallel()
	s, c, ns := parameters(t)
	for _, tc := range []struct {
		where  string
		params []any
		want   []int64
	}{
		{"user_id = $1 AND created_at > $2", []any{"user1", "2025-01-04"}, []int64{5, 7, 9}},
		{"user_id = $1 AND created_at > $2", []any{"user0", time.Date(2025, 1, 8, 0, 0, 0, 0, time.UTC)}, []int64{10}},
		{"created_at = $1", []any{"2025-01-03T00:00:00Z"}, []int64{3}},
		{"id = $1", []any{4}, []int64{4}},
		{"id IN ($1, $2, $3)", []any{1, 2, 99}, []int64{1, 2}},
		{"score > $1", []any{4.25}, []int64{9, 10}},
		{"read = $1", []any{true}, []int64{3, 6, 9}},
		{"$1 IS NULL AND id = 1", []any{nil}, []int64{1}},
		{"user_id = $1", []any{nil}, nil},
		{"user_id = $1", []any{"' OR 1=1 --"}, nil},
		{"user_id LIKE $1", []any{"%1"}, []int64{1, 3, 5, 7, 9}},
		{"id >= $1 AND id <= $1 + $2", []any{3, 1}, []int64{3, 4}},
		{"id = $2 AND user_id = $1", []any{"user1", 9}, []int64{9}},
	} {
		checkIDs(t, c, tc.want, "SELECT id FROM messages WHERE "+tc.where+" ORDER BY id", tc.params...)
	}
	checkIDs(t, c, []int64{8, 9}, "SELECT id FROM messages ORDER BY id LIMIT $1 OFFSET $2", 2, 7)

	// The same on the wire, at both of its addresses.
	body := `{"sql":"SELECT id, user_id FROM messages WHERE user_id = $1 AND created_at > $2 ORDER BY id","params":["user1","2025-01-08"],"namespace_id":"` + ns + `"}`
	for _, path := range []string{"/v1/api/sql", "/api/sql"} {
		a := s.Send(t, path, body, "Authorization", "Bearer "+harness.Token(t, "ada", "user"))
		if a.HTTPStatus != 200 || len(a.Results) != 1 || a.Results[0].RowCount != 1 || a.Row(t, 0, 0)["id"] != json.Number("9") {
			t.Errorf("%s: HTTP %d %s", path, a.HTTPStatus, a.Body)
		}
	}
	for _, bad := range []string{
		`{"sql":"SELECT 1","params":"x"}`, `{"sql":"SELECT $1","params":[tru]}`,
		`{"sql":"SELECT $1"`, `{"params":[1]}`, `[]`, `{"sql":""}`, `{"sql":5}`,
	} {
		if a := s.Send(t, "/v1/api/sql", bad); a.HTTPStatus != 400 || a.Error == nil {
			t.Errorf("%s: HTTP %d %s", bad, a.HTTPStatus, a.Body)
		}
	}
}

// planHits gives how often the cached plan of a statement was used; -1 when
// there is none.
func planHits(t *testing.T, admin *link.Client, part string) int64 {
	t.Helper()
	got := harness.Query[int64](t, admin, "SELECT hits FROM system.plan_cache WHERE statement LIKE $1 AND statement NOT LIKE '%plan_cache%'", "%"+part+"%")
	switch len(got) {
	case 0:
		return -1
	case 1:
		return got[0]
	}
	t.Fatalf("there are %d plans of %s", len(got), part)
	return 0
}

// TestExecutionPlanCaching is story 1, scenario 2: the plan of a statement is
// made once and used again for other values, spelled otherwise too, and is
// made anew once the table has changed.
//
// It runs alone, since plans are made anew when any definition changes.
func TestExecutionPlanCaching(t *testing.T) {
	s, c, ns := parameters(t)
	admin := s.Admin(t)
	mark := "FROM " + ns + ".messages"
	query := "SELECT id " + mark + " WHERE user_id = $1 AND id > $2 ORDER BY id"
	if n := planHits(t, admin, mark); n != -1 {
		t.Fatalf("the plan is there before its query, with %d hits", n)
	}
	checkIDs(t, c, []int64{7, 9}, query, "user1", 5)
	if n := planHits(t, admin, mark); n != 0 {
		t.Errorf("after the first query: %d hits", n)
	}
	for i := 1; i <= 5; i++ {
		checkIDs(t, c, []int64{10}, query, "user0", 8)
		if n := planHits(t, admin, mark); n != int64(i) {
			t.Errorf("after query %d: %d hits", i+1, n)
		}
	}
	type plan struct {
		CompileMS float64
		LastUsed  time.Time
		CreatedAt time.Time
	}
	got := harness.Query[plan](t, admin, "SELECT compile_ms, last_used, created_at FROM system.plan_cache WHERE statement LIKE $1 AND statement NOT LIKE '%plan_cache%'", "%"+mark+"%")
	if len(got) != 1 || got[0].CompileMS <= 0 || got[0].LastUsed.Before(got[0].CreatedAt) {
		t.Errorf("the plan is %+v", got)
	}
	// Another user's rows are read by the same plan, and are that user's.
	bob := s.As(t, "bob", link.WithNamespace(ns))
	checkIDs(t, bob, nil, query, "user1", 5)
	if n := planHits(t, admin, mark); n != 6 {
		t.Errorf("after another user's query: %d hits", n)
	}
	harness.Exec(t, admin, "CLEAR CACHE")
	if n := planHits(t, admin, mark); n != -1 {
		t.Errorf("CLEAR CACHE left a plan with %d hits", n)
	}
	checkIDs(t, c, []int64{7, 9}, query, "user1", 5)
	harness.Exec(t, admin, "DROP TABLE "+ns+".messages")
	if _, err := c.Exec(harness.Context(t), query, "user1", 5); link.CodeOf(err) != link.CodeTableNotFound {
		t.Errorf("the plan outlived its table: %v", err)
	}
	harness.Exec(t, admin, "CREATE USER TABLE "+ns+".messages (user_id TEXT, id BIGINT)")
	harness.Exec(t, c, "INSERT INTO messages VALUES ('user1', 100)")
	checkIDs(t, c, []int64{100}, query, "user1", 5)
}

// TestParameterCountMismatch is story 1, scenario 3: too few and too many
// values are refused with both counts.
func TestParameterCountMismatch(t *testing.T) {
	t.Parallel()
	s, c, ns := parameters(t)
	for _, tc := range []struct {
		sql        string
		params     []any
		want, have string
	}{
		{"SELECT * FROM messages WHERE user_id = $1 AND id = $2", []any{"x"}, "2", "1"},
		{"SELECT * FROM messages WHERE user_id = $1 AND id = $2", nil, "2", "0"},
		{"SELECT * FROM messages WHERE user_id = $1 AND id = $2", []any{"x", 1, 2}, "2", "3"},
		{"SELECT * FROM messages", []any{1}, "0", "1"},
		{"INSERT INTO messages (id, user_id) VALUES ($1, $2)", []any{1}, "2", "1"},
		{"DELETE FROM messages WHERE id = $3", []any{1, 2}, "3", "2"},
	} {
		_, err := c.Exec(harness.Context(t), tc.sql, tc.params...)
		if link.CodeOf(err) != link.CodeParameterMismatch || !strings.Contains(strings.ToLower(err.Error()), "parameter mismatch") ||
			!strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), tc.have) {
			t.Errorf("%s with %v: %v", tc.sql, tc.params, err)
		}
	}
	a := s.Post(t, map[string]any{"sql": "SELECT * FROM messages WHERE user_id = $1 AND id = $2", "params": []any{"x"}, "namespace_id": ns})
	if a.HTTPStatus != 400 || a.Error == nil || a.Error.Code != "PARAMETER_MISMATCH" || !strings.Contains(strings.ToLower(a.Error.Message), "parameter mismatch") {
		t.Errorf("HTTP %d %s", a.HTTPStatus, a.Body)
	}
	checkIDs(t, c, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, "SELECT id FROM messages ORDER BY id")
}

// TestParameterTypeValidation is story 1 with values of the wrong type: each
// is refused with the column and both types, and nothing is written.
func TestParameterTypeValidation(t *testing.T) {
	t.Parallel()
	_, c, _ := parameters(t)
	for _, tc := range []struct {
		sql    string
		params []any
		column string
	}{
		{"INSERT INTO messages (id, user_id) VALUES ($1, $2)", []any{"not a number", "x"}, "id"},
		{"INSERT INTO messages (id, score) VALUES (100, $1)", []any{"high"}, "score"},
		{"INSERT INTO messages (id, read) VALUES (100, $1)", []any{"perhaps"}, "read"},
		{"INSERT INTO messages (id, created_at) VALUES (100, $1)", []any{"yesterday or so"}, "created_at"},
		{"INSERT INTO messages (id, created_at) VALUES (100, $1)", []any{true}, "created_at"},
		{"UPDATE messages SET score = $1 WHERE id = 1", []any{"high"}, "score"},
		{"SELECT * FROM messages WHERE id = $1", []any{"x1"}, "id"},
	} {
		_, err := c.Exec(harness.Context(t), tc.sql, tc.params...)
		if link.CodeOf(err) != link.CodeTypeMismatch || !strings.Contains(err.Error(), tc.column) {
			t.Errorf("%s with %v: %v", tc.sql, tc.params, err)
		}
	}
	if _, err := c.Exec(harness.Context(t), "INSERT INTO messages (id) VALUES ($1)", json.Number("99999999999999999999")); link.CodeOf(err) != link.CodeValueOutOfRange {
		t.Errorf("a number that is too large: %v", err)
	}
	if _, err := c.Exec(harness.Context(t), "INSERT INTO messages (id) VALUES ($1)", nil); link.CodeOf(err) != link.CodeNotNullViolation {
		t.Errorf("NULL as the key: %v", err)
	}
	if n := harness.Query[int64](t, c, "SELECT count(*) FROM messages")[0]; n != 10 {
		t.Errorf("there are %d rows, want 10", n)
	}
	// Text that is a number is one.
	harness.Exec(t, c, "INSERT INTO messages (id, score) VALUES ($1, $2)", "77", "1.5")
	checkIDs(t, c, []int64{77}, "SELECT id FROM messages WHERE score = $1 AND id > 10", 1.5)
}

// TestQueryTimingInResponse is story 1, scenario 4: with the setting on, every
// result tells how long it took; with it off, none does.
func TestQueryTimingInResponse(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, "KALAMDB_API_REPORT_EXECUTION_TIME=true")
	harness.Exec(t, s.Admin(t), "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY)")
	a := s.Post(t, map[string]any{"sql": "INSERT INTO app.t VALUES ($1); SELECT * FROM app.t WHERE id = $1; SELECT 1", "params": []any{7}})
	if a.HTTPStatus != 200 || len(a.Results) != 3 {
		t.Fatalf("HTTP %d %s", a.HTTPStatus, a.Body)
	}
	sum := 0.0
	for i, r := range a.Results {
		if r.ExecutionTimeMS == nil || *r.ExecutionTimeMS < 0 {
			t.Errorf("result %d has no time: %s", i+1, a.Body)
			continue
		}
		sum += *r.ExecutionTimeMS
	}
	if a.TookMS <= 0 || sum > a.TookMS*1.01 {
		t.Errorf("the statements took %f ms, the request %f", sum, a.TookMS)
	}
	if off := harness.Shared(t).Post(t, map[string]any{"sql": "SELECT 1"}); off.Results[0].ExecutionTimeMS != nil || off.TookMS <= 0 {
		t.Errorf("without the setting: %s", off.Body)
	}
}

// TestParametrizedInsertUpdateDelete is story 1 for statements that write.
func TestParametrizedInsertUpdateDelete(t *testing.T) {
	t.Parallel()
	_, c, _ := parameters(t)
	created := time.Date(2025, 6, 1, 12, 30, 0, 123456000, time.UTC)
	for _, tc := range []struct {
		sql      string
		params   []any
		affected int64
	}{
		{"INSERT INTO messages (id, user_id, score, read, created_at) VALUES ($1, $2, $3, $4, $5), ($1 + 1, $2, NULL, NULL, $5)", []any{20, "it's \"x\"; DROP TABLE messages", 0.1, false, created}, 2},
		{"INSERT INTO messages (id, user_id) SELECT id + $1, user_id FROM messages WHERE id <= $2", []any{100, 3}, 3},
		{"INSERT INTO messages (id, user_id) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET user_id = $2", []any{101, "again"}, 1},
		{"INSERT INTO messages (id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", []any{101, "never"}, 0},
		{"UPDATE messages SET score = score + $1, read = $2 WHERE id = $3", []any{0.2, true, 20}, 1},
		{"UPDATE messages SET score = $1 WHERE user_id = $2", []any{nil, "user0"}, 6},
		{"DELETE FROM messages WHERE id BETWEEN $1 AND $2", []any{5, 8}, 4},
		{"DELETE FROM messages WHERE id = $1", []any{5}, 0},
	} {
		if sum := harness.Exec(t, c, tc.sql, tc.params...); sum.RowCount != tc.affected {
			t.Errorf("%s with %v: %d rows, want %d", tc.sql, tc.params, sum.RowCount, tc.affected)
		}
	}
	type row struct {
		UserID    string
		Score     *float64
		Read      *bool
		CreatedAt *time.Time
	}
	tenth, fifth := 0.1, 0.2 // variables, since Go adds constants exactly
	got := harness.Query[row](t, c, "SELECT user_id, score, read, created_at FROM messages WHERE id = $1", 20)
	if len(got) != 1 || got[0].UserID != "it's \"x\"; DROP TABLE messages" || *got[0].Score != tenth+fifth || !*got[0].Read || !got[0].CreatedAt.Equal(created) {
		t.Errorf("the row is %+v", got)
	}
	checkIDs(t, c, []int64{1, 2, 3, 4, 9, 10, 20, 21, 101, 102, 103}, "SELECT id FROM messages ORDER BY id")
	checkIDs(t, c, []int64{101}, "SELECT id FROM messages WHERE user_id = $1", "again")
	if _, err := c.Exec(harness.Context(t), "INSERT INTO messages (id) VALUES ($1), ($2)", 500, 1); link.CodeOf(err) != link.CodeUniqueViolation {
		t.Errorf("a key that exists: %v", err)
	}
	checkIDs(t, c, nil, "SELECT id FROM messages WHERE id = $1", 500)
}

// TestConcurrentParametrizedQueries is story 1 under concurrency (SC-007): 100
// clients run the same statements with own values and get own answers, all of
// them by the same plans.
//
// It runs alone, since plans are made anew when any definition changes.
func TestConcurrentParametrizedQueries(t *testing.T) {
	s, c, ns := parameters(t)
	ctx := harness.Context(t)
	query := "SELECT id FROM " + ns + ".messages WHERE id >= $1 AND id < $2 ORDER BY id"
	checkIDs(t, c, []int64{1, 2}, query, 1, 3)
	const clients, each = 100, 10
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := range each {
				from := int64((n+i)%9 + 1)
				got, err := link.Collect[int64](c.Query(ctx, query, from, from+2))
				if err != nil || !slices.Equal(got, []int64{from, from + 1}) {
					t.Errorf("client %d, query %d: %v, %v", n, i, got, err)
					return
				}
				if i == 5 {
					if _, err := c.Exec(ctx, "INSERT INTO messages (id, user_id) VALUES ($1, $2)", 1000+n, fmt.Sprint(n)); err != nil {
						t.Errorf("client %d inserts: %v", n, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if hits := planHits(t, s.Admin(t), "FROM "+ns+".messages WHERE id >= $1"); hits != clients*each {
		t.Errorf("the plan was used %d times again, want %d", hits, clients*each)
	}
	if n := harness.Query[int64](t, c, "SELECT count(*) FROM messages WHERE id >= 1000 AND user_id = (id - 1000)::text")[0]; n != clients {
		t.Errorf("%d of %d rows are right", n, clients)
	}
}
