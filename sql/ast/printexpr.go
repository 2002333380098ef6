package ast

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// The levels of precedence, as the parser has them.
const (
	lvLowest = iota + 1
	lvAnd
	lvNot
	lvIs
	lvCompare
	lvLike
	lvOp
	lvAdd
	lvMul
	lvPow
	lvAt
	lvCollate
	lvUnary
	lvIndex
	lvPrimary
)

func (o Op) level() int {
	switch {
	case o.IsComparison():
		return lvCompare
	case o == OpAdd || o == OpSub:
		return lvAdd
	case o == OpMul || o == OpDiv || o == OpMod:
		return lvMul
	case o == OpPow:
		return lvPow
	case o >= OpLike:
		return lvLike
	}
	return lvOp
}

func exprLevel(x Expr) int {
	switch x := x.(type) {
	case *OrExpr:
		return lvLowest
	case *AndExpr:
		return lvAnd
	case *NotExpr:
		return lvNot
	case *IsExpr, *DistinctExpr:
		return lvIs
	case *LikeExpr, *BetweenExpr, *InExpr:
		return lvLike
	case *QuantifiedExpr:
		return x.Op.level()
	case *BinaryExpr:
		return x.Op.level()
	case *UnaryExpr:
		if x.Op == OpAdd || x.Op == OpSub {
			return lvUnary
		}
		return lvOp
	case *AtTimeZoneExpr:
		return lvAt
	case *CollateExpr:
		return lvCollate
	case *IndexExpr, *SliceExpr, *FieldExpr:
		return lvIndex
	case *IntLit:
		if x.Value < 0 {
			return lvUnary
		}
	}
	return lvPrimary
}

// expr prints x, in parentheses when it binds less tightly than min.
func (p *printer) expr(x Expr, min int) {
	if x == nil {
		return
	}
	if exprLevel(x) < min {
		p.put("(")
		defer p.put(")")
	}
	switch x := x.(type) {
	case *AndExpr:
		p.chain(x.Args, " AND ", lvAnd)
	case *OrExpr:
		p.chain(x.Args, " OR ", lvLowest)
	case *NotExpr:
		p.put("NOT ")
		p.expr(x.X, lvNot)
	case *BinaryExpr:
		p.binary(x)
	case *UnaryExpr:
		p.unary(x)
	case *IsExpr:
		p.expr(x.X, lvIs+1)
		p.put(" IS ", not(x.Not), [...]string{"NULL", "TRUE", "FALSE", "UNKNOWN"}[x.Kind])
	case *DistinctExpr:
		p.expr(x.L, lvIs+1)
		p.put(" IS ", not(x.Not), "DISTINCT FROM ")
		p.expr(x.R, lvIs+1)
	case *LikeExpr:
		p.expr(x.X, lvLike+1)
		p.put(" ", not(x.Not), [...]string{"LIKE ", "ILIKE ", "SIMILAR TO "}[x.Kind])
		p.expr(x.Pattern, lvLike+1)
		if x.Escape != nil {
			p.put(" ESCAPE ")
			p.expr(x.Escape, lvLike+1)
		}
	case *BetweenExpr:
		p.expr(x.X, lvLike+1)
		p.put(" ", not(x.Not), "BETWEEN ")
		if x.Symmetric {
			p.put("SYMMETRIC ")
		}
		p.expr(x.Lo, lvLike+1)
		p.put(" AND ")
		p.expr(x.Hi, lvLike+1)
	case *InExpr:
		p.expr(x.X, lvLike+1)
		p.put(" ", not(x.Not), "IN (")
		p.queryOr(x.Query, x.List)
		p.put(")")
	case *QuantifiedExpr:
		p.quantified(x)
	case *ExistsExpr:
		p.put("EXISTS (")
		p.query(x.Query)
		p.put(")")
	case *SubqueryExpr:
		p.put("(")
		p.query(x.Query)
		p.put(")")
	case *CaseExpr:
		p.caseExpr(x)
	case *CastExpr:
		p.put(map[bool]string{false: "CAST(", true: "TRY_CAST("}[x.Try])
		p.expr(x.X, lvLowest)
		p.put(" AS ")
		p.typeName(&x.Type)
		p.put(")")
	case *CollateExpr:
		p.expr(x.X, lvCollate)
		p.put(" COLLATE ")
		p.ident(x.Collation)
	case *AtTimeZoneExpr:
		p.expr(x.X, lvAt)
		p.put(" AT TIME ZONE ")
		p.expr(x.Zone, lvAt+1)
	case *ColumnRef:
		p.qualifier(x.Namespace, x.UserQualified, x.Table)
		p.ident(x.Name)
	case *Star:
		p.qualifier(x.Namespace, x.UserQualified, x.Table)
		p.put("*")
	case *FuncCall:
		p.call(x, false)
	default:
		p.leaf(x)
	}
}

