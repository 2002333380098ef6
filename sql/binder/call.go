package binder

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// orderExpr is a bound ORDER BY item.
type orderExpr struct {
	x                expr.Expr
	desc, nullsFirst bool
}

// aggCall is an aggregate that a SELECT needs, over rows before grouping.
type aggCall struct {
	agg    plan.Agg
	args   []expr.Expr
	filter expr.Expr
	order  []orderExpr
}

// winCall is a window function that a SELECT needs, over rows after grouping.
type winCall struct {
	fn        plan.WindowFunc
	args      []expr.Expr
	filter    expr.Expr
	partition []expr.Expr
	order     []orderExpr
}

// exprs are what the call reads: arguments, partition, order, filter.
func (w *winCall) exprs() []expr.Expr {
	out := slices.Concat(w.args, w.partition)
	for _, o := range w.order {
		out = append(out, o.x)
	}
	if w.filter != nil {
		out = append(out, w.filter)
	}
	return out
}

// selectState collects what the expressions of a SELECT need beside the rows
// of its FROM.
type selectState struct {
	// collecting is set while the select list, HAVING and ORDER BY are bound:
	// there aggregates may stand, and subqueries go above the grouping.
	collecting bool
	inWindow   bool
	aggs       []aggCall
	wins       []winCall
	windows    map[string]*ast.WindowSpec
	// grouping are the calls of GROUPING(), by the column they became.
	grouping []groupingCall
	groups   []expr.Expr
	// queryGroups are those of groups that have a subquery.
	queryGroups []queryGroup
	// expands allows functions that give rows: in GROUP BY and in the select
	// list. grouped are those of the one, computed for the rows that are
	// grouped, calls those that only the other has, computed for the result.
	expands        bool
	grouped, calls []plan.TableFuncCall
	// oneValue names the form around, of which each part is one value.
	oneValue string
	// own are the columns of FROM.
	own []int
	// ctes are the CTEs in sight.
	ctes *cteEnv
}

type groupingCall struct {
	args []expr.Expr
	col  int
}

func (b *binder) call(f *ast.FuncCall, sc *scope) (expr.Expr, error) {
	if f.Schema != "" && f.Schema != "pg_catalog" && f.Schema != "information_schema" {
		return nil, dberr.Newf(dberr.FunctionNotFound, "function %s.%s does not exist", f.Schema, f.Name)
	}
	kind, known := builtin.KindOf(f.Name)
	switch {
	case f.Name == "grouping" && f.Over == nil:
		return b.groupingCall(f, sc)
	case f.Over != nil:
		return b.window(f, sc)
	case known && kind == builtin.Aggregate:
		return b.aggregate(f, sc)
	case known && kind == builtin.Window:
		return nil, dberr.Newf(dberr.InvalidSQL, "window function %s requires an OVER clause", f.Name).WithState("42809")
	case known && kind == builtin.Table && sc.sel != nil && sc.sel.oneValue != "":
		return nil, b.errorf(f, dberr.Unsupported, "set-returning functions are not allowed in %s", sc.sel.oneValue).
			WithHint("Move the function into a LATERAL element of FROM.")
	case known && kind == builtin.Table && sc.sel != nil && sc.sel.expands && (sc.sel.collecting || sc.clause == "GROUP BY") && !sc.sel.inWindow:
		return b.rowsCall(f, sc)
	case known && kind == builtin.Table:
		return nil, dberr.Newf(dberr.Unsupported, "%s gives rows and is supported in FROM, GROUP BY and the select list only", f.Name).
			WithHint("Write SELECT … FROM %s(…).", f.Name)
	}
	switch {
	case f.Star:
		return nil, dberr.Newf(dberr.InvalidSQL, "%s(*) specified, but %s is not an aggregate function", f.Name, f.Name).WithState("42809")
	case f.Distinct, len(f.OrderBy) > 0, len(f.WithinGroup) > 0, f.Filter != nil:
		return nil, dberr.Newf(dberr.InvalidSQL, "DISTINCT, ORDER BY and FILTER need an aggregate function; %s is none", f.Name).WithState("42809")
	}
	switch f.Name {
	case "normalize":
		f = normalForm(f)
	case "row_to_json":
		if len(f.Args) == 1 {
			if x, err := b.rowArgument(f, f.Args[0], sc); x != nil || err != nil {
				return x, err
			}
		}
	case "coalesce":
		defer sc.oneValue("COALESCE")()
		fallthrough
	case "ifnull", "nvl":
		defer sc.asking()()
	case "nullif":
		if len(f.Args) != 2 {
			return nil, b.errorf(f, dberr.InvalidSQL, "NULLIF takes two arguments, not %d", len(f.Args)).WithState("42601")
		}
	}
	args, err := b.args(f, sc)
	if err != nil {
		return nil, err
	}
	return expr.Call(f.Name, args...)
}

