package integration

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// notThere is what the server says about a namespace that does not exist.
func notThere(ns string) string {
	return "Namespace '" + ns + "' does not exist. Create it first with CREATE NAMESPACE."
}

// refusedWithoutNamespace checks that a statement fails because of a missing
// namespace, over link and on the wire.
func refusedWithoutNamespace(t *testing.T, s *harness.Server, ns, sql string) {
	t.Helper()
	_, err := s.Admin(t).Exec(harness.Context(t), sql)
	if link.CodeOf(err) != link.CodeNamespaceNotFound || !strings.Contains(err.Error(), notThere(ns)) {
		t.Errorf("%s: %v", sql, err)
	}
	a := s.Post(t, map[string]any{"sql": sql})
	if a.HTTPStatus != 404 || a.Error == nil || a.Error.Code != "NAMESPACE_NOT_FOUND" || !strings.Contains(a.Error.Message, notThere(ns)) {
		t.Errorf("%s: HTTP %d %s", sql, a.HTTPStatus, a.Body)
	}
}

// hasTable tells whether the catalog knows a table.
func hasTable(t *testing.T, c *link.Client, ns, table string) bool {
	t.Helper()
	return harness.Query[int64](t, c, "SELECT count(*) FROM system.tables WHERE namespace = $1 AND table_name = $2", ns, table)[0] == 1
}

// TestCreateTableNonexistentNamespaceError is story 5, scenario 1: a table in
// a namespace that does not exist is refused, and nothing of it is left.
func TestCreateTableNonexistentNamespaceError(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ns := "nonexistent_" + harness.Name(t)
	refusedWithoutNamespace(t, s, ns, "CREATE USER TABLE "+ns+".messages (id BIGINT PRIMARY KEY)")
	refusedWithoutNamespace(t, s, ns, "CREATE USER TABLE IF NOT EXISTS "+ns+".messages (id BIGINT PRIMARY KEY)")
	refusedWithoutNamespace(t, s, ns, "CREATE TABLE "+ns+".messages (id BIGINT PRIMARY KEY) WITH (type = 'user')")
	c := s.Admin(t)
	if hasTable(t, c, ns, "messages") {
		t.Error("the table is in the catalog")
	}
	if _, err := c.Exec(harness.Context(t), "SELECT * FROM "+ns+".messages"); err == nil {
		t.Error("the table can be read")
	}
}

// TestCreateTableAfterNamespaceCreation is story 5, scenario 2: the statement
// that failed succeeds once the namespace is there, and fails again after it
// was dropped.
func TestCreateTableAfterNamespaceCreation(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	c := s.Admin(t)
	ns := harness.Name(t)
	create := "CREATE TABLE " + ns + ".messages (id BIGINT PRIMARY KEY)"
	refusedWithoutNamespace(t, s, ns, create)
	harness.Exec(t, c, "CREATE NAMESPACE "+ns)
	harness.Exec(t, c, create)
	harness.Exec(t, c, "INSERT INTO "+ns+".messages VALUES (1)")
	if got := harness.Query[int64](t, c, "SELECT id FROM "+ns+".messages"); len(got) != 1 {
		t.Errorf("the table holds %v", got)
	}
	if _, err := c.Exec(harness.Context(t), create); link.CodeOf(err) != link.CodeAlreadyExists {
		t.Errorf("created twice: %v", err)
	}
	if _, err := c.Exec(harness.Context(t), "DROP NAMESPACE "+ns); link.CodeOf(err) != link.CodeConflict {
		t.Errorf("a namespace with a table was dropped: %v", err)
	}
	harness.Exec(t, c, "DROP NAMESPACE "+ns+" CASCADE")
	refusedWithoutNamespace(t, s, ns, create)
}

// TestUserTableNamespaceValidation is story 5, scenario 3 for USER tables: a
// table without a namespace, where none is current, is refused with the way
// out; the current namespace of request, header, session and statement counts.
func TestUserTableNamespaceValidation(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ns := s.Namespace(t)
	c := s.Admin(t)
	_, err := c.Exec(harness.Context(t), "CREATE USER TABLE messages (id BIGINT PRIMARY KEY)")
	if err == nil {
		t.Fatal("a table without a namespace was created")
	}
	le, ok := err.(*link.Error)
	if !ok || link.CodeOf(err) != link.CodeNamespaceNotFound && link.CodeOf(err) != link.CodeInvalidSQL {
		t.Errorf("the error is %v", err)
	} else if text := le.Message + " " + le.Hint; !strings.Contains(text, "USE") || !strings.Contains(text, "namespace") {
		t.Errorf("the error does not tell the way out: %s", text)
	}
	refusedWithoutNamespace(t, s, ns+"_x", "USE "+ns+"_x")

	harness.Exec(t, c, "USE "+ns)
	harness.Exec(t, c, "CREATE USER TABLE by_session (id BIGINT PRIMARY KEY)")
	a := s.Post(t, map[string]any{"sql": "CREATE USER TABLE by_request (id BIGINT PRIMARY KEY)", "namespace_id": ns})
	b := s.Post(t, map[string]any{"sql": "CREATE USER TABLE by_header (id BIGINT PRIMARY KEY)"}, "X-NAMESPACE", ns)
	d := s.Post(t, map[string]any{"sql": "USE " + ns + "; CREATE USER TABLE by_batch (id BIGINT PRIMARY KEY)"}, "X-SESSION-ID", harness.Name(t))
	for _, x := range []*harness.Answer{a, b, d} {
		if x.HTTPStatus != 200 {
			t.Errorf("HTTP %d %s", x.HTTPStatus, x.Body)
		}
	}
	for _, table := range []string{"by_session", "by_request", "by_header", "by_batch"} {
		if !hasTable(t, c, ns, table) {
			t.Errorf("%s is not in the namespace", table)
		}
	}
	if x := s.Post(t, map[string]any{"sql": "CREATE USER TABLE t (id BIGINT)", "namespace_id": ns + "_x"}); x.HTTPStatus != 404 {
		t.Errorf("a request with a namespace that does not exist: HTTP %d %s", x.HTTPStatus, x.Body)
	}
}

