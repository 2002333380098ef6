package parser

import (
	"slices"
	"strings"
	"testing"
)

func TestLexer(t *testing.T) {
	for _, c := range []struct {
		name, sql string
		want      []string
	}{
		{"words", "Abc \"d e\" äÖ a$1", []string{"abc", "d e", "äÖ", "a$1"}},
		{"keywords keep their value", "SELECT Select", []string{"select", "select"}},
		{"minus behind an operator", "a=-1 a->-1 a*-1", []string{"a", "=", "-", "1", "a", "->", "-", "1", "a", "*", "-", "1"}},
		{"minus in an operator", "a #- b", []string{"a", "#-", "b"}},
		{"operator before a comment", "a =-- x\n b */* y */c", []string{"a", "=", "b", "*", "c"}},
		{"numbers", "1 1.5 .5 1. 1e5 1.e5 0x1f 1_0", []string{"1", "1.5", ".5", "1.", "1e5", "1.e5", "31", "10"}},
		{"exponent that is none", "1.5", []string{"1.5"}},
		{"durations", "300s 5m 1h30m 500ms", []string{"300s", "5m", "1h30m", "500ms"}},
		{"dots", "a.b . c", []string{"a", ".", "b", ".", "c"}},
		{"casts and slices", "a::b[1:2] :=", []string{"a", "::", "b", "[", "1", ":", "2", "]", ":="}},
		{"strings", "'it''s' E'\\t' $$x$$ $a$y$a$ N'n'", []string{"it's", "\t", "x", "y", "n"}},
		{"arrow", "a => b", []string{"a", "=>", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			l := NewLexer(c.sql)
			for tok := l.Next(); tok.Kind != EOF; tok = l.Next() {
				v, ok := tok.Value(c.sql)
				if !ok || tok.Kind == Invalid {
					t.Fatalf("bad token %q: %v", tok.Text(c.sql), l.Err())
				}
				got = append(got, v)
			}
			if !slices.Equal(got, c.want) {
				t.Fatalf("got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestLexerGoesOnBehindInvalid(t *testing.T) {
	const sql = "SELECT `a`, 12ab, 1"
	var kinds []Kind
	for tok := range Tokens(sql) {
		kinds = append(kinds, tok.Kind)
	}
	if want := []Kind{Word, Invalid, Comma, Invalid, Comma, Integer}; !slices.Equal(kinds, want) {
		t.Fatal(kinds)
	}
}

func TestEveryKeywordIsFound(t *testing.T) {
	for _, k := range Keywords() {
		for _, word := range []string{k.Word, strings.ToLower(k.Word), strings.ToLower(k.Word[:1]) + k.Word[1:]} {
			l := NewLexer(word)
			if tok := l.Next(); tok.Keyword.String() != k.Word || tok.Keyword.Category() != k.Category {
				t.Errorf("%s is found as %q", word, tok.Keyword)
			}
		}
		l := NewLexer(k.Word + "x")
		if tok := l.Next(); tok.Keyword.String() == k.Word {
			t.Errorf("%sx is found as %s", k.Word, k.Word)
		}
	}
	if len(Keywords()) < 200 {
		t.Fatal(len(Keywords()))
	}
}

func TestNear(t *testing.T) {
	for _, c := range []struct {
		word, target string
		want         bool
	}{
		{"SELEC", "select", true}, {"selcet", "select", true}, {"slct", "select", true}, {"select", "select", false},
		{"FORM", "from", true}, {"fro", "from", true}, {"foo", "from", false}, {"x", "use", false},
		{"table", "tables", true}, {"gruop", "group", true}, {"elephant", "select", false}, {"sélect", "select", true},
	} {
		if got := near(c.word, c.target); got != c.want {
			t.Errorf("near(%q, %q) = %v", c.word, c.target, got)
		}
	}
}
