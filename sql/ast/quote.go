package ast

import "strings"

// QuoteIdent writes a name as SQL: bare where it may be, else in double
// quotes.
func QuoteIdent(name string) string {
	if isBare(name) && !quotedWords[name] {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// QuoteString writes a text constant.
func QuoteString(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// isBare tells whether a name has the shape of an unquoted identifier that
// stays what it is.
func isBare(name string) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z' || c == '_' || c >= 0x80:
		case i > 0 && (c >= '0' && c <= '9' || c == '$'):
		default:
			return false
		}
	}
	return name != ""
}

func words(s string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// quotedWords are the keywords that a name must not be unless quoted: those
// that the grammar reserves, and those that mean something else in a place
// where a name may stand.
var quotedWords = words(`
	all and any array as asc asymmetric both case cast check collate column constraint create
	current_catalog current_date current_role current_time current_timestamp current_user default
	deferrable desc distinct do else end except false fetch for foreign from grant group having in
	initially intersect into lateral leading limit localtime localtimestamp not null offset on only or
	order placing primary references returning select session_user some symmetric table then to trailing
	true union unique user using variadic when where window with
	cross current_schema full ilike inner is isnull join left like natural notnull outer overlaps right
	similar tablesample
	cube groups options partition range recursive rollup rows set unbounded`)

// systemValues are the functions that are called without parentheses.
var systemValues = words(`current_catalog current_date current_role current_schema current_time
	current_timestamp current_user localtime localtimestamp session_user`)

// typeNames are the type names of several words.
var typeNames = map[string]bool{
	"double precision": true, "character varying": true, "char varying": true, "nchar varying": true, "bit varying": true,
	"time with time zone": true, "time without time zone": true,
	"timestamp with time zone": true, "timestamp without time zone": true,
}
