package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
)

// KeyError is a value that is not allowed.
type KeyError struct {
	// Key is section.field.
	Key    string
	Reason string
}

// Error names the key and says what is wrong with its value.
func (e *KeyError) Error() string { return e.Key + ": " + e.Reason }

// MinSecretLen is how many bytes a configured HS256 secret has at least: a
// shorter one can be found by trying (RFC 7518, section 3.2).
const MinSecretLen = 32

// MinJWKSRefresh is the shortest time between two scheduled fetches of keys.
const MinJWKSRefresh = 10 * time.Second

// ParseNetwork reads an address or a network in CIDR notation; an address is a
// network of one.
func ParseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, err
	}
	return p.Masked(), nil
}

// Validate checks every value, and those that depend on each other. All that
// is wrong comes joined, each as a *KeyError.
func (c *Config) Validate() error {
	v := &checker{}
	c.Server.check(v)
	c.Store.check(v)
	c.Storage.check(v)

	v.positive("flush.default_interval", c.Flush.DefaultInterval)
	v.atLeast("flush.default_rows", c.Flush.DefaultRows, 1)
	v.between("flush.workers", int64(c.Flush.Workers), 1, 256)
	v.positive("flush.check_interval", c.Flush.CheckInterval)
	v.atLeast("flush.min_rows_per_user", c.Flush.MinRowsPerUser, 1)
	v.between("flush.node_id", int64(c.Flush.NodeID), 0, 1023)

	v.atLeast("stream.max_buffer", int64(c.Stream.MaxBuffer), 1)
	v.positive("stream.eviction_interval", c.Stream.EvictionInterval)
	v.notNegative("retention.deleted_rows", c.Retention.DeletedRows)
	v.notNegative("retention.jobs", c.Retention.Jobs)

	v.positive("query.timeout", c.Query.Timeout)
	v.size("query.memory_limit", c.Query.MemoryLimit, MiB)
	if t := c.Query.TotalMemoryLimit; t != 0 && t < c.Query.MemoryLimit {
		v.fail("query.total_memory_limit", "is %s, less than query.memory_limit, %s", t, c.Query.MemoryLimit)
	}
	v.between("query.parallelism", int64(c.Query.Parallelism), 0, 1024)
	v.atLeast("query.plan_cache_size", int64(c.Query.PlanCacheSize), 0)
	v.atLeast("query.max_concurrent", int64(c.Query.MaxConcurrent), 1)
	v.between("query.max_running", int64(c.Query.MaxRunning), 0, 1<<16)
	v.positive("query.max_wait", c.Query.MaxWait)
	v.notNegative("query.slow", c.Query.Slow)

	v.positive("session.idle_timeout", c.Session.IdleTimeout)
	v.atLeast("session.max_sessions", int64(c.Session.MaxSessions), 1)
	v.atLeast("session.max_cached_tables", int64(c.Session.MaxCachedTables), 1)

	c.Live.check(v)
	c.Auth.check(v)

	v.atLeast("rate_limit.queries_per_second", int64(c.RateLimit.QueriesPerSecond), 1)
	v.atLeast("rate_limit.burst", int64(c.RateLimit.Burst), 1)
	v.atLeast("rate_limit.address_queries_per_second", int64(c.RateLimit.AddressQueriesPerSecond), 1)
	v.atLeast("rate_limit.address_burst", int64(c.RateLimit.AddressBurst), 1)
	v.atLeast("rate_limit.messages_per_second", int64(c.RateLimit.MessagesPerSecond), 1)

	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "text", "json")
	v.size("log.max_size", c.Log.MaxSize, 64*KiB)
	v.atLeast("log.max_backups", int64(c.Log.MaxBackups), 0)
	v.notNegative("log.size_interval", c.Log.SizeInterval)
	return errors.Join(v.errs...)
}

