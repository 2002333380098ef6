package parser

import (
	"strings"

	"github.com/kalamdb/kalamdb/sql/ast"
)

// unexpected reports tok as PostgreSQL does, with a hint where one helps.
func (p *Parser) unexpected() { p.unexpectedFor(kwNone) }

// unexpectedFor is unexpected where the given keyword had to come.
func (p *Parser) unexpectedFor(want Keyword) {
	if p.err != nil {
		return
	}
	p.failNear(p.hint(want))
}

func (p *Parser) failNear(hint string) {
	if p.tok.Kind == EOF {
		p.failAt(p.pos(), hint, "syntax error at end of input")
		return
	}
	p.failAt(p.pos(), hint, "syntax error at or near %s", nearText(p.text()))
}

// unexpectedName reports a token that is no name.
func (p *Parser) unexpectedName() {
	if p.err == nil && p.tok.Kind == Word && p.tok.Keyword.Category() >= FuncOrType && !p.afterComma() {
		w := keywords[p.tok.Keyword]
		p.failNear(w.upper + ` is a reserved word. To use it as a name, quote it: "` + w.lower + `".`)
		return
	}
	p.unexpected()
}

func (p *Parser) afterComma() bool { return p.prev.Kind == Comma && p.prev.End > 0 }

func (p *Parser) hint(want Keyword) string {
	if p.afterComma() && (p.tok.Kind == EOF || p.tok.Kind == RParen || p.tok.Kind == Semicolon ||
		p.tok.Kind == Word && p.tok.Keyword.Category() == Reserved) {
		return "There is a comma too many before it."
	}
	switch p.tok.Kind {
	case Operator:
		if p.tok.Op == ast.OpHasKey {
			return "Parameters are written $1, $2 and so on."
		}
	case Duration:
		return "Write a length of time as INTERVAL '…'."
	}
	if p.prev.End > 0 && p.prev.isKw(kwInterval) && (p.tok.Kind == Integer || p.tok.Kind == LParen) {
		return "Put the number in quotes: INTERVAL '1' DAY."
	}
	if want != kwNone && p.tok.Kind == Word && p.tok.Keyword == kwNone {
		if near(p.text(), keywords[want].lower) {
			return "Did you mean " + keywords[want].upper + "?"
		}
	}
	if h := p.foreignHint(); h != "" {
		return h
	}
	for _, t := range [2]Token{p.tok, p.prev} {
		if t.Kind != Word || t.Keyword != kwNone || t.End == 0 {
			continue
		}
		if w := nearest(t.Text(p.sql), clauseWords); w != "" {
			return "Did you mean " + w + "?"
		}
	}
	return ""
}

// leadingHint is the hint for a statement whose first word is unknown.
func (p *Parser) leadingHint() string {
	if p.tok.Kind != Word {
		return ""
	}
	if w := nearest(p.text(), leadingWords); w != "" {
		return "Did you mean " + w + "?"
	}
	return p.foreignHint()
}

var leadingWords = []string{
	"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "WITH", "VALUES", "SHOW", "DESCRIBE",
	"FLUSH", "COMPACT", "SUBSCRIBE", "KILL", "BACKUP", "RESTORE", "CLEAR", "EXPLAIN", "TRUNCATE", "USE",
}

var clauseWords = []string{
	"FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "OFFSET", "VALUES", "JOIN", "INNER", "UNION", "INTO",
	"RETURNING", "TABLE", "NAMESPACE", "BETWEEN", "DISTINCT", "STORAGE", "OPTIONS", "CONFLICT", "PRIMARY",
}

func nearest(word string, list []string) string {
	for _, w := range list {
		if near(word, strings.ToLower(w)) {
			return w
		}
	}
	return ""
}

// near tells whether a word is a likely misspelling of another one: the same
// but for one letter left out, added, changed, or exchanged with its
// neighbour; in words of six letters and more for two.
func near(word, target string) bool {
	const limit = 16
	if len(word) > limit || len(word) < 2 || len(target) > limit {
		return false
	}
	word = lowerASCII(word)
	if word == target {
		return false
	}
	allowed := 1
	if len(target) >= 6 {
		allowed = 2
	}
	if d := len(word) - len(target); d > allowed || -d > allowed {
		return false
	}
	// Edit distance with transpositions of neighbours, over three rows.
	var rows [3][limit + 1]int
	for j := range len(target) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(word); i++ {
		cur, prev, before := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		cur[0] = i
		for j := 1; j <= len(target); j++ {
			cost := 1
			if word[i-1] == target[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && word[i-1] == target[j-2] && word[i-2] == target[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
	}
	return rows[len(word)%3][len(target)] <= allowed
}
