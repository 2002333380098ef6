package config

import "time"

// The path templates of cold files.
const (
	DefaultUserTemplate   = "{storageLocation}/{namespace}/users/{userId}/{tableName}/"
	DefaultSharedTemplate = "{storageLocation}/{namespace}/{tableName}/"
)

// Default is the configuration of a server that was told nothing. Data.Dir is
// empty: where it then lies depends on where the binary lies.
func Default() Config {
	const s, m, h = Duration(time.Second), Duration(time.Minute), Duration(time.Hour)
	return Config{
		Server: Server{
			Host: "127.0.0.1", Port: 8080, RequestTimeout: 30 * s, MaxBody: 16 * MiB,
			MaxConnections: 25_000, ShutdownTimeout: 30 * s, AllowedOrigins: []string{}, TrustedProxies: []string{},
		},
		Store: Store{
			Backend: BackendBadger, Sync: true, RedisPrefix: "kalamdb",
			Badger: Badger{
				MemTable: 8 * MiB, BlockCache: 8 * MiB, IndexCache: 8 * MiB, ValueLogFile: 32 * MiB,
				Compactors: 2, MinFree: 64 * MiB,
			},
		},
		Storage: Storage{
			DefaultLocation: "./data/storage", UserTemplate: DefaultUserTemplate,
			SharedTemplate: DefaultSharedTemplate, Sharding: "alphabetic",
		},
		Flush: Flush{
			DefaultInterval: 5 * m, DefaultRows: 10_000, Workers: 2, CheckInterval: s, MinRowsPerUser: 1,
		},
		Stream:    Stream{MaxBuffer: 10_000, EvictionInterval: s},
		Retention: Retention{DeletedRows: 168 * h, Jobs: 720 * h},
		Query:     Query{Timeout: 30 * s, MemoryLimit: 256 * MiB, PlanCacheSize: 1024, MaxConcurrent: 1024, MaxWait: 2 * s, Slow: s},
		Session:   Session{IdleTimeout: 30 * m, MaxSessions: 10_000, MaxCachedTables: 256},
		Live: Live{
			MaxPerUser: 100, MaxPerConnection: 100, MaxTotal: 200_000, Queue: 1024, QueueBytes: 4 * MiB,
			PingInterval: 15 * s, IdleTimeout: 45 * s, MaxLastRows: 10_000,
		},
		Auth: Auth{
			JWKSRefresh: 15 * m, Leeway: 30 * s, MaxFailures: 60, LocalhostBypass: true, LocalhostUser: "system", LocalhostRole: "admin",
		},
		RateLimit: RateLimit{
			Enabled: true, QueriesPerSecond: 1000, Burst: 2000, AddressQueriesPerSecond: 5000, AddressBurst: 10_000,
			MessagesPerSecond: 100, BypassExempt: true,
		},
		Log:     Log{Level: "info", Format: "text", MaxSize: 100 * MiB, MaxBackups: 5, SizeInterval: h},
		Metrics: Metrics{Enabled: true},
	}
}
