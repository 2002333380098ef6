package binder

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// modifyingCTE is a CTE of a statement that changes rows, bound.
type modifyingCTE struct {
	cte   *ast.CTE
	in    plan.Node
	names []string
	ids   []int
}

// modifyingWith is what a WITH with changes of rows has brought so far.
type modifyingWith struct {
	done []*modifyingCTE
	// lists are the queries of WITH as each change has bound them for itself.
	lists [][]*plan.CTE
}

// changes are the places of the CTEs that change rows.
func changes(w *ast.With) (at []int) {
	if w == nil {
		return nil
	}
	for i, c := range w.CTEs {
		if _, isQuery := c.Stmt.(*ast.Query); !isQuery {
			at = append(at, i)
		}
	}
	return at
}

// modifyingQuery binds WITH x AS (INSERT, UPDATE or DELETE …) SELECT …: the
// changes happen whether or not anybody reads x, the query sees the tables as
// they were before them, and x is what its RETURNING gives.
func (b *binder) modifyingQuery(q *ast.Query, at []int) error {
	last := at[len(at)-1]
	if err := b.changesBefore(q.With, at[:len(at)-1]); err != nil {
		return err
	}
	if err := b.change(q.With, last); err != nil {
		return err
	}
	c, w := q.With.CTEs[last], b.st.Write
	m := &modifyingCTE{cte: c, in: w.Then, names: b.st.Names, ids: b.st.Output}
	if m.in == nil {
		m.in = &plan.Changed{Cols: m.ids, Row: -1}
	}
	b.modifying.done = append(b.modifying.done, m)
	b.st.Names, b.st.Output = nil, nil
	r, err := b.query(q, nil)
	if err != nil {
		return err
	}
	b.settle(r)
	w.Then = r.node
	b.st.Names, b.st.Output = r.names, r.ids
	return b.checkChanges(q.With, r.node)
}

// modifyingChange binds a change of rows that has others in its WITH.
func (b *binder) modifyingChange(w *ast.With, bind func() error) error {
	at := changes(w)
	if len(at) == 0 {
		return bind()
	}
	if err := b.changesBefore(w, at); err != nil {
		return err
	}
	if err := bind(); err != nil {
		return err
	}
	return b.checkChanges(w, b.st.Query)
}

// changesBefore binds changes that others follow. Those find their results as
// rows that are there.
func (b *binder) changesBefore(w *ast.With, at []int) error {
	b.modifying = &modifyingWith{}
	for _, i := range at {
		if err := b.change(w, i); err != nil {
			return err
		}
		s := plan.Step{Query: b.st.Query, Write: b.st.Write, Output: b.st.Output}
		b.st.Before = append(b.st.Before, s)
		b.modifying.done = append(b.modifying.done, &modifyingCTE{
			cte: w.CTEs[i], names: b.st.Names, ids: s.Output, in: &plan.Changed{Cols: s.Output, Row: -1, Step: len(b.st.Before)},
		})
		b.st.Query, b.st.Write, b.st.Names, b.st.Output = nil, nil, nil, nil
	}
	return nil
}

// change binds the CTE at a place, which changes rows. The CTEs before it are
// bound for the change and, by themselves, for what follows, as these are
// several plans.
func (b *binder) change(w *ast.With, at int) error {
	saved := b.ctes
	before, err := b.with(&ast.With{Pos: w.Pos, Recursive: w.Recursive, CTEs: w.CTEs[:at]}, nil)
	if err != nil {
		return err
	}
	c := w.CTEs[at]
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
	if len(b.st.Write.Numbers) > 0 {
		return b.at(c.Stmt, laterNumber("to a query"))
	}
	b.ctes = saved
	if len(before) > 0 {
		b.st.Query = &plan.With{CTEs: before, Body: b.st.Query}
	}
	b.modifying.lists = append(b.modifying.lists, before)
	return nil
}

// checkChanges checks what only the whole statement shows. n is its last plan.
func (b *binder) checkChanges(w *ast.With, n plan.Node) error {
	lists := b.modifying.lists
	if with, ok := n.(*plan.With); ok {
		lists = append(lists, with.CTEs)
	}
	if rereads(lists) {
		return b.errorf(w, dberr.Unsupported, "a WITH query that gives other rows each time, read by a change of rows and by the query, is not supported").
			WithHint("Run the change as a statement of its own.")
	}
	for i := range b.st.Before {
		for _, t := range []ident.TableType{b.st.Before[i].Write.Table.Type, b.st.Write.Table.Type} {
			if t == ident.SystemTable {
				return b.errorf(w, dberr.Unsupported, "a change of one of the server's own tables together with others is not supported").
					WithHint("Run it as a statement of its own.")
			}
		}
	}
	return nil
}

// rereads tells whether a CTE that is volatile is read by several plans, each
// of which has bound it for itself.
func rereads(lists [][]*plan.CTE) bool {
	read := map[string]bool{}
	for _, list := range lists {
		for _, c := range list {
			volatile := false
			plan.Walk(c.In, func(n plan.Node) { volatile = volatile || slices.ContainsFunc(plan.Exprs(n), plan.Volatile) })
			if !volatile || c.Refs == 0 {
				continue
			}
			if read[c.Name] {
				return true
			}
			read[c.Name] = true
		}
	}
	return false
}

// modified brings a CTE that changes rows into scope; nil when it gives none.
func (b *binder) modified(c *ast.CTE) (*plan.CTE, error) {
	var m *modifyingCTE
	if b.modifying != nil {
		if i := slices.IndexFunc(b.modifying.done, func(m *modifyingCTE) bool { return m.cte == c }); i >= 0 {
			m = b.modifying.done[i]
		}
	}
	if m == nil {
		return nil, b.errorf(c.Stmt, dberr.Unsupported, "a change of rows in WITH is supported in the WITH of a statement, not of a query within one").
			WithHint("Move it to the WITH at the statement's beginning.")
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
