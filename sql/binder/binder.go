package binder

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// Options are what a statement is bound with.
type Options struct {
	Catalog Catalog
	// Namespace is where unqualified names are looked up; empty: nowhere.
	Namespace ident.NamespaceID
	// Text is the statement's text, for the places of errors.
	Text string
	// Literals are the types of parameters that stand for literals of the
	// text, by index; Unknown in it means a text literal. They come after
	// FirstLiteral parameters of the user's.
	FirstLiteral int
	Literals     []sqltype.Type
}

// Bind turns a query, INSERT, UPDATE or DELETE into a plan.
func Bind(stmt ast.Statement, opts Options) (*plan.Statement, error) {
	b := &binder{opts: opts, text: opts.Text, params: &expr.Params{}, st: &plan.Statement{}}
	var err error
	switch s := stmt.(type) {
	case *ast.Query:
		err = b.topQuery(s)
	case *ast.Insert:
		err = b.modifyingChange(s.With, func() error { return b.insert(s) })
	case *ast.Update:
		err = b.modifyingChange(s.With, func() error { return b.update(s) })
	case *ast.Delete:
		err = b.modifyingChange(s.With, func() error { return b.delete(s) })
	default:
		return nil, dberr.New(dberr.Unsupported, "this statement cannot be planned")
	}
	if err != nil {
		return nil, err
	}
	b.st.Params = slices.Clone(b.params.Types())
	for i := range b.opts.Literals {
		for len(b.st.Params) <= b.opts.FirstLiteral+i {
			b.st.Params = append(b.st.Params, sqltype.TUnknown)
		}
		if t := b.opts.Literals[i]; t.Kind != sqltype.Unknown {
			b.st.Params[b.opts.FirstLiteral+i] = t
		}
	}
	b.st.ParamColumns = b.paramColumns
	return b.st, nil
}

// binder is the state of binding one statement.
type binder struct {
	opts   Options
	text   string
	params *expr.Params
	st     *plan.Statement
	ctes   *cteEnv
	// views are those that are being expanded.
	views []*ddl.View
	depth int
	// modifying are the CTEs that change rows; nil: none does.
	modifying    *modifyingWith
	paramColumns map[int]string
}

// maxDepth bounds how deeply queries and views may be nested.
const maxDepth = 128

// column makes a new column identity.
func (b *binder) column(name string, t sqltype.Type) int {
	b.st.Types = append(b.st.Types, t)
	b.st.Labels = append(b.st.Labels, name)
	return len(b.st.Types) - 1
}

func (b *binder) col(id int) expr.Expr {
	return expr.Column(id, b.st.Types[id], b.st.Labels[id])
}

// at gives an error the place of a node, unless it has one.
func (b *binder) at(n ast.Node, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*dberr.Error); ok {
		return e.At(n.Position().In(b.text))
	}
	return err
}

func (b *binder) errorf(n ast.Node, code dberr.Code, format string, args ...any) *dberr.Error {
	return dberr.Newf(code, format, args...).At(n.Position().In(b.text))
}

func (b *binder) unsupported(n ast.Node, what string) error {
	return b.errorf(n, dberr.Unsupported, "%s is not supported", what)
}

// readTable notes that the statement reads a table.
func (b *binder) readTable(t *ddl.Table) {
	if !slices.Contains(b.st.Tables, t) {
		b.st.Tables = append(b.st.Tables, t)
	}
}

// qualify gives the namespace in which a name is looked up.
func (b *binder) qualify(n *ast.TableName) (ident.NamespaceID, error) {
	if n.UserQualified {
		b.st.UserQualified = true
	}
	if n.Namespace != "" {
		return ident.NamespaceID(n.Namespace), nil
	}
	if b.opts.Namespace == "" {
		return "", b.errorf(n, dberr.NamespaceNotFound, "table %q has no namespace and none is selected", n.Name).
			WithHint("Write it as namespace.%s, or select a namespace with USE.", n.Name)
	}
	return b.opts.Namespace, nil
}

