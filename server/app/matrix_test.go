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
	sqlast "github.com/kalamdb/kalamdb/sql/ast"
	sqlparser "github.com/kalamdb/kalamdb/sql/parser"
)

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
	dir := t.TempDir()
	exec(t, s, "BACKUP DATABASE app TO '"+dir+"/backup'")
	made := 0
	// fill makes what a statement names in percent signs.
	fill := func(sql, me string) string {
		made++
		for mark, make := range map[string]func() string{
			"%DIR%": func() string { return dir }, "%BACKUP%": func() string { return dir + "/backup" }, "%N%": func() string { return fmt.Sprint("n", made) },
			"%LIVE:me%": func() string { return live(me) }, "%LIVE:other%": func() string { return live("other") },
			"%JOB%": func() string {
				var row struct {
					JobID string `json:"job_id"`
				}
				decodeRow(t, exec(t, s, "FLUSH TABLE app.notes", wire.HeaderUserID, "other"), &row)
				return row.JobID
			},
			"%KEY%": func() string {
				var row struct {
					KeyID string `json:"key_id"`
				}
				decodeRow(t, exec(t, s, "CREATE API KEY FOR 'nobody'"), &row)
				return row.KeyID
			},
		} {
			if strings.Contains(sql, mark) {
				sql = strings.ReplaceAll(sql, mark, make())
			}
		}
		return sql
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
			sql := fill(r.sql, me)
			got := post(t, s, wire.SQLRequest{SQL: sql}, a.headers...)
			code := ok
			if got.Error != nil {
				code = dberr.Code(got.Error.Code)
			}
			refused := code == denied || code == dberr.Unauthenticated || code == dberr.TokenExpired
			if code != want {
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

// decodeRow reads the first row of an answer.
func decodeRow(t *testing.T, a answer, into any) {
	t.Helper()
	if err := json.Unmarshal(a.Results[0].Rows[0], into); err != nil {
		t.Fatal(err)
	}
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

// TestMatrixIsWhole fails when the SQL parser learns a statement, something to
// SHOW, an action of ALTER TABLE or something to EXPLAIN that the matrix does
// not ask about.
func TestMatrixIsWhole(t *testing.T) {
	asked := map[string]bool{}
	name := func(n any) string { return strings.TrimPrefix(fmt.Sprintf("%T", n), "*ast.") }
	for _, r := range matrix {
		stmt, err := sqlparser.Parse(r.sql)
		if err != nil {
			t.Errorf("%s: %v", r.sql, err)
			continue
		}
		asked[name(stmt)] = true
		switch x := stmt.(type) {
		case *sqlast.Show:
			asked[fmt.Sprint("Show ", x.Kind)] = true
		case *sqlast.Explain:
			asked["Explain "+name(x.Stmt)] = true
		case *sqlast.AlterTable:
			for _, a := range x.Actions {
				asked[name(a)] = true
			}
		}
	}
	want := []string{"Explain Query", "Explain Insert", "Explain Update", "Explain Delete", "Explain Subscribe"}
	files, err := filepath.Glob("../../sql/ast/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			want = append(want, kinds(d)...)
		}
	}
	if len(files) == 0 || len(want) < 30 {
		t.Fatalf("only %v were found in %v", want, files)
	}
	for _, w := range want {
		if !asked[w] {
			t.Errorf("the matrix has no %s", w)
		}
	}
}

// kinds gives what a declaration of package ast adds to what can be asked.
func kinds(d ast.Decl) (out []string) {
	switch x := d.(type) {
	case *ast.FuncDecl:
		if x.Recv == nil || x.Name.Name != "statement" && x.Name.Name != "alterAction" {
			return nil
		}
		star, ok := x.Recv.List[0].Type.(*ast.StarExpr)
		if !ok {
			return nil
		}
		if name := star.X.(*ast.Ident).Name; ast.IsExported(name) {
			return []string{name}
		}
	case *ast.GenDecl:
		if x.Tok != gotoken.CONST {
			return nil
		}
		first, ok := x.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident)
		if !ok || first.Name != "ShowKind" {
			return nil
		}
		for i := range x.Specs {
			out = append(out, fmt.Sprint("Show ", i))
		}
	}
	return out
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