// leaf prints constants and what brackets enclose.
func (p *printer) leaf(x Expr) {
	switch x := x.(type) {
	case *NullLit:
		p.put("NULL")
	case *BoolLit:
		p.put(map[bool]string{false: "FALSE", true: "TRUE"}[x.Value])
	case *IntLit:
		p.put(strconv.FormatInt(x.Value, 10))
	case *DecimalLit:
		p.put(x.Text)
	case *StringLit:
		p.put(QuoteString(x.Value))
	case *BytesLit:
		p.put("X'", hex.EncodeToString([]byte(x.Value)), "'")
	case *BitLit:
		p.put("B'", x.Bits, "'")
	case *TypedLit:
		p.typedLit(x)
	case *Param:
		p.put("$", strconv.Itoa(x.Index))
	case *DefaultExpr:
		p.put("DEFAULT")
	case *NamedArg:
		p.ident(x.Name)
		p.put(" => ")
		p.expr(x.X, lvLowest)
	case *FieldExpr:
		p.put("(")
		p.expr(x.X, lvLowest)
		p.put(").")
		p.ident(x.Name)
	case *IndexExpr:
		p.expr(x.X, lvIndex)
		p.put("[")
		p.expr(x.Index, lvLowest)
		p.put("]")
	case *SliceExpr:
		p.expr(x.X, lvIndex)
		p.put("[")
		p.expr(x.Lo, lvLowest)
		p.put(":")
		p.expr(x.Hi, lvLowest)
		p.put("]")
	case *ArraySubqueryExpr:
		p.put("ARRAY(")
		p.query(x.Query)
		p.put(")")
	case *ArrayExpr:
		p.put("ARRAY[")
		p.exprs(x.Elems)
		p.put("]")
	case *RowExpr:
		if len(x.Items) < 2 {
			p.put("ROW")
		}
		p.put("(")
		p.exprs(x.Items)
		p.put(")")
	case *GroupingExpr:
		p.put([...]string{"GROUPING SETS (", "ROLLUP (", "CUBE ("}[x.Kind])
		p.groupItems(x.Items)
		p.put(")")
	}
}

func not(b bool) string {
	if b {
		return "NOT "
	}
	return ""
}

func (p *printer) exprs(list []Expr) {
	for i, x := range list {
		if i > 0 {
			p.put(", ")
		}
		p.expr(x, lvLowest)
	}
}

// groupItems prints GROUP BY items, of which an empty row is ().
func (p *printer) groupItems(list []Expr) {
	for i, x := range list {
		if i > 0 {
			p.put(", ")
		}
		if r, ok := x.(*RowExpr); ok && len(r.Items) == 0 {
			p.put("()")
			continue
		}
		p.expr(x, lvLowest)
	}
}

func (p *printer) queryOr(q *Query, list []Expr) {
	if q != nil {
		p.query(q)
		return
	}
	p.exprs(list)
}

func (p *printer) chain(args []Expr, op string, level int) {
	for i, x := range args {
		if i > 0 {
			p.put(op)
		}
		p.expr(x, level+1)
	}
}

func (p *printer) binary(x *BinaryExpr) {
	level := x.Op.level()
	left := level
	if level == lvCompare {
		left = level + 1
	}
	p.expr(x.L, left)
	p.put(" ", x.Op.String(), " ")
	p.expr(x.R, level+1)
}

func (p *printer) unary(x *UnaryExpr) {
	op, operand := x.Op.String(), lvOp+1
	if x.Op == OpAdd || x.Op == OpSub {
		operand = lvUnary
	}
	p.put(op)
	if _, again := x.X.(*UnaryExpr); again || operand != lvUnary {
		p.put(" ")
	}
	if n, ok := x.X.(*IntLit); ok && n.Value < 0 {
		operand = lvPrimary
	}
	p.expr(x.X, operand)
}

func (p *printer) quantified(x *QuantifiedExpr) {
	p.expr(x.X, x.Op.level()+1)
	p.put(" ", x.Op.String(), map[bool]string{false: " ANY (", true: " ALL ("}[x.All])
	if x.Query != nil {
		p.query(x.Query)
	} else {
		p.expr(x.Array, lvLowest)
	}
	p.put(")")
}

func (p *printer) caseExpr(x *CaseExpr) {
	p.put("CASE")
	if x.Operand != nil {
		p.put(" ")
		p.expr(x.Operand, lvLowest)
	}
	for _, w := range x.Whens {
		p.put(" WHEN ")
		p.expr(w.Cond, lvLowest)
		p.put(" THEN ")
		p.expr(w.Result, lvLowest)
	}
	if x.Else != nil {
		p.put(" ELSE ")
		p.expr(x.Else, lvLowest)
	}
	p.put(" END")
}

func (p *printer) qualifier(namespace string, user bool, table string) {
	if namespace != "" {
		p.ident(namespace)
		p.put(".")
		if user {
			p.put("user.")
		}
	}
	if table != "" {
		p.ident(table)
		p.put(".")
	}
}

func (p *printer) typedLit(x *TypedLit) {
	t := x.Type
	// Only these names of several words can stand before a constant.
	if strings.Contains(t.Name, " varying") {
		p.ident(t.Name)
		p.typeMods(&t)
	} else {
		t.Fields = ""
		if x.Type.Fields != "" {
			t.Mods = nil
		}
		p.typeName(&t)
	}
	p.put(" ", QuoteString(x.Value))
	if x.Type.Fields != "" {
		p.put(" ", x.Type.Fields)
		p.typeMods(&x.Type)
	}
}

