package live

import (
	"context"
	"sync"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// Hold keeps new subscriptions away from tables while these are altered or
// dropped. Register answers CONFLICT meanwhile; AwaitRelease waits.
type Hold struct {
	hub    *Hub
	tables []*ddl.Table
	once   sync.Once
}

// Hold refuses new subscriptions to the tables until Release. Those that exist
// go on. From its return on, Plans and Subscriptions can only lose.
func (h *Hub) Hold(tables ...*ddl.Table) *Hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range tables {
		h.held[t.ID]++
	}
	return &Hold{hub: h, tables: tables}
}

// HoldForDrop is Hold for tables that are about to be dropped: while one of
// them has subscriptions it holds nothing and gives ACTIVE_SUBSCRIPTIONS with
// their number. Check and hold are one step, so that no subscription comes in
// between. Release it after the tables are gone from the catalog, or were not
// dropped after all.
func (h *Hub) HoldForDrop(tables ...*ddl.Table) (*Hold, error) {
	hold := h.Hold(tables...)
	for _, t := range tables {
		if n := h.CountByTable(t.ID); n > 0 {
			hold.Release()
			return nil, dberr.Newf(dberr.ActiveSubscriptions, "Cannot drop table '%s': %d active subscription(s) exist", t.Ident(), n).
				WithHint("End them with KILL LIVE QUERY; SELECT live_id FROM system.live_queries lists them.")
		}
	}
	return hold, nil
}

// Subscriptions is how many subscriptions the held tables have.
func (d *Hold) Subscriptions() int {
	n := 0
	for _, t := range d.tables {
		n += d.hub.CountByTable(t.ID)
	}
	return n
}

// Plans are the distinct plans of the subscriptions of the held tables, so
// that an ALTER can find out whether they still compile.
func (d *Hold) Plans() []*Plan {
	seen := make(map[*Plan]bool)
	var out []*Plan
	for _, t := range d.tables {
		for _, s := range d.hub.collect(func(s *Subscription) bool { return s.table == t.ID }) {
			if p := s.Plan(); !seen[p] {
				seen[p] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// Dropped tells that the held tables no longer exist: Register refuses a
// subscription that was prepared before, also after Release.
func (d *Hold) Dropped() {
	d.hub.mu.Lock()
	defer d.hub.mu.Unlock()
	for _, t := range d.tables {
		d.hub.versions[t.ID] = ^uint32(0)
	}
}

// Release lets new subscriptions in again. It may be called twice.
func (d *Hold) Release() {
	d.once.Do(func() {
		d.hub.mu.Lock()
		defer d.hub.mu.Unlock()
		for _, t := range d.tables {
			decrement(d.hub.held, t.ID)
		}
		if d.hub.letIn != nil {
			close(d.hub.letIn)
			d.hub.letIn = nil
		}
	})
}

// AwaitRelease waits until no Hold keeps new subscriptions away from a table.
// The error is the context's.
func (h *Hub) AwaitRelease(ctx context.Context, t ident.TableID) error {
	for {
		h.mu.Lock()
		if h.held[t] == 0 {
			h.mu.Unlock()
			return nil
		}
		if h.letIn == nil {
			h.letIn = make(chan struct{})
		}
		letIn := h.letIn
		h.mu.Unlock()
		select {
		case <-letIn:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Rebind moves a table's subscriptions to a new version of its definition.
// The committer calls it between the last change that has the old version and
// the first that has the new one. rebind makes the new plan of an old one; it
// is called on the dispatchers' goroutines, later, at most once on each for a
// plan, and is safe for concurrent calls. Subscriptions whose plan gives an
// error end with it. The others get a Schema message at this place among
// their changes.
func (h *Hub) Rebind(t ident.TableID, version uint32, rebind func(*Plan) (*Plan, error)) {
	h.mu.Lock()
	h.versions[t] = max(h.versions[t], version)
	h.mu.Unlock()
	for _, s := range h.shards {
		s.control(func(d *dispatcher) { d.rebind(t, version, rebind) })
	}
}