// TestSharedTableNamespaceValidation is story 5, scenario 3 for SHARED tables.
func TestSharedTableNamespaceValidation(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ns := harness.Name(t)
	refusedWithoutNamespace(t, s, ns, "CREATE SHARED TABLE "+ns+".config (k TEXT PRIMARY KEY, v TEXT)")
	refusedWithoutNamespace(t, s, ns, "CREATE TABLE "+ns+".config AS SELECT 1 AS k")
	refusedWithoutNamespace(t, s, ns, "CREATE VIEW "+ns+".v AS SELECT 1 AS k")
}

// TestStreamTableNamespaceValidation is story 5, scenario 3 for STREAM tables.
func TestStreamTableNamespaceValidation(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ns := harness.Name(t)
	refusedWithoutNamespace(t, s, ns, "CREATE STREAM TABLE "+ns+".events (id BIGINT) TTL 10")
	refusedWithoutNamespace(t, s, ns, "CREATE TABLE "+ns+".events (id BIGINT) WITH (type = 'stream', ttl = '10s')")
}

// TestNamespaceValidationRaceCondition is story 5 under concurrency (FR-040):
// a table may be created the moment its namespace is, and no table outlives a
// namespace that is dropped beside its creation.
func TestNamespaceValidationRaceCondition(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ctx := harness.Context(t)
	prefix := harness.Name(t)
	var clients [4]*link.Client
	for i := range clients {
		clients[i] = s.Admin(t)
	}
	for round := range 25 {
		ns := fmt.Sprintf("%s_%d", prefix, round)
		created := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(created)
			if _, err := clients[0].Exec(ctx, "CREATE NAMESPACE "+ns); err != nil {
				t.Errorf("create namespace: %v", err)
			}
		})
		// One cannot wait for the namespace and may be refused, three wait.
		wg.Go(func() {
			if _, err := clients[1].Exec(ctx, "CREATE USER TABLE "+ns+".early (id BIGINT)"); err != nil && link.CodeOf(err) != link.CodeNamespaceNotFound {
				t.Errorf("create table beside its namespace: %v", err)
			}
		})
		for i, c := range clients[1:] {
			wg.Go(func() {
				<-created
				if _, err := c.Exec(ctx, fmt.Sprintf("CREATE USER TABLE %s.t%d (id BIGINT)", ns, i)); err != nil {
					t.Errorf("create table behind its namespace: %v", err)
				}
			})
		}
		wg.Wait()

		var made atomic.Int64
		wg.Go(func() {
			if _, err := clients[0].Exec(ctx, "DROP NAMESPACE "+ns+" CASCADE"); err != nil {
				t.Errorf("drop namespace: %v", err)
			}
		})
		for i, c := range clients[1:] {
			wg.Go(func() {
				_, err := c.Exec(ctx, fmt.Sprintf("CREATE USER TABLE %s.late%d (id BIGINT)", ns, i))
				switch link.CodeOf(err) {
				case link.CodeNamespaceNotFound:
				case "":
					if err != nil {
						t.Errorf("create table beside the drop: %v", err)
					}
					made.Add(1)
				default:
					t.Errorf("create table beside the drop: %v", err)
				}
			})
		}
		wg.Wait()
		if n := harness.Query[int64](t, clients[0], "SELECT count(*) FROM system.tables WHERE namespace = $1", ns)[0]; n != 0 {
			t.Errorf("%d tables outlive their namespace (%d were created beside the drop)", n, made.Load())
		}
	}
}

// TestErrorMessageIncludesGuidance is story 5, scenario 1: the message says
// what to do, whoever asks and however the name is written.
func TestErrorMessageIncludesGuidance(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ns := harness.Name(t)
	for _, sql := range []string{
		"CREATE USER TABLE %s.t (id BIGINT)", "CREATE SHARED TABLE %s.t (id BIGINT)", "CREATE STREAM TABLE %s.t (id BIGINT) TTL 1s",
		"create table %s.t(id int)", `CREATE USER TABLE "%s"."t" (id BIGINT)`,
	} {
		_, err := s.Admin(t).Exec(harness.Context(t), fmt.Sprintf(sql, ns))
		if err == nil || !strings.Contains(err.Error(), "Create it first with CREATE NAMESPACE.") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	// Who may not create tables does not learn which namespaces there are.
	_, err := s.As(t, "ada").Exec(harness.Context(t), "CREATE USER TABLE "+ns+".t (id BIGINT)")
	if link.CodeOf(err) != link.CodePermissionDenied {
		t.Errorf("a user's CREATE TABLE: %v", err)
	}
	_, err = s.Admin(t).Exec(harness.Context(t), "CREATE USER TABLE system.t (id BIGINT)")
	if link.CodeOf(err) != link.CodePermissionDenied {
		t.Errorf("a table in a reserved namespace: %v", err)
	}
}
