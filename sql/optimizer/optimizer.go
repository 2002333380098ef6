// Package optimizer turns a bound plan into one that does less: predicates and
// limits move towards the tables, constants are computed, columns that nobody reads are not read,
// conjuncts over the primary key become ranges of the scan, subqueries become
// joins. It changes no result: every step is an identity of relational
// algebra, and a plan that skips all of them gives the same rows.
package optimizer

import (
	"slices"

	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// Options say what the optimizer may do.
type Options struct {
	// NoPushdown leaves predicates, orders and subqueries where the statement
	// has them. Tests compare results with and without.
	NoPushdown bool
	// Rows tells about how many rows a table has. nil: nobody knows, and joins
	// keep the order of FROM as far as conditions connect it.
	Rows func(*ddl.Table) int64
}

// Optimize changes the statement's plan in place. sized says that the plan
// depends on the sizes of its tables.
func Optimize(st *plan.Statement, opts Options) (sized bool) {
	o := &optimizer{st: st, rows: opts.Rows, cteRefs: map[*plan.CTE][]cteRef{}}
	for i := range st.Before {
		s := &st.Before[i]
		s.Query = o.optimize(s.Query, required(s.Write, nil), opts)
		o.write(s.Write, s.Output, opts)
	}
	st.Query = o.optimize(st.Query, required(st.Write, st.Output), opts)
	if st.Write != nil {
		o.write(st.Write, st.Output, opts)
	}
	return o.sized
}

// write optimizes the queries that a change has beside the one of its rows.
func (o *optimizer) write(w *plan.Write, output []int, opts Options) {
	if w.Then != nil {
		w.Then = o.optimize(w.Then, newColSet(output...), opts)
	}
	if c := w.Conflict; c != nil && c.Query != nil {
		c.Query = o.optimize(c.Query, newColSet(c.SetCols...), opts)
	}
}

// optimize changes a plan of which the columns need are read.
func (o *optimizer) optimize(n plan.Node, need colSet, opts Options) plan.Node {
	if !opts.NoPushdown {
		n = o.inlineCTEs(n)
		n = o.fold(n)
		n = o.unread(n, need)
		n = o.late(n)
		n = o.decorrelate(n)
		n = o.sinkMarks(n)
		o.decided = false
		if n = o.push(n, nil); o.decided {
			n = o.fold(n)
		}
		n = o.orderJoins(n)
	}
	n = o.prune(n, need)
	if !opts.NoPushdown {
		n = o.access(n)
		n = o.order(n)
		n = o.share(n)
		n = o.cheapFirst(n)
		// What only ranges and sorts read is not needed any more.
		n = o.prune(n, need)
	}
	return n
}

type optimizer struct {
	st *plan.Statement
	// rows is Options.Rows, sized what Optimize gives.
	rows  func(*ddl.Table) int64
	sized bool
	// decided says that a predicate that was pushed reads no columns any more.
	decided bool
	// early says that the plan is pruned before its joins are settled: they
	// keep all their columns.
	early bool
	// cteRefs are the places that read the CTEs whose columns are pruned.
	cteRefs map[*plan.CTE][]cteRef
}

// colSet is a set of column identities.
type colSet map[int]struct{}

func newColSet(ids ...int) colSet {
	s := make(colSet, len(ids))
	s.add(ids...)
	return s
}

func (s colSet) add(ids ...int) {
	for _, id := range ids {
		s[id] = struct{}{}
	}
}

func (s colSet) has(id int) bool { _, ok := s[id]; return ok }

func (s colSet) addExprs(list ...expr.Expr) {
	for _, e := range list {
		if e != nil {
			s.add(expr.Columns(e)...)
		}
	}
}

// readsNone tells whether the expression reads none of the columns.
func readsNone(e expr.Expr, cols []int) bool {
	for _, id := range expr.Columns(e) {
		if slices.Contains(cols, id) {
			return false
		}
	}
	return true
}

func volatile(e expr.Expr) bool { return plan.Volatile(e) }

// required are the columns that a change needs of its query; without one,
// those of the result.
func required(w *plan.Write, output []int) colSet {
	s := colSet{}
	if w == nil {
		s.add(output...)
		return s
	}
	s.add(w.New...)
	s.add(w.Old...)
	s.add(w.Seq, w.Updated, w.RowID)
	s.addExprs(w.Returning...)
	return s
}

// withFilter puts predicates on a node.
func withFilter(n plan.Node, preds []expr.Expr) plan.Node {
	if len(preds) == 0 {
		return n
	}
	if f, ok := n.(*plan.Filter); ok {
		return &plan.Filter{In: f.In, Preds: slices.Concat(f.Preds, preds)}
	}
	return &plan.Filter{In: n, Preds: preds}
}

// mapInputs applies f to every input of a node.
func mapInputs(n plan.Node, f func(plan.Node) plan.Node) plan.Node {
	in := n.Inputs()
	if len(in) == 0 {
		return n
	}
	out := make([]plan.Node, len(in))
	changed := false
	for i, c := range in {
		out[i] = f(c)
		changed = changed || out[i] != c
	}
	if !changed {
		return n
	}
	return n.WithInputs(out)
}

// free are the columns that a subtree reads and does not make: those of outer
// queries.
func free(n plan.Node) colSet { return colSet(plan.Free(n)) }