// normalForm is normalize(x, NFD), whose second argument is a word.
func normalForm(f *ast.FuncCall) *ast.FuncCall {
	if len(f.Args) != 2 {
		return f
	}
	c, ok := f.Args[1].(*ast.ColumnRef)
	if !ok || c.Table != "" || !builtin.IsNormalForm(c.Name) {
		return f
	}
	out := *f
	out.Args = []ast.Expr{f.Args[0], &ast.StringLit{Pos: c.Pos, Value: c.Name}}
	return &out
}

// rowsCall binds a function that gives rows in a select list. The select list
// is computed once for each of its rows; several such functions go on side by
// side, those that end first give NULL.
func (b *binder) rowsCall(f *ast.FuncCall, sc *scope) (expr.Expr, error) {
	sel := sc.sel
	sel.expands = false
	asked := sc.asked
	sc.asked = nil
	args, err := b.args(f, sc)
	sel.expands, sc.asked = true, asked
	if err != nil {
		return nil, err
	}
	m, err := builtin.Resolve(f.Name, typesOf(args))
	if err != nil {
		return nil, err
	}
	if args, err = expr.Args(m, args); err != nil {
		return nil, err
	}
	if len(m.Fn.Columns) != 1 || m.Fn.Defined {
		return nil, b.errorf(f, dberr.Unsupported, "%s gives several columns and is supported in FROM only", f.Name).
			WithHint("Write SELECT … FROM %s(…).", f.Name)
	}
	for i := range sel.grouped {
		c := &sel.grouped[i]
		if c.Fn == m.Fn && slices.EqualFunc(c.Args, args, plan.Equal) {
			return b.col(c.Cols[0]), nil
		}
	}
	typ := m.Fn.Columns[0].Type
	if typ.Kind == builtin.AnyElement {
		typ = elementOf(args)
	}
	id := b.column(f.Name, typ)
	sel.calls = append(sel.calls, plan.TableFuncCall{Fn: m.Fn, Args: args, Cols: []int{id}})
	return b.col(id), nil
}

func (b *binder) args(f *ast.FuncCall, sc *scope) ([]expr.Expr, error) {
	args := make([]expr.Expr, 0, len(f.Args))
	named := false
	for _, a := range f.Args {
		n, ok := a.(*ast.NamedArg)
		if !ok && named {
			return nil, b.errorf(a, dberr.InvalidSQL, "positional argument cannot follow named argument")
		}
		if ok {
			named = true
			i := slices.Index(builtin.ArgNames(f.Name), n.Name)
			if i < 0 {
				return nil, b.errorf(n, dberr.FunctionNotFound, "function %s has no argument named %q", f.Name, n.Name)
			}
			for len(args) <= i {
				args = append(args, nil)
			}
			if args[i] != nil {
				return nil, b.errorf(n, dberr.InvalidSQL, "argument name %q used more than once", n.Name)
			}
			x, err := b.expr(n.X, sc)
			if err != nil {
				return nil, err
			}
			args[i] = x
			continue
		}
		x, err := b.rowArgument(f, a, sc)
		if x == nil && err == nil {
			x, err = b.expr(a, sc)
		}
		if err != nil {
			return nil, err
		}
		args = append(args, x)
		switch f.Name {
		case "coalesce", "ifnull", "nvl":
			sc.ask(condition{x: x, is: ast.IsNull})
		}
	}
	for i, a := range args {
		if a != nil {
			continue
		}
		if !builtin.ArgsOptional(f.Name) {
			return nil, b.errorf(f, dberr.FunctionNotFound, "function %s needs its argument %q", f.Name, builtin.ArgNames(f.Name)[i])
		}
		args[i] = intConst(0)
	}
	return args, nil
}

