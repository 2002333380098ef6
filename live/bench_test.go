package live

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// open makes a hub without limits on the number of subscriptions.
func open(b *testing.B) *Hub {
	opt := Options{}
	opt.Limits.MaxPerUser, opt.Limits.MaxPerConnection, opt.Limits.MaxTotal = 1<<20, 1<<20, 1<<20
	h := NewHub(opt)
	b.Cleanup(h.Close)
	return h
}

func subscribe(b *testing.B, h *Hub, sp Spec) *Subscription {
	s, err := h.Register(sp)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(Start{}); err != nil {
		b.Fatal(err)
	}
	return s
}

func insert(seq int, user ident.UserID) *change.Event {
	return &change.Event{Seq: change.Seq(seq), Time: time.Now(), Op: change.Insert, Table: 7, User: user, SchemaVersion: 1,
		New: sqltype.Row{sqltype.NewBigInt(int64(seq)), sqltype.NewText("the room of the writer"), sqltype.NewBigInt(1)}}
}

// BenchmarkPublish is the cost of a change that concerns nobody, filters
// included: it must not depend on the number of subscriptions.
func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
		sp   func(i int) Spec
	}{
		{"none", 0, nil},
		{"other users", 100_000, func(i int) Spec { return spec(ident.UserID(fmt.Sprint("user", i)), plan(all())) }},
		{"other rooms/1", 1, func(i int) Spec { return spec("u", plan(roomIs(fmt.Sprint("room", i)))) }},
		{"other rooms/1000", 1000, func(i int) Spec { return spec("u", plan(roomIs(fmt.Sprint("room", i)))) }},
		{"other rooms/100000", 100_000, func(i int) Spec { return spec("u", plan(roomIs(fmt.Sprint("room", i)))) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := open(b)
			for i := range c.n {
				subscribe(b, h, c.sp(i))
			}
			events := []*change.Event{insert(1, "u")}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				h.Publish(events)
				if i++; i%8192 == 0 {
					h.drain() // the backlog never fills
				}
			}
			if st := h.Stats(); st.BacklogLost > 0 || st.Evaluated > 0 {
				b.Errorf("lost %d, evaluated %d", st.BacklogLost, st.Evaluated)
			}
		})
	}
}

// BenchmarkFanOut is a change that a thousand subscriptions of one table and
// user get, from Publish until the last reader has it.
func BenchmarkFanOut(b *testing.B) {
	for _, c := range []struct {
		name  string
		where func(i int) predicate
	}{
		{"one filter", func(int) predicate { return all() }},
		{"1000 filters", func(i int) predicate { return nBelow(int64(10 + i)) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			const subs = 1000
			h := open(b)
			mux := NewMux()
			for i := range subs {
				sp := spec("u", plan(c.where(i)))
				sp.Mux = mux
				subscribe(b, h, sp)
			}
			ctx := context.Background()
			encode := func(*Batch) []byte { return []byte("{}") }
			b.ReportAllocs()
			seq := 0
			for b.Loop() {
				seq++
				h.Publish([]*change.Event{insert(seq, "u")})
				h.drain()
				for range subs {
					s, m, err := mux.Poll(ctx)
					if s == nil || err != nil {
						b.Fatal(s, err)
					}
					_ = m.Encoded(Int64Number, encode)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*subs), "ns/delivery")
		})
	}
}

// BenchmarkIdle is the memory of a subscription that has nothing to do: its
// own topic, or one of a hundred of a user, each with its own filter.
func BenchmarkIdle(b *testing.B) {
	for _, perUser := range []int{1, 100} {
		b.Run(fmt.Sprint("per user ", perUser), func(b *testing.B) {
			const subs = 10_000
			heap := func() uint64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			var bytes uint64
			for b.Loop() {
				plans := make([]*Plan, perUser)
				for i := range plans {
					plans[i] = plan(roomIs(fmt.Sprint("room", i)))
				}
				before := heap()
				h := open(b)
				mux := NewMux()
				for i := range subs {
					sp := spec(ident.UserID(fmt.Sprint("user", i/perUser)), plans[i%perUser])
					sp.Mux, sp.Connection = mux, ident.ConnectionID(fmt.Sprint("c", i/100))
					subscribe(b, h, sp)
				}
				for { // everybody has been asked once
					if s, _, err := mux.Poll(context.Background()); s == nil || err != nil {
						break
					}
				}
				bytes = (heap() - before) / subs
				h.Close()
			}
			b.ReportMetric(float64(bytes), "B/subscription")
			if bytes > 2048 {
				b.Errorf("an idle subscription takes %d bytes", bytes)
			}
		})
	}
}

// BenchmarkSubscribe is a subscription's whole life without any change.
func BenchmarkSubscribe(b *testing.B) {
	h := open(b)
	p := plan(roomIs("a"))
	b.ReportAllocs()
	for b.Loop() {
		subscribe(b, h, spec("u", p)).Close()
	}
}
