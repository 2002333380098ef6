package integration

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

var (
	soakRuns        = flag.Int("soak.runs", 50, "how many random runs the property test of live queries makes")
	soakSeed        = flag.Uint64("soak.seed", 0, "the (first) seed of random tests; 0 takes one from the clock")
	soakDisconnects = flag.Int("soak.disconnects", 100, "how often the connections are cut under ten writers")
)

// TestLiveQueriesEqualSelect is the property that live queries have (FR-156 to
// FR-165): whatever the table, the filters and the writers, and however often
// the network or the server goes away, a client that applies the messages ends
// in the state that SELECT gives, having seen no change twice and none out of
// order. Half of the clients are link's, half read the messages themselves.
//
// A failed run is repeated by -soak.seed; the writers' races are not.
func TestLiveQueriesEqualSelect(t *testing.T) {
	seed := randomSeed()
	server := harness.Start(t)
	proxy := harness.NewProxy(t, server)
	var total tally
	for i := range *soakRuns {
		s := seed + uint64(i)
		t.Run(fmt.Sprint("seed ", s), func(t *testing.T) {
			total.add(liveRun(t, server, proxy, s))
		})
		if t.Failed() {
			t.Fatalf("repeat with -run '^%s$' -soak.runs 1 -soak.seed %d", t.Name(), s)
		}
	}
	t.Logf("seeds %d to %d: %+v", seed, seed+uint64(*soakRuns)-1, total)
}

// randomSeed is -soak.seed, or else one from the clock.
func randomSeed() uint64 {
	if *soakSeed != 0 {
		return *soakSeed
	}
	return uint64(time.Now().UnixNano()) % 1_000_000_000
}

// tally counts what the runs were about.
type tally struct{ Subscriptions, Changes, Missed, Cuts, Kills, Flushes, Resyncs int }

func (a *tally) add(b tally) {
	a.Subscriptions += b.Subscriptions
	a.Changes += b.Changes
	a.Missed += b.Missed
	a.Cuts += b.Cuts
	a.Kills += b.Kills
	a.Flushes += b.Flushes
	a.Resyncs += b.Resyncs
}

// follower is a client with a model of one live query.
type follower struct {
	*model
	user    string
	columns string
	where   string
	tally   tally
	done    chan struct{}
}

// over tells whether the follower has given up.
func (f *follower) over() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// sql is the query that the follower watches.
func (f *follower) sql() string { return "SELECT " + f.columns + " FROM t" + f.where }

// newFollower starts to follow a random live query until the context ends: by
// link's client, or by the messages alone. An empty table may be followed
// without its rows.
func (w *world) newFollower(ctx context.Context, client *link.Client, user string, rng *rand.Rand, byLink, empty bool) *follower {
	w.t.Helper()
	f := &follower{user: user, done: make(chan struct{})}
	f.columns, f.where = w.query(rng)
	opts := []link.SubscribeOption{link.LastRows(-1)}
	if empty && !w.stream && rng.IntN(3) == 0 {
		opts = nil
	}
	switch rng.IntN(3) {
	case 0:
		opts = append(opts, link.ServerBuffer(1+rng.IntN(8)))
	case 1:
		opts = append(opts, link.Buffer(2+rng.IntN(8)))
	}
	if !byLink {
		f.model = newModel("raw "+user+" "+f.sql(), w.stream)
		raw := &rawFollower{follower: f, w: w, buffer: rng.IntN(3), token: harness.Token(w.t, user, "user")}
		go raw.follow(ctx)
		return f
	}
	f.model = newModel(fmt.Sprintf("link %s %s, %d options", user, f.sql(), len(opts)), w.stream)
	sub, err := client.Subscribe(ctx, f.sql(), opts...)
	if err != nil {
		w.t.Fatalf("%s: %v", f.sql(), err)
	}
	go f.follow(ctx, sub)
	return f
}

