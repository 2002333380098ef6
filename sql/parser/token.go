package parser

import "github.com/kalamdb/kalamdb/sql/ast"

// Kind is the kind of a token.
type Kind uint8

// The kinds of tokens.
const (
	// EOF is the end of the text, and of everything after an error.
	EOF Kind = iota
	// Invalid is text that is no token; Lexer.Err says why.
	Invalid
	// Comment is a -- or /* */ comment; only with Lexer.Comments.
	Comment
	// Word is an unquoted identifier or keyword.
	Word
	// QuotedIdent is "…", or U&"…".
	QuotedIdent
	// Integer is a whole number, also 0x, 0o, 0b and with underscores.
	Integer
	// Decimal is a number with a point or an exponent.
	Decimal
	// Duration is a whole number with a unit such as 300s or 5m.
	Duration
	// String is '…', E'…', U&'…' or $tag$…$tag$.
	String
	// BitString is B'…'.
	BitString
	// HexString is X'…'.
	HexString
	// Param is $1.
	Param
	// Operator is any operator; Token.Op says which, if it is a known one.
	Operator
	// LParen is (.
	LParen
	// RParen is ).
	RParen
	// LBracket is [.
	LBracket
	// RBracket is ].
	RBracket
	// Comma is a comma.
	Comma
	// Semicolon is ;.
	Semicolon
	// Dot is a point that is no part of a number.
	Dot
	// Colon is the : of a slice.
	Colon
	// DoubleColon is ::, the cast.
	DoubleColon
	// ColonEquals is :=, an older spelling of =>.
	ColonEquals
	// Arrow is =>.
	Arrow
)

// Token is one token of a text. It holds offsets only: the text stays where
// it is.
type Token struct {
	Kind Kind
	// Keyword is set for a Word that is a keyword of any category.
	Keyword Keyword
	// Op is set for an Operator that the grammar knows.
	Op ast.Op

	// style is the flavour of a string, and for words and strings whether
	// their value differs from their text.
	style style
	// Start and End are offsets in bytes.
	Start, End int32
}

// style tells how to get a token's value from its text.
type style uint8

const (
	// plain: the value is the text (without its quotes).
	plain style = iota
	// folded: a word with upper-case letters.
	folded
	// doubled: quotes inside are doubled.
	doubled
	// escaped: E'…'.
	escaped
	// unicodeEscaped: U&'…' or U&"…".
	unicodeEscaped
	// dollar: $tag$…$tag$.
	dollar
	// radix: 0x, 0o, 0b.
	radix
	// underscored: a number with underscores.
	underscored
)

// Text is the token as it was written.
func (t Token) Text(sql string) string { return sql[t.Start:t.End] }
