// Package complete finds what a half-typed word may become: keywords, by what
// stands before them, and the names of the server's namespaces, tables, columns
// and functions.
//
// It works on what it was given and never waits for the server.
package complete

import (
	"slices"
	"sort"
	"strings"
	"sync"
)

// Kind tells what a candidate is.
type Kind string

// The kinds of candidates, which are headings of the list too.
const (
	Keyword   Kind = "keywords"
	Table     Kind = "tables"
	Column    Kind = "columns"
	Function  Kind = "functions"
	Namespace Kind = "namespaces"
	Command   Kind = "commands"
	Option    Kind = "options"
	File      Kind = "files"
)

// Candidate is one thing that a word may become.
type Candidate struct {
	Text string
	Kind Kind
	// Help says in a few words what it is; may be empty.
	Help string
}

// Names are the names on the server. They may be replaced at any time, from
// another goroutine.
type Names struct {
	mu         sync.RWMutex // guards what follows
	namespaces []string
	tables     map[string][]string // namespace → tables
	columns    map[string][]string // namespace.table → columns
}

// Set replaces the names. The maps are not changed afterwards.
func (n *Names) Set(namespaces []string, tables, columns map[string][]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.namespaces, n.tables, n.columns = namespaces, tables, columns
}

// starters begin a statement.
var starters = []string{
	"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "SHOW", "DESCRIBE", "SUBSCRIBE", "USE",
	"FLUSH", "COMPACT", "KILL", "EXPLAIN", "BACKUP", "RESTORE", "CLEAR", "WITH", "VALUES",
}

// others stand inside a statement.
var others = []string{
	"FROM", "WHERE", "ORDER BY", "GROUP BY", "HAVING", "LIMIT", "OFFSET", "JOIN", "INNER", "LEFT", "RIGHT", "OUTER", "FULL", "CROSS", "ON",
	"USING", "AS", "AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ILIKE", "BETWEEN", "EXISTS", "DISTINCT", "ALL", "ANY", "UNION",
	"INTERSECT", "EXCEPT", "CASE", "WHEN", "THEN", "ELSE", "END", "CAST", "ASC", "DESC", "INTO", "VALUES", "SET", "RETURNING",
	"ON CONFLICT", "DO NOTHING", "DO UPDATE SET", "PRIMARY KEY", "DEFAULT", "IF EXISTS", "IF NOT EXISTS", "CASCADE", "TABLE", "TABLES",
	"NAMESPACE", "NAMESPACES", "VIEW", "STORAGE", "STORAGES", "API KEY FOR", "USER", "SHARED", "STREAM", "FLUSH INTERVAL", "ROW_THRESHOLD",
	"TTL", "MAX_BUFFER", "ACCESS", "ADD COLUMN", "DROP COLUMN", "RENAME COLUMN", "OPTIONS", "LIVE QUERY", "JOB", "STATS", "ANALYZE",
	"OVER", "PARTITION BY", "TRUE", "FALSE", "TO", "BOOLEAN", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "TEXT", "JSON",
	"UUID", "BYTES", "DATE", "TIME", "TIMESTAMP", "INTERVAL",
}

// after says which words may follow a word, where it is a few only.
var after = map[string][]string{
	"CREATE":    {"TABLE", "USER TABLE", "SHARED TABLE", "STREAM TABLE", "NAMESPACE", "VIEW", "OR REPLACE VIEW", "STORAGE", "API KEY FOR"},
	"DROP":      {"TABLE", "NAMESPACE", "VIEW", "STORAGE", "API KEY", "COLUMN"},
	"ALTER":     {"TABLE", "NAMESPACE", "STORAGE"},
	"SHOW":      {"TABLES", "NAMESPACES", "STORAGES", "TABLE STATS", "STATS FOR TABLE", "BACKUP"},
	"FLUSH":     {"TABLE", "ALL TABLES"},
	"COMPACT":   {"TABLE"},
	"KILL":      {"LIVE QUERY", "JOB"},
	"SUBSCRIBE": {"TO"},
	"CLEAR":     {"CACHE"},
	"BACKUP":    {"DATABASE"},
	"RESTORE":   {"DATABASE"},
	"INSERT":    {"INTO"},
	"DELETE":    {"FROM"},
	"ORDER":     {"BY"},
	"GROUP":     {"BY"},
	"PARTITION": {"BY"},
	"PRIMARY":   {"KEY"},
	"LEFT":      {"JOIN", "OUTER JOIN"},
	"RIGHT":     {"JOIN", "OUTER JOIN"},
	"FULL":      {"JOIN", "OUTER JOIN"},
	"INNER":     {"JOIN"},
	"CROSS":     {"JOIN"},
	"OUTER":     {"JOIN"},
	"ACCESS":    {"public", "open", "restricted", "private"},
	"IS":        {"NULL", "NOT NULL", "TRUE", "FALSE"},
}

