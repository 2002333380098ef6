package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
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

// plot is a table with the hands that work on it.
type plot struct {
	*world
	shared   bool
	random   []randomColumn
	hands    []*hand
	counters map[string]*additions // by user
	altering sync.RWMutex          // guards extras: who names them reads, who changes them writes
	extras   []extraColumn
}

// randomColumn is a column with the few values that it takes, in SQL, and the
// JSON that the server gives for them.
type randomColumn struct {
	column
	json map[string]string
	sql  map[string]string
}

// additions is what a row that many add to must be.
type additions struct{ sure, maybe atomic.Int64 }

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
	s.strikes = deck[func()]{rng: s.rng, all: slices.Concat(slices.Repeat([]func(){s.cut}, 12), []func(){s.pull, s.pull, s.kill, s.kill, s.stop})}
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

// plant makes a table with its hands.
func (s *soak) plant(ns, kind string, keyed bool, clauses string) {
	s.t.Helper()
	p := &plot{shared: kind == "SHARED", counters: map[string]*additions{}, world: &world{
		t: s.t, rng: s.fork(), server: s.server, proxy: s.proxy, admin: s.admin, ns: ns, keyed: keyed, kills: true, users: s.users,
		cols: []column{
			{name: "n", typ: "BIGINT", values: []string{"0", "1", "4", "7", "NULL"}},
			{name: "body", typ: "TEXT", values: []string{"'b'", "'series 1'", "'b5'", "NULL"}},
		},
	}}
	key := ""
	if keyed {
		key = " PRIMARY KEY"
	}
	def := fmt.Sprintf("CREATE NAMESPACE %s; CREATE %s TABLE %[1]s.t (k BIGINT NOT NULL%[3]s, mark BIGINT NOT NULL, tag TEXT, w INT NOT NULL DEFAULT -1, owner TEXT, n BIGINT, body TEXT", ns, kind, key)
	for i := range 1 + s.rng.IntN(3) {
		c := randomColumn{column: pick(s.rng, columnKinds), json: map[string]string{}, sql: map[string]string{}}
		c.name = fmt.Sprint("c", i)
		for _, v := range c.values {
			rows, err := s.admin.Batch(s.ctx, "SELECT CAST("+v+" AS "+c.typ+")")
			if err != nil {
				s.t.Fatal(err)
			}
			text := string(rows[0].Rows[0].Raw(0))
			c.json[v], c.sql[text] = text, v
		}
		p.random, p.cols = append(p.random, c), append(p.cols, c.column)
		def += ", " + c.name + " " + c.typ
	}
	access := ""
	if p.shared {
		access = " ACCESS open"
	}
	harness.Exec(s.t, s.admin, def+")"+clauses)
	harness.Exec(s.t, s.admin, fmt.Sprintf("CREATE %s TABLE %s.counters (id INT PRIMARY KEY, n BIGINT NOT NULL)%s", kind, ns, access))
	for i, u := range s.users {
		at := link.WithNamespace(ns)
		direct, cut := s.connect(u, false).With(at), s.connect(u, true).With(at)
		if p.shared && i > 0 {
			p.counters[u] = p.counters[s.users[0]]
		} else {
			p.counters[u] = &additions{}
			harness.Exec(s.t, direct, "INSERT INTO counters VALUES (1, 0)")
		}
		for n := range 3 {
			h := &hand{ledger: newLedger(), s: s, plot: p, user: u, no: int64(n + 1), rng: s.fork(), client: direct, direct: direct, limit: 150}
			if p.shared {
				h.no += int64(3 * i)
			}
			switch {
			case n == 0:
				h.limit = 1500
			case n == 2 && keyed:
				h.client, h.cut = cut, true
			}
			p.hands = append(p.hands, h)
		}
		s.askers = append(s.askers, &asker{s: s, plot: p, user: u, rng: s.fork(), client: direct})
	}
	s.plots = append(s.plots, p)
}

// columns are those of a record: the key and its text.
func (p *plot) columns() string {
	out := recordColumns
	for _, c := range p.random {
		out += ", " + c.name
	}
	return out
}

// partition are the hands whose rows a user sees.
func (p *plot) partition(user string) []*hand {
	if p.shared {
		return p.hands
	}
	return slices.DeleteFunc(slices.Clone(p.hands), func(h *hand) bool { return h.user != user })
}

func (p *plot) counter(user string) *additions { return p.counters[user] }

// insert is the statement that inserts a hand's rows.
func (p *plot) insert(h *hand, rows records) string {
	var b strings.Builder
	b.WriteString("INSERT INTO t (k, mark, tag, w, owner, n, body")
	for _, c := range p.random {
		b.WriteString(", " + c.name)
	}
	b.WriteString(") VALUES ")
	for i, k := range slices.Sorted(maps.Keys(rows)) {
		if i > 0 {
			b.WriteString(", ")
		}
		r := rows[k]
		n := fmt.Sprint(r.n)
		if r.null {
			n = "NULL"
		}
		fmt.Fprintf(&b, "(%d, %d, '%s', %d, '%s', %s, '%s'", k, r.mark, r.tag, h.no, h.user, n, r.body)
		for i, c := range p.random {
			b.WriteString(", " + c.sql[r.c[i]])
		}
		b.WriteByte(')')
	}
	return b.String()
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
			s.check("no faults")
		}
		s.server.Restart()
	})
	s.memory = nil
}

