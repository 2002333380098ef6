package config

import "github.com/kalamdb/kalamdb/commons/ident"

// Config is the whole configuration. Keys of the file are section.field with
// the names of the tags.
//
// A field tagged secret is never shown or logged.
type Config struct {
	Server    Server    `toml:"server"`
	Data      Data      `toml:"data"`
	Store     Store     `toml:"store"`
	Storage   Storage   `toml:"storage"`
	Flush     Flush     `toml:"flush"`
	Stream    Stream    `toml:"stream"`
	Retention Retention `toml:"retention"`
	Query     Query     `toml:"query"`
	Session   Session   `toml:"session"`
	Live      Live      `toml:"live"`
	Auth      Auth      `toml:"auth"`
	RateLimit RateLimit `toml:"rate_limit"`
	API       API       `toml:"api"`
	Log       Log       `toml:"log"`
	Metrics   Metrics   `toml:"metrics"`
}

// Server says where the server listens and what it takes from a connection.
type Server struct {
	// Host is the address to listen on. Default 127.0.0.1.
	Host string `toml:"host"`
	// Port is the TCP port; 0 takes any free one. Default 8080.
	Port int `toml:"port"`
	// AllowedOrigins are the web origins (scheme://host[:port]) whose pages
	// may talk to the server; "*" is every origin. Default none.
	AllowedOrigins []string `toml:"allowed_origins"`
	// TrustedProxies are addresses and networks (10.0.0.0/8) of proxies whose
	// X-Forwarded-For tells who a request comes from; limits then count that
	// address instead of the proxy's. Default none.
	TrustedProxies []string `toml:"trusted_proxies"`
	// RequestTimeout bounds one HTTP request. Default 30s.
	RequestTimeout Duration `toml:"request_timeout"`
	// MaxBody is the largest request body. Default 16MiB.
	MaxBody Size `toml:"max_body"`
	// MaxConnections is how many connections may be open. Default 25000.
	MaxConnections int `toml:"max_connections"`
	// ShutdownTimeout is how long a stop waits for what is running. Default 30s.
	ShutdownTimeout Duration `toml:"shutdown_timeout"`
	// TLSCert and TLSKey are PEM files; both or neither. Default none.
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`
	// PprofAddr is a loopback address for Go's profiler. Default off.
	PprofAddr string `toml:"pprof_addr"`
	// Node names this server in system tables. Default the host's name.
	Node ident.NodeID `toml:"node"`
}

// Data says where the server keeps what it owns.
type Data struct {
	// Dir is the data directory. Default: data beside the binary.
	Dir string `toml:"dir"`
}

// Backends of Store.
const (
	BackendBadger = "badger"
	BackendMemory = "memory"
	BackendRedis  = "redis"
)

// Store configures the hot tier.
type Store struct {
	// Backend is badger, memory or redis. Default badger.
	Backend string `toml:"backend"`
	// Sync makes an acknowledged write survive a power loss, not only the
	// end of the process. Default true.
	Sync bool `toml:"sync"`
	// RedisURL is the server of the redis backend. It may hold a password.
	RedisURL string `toml:"redis_url" secret:"true"`
	// RedisPrefix begins the names of all keys of the redis backend: letters,
	// digits, '_', '-' and '.'. Each server needs its own. Default kalamdb.
	RedisPrefix string `toml:"redis_prefix"`
	// Badger tunes the badger backend.
	Badger Badger `toml:"badger"`
}

// Badger tunes the badger backend.
type Badger struct {
	// MemTable is the bytes of writes kept in memory before they become a
	// file. Default 8MiB.
	MemTable Size `toml:"mem_table"`
	// BlockCache is the bytes of file blocks kept in memory. Default 8MiB.
	BlockCache Size `toml:"block_cache"`
	// IndexCache is the bytes of file indexes kept in memory. Default 8MiB.
	IndexCache Size `toml:"index_cache"`
	// ValueLogFile is the size of a file of large values. Default 32MiB.
	ValueLogFile Size `toml:"value_log_file"`
	// Compactors is how many goroutines merge files. Default 2.
	Compactors int `toml:"compactors"`
	// MinFree is the free disk space below which writes are refused; at least
	// eight times mem_table is kept free.
	// Default 64MiB.
	MinFree Size `toml:"min_free"`
}

// Storage says where cold files go.
type Storage struct {
	// DefaultLocation is the root of the storage "local". Default
	// ./data/storage; storage in the data directory when that was chosen.
	DefaultLocation string `toml:"default_location"`
	// UserTemplate is the path of a USER table's files. It holds {userId}.
	UserTemplate string `toml:"user_template"`
	// SharedTemplate is the path of a SHARED table's files.
	SharedTemplate string `toml:"shared_template"`
	// Sharding is how {shard} is computed: alphabetic. Default alphabetic.
	Sharding string `toml:"sharding"`
}

// Flush says when hot rows move to cold files.
type Flush struct {
	// DefaultInterval is for tables without a FLUSH clause. Default 5m.
	DefaultInterval Duration `toml:"default_interval"`
	// DefaultRows is for tables without a FLUSH clause. Default 10000.
	DefaultRows int64 `toml:"default_rows"`
	// Workers is how many tables are flushed at a time. Default 2.
	Workers int `toml:"workers"`
	// CheckInterval is how often due tables are looked for. Default 1s.
	CheckInterval Duration `toml:"check_interval"`
	// MinRowsPerUser is how many hot rows of a user make a file worthwhile.
	// Default 1.
	MinRowsPerUser int64 `toml:"min_rows_per_user"`
	// NodeID is this server's part of SNOWFLAKE_ID, 0 to 1023. Default 0.
	NodeID int `toml:"node_id"`
}

// Stream bounds STREAM tables.
type Stream struct {
	// MaxBuffer is how many rows a user's part of a table keeps, where the
	// table does not say. Default 10000.
	MaxBuffer int `toml:"max_buffer"`
	// EvictionInterval is how often expired rows are dropped. Default 1s.
	EvictionInterval Duration `toml:"eviction_interval"`
}

// Retention says how long what is over is kept.
type Retention struct {
	// DeletedRows is for soft-deleted rows. Default 168h.
	DeletedRows Duration `toml:"deleted_rows"`
	// Jobs is for finished jobs. Default 720h.
	Jobs Duration `toml:"jobs"`
}

// Query bounds statements.
type Query struct {
	// Timeout bounds one statement. Default 30s.
	Timeout Duration `toml:"timeout"`
	// MemoryLimit bounds one statement's memory. Default 256MiB.
	MemoryLimit Size `toml:"memory_limit"`
	// TotalMemoryLimit bounds the memory of all statements together; one that
	// needs more than is left is refused with 503. 0: half of the machine's
	// memory, or of the container's.
	TotalMemoryLimit Size `toml:"total_memory_limit"`
	// Parallelism is how many cores a statement may use; 0: all of them.
	Parallelism int `toml:"parallelism"`
	// PlanCacheSize is how many plans are kept. Default 1024.
	PlanCacheSize int `toml:"plan_cache_size"`
	// MaxConcurrent is how many requests may be under way, those included that
	// wait for others, for a sync or for their client; more are refused at once
	// with 503. The last eighth is for users who have little under way. Default
	// 1024.
	MaxConcurrent int `toml:"max_concurrent"`
	// MaxRunning is how many statements may compute at a time, beside a quarter
	// as many that are long; the others wait. 0: four for each core, at least
	// 8, and one for each core.
	MaxRunning int `toml:"max_running"`
	// MaxWait is how long a statement may wait for others before it is refused
	// with 503; one that is known to be long, five times as long, and at once
	// if it would not come to its end in time. Where many wait already, one
	// whose wait would be longer than a sixteenth of it is refused at once.
	// Default 2s.
	MaxWait Duration `toml:"max_wait"`
	// Slow is from when on a statement is logged as slow; 0: never. Default 1s.
	Slow Duration `toml:"slow"`
}

// Session bounds sessions.
type Session struct {
	// IdleTimeout is when an unused session is forgotten. Default 30m.
	IdleTimeout Duration `toml:"idle_timeout"`
	// MaxSessions is how many are kept. Default 10000.
	MaxSessions int `toml:"max_sessions"`
	// MaxCachedTables is how many tables a session keeps. Default 256.
	MaxCachedTables int `toml:"max_cached_tables"`
}

// Live bounds live queries and their connections.
type Live struct {
	// MaxPerUser is how many live queries a user may have. Default 100.
	MaxPerUser int `toml:"max_per_user"`
	// MaxPerConnection is how many a connection may have. Default 100.
	MaxPerConnection int `toml:"max_per_connection"`
	// MaxTotal is how many the server keeps. Default 200000.
	MaxTotal int `toml:"max_total"`
	// Queue is how many undelivered changes a live query may hold before its
	// slow-reader policy applies. Default 1024.
	Queue int `toml:"queue"`
	// QueueBytes is how many bytes they may have. Default 4MiB.
	QueueBytes Size `toml:"queue_bytes"`
	// PingInterval is between two protocol pings. Default 15s.
	PingInterval Duration `toml:"ping_interval"`
	// IdleTimeout closes a connection that stays silent. Default 45s.
	IdleTimeout Duration `toml:"idle_timeout"`
	// MaxLastRows bounds the initial rows of a live query. Default 10000.
	MaxLastRows int `toml:"max_last_rows"`
}

// Auth says whom the server believes.
type Auth struct {
	// JWTSecret is the HS256 key. Default: one that the server makes and
	// keeps in the data directory.
	JWTSecret string `toml:"jwt_secret" secret:"true"`
	// JWKSFile is a file of public keys.
	JWKSFile string `toml:"jwks_file"`
	// JWKSURL is where public keys are fetched.
	JWKSURL string `toml:"jwks_url"`
	// JWKSRefresh is how often the keys of jwks_url are fetched again. A key
	// that is not known is looked for at once. Default 15m.
	JWKSRefresh Duration `toml:"jwks_refresh"`
	// Issuer is the iss claim that tokens must have; empty: any.
	Issuer string `toml:"issuer"`
	// Audience is the aud claim that tokens must have; empty: any.
	Audience string `toml:"audience"`
	// Leeway is how far clocks may differ. Default 30s.
	Leeway Duration `toml:"leeway"`
	// RequireRegisteredUser refuses users that system.users does not hold.
	RequireRegisteredUser bool `toml:"require_registered_user"`
	// MaxFailures is how many failed attempts a minute an address may make
	// before its credentials are not looked at any more; 0: no limit.
	// Default 60.
	MaxFailures int `toml:"max_failures"`
	// LocalhostBypass lets this machine in without a token. Default true.
	LocalhostBypass bool `toml:"localhost_bypass"`
	// LocalhostUser is who it then is. Default system.
	LocalhostUser string `toml:"localhost_user"`
	// LocalhostRole is what it then may do. Default admin.
	LocalhostRole string `toml:"localhost_role"`
}

// RateLimit bounds what one user, one address and one connection may ask for.
type RateLimit struct {
	// Enabled turns the limits on. Default true.
	Enabled bool `toml:"enabled"`
	// QueriesPerSecond is for the HTTP requests of a user. Default 1000.
	QueriesPerSecond int `toml:"queries_per_second"`
	// Burst is how many requests of a user may come at once. Default 2000.
	Burst int `toml:"burst"`
	// AddressQueriesPerSecond is for the requests and handshakes that come
	// from an address, whoever sends them. Default 5000.
	AddressQueriesPerSecond int `toml:"address_queries_per_second"`
	// AddressBurst is how many of them may come at once. Default 10000.
	AddressBurst int `toml:"address_burst"`
	// MessagesPerSecond is for what a client sends on a WebSocket connection;
	// twice as many may come at once. Default 100.
	MessagesPerSecond int `toml:"messages_per_second"`
	// BypassExempt leaves out callers of the localhost bypass. Default true.
	BypassExempt bool `toml:"bypass_exempt"`
}

// API shapes answers.
type API struct {
	// ReportExecutionTime adds execution_time_ms to results. Default false.
	ReportExecutionTime bool `toml:"report_execution_time"`
}

// Log configures the log.
type Log struct {
	// Level is debug, info, warn or error. Default info.
	Level string `toml:"level"`
	// Format is text or json. Default text.
	Format string `toml:"format"`
	// File is where the log goes; empty: standard error.
	File string `toml:"file"`
	// MaxSize is when a new file is begun. Default 100MiB.
	MaxSize Size `toml:"max_size"`
	// MaxBackups is how many old files are kept. Default 5.
	MaxBackups int `toml:"max_backups"`
	// SizeInterval is how often the size of the data is logged; 0: at the start
	// only. Default 1h.
	SizeInterval Duration `toml:"size_interval"`
}

// Metrics configures /metrics.
type Metrics struct {
	// Enabled serves them. Default true.
	Enabled bool `toml:"enabled"`
	// Public serves them to everybody. Otherwise it takes a caller on this
	// machine, or credentials with the role service or admin. Default false.
	Public bool `toml:"public"`
}