// operandAfter are the words behind which a value or a column stands.
var operandAfter = map[string]bool{
	"SELECT": true, "DISTINCT": true, "WHERE": true, "AND": true, "OR": true, "NOT": true, "ON": true, "USING": true, "HAVING": true,
	"BY": true, "SET": true, "RETURNING": true, "CASE": true, "WHEN": true, "THEN": true, "ELSE": true, "BETWEEN": true,
	"LIKE": true, "ILIKE": true, "VALUES": true, "DEFAULT": true, "COLUMN": true,
}

// operands are the words that a value may begin with.
var operands = []string{"NOT", "EXISTS", "NULL", "TRUE", "FALSE", "CASE", "CAST"}

var (
	conditions = []string{"AND", "OR", "NOT", "IN", "IS", "LIKE", "ILIKE", "BETWEEN", "RETURNING"}
	types      = []string{
		"BOOLEAN", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "TEXT", "JSON", "UUID", "BYTES", "DATE", "TIME", "TIMESTAMP",
	}
)

// clauses are the words that may go on behind a value, a name or a bracket, by
// the statement's first word.
func clauses(first string) []string {
	switch first {
	case "SELECT", "WITH", "EXPLAIN":
		return slices.Concat(conditions[:8], []string{
			"FROM", "WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT", "OFFSET", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "ON", "USING",
			"AS", "ASC", "DESC", "UNION", "INTERSECT", "EXCEPT", "OVER", "WHEN", "THEN", "ELSE", "END",
		})
	case "INSERT":
		return []string{"VALUES", "SELECT", "ON CONFLICT", "DO NOTHING", "DO UPDATE SET", "RETURNING"}
	case "UPDATE":
		return append([]string{"SET", "WHERE"}, conditions...)
	case "DELETE":
		return append([]string{"WHERE"}, conditions...)
	case "SUBSCRIBE":
		return append([]string{"WHERE", "OPTIONS"}, conditions[:8]...)
	case "CREATE":
		return append([]string{
			"NOT NULL", "PRIMARY KEY", "DEFAULT", "STORAGE", "FLUSH INTERVAL", "ROW_THRESHOLD", "TTL", "MAX_BUFFER", "ACCESS", "WITH", "AS",
			"TYPE", "NAME", "PATH", "CREDENTIALS",
		}, types...)
	case "ALTER":
		return append([]string{"ADD COLUMN", "DROP COLUMN", "RENAME COLUMN", "SET", "SET OPTIONS", "TO", "NOT NULL", "DEFAULT"}, types...)
	case "DROP":
		return []string{"CASCADE"}
	case "BACKUP", "RESTORE":
		return []string{"TO", "FROM", "AS"}
	case "SHOW", "FLUSH":
		return []string{"IN"}
	case "VALUES":
		return []string{"ORDER BY", "LIMIT", "UNION"}
	}
	return nil
}

// tablesAfter are the words behind which a table's name stands.
var tablesAfter = map[string]bool{"FROM": true, "JOIN": true, "INTO": true, "UPDATE": true, "TABLE": true, "TO": true, "DESCRIBE": true, "DESC": true, "STATS": true}

// namespacesAfter are the words behind which a namespace's name stands.
var namespacesAfter = map[string]bool{"USE": true, "NAMESPACE": true, "DATABASE": true, "IN": true}

var functions = []string{
	"COUNT(", "SUM(", "AVG(", "MIN(", "MAX(", "NOW()", "SNOWFLAKE_ID()", "UUID_V7()", "ULID()", "CURRENT_USER()", "COALESCE(", "NULLIF(",
	"LENGTH(", "LOWER(", "UPPER(", "TRIM(", "SUBSTRING(", "REPLACE(", "CONCAT(", "ROUND(", "ABS(", "FLOOR(", "CEIL(", "DATE_TRUNC(",
	"EXTRACT(", "TO_CHAR(", "ROW_NUMBER()", "RANK()", "STRING_AGG(", "ARRAY_AGG(", "GREATEST(", "LEAST(",
}

