package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestDefaultsAreValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	cases := []struct {
		key    string
		change func(*Config)
	}{
		{"server.host", func(c *Config) { c.Server.Host = "" }},
		{"server.port", func(c *Config) { c.Server.Port = 70000 }},
		{"server.allowed_origins", func(c *Config) { c.Server.AllowedOrigins = []string{"example.org"} }},
		{"server.allowed_origins", func(c *Config) { c.Server.AllowedOrigins = []string{"https://example.org/app"} }},
		{"server.request_timeout", func(c *Config) { c.Server.RequestTimeout = 0 }},
		{"server.tls_key", func(c *Config) { c.Server.TLSCert = "a.pem" }},
		{"server.tls_cert", func(c *Config) { c.Server.TLSKey = "a.pem" }},
		{"server.pprof_addr", func(c *Config) { c.Server.PprofAddr = "0.0.0.0:6060" }},
		{"store.backend", func(c *Config) { c.Store.Backend = "sled" }},
		{"store.redis_url", func(c *Config) { c.Store.Backend = BackendRedis }},
		{"store.redis_prefix", func(c *Config) { c.Store.RedisPrefix = "a:b" }},
		{"store.badger.mem_table", func(c *Config) { c.Store.Badger.MemTable = KiB }},
		{"store.badger.value_log_file", func(c *Config) { c.Store.Badger.ValueLogFile = GiB }},
		{"storage.user_template", func(c *Config) { c.Storage.UserTemplate = "{namespace}/{tableName}" }},
		{"storage.user_template", func(c *Config) { c.Storage.UserTemplate = "{namespace}/{user}/{tableName}" }},
		{"storage.shared_template", func(c *Config) { c.Storage.SharedTemplate = "{namespace}/{tableName}/{userId" }},
		{"storage.shared_template", func(c *Config) { c.Storage.SharedTemplate = "{tableName}" }},
		{"flush.node_id", func(c *Config) { c.Flush.NodeID = 1024 }},
		{"live.idle_timeout", func(c *Config) { c.Live.IdleTimeout = c.Live.PingInterval }},
		{"auth.jwt_secret", func(c *Config) { c.Auth.JWTSecret = "short" }},
		{"auth.jwks_url", func(c *Config) { c.Auth.JWKSURL = "ftp://x/y" }},
		{"auth.jwks_url", func(c *Config) { c.Auth.JWKSURL, c.Auth.JWKSFile = "https://id.example/keys", "keys.json" }},
		{"auth.jwks_refresh", func(c *Config) { c.Auth.JWKSRefresh = 1 }},
		{"auth.max_failures", func(c *Config) { c.Auth.MaxFailures = -1 }},
		{"server.trusted_proxies", func(c *Config) { c.Server.TrustedProxies = []string{"10.0.0.0/8", "proxy"} }},
		{"query.max_concurrent", func(c *Config) { c.Query.MaxConcurrent = 0 }},
		{"rate_limit.address_burst", func(c *Config) { c.RateLimit.AddressBurst = 0 }},
		{"log.size_interval", func(c *Config) { c.Log.SizeInterval = -1 }},
		{"auth.localhost_role", func(c *Config) { c.Auth.LocalhostRole = "system" }},
		{"auth.localhost_user", func(c *Config) { c.Auth.LocalhostUser = "a\nb" }},
		{"log.level", func(c *Config) { c.Log.Level = "loud" }},
		{"query.total_memory_limit", func(c *Config) { c.Query.TotalMemoryLimit = 255 * MiB }},
		{"query.memory_limit", func(c *Config) { c.Query.MemoryLimit = 1 }},
	}
	for _, tc := range cases {
		c := Default()
		tc.change(&c)
		err := c.Validate()
		var key *KeyError
		if !errors.As(err, &key) || key.Key != tc.key {
			t.Errorf("%s: got %v", tc.key, err)
		}
		if err != nil && strings.Contains(err.Error(), "short") {
			t.Errorf("the secret is in the message: %v", err)
		}
	}
}

func TestValidateTellsEverything(t *testing.T) {
	c := Default()
	c.Server.Port, c.Log.Level = -1, "x"
	err := c.Validate()
	if err == nil || !strings.Contains(err.Error(), "server.port") || !strings.Contains(err.Error(), "log.level") {
		t.Fatalf("got %v", err)
	}
}

func TestDurationText(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "0s": 0, " 5m ": 5 * time.Minute,
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(in)); err != nil || d.Std() != want {
			t.Errorf("%q: %v %v", in, d, err)
		}
		var again Duration
		if b, _ := d.MarshalText(); again.UnmarshalText(b) != nil || again != d {
			t.Errorf("%q writes %s", in, b)
		}
	}
	for _, in := range []string{"", "30", "x", "9999999999d", "-1d", "1w"} {
		var d Duration
		if err := d.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q gave %v", in, d)
		}
	}
	for in, want := range map[Duration]string{Duration(5 * time.Minute): "5m", Duration(168 * time.Hour): "168h", Duration(90 * time.Minute): "1h30m"} {
		if in.String() != want {
			t.Errorf("%v, want %s", in, want)
		}
	}
}

func TestSizeText(t *testing.T) {
	for in, want := range map[string]Size{
		"16MiB": 16 * MiB, "1 gib": GiB, "5MB": 5e6, "100": 100, "7B": 7, "0": 0, "3kib": 3 * KiB, "2TB": 2e12,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%q: %v %v", in, s, err)
		}
		var again Size
		if b, _ := s.MarshalText(); again.UnmarshalText(b) != nil || again != s {
			t.Errorf("%q writes %s", in, b)
		}
	}
	for _, in := range []string{"", "MiB", "-1MiB", "1.5GiB", "9999999999TiB", "x"} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q gave %v", in, s)
		}
	}
}
