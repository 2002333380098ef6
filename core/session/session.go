// Package session keeps what the server remembers of a caller between two
// requests: the current namespace, which tables the caller has used under
// which version of their definition, and the statements over them that it
// repeats: with those a session leads from the text to a plan that is bound to
// its tables and allowed to the caller.
//
// A session belongs to a user and a session id, and to nobody else. Sessions
// are forgotten when they have been idle for long, and the longest idle ones
// when there are too many: nothing in them is worth more than a USE.
package session

import (
	"container/list"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// Options bound the sessions. The zero value of each field means its default.
type Options struct {
	// IdleTimeout is when an unused session, and an unused table of a session,
	// is forgotten. Default 30m.
	IdleTimeout time.Duration
	// Max is how many sessions are kept. Default 10000.
	Max int
	// MaxTables is how many tables a session remembers. Default 256.
	MaxTables int
	// MaxStatements is how many statements over them. Default 64.
	MaxStatements int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Manager keeps the sessions. It may be used from several goroutines.
type Manager struct {
	opts         Options
	seed         maphash.Seed
	hits, misses atomic.Int64

	mu   sync.Mutex // guards what follows
	byID map[key]*list.Element
	// order has the sessions by their last use, the newest in front.
	order *list.List
}

type key struct {
	user ident.UserID
	id   ident.SessionID
}

// NewManager makes a Manager.
func NewManager(opts Options) *Manager {
	if opts.IdleTimeout <= 0 {
		opts.IdleTimeout = 30 * time.Minute
	}
	if opts.Max <= 0 {
		opts.Max = 10_000
	}
	if opts.MaxTables <= 0 {
		opts.MaxTables = 256
	}
	if opts.MaxStatements <= 0 {
		opts.MaxStatements = 64
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Manager{opts: opts, seed: maphash.MakeSeed(), byID: map[key]*list.Element{}, order: list.New()}
}

// Get finds a user's session, or begins it.
func (m *Manager) Get(user ident.UserID, id ident.SessionID) *Session {
	now := m.opts.Now()
	k := key{user, id}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	if e, ok := m.byID[k]; ok {
		m.order.MoveToFront(e)
		s := e.Value.(*Session)
		s.lastUsed.Store(now.UnixMicro())
		return s
	}
	for len(m.byID) >= m.opts.Max {
		m.remove(m.order.Back())
	}
	s := &Session{m: m, user: user, id: id, created: now, tables: map[ident.TableID]*registration{}}
	s.lastUsed.Store(now.UnixMicro())
	m.byID[k] = m.order.PushFront(s)
	return s
}

// expire forgets the sessions that have been idle for too long. The caller
// holds mu.
func (m *Manager) expire(now time.Time) {
	limit := now.Add(-m.opts.IdleTimeout).UnixMicro()
	for e := m.order.Back(); e != nil && e.Value.(*Session).lastUsed.Load() < limit; e = m.order.Back() {
		m.remove(e)
	}
}

func (m *Manager) remove(e *list.Element) {
	s := m.order.Remove(e).(*Session)
	delete(m.byID, key{s.user, s.id})
}

// Clear makes every session forget its tables.
func (m *Manager) Clear() {
	for _, s := range m.all() {
		s.Clear()
	}
}

// Stats are the figures of all sessions.
type Stats struct {
	// Sessions is how many there are.
	Sessions int
	// Hits and Misses count the tables that statements found registered in
	// their session, and did not.
	Hits, Misses int64
}

// Stats reads the figures.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(m.opts.Now())
	return Stats{Sessions: len(m.byID), Hits: m.hits.Load(), Misses: m.misses.Load()}
}

// Forget makes every session forget a table that is gone.
func (m *Manager) Forget(id ident.TableID) {
	for _, s := range m.all() {
		s.forget(id)
	}
}

func (m *Manager) all() []*Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(m.opts.Now())
	out := make([]*Session, 0, len(m.byID))
	for e := m.order.Front(); e != nil; e = e.Next() {
		out = append(out, e.Value.(*Session))
	}
	return out
}

// List describes the sessions, the last used first.
func (m *Manager) List() []Info {
	all := m.all()
	out := make([]Info, len(all))
	for i, s := range all {
		out[i] = s.Info()
	}
	return out
}

// Session is what is remembered of one caller. It may be used from several
// goroutines.
type Session struct {
	m        *Manager
	user     ident.UserID
	id       ident.SessionID
	created  time.Time
	lastUsed atomic.Int64 // Unix microseconds

	hits, misses atomic.Int64

	mu        sync.Mutex // guards what follows
	namespace ident.NamespaceID
	tables    map[ident.TableID]*registration
	repeated
}

// registration is a table that the session has used.
type registration struct {
	version uint32
	used    atomic.Int64 // Unix nanoseconds
}

// Namespace is the current namespace; empty: none.
func (s *Session) Namespace() ident.NamespaceID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.namespace
}

// Use sets the current namespace.
func (s *Session) Use(ns ident.NamespaceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.namespace = ns
}

// Touch notes that the session uses a table. A table that it has used before,
// in this version and not too long ago, is a hit.
func (s *Session) Touch(t *ddl.Table, now time.Time) (hit bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.tables[t.ID]
	if ok && r.version == t.SchemaVersion && now.UnixNano()-r.used.Load() <= int64(s.m.opts.IdleTimeout) {
		r.used.Store(now.UnixNano())
		s.hits.Add(1)
		s.m.hits.Add(1)
		return true
	}
	s.misses.Add(1)
	s.m.misses.Add(1)
	if ok {
		s.drop(t.ID)
	} else if len(s.tables) >= s.m.opts.MaxTables {
		s.evict()
	}
	r = &registration{version: t.SchemaVersion}
	r.used.Store(now.UnixNano())
	s.tables[t.ID] = r
	return false
}

// evict forgets the table that was not used for longest. The caller holds mu.
func (s *Session) evict() {
	var oldest ident.TableID
	at := int64(math.MaxInt64)
	for id, r := range s.tables {
		if used := r.used.Load(); used < at {
			oldest, at = id, used
		}
	}
	s.drop(oldest)
}

// drop forgets a table, and with it the statements over it. The caller holds
// mu.
func (s *Session) drop(id ident.TableID) {
	if r, ok := s.tables[id]; ok {
		delete(s.tables, id)
		s.repeated.drop(r)
	}
}

// Clear makes the session forget its tables.
func (s *Session) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tables)
	s.repeated = repeated{}
}

func (s *Session) forget(id ident.TableID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
}

// Info is a session's row in system.sessions.
type Info struct {
	ID           ident.SessionID
	User         ident.UserID
	Namespace    ident.NamespaceID
	CachedTables int
	Hits, Misses int64
	CreatedAt    time.Time
	LastUsed     time.Time
}

// Info describes the session.
func (s *Session) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.m.opts.Now().Add(-s.m.opts.IdleTimeout).UnixNano()
	for id, r := range s.tables {
		if r.used.Load() < limit {
			s.drop(id)
		}
	}
	return Info{
		ID: s.id, User: s.user, Namespace: s.namespace, CachedTables: len(s.tables), Hits: s.hits.Load(), Misses: s.misses.Load(),
		CreatedAt: s.created, LastUsed: time.UnixMicro(s.lastUsed.Load()),
	}
}