// liveRun makes one run.
func liveRun(t *testing.T, server *harness.Server, proxy *harness.Proxy, seed uint64) tally {
	rng := rand.New(rand.NewPCG(seed, 17))
	w := newWorld(t, server, proxy, rng, fmt.Sprintf("live_%d", seed))
	w.kills = rng.IntN(4) == 0 && !w.stream && harness.Durable()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Limit)
	defer cancel()
	following, stop := context.WithCancel(ctx)
	defer stop()

	var followers []*follower
	for _, user := range w.users {
		client := w.client(user, proxy.URL)
		defer client.Close()
		for i := range 2 + rng.IntN(4) {
			followers = append(followers, w.newFollower(following, client, user, rng, i%2 == 0, true))
		}
	}

	var writers sync.WaitGroup
	written := make(chan struct{})
	failed := make(chan error, 16)
	for _, user := range w.users {
		for range 1 + rng.IntN(2) {
			own := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
			writers.Go(func() {
				if err := w.write(ctx, own, user, 20+own.IntN(20)); err != nil {
					failed <- err
				}
			})
		}
	}
	go func() { writers.Wait(); close(written) }()
	total := w.disturb(ctx, rng, written)
	select {
	case err := <-failed:
		t.Fatalf("a writer: %v", err)
	default:
	}

	ending, stopEnding := context.WithTimeout(ctx, harness.Limit/12)
	defer stopEnding()
	w.finish(ending, followers)
	want := map[*follower]map[string]string{}
	for _, f := range followers {
		want[f] = w.selected(ctx, f)
	}
	stop()
	for _, f := range followers {
		<-f.done
		if f.ended.Load() == 0 {
			f.wrong("", "the end was not heard")
		}
		f.compare(want[f])
		if f.err != nil {
			t.Errorf("%s: %v", f.name, f.err)
		}
		f.tally.Subscriptions = 1
		total.add(f.tally)
	}
	// Refused while the server has not noticed the end of all connections.
	_, _ = w.admin.Exec(ctx, "DROP NAMESPACE "+w.ns+" CASCADE")
	return total
}

// disturb breaks the network, and the server if it may, at random points until
// the writers are done.
func (w *world) disturb(ctx context.Context, rng *rand.Rand, written <-chan struct{}) (out tally) {
	before := w.proxy.Cuts()
	killsLeft := 1 + rng.IntN(2)
	for {
		pause := time.NewTimer(time.Duration(1+rng.IntN(12)) * time.Millisecond)
		select {
		case <-written:
			pause.Stop()
			out.Cuts = w.proxy.Cuts() - before
			return out
		case <-pause.C:
		}
		switch n := rng.IntN(10); {
		case n < 6:
			w.proxy.Cut()
		case n < 7:
			w.proxy.Down()
			<-time.After(time.Duration(rng.IntN(10)) * time.Millisecond)
			w.proxy.Up()
		case n < 9:
			if _, err := w.admin.Exec(ctx, "FLUSH TABLE "+w.ns+".t"); err == nil {
				out.Flushes++
			}
		case w.kills && killsLeft > 0:
			killsLeft--
			out.Kills++
			w.server.Kill()
			w.server.Restart()
		}
	}
}

