package live

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// client is a model of a program that keeps a screen up to date: it applies
// what arrives to a map and complains about everything that does not fit.
type client struct {
	db     *database
	user   ident.UserID
	plan   *Plan
	onSlow OnSlow
	buffer int
	rng    *rand.Rand

	sub     *Subscription
	state   map[int64]sqltype.Row
	last    change.Seq // everything up to here is in state
	read    change.Seq // of the last message
	initial bool       // initial rows are still coming
	rows    uint64

	resyncs, resumes int
}

// connect subscribes: from scratch, or where the client was before.
func (c *client) connect() error {
	sp := spec(c.user, c.plan)
	sp.OnSlow, sp.Buffer = c.onSlow, c.buffer
	s, err := c.db.hub.Register(sp)
	if err != nil {
		return err
	}
	for range c.rng.IntN(20) {
		runtime.Gosched() // changes arrive before the snapshot
	}
	rows, seq := c.db.snapshot(c.user)
	st := Start{Seq: seq}
	if c.state == nil {
		c.state = make(map[int64]sqltype.Row)
		c.initial, c.last = true, seq
		st.Initial = c.db.read(c.plan, rows, false, 0)
	} else {
		c.resumes++
		st.CatchUp = c.db.read(c.plan, rows, true, c.last)
	}
	for range c.rng.IntN(20) {
		runtime.Gosched()
	}
	c.sub, c.rows, c.read = s, 0, c.last
	var closed *Closed
	if err := s.Start(st); err != nil && !errors.As(err, &closed) {
		return err
	}
	return nil
}

func (c *client) apply(m Message) error {
	if m.Kind == Initial {
		if !c.initial {
			return errors.New("initial rows behind the last part or a change")
		}
		for _, r := range m.Rows {
			c.state[r[0].Int()] = r
		}
		c.initial = !m.Last
		return nil
	}
	if c.initial {
		// A killed subscription may end within its initial rows; then the
		// client starts from scratch. A change must not come there.
		return errors.New("a change in front of the initial rows")
	}
	if m.Seq <= c.last || m.first() <= c.last || m.Seq < c.read {
		return fmt.Errorf("%s behind %d, %d", show(m), c.last, c.read)
	}
	if len(m.Rows) != len(m.seqs) && !m.Resync && !m.CatchUp {
		return errors.New("rows without a sequence number")
	}
	// What is read again has a number to resume from when all of it is there.
	if c.read = m.Seq; m.Last || !m.CatchUp && !m.Resync {
		c.last = m.Seq
	}
	c.rows += uint64(len(m.Rows))
	if m.Resync {
		c.resyncs++
	}
	for i, r := range m.Rows {
		id := r[0].Int()
		before := id
		if m.Old != nil {
			before = m.Old[i][0].Int()
		}
		have, ok := c.state[before]
		if !m.Resync && !m.CatchUp {
			if ok != (m.Kind != Insert) {
				return fmt.Errorf("%s, and the row is there: %t", show(m), ok)
			}
			if ok && !slices.EqualFunc(have, m.Old[i], sqltype.Equal) {
				return fmt.Errorf("%s, but the row was %v", show(m), have)
			}
		}
		if delete(c.state, before); m.Kind != Delete {
			c.state[id] = r
		}
	}
	return nil
}

// run reads until stop is set and nothing more comes.
func (c *client) run(stop *atomic.Bool) error {
	if err := c.connect(); err != nil {
		return err
	}
	defer func() { c.sub.Close() }()
	for {
		stopping := stop.Load()
		if stopping {
			c.db.hub.drain()
		} else {
			switch c.rng.IntN(60) {
			case 0: // a slow phone
				for range c.rng.IntN(3000) {
					runtime.Gosched()
				}
			case 1: // the connection breaks
				c.sub.Close()
			}
		}
		m, ok, err := c.sub.Poll(context.Background())
		var closed *Closed
		switch {
		case ok:
			if err := c.apply(m); err != nil {
				return err
			}
			if in := c.sub.Info(); in.Changes != c.rows {
				return fmt.Errorf("the counter says %d changes, %d came", in.Changes, c.rows)
			}
		case errors.As(err, &closed):
			if closed.Reason == ReasonError {
				return err
			}
			c.sub.Close()
			if c.initial {
				c.state = nil
			}
			if err := c.connect(); err != nil {
				return err
			}
		case err != nil:
			return err
		case stopping:
			return c.compare()
		default:
			runtime.Gosched()
		}
	}
}

