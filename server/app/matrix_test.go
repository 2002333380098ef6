package app

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/ws/wstest"
	sqlparser "github.com/kalamdb/kalamdb/sql/parser"
)

// Outcomes of a cell of the matrix beside error codes.
const (
	ok dberr.Code = ""
	// may is anything but a refusal for who one is: the statement may have its
	// own reasons to fail.
	may dberr.Code = "*"
	// never is any error: a statement that is refused for one reason or another.
	never  dberr.Code = "!"
	denied            = dberr.PermissionDenied
	// unknown is how a live query of somebody else looks: as if there were none.
	unknown = dberr.SubscriptionNotFound
)

// row is a statement and what comes of it for each role. %LIVE:user% is the id
// of a live query of that user, made for the cell.
type row struct {
	sql                  string
	user, service, admin dberr.Code
	// bypass is the outcome for the localhost bypass; empty: that of admin.
	bypass dberr.Code
}

// matrix is who may do what: the rules of core's authorize for every statement,
// with objects of one's own, of others, and missing ones.
var matrix = []row{
	// Rows of one's own. Another user's rows have no name to ask for them by;
	// TestNobodySeesAnothersRows looks at the answers.
	{"SELECT * FROM app.notes", ok, ok, ok, ok},
	{"SELECT * FROM app.user.notes", ok, ok, ok, denied},
	{"INSERT INTO app.notes VALUES (7, 'x') ON CONFLICT DO NOTHING", ok, ok, ok, ok},
	{"UPDATE app.notes SET body = 'y'", ok, ok, ok, ok},
	{"DELETE FROM app.notes WHERE id = 7", ok, ok, ok, ok},
	{"TRUNCATE app.notes", ok, ok, ok, ok},
	{"SELECT * FROM app.events", ok, ok, ok, ok},
	{"INSERT INTO app.events VALUES (1, 'x')", ok, ok, ok, ok},
	{"DELETE FROM app.events", ok, ok, ok, ok},
	{"SELECT * FROM app.own_view", ok, ok, ok, ok},
	{"SUBSCRIBE TO app.notes", ok, ok, ok, ok},
	{"EXPLAIN SELECT * FROM app.notes", ok, ok, ok, ok},
	{"DESCRIBE app.notes", ok, ok, ok, ok},
	{"SHOW TABLE STATS app.notes", ok, ok, ok, ok},

	// SHARED tables by their access.
	{"SELECT * FROM app.public_t", ok, ok, ok, ok},
	{"INSERT INTO app.public_t VALUES (7, 'x') ON CONFLICT DO NOTHING", denied, ok, ok, ok},
	{"UPDATE app.public_t SET body = 'y'", denied, ok, ok, ok},
	{"DELETE FROM app.public_t WHERE id = 7", denied, ok, ok, ok},
	{"TRUNCATE app.public_t", denied, ok, ok, ok},
	{"SELECT * FROM app.open_t", ok, ok, ok, ok},
	{"INSERT INTO app.open_t VALUES (7, 'x') ON CONFLICT DO NOTHING", ok, ok, ok, ok},
	{"UPDATE app.open_t SET body = 'y'", ok, ok, ok, ok},
	{"DELETE FROM app.open_t WHERE id = 7", ok, ok, ok, ok},
	{"SELECT * FROM app.restricted_t", denied, ok, ok, ok},
	{"INSERT INTO app.restricted_t VALUES (7, 'x') ON CONFLICT DO NOTHING", denied, ok, ok, ok},
	{"UPDATE app.restricted_t SET body = 'y'", denied, ok, ok, ok},
	{"DELETE FROM app.restricted_t WHERE id = 7", denied, ok, ok, ok},
	{"TRUNCATE app.restricted_t", denied, ok, ok, ok},
	{"SELECT * FROM app.private_t", denied, denied, ok, ok},
	{"INSERT INTO app.private_t VALUES (7, 'x') ON CONFLICT DO NOTHING", denied, denied, ok, ok},
	{"UPDATE app.private_t SET body = 'y'", denied, denied, ok, ok},
	{"DELETE FROM app.private_t WHERE id = 7", denied, denied, ok, ok},
	{"TRUNCATE app.private_t", denied, denied, ok, ok},

	// Every way to a table that one may not read.
	{"SELECT (SELECT max(body) FROM app.private_t)", denied, denied, ok, ok},
	{"SELECT 1 WHERE EXISTS (SELECT 1 FROM app.private_t)", denied, denied, ok, ok},
	{"WITH p AS (SELECT * FROM app.private_t) SELECT * FROM p", denied, denied, ok, ok},
	{"SELECT n.id FROM app.notes n JOIN app.private_t p ON p.id = n.id", denied, denied, ok, ok},
	{"SELECT 1 AS id UNION ALL SELECT id FROM app.private_t", denied, denied, ok, ok},
	{"INSERT INTO app.open_t SELECT id + 100, body FROM app.private_t ON CONFLICT DO NOTHING", denied, denied, ok, ok},
	{"UPDATE app.notes SET body = (SELECT max(body) FROM app.private_t)", denied, denied, ok, ok},
	{"DELETE FROM app.notes WHERE id IN (SELECT id FROM app.private_t)", denied, denied, ok, ok},
	{"SELECT * FROM app.private_view", denied, denied, ok, ok},
	{"EXPLAIN SELECT * FROM app.private_t", denied, denied, ok, ok},
	{"EXPLAIN ANALYZE SELECT * FROM app.private_t", denied, denied, ok, ok},
	{"EXPLAIN DELETE FROM app.private_t", denied, denied, ok, ok},
	{"EXPLAIN ANALYZE INSERT INTO app.public_t VALUES (8, 'x')", never, may, may, may},
	{"SUBSCRIBE TO app.private_t", denied, denied, may, may},

	// What is wrong with a statement is not told of tables that one may not
	// read: their columns and types are none of the caller's business.
	{"SELECT nothing FROM app.private_t", denied, denied, dberr.ColumnNotFound, ""},
	{"SELECT * FROM app.private_t WHERE body + 1 > DATE '2025-01-01'", denied, denied, may, ""},
	{"SELECT nothing FROM app.restricted_t", denied, dberr.ColumnNotFound, dberr.ColumnNotFound, ""},
	{"INSERT INTO app.private_t (nothing) VALUES (1)", denied, denied, dberr.ColumnNotFound, ""},
	{"UPDATE app.private_t SET nothing = 1", denied, denied, dberr.ColumnNotFound, ""},
	{"DELETE FROM app.private_t WHERE nothing = 1", denied, denied, dberr.ColumnNotFound, ""},
	{"EXPLAIN SELECT nothing FROM app.private_t", denied, denied, dberr.ColumnNotFound, ""},
	{"SUBSCRIBE TO app.private_t WHERE nothing = 1", denied, denied, may, ""},
	{"DESCRIBE app.private_t", denied, denied, ok, ok},
	{"SHOW TABLE STATS app.private_t", denied, denied, ok, ok},
	{"DESCRIBE app.restricted_t", denied, ok, ok, ok},

	// Missing objects.
	{"SELECT * FROM app.nothing", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"SELECT * FROM nothing.nothing", may, may, may, ""},
	{"INSERT INTO app.nothing VALUES (1)", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"UPDATE app.nothing SET a = 1", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"DELETE FROM app.nothing", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"TRUNCATE app.nothing", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"DESCRIBE app.nothing", dberr.TableNotFound, dberr.TableNotFound, dberr.TableNotFound, ""},
	{"USE nothing", dberr.NamespaceNotFound, dberr.NamespaceNotFound, dberr.NamespaceNotFound, ""},
	{"USE app", ok, ok, ok, ok},
	{"KILL LIVE QUERY 'nothing'", dberr.SubscriptionNotFound, dberr.SubscriptionNotFound, dberr.SubscriptionNotFound, ""},
	{"KILL JOB 'nothing'", may, may, may, ""},

	// System tables.
	{"SELECT * FROM system.users", ok, ok, ok, ok},
	{"SELECT * FROM system.api_keys", ok, ok, ok, ok},
	{"SELECT * FROM system.live_queries", ok, ok, ok, ok},
	{"SELECT * FROM system.tables", ok, ok, ok, ok},
	{"SELECT * FROM information_schema.columns", ok, ok, ok, ok},
	{"INSERT INTO system.users (user_id, username) VALUES ('eve', 'Eve') ON CONFLICT DO NOTHING", denied, denied, ok, ok},
	{"UPDATE system.users SET metadata = '{\"role\":\"admin\"}' WHERE user_id = 'ann'", denied, denied, may, ""},
	{"DELETE FROM system.users WHERE user_id = 'eve'", denied, denied, may, ""},
	{"INSERT INTO system.api_keys (key_id) VALUES ('x')", denied, denied, denied, ""},
	{"DELETE FROM system.live_queries", denied, denied, denied, ""},
	{"UPDATE system.tables SET access = 'open'", denied, denied, denied, ""},
	{"TRUNCATE system.tables", denied, denied, denied, ""},
	{"SHOW TABLES", ok, ok, ok, ok},
	{"SHOW TABLES IN app", ok, ok, ok, ok},
	{"SHOW NAMESPACES", ok, ok, ok, ok},
	{"SHOW STORAGES", ok, ok, ok, ok},
	{"SHOW BACKUP '/nothing'", never, never, may, ""},
	{"CLEAR CACHE", ok, ok, ok, ok},

	// Live queries.
	{"KILL LIVE QUERY '%LIVE:ann%'", ok, ok, ok, ok}, // its own: see the test
	{"KILL LIVE QUERY '%LIVE:other%'", unknown, unknown, ok, ok},

	// Definitions and the rest of administration.
	{"CREATE NAMESPACE IF NOT EXISTS app2", denied, denied, ok, ok},
	{"ALTER NAMESPACE app SET OPTIONS (a = 'b')", denied, denied, ok, ok},
	{"DROP NAMESPACE IF EXISTS app2", denied, denied, ok, ok},
	{"DROP NAMESPACE nothing", denied, denied, dberr.NamespaceNotFound, ""},
	{"CREATE TABLE IF NOT EXISTS app.notes (id BIGINT)", denied, denied, ok, ok},
	{"CREATE SHARED TABLE IF NOT EXISTS app.copied AS SELECT * FROM app.private_t", denied, denied, may, ""},
	{"ALTER TABLE app.public_t ADD COLUMN IF NOT EXISTS more TEXT", denied, denied, may, ""},
	{"ALTER TABLE app.nothing DROP COLUMN a", denied, denied, dberr.TableNotFound, ""},
	{"DROP TABLE IF EXISTS app.nothing", denied, denied, ok, ok},
	{"DROP TABLE app.nothing", denied, denied, dberr.TableNotFound, ""},
	{"CREATE OR REPLACE VIEW app.own_view AS SELECT * FROM app.notes", denied, denied, ok, ok},
	{"DROP VIEW IF EXISTS app.nothing", denied, denied, ok, ok},
	{"FLUSH TABLE app.notes", denied, denied, may, ""},
	{"FLUSH ALL TABLES", denied, denied, may, ""},
	{"COMPACT TABLE app.notes", denied, denied, may, ""},
	{"CREATE STORAGE s TYPE filesystem PATH '/nothing'", denied, denied, may, ""},
	{"ALTER STORAGE s SET NAME 'x'", denied, denied, may, ""},
	{"DROP STORAGE IF EXISTS s", denied, denied, may, ""},
	{"BACKUP DATABASE nothing TO '/nothing'", denied, denied, may, ""},
	{"RESTORE DATABASE nothing FROM '/nothing'", denied, denied, may, ""},
	{"CREATE API KEY FOR 'nobody'", denied, denied, may, ""},
	{"DROP API KEY 'nothing'", denied, denied, dberr.NotFound, ""},
}