func (b *binder) order(items []ast.OrderItem, sc *scope) ([]orderExpr, error) {
	out := make([]orderExpr, len(items))
	for i := range items {
		x, err := b.expr(items[i].X, sc)
		if err != nil {
			return nil, err
		}
		out[i] = orderExpr{x: expr.Resolve(x), desc: items[i].Descending(), nullsFirst: items[i].PutsNullsFirst()}
	}
	return out, nil
}

func typesOf(args []expr.Expr) []sqltype.Type {
	out := make([]sqltype.Type, len(args))
	for i, a := range args {
		out[i] = a.Type()
	}
	return out
}

// aggregate binds an aggregate call: its arguments read rows before grouping,
// the call itself becomes a column.
func (b *binder) aggregate(f *ast.FuncCall, sc *scope) (expr.Expr, error) {
	if f.Nulls != ast.NullsDefault {
		return nil, b.unsupported(f, "IGNORE NULLS in an aggregate")
	}
	sel := sc.sel
	if sel != nil {
		collecting := sel.collecting
		sel.collecting = false
		defer func() { sc.sel.collecting = collecting }()
		if !collecting {
			sel = nil
		}
	}
	inner := *sc
	inner.clause, inner.asked = inAggregate, nil
	below := sc.node
	c, res, err := b.aggArgs(f, &inner)
	if err != nil {
		return nil, err
	}
	owner, err := b.aggOwner(sc, &c, below, inner.node)
	if err != nil {
		return nil, err
	}
	switch {
	case owner != sc:
		sel = owner.sel
	case sel == nil:
		return nil, noAggregate(sc.clause)
	}
	if err := b.attachAll(owner, below, inner.node); err != nil {
		return nil, b.at(f, err)
	}
	for i := range sel.aggs {
		if sameAgg(&sel.aggs[i], &c) {
			return b.col(sel.aggs[i].agg.Col), nil
		}
	}
	c.agg.Col = b.column(f.Name, res)
	sel.aggs = append(sel.aggs, c)
	return b.col(c.agg.Col), nil
}

func sameAgg(a, c *aggCall) bool {
	if a.agg.Fn != c.agg.Fn || a.agg.Distinct != c.agg.Distinct || len(a.args) != len(c.args) ||
		len(a.order)+len(c.order) > 0 || (a.filter == nil) != (c.filter == nil) || a.agg.Spec.Descending != c.agg.Spec.Descending {
		return false
	}
	for i := range a.args {
		if !plan.Equal(a.args[i], c.args[i]) {
			return false
		}
	}
	return a.filter == nil || plan.Equal(a.filter, c.filter)
}

// inOrder are the aggregates whose result shows the order of their rows.
var inOrder = map[string]bool{"array_agg": true, "string_agg": true, "json_agg": true, "jsonb_agg": true}