// compare holds the client's state against what a query gives.
func (c *client) compare() error {
	rows, _ := c.db.snapshot(c.user)
	want := make(map[int64]sqltype.Row)
	q := c.plan.Origin.(*evaluator)
	for _, v := range rows {
		if row := scanRow(v); q.where.has(v) {
			out := make(sqltype.Row, 0, len(q.cols)+2)
			for _, col := range q.cols {
				out = append(out, row[col])
			}
			want[row[0].Int()] = append(out, row[colUpdated], row[colDeleted])
		}
	}
	if len(want) != len(c.state) {
		return fmt.Errorf("%d rows on the client, %d in the result of %q", len(c.state), len(want), q.where.text)
	}
	for id, w := range want {
		if !slices.EqualFunc(c.state[id], w, sqltype.Equal) {
			return fmt.Errorf("row %d is %v on the client, %v in the result of %q", id, c.state[id], w, q.where.text)
		}
	}
	return nil
}

var modelRuns = flag.Int("model.runs", 60, "how many random runs TestModel makes")

// TestModel runs random writers against random clients that break off, are
// killed, are too slow and come back, and compares what they show with the
// tables.
func TestModel(t *testing.T) {
	runs := *modelRuns
	if testing.Short() {
		runs = 10
	}
	var resyncs, resumes int
	var lost uint64
	for seed := range runs {
		db := newDatabase(t, Options{Backlog: []int{8, 200, 100_000}[seed%3], Dispatchers: 1 + seed%2})
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		users := []ident.UserID{"ann", "bob"}
		rooms := []string{"a", "b", "c"}
		var clients []*client
		for i := range 12 {
			where := []predicate{
				all(), roomIs("a"), roomIs("b"), nBelow(10), and(roomIs("a"), nBelow(7)), and(roomIs("c"), nBelow(15)),
				shown(all()), shown(roomIs("a")), shown(gone(true)), shown(and(roomIs("b"), gone(false))), shown(and(gone(true), nBelow(12))),
			}[rng.IntN(11)]
			cols := [][]int{{colID, colRoom, colN}, {colID, colN}, {colID, colSeq}}[rng.IntN(3)]
			clients = append(clients, &client{
				db: db, user: users[rng.IntN(2)], plan: plan(where, cols...), onSlow: OnSlow(rng.IntN(4) / 3),
				buffer: []int{1, 5, 50, 0}[rng.IntN(4)], rng: rand.New(rand.NewPCG(uint64(seed), uint64(i+10))),
			})
		}
		var stop atomic.Bool
		var readers, writers sync.WaitGroup
		for _, c := range clients {
			readers.Go(func() {
				if err := c.run(&stop); err != nil {
					t.Errorf("seed %d, %q: %v", seed, c.plan.FilterKey, err)
				}
			})
		}
		for w := range 3 {
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(w+100)))
			writers.Go(func() {
				for range 150 {
					ops := make([]op, 1+rng.IntN(4))
					for i := range ops {
						ops[i] = op{id: rng.Int64N(30), room: rooms[rng.IntN(3)], n: rng.Int64N(20), del: rng.IntN(4) == 0}
						if !ops[i].del && rng.IntN(6) == 0 {
							ops[i].to = 1 + rng.Int64N(29)
						}
					}
					db.write(users[rng.IntN(2)], ops...)
					if rng.IntN(40) == 0 {
						for _, in := range db.hub.List(users[0]) {
							_ = db.hub.Kill(in.ID)
							break
						}
					}
					if rng.IntN(3) == 0 {
						runtime.Gosched()
					}
				}
			})
		}
		writers.Wait()
		stop.Store(true)
		readers.Wait()
		for _, c := range clients {
			resyncs += c.resyncs
			resumes += c.resumes
		}
		st := db.hub.Stats()
		lost += st.BacklogLost
		if st.QueuedBytes != 0 || st.BacklogBytes != 0 || st.Subscriptions != 0 || st.Topics != 0 || st.Filters != 0 {
			t.Errorf("seed %d: left behind: %+v", seed, st)
		}
		db.hub.Close()
	}
	if resyncs == 0 || resumes == 0 || lost == 0 {
		t.Errorf("the test has lost its teeth: %d resyncs, %d resumes, %d changes lost in the backlog", resyncs, resumes, lost)
	}
	t.Logf("%d resyncs, %d resumes, %d changes lost in the backlog", resyncs, resumes, lost)
}
