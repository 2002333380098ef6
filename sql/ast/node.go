package ast

import (
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// Pos is a place in a statement's text: the offset in bytes plus one, so that
// the zero value means that the place is not known. Every node embeds one.
type Pos int32

// At gives the Pos of a byte offset.
func At(offset int) Pos { return Pos(offset) + 1 }

// Position returns the place itself; through embedding it makes every node a
// Node.
func (p Pos) Position() Pos { return p }

// Known tells whether the place is known.
func (p Pos) Known() bool { return p > 0 }

// Offset is the place in bytes from the start of the text; 0 when unknown.
func (p Pos) Offset() int {
	if p <= 0 {
		return 0
	}
	return int(p) - 1
}

// In converts the place to line and column of the text that was parsed.
// Columns count characters. It reads the text up to the place: for errors, not
// for hot paths.
func (p Pos) In(sql string) dberr.Pos {
	if p <= 0 {
		return dberr.Pos{}
	}
	off := min(int(p)-1, len(sql))
	line, start := 1, 0
	for i := range off {
		if sql[i] == '\n' {
			line, start = line+1, i+1
		}
	}
	return dberr.Pos{Offset: off, Line: line, Column: utf8.RuneCountInString(sql[start:off]) + 1}
}

// Node is any part of a tree.
type Node interface {
	// Position is where the node's text starts, or for an operator, where the
	// operator stands: the place an error about the node should point to.
	Position() Pos
	node()
}

// Statement is one whole statement.
type Statement interface {
	Node
	statement()
}

// Expr is a value expression.
type Expr interface {
	Node
	expr()
}

// TableExpr is an item of a FROM clause.
type TableExpr interface {
	Node
	tableExpr()
}

// QueryBody is what stands between a query's WITH and its ORDER BY: a
// *Select, *Values, *SetOp, or a *Query in parentheses that has clauses of its
// own.
type QueryBody interface {
	Node
	queryBody()
}

// Ident is a name with its place, in lists of names.
type Ident struct {
	Pos
	Name string
}

// TableName names a table, view or system table.
type TableName struct {
	Pos
	// Namespace is empty when the name is not qualified.
	Namespace string
	// UserQualified says that it was spelt ns.user.t.
	UserQualified bool
	Name          string
}

// TypeName names a type as it was written; aliases are not resolved.
type TypeName struct {
	Pos
	// Name is in lower case, and one of the long SQL spellings is one name
	// with single spaces: "double precision", "character varying",
	// "timestamp with time zone", "time without time zone".
	Name string
	// Mods are the numbers in parentheses: length, or precision and scale.
	Mods []int32
	// Fields are an interval's fields, such as "day" or "day to second".
	Fields string
	// Dims is the number of array dimensions: 1 for int[].
	Dims int
}

// Option is an item of an option list: name = value. The value is a
// *StringLit, *IntLit, *DecimalLit, *BoolLit, *NullLit, or a *UnaryExpr minus
// over a number; a bare word or a duration such as 300s is a *StringLit.
type Option struct {
	Pos
	// Name is in lower case.
	Name  string
	Value Expr
}
