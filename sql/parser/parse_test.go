package parser

import (
	"testing"

	"github.com/kalamdb/kalamdb/sql/ast"
)

// statementCases are statements and what their trees print as; an empty want
// is the statement itself.
var statementCases = []struct{ name, sql, want string }{
	// Queries.
	{"star", "SELECT * FROM t", ""},
	{"case is folded, quotes keep it", `select A, "B c" FrOm "T" x`, `SELECT a, "B c" FROM "T" AS x`},
	{"no items", "SELECT FROM t", ""},
	{"distinct", "SELECT DISTINCT a FROM t", ""},
	{"distinct on", "SELECT DISTINCT ON (a, b) a, c FROM t ORDER BY a, b DESC", ""},
	{"all", "SELECT ALL a FROM t", "SELECT a FROM t"},
	{"qualified names", "SELECT t.a, ns.t.b, ns.user.t.c, t.*, ns.user.t.* FROM ns.user.t", ""},
	{"system words as names", "SELECT name, type, key, value, text, date, timestamp, role, status, data, level, year, user_id, time, storage FROM t",
		"SELECT name, type, key, value, text, date, timestamp, role, status, data, level, year, user_id, time, storage FROM t"},
	{"implicit aliases", "SELECT a b, c name FROM t u, v AS w (x, y)", "SELECT a AS b, c AS name FROM t AS u, v AS w(x, y)"},
	{"reserved alias after AS", "SELECT a AS select, b AS user", `SELECT a AS "select", b AS "user"`},
	{"where group having", "SELECT a, count(*) FROM t WHERE b > 1 GROUP BY a, 2, lower(c) HAVING count(*) > 1", ""},
	{"grouping sets", "SELECT a FROM t GROUP BY GROUPING SETS ((a, b), a, (), ROLLUP (c, (d, e)), CUBE (f))",
		"SELECT a FROM t GROUP BY GROUPING SETS ((a, b), a, (), ROLLUP (c, (d, e)), CUBE (f))"},
	{"group by distinct", "SELECT a FROM t GROUP BY DISTINCT ROLLUP (a), ()", ""},
	{"order", "SELECT a FROM t ORDER BY a DESC NULLS LAST, 2 ASC, b NULLS FIRST", ""},
	{"limit offset", "SELECT a FROM t LIMIT 10 OFFSET $1", ""},
	{"offset limit", "SELECT a FROM t OFFSET 5 ROWS LIMIT ALL", "SELECT a FROM t OFFSET 5"},
	{"fetch", "SELECT a FROM t OFFSET 1 ROW FETCH FIRST 3 ROWS ONLY", "SELECT a FROM t LIMIT 3 OFFSET 1"},
	{"fetch next row", "SELECT a FROM t FETCH NEXT ROW ONLY", "SELECT a FROM t LIMIT 1"},
	{"with ties", "SELECT a FROM t ORDER BY a FETCH FIRST (1 + 1) ROWS WITH TIES", ""},
	{"joins", "SELECT * FROM a JOIN b ON a.x = b.x LEFT OUTER JOIN c USING (x, y) RIGHT JOIN d ON TRUE FULL JOIN e USING (z) AS j CROSS JOIN f NATURAL LEFT JOIN g",
		"SELECT * FROM a JOIN b ON a.x = b.x LEFT JOIN c USING (x, y) RIGHT JOIN d ON TRUE FULL JOIN e USING (z) AS j CROSS JOIN f NATURAL LEFT JOIN g"},
	{"delayed on", "SELECT * FROM a JOIN b JOIN c ON b.x = c.x ON a.x = b.x", "SELECT * FROM a JOIN (b JOIN c ON b.x = c.x) ON a.x = b.x"},
	{"joins in parentheses", "SELECT * FROM (a CROSS JOIN b) CROSS JOIN (c CROSS JOIN d), ((a JOIN b USING (x))) AS j (p, q)",
		"SELECT * FROM a CROSS JOIN b CROSS JOIN (c CROSS JOIN d), (a JOIN b USING (x)) AS j(p, q)"},
	{"column definitions", "SELECT * FROM f(x) AS t(a int, b numeric(4, 2)), g(y) AS (c text)", ""},
	{"whole rows", "SELECT f(t.*), (t).a, (t).* FROM t", "SELECT f(t.*), (t).a, t.* FROM t"},
	{"lateral", "SELECT * FROM a, LATERAL (SELECT a.x) AS s(y), LATERAL unnest(a.z) WITH ORDINALITY AS u(v, n)", ""},
	{"table functions", "SELECT * FROM generate_series(1, 10, 2) g, ROWS FROM (f(1), pg_catalog.g(2)) AS r",
		"SELECT * FROM generate_series(1, 10, 2) AS g, ROWS FROM (f(1), pg_catalog.g(2)) AS r"},
	{"values as table", "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS v(id, name)", ""},
	{"nested queries in from", "SELECT * FROM ((SELECT 1) UNION (SELECT 2 LIMIT 1)) x", "SELECT * FROM (SELECT 1 UNION (SELECT 2 LIMIT 1)) AS x"},
	{"doubly nested query in from", "SELECT * FROM (((SELECT 1))) AS x", "SELECT * FROM (SELECT 1) AS x"},
	{"table command", "TABLE ns.t", "SELECT * FROM ns.t"},
	{"values", "VALUES (1, 2), (3, 4) ORDER BY 1", ""},
	{"set operations", "SELECT 1 UNION SELECT 2 INTERSECT ALL SELECT 3 EXCEPT DISTINCT SELECT 4",
		"SELECT 1 UNION SELECT 2 INTERSECT ALL SELECT 3 EXCEPT SELECT 4"},
	{"set operations in parentheses", "(SELECT 1 UNION SELECT 2) INTERSECT (SELECT 3 ORDER BY 1)", ""},
	{"right nested set operation", "SELECT 1 EXCEPT (SELECT 2 EXCEPT SELECT 3)", ""},
	{"query in parentheses", "((SELECT 1));", "SELECT 1"},
	{"query in parentheses with clauses", "(SELECT 1 LIMIT 1) ORDER BY 1", ""},
	{"ctes", "WITH RECURSIVE a (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a), b AS MATERIALIZED (SELECT 2), c AS NOT MATERIALIZED (DELETE FROM t RETURNING *) SELECT * FROM a", ""},
	{"windows", "SELECT sum(a) OVER w, rank() OVER (PARTITION BY b, c ORDER BY d DESC), avg(e) OVER (w ROWS 1 PRECEDING) FROM t WINDOW w AS (ORDER BY f), v AS (w)",
		"SELECT sum(a) OVER w, rank() OVER (PARTITION BY b, c ORDER BY d DESC), avg(e) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t WINDOW w AS (ORDER BY f), v AS (w)"},
	{"frames", "SELECT sum(a) OVER (ORDER BY b RANGE BETWEEN interval '1' day PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES), sum(a) OVER (GROUPS BETWEEN 1 FOLLOWING AND 2 FOLLOWING EXCLUDE NO OTHERS), sum(a) OVER (ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW) FROM t",
		"SELECT sum(a) OVER (ORDER BY b RANGE BETWEEN interval '1' day PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES), sum(a) OVER (GROUPS BETWEEN 1 FOLLOWING AND 2 FOLLOWING), sum(a) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW) FROM t"},
	{"comments", "SELECT /* a /* nested */ comment */ 1 -- and one more\n + 2", "SELECT 1 + 2"},

	// Data.
	{"insert", "INSERT INTO ns.t (a, b) VALUES (1, 'x'), (DEFAULT, $1) RETURNING id, *", ""},
	{"insert select", "INSERT INTO t SELECT * FROM u", ""},
	{"insert query in parentheses", "INSERT INTO t (SELECT 1)", "INSERT INTO t SELECT 1"},
	{"insert default values", "INSERT INTO t DEFAULT VALUES", ""},
	{"insert with", "WITH a AS (SELECT 1) INSERT INTO t AS x SELECT * FROM a", ""},
	{"insert query with", "INSERT INTO t WITH a AS (SELECT 1) SELECT * FROM a", ""},
	{"upsert nothing", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", ""},
	{"upsert", "INSERT INTO t (id, n) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET n = excluded.n + t.n, (a, b) = (1, DEFAULT) WHERE t.n < 5 RETURNING *", ""},
	{"insert select on conflict", "INSERT INTO t SELECT 1 FROM u ON CONFLICT (id) DO NOTHING", ""},
	{"update", "UPDATE ns.user.t AS x SET a = a + 1, b = DEFAULT, (c, d) = (SELECT 1, 2), (e) = ROW(3) FROM u, v WHERE x.id = u.id RETURNING x.a AS y", ""},
	{"update alias", "UPDATE t x SET a = 1", "UPDATE t AS x SET a = 1"},
	{"update column named set words", "UPDATE t SET name = 'a', type = 'b'", ""},
	{"single column in parentheses", "UPDATE t SET (a) = (1)", "UPDATE t SET (a) = ROW(1)"},
	{"delete", "WITH d AS (SELECT 1) DELETE FROM t USING u JOIN v ON TRUE WHERE t.id = u.id RETURNING *", ""},
	{"truncate", "TRUNCATE a, ns.b RESTART IDENTITY CASCADE", "TRUNCATE TABLE a, ns.b"},

	// Definitions.
	{"create namespace", "CREATE NAMESPACE IF NOT EXISTS app", ""},
	{"create schema", "CREATE SCHEMA app", "CREATE NAMESPACE app"},
	{"alter namespace", "ALTER NAMESPACE app SET OPTIONS (owner = 'x', n = -1, on_ = true)", "ALTER NAMESPACE app SET OPTIONS (owner = 'x', n = -1, on_ = TRUE)"},
	{"drop namespace", "DROP NAMESPACE IF EXISTS app CASCADE", ""},
	{"use", "USE app", "USE NAMESPACE app"},
	{"create user table", "CREATE USER TABLE IF NOT EXISTS app.m (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), c TEXT NOT NULL, n int NULL, p double precision, d decimal(10, 2), ts timestamp(3) with time zone, a int[][] default ARRAY[1], PRIMARY KEY (x)) STORAGE local FLUSH INTERVAL 300s ROW_THRESHOLD 1000 ACCESS open",
		"error"},
	{"create table with everything", "CREATE USER TABLE IF NOT EXISTS app.m (id BIGINT DEFAULT SNOWFLAKE_ID() NOT NULL, c TEXT NOT NULL, n int NULL, p double precision, d decimal(10, 2), ts timestamp(3) with time zone, a int[][] default ARRAY[1], v character varying(20), CONSTRAINT pk PRIMARY KEY (id, c)) ACCESS open STORAGE 'local' FLUSH INTERVAL 300s ROW_THRESHOLD 1000",
		"CREATE USER TABLE IF NOT EXISTS app.m (id bigint NOT NULL DEFAULT snowflake_id(), c text NOT NULL, n int, p double precision, d decimal(10, 2), ts timestamp(3) with time zone, a int[][] DEFAULT ARRAY[1], v character varying(20), PRIMARY KEY (id, c)) WITH (access = 'open', storage = 'local', flush_interval = '300s', flush_rows = 1000)"},
	{"flush twice", "CREATE SHARED TABLE t (a int) FLUSH INTERVAL 5m FLUSH ROWS 10", "CREATE SHARED TABLE t (a int) WITH (flush_interval = '5m', flush_rows = 10)"},
	{"older flush", "CREATE TABLE t (a int) FLUSH SECONDS 60", "CREATE TABLE t (a int) WITH (flush_interval = '60s')"},
	{"stream table", "CREATE STREAM TABLE e (id int) TTL 10 MAX_BUFFER 500", "CREATE STREAM TABLE e (id int) WITH (ttl = '10s', max_buffer = 500)"},
	{"stream ttl with unit", "CREATE STREAM TABLE e (id int) TTL 10s", "CREATE STREAM TABLE e (id int) WITH (ttl = '10s')"},
	{"with list", "CREATE TABLE t (a int) WITH (type = 'user', storage = 'local', flush_interval = '300s', flush_rows = 1000, ttl = '10s')",
		"CREATE USER TABLE t (a int) WITH (storage = 'local', flush_interval = '300s', flush_rows = 1000, ttl = '10s')"},
	{"with list, bare words", "CREATE TABLE t (a int) WITH (TYPE = Stream, ttl = 10s)", "CREATE STREAM TABLE t (a int) WITH (ttl = '10s')"},
	{"serial", "CREATE TABLE t (id BIGSERIAL PRIMARY KEY, k INT AUTO_INCREMENT, j BIGINT GENERATED BY DEFAULT AS IDENTITY, data JSONB, u UUID)",
		"CREATE TABLE t (id bigserial PRIMARY KEY, k int AUTO_INCREMENT, j bigint AUTO_INCREMENT, data jsonb, u uuid)"},
	{"create table as", "CREATE SHARED TABLE t (x, y) STORAGE local AS SELECT 1, 2", "CREATE SHARED TABLE t (x, y) WITH (storage = 'local') AS SELECT 1, 2"},
	{"system words as columns", "CREATE TABLE t (name text, type text, key text, value text, text text, date date, timestamp timestamp, role text, status text, data text, level int, time time, options text)",
		`CREATE TABLE t (name text, type text, key text, value text, text text, date date, timestamp timestamp, role text, status text, data text, level int, time time, "options" text)`},
	{"alter table", "ALTER TABLE IF EXISTS ns.t ADD COLUMN IF NOT EXISTS a int DEFAULT 1, ADD b text, DROP c, DROP COLUMN IF EXISTS d, RENAME e TO f, RENAME COLUMN g TO h, SET (flush_interval = '1m', access = private)",
		"ALTER TABLE IF EXISTS ns.t ADD COLUMN IF NOT EXISTS a int DEFAULT 1, ADD COLUMN b text, DROP COLUMN c, DROP COLUMN IF EXISTS d, RENAME COLUMN e TO f, RENAME COLUMN g TO h, SET (flush_interval = '1m', access = 'private')"},
	{"drop table", "DROP USER TABLE IF EXISTS a, ns.b", ""},
	{"create view", "CREATE OR REPLACE VIEW ns.v (a, b) AS SELECT 1, 2 UNION SELECT 3, 4", ""},
	{"drop view", "DROP VIEW IF EXISTS ns.v", ""},

	// Administration.
	{"show namespaces", "SHOW NAMESPACES", ""},
	{"show tables", "SHOW TABLES", ""},
	{"show tables in", "SHOW TABLES IN app", ""},
	{"show storages", "SHOW STORAGES", ""},
	{"show stats", "SHOW STATS FOR TABLE ns.t", "SHOW TABLE STATS ns.t"},
	{"show backup", "SHOW BACKUP '/b'", ""},
	{"show backup for", "SHOW BACKUP FOR DATABASE app", ""},
	{"describe", "DESC ns.t", "DESCRIBE TABLE ns.t"},
	{"show columns", "SHOW COLUMNS FROM t", "DESCRIBE TABLE t"},
	{"flush", "FLUSH TABLE ns.t", ""},
	{"flush all", "FLUSH ALL TABLES IN app", ""},
	{"compact", "COMPACT TABLE t", ""},
	{"subscribe", "SUBSCRIBE TO app.messages WHERE room = 'a' OPTIONS (last_rows = 50, on_slow = resync)",
		"SUBSCRIBE TO SELECT * FROM app.messages WHERE room = 'a' OPTIONS (last_rows = 50, on_slow = 'resync')"},
	{"subscribe, options only", "SUBSCRIBE TO t OPTIONS (last_rows=-1)", "SUBSCRIBE TO SELECT * FROM t OPTIONS (last_rows = -1)"},
	{"subscribe to select", "SUBSCRIBE TO SELECT a, b FROM t OPTIONS (from_seq = 12)", ""},
	{"subscribe without from", "SUBSCRIBE TO (SELECT) OPTIONS (a = 1)", ""},
	{"kill live query", "KILL LIVE QUERY 'u-1'", ""},
	{"kill live query, bare", "KILL LIVE QUERY ab12-4f-x_1;", "KILL LIVE QUERY 'ab12-4f-x_1'"},
	{"kill job", "KILL JOB 'j'", ""},
	{"create storage", "CREATE STORAGE s3a TYPE s3 NAME 'n' DESCRIPTION 'd' PATH 's3://b' CREDENTIALS '{}' SHARED_TABLES_TEMPLATE 'x' USER_TABLES_TEMPLATE 'y'", ""},
	{"alter storage", "ALTER STORAGE s SET NAME 'x', PATH = 'y'", "ALTER STORAGE s SET (name = 'x', path = 'y')"},
	{"drop storage", "DROP STORAGE IF EXISTS s", ""},
	{"backup", "BACKUP DATABASE app TO '/b'", ""},
	{"restore", "RESTORE DATABASE app FROM '/b' AS other", ""},
	{"create api key", "CREATE API KEY FOR 'u' NAME 'x'", ""},
	{"drop api key", "DROP API KEY 'k'", ""},
	{"clear cache", "CLEAR CACHE", ""},
	{"explain", "EXPLAIN SELECT 1", ""},
	{"explain analyze", "EXPLAIN ANALYZE VERBOSE SELECT 1", "EXPLAIN (ANALYZE, VERBOSE) SELECT 1"},
	{"explain options", "EXPLAIN (ANALYZE false, COSTS off, FORMAT JSON) DELETE FROM t", "EXPLAIN (FORMAT JSON) DELETE FROM t"},
	{"explain query in parentheses", "EXPLAIN (SELECT 1)", "EXPLAIN SELECT 1"},
}

func TestParseStatements(t *testing.T) {
	for _, c := range statementCases {
		t.Run(c.name, func(t *testing.T) {
			stmt, err := Parse(c.sql)
			if c.want == "error" {
				if err == nil {
					t.Fatalf("%q parses as %q", c.sql, ast.SQL(stmt))
				}
				return
			}
			if err != nil {
				t.Fatalf("%q: %v", c.sql, err)
			}
			want := c.want
			if want == "" {
				want = c.sql
			}
			if got := ast.SQL(stmt); got != want {
				t.Fatalf("%q\nprints as %q\nwant      %q", c.sql, got, want)
			}
			checkRoundTrip(t, c.sql, stmt)
		})
	}
}
