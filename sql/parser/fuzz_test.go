package parser

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql/ast"
)

// FuzzParse holds that any text ends in a coded error with its place, or in a
// tree that its own text parses to again.
func FuzzParse(f *testing.F) {
	for _, c := range statementCases {
		f.Add(c.sql)
	}
	for _, c := range errorCases {
		f.Add(c.sql)
	}
	for _, c := range expressionCases {
		f.Add("SELECT " + c.sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		stmt, err := Parse(sql)
		if err != nil {
			e, ok := dberr.As(err)
			if !ok {
				t.Fatalf("error without code: %v", err)
			}
			if !e.Pos.Known() || e.Pos.Offset > len(sql) {
				t.Fatalf("error at an impossible place: %+v", e.Pos)
			}
			return
		}
		// The text of a tree may hold parentheses that the tree's source did
		// not need, and so be deeper than the limit.
		if strings.Count(sql, "(") < MaxDepth/4 && height(stmt) < MaxDepth/4 {
			checkRoundTrip(t, sql, stmt)
		}
	})
}

// height is an upper bound of a tree's height.
func height(n ast.Node) int {
	nodes := 0
	ast.Inspect(n, func(ast.Node) bool { nodes++; return true })
	return nodes
}

// FuzzSplit holds that the pieces of a script cover all that is not space,
// comment or semicolon, in order, and that their places are right.
func FuzzSplit(f *testing.F) {
	for _, c := range splitCases {
		f.Add(c.script)
	}
	f.Fuzz(func(t *testing.T, script string) {
		end := 0
		for p, err := range Split(script) {
			if p.Offset < end || p.Text == "" || script[p.Offset:p.Offset+len(p.Text)] != p.Text {
				t.Fatalf("piece %q at %d after %d", p.Text, p.Offset, end)
			}
			checkGap(t, script[end:p.Offset])
			end = p.Offset + len(p.Text)
			want := ast.At(p.Offset).In(script)
			if p.Line != want.Line || p.Column != want.Column {
				t.Fatalf("piece at %d is said to be at %d:%d, is at %d:%d", p.Offset, p.Line, p.Column, want.Line, want.Column)
			}
			if err == nil {
				for range Split(p.Text) {
				}
			}
		}
		checkGap(t, script[end:])
	})
}

// checkGap holds that there is no statement in a text.
func checkGap(t *testing.T, gap string) {
	t.Helper()
	l := NewLexer(gap)
	for tok := l.Next(); tok.Kind != EOF; tok = l.Next() {
		if tok.Kind != Semicolon {
			t.Fatalf("%q is in no piece", gap)
		}
	}
}