// table finds a table that must not be a view.
func (b *binder) table(n *ast.TableName) (*ddl.Table, error) {
	ns, err := b.qualify(n)
	if err != nil {
		return nil, err
	}
	t, err := b.opts.Catalog.Table(ns, ident.TableName(n.Name))
	if err != nil {
		return nil, b.at(n, err)
	}
	if n.UserQualified && !t.Type.PerUser() {
		return nil, b.errorf(n, dberr.TableNotFound, "table %s is not a user table, so %s.%s.%s does not exist",
			t.Ident(), ns, sysname.UserQualifier, n.Name)
	}
	return t, nil
}

// extend makes columns of expressions: one that is a column of the node
// already stays what it is, the others are computed by a Project that passes
// all else on.
func (b *binder) extend(in plan.Node, exprs []expr.Expr, names func(int) string) (plan.Node, []int) {
	ids := make([]int, len(exprs))
	var p *plan.Project
	have := in.Columns()
	for i, e := range exprs {
		if c, ok := e.(*expr.ColumnExpr); ok && slices.Contains(have, c.Ordinal) {
			ids[i] = c.Ordinal
			continue
		}
		e = expr.Resolve(e)
		if p == nil {
			p = b.passOn(in)
		}
		ids[i] = b.column(names(i), e.Type())
		p.Exprs = append(p.Exprs, e)
		p.Cols = append(p.Cols, ids[i])
	}
	if p != nil {
		return p, ids
	}
	return in, ids
}

// passOn is a Project that passes every column on.
func (b *binder) passOn(in plan.Node) *plan.Project {
	p := &plan.Project{In: in}
	for _, id := range in.Columns() {
		if !slices.Contains(p.Cols, id) {
			p.Exprs = append(p.Exprs, b.col(id))
			p.Cols = append(p.Cols, id)
		}
	}
	return p
}

// ResolveType gives the type that a type name means, with its modifiers.
func ResolveType(n ast.TypeName) (sqltype.Type, error) {
	t, ok := sqltype.Named(n.Name)
	if !ok {
		return t, dberr.Newf(dberr.InvalidSQL, "type %q does not exist", n.Name).WithState("42704")
	}
	bad := func(why string) (sqltype.Type, error) {
		return t, dberr.Newf(dberr.InvalidSQL, "type %s: %s", n.Name, why).WithState("22023")
	}
	switch t.Kind {
	case sqltype.Decimal:
		switch len(n.Mods) {
		case 0:
		case 1, 2:
			t.Precision = n.Mods[0]
			if len(n.Mods) == 2 {
				t.Scale = n.Mods[1]
			}
			if t.Precision < 1 || t.Precision > sqltype.MaxDecimalPrecision {
				return bad("precision must be between 1 and 38")
			}
			if t.Scale < 0 || t.Scale > t.Precision {
				return bad("scale must be between 0 and the precision")
			}
		default:
			return bad("takes a precision and a scale")
		}
	case sqltype.Text:
		switch {
		case len(n.Mods) > 1:
			return bad("takes one length")
		case len(n.Mods) == 1 && n.Mods[0] < 1:
			return bad("length must be at least 1")
		case len(n.Mods) == 1:
			t.Precision = n.Mods[0]
		}
	case sqltype.Float:
		if len(n.Mods) == 1 && n.Mods[0] > 24 {
			t = sqltype.TDouble
		}
		if len(n.Mods) > 1 || len(n.Mods) == 1 && (n.Mods[0] < 1 || n.Mods[0] > 53) {
			return bad("precision must be between 1 and 53")
		}
	}
	if n.Dims > 1 {
		return t, dberr.Newf(dberr.Unsupported, "arrays of more than one dimension are not supported")
	}
	if n.Dims == 1 {
		t = sqltype.ArrayOf(t)
	}
	return t, nil
}
