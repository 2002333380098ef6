package complete

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func completer() *Completer {
	n := &Names{}
	n.Set([]string{"app", "shop"}, map[string][]string{"app": {"messages", "members"}, "shop": {"orders"}},
		map[string][]string{"app.messages": {"content", "room"}, "app.members": {"name"}, "shop.orders": {"total"}})
	return &Completer{Names: n, Namespace: func() string { return "app" },
		Commands:  []Candidate{{Text: `\connect`, Kind: Command}, {Text: `\config`, Kind: Command}, {Text: `\d`, Kind: Command}},
		Files:     func(string) []string { return []string{"main.sql"} },
		Arguments: func(c string) []string { return map[string][]string{`\format`: {"json", "csv"}}[c] }}
}

func TestComplete(t *testing.T) {
	for _, tc := range []struct{ line, want, not string }{
		{"", "SELECT INSERT UPDATE DELETE CREATE DROP ALTER SHOW DESCRIBE", "FROM messages"},
		{"SEL", "SELECT", "INSERT"},
		{"sel", "SELECT", ""},
		{"CRE", "CREATE", "SELECT"},
		{"CREATE", "CREATE", ""},
		{"CREATE ", "TABLE NAMESPACE", "SELECT"},
		{"SELECT 1; SEL", "SELECT", ""},
		{"SELECT * FROM ", "messages app.messages shop.orders", "orders SELECT"},
		{"SELECT * FROM app.me", "app.messages app.members", "shop.orders"},
		{"SELECT * FROM messages WHERE ro", "room", "total"},
		{"SELECT * FROM messages W", "WHERE WHEN", "SELECT"},
		{"SELECT * FROM t ORDER ", "BY", "FROM"},
		{"SELECT COU", "COUNT(", ""},
		{"SELECT * FROM t GR", "GREATEST(", ""},
		{"SELECT * FROM t L", "LIMIT LEFT LIKE", ""},
		{"INSERT ", "INTO", "FROM"},
		{"USE ", "app shop", "messages"},
		{"SELECT 'sel", "", "SELECT"},
		{`\con`, `\connect \config`, `\d`},
		{`\format j`, "json", "csv"},
		{`\d `, "messages", ""},
		{`\dt `, "app shop", "messages"},
		{`\i ma`, "main.sql", "app"},
		{`\copy `, "messages app.messages", "FROM"},
		{`\copy app.messages `, "FROM TO", "messages"},
		{`\copy app.messages FROM 'ma`, "main.sql", "FROM"},
		{"\n SUBSCRIBE ", "TO", ""},
		{"SELECT * FROM messages WHERE ", "content room NOT EXISTS", "total FROM TABLE WHERE"},
		{"SELECT * FROM messages WHERE room = ", "content room NULL", "WHERE"},
		{"SELECT * FROM messages WHERE room = 'a' ", "AND OR LIMIT", "room VALUES TABLE"},
		{"SELECT * ", "FROM", "room TABLE"},
		{"SELECT count(*) ", "FROM AS", "room"},
		{"SELECT ", "DISTINCT * CASE", "room total FROM"},
		{"SELECT ro", "room ROUND(", "total"},
		{"SELECT | FROM messages", "content room DISTINCT", "total name"},
		{"SELECT m.| FROM messages AS m", "m.content m.room", "content FROM"},
		{"SELECT m.| FROM shop.orders o, messages m WHERE true", "m.content m.room", "m.total"},
		{"SELECT messages.c| FROM app.messages", "messages.content", "messages.room"},
		{"SELECT w.| FROM messages WHERE true; SELECT * FROM members w", "", "w.name w.content"},
		{"UPDATE messages ", "SET WHERE", "FROM room"},
		{"UPDATE messages SET ", "content room", "WHERE total"},
		{"INSERT INTO messages ", "VALUES", "WHERE"},
		{"CREATE TABLE t (id BIGINT ", "DEFAULT TTL", "WHERE FROM"},
		{"CREATE TABLE t (id ", "BIGINT TEXT", "WHERE"},
		{"DELETE FROM messages ", "WHERE", "FROM SET"},
		{"SUBSCRIBE TO messages ", "WHERE OPTIONS", "FROM"},
	} {
		before, behind, _ := strings.Cut(tc.line, "|")
		_, got := completer().Complete([]rune(before+behind), len([]rune(before)))
		has := map[string]bool{}
		for _, c := range got {
			if has[c.Text] {
				t.Errorf("%q offers %s twice", tc.line, c.Text)
			}
			has[c.Text] = true
		}
		for _, w := range strings.Fields(tc.want) {
			if !has[w] {
				t.Errorf("%q does not offer %s but %v", tc.line, w, got)
			}
		}
		for _, w := range strings.Fields(tc.not) {
			if has[w] {
				t.Errorf("%q offers %s", tc.line, w)
			}
		}
	}
}

