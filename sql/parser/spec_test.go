package parser

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSpecificationGrammar parses every form of the statements that are ours,
// with each optional part left out and put in.
func TestSpecificationGrammar(t *testing.T) {
	for _, form := range []string{
		"CREATE NAMESPACE [IF NOT EXISTS] n",
		"DROP NAMESPACE [IF EXISTS] n [CASCADE]",
		"ALTER NAMESPACE n SET OPTIONS (a = 1, b = 'x')",
		"USE [NAMESPACE] n",
		"CREATE [USER|SHARED|STREAM] TABLE [IF NOT EXISTS] [ns.]t (id BIGINT [NOT NULL|NULL] [PRIMARY KEY] [DEFAULT SNOWFLAKE_ID()], b TEXT)",
		"CREATE USER TABLE t (a INT, b TEXT, PRIMARY KEY (a, b)) [STORAGE id] [FLUSH INTERVAL 300s|FLUSH ROW_THRESHOLD 1000|FLUSH INTERVAL 300s ROW_THRESHOLD 1000] [ACCESS public|ACCESS open|ACCESS restricted|ACCESS private]",
		"CREATE STREAM TABLE t (a INT) [TTL 10|TTL 10s] [MAX_BUFFER 5]",
		"CREATE TABLE t (a INT) WITH (type = 'user', storage = 'local', flush_interval = '300s', flush_rows = 1000, ttl = '10s')",
		"CREATE TABLE t (a INT) [FLUSH ROWS 5|FLUSH SECONDS 5]",
		"CREATE TABLE t (a [SERIAL|BIGSERIAL|INT2|INT4|INT8|FLOAT4|FLOAT8|VARCHAR(10)|CHAR(3)|JSON|JSONB|UUID|BYTEA|DATETIME|BOOLEAN|SMALLINT|INT|FLOAT|DOUBLE|DECIMAL(10,2)|BYTES|DATE|TIME|TIMESTAMP|TEXT|TINYINT|MEDIUMINT|TIMESTAMPTZ|BLOB|BOOL|REAL|NUMERIC] [AUTO_INCREMENT])",
		"CREATE TABLE t (a TEXT DEFAULT [NOW()|SNOWFLAKE_ID()|UUID_V7()|ULID()|CURRENT_USER()|CURRENT_TIMESTAMP])",
		"COMPACT TABLE [ns.]t",
		"CREATE [OR REPLACE] VIEW [ns.]v AS SELECT 1",
		"DROP VIEW [IF EXISTS] [ns.]v",
		"ALTER TABLE t [ADD|ADD COLUMN] c INT [DEFAULT 1]",
		"ALTER TABLE t [DROP|DROP COLUMN] c",
		"ALTER TABLE t [RENAME|RENAME COLUMN] a TO b",
		"ALTER TABLE t SET (flush_interval = '5m', flush_rows = 10)",
		"DROP TABLE [IF EXISTS] [ns.]t",
		"TRUNCATE [TABLE] t",
		"[DESCRIBE|DESC] [TABLE] [ns.]t",
		"SHOW TABLES [IN ns]",
		"SHOW [NAMESPACES|STORAGES|TABLE STATS t|STATS FOR TABLE ns.t|BACKUP 'x']",
		"FLUSH TABLE [ns.]t",
		"FLUSH ALL TABLES [IN ns]",
		"SUBSCRIBE TO [ns.|ns.user.]t [WHERE a = $1] [OPTIONS (last_rows = 5, from_seq = 12)]",
		"SUBSCRIBE TO SELECT a FROM t [WHERE a = 1] [OPTIONS (last_rows = 5)]",
		"KILL [LIVE QUERY|JOB] ['live_id'|live-id_1]",
		"CREATE STORAGE id TYPE [filesystem|s3] [NAME 'x'] [DESCRIPTION 'x'] PATH 'uri' [CREDENTIALS '{}'] [SHARED_TABLES_TEMPLATE 'x'] [USER_TABLES_TEMPLATE 'x']",
		"CREATE STORAGE id TYPE s3 USER_TABLES_TEMPLATE 'x' PATH 'uri' NAME 'n'",
		"ALTER STORAGE id SET NAME 'x' [PATH = 'y'|, CREDENTIALS '{}', DESCRIPTION 'z']",
		"DROP STORAGE [IF EXISTS] id",
		"BACKUP DATABASE ns TO 'path'",
		"RESTORE DATABASE ns FROM 'path' [AS other_ns]",
		"CREATE API KEY FOR 'user_id' [NAME 'x']",
		"DROP API KEY 'key_id'",
		"CLEAR CACHE",
		"EXPLAIN [ANALYZE|(FORMAT JSON)|(ANALYZE, FORMAT JSON)] [SELECT 1|INSERT INTO t VALUES (1)|UPDATE t SET a = 1|DELETE FROM t]",
		"INSERT INTO [ns.user.]t (a, b) VALUES (1, DEFAULT) [ON CONFLICT DO NOTHING|ON CONFLICT (a) DO UPDATE SET b = excluded.b] [RETURNING *]",
	} {
		for _, sql := range expand(form) {
			for _, text := range []string{sql, sql + ";", strings.ToLower(sql)} {
				stmt, err := Parse(text)
				if err != nil {
					t.Errorf("%s: %v", text, err)
					continue
				}
				checkRoundTrip(t, text, stmt)
			}
		}
	}
}

var optional = regexp.MustCompile(`\[([^\[\]]*)\]`)

// expand writes out a form: [a|b] is a, b, or nothing. Forms that need one of
// the choices start with the words in needed.
func expand(form string) []string {
	loc := optional.FindStringSubmatchIndex(form)
	if loc == nil {
		return []string{strings.Join(strings.Fields(form), " ")}
	}
	choices := strings.Split(form[loc[2]:loc[3]], "|")
	if !needed[choices[0]] {
		choices = append(choices, "")
	}
	var list []string
	for _, c := range choices {
		list = append(list, expand(form[:loc[0]]+c+form[loc[1]:])...)
	}
	return list
}

// needed are the first choices of the groups of which one must be taken.
var needed = map[string]bool{
	"SERIAL": true, "NOW()": true, "ADD": true, "DROP": true, "RENAME": true, "DESCRIBE": true, "NAMESPACES": true,
	"LIVE QUERY": true, "'live_id'": true, "filesystem": true, "SELECT 1": true,
}

// TestSpecificationStatements parses the statements that the specification
// shows in backquotes, where it lies beside the repository.
func TestSpecificationStatements(t *testing.T) {
	text, err := os.ReadFile("../../../shared/spec/feature-004.md")
	if err != nil {
		t.Skip("the specification is not here")
	}
	// Only statements without an ellipsis or a <placeholder> are SQL.
	quoted := regexp.MustCompile("`((?:SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|FLUSH|SHOW|DESCRIBE|SUBSCRIBE TO|KILL) [^`]*)`")
	parsed := 0
	for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
		sql := m[1]
		if strings.Contains(sql, "...") || strings.Contains(sql, "<") || strings.Contains(sql, "…") {
			continue
		}
		if _, err := Parse(sql); err != nil {
			t.Logf("%s: %v", sql, err)
			continue
		}
		parsed++
	}
	if parsed < 10 {
		t.Fatalf("only %d statements of the specification parse", parsed)
	}
}
