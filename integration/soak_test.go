package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/integration/stress"
	"github.com/kalamdb/kalamdb/link"
)

var soakTime = flag.Duration("soak.time", 2*time.Second, "how long TestSoak mixes everything that a server does")

const (
	sideNamespace     = "soak_side"
	streamNamespace   = "soak_stream"
	restoredNamespace = "soak_restored_"
	// soakLong is from when on the soak's rounds are long, and memory counts.
	soakLong = 2 * time.Minute
)

// TestSoak mixes at random everything that a server does and suffers: writers
// of every kind of statement, readers, live queries, flushes, compactions,
// changes of tables, backups and restores, connections that are cut, kill -9
// and SIGTERM. Everybody who writes knows what must be there, and all that is
// read is held against that: no acknowledged change is lost, none is made or
// heard of twice, nobody sees another user's rows; in the end the server holds
// nothing that nobody uses, and its files are those that it knows.
//
// It works in rounds. In the quiet between two of them each table is compared
// as a whole, and each live query with its SELECT.
//
// -soak.seed repeats what is done, though not the races.
func TestSoak(t *testing.T) {
	harness.NeedDurable(t)
	s := newSoak(t, randomSeed())
	for n := 0; !s.over(); n++ {
		s.round()
		s.judge("in round %d", n)
		s.quiet()
		s.judge("in the quiet after round %d", n)
	}
	s.end()
	s.judge("in the end")
}

// soak is a server and all who work with it.
type soak struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	server  *harness.Server
	proxy   *harness.Proxy
	admin   *link.Client
	backups string
	begun   time.Time
	ctx     context.Context
	fail    context.CancelCauseFunc
	idle    stress.Metrics // before the first client
	memory  []float64      // in the quiet, since the last start

	profiler string // its address

	users   []string
	plots   []*plot
	brooks  []*brook
	clients []*link.Client
	keepers []*keeper
	askers  []*asker
	// follows has the live queries and how to end them.
	follows map[*follower]*followed
	strikes deck[func()]

	starts     atomic.Int64 // of the server
	rounds     int
	away, torn atomic.Int64 // until when, in Unix nanoseconds, the server and the proxy excuse errors

	mu     sync.Mutex // guards counts
	counts map[string]int
}

// followed is a live query that may go on over several rounds.
type followed struct {
	plot   *plot
	stop   context.CancelFunc
	rounds int // left
}

func newSoak(t *testing.T, seed uint64) *soak {
	t.Helper()
	s := &soak{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 23)), backups: t.TempDir(),
		users: []string{"ada", "bob"}, follows: map[*follower]*followed{}, counts: map[string]int{}}
	t.Logf("seed %d", seed)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.profiler = l.Addr().String()
	_ = l.Close()
	s.server = harness.Start(t, "KALAMDB_SERVER_PPROF_ADDR="+s.profiler, "KALAMDB_RETENTION_DELETED_ROWS=30s", "KALAMDB_FLUSH_CHECK_INTERVAL=200ms", "KALAMDB_QUERY_MAX_WAIT=20s")
	s.proxy = harness.NewProxy(t, s.server)
	s.idle = s.metrics()
	ctx, cancel := context.WithCancelCause(context.Background())
	t.Cleanup(func() { cancel(nil) })
	s.ctx, s.fail = ctx, cancel
	s.admin = s.connect("", false)
	harness.Exec(t, s.admin, "CREATE NAMESPACE "+sideNamespace)
	harness.Exec(t, s.admin, fmt.Sprintf("CREATE NAMESPACE %s; CREATE STREAM TABLE %[1]s.t (k BIGINT NOT NULL, owner TEXT) TTL %d", streamNamespace, streamTTL/time.Second))
	s.plant("soak_plain", "USER", true, "")
	s.plant("soak_flushed", "USER", true, " FLUSH INTERVAL 1s ROW_THRESHOLD 300")
	s.plant("soak_unkeyed", "USER", false, " FLUSH ROW_THRESHOLD 500")
	s.plant("soak_shared", "SHARED", true, " FLUSH ROW_THRESHOLD 400 ACCESS open")
	for _, u := range s.users {
		b := newBrook(s, u)
		s.brooks = append(s.brooks, b)
		sub, err := s.connect(u, true).With(link.WithNamespace(streamNamespace)).Subscribe(ctx, "SELECT k, owner FROM t", link.LastRows(-1))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if err := b.listen(ctx, sub); err != nil {
				s.fail(err)
			}
		}()
	}
	s.keepers = []*keeper{newKeeper(s, "a", true), newKeeper(s, "b", false)}
	s.begun = time.Now()
	cuts := 3
	if *soakTime >= soakLong {
		cuts = 6
	}
	s.strikes = deck[func()]{rng: s.rng, all: slices.Concat(slices.Repeat([]func(){s.cut}, cuts), []func(){s.pull, s.kill, s.stop})}
	return s
}

// fork makes a source of randomness for one goroutine.
func (s *soak) fork() *rand.Rand { return rand.New(rand.NewPCG(s.rng.Uint64(), s.rng.Uint64())) }

// connect makes a client of a user, "" being the administrator. The end closes
// it.
func (s *soak) connect(user string, proxied bool) *link.Client {
	opts := []link.Option{link.WithBackoff(link.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond})}
	if user != "" {
		opts = append(opts, link.WithToken(harness.Token(s.t, user, "user")))
	}
	url := s.server.URL
	if proxied {
		url = s.proxy.URL
	}
	c, err := link.New(url, opts...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = append(s.clients, c)
	return c
}