func (s *Server) check(v *checker) {
	if s.Host == "" {
		v.fail("server.host", "is empty; use 127.0.0.1 for this machine alone or 0.0.0.0 for everybody")
	}
	v.between("server.port", int64(s.Port), 0, 65535)
	for _, o := range s.AllowedOrigins {
		if err := checkOrigin(o); err != nil {
			v.fail("server.allowed_origins", "%q %v", o, err)
		}
	}
	for _, p := range s.TrustedProxies {
		if _, err := ParseNetwork(p); err != nil {
			v.fail("server.trusted_proxies", "%q is neither an address nor a network such as 10.0.0.0/8", p)
		}
	}
	v.positive("server.request_timeout", s.RequestTimeout)
	v.size("server.max_body", s.MaxBody, KiB)
	v.atLeast("server.max_connections", int64(s.MaxConnections), 1)
	v.notNegative("server.shutdown_timeout", s.ShutdownTimeout)
	if (s.TLSCert == "") != (s.TLSKey == "") {
		missing := "server.tls_key"
		if s.TLSCert == "" {
			missing = "server.tls_cert"
		}
		v.fail(missing, "is empty; TLS needs both tls_cert and tls_key")
	}
	if s.PprofAddr != "" {
		host, _, err := net.SplitHostPort(s.PprofAddr)
		ip, ipErr := netip.ParseAddr(host)
		if err != nil || host != "localhost" && (ipErr != nil || !ip.IsLoopback()) {
			v.fail("server.pprof_addr", "%q is not a loopback address with a port, such as 127.0.0.1:6060", s.PprofAddr)
		}
	}
}

func checkOrigin(o string) error {
	if o == "*" {
		return nil
	}
	u, err := url.Parse(o)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return errors.New("is not an origin: write scheme://host or scheme://host:port without a path, or *")
	}
	return nil
}

func (s *Store) check(v *checker) {
	v.oneOf("store.backend", s.Backend, BackendBadger, BackendMemory, BackendRedis)
	if s.Backend == BackendRedis && s.RedisURL == "" {
		v.fail("store.redis_url", "is empty; the redis backend needs it, for instance redis://127.0.0.1:6379/0")
	}
	v.redisPrefix("store.redis_prefix", s.RedisPrefix)
	v.size("store.badger.mem_table", s.Badger.MemTable, 8*MiB)
	v.size("store.badger.block_cache", s.Badger.BlockCache, MiB)
	v.size("store.badger.index_cache", s.Badger.IndexCache, MiB)
	v.size("store.badger.value_log_file", s.Badger.ValueLogFile, 32*MiB)
	if s.Badger.ValueLogFile >= GiB {
		v.fail("store.badger.value_log_file", "is %v; it must be below 1GiB", s.Badger.ValueLogFile)
	}
	v.between("store.badger.compactors", int64(s.Badger.Compactors), 2, 256)
	v.size("store.badger.min_free", s.Badger.MinFree, MiB)
}

func (s *Storage) check(v *checker) {
	if s.DefaultLocation == "" {
		v.fail("storage.default_location", "is empty")
	}
	v.template("storage.user_template", s.UserTemplate, true)
	v.template("storage.shared_template", s.SharedTemplate, false)
	v.oneOf("storage.sharding", s.Sharding, "alphabetic")
}

func (l *Live) check(v *checker) {
	v.atLeast("live.max_per_user", int64(l.MaxPerUser), 1)
	v.atLeast("live.max_per_connection", int64(l.MaxPerConnection), 1)
	v.atLeast("live.max_total", int64(l.MaxTotal), 1)
	v.atLeast("live.queue", int64(l.Queue), 1)
	v.size("live.queue_bytes", l.QueueBytes, KiB)
	v.positive("live.ping_interval", l.PingInterval)
	v.positive("live.idle_timeout", l.IdleTimeout)
	if l.IdleTimeout <= l.PingInterval {
		v.fail("live.idle_timeout", "is %v; it must be longer than live.ping_interval (%v), or every quiet connection is closed", l.IdleTimeout, l.PingInterval)
	}
	v.atLeast("live.max_last_rows", int64(l.MaxLastRows), 1)
}

