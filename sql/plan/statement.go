package plan

import (
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/expr"
)

// Statement is a bound statement: a query, or a change of rows.
type Statement struct {
	// Query is the rows to give; for a change, the rows to change it with.
	Query Node
	// Write is nil for a query.
	Write *Write
	// Before are the changes that happen before Write, in this order; like it
	// they read the state before all of them.
	Before []Step
	// Names are the result's columns as written, not made unique yet, and
	// Output their identities.
	Names  []string
	Output []int
	// Types are the types of columns by identity, Labels their names for
	// people.
	Types  []sqltype.Type
	Labels []string
	// Params are the types of $1, $2, ….
	Params []sqltype.Type
	// ParamColumns names, by index from 1, the column that a parameter is
	// compared with or assigned to, for error messages.
	ParamColumns map[int]string
	// Tables are all tables that are read, each once.
	Tables []*ddl.Table
	// UserQualified says that a table was named as ns.user.t.
	UserQualified bool
}

// Step is one change of a statement that has several.
type Step struct {
	Query Node
	Write *Write
	// Output is the identities of what it returns; nil: nothing.
	Output []int
}

// WriteKind says how rows are changed.
type WriteKind uint8

// The changes.
const (
	Insert WriteKind = iota
	Update
	Delete
)

// Write is what INSERT, UPDATE and DELETE do with the rows of their query.
type Write struct {
	Kind  WriteKind
	Table *ddl.Table
	// New are the query's columns that make the new row, by declared column;
	// for an Update, -1 where the old value stays. nil for a Delete.
	New []int
	// Old are the query's columns with the row that was read, by declared
	// column; nil for an Insert. Seq and Updated are its system columns (-1
	// when the table has none), RowID its hidden id (-1 when the table has a
	// key).
	Old                 []int
	Seq, Updated, RowID int
	// Conflict is ON CONFLICT; nil without it.
	Conflict *Conflict
	// Returning computes the result's columns over the row as it is
	// afterwards (as it was, for a Delete), whose declared columns have the
	// identities After, and the other columns of the query. nil: no
	// RETURNING.
	Returning []expr.Expr
	After     []int
	// Numbers are the result's columns that only the commit knows: Returning
	// has NULL for them.
	Numbers []Number
	// Then, when not nil, is a query that gives the statement's result once
	// all rows are changed, but from the state before: its Changed gives a row
	// of Returning for each row that was changed.
	Then Node
}

// Number is a column of RETURNING with the number, or the time, that the commit
// gives each changed row.
type Number struct {
	// Col is its place in the result.
	Col int
	// Updated says that it is _updated and not _seq.
	Updated bool
}

// Conflict is ON CONFLICT. Set and Where see the existing row as Existing and
// the row that was to be inserted as Excluded, both by declared column.
type Conflict struct {
	// Update is false for DO NOTHING.
	Update             bool
	Existing, Excluded []int
	// Set are the values to assign, by declared column; nil: stays.
	Set   []expr.Expr
	Where expr.Expr
	// Query, where Set or Where hold subqueries, takes their place: its
	// Changed gives one row, of Existing and Excluded, and it gives one row of
	// the values to assign, in the columns of SetCols (-1: stays), or none when
	// WHERE leaves the row out.
	Query   Node
	SetCols []int
}
