package parser

import "github.com/kalamdb/kalamdb/sql/ast"

// slab hands out nodes from chunks that grow with the statement, so that a
// long list of values costs few allocations and a short statement wastes
// little.
type slab[T any] struct {
	free []T
	size int
}

const maxSlab = 64

func (s *slab[T]) new() *T {
	if len(s.free) == 0 {
		s.size = min(max(1, s.size*2), maxSlab)
		s.free = make([]T, s.size)
	}
	n := &s.free[0]
	s.free = s.free[1:]
	return n
}

// slabs are the nodes that statements have many of.
type slabs struct {
	ints     slab[ast.IntLit]
	decimals slab[ast.DecimalLit]
	strings  slab[ast.StringLit]
	nulls    slab[ast.NullLit]
	bools    slab[ast.BoolLit]
	params   slab[ast.Param]
	columns  slab[ast.ColumnRef]
	binaries slab[ast.BinaryExpr]

	list     []ast.Expr
	listSize int
}

// takeList moves the expressions above base from the stack into a list of
// their own.
func (p *Parser) takeList(base int) []ast.Expr {
	n := len(p.exprs) - base
	s := &p.slabs
	if len(s.list) < n {
		s.listSize = min(max(n, s.listSize*2), max(n, 4*maxSlab))
		s.list = make([]ast.Expr, s.listSize)
	}
	list := s.list[:n:n]
	s.list = s.list[n:]
	copy(list, p.exprs[base:])
	clear(p.exprs[base:])
	p.exprs = p.exprs[:base]
	return list
}
