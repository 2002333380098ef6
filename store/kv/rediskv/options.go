package rediskv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options says where a database is kept and how. The zero value of each field
// but URL means its default.
type Options struct {
	// URL is redis://user:password@host:port/db, rediss:// for TLS, or
	// unix://user:password@path?db=0.
	URL string
	// Prefix begins the names of all keys, so that a Redis database may hold
	// other things too: letters, digits, '_', '-' and '.'. Default "kalamdb".
	Prefix string
	// Owner identifies whoever opens the database: after a crash the same owner
	// need not wait for its own lease. The caller makes sure that there is one
	// process with it. Default: a new one each time.
	Owner string
	// NoSync accepts a Redis that acknowledges writes before they are on its
	// disk.
	NoSync bool
	// Lease is how long the database stays taken after its owner was heard of
	// for the last time. Default 10 s.
	Lease time.Duration
	// RetryFor is how long a call tries to reach a Redis that does not answer.
	// Default 2 s.
	RetryFor time.Duration
	// CallTimeout bounds one exchange with Redis, also of the largest batch.
	// Default 30 s.
	CallTimeout time.Duration
	// MaxBatch is the size in bytes of the largest batch. Redis does nothing
	// else while it applies one. Default 64 MiB.
	MaxBatch int64
	// Logger gets news of the connection. Default slog.Default().
	Logger *slog.Logger
}

func init() { redis.SetLogger(clientLog{}) }

// clientLog lets through what the client library says only where somebody
// looks closely: this package logs what matters of it by itself.
type clientLog struct{}

func (clientLog) Printf(ctx context.Context, format string, args ...any) {
	slog.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, args...))
}

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// withDefaults fills and checks the options.
func (o Options) withDefaults() (Options, *redis.Options, error) {
	if o.URL == "" {
		return o, nil, errors.New("open redis: no URL is set")
	}
	ro, err := redis.ParseURL(o.URL)
	if err != nil {
		// The error may quote the URL, which may hold a password.
		return o, nil, errors.New("open redis: the URL is none of redis://, rediss:// and unix://, or is malformed")
	}
	if o.Prefix == "" {
		o.Prefix = "kalamdb"
	}
	if !validPrefix.MatchString(o.Prefix) {
		return o, nil, fmt.Errorf("open redis: the prefix %q holds more than letters, digits, '_', '-' and '.', or more than 64 of them", o.Prefix)
	}
	if o.Lease == 0 {
		o.Lease = 10 * time.Second
	}
	if o.Lease < 100*time.Millisecond {
		return o, nil, fmt.Errorf("open redis: a lease of %v is below the least, 100ms", o.Lease)
	}
	if o.RetryFor == 0 {
		o.RetryFor = 2 * time.Second
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = 30 * time.Second
	}
	if o.MaxBatch == 0 {
		o.MaxBatch = 64 << 20
	}
	if o.MaxBatch < 1<<20 || o.MaxBatch > 256<<20 {
		return o, nil, fmt.Errorf("open redis: MaxBatch of %d bytes is not between 1 MiB and 256 MiB", o.MaxBatch)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	// The backend repeats by itself: it knows what may be repeated.
	ro.MaxRetries = -1
	ro.DialerRetries = 1
	ro.DialTimeout = min(2*time.Second, o.CallTimeout)
	ro.ReadTimeout, ro.WriteTimeout = o.CallTimeout, o.CallTimeout
	ro.ContextTimeoutEnabled = true
	ro.ClientName = "kalamdb"
	ro.DisableIdentity = true
	return o, ro, nil
}