// call prints a function call. In FROM the grammar has plain calls only.
func (p *printer) call(f *FuncCall, plain bool) {
	if f.Schema != "" {
		p.ident(f.Schema)
		p.put(".")
		p.ident(f.Name)
	} else if p.specialCall(f, plain) {
		return
	} else {
		p.funcName(f, plain)
	}
	p.put("(")
	if f.Star {
		p.put("*")
	}
	if f.Distinct {
		p.put("DISTINCT ")
	}
	for i, x := range f.Args {
		if i > 0 {
			p.put(", ")
		}
		if f.Variadic && i == len(f.Args)-1 {
			p.put("VARIADIC ")
		}
		min := lvLowest
		if i == 0 && f.Name == "position" {
			// IN would make it POSITION (a IN b).
			min = lvLike + 1
		}
		p.expr(x, min)
	}
	if len(f.OrderBy) > 0 {
		p.put(" ")
		p.orderBy(f.OrderBy)
	}
	p.put(")")
	if len(f.WithinGroup) > 0 {
		p.put(" WITHIN GROUP (")
		p.orderBy(f.WithinGroup)
		p.put(")")
	}
	if f.Filter != nil {
		p.put(" FILTER (WHERE ")
		p.expr(f.Filter, lvLowest)
		p.put(")")
	}
	p.put([...]string{"", " RESPECT NULLS", " IGNORE NULLS"}[f.Nulls])
	if f.Over != nil {
		p.put(" OVER ")
		p.window(f.Over)
	}
}

// specialCall prints the calls that have a syntax of their own.
func (p *printer) specialCall(f *FuncCall, plain bool) bool {
	if plain || f.Star || f.Distinct || f.Variadic || f.OrderBy != nil || f.WithinGroup != nil || f.Filter != nil ||
		f.Nulls != NullsDefault || f.Over != nil {
		return false
	}
	if systemValues[f.Name] {
		if len(f.Args) == 0 {
			p.put(f.Name)
			return true
		}
		if n, ok := f.Args[0].(*IntLit); ok && len(f.Args) == 1 && n.Value >= 0 {
			p.put(f.Name, "(", strconv.FormatInt(n.Value, 10), ")")
			return true
		}
	}
	if f.Name == "extract" && len(f.Args) == 2 {
		if field, ok := f.Args[0].(*StringLit); ok && isBare(field.Value) {
			p.put("extract(", field.Value, " FROM ")
			p.expr(f.Args[1], lvLowest)
			p.put(")")
			return true
		}
	}
	return false
}

func (p *printer) funcName(f *FuncCall, plain bool) {
	quote := false
	switch f.Name {
	case "left", "right":
		p.put(f.Name)
		return
	case "extract", "position", "substring", "overlay":
		if len(f.Args) == 0 || f.Distinct || f.Variadic && len(f.Args) == 1 {
			quote = true
		} else {
			_, quote = f.Args[0].(*NamedArg)
		}
		quote = quote && !plain
	case "exists", "interval", "row", "trim", "try_cast", "values":
		quote = true
	}
	if quote {
		p.put(`"`, f.Name, `"`)
		return
	}
	p.ident(f.Name)
}

func (p *printer) orderBy(list []OrderItem) {
	p.put("ORDER BY ")
	for i := range list {
		if i > 0 {
			p.put(", ")
		}
		p.orderItem(&list[i])
	}
}

func (p *printer) orderItem(o *OrderItem) {
	p.expr(o.X, lvLowest)
	p.put([...]string{"", " ASC", " DESC"}[o.Dir], [...]string{"", " NULLS FIRST", " NULLS LAST"}[o.Nulls])
}

func (p *printer) window(w *WindowSpec) {
	if w.Ref != "" {
		p.ident(w.Ref)
		return
	}
	p.put("(")
	sep := ""
	if w.Base != "" {
		p.ident(w.Base)
		sep = " "
	}
	if len(w.PartitionBy) > 0 {
		p.put(sep, "PARTITION BY ")
		p.exprs(w.PartitionBy)
		sep = " "
	}
	if len(w.OrderBy) > 0 {
		p.put(sep)
		p.orderBy(w.OrderBy)
		sep = " "
	}
	if w.Frame != nil {
		p.put(sep)
		p.frame(w.Frame)
	}
	p.put(")")
}

func (p *printer) frame(f *Frame) {
	p.put([...]string{"RANGE", "ROWS", "GROUPS"}[f.Mode], " BETWEEN ")
	p.bound(f.Start)
	p.put(" AND ")
	p.bound(f.End)
	p.put([...]string{"", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES"}[f.Exclude])
}

func (p *printer) bound(b FrameBound) {
	if b.Offset != nil {
		p.expr(b.Offset, lvLowest)
		p.put(" ")
	}
	p.put([...]string{"UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW", "FOLLOWING", "UNBOUNDED FOLLOWING"}[b.Kind])
}