func (a *Auth) check(v *checker) {
	if n := len(a.JWTSecret); n > 0 && n < MinSecretLen {
		v.fail("auth.jwt_secret", "has %d bytes; at least %d are needed, for instance the output of: openssl rand -base64 48", n, MinSecretLen)
	}
	if a.JWKSURL != "" {
		if u, err := url.Parse(a.JWKSURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			v.fail("auth.jwks_url", "%q is not an http or https URL", a.JWKSURL)
		}
	}
	if a.JWKSFile != "" && a.JWKSURL != "" {
		v.fail("auth.jwks_url", "is set beside auth.jwks_file; keys come from one of them")
	}
	if a.JWKSRefresh < Duration(MinJWKSRefresh) {
		v.fail("auth.jwks_refresh", "is %v; it must be at least %v", a.JWKSRefresh, MinJWKSRefresh)
	}
	v.notNegative("auth.leeway", a.Leeway)
	v.atLeast("auth.max_failures", int64(a.MaxFailures), 0)
	if _, err := ident.ParseUserID(a.LocalhostUser); err != nil {
		v.fail("auth.localhost_user", "%q is not a user id", a.LocalhostUser)
	}
	if _, err := ident.ParseRole(a.LocalhostRole); err != nil {
		v.fail("auth.localhost_role", "%q is none of user, service, admin", a.LocalhostRole)
	}
}

type checker struct{ errs []error }

func (v *checker) fail(key, format string, args ...any) {
	v.errs = append(v.errs, &KeyError{Key: key, Reason: fmt.Sprintf(format, args...)})
}

func (v *checker) atLeast(key string, n, least int64) {
	if n < least {
		v.fail(key, "is %d; it must be at least %d", n, least)
	}
}

func (v *checker) between(key string, n, least, most int64) {
	if n < least || n > most {
		v.fail(key, "is %d; it must be %d to %d", n, least, most)
	}
}

func (v *checker) size(key string, n, least Size) {
	if n < least {
		v.fail(key, "is %v; it must be at least %v", n, least)
	}
}

func (v *checker) positive(key string, d Duration) {
	if d <= 0 {
		v.fail(key, "is %v; it must be more than 0", d)
	}
}

func (v *checker) notNegative(key string, d Duration) {
	if d < 0 {
		v.fail(key, "is %v; it must not be negative", d)
	}
}

func (v *checker) oneOf(key, val string, allowed ...string) {
	for _, a := range allowed {
		if val == a {
			return
		}
	}
	v.fail(key, "is %q; it must be one of: %s", val, strings.Join(allowed, ", "))
}

// redisPrefix checks what the names of keys begin with.
func (v *checker) redisPrefix(key, val string) {
	ok := len(val) > 0 && len(val) <= 64
	for _, c := range []byte(val) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.')
	}
	if !ok {
		v.fail(key, "is %q; it must be 1 to 64 letters, digits, '_', '-' or '.'", val)
	}
}

// templateVariables are what a path template may name.
var templateVariables = []string{"storageLocation", "namespace", "userId", "tableName", "shard"}

// template checks a path template's variables; their values are escaped when
// it is filled in.
func (v *checker) template(key, tmpl string, user bool) {
	rest := tmpl
	for {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		known := false
		for _, k := range templateVariables {
			known = known || k == name
		}
		if !closed || !known {
			v.fail(key, "has the unknown variable {%s}; there are {%s}", name, strings.Join(templateVariables, "}, {"))
			return
		}
		rest = tail
	}
	for _, need := range []string{"{namespace}", "{tableName}"} {
		if !strings.Contains(tmpl, need) {
			v.fail(key, "does not hold %s, so that different tables would share a folder", need)
		}
	}
	if user && !strings.Contains(tmpl, "{userId}") {
		v.fail(key, "does not hold {userId}, so that different users would share a folder")
	}
	if !user && strings.Contains(tmpl, "{userId}") {
		v.fail(key, "holds {userId}, but a shared table's files have no user")
	}
}