// finish inserts rows with negative keys, which every filter lets through,
// until each follower has heard the last of them as a live change: then it has
// heard everything.
func (w *world) finish(ctx context.Context, followers []*follower) {
	w.t.Helper()
	writers := map[string]*link.Client{}
	for _, u := range w.users {
		writers[u] = w.client(u, w.server.URL)
		defer writers[u].Close()
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	before := w.ends
	last := map[string]int64{} // of a user's rows
	for n := int64(1); ; n++ {
		waiting := map[string][]string{}
		for _, f := range followers {
			if heard := f.ended.Load(); (heard <= before || heard < last[f.user]) && !f.over() {
				waiting[f.user] = append(waiting[f.user], f.name)
			}
		}
		if len(waiting) == 0 {
			return
		}
		// Later ones are rarer: somebody may only be slow.
		if n&(n-1) == 0 || n%64 == 0 {
			for u := range waiting {
				w.ends++
				row := fmt.Sprintf("INSERT INTO t (k, mark, tag) VALUES (%d, %d, 'x')", -w.ends, w.marks.Add(1))
				if _, err := writers[u].Exec(ctx, row); err != nil {
					w.t.Fatalf("%s: %v", row, err)
				}
				last[u] = w.ends
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Errorf("the last row did not reach %v", waiting)
			return
		}
	}
}

// selected is what SELECT gives for a follower's query.
func (w *world) selected(ctx context.Context, f *follower) map[string]string {
	w.t.Helper()
	c := w.client(f.user, w.server.URL)
	defer c.Close()
	columns := f.columns
	if !w.stream {
		columns += ", _updated"
	}
	rows, err := c.Query(ctx, "SELECT "+columns+" FROM t"+f.where)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		r := rows.Record()
		key := string(r.Raw(0))
		if _, twice := out[key]; twice {
			w.t.Fatalf("SELECT gives row %s twice", key)
		}
		out[key] = text(r, w.stream)
	}
	if rows.Err() != nil {
		w.t.Fatal(rows.Err())
	}
	return out
}

// text writes a row down: its columns and, where the table has it, _updated.
func text(r *link.Record, stream bool) string {
	var b strings.Builder
	for i, c := range r.Columns() {
		if c.Name != "_deleted" && !(stream && c.Name == "_updated") {
			b.Write(r.Raw(i))
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// follow applies link's events until the context ends.
func (f *follower) follow(ctx context.Context, sub *link.Subscription) {
	defer close(f.done)
	defer sub.Close()
	for {
		e, err := sub.Next(ctx)
		switch {
		case errors.Is(err, context.Canceled):
			return
		case err != nil:
			f.wrong("", "the subscription ended: %v", err)
			return
		case e.Kind == link.EventResynced:
			f.tally.Resyncs++
			if link.CodeOf(e.Err) == link.CodeResyncRequired && !f.stream {
				f.wrong("", "the server does not know what was missed: %v", e.Err)
			}
			f.reset()
		case e.Kind == link.EventReconnecting, e.Kind == link.EventReconnected:
			f.note("%s", e.Kind)
		case e.Kind.HasRow():
			c := rowChange{kind: e.Kind, key: string(e.Row.Raw(0)), mark: string(e.Row.Raw(1)), row: text(e.Row, f.stream), seq: e.Seq, missed: e.CatchUp || e.Resync}
			if e.Old != nil {
				c.old, c.was = string(e.Old.Raw(0)), text(e.Old, f.stream)
			}
			f.step(c)
		}
	}
}

// step counts and applies a change.
func (f *follower) step(c rowChange) {
	f.tally.Changes++
	if c.missed {
		f.tally.Missed++
	}
	f.apply(c)
}

// rawFollower follows a live query by its messages alone, and makes a lost
// connection again by itself.
type rawFollower struct {
	*follower
	w      *world
	buffer int
	token  string

	begun  bool   // the initial rows are complete
	resume uint64 // everything up to it was applied
	ack    uint64
	last   uint64 // the sequence number of the last live message on this connection
	// catching is true while repeated changes may still come: only a live
	// message shows that there are no more.
	catching bool
}

func (f *rawFollower) follow(ctx context.Context) {
	defer close(f.done)
	for ctx.Err() == nil && f.err == nil {
		s, err := harness.Open(f.w.proxy.URL, http.Header{"Authorization": {"Bearer " + f.token}})
		if err != nil {
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		ended := context.AfterFunc(ctx, func() { _ = s.Close() })
		f.connection(s)
		ended()
		_ = s.Close()
	}
}

// connection subscribes and reads to the connection's end.
func (f *rawFollower) connection(s *harness.Socket) {
	o := &wire.SubscriptionOptions{}
	if f.buffer > 0 {
		o.Buffer = 4 * f.buffer
	}
	if f.begun {
		o.FromSeq = &f.resume
	} else {
		all := -1
		o.LastRows = &all
		f.reset()
	}
	f.repeated = f.catching
	f.catching = f.begun
	f.last = 0
	f.note("connect, from %d", f.resume)
	if s.Send(wire.ClientMessage{Subscriptions: []wire.Subscription{{ID: "s", SQL: f.sql(), NamespaceID: f.w.ns, Options: o}}}) != nil {
		return
	}
	for f.err == nil {
		m, err := s.Read()
		if err != nil {
			return
		}
		if !f.message(&m) {
			return
		}
	}
}

// message applies a message; false means that the subscription has ended and
// is to be made again.
func (f *rawFollower) message(m *wire.ServerMessage) bool {
	if m.SubscriptionID != "s" {
		f.wrong("", "a message about nobody: %+v", m)
		return false
	}
	switch m.Type {
	case wire.TypeSubscriptionAck:
		f.ack = m.Seq
		f.note("acknowledged at %d", m.Seq)
		if f.begun && m.Seq < f.resume {
			f.wrong("", "acknowledged at %d, resumed from %d", m.Seq, f.resume)
		}
	case wire.TypeInitialData:
		if f.begun || m.Seq != f.ack {
			f.wrong("", "initial rows at %d, begun %v, acknowledged at %d", m.Seq, f.begun, f.ack)
		}
		for i := range m.Rows {
			f.changed(m, i, link.EventInitial)
		}
		if m.Last {
			f.begun, f.resume = true, f.ack
		}
	case wire.TypeChange:
		f.changes(m)
	case wire.TypeSchema:
		f.note("the columns changed") // not those of this query
	case wire.TypeClosed:
		// The server is stopping or the reader was too slow: begin again.
		f.note("closed: %s", m.Reason)
		return false
	case wire.TypeError:
		if m.Code == string(link.CodeResyncRequired) && f.stream {
			f.tally.Resyncs++
			f.begun, f.catching = false, false
			return false
		}
		if m.Code == string(link.CodeStorageUnavailable) && f.w.kills {
			f.note("refused: %s", m.Message) // it is stopping
			return false
		}
		f.wrong("", "the server answers %+v", m)
	default:
		f.wrong("", "an unknown message: %+v", m)
	}
	return true
}

func (f *rawFollower) changes(m *wire.ServerMessage) {
	if !f.begun {
		f.wrong("", "a change before the end of the initial rows: %+v", m)
	}
	kind, ok := map[string]link.EventKind{"insert": link.EventInsert, "update": link.EventUpdate, "delete": link.EventDelete}[m.ChangeType]
	if !ok || len(m.Rows) == 0 {
		f.wrong("", "a change of kind %q with %d rows", m.ChangeType, len(m.Rows))
		return
	}
	missed := m.CatchUp || m.Resync
	if !missed {
		if m.Seq <= f.ack || m.Seq <= f.last {
			f.wrong("", "a change of sequence %d behind %d, acknowledged at %d", m.Seq, f.last, f.ack)
		}
		if kind != link.EventInsert && len(m.OldValues) != len(m.Rows) {
			f.wrong("", "%d rows with %d old values", len(m.Rows), len(m.OldValues))
		}
		f.last, f.catching, f.repeated = m.Seq, false, false
	} else {
		f.catching = true
		f.tally.Resyncs += map[bool]int{true: 1}[m.Resync]
	}
	for i := range m.Rows {
		f.changed(m, i, kind)
	}
	if !missed {
		f.resume = m.Seq
	}
}

// changed applies one row of a message.
func (f *rawFollower) changed(m *wire.ServerMessage, i int, kind link.EventKind) {
	c := rowChange{kind: kind, seq: m.Seq, missed: m.CatchUp || m.Resync}
	var ok bool
	if c.key, c.mark, c.row, ok = cells(m.Rows[i], f.stream); !ok {
		f.wrong("", "the row %s cannot be read", m.Rows[i])
		return
	}
	if i < len(m.OldValues) {
		if c.old, _, c.was, ok = cells(m.OldValues[i], f.stream); !ok {
			f.wrong("", "the old values %s cannot be read", m.OldValues[i])
			return
		}
	}
	f.step(c)
}

// cells writes a row of a message down as text does.
func cells(raw json.RawMessage, stream bool) (key, mark, row string, ok bool) {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", "", "", false
	}
	var b strings.Builder
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return "", "", "", false
		}
		var v json.RawMessage
		if d.Decode(&v) != nil {
			return "", "", "", false
		}
		switch name {
		case "k":
			key = string(v)
		case "mark":
			mark = string(v)
		case "_deleted":
			continue
		case "_updated":
			if stream {
				continue
			}
		}
		b.Write(v)
		b.WriteByte(' ')
	}
	return key, mark, b.String(), key != "" && mark != ""
}
