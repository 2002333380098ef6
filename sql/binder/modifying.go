package binder

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// modifyingCTE is the one CTE of a statement that changes rows, bound.
type modifyingCTE struct {
	cte   *ast.CTE
	in    plan.Node
	names []string
	ids   []int
}

// changes is the first CTE that changes rows, -1 if none does.
func changes(w *ast.With) int {
	if w == nil {
		return -1
	}
	return slices.IndexFunc(w.CTEs, func(c *ast.CTE) bool { _, isQuery := c.Stmt.(*ast.Query); return !isQuery })
}

// modifyingQuery binds WITH x AS (INSERT, UPDATE or DELETE …) SELECT …: the
// change happens whether or not anybody reads x, the query sees the tables as
// they were before it, and x is what its RETURNING gives. One CTE may change
// rows, because one table changes in a statement.
func (b *binder) modifyingQuery(q *ast.Query, at int) error {
	c := q.With.CTEs[at]
	// The CTEs before it are bound for the change and, by themselves, for the
	// query, as these are two plans.
	saved := b.ctes
	before, err := b.with(&ast.With{Pos: q.With.Pos, Recursive: q.With.Recursive, CTEs: q.With.CTEs[:at]}, nil)
	if err != nil {
		return err
	}
	switch s := c.Stmt.(type) {
	case *ast.Insert:
		err = b.insert(s)
	case *ast.Update:
		err = b.update(s)
	case *ast.Delete:
		err = b.delete(s)
	default:
		err = b.unsupported(c.Stmt, "this statement in WITH")
	}
	if err != nil {
		return err
	}
	b.ctes = saved
	if len(before) > 0 {
		b.st.Query = &plan.With{CTEs: before, Body: b.st.Query}
	}
	w := b.st.Write
	if len(w.Numbers) > 0 {
		return b.at(c.Stmt, laterNumber("to a query"))
	}
	m := &modifyingCTE{cte: c, in: w.Then, names: b.st.Names, ids: b.st.Output}
	if m.in == nil {
		m.in = &plan.Changed{Cols: m.ids, Row: -1}
	}
	b.modifying = m
	b.st.Names, b.st.Output = nil, nil
	r, err := b.query(q, nil)
	if err != nil {
		return err
	}
	b.settle(r)
	if w.Then = r.node; rereads(before, r.node) {
		return b.unsupported(q.With, "a WITH query that gives other rows each time, read by a change of rows and by the query,").(*dberr.Error).
			WithHint("Run the change as a statement of its own.")
	}
	b.st.Names, b.st.Output = r.names, r.ids
	return nil
}

// rereads tells whether a CTE that the change reads and that is volatile is
// read by the query, too.
func rereads(before []*plan.CTE, n plan.Node) bool {
	w, ok := n.(*plan.With)
	if !ok {
		return false
	}
	for _, c := range before {
		volatile := false
		plan.Walk(c.In, func(n plan.Node) { volatile = volatile || slices.ContainsFunc(plan.Exprs(n), plan.Volatile) })
		if volatile && c.Refs > 0 && slices.ContainsFunc(w.CTEs, func(o *plan.CTE) bool { return o.Name == c.Name && o.Refs > 0 }) {
			return true
		}
	}
	return false
}

// modified brings the CTE that changes rows into scope; nil when it gives none.
func (b *binder) modified(c *ast.CTE) (*plan.CTE, error) {
	m := b.modifying
	if m == nil || m.cte != c {
		return nil, b.errorf(c.Stmt, dberr.Unsupported, "a change of rows in WITH is supported once, in the WITH of a SELECT that is a statement").
			WithHint("Run it as a statement of its own.")
	}
	if len(m.ids) == 0 {
		b.ctes = &cteEnv{parent: b.ctes, name: c.Name, silent: true}
		return nil, nil
	}
	names, err := b.cteNames(c, m.names)
	if err != nil {
		return nil, err
	}
	cte := &plan.CTE{Name: c.Name, In: m.in, Cols: m.ids, Materialized: true}
	b.ctes = &cteEnv{parent: b.ctes, name: c.Name, cte: cte, names: names, ids: m.ids}
	return cte, nil
}
