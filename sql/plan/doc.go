// Package plan holds the logical plan of a statement: a tree of relational
// nodes over typed expressions.
//
// Every column that a plan computes has an identity, a number that is unique
// within the statement. An expression names columns by that number
// (expr.Column's ordinal), whatever the shape of the rows at that place; only
// the executor turns numbers into positions. So the optimizer moves
// expressions and nodes around without renumbering anything, and a subquery
// that reaches out to its surrounding query is a node that names a column
// which its inputs do not have.
//
// Plans are immutable once the optimizer is done with them and may be shared.
package plan
