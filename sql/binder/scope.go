package binder

import (
	"slices"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// outColumn is a named column of a relation.
type outColumn struct {
	name string
	id   int
	// hidden columns can be named but are not part of *.
	hidden bool
}

// relation is an item of FROM under the name by which columns are qualified.
type relation struct {
	ns   ident.NamespaceID
	name string
	cols []outColumn
	// scan is set for tables.
	scan *plan.Scan
	// nullable says that an outer join may have found no row of it.
	nullable bool
}

// scope is what the names in an expression of one SELECT mean.
type scope struct {
	parent *scope
	rels   []*relation
	// cols are the columns that unqualified names find, in the order of *.
	cols []outColumn
	// node is the relation below the expression: subqueries attach to it.
	node plan.Node
	// posts, when collecting, are the subqueries that belong above the
	// grouping, which is not there yet.
	posts []post
	// sel is the SELECT whose aggregates and windows are collected; nil
	// where there can be none.
	sel *selectState
	// clause names the place for errors.
	clause string
	// asked are the conditions under which the forms around the expression at
	// hand, such as CASE, ask for its value.
	asked []condition
	// keepDeleted says that naming _deleted does not bring in deleted rows.
	keepDeleted bool
}

// rewrite replaces what an expression reads after grouping.
type rewrite func(expr.Expr) (expr.Expr, error)

// post makes a subquery, without its left side, with the expressions rewritten.
type post func(rw rewrite) (*plan.Apply, error)

// attach puts a subquery below the expressions of the scope.
func (sc *scope) attach(make post) error {
	when := sc.when()
	p := func(rw rewrite) (*plan.Apply, error) {
		a, err := make(rw)
		if err == nil && when != nil {
			// An error comes again where the condition itself stands.
			a.When, _ = rw(when)
		}
		return a, err
	}
	if sc.sel != nil && sc.sel.collecting {
		sc.posts = append(sc.posts, p)
		return nil
	}
	a, err := p(func(e expr.Expr) (expr.Expr, error) { return e, nil })
	if err == nil {
		a.L, sc.node = sc.node, a
	}
	return err
}

// addItem brings an item of FROM into scope.
func (sc *scope) addItem(f *fromItem) {
	sc.rels = append(sc.rels, f.rels...)
	sc.cols = append(sc.cols, f.cols...)
}

// lookup resolves a column name here or in an outer scope.
func (b *binder) lookup(sc *scope, ref *ast.ColumnRef) (expr.Expr, error) {
	for s := sc; s != nil; s = s.parent {
		c, rel, found, err := b.lookupIn(s, ref)
		if err != nil {
			return nil, err
		}
		if found {
			if rel != nil && rel.scan != nil && c.name == sysname.Deleted && !s.keepDeleted {
				rel.scan.IncludeDeleted = true
			}
			return b.col(c.id), nil
		}
	}
	if ref.Table == "" {
		if rel := wholeRow(sc, ref.Name); rel != nil {
			return b.rowOf(rel)
		}
	}
	return nil, b.notFound(sc, ref)
}

func (b *binder) lookupIn(s *scope, ref *ast.ColumnRef) (c outColumn, rel *relation, found bool, err error) {
	if ref.Table == "" {
		for _, oc := range s.cols {
			if oc.name != ref.Name {
				continue
			}
			if found && oc.id != c.id {
				return c, nil, false, b.errorf(ref, dberr.InvalidSQL, "column reference %q is ambiguous", ref.Name).
					WithState("42702").WithHint("Write it with its table: table.%s.", ref.Name)
			}
			c, found = oc, true
		}
		if found {
			for _, r := range s.rels {
				if slices.ContainsFunc(r.cols, func(oc outColumn) bool { return oc.id == c.id }) {
					rel = r
				}
			}
		}
		return c, rel, found, nil
	}
	var at *relation
	for _, r := range s.rels {
		if r.name != ref.Table || ref.Namespace != "" && ident.NamespaceID(ref.Namespace) != r.ns {
			continue
		}
		if at != nil {
			return c, nil, false, b.errorf(ref, dberr.InvalidSQL, "table reference %q is ambiguous", ref.Table).WithState("42P09")
		}
		at = r
	}
	if at == nil {
		return c, nil, false, nil
	}
	for _, oc := range at.cols {
		if oc.name == ref.Name {
			return oc, at, true, nil
		}
	}
	return c, nil, false, b.errorf(ref, dberr.ColumnNotFound, "column %s.%s does not exist", ref.Table, ref.Name).
		WithHint("%s", columnsHint(at.cols, ref.Name))
}

func (b *binder) notFound(sc *scope, ref *ast.ColumnRef) error {
	if ref.Table != "" {
		return b.errorf(ref, dberr.TableNotFound, "missing FROM-clause entry for table %q", ref.Table)
	}
	var cols []outColumn
	for s := sc; s != nil; s = s.parent {
		cols = append(cols, s.cols...)
	}
	hint := columnsHint(cols, ref.Name)
	if ref.Known() && ref.Offset() < len(b.text) && strings.HasPrefix(b.text[ref.Offset():], `"`) { // MySQL and SQLite would take it for a text
		hint += " A text is written in single quotes: 'text'."
	}
	return b.errorf(ref, dberr.ColumnNotFound, "column %q does not exist", ref.Name).WithHint("%s", hint)
}

// columnsHint lists what there is instead.
func columnsHint(cols []outColumn, name string) string {
	text, n := "", 0
	for _, c := range cols {
		if c.hidden {
			continue
		}
		if n == 12 {
			text += ", …"
			break
		}
		if n > 0 {
			text += ", "
		}
		text += c.name
		n++
	}
	if text == "" {
		return "There is no table in FROM to take " + name + " from."
	}
	return "The columns are: " + text + "."
}

// lit is an expression of the result that has no type yet; the place where
// the result is used decides.
type lit struct {
	proj *plan.Project
	slot int
}

// result is a bound query.
type result struct {
	node  plan.Node
	names []string
	ids   []int
	// lits are the columns of Unknown type, by position.
	lits map[int]lit
}

// typ is the type of a column so far.
func (b *binder) typ(r *result, i int) sqltype.Type {
	if _, ok := r.lits[i]; ok {
		return sqltype.TUnknown
	}
	return b.st.Types[r.ids[i]]
}

// settle gives every column without a type the type TEXT.
func (b *binder) settle(r *result) {
	for i := range r.ids {
		if _, ok := r.lits[i]; ok {
			_ = b.settleAs(r, i, sqltype.TText)
		}
	}
}

// settleAs gives a column without a type a type.
func (b *binder) settleAs(r *result, i int, t sqltype.Type) error {
	l := r.lits[i]
	e, err := expr.Coerce(l.proj.Exprs[l.slot], t)
	if err != nil {
		return err
	}
	l.proj.Exprs[l.slot] = e
	b.st.Types[r.ids[i]] = e.Type()
	delete(r.lits, i)
	return nil
}

// coerce casts a result's columns to types.
func (b *binder) coerce(r *result, types []sqltype.Type) error {
	need := false
	for i, t := range types {
		if _, ok := r.lits[i]; ok {
			if err := b.settleAs(r, i, t); err != nil {
				return err
			}
		}
		need = need || b.st.Types[r.ids[i]].Kind != t.Kind || b.st.Types[r.ids[i]] != t
	}
	if !need {
		return nil
	}
	p := &plan.Project{In: r.node}
	ids := make([]int, len(r.ids))
	for i, id := range r.ids {
		e, err := expr.Coerce(b.col(id), types[i])
		if err != nil {
			return err
		}
		ids[i] = b.column(r.names[i], types[i])
		p.Exprs, p.Cols = append(p.Exprs, e), append(p.Cols, ids[i])
	}
	r.node, r.ids = p, ids
	return nil
}
