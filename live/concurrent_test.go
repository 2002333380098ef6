package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
)

// TestConcurrentLife has subscriptions come and go in every way at once, under
// writers, and checks that nothing is left behind.
func TestConcurrentLife(t *testing.T) {
	db := newDatabase(t, Options{})
	var writers, others sync.WaitGroup
	stop := make(chan struct{})
	going := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	others.Go(func() {
		for i := int64(0); going(); i++ {
			db.write(ident.UserID(fmt.Sprint("u", i%3)), op{id: i % 10, room: "a", n: i})
		}
	})
	others.Go(func() {
		for going() {
			for _, in := range db.hub.List("u1") {
				_ = db.hub.Kill(in.ID)
			}
			db.hub.CloseConnection("c2")
			db.hub.Stats()
		}
	})
	where := []predicate{all(), roomIs("a"), roomIs("b"), nBelow(5)}
	for w := range 4 {
		rng := rand.New(rand.NewPCG(uint64(w), 9))
		writers.Go(func() {
			for range 300 {
				sp := spec(ident.UserID(fmt.Sprint("u", rng.IntN(3))), plan(where[rng.IntN(4)]))
				sp.Connection = ident.ConnectionID(fmt.Sprint("c", rng.IntN(3)))
				s, err := db.hub.Register(sp)
				if err != nil {
					t.Error(err)
					return
				}
				rows, seq := db.snapshot(s.User())
				if s.Start(Start{Seq: seq, Initial: db.read(s.Plan(), rows, false, 0)}) == nil {
					for range rng.IntN(5) {
						if _, _, err := s.Poll(context.Background()); err != nil {
							break
						}
					}
				}
				s.Close()
			}
		})
	}
	writers.Wait()
	close(stop)
	others.Wait()
	db.hub.drain()
	st := db.hub.Stats()
	if st.Subscriptions != 0 || st.Topics != 0 || st.Filters != 0 || st.QueuedBytes != 0 {
		t.Errorf("left behind: %+v", st)
	}
	h := db.hub
	if len(h.perUser)+len(h.perConn)+len(h.perTable) != 0 {
		t.Errorf("counters left: %v %v %v", h.perUser, h.perConn, h.perTable)
	}
	if st.Registered == 0 {
		t.Error("nobody came in")
	}
}

// TestRebindWhileRegistering alters the table again and again under
// registrations: nobody may end up with an old plan.
func TestRebindWhileRegistering(t *testing.T) {
	db := newDatabase(t, Options{Dispatchers: 2})
	var current atomic.Uint32
	current.Store(1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var subs []*Subscription
	for w := range 3 {
		wg.Go(func() {
			for i := range 20 {
				s, err := db.hub.Register(spec(ident.UserID(fmt.Sprint(w, i)), planOn(messages(current.Load()), all())))
				if err != nil {
					expectCode(t, err, dberr.Conflict)
					continue
				}
				mu.Lock()
				subs = append(subs, s)
				mu.Unlock()
			}
		})
	}
	for v := uint32(2); v < 12; v++ {
		db.hub.Rebind(7, v, func(*Plan) (*Plan, error) { return planOn(messages(v), all()), nil })
		current.Store(v)
	}
	wg.Wait()
	db.hub.drain()
	for _, s := range subs {
		if v := s.Plan().Table.SchemaVersion; v != 11 {
			t.Errorf("a subscription is left with version %d", v)
		}
		if s.proj == nil || s.proj.plan.Table.SchemaVersion != 11 {
			t.Error("a subscription is dispatched by an old plan")
		}
		s.Close()
	}
}
