package core

import (
	"context"
	"fmt"
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/sql/binder"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// followers are the subscriptions of a table that is being altered, by their
// plans.
type followers struct {
	e    *Engine
	base *ddl.Table
	alt  *catalog.Alteration
	// next has the plan that takes the place of each; nil for one that names a
	// column which is gone, or that no longer compiles.
	next map[*live.Plan]*live.Plan
	// plans are those that prepare has found last. A subscription may have a
	// newer one a moment later: an alteration shortly before may not have
	// reached all of them yet. What is compiled anew is the text in any case.
	plans []*live.Plan
}

// altered is the catalog that an alteration will make, as far as a live query
// looks at it.
type altered struct {
	*catalog.Snapshot
	t *ddl.Table
}

var _ binder.Catalog = altered{}

// Table implements binder.Catalog.
func (a altered) Table(ns ident.NamespaceID, name ident.TableName) (*ddl.Table, error) {
	if ns == a.t.Namespace && name == a.t.Name {
		return a.t, nil
	}
	return a.Snapshot.Table(ns, name)
}

// prepare makes the next plans of the subscriptions that there are now, as far
// as it has not done so before.
func (f *followers) prepare(ctx context.Context) error {
	cat := altered{f.e.store.Catalog(), f.alt.Table}
	f.plans = f.e.hub.Plans(f.base.ID)
	for _, p := range f.plans {
		if _, ok := f.next[p]; ok {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		o, ok := p.Origin.(*liveOrigin)
		if !ok {
			return fmt.Errorf("alter %s: a live query has a plan of %T", f.base.Ident(), p.Origin)
		}
		q, _, err := liveQuery(o.text)
		if err != nil {
			return err
		}
		f.next[p] = nil
		if slices.ContainsFunc(f.alt.Gone, func(c string) bool { return names(q, c) }) {
			continue
		}
		// An error means that it does not compile, not that the time is up.
		if next, err := f.e.replan(f.e.stopped, p, cat); err == nil {
			f.next[p] = next
		}
	}
	return nil
}

// refusal is the error for an alteration that a subscription cannot follow.
func (f *followers) refusal() error {
	lost := map[string]bool{}
	for _, p := range f.plans {
		if f.next[p] == nil {
			lost[p.Origin.(*liveOrigin).text] = true
		}
	}
	if len(lost) == 0 {
		return nil
	}
	n := 0
	for _, i := range f.e.hub.List("") {
		if i.Table == f.base.Ident() && lost[i.Query] {
			n++
		}
	}
	return dberr.Newf(dberr.ActiveSubscriptions, "Cannot alter table '%s': %d active subscription(s) use what would be gone", f.base.Ident(), n).
		WithHint("End them with KILL LIVE QUERY; SELECT live_id FROM system.live_queries lists them.")
}

// rebind gives the next plan of one.
func (f *followers) rebind(p *live.Plan) (*live.Plan, error) {
	if next := f.next[p]; next != nil {
		return next, nil
	}
	return f.e.replan(f.e.stopped, p, altered{f.e.store.Catalog(), f.alt.Table})
}
