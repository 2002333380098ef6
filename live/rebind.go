package live

import (
	"github.com/kalamdb/kalamdb/commons/ident"
)

// Plans are the distinct plans of a table's subscriptions, so that an ALTER can
// find out whether they still compile.
func (h *Hub) Plans(t ident.TableID) []*Plan {
	seen := make(map[*Plan]bool)
	var out []*Plan
	for _, s := range h.collect(func(s *Subscription) bool { return s.table == t }) {
		if p := s.Plan(); !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
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

// replan makes a new plan of one; a panic over it is its error.
func (d *dispatcher) replan(old *Plan, rebind func(*Plan) (*Plan, error)) (p *Plan, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, d.hub.panicked(r, "table", old.Table.ID)
		}
	}()
	if p, err = rebind(old); err == nil {
		p.layout()
	}
	return p, err
}

// rebind moves the shard's subscriptions of a table to new plans.
func (d *dispatcher) rebind(table ident.TableID, version uint32, rebind func(*Plan) (*Plan, error)) {
	var topics []*topic
	d.shard.mu.Lock()
	for k, t := range d.shard.topics {
		if k.table == table {
			topics = append(topics, t)
		}
	}
	d.shard.mu.Unlock()
	type result struct {
		plan *Plan
		err  error
	}
	done := make(map[*Plan]result)
	for _, t := range topics {
		// The subscriptions are moved one by one, so that the topic's lock
		// is never held while a statement is compiled.
		t.mu.Lock()
		var subs []*Subscription
		for _, g := range t.list {
			for _, p := range g.projs {
				if p.plan.Table.SchemaVersion < version {
					subs = append(subs, p.subs...)
				}
			}
		}
		t.mu.Unlock()
		for _, s := range subs {
			old := s.Plan()
			r, ok := done[old]
			if !ok {
				r.plan, r.err = d.replan(old, rebind)
				done[old] = r
			}
			if r.err != nil {
				s.finish(&Closed{Reason: ReasonError, Err: r.err})
				continue
			}
			t.mu.Lock()
			if t.remove(d.hub, s) {
				s.replan(r.plan)
				t.add(d.hub, s)
			}
			t.mu.Unlock()
		}
	}
}
