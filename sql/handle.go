package sql

import (
	"slices"
	"time"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/plancache"
)

// Handle is a statement that its owner runs again and again: it leads from a
// text straight to its plan, so that not even the lexer runs. It may be used
// from several goroutines.
type Handle struct {
	c        *Compiler
	entry    *plancache.Entry[*compiled]
	kinds    []sqltype.Kind
	literals []plancache.Literal
}

// Handle gives the handle of a statement that was just prepared as p; nil when
// its plan is not in the plan cache, as of statements that are none of SELECT,
// INSERT, UPDATE and DELETE. What was found out about p, such as that the
// caller may run it, holds for the handle, too.
func (c *Compiler) Handle(req Request, p *Prepared) *Handle {
	if c.cache == nil || req.Statement != nil {
		return nil
	}
	norm := c.bufs.Get().(*plancache.Normalized)
	defer c.bufs.Put(norm)
	for _, lifted := range []bool{true, false} {
		if !plancache.Normalize(req.Text, lifted, norm) {
			return nil
		}
		if lifted && len(norm.Literals) == 0 {
			continue
		}
		e, ok := c.cache.Entry(c.key(req, norm))
		if !ok {
			return nil
		}
		switch plan, _ := e.Plan(); plan {
		case nil:
			continue // known not to lift
		case p.c:
		default:
			return nil // another one has taken its place already
		}
		h := &Handle{c: c, entry: e, literals: slices.Clone(norm.Literals)}
		for _, v := range req.Params {
			h.kinds = append(h.kinds, v.Kind())
		}
		return h
	}
	return nil
}

// Prepare makes the statement ready to run once more, in the namespace and
// with the text that the handle was made with. ok is false when a name in it
// means something else by now, or the parameters are of other kinds: then it
// must be prepared from its text. So it is when its plan has left the cache.
func (h *Handle) Prepare(req Request, now time.Time) (p *Prepared, ok bool, err error) {
	if len(h.kinds) != len(req.Params) {
		return nil, false, nil
	}
	for i := range req.Params {
		if h.kinds[i] != req.Params[i].Kind() {
			return nil, false, nil
		}
	}
	plan, ok := h.entry.Plan()
	if !ok || plan.outdated(req.Catalog) || plan.outgrown(req) {
		return nil, false, nil
	}
	h.c.hits.Add(1)
	h.c.cache.Hit(h.entry, now)
	p, err = plan.with(req, h.literals)
	return p, true, err
}
