// Package ast holds the syntax tree of every statement that KalamDB accepts:
// PostgreSQL's query and data-changing grammar, and the statements of our own.
//
// Nodes are plain structs behind sealed interfaces (Statement, Expr,
// TableExpr, QueryBody, AlterAction). The tree says what was written, not what
// it means: names are not resolved, types not checked, options not
// interpreted. What can be spelt in two ways has one shape:
//
//   - Unquoted identifiers are folded to lower case; quoted ones keep theirs.
//   - Parentheses leave no node; the shape of the tree says it all.
//   - A chain of ANDs (or ORs) is one n-ary node.
//   - x::t is a Cast; != is OpNe; ISNULL is an Is; SOME is ANY; x ~~ y is a
//     Like.
//   - EXTRACT(f FROM x), POSITION(a IN b), SUBSTRING(x FROM a FOR b),
//     TRIM(LEADING c FROM x), OVERLAY(x PLACING y FROM a FOR b) and
//     OVERLAPS are plain calls, with the function names and the argument
//     order that PostgreSQL gives them (see FuncCall).
//   - The clauses of CREATE TABLE and its WITH (…) list are one option list.
//   - SUBSCRIBE TO t WHERE c is SUBSCRIBE TO SELECT * FROM t WHERE c.
//
// SQL prints a node as text that parses to an equal tree again. The height of
// a parsed tree is bounded by the parser, so that recursion over it is safe.
//
// A tree is never changed after parsing; it may be shared between goroutines.
package ast
