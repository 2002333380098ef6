package repl

import (
	"context"
	"fmt"
	"strings"

	"github.com/kalamdb/kalamdb/cli/render"
)

const helpSQL = `  SELECT … FROM ns.t WHERE …      INSERT INTO ns.t (…) VALUES (…)
  UPDATE ns.t SET … WHERE …       DELETE FROM ns.t WHERE …
  CREATE NAMESPACE ns             CREATE USER|SHARED|STREAM TABLE ns.t (…)
  ALTER TABLE ns.t ADD COLUMN …   DROP TABLE ns.t
  USE ns                          SHOW NAMESPACES · SHOW TABLES [IN ns]
  DESCRIBE ns.t                   SHOW TABLE STATS ns.t
  FLUSH TABLE ns.t                EXPLAIN [ANALYZE] statement
  SUBSCRIBE TO ns.t [WHERE …] [OPTIONS (last_rows = 50)]
`

const helpKeys = `  TAB completes · Up and Down walk through the history · Ctrl+R searches it
  Ctrl+C cancels the line or the running statement · Ctrl+D leaves
`

// topics are what \help tells more about, in the order in which they are
// listed.
var topics = []struct{ name, text string }{
	{"sql", helpSQL},
	{"keys", helpKeys},
	{"subscribe", `  SUBSCRIBE TO ns.t [WHERE …] [OPTIONS (last_rows = 50)];

  Shows each change of the rows as it happens: + INSERT, ~ UPDATE (old → new),
  - DELETE. A lost connection is made again and nothing is missed. While rows
  stream: Ctrl+C stops, \pause holds, \continue goes on, \quit stops too.
  With --json or \format ndjson each change is one line of JSON.
`},
	{"select", `  [WITH name AS (SELECT …), …]
  SELECT [DISTINCT] expression [AS name], …
  FROM ns.t [AS a] [[LEFT|RIGHT|FULL|CROSS] JOIN ns.u ON …]
  [WHERE …] [GROUP BY … [HAVING …]] [ORDER BY … [ASC|DESC]]
  [LIMIT n] [OFFSET n]  [UNION|INTERSECT|EXCEPT [ALL] SELECT …]

  System columns are _seq, _updated and _deleted; * does not include them, and
  naming _deleted shows deleted rows too.
`},
	{"insert", `  INSERT INTO ns.t [(column, …)] VALUES (…), (…)
         [ON CONFLICT [(column, …)] DO NOTHING | DO UPDATE SET column = …]
         [RETURNING …]
  INSERT INTO ns.t [(column, …)] SELECT …
`},
	{"update", `  UPDATE ns.t SET column = expression, … [WHERE …] [RETURNING …]
`},
	{"delete", `  DELETE FROM ns.t [WHERE …] [RETURNING …]

  Rows of USER and SHARED tables stay with _deleted = true; those of STREAM
  tables are gone.
`},
	{"create table", `  CREATE [USER|SHARED|STREAM] TABLE [IF NOT EXISTS] ns.t (
    column type [NOT NULL] [PRIMARY KEY] [DEFAULT expression], …
    [, PRIMARY KEY (a, b)]
  ) [STORAGE id] [FLUSH INTERVAL 300s ROW_THRESHOLD 1000]
    [TTL 10s] [MAX_BUFFER n] [ACCESS public|open|restricted|private]

  Types: BOOLEAN SMALLINT INT BIGINT FLOAT DOUBLE DECIMAL(p,s) TEXT JSON UUID
  BYTES DATE TIME TIMESTAMP. Defaults: NOW() SNOWFLAKE_ID() UUID_V7() ULID()
  CURRENT_USER(), or a constant.
`},
	{"alter table", `  ALTER TABLE ns.t ADD [COLUMN] c type [DEFAULT …]
                 | DROP [COLUMN] c | RENAME [COLUMN] a TO b
                 | SET (flush_interval = '300s', …)
`},
	{"drop", `  DROP TABLE [IF EXISTS] ns.t
  DROP NAMESPACE [IF EXISTS] ns [CASCADE]
  DROP VIEW [IF EXISTS] ns.v · DROP STORAGE [IF EXISTS] id · DROP API KEY 'id'
`},
	{"namespace", `  CREATE NAMESPACE [IF NOT EXISTS] ns · USE ns · SHOW NAMESPACES
  ALTER NAMESPACE ns SET OPTIONS (…) · DROP NAMESPACE ns [CASCADE]
`},
	{"flush", `  FLUSH TABLE ns.t · FLUSH ALL TABLES [IN ns] · COMPACT TABLE ns.t
  SHOW TABLE STATS ns.t · SELECT * FROM system.jobs
`},
	{"storage", `  CREATE STORAGE id TYPE filesystem|s3 [NAME '…'] PATH 'uri'
         [CREDENTIALS 'json']
         [SHARED_TABLES_TEMPLATE '…'] [USER_TABLES_TEMPLATE '…']
  ALTER STORAGE id SET … · DROP STORAGE id · SHOW STORAGES
`},
	{"backup", `  BACKUP DATABASE ns TO 'path' · SHOW BACKUP 'path'
  RESTORE DATABASE ns FROM 'path' [AS other]
`},
	{"users", `  INSERT INTO system.users (user_id, username, metadata) VALUES (…)
  CREATE API KEY FOR 'user' [NAME '…'] · DROP API KEY 'id'
  SELECT * FROM system.users · SELECT * FROM system.api_keys
`},
	{"kill", `  KILL LIVE QUERY 'live_id' · KILL JOB 'job_id'

  The ids are those of \subscriptions and of system.jobs.
`},
	{"copy", `  \copy ns.t FROM 'file' [WITH (FORMAT csv|json|ndjson, HEADER, DELIMITER ',')]
  \copy ns.t TO 'file' [WITH (…)]    \copy (SELECT …) TO 'file' [WITH (…)]

  The file is on this machine; its ending says the format where WITH does not.
`},
}