// actor is somebody who sends requests.
type actor struct {
	name    string
	headers []string
	role    ident.Role
	bypass  bool
}

// proxied takes the localhost bypass away.
var proxied = []string{"X-Forwarded-For", "192.0.2.7"}

// matrixServer is a server with everything that the matrix asks about.
func matrixServer(t *testing.T) (s *Server, c config.Config) {
	c = testConfig(t)
	c.Auth.JWTSecret = strings.Repeat("matrix-secret-", 4)
	c.Auth.MaxFailures = 0
	c.RateLimit.Enabled = false
	s = start(t, c)
	exec(t, s, `CREATE NAMESPACE app;
		CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT);
		CREATE STREAM TABLE app.events (id BIGINT, body TEXT) TTL 60;
		CREATE SHARED TABLE app.public_t (id BIGINT PRIMARY KEY, body TEXT) ACCESS public;
		CREATE SHARED TABLE app.open_t (id BIGINT PRIMARY KEY, body TEXT) ACCESS open;
		CREATE SHARED TABLE app.restricted_t (id BIGINT PRIMARY KEY, body TEXT) ACCESS restricted;
		CREATE SHARED TABLE app.private_t (id BIGINT PRIMARY KEY, body TEXT) ACCESS private;
		CREATE VIEW app.own_view AS SELECT * FROM app.notes;
		CREATE VIEW app.private_view AS SELECT * FROM app.private_t;
		INSERT INTO app.private_t VALUES (1, 'canary-private');
		INSERT INTO system.users (user_id, username, metadata) VALUES
			('key-user', 'u', '{"role":"user"}'), ('key-service', 's', '{"role":"service"}'), ('key-admin', 'a', '{"role":"dba"}')`)
	return s, c
}

