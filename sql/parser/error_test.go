package parser

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// errorCases are mistakes, with the message, the hint's beginning, and where.
var errorCases = []struct {
	name, sql, message, hint string
	line, column             int
}{
	{"misspelt statement", "SELEC * FROM t", `syntax error at or near "SELEC"`, "Did you mean SELECT?", 1, 1},
	{"exchanged letters", "UPDAET t SET a = 1", `syntax error at or near "UPDAET"`, "Did you mean UPDATE?", 1, 1},
	{"unknown statement", "FROBNICATE t", `syntax error at or near "FROBNICATE"`, "", 1, 1},
	{"misspelt FROM", "SELECT * FORM t", `syntax error at or near "FORM"`, "Did you mean FROM?", 1, 10},
	{"misspelt FROM taken for an alias", "SELECT a FORM t", `syntax error at or near "t"`, "Did you mean FROM?", 1, 15},
	{"misspelt WHERE", "SELECT a FROM t WEHRE a = 1", `syntax error at or near "a"`, "Did you mean WHERE?", 1, 23},
	{"double FROM", "SELECT a FROM FROM t", `syntax error at or near "FROM"`, "FROM is a reserved word", 1, 15},
	{"second line, characters", "SELECT 'äöü',\n  'ä' 5", `syntax error at or near "5"`, "", 2, 7},
	{"end of input", "SELECT a FROM", "syntax error at end of input", "", 1, 14},
	{"trailing comma", "SELECT a, FROM t", `syntax error at or near "FROM"`, "There is a comma too many", 1, 11},
	{"trailing comma in columns", "CREATE TABLE t (a int,)", `syntax error at or near ")"`, "There is a comma too many", 1, 23},
	{"equals sign", "SELECT a == b", `syntax error at or near "=="`, "Use = to compare", 1, 10},
	{"backticks", "SELECT `a` FROM t", "syntax error at or near \"`a`\"", "Names are quoted with double quotes", 1, 8},
	{"MySQL's limit", "SELECT a FROM t LIMIT 10, 20", `syntax error at or near ","`, "Write LIMIT count OFFSET start", 1, 25},
	{"SQLite's upsert", "INSERT OR REPLACE INTO t VALUES (1)", `syntax error at or near "OR"`, "Use INSERT … ON CONFLICT", 1, 8},
	{"MySQL's ignore", "INSERT IGNORE INTO t VALUES (1)", `syntax error at or near "IGNORE"`, "Use INSERT … ON CONFLICT", 1, 8},
	{"MySQL's replace", "REPLACE INTO t VALUES (1)", `syntax error at or near "REPLACE"`, "Use INSERT … ON CONFLICT", 1, 1},
	{"MySQL's upsert", "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1", `syntax error at or near "DUPLICATE"`, "Use INSERT … ON CONFLICT", 1, 29},
	{"MySQL's insert", "INSERT INTO t SET a = 1", `syntax error at or near "SET"`, "Write INSERT INTO t (a, b) VALUES", 1, 15},
	{"insert without INTO", "INSERT t VALUES (1)", `syntax error at or near "t"`, "Write INSERT INTO t (a, b) VALUES", 1, 8},
	{"misspelt INTO", "INSERT ITNO t VALUES (1)", `syntax error at or near "ITNO"`, "Did you mean INTO?", 1, 8},
	{"delete without FROM", "DELETE t WHERE a = 1", `syntax error at or near "t"`, "Write DELETE FROM t", 1, 8},
	{"delete some", "DELETE FROM t LIMIT 5", `syntax error at or near "LIMIT"`, "Choose the rows in WHERE", 1, 15},
	{"update some", "UPDATE t SET a = 1 ORDER BY a LIMIT 5", `syntax error at or near "ORDER"`, "Choose the rows in WHERE", 1, 20},
	{"update of two tables", "UPDATE t, u SET a = 1", `syntax error at or near ","`, "Use UPDATE t SET … FROM", 1, 9},
	{"update of a join", "UPDATE t JOIN u ON t.a = u.a SET b = 1", `syntax error at or near "JOIN"`, "Use UPDATE t SET … FROM", 1, 10},
	{"SQL Server's limit", "SELECT TOP 3 a FROM t", `syntax error at or near "3"`, "Write LIMIT", 1, 12},
	{"MySQL's regular expressions", "SELECT a FROM t WHERE a REGEXP 'x'", `syntax error at or near "REGEXP"`, "Use ~ for regular", 1, 25},
	{"MySQL's division", "SELECT 5 DIV 2", `syntax error at or near "2"`, "The / of two integers", 1, 14},
	{"storage engine", "CREATE TABLE t (a int) ENGINE=InnoDB", `syntax error at or near "ENGINE"`, "Leave the table options", 1, 24},
	{"character set", "CREATE TABLE t (a int) DEFAULT CHARSET=utf8", `syntax error at or near "DEFAULT"`, "Leave the table options", 1, 24},
	{"index in a table", "CREATE TABLE t (a int, INDEX (a))", `syntax error at or near "("`, "There are no secondary indexes", 1, 30},
	{"unsigned before the type", "CREATE TABLE t (a UNSIGNED int)", `syntax error at or near "int"`, "Use a wider type", 1, 28},
	{"extension", "CREATE EXTENSION pgcrypto", `syntax error at or near "EXTENSION"`, "There are no extensions", 1, 8},
	{"stored function", "CREATE OR REPLACE FUNCTION f() RETURNS int", `syntax error at or near "FUNCTION"`, "There are no stored routines", 1, 19},
	{"MySQL's change of a column", "ALTER TABLE t MODIFY a text", `syntax error at or near "MODIFY"`, "Add a new column", 1, 15},
	{"MySQL's renaming", "RENAME TABLE t TO u", `syntax error at or near "RENAME"`, "Make a new table", 1, 1},
	{"SQLite's settings", "PRAGMA table_info(t)", `syntax error at or near "PRAGMA"`, "DESCRIBE shows", 1, 1},
	{"MySQL's kill", "KILL 5", `syntax error at or near "5"`, "Write KILL LIVE QUERY", 1, 6},
	{"SQLite's plan", "EXPLAIN QUERY PLAN SELECT 1", `syntax error at or near "QUERY"`, "Write EXPLAIN", 1, 9},
	{"open string", "SELECT 'abc FROM t", `unterminated quoted string at or near "'abc FROM t"`, "The closing ' is missing", 1, 8},
	{"open identifier", `SELECT "abc FROM t`, `unterminated quoted identifier at or near ""abc FROM t"`, `The closing " is missing`, 1, 8},
	{"empty identifier", `SELECT ""`, `zero-length delimited identifier at or near """"`, "", 1, 8},
	{"open comment", "SELECT 1 /* /* */", `unterminated comment at or near "/* /* */"`, "The closing */ is missing", 1, 10},
	{"open dollar quote", "SELECT $a$ x $b$", `unterminated dollar-quoted string at or near "$a$ x $b$"`, "The closing $a$ is missing", 1, 8},
	{"bad escape", `SELECT E'\u12'`, `invalid escape sequence in "E'\u12'"`, "", 1, 8},
	{"junk after number", "SELECT 12ab", `trailing junk after numeric literal at or near "12ab"`, "", 1, 8},
	{"bad hexadecimal", "SELECT 0xzz", `invalid hexadecimal integer at or near "0x"`, "", 1, 8},
	{"question mark", "SELECT a FROM t WHERE a = ?", `syntax error at or near "?"`, "Parameters are written $1", 1, 27},
	{"parameter 0", "SELECT $0", `there is no parameter "$0"`, "Parameters are $1", 1, 8},
	{"bare interval", "SELECT INTERVAL 1 DAY", `syntax error at or near "1"`, "Put the number in quotes", 1, 17},
	{"reserved column", "SELECT a AS b FROM t ORDER BY order", `syntax error at or near "order"`, "ORDER is a reserved word", 1, 31},
	{"reserved column in table", "CREATE TABLE t (user text)", `syntax error at or near "user"`, `USER is a reserved word. To use it as a name, quote it: "user"`, 1, 17},
	{"chained comparison", "SELECT a = b = c", `syntax error at or near "="`, "Comparisons do not chain", 1, 14},
	{"join without condition", "SELECT * FROM a JOIN b WHERE x", `syntax error at or near "WHERE"`, "A JOIN needs ON", 1, 24},
	{"two statements", "SELECT 1; SELECT 2", `syntax error at or near "SELECT"`, "Only one statement", 1, 11},
	{"empty", " -- nothing", "The statement is empty.", "", 1, 1},
	{"values of other lengths", "VALUES (1), (2, 3)", "VALUES lists must all be the same length", "", 1, 13},
	{"too many dots", "SELECT * FROM a.b.c", `improper qualified name (too many dotted names) at or near "."`, "Tables are named namespace.table", 1, 18},
	{"no type", "CREATE TABLE t (a)", `column "a" has no type`, "For example", 1, 17},
	{"no columns", "CREATE TABLE t", "syntax error at end of input", "", 1, 15},
	{"two primary keys", "CREATE TABLE t (a int PRIMARY KEY, PRIMARY KEY (a))", `multiple primary keys for table "t" are not allowed`, "Write PRIMARY KEY (a, b)", 1, 36},
	{"option twice", "CREATE TABLE t (a int) TTL 1 WITH (ttl = 2)", `option "ttl" is given twice`, "", 1, 36},
	{"two types", "CREATE USER TABLE t (a int) WITH (type = 'shared')", "the table is said to be of two types: user and shared", "", 1, 35},
	{"unknown type", "CREATE TABLE t (a int) WITH (type = 'heap')", "unknown table type", "A table's type is", 1, 30},
	{"bad ttl", "CREATE STREAM TABLE t (a int) TTL soon", `syntax error at or near "soon"`, "Write a number of seconds", 1, 35},
	{"storage without path", "CREATE STORAGE s TYPE s3 NAME 'x'", "CREATE STORAGE needs a PATH", "For example", 1, 1},
	{"conflict without target", "INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1", "ON CONFLICT DO UPDATE requires inference specification or constraint name", "For example", 1, 26},
	{"default in query", "SELECT DEFAULT", `syntax error at or near "DEFAULT"`, "DEFAULT is a reserved word", 1, 8},
	{"frame", "SELECT sum(a) OVER (ROWS BETWEEN UNBOUNDED FOLLOWING AND CURRENT ROW)", "frame start cannot be UNBOUNDED FOLLOWING", "", 1, 21},
	{"mistyped show", "SHOW TABELS", `syntax error at or near "TABELS"`, "Did you mean SHOW TABLES?", 1, 6},
	{"invalid UTF-8", "SELECT '\xff'", "invalid byte sequence for encoding UTF-8: 0xff", "", 1, 9},
	{"NUL", "SELECT 'a\x00'", "invalid byte sequence for encoding UTF-8: 0x00", "", 1, 10},
	{"NOT before an operator", "SELECT a NOT ~~ b", `syntax error at or near "NOT"`, "", 1, 10},
	{"control character", "SELECT \x01", `unexpected character '\x01'`, "", 1, 8},

	{"SHOW of another database", "SHOW DATABASES", "SHOW DATABASES is not supported.", "Use SHOW NAMESPACES", 1, 6},
	{"SHOW of a setting", "SHOW work_mem", "SHOW work_mem is not supported.", "SHOW knows", 1, 6},
	{"transaction", "BEGIN", "Transactions over several statements are not supported.", hintAtomic, 1, 1},
	{"set", "SET search_path TO app", "SET is not supported.", hintSet, 1, 1},
	{"unique", "CREATE TABLE t (a int UNIQUE)", "UNIQUE constraints are not supported.", "The primary key is unique", 1, 23},
	{"check", "CREATE TABLE t (a int, CHECK (a > 0))", "CHECK constraints are not supported.", "Check the values", 1, 24},
	{"references", "CREATE TABLE t (a int REFERENCES u (id))", "FOREIGN KEY constraints are not supported.", "Tables do not depend", 1, 23},
	{"index", "CREATE INDEX i ON t (a)", "Indexes are not supported.", "Rows are found by primary key", 1, 8},
	{"temporary", "CREATE TEMP TABLE t (a int)", "Temporary tables are not supported.", "A STREAM table", 1, 8},
	{"row locks", "SELECT 1 FROM t FOR UPDATE", "FOR UPDATE is not supported.", "A statement reads", 1, 17},
	{"alter column", "ALTER TABLE t ALTER COLUMN a TYPE int", "Changing a column's type or default is not supported.", "Add a new column", 1, 15},
	{"whole row", "SELECT 1 + t.* FROM t", "A row of all columns is not supported as a value.", "Name the columns", 1, 12},
	{"conflict on constraint", "INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT pk DO NOTHING", "ON CONFLICT ON CONSTRAINT is not supported.", "Name the columns", 1, 38},
}

