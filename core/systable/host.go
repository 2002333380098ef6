package systable

import (
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/apikey"
	"github.com/kalamdb/kalamdb/core/job"
	"github.com/kalamdb/kalamdb/live"
)

// Host is what the tables ask the server about. Every function may be called
// from several goroutines.
type Host struct {
	Node ident.NodeID
	// LiveQueries lists the live queries of a user, or all of them when user
	// is empty.
	LiveQueries func(user ident.UserID) []live.Info
	// Sessions lists the sessions that are known.
	Sessions func() []Session
	// Plans lists the cached plans.
	Plans func() []Plan
	// Storages lists the places for cold files.
	Storages func() []Storage
	// Jobs lists the jobs of a user, or all of them when user is empty.
	Jobs func(user ident.UserID) []job.Job
	// APIKeys lists the API keys.
	APIKeys func() []apikey.Key
	// FlushPolicy describes when a table is flushed.
	FlushPolicy func(interval time.Duration, rows int64) string
}

// Session is a row of system.sessions.
type Session struct {
	ID           ident.SessionID
	User         ident.UserID
	Namespace    ident.NamespaceID
	CachedTables int
	Hits, Misses int64
	CreatedAt    time.Time
	LastUsed     time.Time
}

// Plan is a row of system.plan_cache.
type Plan struct {
	Statement string
	Hits      int64
	Compile   time.Duration
	CreatedAt time.Time
	LastUsed  time.Time
}

// Storage is a row of system.storages.
type Storage struct {
	ID             ident.StorageID
	Name           string
	Description    string
	Type           string
	URI            string
	Credentials    string
	SharedTemplate string
	UserTemplate   string
	CreatedAt      time.Time
	UpdatedAt      time.Time
}