// check has the server's program verify the database.
func (s *soak) check(says string) {
	s.t.Helper()
	s.count("check")
	if out, code := s.server.Command("check"); code != 0 || !strings.Contains(out, says) {
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

// quiet compares everything while nobody works.
func (s *soak) quiet() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, harness.Limit)
	defer cancel()
	for _, p := range s.plots {
		var followers []*follower
		for f, d := range s.follows {
			if d.plot == p {
				followers = append(followers, f)
			}
		}
		p.finish(ctx, followers)
		for _, f := range followers {
			f.compare(p.selected(ctx, f))
			if f.over() && f.err == nil {
				f.wrong("", "it ended")
			}
			if f.err != nil {
				s.t.Errorf("%s: %s: %v", p.ns, f.name, f.err)
			}
			if d := s.follows[f]; d.rounds == 1 {
				d.stop()
				s.heard(f)
				delete(s.follows, f)
			} else {
				d.rounds--
				f.log = slices.Clone(f.log[max(0, len(f.log)-1000):])
			}
		}
		s.compare(ctx, p)
	}
	for _, b := range s.brooks {
		if err := b.finish(ctx); err != nil {
			s.t.Error(err)
		}
	}
	s.tidy()
	s.settled()
	s.memory = append(s.memory, s.heap())
}

// heap is what the server's process has in use, in bytes, without what the
// next collection frees.
func (s *soak) heap() float64 {
	s.t.Helper()
	res, err := http.Get("http://" + s.profiler + "/debug/pprof/heap?gc=1")
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, res.Body)
	if _ = res.Body.Close(); err != nil {
		s.t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return s.metrics()["go_memstats_heap_alloc_bytes"]
}

// grown tells whether the server's memory has grown while it was left alive.
func (s *soak) grown() bool {
	third := len(s.memory) / 3
	if third == 0 {
		return false
	}
	middle := func(list []float64) float64 {
		list = slices.Sorted(slices.Values(list))
		return list[len(list)/2]
	}
	return middle(s.memory[len(s.memory)-third:]) > 1.2*middle(s.memory[:third])+16e6
}

// heard adds up what a live query has heard.
func (s *soak) heard(f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts["change heard"] += f.tally.Changes
	s.counts["change heard that was missed"] += f.tally.Missed
	s.counts["resync"] += f.tally.Resyncs
}

// compare holds a table against what its hands know; without the rows that
// have ended the round.
func (s *soak) compare(ctx context.Context, p *plot) {
	s.t.Helper()
	for i, u := range p.users {
		c := p.client(u, s.server.URL)
		if !p.shared {
			harness.Exec(s.t, c, "DELETE FROM t WHERE k < 0")
		}
		var from []*page
		for _, h := range p.partition(u) {
			// What was possible once does not count now.
			h.is(h.may(h.rows()))
			from = append(from, h.sure.Load())
		}
		if err := p.compare(ctx, c, "t", u, p.partition(u), from); err != nil {
			s.t.Errorf("%s of %s: %v", p.ns, u, err)
		}
		if k := p.counter(u); !p.shared || i == 0 {
			n := harness.Query[int64](s.t, c, "SELECT n FROM counters WHERE id = 1")[0]
			if least, most := k.sure.Load(), k.sure.Load()+k.maybe.Load(); n < least || n > most {
				s.t.Errorf("%s of %s: %d to %d additions, and the sum is %d", p.ns, u, least, most, n)
			}
			k.sure.Store(n)
			k.maybe.Store(0)
		}
		_ = c.Close()
	}
}

// settled waits until the storage has the files of the server's lists and no
// other.
func (s *soak) settled() {
	s.t.Helper()
	var files int
	var listed float64
	for end := time.Now().Add(harness.Limit); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		listed, files = s.metrics()["kalamdb_cold_files"], 0
		err := filepath.WalkDir(filepath.Join(s.server.Dir, "storage"), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files++
			}
			return err
		})
		if files == int(listed) && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			return
		}
	}
	s.t.Errorf("the storage has %d files, and the server's lists %.0f", files, listed)
}

// end ends everybody, and finds that the server has let go of everything.
func (s *soak) end() {
	s.t.Helper()
	for f, d := range s.follows {
		d.stop()
		s.heard(f)
	}
	s.fail(nil) // the streams' listeners
	s.mu.Lock()
	for _, c := range s.clients {
		_ = c.Close()
	}
	s.mu.Unlock()
	kept := unreleased(s.metrics(), s.idle)
	for end := time.Now().Add(harness.Limit); len(kept) > 0 && time.Now().Before(end); kept = unreleased(s.metrics(), s.idle) {
		<-time.After(20 * time.Millisecond)
	}
	if len(kept) > 0 {
		s.t.Errorf("the server keeps what nobody uses: %s", strings.Join(kept, "; "))
	}
	admin := s.server.Admin(s.t)
	if left := harness.Query[string](s.t, admin, "SELECT live_id FROM system.live_queries"); len(left) > 0 {
		s.t.Errorf("live queries of nobody: %v", left)
	}
	s.t.Logf("seed %d: %d rounds in %v, %d cuts; %v", s.seed, s.rounds, time.Since(s.begun).Round(time.Second), s.proxy.Cuts(), s.counts)
	s.t.Logf("memory in the quiet since the last start: %.0f", s.memory)
	if *soakTime >= soakLong && s.grown() {
		s.t.Error("the server's memory grows")
	}

	// All is whole when the server has ended, and when all tables are dropped
	// nothing is left that no list has.
	s.server.Stop()
	s.check("no faults")
	s.server.Restart()
	for _, ns := range []string{sideNamespace, streamNamespace} {
		harness.Exec(s.t, admin, "DROP NAMESPACE "+ns+" CASCADE")
	}
	for _, p := range s.plots {
		harness.Exec(s.t, admin, "DROP NAMESPACE "+p.ns+" CASCADE")
	}
	s.settled()
	s.server.Stop()
	s.check("no faults\n")
}
