package filter

import "github.com/kalamdb/kalamdb/commons/sqltype"

// Evaluator evaluates one compiled filter and projection over single rows in
// scan order: the declared columns, then _seq, _updated and _deleted. One
// goroutine uses it at a time.
type Evaluator interface {
	// Match tells whether the row belongs to the result; a NULL condition is
	// false. It keeps nothing of row.
	Match(row sqltype.Row) (bool, error)
	// Project computes the result's columns into dst, which has a place for
	// each. The values may share the text of row's values.
	Project(row, dst sqltype.Row) error
}

// Equality is the conjunct "column = value" of a filter: a row whose column
// is NULL or has another value never matches. Equality is meant as
// sqltype.Compare finds it, so the value is of the column's own kind or of
// another numeric one.
type Equality struct {
	// Ordinal is the declared column.
	Ordinal int
	// Value is never NULL.
	Value sqltype.Value
}
