package core

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
)

// turns lets statements that have got in each other's way take turns. A
// statement that changes rows runs without any lock, and runs again when what
// it read is no longer so at its commit. Without turns, of many that change one
// row at a time most would run in vain, and one that others overtake every time
// would never come through.
//
// There is a turn about each of these:
//
//   - The definition of a table. ALTER has it alone. A statement that an ALTER
//     has overtaken shares it when it runs again, so the next ALTER waits until
//     it is through.
//   - A partition: what a table has of a user, or for all. A statement that
//     rows of it were changed for more than once has it alone. Who begins
//     meanwhile shares it, and so waits.
//   - A row, which one has alone.
//
// Whoever comes first is served first: who could share a turn waits behind one
// who waits to have it alone. So neither keeps the other away for ever.
//
// All that a statement needs it takes at once, in the order above, and it holds
// nothing meanwhile. So who waits is never waited for in a circle.
type turns struct {
	mu sync.Mutex // guards m and all that is in it
	m  map[claim]*turn
	// alone counts who has a partition alone or waits for that. While there is
	// none, who begins need not ask.
	alone atomic.Int32
}

// claim names what a turn is about.
type claim struct {
	level claimLevel
	key   string
}

type claimLevel uint8

// The levels, in the order in which they are taken.
const (
	onDefinition claimLevel = iota + 1
	onPartition
	onRow
)

// demand is a turn that a statement needs.
type demand struct {
	claim
	shared bool
}

// turn is what has one about something, and who waits for that.
type turn struct {
	holders int // how many share it; -1: one has it alone
	queue   []*waiter
}

// waiter has the turn when ready is closed.
type waiter struct {
	shared bool
	ready  chan struct{}
}

// aloneOn is what an ALTER of a table needs, besideAlter what who must not be
// overtaken by one needs.
func aloneOn(t ident.TableID) demand     { return demand{definitionOf(t), false} }
func besideAlter(t ident.TableID) demand { return demand{definitionOf(t), true} }

func definitionOf(t ident.TableID) claim {
	return claim{onDefinition, strconv.FormatUint(uint64(t), 10)}
}

// partitionOf is where a table has the rows of a user.
func partitionOf(t *ddl.Table, user ident.UserID) kv.Partition {
	if t.Type.PerUser() {
		return keyenc.UserPartition(t.ID, user)
	}
	return keyenc.SharedPartition(t.ID)
}

func nothing() {}

// take waits until all demands are met. give must be called, also after an
// error, and may be called twice.
func (t *turns) take(ctx context.Context, demands []demand) (give func(), err error) {
	demands = slices.Clone(demands)
	slices.SortFunc(demands, func(a, b demand) int {
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.key, b.key))
	})
	place := slot.Of(ctx) // who has a turn may need it to come to its end
	place.Lend()
	defer place.Back()
	for i, d := range demands {
		if err := t.enter(ctx, d); err != nil {
			t.leave(demands[:i])
			return nothing, err
		}
	}
	return sync.OnceFunc(func() { t.leave(demands) }), nil
}

func (t *turns) enter(ctx context.Context, d demand) error {
	barring := d.level == onPartition && !d.shared
	if barring {
		t.alone.Add(1)
	}
	t.mu.Lock()
	if t.m == nil {
		t.m = map[claim]*turn{}
	}
	u := t.m[d.claim]
	if u == nil {
		u = &turn{}
		t.m[d.claim] = u
	}
	if len(u.queue) == 0 && u.admit(d.shared) {
		t.mu.Unlock()
		return nil
	}
	w := &waiter{shared: d.shared, ready: make(chan struct{})}
	u.queue = append(u.queue, w)
	t.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(u.queue, w); i >= 0 {
		u.queue = slices.Delete(u.queue, i, i+1)
	} else {
		u.release(d.shared) // it has come just now
	}
	t.pass(d.claim, u)
	if barring {
		t.alone.Add(-1)
	}
	return context.Cause(ctx)
}

func (t *turns) leave(demands []demand) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range demands {
		u := t.m[d.claim]
		u.release(d.shared)
		t.pass(d.claim, u)
		if d.level == onPartition && !d.shared {
			t.alone.Add(-1)
		}
	}
}

// pass lets in who may come next, and forgets a turn that nobody has.
func (t *turns) pass(c claim, u *turn) {
	for len(u.queue) > 0 && u.admit(u.queue[0].shared) {
		close(u.queue[0].ready)
		u.queue = slices.Delete(u.queue, 0, 1)
	}
	if u.holders == 0 && len(u.queue) == 0 {
		delete(t.m, c)
	}
}

// admit gives the turn, if that is possible.
func (u *turn) admit(shared bool) bool {
	switch {
	case shared && u.holders >= 0:
		u.holders++
	case !shared && u.holders == 0:
		u.holders = -1
	default:
		return false
	}
	return true
}

func (u *turn) release(shared bool) {
	if shared {
		u.holders--
	} else {
		u.holders = 0
	}
}
