package core

import (
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/session"
)

// registered tells whether a user's session has a statement.
func (d *db) registered(as, text string) bool {
	p := who(as)
	state := d.session(p).state
	return state.Statement(session.Key{Text: text, Namespace: state.Namespace(), Role: p.Role, Explicit: p.ExplicitUser}) != nil
}

// TestRegisteredStatements repeats statements until their session has them
// registered, changes what they stand on, and repeats them once more: each must
// answer as if it were new.
func TestRegisteredStatements(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.must(admin, `CREATE NAMESPACE app; CREATE NAMESPACE two;
			CREATE SHARED TABLE app.t (id INT PRIMARY KEY, v INT) ACCESS open; INSERT INTO app.t VALUES (1, 10), (2, 20);
			CREATE SHARED TABLE two.t (id INT PRIMARY KEY, v INT) ACCESS open; INSERT INTO two.t VALUES (1, 77);
			CREATE VIEW app.w AS SELECT v FROM app.t WHERE id = 1`)
		same := func(as, text, want string) {
			t.Helper()
			for range 4 {
				if got := d.rows(as, text); got != want {
					t.Fatalf("%s: %s gives %q, want %q", as, text, got, want)
				}
			}
			if !d.registered(as, text) {
				t.Errorf("%s is not registered", text)
			}
		}
		const one, view, all = "SELECT v FROM app.t WHERE id = 1", "SELECT v FROM app.w", "SELECT * FROM app.t WHERE id = 1"
		same("ann", one, "10")
		same("ann", view, "10")
		same("ann", all, "1|10")
		d.must(admin, "UPDATE app.t SET v = 11 WHERE id = 1")
		same("ann", one, "11")
		d.must(admin, "CREATE OR REPLACE VIEW app.w AS SELECT v + 1 AS v FROM app.t WHERE id = 2")
		same("ann", view, "21")
		d.must(admin, "ALTER TABLE app.t ADD COLUMN more TEXT DEFAULT 'm'")
		same("ann", all, "1|11|m")
		d.must(admin, "ALTER TABLE app.t DROP COLUMN more")
		same("ann", all, "1|11")

		// What the caller may do is asked of the table as it is now, and for
		// each role by itself.
		d.must(admin, "ALTER TABLE app.t SET (access = 'private')")
		for range 2 {
			d.fails("ann", one, dberr.PermissionDenied, "")
			d.fails("ann", view, dberr.PermissionDenied, "")
			if got := d.rows("ann:admin", one); got != "11" {
				t.Errorf("ann as an admin sees %s", got)
			}
		}
		d.must(admin, "ALTER TABLE app.t SET (access = 'public')")
		same("ann", one, "11")
		for range 4 {
			d.must("ann:service", "UPDATE app.t SET v = 12 WHERE id = 1")
			d.fails("ann", "UPDATE app.t SET v = 12 WHERE id = 1", dberr.PermissionDenied, "")
		}
		same("ann", one, "12")

		d.must(admin, "DROP VIEW app.w; DROP TABLE app.t")
		d.fails("ann", one, dberr.TableNotFound, "")
		d.must(admin, "CREATE USER TABLE app.t (id INT PRIMARY KEY, v TEXT)")
		d.must("ann", "INSERT INTO app.t VALUES (1, 'mine')")
		same("ann", one, "mine")
		same("bob", one, "")

		// The same text means another table in another namespace.
		for range 3 {
			for _, c := range []struct{ ns, want string }{{"app", "mine"}, {"two", "77"}} {
				if got := d.rows("ann", "USE "+c.ns+"; SELECT v FROM t WHERE id = 1"); got != c.want {
					t.Errorf("in %s: %s", c.ns, got)
				}
			}
		}
		d.must(admin, "CLEAR CACHE")
		if d.registered("ann", one) {
			t.Error("CLEAR CACHE left a statement")
		}
		same("ann", one, "mine")
		d.must("ann", "CLEAR CACHE")
		if d.registered("ann", one) {
			t.Error("CLEAR CACHE of a user left a statement")
		}
	})
}

// TestRegisteredParameters repeats a statement with parameters of all kinds.
func TestRegisteredParameters(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, v TEXT)")
	d.must("ann", "INSERT INTO app.t VALUES (1, 'one'), (2, 'two')")
	const text = "SELECT v FROM app.t WHERE id = $1 LIMIT 5"
	for range 3 {
		for v, want := range map[string]string{"1": "one", "2": "two", "3": ""} {
			if got := d.rows("ann", text, sqltype.NewText(v)); got != want {
				t.Errorf("%s gives %s", v, got)
			}
		}
		if got := d.rows("ann", text, sqltype.NewBigInt(2)); got != "two" {
			t.Errorf("2 gives %s", got)
		}
		d.fails("ann", text, dberr.TypeMismatch, "", sqltype.NewText("x"))
		d.fails("ann", text, dberr.TypeMismatch, "", sqltype.NewBool(true))
		d.fails("ann", text, dberr.ParameterMismatch, "expected 1, got 0")
		d.fails("ann", text, dberr.ParameterMismatch, "", sqltype.NewBigInt(1), sqltype.NewBigInt(2))
	}
	if in := d.session(who("ann")).state.Info(); in.Misses != 1 || in.Hits < 10 {
		t.Errorf("%+v", in)
	}
	if st := d.compiler.CacheStats(); st.Hits < 6 || st.Misses == 0 {
		t.Errorf("the plan cache: %+v", st)
	}
}
