package binder

import (
	"math"
	"strconv"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// expr binds an expression. The parser bounds its depth.
func (b *binder) expr(e ast.Expr, sc *scope) (expr.Expr, error) {
	if sel := sc.sel; sel != nil && len(sel.queryGroups) > 0 {
		if x, ok := sel.asGroup(e); ok {
			return x, nil
		}
	}
	out, err := b.bindExpr(e, sc)
	return out, b.at(e, err)
}

// condition binds an expression that must be a condition.
func (b *binder) condition(e ast.Expr, sc *scope, what string) (expr.Expr, error) {
	x, err := b.expr(e, sc)
	if err != nil {
		return nil, err
	}
	c, err := expr.Condition(x, what)
	return c, b.at(e, err)
}

// filter is condition for one that rows are filtered by. Its conjuncts are
// filters of their own, which come before what the next ones need.
func (b *binder) filter(e ast.Expr, sc *scope, what string) (expr.Expr, error) {
	and, ok := e.(*ast.AndExpr)
	if !ok {
		return b.condition(e, sc, what)
	}
	args, err := b.exprs(and.Args, sc)
	if err != nil {
		return nil, err
	}
	c, err := expr.BindAnd(args...)
	return c, b.at(e, err)
}

func (b *binder) exprs(list []ast.Expr, sc *scope) ([]expr.Expr, error) {
	out := make([]expr.Expr, len(list))
	for i, e := range list {
		var err error
		if out[i], err = b.expr(e, sc); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// two binds two operands.
func (b *binder) two(l, r ast.Expr, sc *scope) (x, y expr.Expr, err error) {
	if x, err = b.expr(l, sc); err == nil {
		y, err = b.expr(r, sc)
	}
	return x, y, err
}

func (b *binder) bindExpr(e ast.Expr, sc *scope) (expr.Expr, error) {
	switch e := e.(type) {
	case *ast.NullLit:
		return expr.Null(), nil
	case *ast.BoolLit:
		return expr.Bool(e.Value), nil
	case *ast.IntLit:
		return intConst(e.Value), nil
	case *ast.DecimalLit:
		return decimalConst(e.Text)
	case *ast.StringLit:
		return expr.Literal(e.Value), nil
	case *ast.BytesLit:
		return expr.Const(sqltype.NewString(sqltype.Bytes, e.Value), sqltype.TBytes), nil
	case *ast.BitLit:
		return expr.Literal(e.Bits), nil
	case *ast.TypedLit:
		t, err := ResolveType(e.Type)
		if err != nil {
			return nil, err
		}
		return castLiteral(e.Value, &e.Type, t, expr.CastExplicit)
	case *ast.Param:
		return b.param(e)
	case *ast.DefaultExpr:
		return nil, dberr.New(dberr.InvalidSQL, "DEFAULT is not allowed in this context")
	case *ast.ColumnRef:
		return b.lookup(sc, e)
	case *ast.FieldExpr:
		return b.field(e, sc)
	case *ast.Star:
		return nil, dberr.New(dberr.InvalidSQL, "* is not allowed in this context")
	case *ast.UnaryExpr:
		return b.unary(e, sc)
	case *ast.BinaryExpr:
		return b.binary(e, sc)
	case *ast.NotExpr:
		x, err := b.expr(e.X, sc)
		if err != nil {
			return nil, err
		}
		return expr.Not(x)
	case *ast.AndExpr:
		args, err := b.operands(e.Args, sc, condition{is: ast.IsFalse, not: true})
		if err != nil {
			return nil, err
		}
		return expr.BindAnd(args...)
	case *ast.OrExpr:
		args, err := b.operands(e.Args, sc, condition{is: ast.IsTrue, not: true})
		if err != nil {
			return nil, err
		}
		return expr.BindOr(args...)
	case *ast.LikeExpr:
		x, p, err := b.two(e.X, e.Pattern, sc)
		if err != nil {
			return nil, err
		}
		var esc expr.Expr
		if e.Escape != nil {
			if esc, err = b.expr(e.Escape, sc); err != nil {
				return nil, err
			}
		}
		b.noteParam(x, p)
		return expr.Like(e.Kind, e.Not, x, p, esc)
	case *ast.BetweenExpr:
		x, err := b.expr(e.X, sc)
		if err != nil {
			return nil, err
		}
		lo, hi, err := b.two(e.Lo, e.Hi, sc)
		if err != nil {
			return nil, err
		}
		b.noteParam(x, lo)
		b.noteParam(x, hi)
		return expr.Between(x, lo, hi, e.Not, e.Symmetric)
	case *ast.InExpr:
		return b.in(e, sc)
	case *ast.QuantifiedExpr:
		return b.quantified(e, sc)
	case *ast.IsExpr:
		x, err := b.expr(e.X, sc)
		if err != nil {
			return nil, err
		}
		return expr.Is(e.Kind, e.Not, x)
	case *ast.DistinctExpr:
		l, r, err := b.two(e.L, e.R, sc)
		if err != nil {
			return nil, err
		}
		b.noteParam(l, r)
		return expr.Distinct(l, r, e.Not)
	case *ast.ExistsExpr:
		return b.exists(e, sc)
	case *ast.SubqueryExpr:
		return b.columnSubquery(plan.ApplyScalar, e.Query, sc)
	case *ast.ArraySubqueryExpr:
		return b.columnSubquery(plan.ApplyArray, e.Query, sc)
	case *ast.ArrayExpr:
		elems, err := b.exprs(e.Elems, sc)
		if err != nil {
			return nil, err
		}
		return expr.Array(elems...)
	case *ast.RowExpr:
		items, err := b.exprs(e.Items, sc)
		if err != nil {
			return nil, err
		}
		return expr.Row(items...), nil
	case *ast.IndexExpr:
		x, i, err := b.two(e.X, e.Index, sc)
		if err != nil {
			return nil, err
		}
		return expr.Index(x, i)
	case *ast.SliceExpr:
		return b.slice(e, sc)
	case *ast.CaseExpr:
		return b.caseExpr(e, sc)
	case *ast.CastExpr:
		return b.cast(e, sc)
	case *ast.CollateExpr:
		switch e.Collation {
		case "C", "POSIX", "default", "ucs_basic", "binary", "BINARY", "NOACCENT", "posix", "c":
			return b.expr(e.X, sc)
		}
		return nil, dberr.Newf(dberr.Unsupported, "collation %q is not supported", e.Collation).WithState("42704").
			WithHint("Text is compared by its bytes: collation \"C\".")
	case *ast.AtTimeZoneExpr:
		x, z, err := b.two(e.X, e.Zone, sc)
		if err != nil {
			return nil, err
		}
		return expr.Call("timezone", z, x)
	case *ast.FuncCall:
		return b.call(e, sc)
	case *ast.GroupingExpr:
		return nil, dberr.New(dberr.InvalidSQL, "GROUPING SETS, ROLLUP and CUBE are allowed in GROUP BY only")
	}
	return nil, dberr.New(dberr.Unsupported, "this expression is not supported")
}

func intConst(n int64) expr.Expr {
	if n >= math.MinInt32 && n <= math.MaxInt32 {
		return expr.Const(sqltype.NewInt(sqltype.Integer, n), sqltype.TInteger)
	}
	return expr.Const(sqltype.NewBigInt(n), sqltype.TBigInt)
}

func decimalConst(text string) (expr.Expr, error) {
	d, err := decimal.Parse(text)
	if err != nil || rounds(text, d) {
		// Past 38 digits a number is a DOUBLE.
		return expr.Cast(expr.Literal(text), sqltype.TDouble, expr.CastExplicit)
	}
	return expr.Const(sqltype.NewDecimal(d), sqltype.TDecimal), nil
}

// rounds tells whether a number is so small that a DOUBLE holds more of its
// digits than the 38 behind the point of a DECIMAL.
func rounds(text string, d decimal.Decimal) bool {
	const double = 17 // digits
	if d.Scale() < decimal.MaxScale || d.Digits() >= double {
		return false
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && f != d.Float64()
}

// param is a parameter of the user's, or one that stands for a literal of the
// text and so has its type.
func (b *binder) param(p *ast.Param) (expr.Expr, error) {
	if p.Index < 1 || p.Index > expr.MaxParams {
		return nil, dberr.Newf(dberr.InvalidSQL, "there is no parameter $%d", p.Index).WithState("42P02")
	}
	if i := p.Index - b.opts.FirstLiteral - 1; len(b.opts.Literals) > 0 && i >= 0 && i < len(b.opts.Literals) {
		if t := b.opts.Literals[i]; t.Kind != sqltype.Unknown {
			return expr.Param(p.Index, t), nil
		}
	}
	return b.params.Expr(p.Index)
}

// noteParam remembers the column that a parameter is compared with.
func (b *binder) noteParam(x, y expr.Expr) {
	if _, ok := x.(*expr.ParamExpr); ok {
		x, y = y, x
	}
	c, ok := x.(*expr.ColumnExpr)
	if !ok {
		return
	}
	if p, ok := y.(*expr.ParamExpr); ok {
		b.nameParam(p.Index, c.Name)
	}
}

func (b *binder) nameParam(index int, column string) {
	if b.paramColumns == nil {
		b.paramColumns = map[int]string{}
	}
	if _, ok := b.paramColumns[index]; !ok {
		b.paramColumns[index] = column
	}
}

func (b *binder) unary(e *ast.UnaryExpr, sc *scope) (expr.Expr, error) {
	if e.Op == ast.OpSub {
		// The sign belongs to the number: -9223372036854775808 is a BIGINT.
		switch x := e.X.(type) {
		case *ast.IntLit:
			return intConst(-x.Value), nil
		case *ast.DecimalLit:
			if x.Text == "9223372036854775808" {
				return intConst(math.MinInt64), nil
			}
			return decimalConst("-" + x.Text)
		}
	}
	x, err := b.expr(e.X, sc)
	if err != nil {
		return nil, err
	}
	return expr.Unary(e.Op, x)
}

func (b *binder) binary(e *ast.BinaryExpr, sc *scope) (expr.Expr, error) {
	if e.Op.IsComparison() {
		if out, ok, err := b.rowSubquery(e, sc); ok {
			return out, err
		}
	}
	l, r, err := b.two(e.L, e.R, sc)
	if err != nil {
		return nil, err
	}
	if e.Op.IsComparison() {
		b.noteParam(l, r)
	}
	return expr.Binary(e.Op, l, r)
}

func (b *binder) in(e *ast.InExpr, sc *scope) (expr.Expr, error) {
	if e.Query != nil {
		return b.inSubquery(e.X, ast.OpEq, false, e.Not, e.Query, sc)
	}
	x, err := b.expr(e.X, sc)
	if err != nil {
		return nil, err
	}
	list, err := b.exprs(e.List, sc)
	if err != nil {
		return nil, err
	}
	for _, item := range list {
		b.noteParam(x, item)
	}
	return expr.In(x, list, e.Not)
}

func (b *binder) quantified(e *ast.QuantifiedExpr, sc *scope) (expr.Expr, error) {
	if e.Query != nil {
		return b.inSubquery(e.X, e.Op, e.All, false, e.Query, sc)
	}
	x, arr, err := b.two(e.X, e.Array, sc)
	if err != nil {
		return nil, err
	}
	return expr.Quantified(e.Op, e.All, x, arr)
}

func (b *binder) slice(e *ast.SliceExpr, sc *scope) (expr.Expr, error) {
	x, err := b.expr(e.X, sc)
	if err != nil {
		return nil, err
	}
	var bounds [2]expr.Expr
	for i, a := range []ast.Expr{e.Lo, e.Hi} {
		if a == nil {
			continue
		}
		if bounds[i], err = b.expr(a, sc); err != nil {
			return nil, err
		}
	}
	return expr.Slice(x, bounds[0], bounds[1])
}

// oneValue forbids functions that give rows within a form whose parts are not
// all computed. done ends that.
func (sc *scope) oneValue(form string) (done func()) {
	sel := sc.sel
	if sel == nil {
		return func() {}
	}
	old := sel.oneValue
	sel.oneValue = form
	return func() { sel.oneValue = old }
}

func (b *binder) caseExpr(e *ast.CaseExpr, sc *scope) (expr.Expr, error) {
	defer sc.oneValue("CASE")()
	defer sc.asking()()
	var operand, els expr.Expr
	var err error
	if e.Operand != nil {
		if operand, err = b.expr(e.Operand, sc); err != nil {
			return nil, err
		}
	}
	whens := make([]expr.When, len(e.Whens))
	for i, w := range e.Whens {
		if whens[i].Cond, err = b.expr(w.Cond, sc); err != nil {
			return nil, err
		}
		done := sc.asking()
		sc.ask(condition{operand: operand, x: whens[i].Cond, is: ast.IsTrue})
		whens[i].Result, err = b.expr(w.Result, sc)
		if done(); err != nil {
			return nil, err
		}
		sc.ask(condition{operand: operand, x: whens[i].Cond, is: ast.IsTrue, not: true})
	}
	if e.Else != nil {
		if els, err = b.expr(e.Else, sc); err != nil {
			return nil, err
		}
	}
	return expr.Case(operand, whens, els)
}

func (b *binder) cast(e *ast.CastExpr, sc *scope) (expr.Expr, error) {
	t, err := ResolveType(e.Type)
	if err != nil {
		return nil, b.at(&e.Type, err)
	}
	mode := expr.CastExplicit
	if e.Try {
		mode = expr.CastTry
	}
	if lit, ok := e.X.(*ast.StringLit); ok {
		return castLiteral(lit.Value, &e.Type, t, mode)
	}
	x, err := b.expr(e.X, sc)
	if err != nil {
		return nil, err
	}
	if x, err = expr.Cast(x, t, mode); err != nil {
		return nil, err
	}
	return inOrderIfJSONB(&e.Type, x)
}

// castLiteral binds a text with its type: CAST('5' AS DATE), INTERVAL '5' DAY.
func castLiteral(text string, name *ast.TypeName, t sqltype.Type, mode expr.CastMode) (expr.Expr, error) {
	if t.Kind == sqltype.Interval && name.Fields != "" {
		iv, err := sqltype.ParseIntervalFields(text, name.Fields)
		if err == nil {
			return expr.Const(sqltype.NewInterval(iv), t), nil
		}
		if mode != expr.CastTry {
			return nil, err
		}
	}
	x, err := expr.Cast(expr.Literal(text), t, mode)
	if err != nil {
		return nil, err
	}
	return inOrderIfJSONB(name, x)
}

// inOrderIfJSONB brings a document's keys into order where it is cast to JSONB.
// JSON and JSONB are one type, which keeps a document as it came; the order
// is what the cast itself does.
func inOrderIfJSONB(t *ast.TypeName, x expr.Expr) (expr.Expr, error) {
	if x.Type().Kind != sqltype.JSON || t.Name != "jsonb" {
		return x, nil
	}
	return expr.Call("to_jsonb", x)
}