// aggArgs binds what stands in an aggregate's parentheses and behind them.
func (b *binder) aggArgs(f *ast.FuncCall, sc *scope) (c aggCall, res sqltype.Type, err error) {
	defer sc.asking()()
	if f.Filter != nil {
		if c.filter, err = b.condition(f.Filter, sc, "FILTER"); err != nil {
			return c, res, err
		}
	}
	ordered := len(f.WithinGroup) > 0
	if !ordered {
		sc.askWhere(c.filter)
	}
	if c.args, err = b.args(f, sc); err != nil {
		return c, res, err
	}
	if ordered {
		// The arguments hold for the whole group.
		sc.askWhere(c.filter)
	}
	var within []orderExpr
	if len(f.WithinGroup) > 0 {
		if within, err = b.order(f.WithinGroup, sc); err != nil {
			return c, res, err
		}
		for _, o := range within {
			c.args = append(c.args, o.x)
			c.agg.Spec.Descending = o.desc
		}
	}
	types := typesOf(c.args)
	if f.Star {
		if f.Name != "count" {
			return c, res, dberr.Newf(dberr.FunctionNotFound, "function %s(*) does not exist", f.Name)
		}
	} else if f.Name == "count" && len(types) == 0 {
		return c, res, dberr.New(dberr.InvalidSQL, "count(*) must be used to call a parameterless aggregate function").WithState("42809")
	}
	m, err := builtin.Resolve(f.Name, types)
	if err != nil {
		return c, res, err
	}
	if m.Fn.Kind != builtin.Aggregate {
		return c, res, dberr.Newf(dberr.InvalidSQL, "%s is not an aggregate function", f.Name).WithState("42809")
	}
	if m.Fn.Ordered != (len(f.WithinGroup) > 0) {
		if m.Fn.Ordered {
			return c, res, dberr.Newf(dberr.InvalidSQL, "WITHIN GROUP is required for ordered-set aggregate %s", f.Name).WithState("42809")
		}
		return c, res, dberr.Newf(dberr.InvalidSQL, "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP", f.Name).WithState("42809")
	}
	if c.args, err = expr.Args(m, c.args); err != nil {
		return c, res, err
	}
	for i := range c.args {
		c.args[i] = expr.Resolve(c.args[i])
	}
	if c.order, err = b.order(f.OrderBy, sc); err != nil {
		return c, res, err
	}
	if f.Distinct && len(c.order) == 0 && inOrder[f.Name] {
		// PostgreSQL finds the duplicates by sorting, and people rely on it.
		for _, a := range c.args {
			if len(expr.Columns(a)) > 0 {
				c.order = append(c.order, orderExpr{x: a})
			}
		}
	}
	own := c.args // without those of an ordered-set aggregate that hold for the whole group
	if m.Fn.Ordered {
		own = c.args[len(f.Args):]
	}
	if err := onlyWhere(c.filter, own, c.order); err != nil {
		return c, res, err
	}
	c.agg.Fn, c.agg.Distinct, c.agg.Filter = m.Fn, f.Distinct, -1
	c.agg.Spec.Args, c.agg.Spec.Result = typesOf(c.args), m.Result
	c.agg.Text = f.Name
	return c, m.Result, nil
}

// onlyWhere has an aggregate's arguments computed only for the rows that its
// FILTER lets through: for others they might fail.
func onlyWhere(filter expr.Expr, args []expr.Expr, order []orderExpr) error {
	if filter == nil || plan.Volatile(filter) {
		return nil
	}
	guard := func(x *expr.Expr) (err error) {
		switch (*x).(type) {
		case *expr.ColumnExpr, *expr.ConstExpr:
			return nil
		}
		*x, err = expr.Case(nil, []expr.When{{Cond: filter, Result: *x}}, nil)
		return err
	}
	for i := range args {
		if err := guard(&args[i]); err != nil {
			return err
		}
	}
	for i := range order {
		if err := guard(&order[i].x); err != nil {
			return err
		}
	}
	return nil
}

