package harness

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/store/kv/rediskv/redistest"
)

// Backend is the backend of the servers that the harness starts.
func Backend() string {
	if b := os.Getenv("KALAM_BACKEND"); b != "" {
		return b
	}
	return config.BackendBadger
}

// Durable tells whether the backend keeps its data when its server ends.
func Durable() bool { return Backend() != config.BackendMemory }

// NeedDurable skips a test about what outlives a server, when nothing does.
func NeedDurable(t testing.TB) {
	t.Helper()
	if !Durable() {
		t.Skip("skipped: a database in memory ends with its server")
	}
}

// redis is the Redis server of this run, for the redis backend.
var redis struct {
	once   sync.Once
	server *redistest.Server
	err    error
	used   atomic.Int64
}

// backendEnv is the settings of a new server's backend. Without a redis-server
// the test is skipped.
func backendEnv(t testing.TB) []string {
	env := []string{"KALAMDB_STORE_BACKEND=" + Backend()}
	if Backend() != config.BackendRedis {
		return env
	}
	if _, err := redistest.Binary(); err != nil {
		t.Skipf("skipped: the redis backend, as there is no redis-server: %v", err)
	}
	redis.once.Do(func() { redis.server, redis.err = redistest.New() })
	if redis.err != nil {
		t.Fatal(redis.err)
	}
	return append(env,
		"KALAMDB_STORE_REDIS_URL="+redis.server.URL,
		fmt.Sprintf("KALAMDB_STORE_REDIS_PREFIX=test%d", redis.used.Add(1)))
}

// endRedis ends the Redis server.
func endRedis() {
	redis.once.Do(func() {})
	if redis.server != nil {
		redis.server.Close()
	}
}
