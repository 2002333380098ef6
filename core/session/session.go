// Package session keeps what the server remembers of a caller between two
// requests: the current namespace, and which tables the caller has used under
// which version of their definition.
//
// A session belongs to a user and a session id, and to nobody else. Sessions
// are forgotten when they have been idle for long, and the longest idle ones
// when there are too many: nothing in them is worth more than a USE.
package session

import (
	"container/list"
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
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Manager keeps the sessions. It may be used from several goroutines.
type Manager struct {
	opts Options

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
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Manager{opts: opts, byID: map[key]*list.Element{}, order: list.New()}
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

	mu           sync.Mutex // guards what follows
	namespace    ident.NamespaceID
	tables       map[ident.TableID]*registration
	hits, misses int64
}

// registration is a table that the session has used.
type registration struct {
	version uint32
	used    time.Time
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
	if ok && r.version == t.SchemaVersion && now.Sub(r.used) <= s.m.opts.IdleTimeout {
		r.used = now
		s.hits++
		return true
	}
	s.misses++
	if !ok {
		if len(s.tables) >= s.m.opts.MaxTables {
			s.evict()
		}
		r = &registration{}
		s.tables[t.ID] = r
	}
	r.version, r.used = t.SchemaVersion, now
	return false
}

// evict forgets the table that was not used for longest. The caller holds mu.
func (s *Session) evict() {
	var oldest ident.TableID
	var at time.Time
	for id, r := range s.tables {
		if at.IsZero() || r.used.Before(at) {
			oldest, at = id, r.used
		}
	}
	delete(s.tables, oldest)
}

// Clear makes the session forget its tables.
func (s *Session) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tables)
}

func (s *Session) forget(id ident.TableID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tables, id)
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
	limit := s.m.opts.Now().Add(-s.m.opts.IdleTimeout)
	for id, r := range s.tables {
		if r.used.Before(limit) {
			delete(s.tables, id)
		}
	}
	return Info{
		ID: s.id, User: s.user, Namespace: s.namespace, CachedTables: len(s.tables), Hits: s.hits, Misses: s.misses,
		CreatedAt: s.created, LastUsed: time.UnixMicro(s.lastUsed.Load()),
	}
}
