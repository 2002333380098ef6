package ast

// Inspect calls f for n and, as long as f returns true, for the nodes below
// it, in the order of the text as far as the tree knows it. A nil node is left
// out. Items of lists that are structs (SelectItem, OrderItem, Assignment,
// ColumnDef, NamedWindow) are visited as pointers into their list; names and
// options are not visited.
func Inspect(n Node, f func(Node) bool) {
	w := walker{f: f}
	w.node(n)
}

// InspectExpr is Inspect for an expression, without going into the queries
// below it: for what concerns one query level, such as its aggregates.
func InspectExpr(x Expr, f func(Expr) bool) {
	if x == nil {
		return
	}
	Inspect(x, func(n Node) bool {
		switch n := n.(type) {
		case *Query:
			return false
		case Expr:
			return f(n)
		}
		return true
	})
}

type walker struct{ f func(Node) bool }

func (w *walker) expr(x Expr) {
	if x != nil {
		w.node(x)
	}
}

func (w *walker) exprs(list []Expr) {
	for _, x := range list {
		w.expr(x)
	}
}

func (w *walker) query(q *Query) {
	if q != nil {
		w.node(q)
	}
}

func (w *walker) with(with *With) {
	if with != nil {
		w.node(with)
	}
}

func (w *walker) order(list []OrderItem) {
	for i := range list {
		w.node(&list[i])
	}
}

func (w *walker) items(list []SelectItem) {
	for i := range list {
		w.node(&list[i])
	}
}

func (w *walker) tables(list []TableExpr) {
	for _, t := range list {
		w.node(t)
	}
}

func (w *walker) assignments(list []Assignment) {
	for i := range list {
		w.node(&list[i])
	}
}

func (w *walker) node(n Node) {
	if n == nil || !w.f(n) {
		return
	}
	switch n := n.(type) {
	case Expr:
		w.exprChildren(n)
	case QueryBody:
		w.queryChildren(n)
	case TableExpr:
		w.tableChildren(n)
	case *With:
		for _, c := range n.CTEs {
			w.node(c)
		}
	case *CTE:
		w.node(n.Stmt)
	case *SelectItem:
		w.expr(n.X)
	case *OrderItem:
		w.expr(n.X)
	case *NamedWindow:
		w.node(n.Spec)
	case *WindowSpec:
		w.exprs(n.PartitionBy)
		w.order(n.OrderBy)
		if n.Frame != nil {
			w.node(n.Frame)
		}
	case *Frame:
		w.expr(n.Start.Offset)
		w.expr(n.End.Offset)
	case *Assignment:
		w.expr(n.Value)
	case *OnConflict:
		w.assignments(n.Set)
		w.expr(n.Where)
	case *ColumnDef:
		w.expr(n.Default)
	case *AddColumn:
		w.node(&n.Column)
	default:
		w.statementChildren(n)
	}
}

func (w *walker) statementChildren(n Node) {
	switch n := n.(type) {
	case *Insert:
		w.with(n.With)
		w.query(n.Source)
		if n.OnConflict != nil {
			w.node(n.OnConflict)
		}
		w.items(n.Returning)
	case *Update:
		w.with(n.With)
		w.assignments(n.Set)
		w.tables(n.From)
		w.expr(n.Where)
		w.items(n.Returning)
	case *Delete:
		w.with(n.With)
		w.tables(n.Using)
		w.expr(n.Where)
		w.items(n.Returning)
	case *CreateTable:
		for i := range n.Columns {
			w.node(&n.Columns[i])
		}
		w.query(n.Query)
	case *AlterTable:
		for _, a := range n.Actions {
			w.node(a)
		}
	case *CreateView:
		w.query(n.Query)
	case *Subscribe:
		w.query(n.Query)
	case *Explain:
		w.node(n.Stmt)
	}
}

func (w *walker) queryChildren(n QueryBody) {
	switch n := n.(type) {
	case *Query:
		w.with(n.With)
		w.node(n.Body)
		w.order(n.OrderBy)
		w.expr(n.Limit)
		w.expr(n.Offset)
	case *Select:
		w.exprs(n.DistinctOn)
		w.items(n.Items)
		w.tables(n.From)
		w.expr(n.Where)
		w.exprs(n.GroupBy)
		w.expr(n.Having)
		for i := range n.Windows {
			w.node(&n.Windows[i])
		}
	case *Values:
		for _, row := range n.Rows {
			w.exprs(row)
		}
	case *SetOp:
		w.node(n.L)
		w.node(n.R)
	}
}

func (w *walker) tableChildren(n TableExpr) {
	switch n := n.(type) {
	case *SubqueryTable:
		w.query(n.Query)
	case *FuncTable:
		for _, f := range n.Funcs {
			w.node(f)
		}
	case *Join:
		w.node(n.L)
		w.node(n.R)
		w.expr(n.On)
	case *AliasedJoin:
		w.node(n.Join)
	}
}

func (w *walker) exprChildren(n Expr) {
	switch n := n.(type) {
	case *FieldExpr:
		w.expr(n.X)
	case *UnaryExpr:
		w.expr(n.X)
	case *BinaryExpr:
		w.expr(n.L)
		w.expr(n.R)
	case *NotExpr:
		w.expr(n.X)
	case *AndExpr:
		w.exprs(n.Args)
	case *OrExpr:
		w.exprs(n.Args)
	case *LikeExpr:
		w.expr(n.X)
		w.expr(n.Pattern)
		w.expr(n.Escape)
	case *BetweenExpr:
		w.expr(n.X)
		w.expr(n.Lo)
		w.expr(n.Hi)
	case *InExpr:
		w.expr(n.X)
		w.exprs(n.List)
		w.query(n.Query)
	case *QuantifiedExpr:
		w.expr(n.X)
		w.expr(n.Array)
		w.query(n.Query)
	case *IsExpr:
		w.expr(n.X)
	case *DistinctExpr:
		w.expr(n.L)
		w.expr(n.R)
	case *ExistsExpr:
		w.query(n.Query)
	case *SubqueryExpr:
		w.query(n.Query)
	case *ArraySubqueryExpr:
		w.query(n.Query)
	case *ArrayExpr:
		w.exprs(n.Elems)
	case *RowExpr:
		w.exprs(n.Items)
	case *IndexExpr:
		w.expr(n.X)
		w.expr(n.Index)
	case *SliceExpr:
		w.expr(n.X)
		w.expr(n.Lo)
		w.expr(n.Hi)
	case *CaseExpr:
		w.expr(n.Operand)
		for _, b := range n.Whens {
			w.expr(b.Cond)
			w.expr(b.Result)
		}
		w.expr(n.Else)
	case *CastExpr:
		w.expr(n.X)
	case *CollateExpr:
		w.expr(n.X)
	case *AtTimeZoneExpr:
		w.expr(n.X)
		w.expr(n.Zone)
	case *NamedArg:
		w.expr(n.X)
	case *FuncCall:
		w.exprs(n.Args)
		w.order(n.OrderBy)
		w.order(n.WithinGroup)
		w.expr(n.Filter)
		if n.Over != nil {
			w.node(n.Over)
		}
	case *GroupingExpr:
		w.exprs(n.Items)
	}
}
