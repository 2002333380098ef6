package parser

import "strings"

// habit is a way of writing that another database taught, and what to write
// here instead. It is recognised by words in lower case: the statement's first,
// the one before the mistake, and the one at it. "" stands for any, "0" for a
// whole number.
type habit struct {
	lead, before, at string
	hint             string
}

const (
	hintUpsert    = "Use INSERT … ON CONFLICT (key) DO UPDATE SET a = excluded.a, or ON CONFLICT DO NOTHING."
	hintValues    = "Write INSERT INTO t (a, b) VALUES (1, 2)."
	hintSomeRows  = "Choose the rows in WHERE: WHERE id IN (SELECT id FROM t ORDER BY … LIMIT 10)."
	hintFromTo    = "Use UPDATE t SET … FROM other WHERE …."
	hintKill      = "Write KILL LIVE QUERY 'live_id' or KILL JOB 'job_id'."
	hintNoIndex   = "There are no secondary indexes: rows are found by primary key, PRIMARY KEY (a, b)."
	hintOptions   = "Leave the table options of other databases out."
	hintUnsigned  = "Use a wider type, such as BIGINT or DECIMAL."
	hintBuiltIn   = "There are no extensions: the functions are built in."
	hintUsers     = "Users are rows of system.users; their role comes from the token."
	hintRights    = "A USER table shows every user the own rows only; ACCESS says who may use a SHARED table."
	hintNewColumn = "Add a new column, copy the values with UPDATE, and drop the old one."
	hintNewTable  = "Make a new table and copy the rows with INSERT INTO … SELECT."
)

// habits are looked through in order.
var habits = []habit{
	{"insert", "insert", "or", hintUpsert},
	{"insert", "insert", "ignore", hintUpsert},
	{"insert", "on", "duplicate", hintUpsert},
	{"insert", "insert", "", hintValues},
	{"insert", "", "set", hintValues},
	{"replace", "", "replace", hintUpsert},
	{"upsert", "", "upsert", hintUpsert},
	{"delete", "delete", "", "Write DELETE FROM t."},
	{"delete", "", "limit", hintSomeRows},
	{"delete", "", "order", hintSomeRows},
	{"update", "", "limit", hintSomeRows},
	{"update", "", "order", hintSomeRows},
	{"update", "", "join", hintFromTo},
	{"update", "", "inner", hintFromTo},
	{"select", "top", "0", "Write LIMIT at the end."},
	{"", "", "regexp", "Use ~ for regular expressions, ~* without regard to case."},
	{"", "", "rlike", "Use ~ for regular expressions, ~* without regard to case."},
	{"", "div", "0", "The / of two integers gives an integer."},
	{"create", "", "engine", hintOptions},
	{"create", "", "charset", hintOptions},
	{"create", "", "without", hintOptions},
	{"create", "", "strict", hintOptions},
	{"create", "", "partition", hintOptions},
	{"create", "", "inherits", hintOptions},
	{"create", "", "tablespace", hintOptions},
	{"create", ")", "default", hintOptions},
	{"create", "index", "(", hintNoIndex},
	{"create", "key", "(", hintNoIndex},
	{"create", "unsigned", "", hintUnsigned},
	{"create", "create", "extension", hintBuiltIn},
	{"create", "create", "role", hintUsers},
	{"create", "create", "policy", hintRights},
	{"create", "create", "procedure", hintRoutines},
	{"create", "replace", "procedure", hintRoutines},
	{"create", "replace", "function", hintRoutines},
	{"create", "replace", "trigger", hintNotify},
	{"create", "create", "publication", hintNotify},
	{"create", "create", "domain", "Use the domain's own type."},
	{"alter", "", "modify", hintNewColumn},
	{"alter", "", "change", hintNewColumn},
	{"alter", "", "enable", hintRights},
	{"alter", "alter", "role", hintRoles},
	{"drop", "drop", "extension", hintBuiltIn},
	{"kill", "kill", "", hintKill},
	{"rename", "", "rename", hintNewTable},
	{"pragma", "", "pragma", "DESCRIBE shows a table's columns, SHOW TABLES the tables; settings stand in the server's configuration."},
	{"attach", "", "attach", "A server has one database, with namespaces in it: CREATE NAMESPACE."},
	{"optimize", "", "optimize", hintUpkeep},
	{"checkpoint", "", "checkpoint", hintUpkeep},
	{"load", "", "load", hintCopy},
	{"exec", "", "exec", hintRoutines},
	{"unlock", "", "unlock", hintAtomic},
	{"xa", "", "xa", hintAtomic},
	{"explain", "explain", "query", "Write EXPLAIN, or EXPLAIN ANALYZE."},
}

// foreignHint is the hint for what another database would have understood
// where the parser stands, "" for anything else.
func (p *Parser) foreignHint() string {
	lex := NewLexer(p.sql)
	lead := lex.Next()
	for _, h := range habits {
		if p.wordIs(lead, h.lead) && p.wordIs(p.prev, h.before) && p.wordIs(p.tok, h.at) {
			return h.hint
		}
	}
	return ""
}

// wordIs compares a token with a word of a habit.
func (p *Parser) wordIs(t Token, want string) bool {
	switch {
	case want == "":
		return true
	case want == "0":
		return t.Kind == Integer
	case t.End == 0 || t.Kind == EOF || t.Kind == Invalid:
		return false
	}
	return strings.EqualFold(t.Text(p.sql), want)
}
