package sql

import (
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/plancache"
)

// lifter replaces the literals of a statement that the normalised text has
// lifted out, found by their place, by parameters. It goes only where such
// literals can stand; when it does not find all of them, the statement is
// bound as it is.
type lifter struct {
	index map[int]int
	base  int
	found int
}

// lift changes the tree. base is how many parameters were given; false: the
// tree is to be thrown away. A statement that has more of its own, or fewer, is
// wrong, and its literals must not make up for it.
func lift(stmt ast.Statement, literals []plancache.Literal, base int) bool {
	own := 0
	ast.Inspect(stmt, func(n ast.Node) bool {
		if p, ok := n.(*ast.Param); ok {
			own = max(own, p.Index)
		}
		return true
	})
	if own != base {
		return false
	}
	l := &lifter{index: make(map[int]int, len(literals)), base: base}
	for i, lit := range literals {
		l.index[lit.Offset] = i
	}
	switch s := stmt.(type) {
	case *ast.Query:
		l.query(s)
	case *ast.Insert:
		if s.Source != nil {
			l.query(s.Source)
		}
	case *ast.Update:
		for i := range s.Set {
			l.expr(&s.Set[i].Value)
		}
		l.expr(&s.Where)
	case *ast.Delete:
		l.expr(&s.Where)
	default:
		return false
	}
	return l.found == len(literals)
}

func (l *lifter) query(q *ast.Query) {
	switch b := q.Body.(type) {
	case *ast.Select:
		l.expr(&b.Where)
	case *ast.Values:
		for _, row := range b.Rows {
			for i := range row {
				l.expr(&row[i])
			}
		}
	}
	l.expr(&q.Limit)
	l.expr(&q.Offset)
}

func (l *lifter) expr(e *ast.Expr) {
	switch x := (*e).(type) {
	case *ast.IntLit, *ast.DecimalLit, *ast.StringLit:
		if i, ok := l.index[x.Position().Offset()]; ok {
			*e = &ast.Param{Pos: x.Position(), Index: l.base + i + 1}
			l.found++
		}
	case *ast.AndExpr:
		l.list(x.Args)
	case *ast.OrExpr:
		l.list(x.Args)
	case *ast.NotExpr:
		l.expr(&x.X)
	case *ast.UnaryExpr:
		l.expr(&x.X)
	case *ast.BinaryExpr:
		l.expr(&x.L)
		l.expr(&x.R)
	case *ast.LikeExpr:
		l.expr(&x.X)
		l.expr(&x.Pattern)
	case *ast.BetweenExpr:
		l.expr(&x.X)
		l.expr(&x.Lo)
		l.expr(&x.Hi)
	case *ast.InExpr:
		if x.Query == nil {
			l.expr(&x.X)
			l.list(x.List)
		}
	case *ast.IsExpr:
		l.expr(&x.X)
	case *ast.DistinctExpr:
		l.expr(&x.L)
		l.expr(&x.R)
	}
}

func (l *lifter) list(list []ast.Expr) {
	for i := range list {
		l.expr(&list[i])
	}
}