func offers(line string) (word string, texts []string) {
	word, list := completer().Complete([]rune(line), len([]rune(line)))
	for _, c := range list {
		texts = append(texts, c.Text)
	}
	return word, texts
}

// What happens when TAB is pressed with no partial input (empty line)?
func TestNothingTyped(t *testing.T) {
	for _, line := range []string{"", "  ", "SELECT 1;", "SELECT 1;\n "} {
		if word, got := offers(line); word != "" || !slices.Equal(got, starters) {
			t.Errorf("%q offers %v", line, got)
		}
	}
}

// How does auto-completion behave when multiple keywords share the same prefix
// (e.g., "CREATE" and "CREATE TABLE")?
func TestKeywordsWithTheSamePrefix(t *testing.T) {
	word, got := offers("CRE")
	if word != "CRE" || got[0] != "CREATE" || !slices.Contains(got, "CREATE TABLE") || !slices.Contains(got, "CREATE NAMESPACE") {
		t.Errorf("%q offers %v", word, got)
	}
	for _, text := range got {
		if !strings.HasPrefix(text, "CREATE") {
			t.Errorf("CRE offers %s", text)
		}
	}
}

// What occurs when a user types a complete keyword and presses TAB again?
func TestCompleteKeyword(t *testing.T) {
	if word, got := offers("SELECT"); word != "SELECT" || !slices.Equal(got, []string{"SELECT"}) {
		t.Errorf("%q offers %v", word, got)
	}
	if word, got := offers("CREATE"); word != "CREATE" || got[0] != "CREATE" || len(got) < 2 {
		t.Errorf("%q offers %v", word, got)
	}
	if word, got := offers("CREATE "); word != "" || !slices.Contains(got, "TABLE") || slices.Contains(got, "CREATE") {
		t.Errorf("behind the space %q offers %v", word, got)
	}
}

func TestEveryRequiredKeyword(t *testing.T) {
	all := " " + strings.Join(Keywords(), " | ") + " "
	for _, k := range strings.Split("SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, SHOW, DESCRIBE, SUBSCRIBE, FROM, WHERE, ORDER BY, GROUP BY, LIMIT, OFFSET, JOIN, INNER, LEFT, RIGHT, OUTER", ", ") {
		if !strings.Contains(all, " "+k+" ") {
			t.Errorf("no %s", k)
		}
	}
}

func TestWithoutNames(t *testing.T) {
	c := &Completer{}
	if _, got := c.Complete([]rune("SELECT * FROM "), 14); len(got) != 0 {
		t.Errorf("offers %v", got)
	}
	c.Complete([]rune(""), 5)
}

func BenchmarkComplete(b *testing.B) {
	n := &Names{}
	tables, columns := map[string][]string{}, map[string][]string{}
	for i := range 1000 {
		name := "table" + strings.Repeat("x", i%7) + time.Duration(i).String()
		tables["app"] = append(tables["app"], name)
		columns["app."+name] = []string{"id", "created_at", "content", "room"}
	}
	n.Set([]string{"app"}, tables, columns)
	c := &Completer{Names: n}
	line := []rune("SELECT id FROM app.t")
	b.ReportAllocs()
	for b.Loop() {
		c.Complete(line, len(line))
	}
}
