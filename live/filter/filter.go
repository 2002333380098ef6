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
// is NULL or has another value never matches.
type Equality struct {
	// Ordinal is the declared column.
	Ordinal int
	// Value is never NULL.
	Value sqltype.Value
}

// Indexable tells whether an equality between a column and a value of these
// kinds may be put into an Index: whether values that SQL finds equal also hash
// equally. That holds for two of one kind and for numbers, but not between
// FLOAT and another kind, which SQL compares with rounding, nor where one side
// is converted first, such as a date to a timestamp.
func Indexable(column, value sqltype.Kind) bool {
	if column == value {
		return true
	}
	return column.IsNumeric() && value.IsNumeric() && column != sqltype.Float && value != sqltype.Float
}