// groupingCall is GROUPING(a, b): which of the expressions are not grouped in
// the row's grouping set.
func (b *binder) groupingCall(f *ast.FuncCall, sc *scope) (expr.Expr, error) {
	if sc.sel == nil || !sc.sel.collecting {
		return nil, dberr.Newf(dberr.InvalidSQL, "GROUPING is not allowed in %s", sc.clause).WithState("42803")
	}
	if len(f.Args) == 0 || len(f.Args) > 31 {
		return nil, dberr.New(dberr.InvalidSQL, "GROUPING takes 1 to 31 arguments")
	}
	sc.sel.collecting = false
	args, err := b.args(f, sc)
	sc.sel.collecting = true
	if err != nil {
		return nil, err
	}
	id := b.column("grouping", sqltype.TInteger)
	sc.sel.grouping = append(sc.sel.grouping, groupingCall{args: args, col: id})
	return b.col(id), nil
}

// window binds a call with OVER.
func (b *binder) window(f *ast.FuncCall, sc *scope) (expr.Expr, error) {
	sel := sc.sel
	switch {
	case sel == nil || !sel.collecting:
		return nil, dberr.Newf(dberr.InvalidSQL, "window functions are not allowed in %s", sc.clause).WithState("42P20")
	case sel.inWindow:
		return nil, dberr.New(dberr.InvalidSQL, "window function calls cannot be nested").WithState("42P20")
	case f.Distinct:
		return nil, b.unsupported(f, "DISTINCT in a window function")
	case len(f.OrderBy) > 0 || len(f.WithinGroup) > 0:
		return nil, b.unsupported(f, "ORDER BY in a window function's arguments")
	}
	asked := sc.asked
	sel.inWindow, sc.asked = true, nil
	defer func() { sel.inWindow, sc.asked = false, asked }()
	spec, err := b.windowSpec(f.Over, sel, 0)
	if err != nil {
		return nil, err
	}
	var w winCall
	if f.Filter != nil {
		if w.filter, err = b.condition(f.Filter, sc, "FILTER"); err != nil {
			return nil, err
		}
	}
	sc.askWhere(w.filter)
	w.args, err = b.args(f, sc)
	if sc.asked = nil; err != nil {
		return nil, err
	}
	m, err := builtin.Resolve(f.Name, typesOf(w.args))
	if err != nil {
		return nil, err
	}
	if m.Fn.Kind != builtin.Window && m.Fn.Kind != builtin.Aggregate {
		return nil, dberr.Newf(dberr.InvalidSQL, "OVER specified, but %s is not a window function nor an aggregate function", f.Name).WithState("42809")
	}
	if w.args, err = expr.Args(m, w.args); err != nil {
		return nil, err
	}
	for i := range w.args {
		w.args[i] = expr.Resolve(w.args[i])
	}
	w.fn = plan.WindowFunc{Fn: m.Fn, Filter: -1, IgnoreNulls: f.Nulls == ast.IgnoreNulls, Text: f.Name,
		Spec: builtin.AggSpec{Args: typesOf(w.args), Result: m.Result}}
	if f.Filter != nil {
		if m.Fn.Kind != builtin.Aggregate {
			return nil, b.errorf(f, dberr.Unsupported, "FILTER is not implemented for non-aggregate window functions")
		}
		if err := onlyWhere(w.filter, w.args, nil); err != nil {
			return nil, err
		}
	}
	if w.partition, err = b.exprs(spec.PartitionBy, sc); err != nil {
		return nil, err
	}
	for i := range w.partition {
		w.partition[i] = expr.Resolve(w.partition[i])
	}
	if w.order, err = b.order(spec.OrderBy, sc); err != nil {
		return nil, err
	}
	if w.fn.Frame, err = b.frame(spec, &w, sc); err != nil {
		return nil, err
	}
	w.fn.Col = b.column(f.Name, m.Result)
	sel.wins = append(sel.wins, w)
	return b.col(w.fn.Col), nil
}