func TestParseErrors(t *testing.T) {
	for _, c := range errorCases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.sql)
			e, ok := dberr.As(err)
			if !ok {
				t.Fatalf("%q: error %v", c.sql, err)
			}
			if e.Message != c.message {
				t.Errorf("message %q, want %q", e.Message, c.message)
			}
			if !strings.HasPrefix(e.Hint, c.hint) || c.hint == "" && e.Hint != "" {
				t.Errorf("hint %q, want %q", e.Hint, c.hint)
			}
			if e.Pos.Line != c.line || e.Pos.Column != c.column {
				t.Errorf("at %d:%d, want %d:%d", e.Pos.Line, e.Pos.Column, c.line, c.column)
			}
			want := dberr.InvalidSQL
			if strings.HasSuffix(c.message, "not supported.") || strings.HasSuffix(c.message, "supported as a value.") {
				want = dberr.Unsupported
			}
			if e.Code != want {
				t.Errorf("code %s, want %s", e.Code, want)
			}
		})
	}
}

// TestHostileInput holds that nesting and length end in an error, or in a
// tree, in linear time. The timeout is there to catch a hang.
func TestHostileInput(t *testing.T) {
	const n = 10 << 20
	many := func(s string) string { return strings.Repeat(s, n/len(s)) }
	deep := []struct{ name, sql string }{
		{"parentheses", many("(")},
		{"parentheses in a value", "SELECT " + many("(")},
		{"parentheses in FROM", "SELECT * FROM " + many("(")},
		{"unary minus", "SELECT " + many("- ")},
		{"unary minus before parentheses", "SELECT " + many("-(")},
		{"NOT", "SELECT " + many("NOT ")},
		{"addition", "SELECT 1" + many("+1")},
		{"cast", "SELECT 1" + many("::int")},
		{"IS NULL", "SELECT 1" + many(" IS NULL")},
		{"subscripts", "SELECT a" + many("[1]")},
		{"open subscripts", "SELECT " + many("a[")},
		{"arrays", "SELECT ARRAY" + many("[")},
		{"CASE", "SELECT " + many("CASE ")},
		{"calls", "SELECT " + many("f(")},
		{"IN", "SELECT " + many("a IN (")},
		{"scalar subqueries", many("SELECT (")},
		{"subqueries in FROM", many("SELECT * FROM (")},
		{"unions", "SELECT 1" + many(" UNION SELECT 1")},
		{"intersections", "SELECT 1" + many(" UNION SELECT 1 INTERSECT SELECT 1")},
		{"joins", "SELECT * FROM a" + many(" CROSS JOIN a")},
		{"joins without ON", "SELECT * FROM a" + many(" JOIN a")},
		{"CTEs", many("WITH a AS (")},
		{"grouping sets", "SELECT 1 GROUP BY " + many("GROUPING SETS (")},
		{"left-deep parentheses", "SELECT " + strings.Repeat("(", 900) + "1" + strings.Repeat(strings.Repeat("+1", 900)+")", 900)},
		{"AND and OR by turns", "SELECT " + many("a AND (b OR ")},
		{"EXPLAIN", many("EXPLAIN ")},
		{"FieldExpr", "SELECT (a)" + many(".b")},
	}
	for _, c := range deep {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse(c.sql)
			if e, ok := dberr.As(err); !ok || e.Code != dberr.InvalidSQL {
				t.Fatalf("error %v", err)
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Fatalf("took %v", d)
			}
		})
	}
	t.Run("options", func(t *testing.T) {
		var sql strings.Builder
		sql.WriteString("CREATE TABLE t (a int)")
		for i := range 500_000 {
			sql.WriteString(" WITH (a" + strconv.Itoa(i) + " = 1)")
		}
		if _, err := Parse(sql.String()); err == nil || !strings.Contains(err.Error(), "too many options") {
			t.Fatal(err)
		}
	})
	long := []struct{ name, sql string }{
		{"list", "SELECT 1 IN (1" + strings.Repeat(",1", 1_000_000) + ")"},
		{"and", "SELECT a" + strings.Repeat(" AND a", 1_000_000)},
		{"values", "VALUES (1)" + strings.Repeat(",(1)", 500_000)},
		{"string", "SELECT '" + strings.Repeat("''", n/2) + "'"},
		{"dollars", "SELECT $a$" + strings.Repeat("$a", n/2) + "$a$"},
		{"comment", "SELECT 1 " + strings.Repeat("/*", n/4) + strings.Repeat("*/", n/4)},
		{"identifier", "SELECT " + strings.Repeat("a", n)},
		{"just deep enough", "SELECT " + strings.Repeat("(", 490) + "1" + strings.Repeat(")", 490)},
	}
	for _, c := range long {
		t.Run("long "+c.name, func(t *testing.T) {
			if _, err := Parse(c.sql); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestDepthLimitIsConfigurable(t *testing.T) {
	p := Parser{MaxDepth: 20}
	if _, err := p.Parse("SELECT 1" + strings.Repeat("+1", 10)); err != nil {
		t.Fatal(err)
	}
	_, err := p.Parse("SELECT 1" + strings.Repeat("+1", 30))
	e, ok := dberr.As(err)
	if !ok || e.State() != "54001" || !strings.Contains(e.Message, "20 levels") {
		t.Fatalf("error %v", err)
	}
}
