package session

import (
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"
	"unique"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

const (
	// maxText is how long a statement may be that is remembered.
	maxText = 4 << 10
	// recent is how many hashes of texts a session keeps, to tell those that
	// come again.
	recent = 64
)

// Key is what a registered statement is found by: everything, beside what
// its names mean, that says what it means and whether it is allowed.
type Key struct {
	Text      string
	Namespace ident.NamespaceID
	Role      ident.Role
	// Explicit says that the request names its user.
	Explicit bool
}

// Statement is a statement that its session repeats: its names are resolved,
// and the caller may run it, as long as every name in it means what it meant.
type Statement struct {
	Handle *sql.Handle
	s      *Session
	// text is that of the key; sessions that run the same statements share it.
	text   unique.Handle[string]
	tables []*registration
	used   atomic.Int64 // Unix nanoseconds
}

// Use notes that the statement runs, and with it that the session uses its
// tables. ok is false when one of them was not used for too long: then it must
// be registered again.
func (r *Statement) Use(now time.Time) (ok bool) {
	at := now.UnixNano()
	for _, t := range r.tables {
		if at-t.used.Load() > int64(r.s.m.opts.IdleTimeout) {
			return false
		}
	}
	for _, t := range r.tables {
		t.used.Store(at)
	}
	r.used.Store(at)
	n := int64(len(r.tables))
	r.s.hits.Add(n)
	r.s.m.hits.Add(n)
	return true
}

// repeated is the part of a session that knows its statements.
type repeated struct {
	statements map[Key]*Statement
	// seen has hashes of texts that came once.
	seen []uint64
}

// drop forgets the statements over a table.
func (p *repeated) drop(t *registration) {
	for k, st := range p.statements {
		for _, used := range st.tables {
			if used == t {
				delete(p.statements, k)
				break
			}
		}
	}
}

// Statement finds a registered statement; nil: there is none.
func (s *Session) Statement(k Key) *Statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statements[k]
}

// Repeats notes that a statement ran that is not registered, and tells whether
// it did so before, lately: then it is worth registering.
func (s *Session) Repeats(k Key) bool {
	if len(k.Text) > maxText {
		return false
	}
	h := maphash.String(s.m.seed, k.Text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = make([]uint64, recent)
	}
	at := &s.seen[h%recent]
	if *at == h {
		return true
	}
	*at = h
	return false
}

// Register remembers a statement over tables that Touch was called for. The
// one that was not used for longest makes room.
func (s *Session) Register(k Key, h *sql.Handle, tables []*ddl.Table, now time.Time) {
	text := unique.Make(k.Text)
	k.Text = text.Value()
	st := &Statement{Handle: h, s: s, text: text, tables: make([]*registration, 0, len(tables))}
	st.used.Store(now.UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tables {
		r, ok := s.tables[t.ID]
		if !ok || r.version != t.SchemaVersion {
			return // forgotten meanwhile
		}
		st.tables = append(st.tables, r)
	}
	if s.statements == nil {
		s.statements = make(map[Key]*Statement)
	}
	if _, known := s.statements[k]; !known && len(s.statements) >= s.m.opts.MaxStatements {
		s.evictStatement()
	}
	s.statements[k] = st
}

// evictStatement forgets the statement that was not used for longest. The
// caller holds mu.
func (s *Session) evictStatement() {
	var oldest Key
	at := int64(math.MaxInt64)
	for k, st := range s.statements {
		if used := st.used.Load(); used < at {
			oldest, at = k, used
		}
	}
	delete(s.statements, oldest)
}
