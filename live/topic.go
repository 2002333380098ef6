package live

import (
	"slices"
	"sync"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/live/filter"
)

// topic is the subscriptions of one table of one user.
type topic struct {
	key topicKey
	// Guarded by the shard's lock: users counts attached subscriptions and
	// those about to be; queued is how many changes wait, at most half of the
	// backlog, so that one busy writer leaves room for others; lostFirst and
	// lostLast are the changes that found no room, 0 when there are none.
	users, queued       int
	lostFirst, lostLast change.Seq

	mu    sync.Mutex // guards what follows; held while a change is dispatched
	index filter.Index[*group]
	list  []*group
	byKey map[groupKey]*group // of list, once it is long
}

// groupsByKey is how many filters a topic may have before it keeps a map.
const groupsByKey = 16

// groupKey is what makes a filter distinct. Ordinals mean other columns in
// another version of the table, and a query that shows deleted rows hears of
// them what others do not.
type groupKey struct {
	filter  string
	version uint32
	deleted bool
}

// group is one distinct filter of a topic.
type group struct {
	key   groupKey
	equal []filter.Equality
	at    int // position in the topic's list
	projs []*projection
}

// projection is one distinct projection of a group: all its subscriptions get
// the same batches.
type projection struct {
	group *group
	plan  *Plan
	subs  []*Subscription

	// For the dispatcher: the evaluator, made when it is first needed, the
	// batch that rows are being added to, and whether the rest of what is
	// being dispatched interests nobody any more.
	eval filter.Evaluator
	open *Batch
	deaf bool
}

func (p *projection) evaluator() filter.Evaluator {
	if p.eval == nil {
		p.eval = p.plan.NewEval()
	}
	return p.eval
}

func (t *topic) find(key groupKey) *group {
	if t.byKey != nil {
		return t.byKey[key]
	}
	for _, g := range t.list {
		if g.key == key {
			return g
		}
	}
	return nil
}

func (t *topic) add(h *Hub, s *Subscription) {
	p := s.Plan()
	key := groupKey{p.FilterKey, p.Table.SchemaVersion, p.ShowsDeleted}
	g := t.find(key)
	if g == nil {
		g = &group{key: key, equal: p.index, at: len(t.list)}
		t.list = append(t.list, g)
		if t.byKey != nil {
			t.byKey[g.key] = g
		} else if len(t.list) > groupsByKey {
			t.byKey = make(map[groupKey]*group)
			for _, g := range t.list {
				t.byKey[g.key] = g
			}
		}
		t.index.Add(g.equal, g)
		h.stats.filters.Add(1)
	}
	i := slices.IndexFunc(g.projs, func(pr *projection) bool {
		return pr.plan.ProjectionKey == p.ProjectionKey
	})
	if i < 0 {
		i = len(g.projs)
		g.projs = append(g.projs, &projection{group: g, plan: p})
	}
	pr := g.projs[i]
	s.proj, s.at = pr, int32(len(pr.subs))
	pr.subs = append(pr.subs, s)
}

// remove reports whether the subscription was there.
func (t *topic) remove(h *Hub, s *Subscription) bool {
	pr := s.proj
	if pr == nil {
		return false
	}
	s.proj = nil
	last := len(pr.subs) - 1
	pr.subs[s.at] = pr.subs[last]
	pr.subs[s.at].at = s.at
	pr.subs[last] = nil
	pr.subs = pr.subs[:last]
	if last > 0 {
		return true
	}
	g := pr.group
	g.projs = slices.DeleteFunc(g.projs, func(p *projection) bool { return p == pr })
	if len(g.projs) > 0 {
		return true
	}
	t.index.Remove(g.equal, g)
	end := len(t.list) - 1
	t.list[g.at] = t.list[end]
	t.list[g.at].at = g.at
	t.list[end] = nil
	t.list = t.list[:end]
	if t.byKey != nil {
		delete(t.byKey, g.key)
	}
	h.stats.filters.Add(-1)
	return true
}