// windowSpec resolves the names of a window.
func (b *binder) windowSpec(s *ast.WindowSpec, sel *selectState, depth int) (*ast.WindowSpec, error) {
	name := s.Ref
	if name == "" {
		name = s.Base
	}
	if name == "" {
		return s, nil
	}
	def := sel.windows[name]
	if def == nil || depth > len(sel.windows) {
		return nil, b.errorf(s, dberr.InvalidSQL, "window %q does not exist", name).WithState("42704")
	}
	base, err := b.windowSpec(def, sel, depth+1)
	if err != nil || s.Ref != "" {
		return base, err
	}
	out := *base
	switch {
	case len(s.PartitionBy) > 0:
		return nil, b.errorf(s, dberr.InvalidSQL, "cannot override PARTITION BY clause of window %q", name).WithState("42P20")
	case len(s.OrderBy) > 0 && len(base.OrderBy) > 0:
		return nil, b.errorf(s, dberr.InvalidSQL, "cannot override ORDER BY clause of window %q", name).WithState("42P20")
	case base.Frame != nil:
		return nil, b.errorf(s, dberr.InvalidSQL, "cannot copy window %q because it has a frame clause", name).WithState("42P20")
	}
	if len(s.OrderBy) > 0 {
		out.OrderBy = s.OrderBy
	}
	out.Frame = s.Frame
	return &out, nil
}

func (b *binder) frame(s *ast.WindowSpec, w *winCall, sc *scope) (plan.Frame, error) {
	if s.Frame == nil {
		return plan.Frame{Mode: ast.FrameRange, Start: plan.FrameBound{Kind: ast.UnboundedPreceding}, End: plan.FrameBound{Kind: ast.CurrentRow}}, nil
	}
	f := s.Frame
	out := plan.Frame{Mode: f.Mode, Exclude: f.Exclude}
	bad := func(text string) (plan.Frame, error) {
		return out, b.errorf(f, dberr.InvalidSQL, "%s", text).WithState("42P20")
	}
	switch {
	case f.Start.Kind == ast.UnboundedFollowing:
		return bad("frame start cannot be UNBOUNDED FOLLOWING")
	case f.End.Kind == ast.UnboundedPreceding:
		return bad("frame end cannot be UNBOUNDED PRECEDING")
	case f.Start.Kind > f.End.Kind:
		return bad("frame starts after its end")
	case f.Mode == ast.FrameGroups && len(w.order) == 0:
		return bad("GROUPS mode requires an ORDER BY clause")
	}
	bound := func(in ast.FrameBound) (plan.FrameBound, error) {
		o := plan.FrameBound{Kind: in.Kind}
		if in.Offset == nil {
			return o, nil
		}
		x, err := b.expr(in.Offset, &scope{parent: sc.parent, clause: "a window frame"})
		if err != nil {
			return o, err
		}
		if f.Mode != ast.FrameRange {
			if x.Type().Kind != sqltype.Unknown && !x.Type().Kind.IsInteger() {
				return o, b.errorf(f, dberr.TypeMismatch, "argument of a window frame must be type bigint, not type %s", x.Type())
			}
			o.Offset, err = expr.Cast(x, sqltype.TBigInt, expr.CastImplicit)
			return o, b.at(f, err)
		}
		if len(w.order) != 1 {
			return o, b.errorf(f, dberr.InvalidSQL, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column").WithState("42P20")
		}
		key := w.order[0].x.Type()
		want := key
		switch {
		case key.Kind.IsTemporal():
			want = sqltype.TInterval
			if key.Kind == sqltype.Date && x.Type().Kind.IsInteger() {
				want = sqltype.TInteger
			}
		case key.Kind.IsInteger():
			want = sqltype.TBigInt
		case !key.Kind.IsNumeric():
			return o, b.errorf(f, dberr.Unsupported, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s", key)
		}
		o.Offset, err = expr.Cast(x, sqltype.Type{Kind: want.Kind}, expr.CastAssign)
		return o, b.at(f, err)
	}
	var err error
	if out.Start, err = bound(f.Start); err != nil {
		return out, err
	}
	out.End, err = bound(f.End)
	return out, err
}