// Completer completes lines. Commands are the backslash commands with their
// help; Arguments gives the words that may follow one.
type Completer struct {
	Names     *Names
	Commands  []Candidate
	Arguments func(command string) []string
	// Files gives the paths that begin like a word; may be nil.
	Files func(word string) []string
	// Namespace is the current namespace, whose tables need no qualifier.
	Namespace func() string
}

// Complete gives the candidates for the word that ends at the cursor, sorted,
// and the word. An empty word gets the words that may stand there.
func (c *Completer) Complete(line []rune, cursor int) (word string, out []Candidate) {
	text := string(line[:min(cursor, len(line))])
	stmt := lastStatement(text)
	if strings.HasPrefix(strings.TrimLeft(stmt, " \t\n"), `\`) {
		return c.command(strings.TrimLeft(stmt, " \t\n"))
	}
	if inQuotes(stmt) {
		return "", nil
	}
	start := strings.LastIndexFunc(stmt, func(r rune) bool { return !wordRune(r) }) + 1
	word = stmt[start:]
	words := strings.FieldsFunc(strings.ToUpper(stmt[:start]), func(r rune) bool { return !wordRune(r) })
	prev := ""
	if len(words) > 0 {
		prev = words[len(words)-1]
	}
	add := func(kind Kind, list ...string) {
		for _, s := range list {
			if matches(s, word) {
				out = append(out, Candidate{Text: s, Kind: kind})
			}
		}
	}
	nothingTyped := strings.TrimSpace(stmt[:start]) == ""
	switch {
	case nothingTyped:
		add(Keyword, starters...)
		if word == "" {
			return word, out
		}
		add(Keyword, compounds(starters)...)
	case after[prev] != nil && !strings.Contains(word, "."):
		add(Keyword, after[prev]...)
		if prev == "IS" {
			break
		}
		if prev == "DROP" {
			add(Keyword, others...)
		}
	case tablesAfter[prev]:
		c.tables(add)
		if prev == "TABLE" {
			add(Keyword, "IF EXISTS", "IF NOT EXISTS")
		}
		if prev == "STATS" {
			add(Keyword, "FOR TABLE")
		}
	case namespacesAfter[prev]:
		add(Namespace, c.namespaces()...)
	case prev == "EXISTS":
		c.tables(add)
	case word == "" && !operandNext(stmt, prev):
		add(Keyword, clauses(words[0])...)
	default:
		whole := stmt + rest(line, cursor)
		add(Column, c.columns(whole, word)...)
		if word == "" {
			add(Keyword, operands...)
			if prev == "SELECT" {
				add(Keyword, "DISTINCT", "*")
			}
		} else {
			add(Function, functions...)
			c.tables(add)
			add(Keyword, others...)
		}
		if words[0] == "EXPLAIN" || words[0] == "WITH" {
			add(Keyword, starters...)
		}
	}
	return word, dedupe(out)
}

// rest is what stands behind the cursor, up to the statement's end.
func rest(line []rune, cursor int) string {
	text := string(line[min(cursor, len(line)):])
	if i := strings.IndexByte(text, ';'); i >= 0 {
		text = text[:i]
	}
	return text
}

// operandNext tells whether a value or a column comes behind the text, and not
// what goes on behind one. prev is its last word.
func operandNext(text, prev string) bool {
	text = strings.TrimRight(text, " \t\r\n")
	switch last := text[len(text)-1]; {
	case strings.IndexByte("(,=<>+-/|%", last) >= 0:
		return true
	case wordRune(rune(last)):
		return operandAfter[prev]
	}
	return false
}

// compounds are the phrases that begin with a statement's first word.
func compounds(words []string) []string {
	var out []string
	for _, w := range words {
		for _, next := range after[w] {
			out = append(out, w+" "+next)
		}
	}
	return out
}

func (c *Completer) command(stmt string) (string, []Candidate) {
	start := strings.LastIndexAny(stmt, " \t") + 1
	word := stmt[start:]
	var out []Candidate
	if start == 0 {
		for _, cmd := range c.Commands {
			if strings.HasPrefix(cmd.Text, word) {
				out = append(out, cmd)
			}
		}
		return word, out
	}
	name := strings.Fields(stmt)[0]
	if c.Arguments != nil {
		for _, a := range c.Arguments(name) {
			if strings.HasPrefix(strings.ToLower(a), strings.ToLower(word)) {
				out = append(out, Candidate{Text: a, Kind: Option})
			}
		}
	}
	add := func(k Kind, list ...string) {
		for _, s := range list {
			if matches(s, word) {
				out = append(out, Candidate{Text: s, Kind: k})
			}
		}
	}
	switch name {
	case `\d`, `\describe`, `\flush`, `\stats`:
		c.tables(add)
	case `\dt`:
		add(Namespace, c.namespaces()...)
	case `\i`, `\include`, `\o`:
		c.files(word, add)
	case `\copy`:
		switch {
		case strings.HasPrefix(word, "'"): // a path stands in quotes
			word = word[1:]
			c.files(word, add)
		case len(strings.Fields(stmt[:start])) == 1:
			c.tables(add)
		default:
			add(Keyword, "FROM", "TO", "WITH")
		}
	}
	return word, dedupe(out)
}

func (c *Completer) files(word string, add func(Kind, ...string)) {
	if c.Files != nil {
		add(File, c.Files(word)...)
	}
}

func (c *Completer) namespaces() []string {
	if c.Names == nil {
		return nil
	}
	c.Names.mu.RLock()
	defer c.Names.mu.RUnlock()
	return c.Names.namespaces
}

func (c *Completer) current() string {
	if c.Namespace == nil {
		return ""
	}
	return c.Namespace()
}

func (c *Completer) tables(add func(Kind, ...string)) {
	if c.Names == nil {
		return
	}
	cur := c.current()
	c.Names.mu.RLock()
	defer c.Names.mu.RUnlock()
	for ns, tables := range c.Names.tables {
		for _, t := range tables {
			if ns == cur {
				add(Table, t)
			}
			add(Table, ns+"."+t)
		}
	}
}

// columns gives the columns of the tables that the statement names; those of one
// of them when the word begins with its name or alias and a dot. Where no table
// is known yet, a word that was begun may be any column.
func (c *Completer) columns(stmt, word string) []string {
	if c.Names == nil {
		return nil
	}
	cur := c.current()
	c.Names.mu.RLock()
	defer c.Names.mu.RUnlock()
	var out []string
	of := ""
	if i := strings.LastIndexByte(word, '.'); i >= 0 {
		of = word[:i]
	}
	words := strings.FieldsFunc(strings.ReplaceAll(stmt, ",", " , "), func(r rune) bool { return !wordRune(r) && r != ',' })
	for i, w := range words {
		cols, ok := c.Names.columns[strings.ToLower(w)]
		if !ok {
			cols, ok = c.Names.columns[cur+"."+strings.ToLower(w)]
		}
		switch {
		case !ok:
		case of == "":
			out = append(out, cols...)
		case strings.EqualFold(of, w), strings.EqualFold(of, w[strings.LastIndexByte(w, '.')+1:]), strings.EqualFold(of, alias(words[i+1:])):
			for _, col := range cols {
				out = append(out, of+"."+col)
			}
		}
	}
	if out == nil && word != "" && of == "" {
		for _, cols := range c.Names.columns {
			out = append(out, cols...)
			if len(out) > 2000 {
				break
			}
		}
	}
	return out
}

// alias is the name that a table has by the words behind it; "" when it has
// none.
func alias(words []string) string {
	if len(words) > 1 && strings.EqualFold(words[0], "AS") {
		words = words[1:]
	}
	if len(words) == 0 || words[0] == "," || slices.Contains(Keywords(), strings.ToUpper(words[0])) {
		return ""
	}
	return words[0]
}

func wordRune(r rune) bool {
	return r == '_' || r == '.' || r == '$' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 0x7f
}

func matches(s, word string) bool {
	return len(s) >= len(word) && strings.EqualFold(s[:len(word)], word)
}

// lastStatement is what follows the last semicolon outside quotes.
func lastStatement(text string) string {
	start, quote := 0, byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == ';':
			start = i + 1
		}
	}
	return text[start:]
}

func inQuotes(text string) bool { return strings.Count(text, "'")%2 == 1 }

func dedupe(in []Candidate) []Candidate {
	sort.SliceStable(in, func(i, j int) bool {
		if in[i].Kind != in[j].Kind {
			return rank(in[i].Kind) < rank(in[j].Kind)
		}
		return in[i].Text < in[j].Text
	})
	out := in[:0]
	for i, c := range in {
		if i > 0 && c.Text == in[i-1].Text {
			continue
		}
		out = append(out, c)
	}
	return out
}

func rank(k Kind) int {
	for i, o := range []Kind{Column, Table, Namespace, Keyword, Function, Command, Option, File} {
		if k == o {
			return i
		}
	}
	return 9
}

// Keywords lists every keyword and phrase, for highlighting and help.
func Keywords() []string {
	return append(append([]string(nil), starters...), others...)
}
