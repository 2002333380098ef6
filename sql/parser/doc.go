// Package parser turns SQL text into the trees of package ast: one lexer and
// one recursive-descent parser with precedence climbing for every statement,
// PostgreSQL's and our own.
//
// Parse takes one statement, ParseExpr one expression; Split cuts a script
// into statements without looking at their grammar, so that the first can run
// before the third is read. Lexer is the tokenizer alone, for whoever needs
// tokens and no tree.
//
// Precedence is that of PostgreSQL's manual, section 4.1.6. Words are reserved
// as PostgreSQL reserves them (appendix C), though fewer are.
//
// Whatever the input, parsing takes time and memory linear in its length and
// ends in a tree or in a coded error with line, column and token. The height
// of a tree is bounded (MaxDepth): nesting deeper than that, and chains of
// binary operators longer than that, are refused. Chains of AND and OR have
// no bound, they are n-ary nodes.
package parser
