package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

func TestSessionsBelongToTheirUser(t *testing.T) {
	m := NewManager(Options{})
	a := m.Get("ann", "")
	a.Use("app")
	if m.Get("ann", "") != a || m.Get("ann", "").Namespace() != "app" {
		t.Error("the session is forgotten")
	}
	if m.Get("bob", "").Namespace() != "" || m.Get("ann", "other").Namespace() != "" {
		t.Error("a session is shared")
	}
	if n := len(m.List()); n != 3 {
		t.Errorf("%d sessions", n)
	}
}

func TestSessionsAreForgotten(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m := NewManager(Options{IdleTimeout: time.Minute, Max: 3, Now: func() time.Time { return now }})
	for i := range 5 {
		m.Get(ident.UserID(fmt.Sprint("u", i)), "").Use("app")
		now = now.Add(time.Second)
	}
	if l := m.List(); len(l) != 3 || l[0].User != "u4" || l[2].User != "u2" {
		t.Errorf("past the limit: %+v", l)
	}
	now = now.Add(40 * time.Second)
	m.Get("u2", "")
	now = now.Add(30 * time.Second)
	if l := m.List(); len(l) != 1 || l[0].User != "u2" || l[0].Namespace != "app" {
		t.Errorf("after the idle time: %+v", l)
	}
}

func TestTables(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m := NewManager(Options{IdleTimeout: time.Minute, MaxTables: 2, Now: func() time.Time { return now }})
	s := m.Get("ann", "")
	one, two, three := &ddl.Table{ID: 1, SchemaVersion: 1}, &ddl.Table{ID: 2, SchemaVersion: 1}, &ddl.Table{ID: 3, SchemaVersion: 1}
	for i, c := range []struct {
		table *ddl.Table
		after time.Duration
		hit   bool
	}{
		{one, 0, false}, {one, 1, true}, {two, 1, false},
		{&ddl.Table{ID: 1, SchemaVersion: 2}, 1, false}, // altered
		{&ddl.Table{ID: 1, SchemaVersion: 2}, 1, true},
		{three, 1, false}, // takes the place of two
		{two, 1, false},
		{two, 2 * time.Minute, false}, // too long ago
	} {
		now = now.Add(c.after)
		if hit := s.Touch(c.table, now); hit != c.hit {
			t.Errorf("step %d: hit is %v", i, hit)
		}
	}
	if in := s.Info(); in.Hits != 2 || in.Misses != 6 || in.CachedTables != 1 {
		t.Errorf("%+v", in)
	}
	bob, carl := m.Get("bob", ""), m.Get("carl", "")
	bob.Touch(two, now)
	carl.Touch(two, now)
	m.Forget(2)
	for _, s := range []*Session{bob, carl} {
		if in := s.Info(); in.CachedTables != 0 {
			t.Errorf("a table that is gone is known: %+v", in)
		}
	}
}

func BenchmarkGetAndTouch(b *testing.B) {
	m := NewManager(Options{})
	t := &ddl.Table{ID: 1, SchemaVersion: 1}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		m.Get("ann", "").Touch(t, now)
	}
}

func TestStatements(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m := NewManager(Options{IdleTimeout: time.Minute, MaxTables: 2, MaxStatements: 2, Now: func() time.Time { return now }})
	s := m.Get("ann", "")
	one, two, three := &ddl.Table{ID: 1, SchemaVersion: 1}, &ddl.Table{ID: 2, SchemaVersion: 1}, &ddl.Table{ID: 3, SchemaVersion: 1}
	key := func(text string) Key { return Key{Text: text, Namespace: "app", Role: "user"} }
	register := func(text string, tables ...*ddl.Table) {
		for _, t := range tables {
			s.Touch(t, now)
		}
		s.Register(key(text), nil, tables, now)
	}
	if s.Repeats(key("a")) || !s.Repeats(key("a")) || s.Repeats(key("b")) {
		t.Error("what comes once and what comes again is not told apart")
	}
	for range 2 {
		if s.Repeats(key(strings.Repeat("x", maxText+1))) {
			t.Error("a text that is too long is worth remembering")
		}
	}
	register("a", one)
	a := s.Statement(key("a"))
	if a == nil || !a.Use(now) {
		t.Fatal("a registered statement is not found")
	}
	for _, k := range []Key{key("b"), {Text: "a", Role: "user"}, {Text: "a", Namespace: "app", Role: "admin"}, {Text: "a", Namespace: "app", Role: "user", Explicit: true}} {
		if s.Statement(k) != nil {
			t.Errorf("%+v is found", k)
		}
	}
	if in := s.Info(); in.Hits != 1 || in.Misses != 1 || m.Stats() != (Stats{Sessions: 1, Hits: 1, Misses: 1}) {
		t.Errorf("%+v, %+v", in, m.Stats())
	}
	now = now.Add(time.Second)
	register("b", one, two)
	now = now.Add(time.Second)
	a.Use(now)
	now = now.Add(time.Second)
	register("c", one) // takes the place of b
	if s.Statement(key("b")) != nil || s.Statement(key("a")) == nil {
		t.Error("not the one that was idle for longest made room")
	}
	// With a table its statements go: evicted, altered, gone.
	now = now.Add(time.Second)
	register("b", two)
	now = now.Add(time.Second)
	s.Touch(one, now)
	s.Touch(three, now)
	if s.Statement(key("b")) != nil {
		t.Error("a statement outlives its table's registration")
	}
	register("c", one)
	s.Touch(&ddl.Table{ID: 1, SchemaVersion: 2}, now)
	if s.Statement(key("c")) != nil {
		t.Error("a statement outlives its table's version")
	}
	register("c", three)
	m.Forget(3)
	if s.Statement(key("c")) != nil {
		t.Error("a statement outlives its table")
	}
	register("d", two)
	s.Register(key("e"), nil, []*ddl.Table{three}, now)
	if s.Statement(key("e")) != nil {
		t.Error("a statement over a table that is not registered is registered")
	}
	d := s.Statement(key("d"))
	if now = now.Add(2 * time.Minute); d.Use(now) {
		t.Error("a statement over a table that was not used for long is taken")
	}
	s.Clear()
	if s.Statement(key("d")) != nil {
		t.Error("a cleared session has statements")
	}
}

// BenchmarkStatement finds a registered statement and uses it.
func BenchmarkStatement(b *testing.B) {
	m := NewManager(Options{})
	t := &ddl.Table{ID: 1, SchemaVersion: 1}
	now := time.Now()
	k := Key{Text: "SELECT * FROM app.messages WHERE id = $1", Role: "user", Explicit: true}
	s := m.Get("ann", "")
	s.Touch(t, now)
	s.Register(k, nil, []*ddl.Table{t}, now)
	b.ReportAllocs()
	for b.Loop() {
		m.Get("ann", "").Statement(k).Use(now)
	}
}
