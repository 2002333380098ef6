package session

import (
	"fmt"
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
