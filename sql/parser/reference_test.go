package parser

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/golden"
)

// TestKeywordReference holds docs/architecture/keywords.md against the grammar:
// its keywords, and the statements that are refused with what to do instead.
func TestKeywordReference(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Keywords, and what is refused

<!-- Generated from the grammar by: go test ./sql/parser -rewrite -->

Names are letters, digits, ` + "`_` and `$`" + `, not beginning with a digit, and are folded to lower case; any other name stands in double quotes. As in PostgreSQL, most keywords may be names as well.

`)
	for _, group := range []struct {
		category Category
		title    string
	}{
		{Reserved, "Reserved: a name only in quotes, or as an alias after AS"},
		{FuncOrType, "The name of a function or type, but of no table or column"},
		{ColumnName, "The name of a table or column, but of no function"},
		{Unreserved, "Any name"},
	} {
		fmt.Fprintf(&b, "**%s.** ", group.title)
		sep := ""
		for _, k := range Keywords() {
			if k.Category == group.category {
				b.WriteString(sep + "`" + k.Word + "`")
				sep = " "
			}
		}
		b.WriteString("\n\n")
	}
	b.WriteString("## Refused statements\n\nThese are understood and refused with `UNSUPPORTED` and the hint. What begins with any other word is `INVALID_SQL`.\n\n| word | message | hint |\n|---|---|---|\n")
	var words []Keyword
	for k := range refused {
		words = append(words, k)
	}
	slices.SortFunc(words, func(a, b Keyword) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range words {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k, refused[k].message, refused[k].hint)
	}
	golden.Page(t, "../../docs/architecture/keywords.md", b.String())
}

// TestSyntaxReference parses every form of every statement as
// docs/architecture/sql.md writes it: [a | b] may be left out, of {a | b} one
// is taken. A statement that the parser knows and the page does not is missing.
func TestSyntaxReference(t *testing.T) {
	text, err := os.ReadFile("../../docs/architecture/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	leading := map[string]bool{}
	forms := 0
	for _, block := range regexp.MustCompile("(?s)```syntax\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for form := range strings.SplitSeq(strings.TrimSpace(block[1]), "\n\n") {
			all := written(strings.Join(strings.Fields(form), " "))
			if len(all) > 5000 {
				t.Errorf("%d ways to write %s", len(all), form)
			}
			for _, sql := range all {
				stmt, err := Parse(sql)
				if err != nil {
					t.Errorf("%s: %v", sql, err)
					break
				}
				checkRoundTrip(t, sql, stmt)
				leading[strings.Fields(sql)[0]] = true
				forms++
			}
		}
	}
	for _, w := range leadingWords {
		if !leading[w] {
			t.Errorf("the page has no form of %s", w)
		}
	}
	t.Logf("%d ways to write statements", forms)
}

var choice = regexp.MustCompile(`\[([^\[\]{}]*)\]|\{([^\[\]{}]*)\}`)

// written gives every way to write a form.
func written(form string) []string {
	loc := choice.FindStringSubmatchIndex(form)
	if loc == nil {
		return []string{strings.Join(strings.Fields(form), " ")}
	}
	var choices []string
	if loc[2] >= 0 {
		choices = append(strings.Split(form[loc[2]:loc[3]], "|"), "")
	} else {
		choices = strings.Split(form[loc[4]:loc[5]], "|")
	}
	var out []string
	for _, c := range choices {
		out = append(out, written(form[:loc[0]]+c+form[loc[1]:])...)
	}
	return out
}