// count counts what was done.
func (s *soak) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

func (s *soak) metrics() stress.Metrics {
	s.t.Helper()
	m, err := stress.Scrape(s.t.Context(), s.server.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

func (s *soak) over() bool { return time.Since(s.begun) >= *soakTime }

// late tells whether the server is to be left alive, so that its memory can be
// watched.
func (s *soak) late() bool { return *soakTime >= soakLong && time.Since(s.begun) > *soakTime*4/5 }

// judge ends the test when something went wrong.
func (s *soak) judge(where string, args ...any) {
	s.t.Helper()
	if context.Cause(s.ctx) != context.Canceled && s.ctx.Err() != nil {
		s.t.Errorf("%s, after %v: %v", fmt.Sprintf(where, args...), time.Since(s.begun).Round(time.Second), context.Cause(s.ctx))
	}
	for line := range strings.Lines(s.server.Log()) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") {
			s.t.Errorf("the server says: %.2000s", line)
			break
		}
	}
	if s.t.Failed() {
		s.t.Fatalf("repeat with -run '^%s$' -soak.time %v -soak.seed %d", s.t.Name(), *soakTime, s.seed)
	}
}

// strikeSlack is how long after a strike errors are still due to it.
const strikeSlack = 3 * time.Second

// excuses tells whether an error is one that a client may get because the
// server or its connection goes away.
func (s *soak) excuses(err error, proxied bool) bool {
	switch link.CodeOf(err) {
	case "", link.CodeStorageUnavailable, link.CodeCancelled:
	default:
		return false
	}
	var malformed *link.ProtocolError
	if errors.As(err, &malformed) {
		return false
	}
	now := time.Now().UnixNano()
	return now < s.away.Load() || proxied && now < s.torn.Load()
}

// strike does something to the server or the proxy, which excuses errors.
func strike(until *atomic.Int64, do func()) {
	until.Store(time.Now().Add(harness.Limit).UnixNano())
	do()
	until.Store(time.Now().Add(strikeSlack).UnixNano())
}

// cut resets all connections through the proxy.
func (s *soak) cut() { strike(&s.torn, s.proxy.Cut) }

// pull takes the proxy away for a moment.
func (s *soak) pull() {
	s.count("network away")
	strike(&s.torn, func() {
		s.proxy.Down()
		<-time.After(time.Duration(s.rng.IntN(100)) * time.Millisecond)
		s.proxy.Up()
	})
}

func (s *soak) kill() { s.restart("kill -9", s.server.Kill) }

// stop leaves files at most that the next start deletes, when somebody read
// them until now.
func (s *soak) stop() { s.restart("SIGTERM", s.server.Stop) }

// restart ends the server and starts it again; now and then what it has left
// is verified in between.
func (s *soak) restart(how string, end func()) {
	s.t.Helper()
	if s.late() {
		s.cut()
		return
	}
	s.count(how)
	strike(&s.away, func() {
		end()
		s.starts.Add(1)
		if s.rng.IntN(4) == 0 {
			s.check()
		}
		s.server.Restart()
	})
	s.memory = nil
}

// check has the server's program verify the database.
func (s *soak) check() {
	s.t.Helper()
	s.count("check")
	if out, code := s.server.Command("check"); code != 0 {
		s.t.Errorf("check: %d\n%s", code, out)
		s.fail(errors.New("check has found something"))
	}
}

// round lets everybody work, and strikes.
func (s *soak) round() {
	s.t.Helper()
	s.rounds++
	stopping := make(chan struct{})
	var wg sync.WaitGroup
	begin := func(work func(context.Context, <-chan struct{}) error) {
		wg.Go(func() {
			if err := work(s.ctx, stopping); err != nil {
				s.fail(err)
			}
		})
	}
	s.follow()
	for _, p := range s.plots {
		for _, h := range p.hands {
			begin(h.work)
		}
	}
	for _, a := range s.askers {
		begin(a.work)
	}
	for _, b := range s.brooks {
		begin(b.work)
	}
	for _, k := range s.keepers {
		begin(k.work)
	}
	length, pause := time.Second+time.Duration(s.rng.IntN(1000))*time.Millisecond, 150
	if *soakTime >= soakLong {
		length, pause = 10*length, 800
	}
	length = min(length, *soakTime-time.Since(s.begun)+500*time.Millisecond)
	for end := time.Now().Add(length); time.Now().Before(end) && s.ctx.Err() == nil; {
		select {
		case <-time.After(time.Duration(10+s.rng.IntN(pause)) * time.Millisecond):
		case <-s.ctx.Done():
		}
		if s.rng.IntN(4) == 0 {
			s.follow()
		}
		s.strikes.deal()()
	}
	close(stopping)
	wg.Wait()
}

// livePerPlot is how many live queries of a table there are.
const livePerPlot = 6

// follow makes live queries until there are enough.
func (s *soak) follow() {
	s.t.Helper()
	for _, p := range s.plots {
		if p.shared {
			continue
		}
		n := 0
		for _, f := range s.follows {
			if f.plot == p {
				n++
			}
		}
		for ; n < livePerPlot; n++ {
			user := pick(s.rng, s.users)
			ctx, stop := context.WithCancel(s.ctx)
			c := p.client(user, s.proxy.URL)
			f := p.newFollower(ctx, c, user, s.rng, s.rng.IntN(2) == 0, false)
			s.follows[f] = &followed{plot: p, stop: func() { stop(); <-f.done; _ = c.Close() }, rounds: 1 + s.rng.IntN(3)}
			s.count("live query")
		}
	}
}