// CommandHelp is a backslash command as the manual page shows it.
type CommandHelp struct{ Usage, Help string }

// Commands lists the backslash commands in the order of \help.
func Commands() []CommandHelp {
	var out []CommandHelp
	for _, c := range commands {
		out = append(out, CommandHelp{c.usage(), c.help})
	}
	return out
}

// usage is a command with its other names and its arguments.
func (c *command) usage() string {
	s := strings.Join(append([]string{c.name}, c.aliases...), ", ")
	if c.args != "" {
		s += " " + c.args
	}
	return s
}

func helpTopics() []string {
	out := make([]string, len(topics))
	for i, t := range topics {
		out[i] = t.name
	}
	return out
}

// helpTopic finds a topic by its name, or by how its name begins: "create"
// finds "create table", and so does "create user table".
func helpTopic(name string) string {
	name = strings.TrimPrefix(strings.Join(strings.Fields(strings.ToLower(name)), " "), `\`)
	for _, t := range topics {
		if t.name == name {
			return t.text
		}
	}
	for _, t := range topics {
		if strings.HasPrefix(t.name, name) || strings.HasPrefix(name, t.name+" ") {
			return t.text
		}
	}
	words := strings.Fields(name)
	for i := len(words) - 1; i > 0; i-- { // "drop table", "create storage"
		for _, t := range topics {
			if t.name == words[i] || t.name == words[0]+" "+words[i] || t.name == words[0] {
				return t.text
			}
		}
	}
	return ""
}

func (a *App) help(_ context.Context, _ []string, rest string) error {
	if rest != "" {
		text := helpTopic(rest)
		if text == "" {
			return fmt.Errorf("there is no help about %q; topics are %s", rest, strings.Join(helpTopics(), ", "))
		}
		fmt.Fprint(a.out, text)
		return nil
	}
	fmt.Fprint(a.out, "Statements end with a semicolon and may span lines. Some of them:\n\n", helpSQL, "\nCommands:\n\n")
	width := a.width()
	for _, c := range commands {
		fmt.Fprint(a.out, helpEntry(c.usage(), c.help, width))
	}
	fmt.Fprint(a.out, "\nTopics of \\help:\n\n")
	line := " "
	for _, t := range helpTopics() {
		if len(line)+len(t)+2 > 78 {
			fmt.Fprintln(a.out, line)
			line = " "
		}
		line += " " + t + ","
	}
	fmt.Fprint(a.out, strings.TrimSuffix(line, ","), "\n\n", helpKeys)
	return nil
}

// helpEntry sets what a command does beside how it is written. In a terminal of
// a width it goes on in its own column; 0 is of no terminal, and of no bound.
func helpEntry(usage, help string, width int) string {
	const left = 34
	indent := strings.Repeat(" ", left+3)
	lines := []string{help}
	if width > len(indent)+20 {
		lines = render.Wrap(help, width-len(indent))
	}
	text := strings.Join(lines, "\n"+indent) + "\n"
	if render.Width(usage) > left {
		return "  " + usage + "\n" + indent + text
	}
	return "  " + render.Fit(usage, left, false) + " " + text
}