// actors gives everybody who gets in, by every way in.
func actors(t *testing.T, s *Server, c config.Config) (out []actor) {
	for _, role := range []ident.Role{ident.RoleUser, ident.RoleService, ident.RoleAdmin} {
		token, err := auth.Issue(c.Auth, []byte(c.Auth.JWTSecret), ident.UserID("token-"+role), role, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		a := exec(t, s, fmt.Sprintf("CREATE API KEY FOR 'key-%s'", role))
		var key struct {
			APIKey string `json:"api_key"`
		}
		if err := json.Unmarshal(a.Results[0].Rows[0], &key); err != nil {
			t.Fatal(err)
		}
		out = append(out,
			actor{name: "token " + string(role), role: role, headers: append([]string{"Authorization", "Bearer " + token}, proxied...)},
			actor{name: "API key " + string(role), role: role, headers: append([]string{"X-API-KEY", key.APIKey}, proxied...)})
	}
	return append(out, actor{name: "bypass", role: ident.RoleAdmin, bypass: true})
}

// strangers gives everybody who does not get in, with the code that says why.
func strangers(t *testing.T, c config.Config) map[string]struct {
	headers []string
	code    dberr.Code
} {
	secret := []byte(c.Auth.JWTSecret)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	// Made by hand, as an attacker would.
	token := func(alg string, ttl time.Duration, sign func(text []byte) []byte) string {
		text := enc([]byte(`{"alg":"`+alg+`","typ":"JWT"}`)) + "." +
			enc(fmt.Appendf(nil, `{"sub":"root","role":"admin","exp":%d}`, time.Now().Add(ttl).Unix()))
		return text + "." + enc(sign([]byte(text)))
	}
	mac := func(h func() hash.Hash, key []byte) func([]byte) []byte {
		return func(text []byte) []byte {
			m := hmac.New(h, key)
			m.Write(text)
			return m.Sum(nil)
		}
	}
	good := token("HS256", time.Hour, mac(sha256.New, secret))
	parts := strings.Split(good, ".")
	forged := parts[0] + "." + enc([]byte(`{"sub":"root","role":"admin","exp":99999999999,"x":1}`)) + "." + parts[2]
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	type stranger = struct {
		headers []string
		code    dberr.Code
	}
	return map[string]stranger{
		"nothing, through a proxy":       {proxied, dberr.Unauthenticated},
		"nothing, with a foreign origin": {[]string{"Origin", "https://evil.example"}, dberr.Unauthenticated},
		"expired":                        {bearer(token("HS256", -time.Hour, mac(sha256.New, secret))), dberr.TokenExpired},
		"forged claims":                  {bearer(forged), dberr.Unauthenticated},
		"another secret":                 {bearer(token("HS256", time.Hour, mac(sha256.New, []byte(strings.Repeat("x", 48))))), dberr.Unauthenticated},
		"none":                           {bearer(enc([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."), dberr.Unauthenticated},
		"HS512":                          {bearer(token("HS512", time.Hour, mac(sha512.New, secret))), dberr.Unauthenticated},
		"RS256 with a key of its own": {bearer(token("RS256", time.Hour, func(text []byte) []byte {
			sum := sha256.Sum256(text)
			signature, err := rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, sum[:])
			if err != nil {
				t.Error(err)
			}
			return signature
		})), dberr.Unauthenticated},
		"no such API key": {[]string{"X-API-KEY", "kalam_0123456789abcdef_" + strings.Repeat("A", 43)}, dberr.Unauthenticated},
		"basic":           {[]string{"Authorization", "Basic " + enc([]byte("root:root"))}, dberr.Unauthenticated},
	}
}

func TestMatrix(t *testing.T) {
	s, c := matrixServer(t)
	live := func(user string) string {
		m := wstest.Dial(t, s.URL(), user).Subscribe(wire.Subscription{ID: "s", SQL: "SELECT * FROM app.notes"})
		if m.LiveID == "" {
			t.Fatalf("%+v", m)
		}
		return m.LiveID
	}
	for _, a := range actors(t, s, c) {
		// The live queries of the actor itself are made by the bypass, as it.
		me := "key-" + string(a.role)
		switch {
		case strings.HasPrefix(a.name, "token"):
			me = "token-" + string(a.role)
		case a.bypass:
			me = c.Auth.LocalhostUser
		}
		for _, r := range matrix {
			want := r.admin
			switch {
			case a.role == ident.RoleUser:
				want = r.user
			case a.role == ident.RoleService:
				want = r.service
			case a.bypass && r.bypass != "":
				want = r.bypass
			}
			sql := r.sql
			if strings.Contains(sql, "%LIVE:ann%") {
				sql = strings.ReplaceAll(sql, "%LIVE:ann%", live(me))
			}
			if strings.Contains(sql, "%LIVE:other%") {
				sql = strings.ReplaceAll(sql, "%LIVE:other%", live("other"))
			}
			got := post(t, s, wire.SQLRequest{SQL: sql}, a.headers...)
			code := ok
			if got.Error != nil {
				code = dberr.Code(got.Error.Code)
			}
			refused := code == denied || code == dberr.Unauthenticated || code == dberr.TokenExpired
			if !fits(code, want) {
				t.Errorf("%s: %s: got %q, want %q: %s", a.name, sql, code, want, got.Text)
			}
			if got.HTTP != code.Info().HTTPStatus && code != ok {
				t.Errorf("%s: %s: %s with HTTP %d", a.name, sql, code, got.HTTP)
			}
			if (want == denied || refused) && strings.Contains(got.Text, "canary") {
				t.Errorf("%s: %s tells what may not be seen: %s", a.name, sql, got.Text)
			}
		}
	}
}

func fits(code, want dberr.Code) bool {
	switch want {
	case may:
		return code != denied && code != dberr.Unauthenticated && code != dberr.TokenExpired && code != dberr.Internal
	case never:
		return code != ok && code != dberr.Internal
	}
	return code == want
}

func TestStrangersGetNothing(t *testing.T) {
	s, c := matrixServer(t)
	for name, x := range strangers(t, c) {
		for _, r := range matrix {
			got := post(t, s, wire.SQLRequest{SQL: r.sql}, x.headers...)
			if got.HTTP != 401 || got.Error == nil || dberr.Code(got.Error.Code) != x.code || len(got.Results) > 0 {
				t.Errorf("%s: %s: %d %s", name, r.sql, got.HTTP, got.Text)
			}
		}
	}
	if a := exec(t, s, "SELECT count(*) AS n FROM app.private_t"); rowsOf(a) != `{"n":1}` {
		t.Error("somebody changed something:", a.Text)
	}
}

// TestMatrixIsWhole fails when the SQL parser learns a statement that the
// matrix does not ask about.
func TestMatrixIsWhole(t *testing.T) {
	asked := map[string]bool{}
	for _, r := range matrix {
		stmt, err := sqlparser.Parse(r.sql)
		if err != nil {
			t.Errorf("%s: %v", r.sql, err)
			continue
		}
		asked[strings.TrimPrefix(fmt.Sprintf("%T", stmt), "*ast.")] = true
	}
	dir := "../../sql/ast"
	fset := gotoken.NewFileSet()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			fn, isFunc := d.(*ast.FuncDecl)
			if !isFunc || fn.Name.Name != "statement" || fn.Recv == nil {
				continue
			}
			star, isStar := fn.Recv.List[0].Type.(*ast.StarExpr)
			if !isStar {
				continue
			}
			if name := star.X.(*ast.Ident).Name; ast.IsExported(name) && !asked[name] {
				t.Errorf("the matrix has no %s", name)
			}
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// TestNobodySeesAnothersRows fills tables as one user and reads them as others,
// also those that system tables describe.
func TestNobodySeesAnothersRows(t *testing.T) {
	s, c := matrixServer(t)
	exec(t, s, "INSERT INTO app.notes VALUES (1, 'canary-ann'); INSERT INTO app.events VALUES (1, 'canary-ann')", wire.HeaderUserID, "ann")
	exec(t, s, "INSERT INTO system.users (user_id, username, metadata) VALUES ('ann', 'canary-ann', '{\"x\":\"canary-ann\"}')")
	exec(t, s, "CREATE API KEY FOR 'ann' NAME 'canary-ann'")
	ann := wstest.Dial(t, s.URL(), "ann")
	ann.Subscribe(wire.Subscription{ID: "canary-ann", SQL: "SELECT * FROM app.notes WHERE body = 'canary-ann'"})
	for _, a := range actors(t, s, c) {
		for _, sql := range []string{
			"SELECT * FROM app.notes", "SELECT * FROM app.notes WHERE id = 1", "SELECT *, _seq, _deleted FROM app.notes", "SELECT * FROM app.own_view",
			"SELECT * FROM app.events", "UPDATE app.notes SET body = 'x' WHERE id = 1 RETURNING *", "DELETE FROM app.notes RETURNING *",
			"SELECT * FROM app.notes WHERE body LIKE 'can%' OR 1 = 1", "WITH n AS (SELECT * FROM app.notes) SELECT * FROM n",
		} {
			if got := post(t, s, wire.SQLRequest{SQL: sql}, a.headers...); strings.Contains(strings.ReplaceAll(got.Text, sql, ""), "canary-ann") {
				t.Errorf("%s: %s: %s", a.name, sql, got.Text)
			}
		}
		if a.role.IsAdmin() {
			continue
		}
		for _, sql := range []string{
			"SELECT * FROM system.users", "SELECT * FROM system.users WHERE user_id = 'ann'", "SELECT username FROM system.users WHERE user_id >= 'a'",
			"SELECT * FROM system.api_keys", "SELECT * FROM system.live_queries", "SELECT * FROM system.sessions WHERE user_id = 'ann'",
			"SELECT statement FROM system.plan_cache", "SELECT * FROM system.jobs",
		} {
			got := post(t, s, wire.SQLRequest{SQL: sql}, a.headers...)
			for _, row := range got.Results[0].Rows {
				if strings.Contains(string(row), "ann") && !strings.Contains(string(row), `"key-`) {
					t.Errorf("%s: %s: %s", a.name, sql, row)
				}
			}
		}
		for _, sql := range []string{
			"SELECT table_name FROM information_schema.columns", "SELECT table_name FROM information_schema.tables WHERE table_type <> 'VIEW'",
			"SELECT table_name FROM system.tables", "SELECT table_name FROM system.table_schemas", "SHOW TABLES IN app",
		} {
			got := post(t, s, wire.SQLRequest{SQL: sql}, a.headers...)
			if strings.Contains(got.Text, "private_t") {
				t.Errorf("%s: %s shows that there is app.private_t", a.name, sql)
			}
		}
	}
	if got := exec(t, s, "SELECT body FROM app.notes", wire.HeaderUserID, "ann"); rowsOf(got) != `{"body":"canary-ann"}` {
		t.Error("ann's row was changed:", got.Text)
	}
	// Who may act for others gets at them, by naming them.
	for _, a := range actors(t, s, c) {
		got := post(t, s, wire.SQLRequest{SQL: "SELECT body FROM app.notes"}, append([]string{wire.HeaderUserID, "ann"}, a.headers...)...)
		if seen := strings.Contains(got.Text, "canary-ann"); seen != a.role.MayActForOthers() || !seen && got.HTTP != 403 {
			t.Errorf("%s for ann: %d %s", a.name, got.HTTP, got.Text)
		}
	}
}
