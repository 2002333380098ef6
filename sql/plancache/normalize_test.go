package plancache

import (
	"fmt"
	"testing"
	"time"
)

func key(sql string, lift bool) (string, int, bool) {
	var n Normalized
	ok := Normalize(sql, lift, &n)
	return string(n.Key), len(n.Literals), ok
}

func TestNormalize(t *testing.T) {
	for _, c := range []struct {
		name, sql, want string
		literals        int
		no              bool
	}{
		{name: "space, case and comments", sql: "SELECT  *\n FROM T -- x\n/* y */ ;", want: "select * from t"},
		{name: "quoted names keep their case", sql: `SELECT "A" FROM t`, want: `select "A" from t`},
		{name: "literals of WHERE", sql: "select a from t where b = 5 and c = 'x' and d < 1.5 and e = 5000000000", want: "select a from t where b = ?i and c = ?s and d < ?d and e = ?l", literals: 4},
		{name: "literals of VALUES", sql: "INSERT INTO t VALUES (1, 'a'), (2, 'b')", want: "insert into t values ( ?i , ?s ) , ( ?i , ?s )", literals: 4},
		{name: "SET and WHERE", sql: "UPDATE t SET a = 1 WHERE b = 2", want: "update t set a = ?i where b = ?i", literals: 2},
		{name: "LIMIT but no ORDER BY", sql: "SELECT a FROM t WHERE b = 1 ORDER BY 2 LIMIT 3", want: "select a from t where b = ?i order by 2 limit ?i", literals: 2},
		{name: "the select list stays", sql: "SELECT 1, 'x' FROM t GROUP BY 1", want: "select 1 , 'x' from t group by 1"},
		{name: "a typed literal stays", sql: "SELECT a FROM t WHERE b > DATE '2025-01-01'", want: "select a from t where b > date '2025-01-01'"},
		{name: "now stays", sql: "SELECT a FROM t WHERE b > 'now'", want: "select a from t where b > 'now'"},
		{name: "subqueries stay", sql: "SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d = 1)", want: "select a from t where b in ( select c from u where d = 1 )"},
		{name: "parameters stay", sql: "SELECT a FROM t WHERE b = $1 AND c = 2", want: "select a from t where b = $1 and c = ?i", literals: 1},
		{name: "other statements", sql: "CREATE TABLE t (a INT)", no: true},
		{name: "a bad token", sql: "SELECT 'open", no: true},
		{name: "nothing", sql: "  -- nothing", no: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, literals, ok := key(c.sql, true)
			if ok == c.no || ok && (got != c.want || literals != c.literals) {
				t.Errorf("%q, %d literals, %v; want %q, %d", got, literals, ok, c.want, c.literals)
			}
		})
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := New[int](2)
	now := time.Now()
	for i, k := range []string{"a", "b", "c"} {
		c.Put(k, i, 1, k, 0, now)
	}
	if _, ok := c.Get("a", now); ok {
		t.Error("the oldest plan is still there")
	}
	if v, ok := c.Get("c", now); !ok || v != 2 {
		t.Errorf("c is %d, %v", v, ok)
	}
	if l := c.List(); len(l) != 2 || l[1].Statement != "c" || l[1].Hits != 1 {
		t.Errorf("list: %+v", l)
	}
	held, _ := c.Entry("c")
	c.Clear()
	if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 || s.Evicted != 1 {
		t.Errorf("cleared: %+v", s)
	}
	if _, ok := held.Plan(); ok {
		t.Error("who holds an entry keeps the plan alive")
	}
}

// TestCacheIsBoundedInBytes keeps as many large plans as there is room for, and
// none that would leave no room for others.
func TestCacheIsBoundedInBytes(t *testing.T) {
	c := New[int](1000)
	now := time.Now()
	for i := range 100 {
		c.Put(fmt.Sprint(i), i, MaxBytes/20, "", 0, now)
		c.Put(fmt.Sprint(i), i, MaxBytes/20, "", 0, now) // the same again takes no more
	}
	if s := c.Stats(); s.Entries != 19 || s.Bytes > MaxBytes || s.Evicted != 81 {
		t.Errorf("%+v", s)
	}
	c.Put("99", 0, maxPlan, "", 0, now)
	if _, ok := c.Get("99", now); ok || c.Stats().Entries != 18 {
		t.Errorf("a plan that is too large: %+v", c.Stats())
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("SELECT a FROM t WHERE b = 5 AND c = 'x''y' LIMIT 3")
	f.Add("INSERT INTO t VALUES (1, $$a$$, E'\\n', -2.5e3)")
	f.Add("select /* ")
	f.Fuzz(func(t *testing.T, sql string) {
		var n, again Normalized
		ok := Normalize(sql, true, &n)
		if Normalize(sql, true, &again) != ok || string(again.Key) != string(n.Key) {
			t.Fatal("not the same twice")
		}
		for i, l := range n.Literals {
			if l.Offset < 0 || l.Offset >= len(sql) || i > 0 && l.Offset <= n.Literals[i-1].Offset {
				t.Fatalf("literal %d at %d of %d", i, l.Offset, len(sql))
			}
		}
	})
}

// BenchmarkNormalize is what a hit of the cache costs before the lookup.
func BenchmarkNormalize(b *testing.B) {
	var n Normalized
	b.ReportAllocs()
	for b.Loop() {
		if !Normalize("SELECT id, room, content FROM chat.messages WHERE id = 12345 AND room = 'go' LIMIT 10", true, &n) {
			b.Fatal("not normalized")
		}
	}
}
