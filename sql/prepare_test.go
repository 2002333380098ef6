package sql_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/logictest"
)

func newDB(t *testing.T, opts sql.Options) *logictest.DB {
	t.Helper()
	db := logictest.NewDB(opts)
	for _, q := range []string{
		"CREATE USER TABLE msg (id BIGINT PRIMARY KEY, room TEXT, n INT, price DECIMAL(8,2), at TIMESTAMP, ok BOOLEAN)",
		"CREATE TABLE pub (id INT PRIMARY KEY, name TEXT)",
		"INSERT INTO msg (id, room, n) VALUES (1, 'a', 10), (2, 'b', 20), (3, 'a', 30)",
	} {
		if _, err := db.Exec(context.Background(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	return db
}

func prepare(t *testing.T, db *logictest.DB, text string, params ...sqltype.Value) (*sql.Prepared, error) {
	t.Helper()
	return db.Compiler.Prepare(context.Background(), sql.Request{Text: text, Namespace: "main", Catalog: db, Params: params})
}

func TestParameters(t *testing.T) {
	text, num := sqltype.NewText, sqltype.NewBigInt
	dec := func(s string) sqltype.Value {
		d, err := decimal.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return sqltype.NewDecimal(d)
	}
	for _, c := range []struct {
		name, query string
		params      []sqltype.Value
		code        dberr.Code
		message     string
	}{
		{"number for bigint", "SELECT * FROM msg WHERE id = $1", []sqltype.Value{num(1)}, "", ""},
		{"text for bigint", "SELECT * FROM msg WHERE id = $1", []sqltype.Value{text("1")}, "", ""},
		{"text that is no number", "SELECT * FROM msg WHERE n = $1", []sqltype.Value{text("abc")}, dberr.TypeMismatch, `column "n": expected INT, got TEXT "abc"`},
		{"boolean for number", "INSERT INTO msg (id, n) VALUES (9, $1)", []sqltype.Value{sqltype.NewBool(true)}, dberr.TypeMismatch, `column "n": expected INT, got BOOLEAN`},
		{"number for text", "INSERT INTO msg (id, room) VALUES (9, $1)", []sqltype.Value{num(5)}, dberr.TypeMismatch, `column "room": expected TEXT, got BIGINT 5`},
		{"number for an untyped place", "SELECT $1", []sqltype.Value{num(5)}, "", ""},
		{"whole decimal for int", "SELECT * FROM msg WHERE n = $1", []sqltype.Value{dec("10.0")}, "", ""},
		{"fraction for int", "SELECT * FROM msg WHERE n = $1", []sqltype.Value{dec("10.5")}, dberr.TypeMismatch, "expected INT, got DECIMAL 10.5"},
		{"too large", "UPDATE msg SET n = $1 WHERE id = 1", []sqltype.Value{num(1 << 40)}, dberr.ValueOutOfRange, `column "n"`},
		{"timestamp", "SELECT * FROM msg WHERE at > $1", []sqltype.Value{text("2025-10-21T10:00:00Z")}, "", ""},
		{"bad timestamp", "SELECT * FROM msg WHERE at > $1", []sqltype.Value{text("soon")}, dberr.TypeMismatch, `column "at": expected TIMESTAMP`},
		{"text that is no JSON", "SELECT $1::json", []sqltype.Value{text("{broken")}, dberr.InvalidJSON, "JSON"},
		{"text that is no base64", "SELECT $1::bytes", []sqltype.Value{text("a")}, dberr.TypeMismatch, "parameter $1: the text for BYTES is not base64"},
		{"null", "SELECT * FROM msg WHERE room = $1", []sqltype.Value{sqltype.Null()}, "", ""},
		{"too few", "SELECT * FROM msg WHERE id = $1 AND n = $2", []sqltype.Value{num(1)}, dberr.ParameterMismatch, "parameter mismatch: expected 2, got 1"},
		{"none given beside a literal", "SELECT * FROM msg WHERE id = $1 LIMIT 5", nil, dberr.ParameterMismatch, "parameter mismatch: expected 1, got 0"},
		{"too many beside a literal", "SELECT * FROM msg WHERE id = $1 LIMIT 5", []sqltype.Value{num(1), num(2)}, dberr.ParameterMismatch, "parameter mismatch: expected 1, got 2"},
		{"too many, and literals only", "SELECT * FROM msg WHERE id = 1", []sqltype.Value{num(2)}, dberr.ParameterMismatch, "parameter mismatch: expected 0, got 1"},
		{"too many", "SELECT 1", []sqltype.Value{num(1)}, dberr.ParameterMismatch, "parameter mismatch"},
		{"none given", "SELECT * FROM msg WHERE id = $1", nil, dberr.ParameterMismatch, "parameter mismatch"},
		{"limit", "SELECT * FROM msg LIMIT $1 OFFSET $2", []sqltype.Value{num(1), num(0)}, "", ""},
		{"one parameter, two places", "SELECT * FROM msg WHERE n = $1 OR room = $1::text", []sqltype.Value{num(10)}, "", ""},
		{"literal that is no number", "SELECT * FROM msg WHERE n = 'abc'", nil, dberr.TypeMismatch, "abc"},
		{"literal for a column", "INSERT INTO msg (id, n) VALUES (1, 'abc')", nil, dberr.TypeMismatch, `column "n"`},
		{"expression for a column", "INSERT INTO msg (id, n) VALUES (1, now())", nil, dberr.TypeMismatch, `column "n" is of type INT, but an expression of type TIMESTAMP was given`},
		{"parameter 0", "SELECT $0", nil, dberr.InvalidSQL, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{0, -1} {
				db := newDB(t, sql.Options{PlanCacheSize: size})
				for range 2 {
					_, err := prepare(t, db, c.query, c.params...)
					if dberr.CodeOf(err) != c.code {
						t.Fatalf("code %q, want %q: %v", dberr.CodeOf(err), c.code, err)
					}
					if err != nil && !strings.Contains(err.Error(), c.message) {
						t.Fatalf("message %q does not hold %q", err, c.message)
					}
				}
			}
		})
	}
}

// TestBytesParameters holds the two ways to write a BYTES parameter, and that
// literals are written as PostgreSQL's.
func TestBytesParameters(t *testing.T) {
	db := newDB(t, sql.Options{})
	hex := func(query string, params ...sqltype.Value) string {
		r, err := db.Exec(t.Context(), query, params...)
		if err != nil {
			t.Fatal(err)
		}
		return r.Rows[0][0].Str()
	}
	for given, want := range map[string]string{"AQL/": "0102ff", `\x0102ff`: "0102ff", "": ""} {
		if got := hex("SELECT encode($1::bytes, 'hex')", sqltype.NewText(given)); got != want {
			t.Errorf("%q is %s, want %s", given, got, want)
		}
	}
	if got := hex("SELECT encode('AQL/'::bytes, 'hex')"); got != "41514c2f" {
		t.Errorf("the literal is %s", got)
	}
}

func TestErrorsHavePlaces(t *testing.T) {
	db := newDB(t, sql.Options{})
	for query, want := range map[string]struct {
		code   dberr.Code
		line   int
		column int
	}{
		"SELECT nope FROM msg":                       {dberr.ColumnNotFound, 1, 8},
		"SELECT id\nFROM msg\nWHERE room = n":        {dberr.FunctionNotFound, 3, 12},
		"SELECT * FROM nothere":                      {dberr.TableNotFound, 1, 15},
		"SELECT nofunc(id) FROM msg":                 {dberr.FunctionNotFound, 1, 8},
		"UPDATE msg SET _seq = 1":                    {dberr.InvalidSQL, 1, 16},
		"SELECT x.id FROM msg":                       {dberr.TableNotFound, 1, 8},
		"INSERT INTO msg (id, n) VALUES (1, 'x')":    {dberr.TypeMismatch, 1, 36},
		"SELECT * FROM msg WHERE id = 1 AND n = 'x'": {dberr.TypeMismatch, 1, 40},
	} {
		_, err := prepare(t, db, query)
		var e *dberr.Error
		if !errors.As(err, &e) || e.Code != want.code || e.Pos.Line != want.line || e.Pos.Column != want.column {
			t.Errorf("%s: %v, want %s at %d:%d", query, err, want.code, want.line, want.column)
		}
	}
}

func TestNamespaceIsNeeded(t *testing.T) {
	db := newDB(t, sql.Options{})
	_, err := db.Compiler.Prepare(context.Background(), sql.Request{Text: "SELECT * FROM msg", Catalog: db})
	var e *dberr.Error
	if !errors.As(err, &e) || e.Hint == "" || !strings.Contains(e.Hint, "USE") {
		t.Errorf("unqualified name without a namespace: %v", err)
	}
	if _, err := db.Compiler.Prepare(context.Background(), sql.Request{Text: "SELECT * FROM main.msg", Catalog: db}); err != nil {
		t.Errorf("qualified name: %v", err)
	}
}

func TestPreparedDescribesItself(t *testing.T) {
	db := newDB(t, sql.Options{})
	for _, c := range []struct {
		query, columns, reads, writes string
		kind                          sql.Kind
		ops                           sql.WriteOps
		user                          bool
	}{
		{query: "SELECT id, room AS r FROM msg", columns: "id BIGINT, r TEXT", reads: "main.msg"},
		{query: "SELECT id, id, id AS id_2, 1 FROM msg", columns: "id BIGINT, id_3 BIGINT, id_2 BIGINT, ?column? INT", reads: "main.msg"},
		{query: "SELECT m.*, p.id FROM main.user.msg m, pub p", columns: "id BIGINT, room TEXT, n INT, price DECIMAL(8,2), at TIMESTAMP, ok BOOLEAN, id_2 INT", reads: "main.msg main.pub", user: true},
		{query: "SELECT count(*), sum(n) FROM msg", columns: "count BIGINT, sum BIGINT", reads: "main.msg"},
		{query: "INSERT INTO pub VALUES (1, 'x') RETURNING id", columns: "id INT", writes: "main.pub", kind: sql.Modify, ops: sql.WriteInsert},
		{query: "INSERT INTO pub SELECT n, room FROM msg ON CONFLICT (id) DO UPDATE SET name = 'y'", reads: "main.msg", writes: "main.pub", kind: sql.Modify, ops: sql.WriteInsert | sql.WriteUpdate},
		{query: "UPDATE pub SET name = 'z'", reads: "main.pub", writes: "main.pub", kind: sql.Modify, ops: sql.WriteUpdate},
		{query: "DELETE FROM pub", reads: "main.pub", writes: "main.pub", kind: sql.Modify, ops: sql.WriteDelete},
		{query: "SHOW TABLES", kind: sql.Utility},
		{query: "EXPLAIN SELECT 1", columns: "plan TEXT"},
	} {
		for range 2 {
			p, err := prepare(t, db, c.query)
			if err != nil {
				t.Errorf("%s: %v", c.query, err)
				continue
			}
			var cols, reads []string
			for _, col := range p.Columns() {
				cols = append(cols, col.Name+" "+col.Type.String())
			}
			for _, r := range p.Reads() {
				reads = append(reads, r.Ident().String())
			}
			writes := ""
			if w := p.Writes(); w != nil {
				writes = w.Ident().String()
			}
			if got := strings.Join(cols, ", "); got != c.columns {
				t.Errorf("%s: columns %s, want %s", c.query, got, c.columns)
			}
			if got := strings.Join(reads, " "); got != c.reads || writes != c.writes || p.Kind() != c.kind || p.WriteOps() != c.ops || p.UserQualified() != c.user {
				t.Errorf("%s: reads %s, writes %s, kind %d, ops %d, user %v", c.query, got, writes, p.Kind(), p.WriteOps(), p.UserQualified())
			}
			if (p.Kind() == sql.Utility) != (p.Statement() != nil) && c.kind == sql.Utility {
				t.Errorf("%s: a utility statement needs its tree", c.query)
			}
		}
	}
}

func TestUserQualifierNeedsUserTable(t *testing.T) {
	db := newDB(t, sql.Options{})
	if _, err := prepare(t, db, "SELECT * FROM main.user.pub"); dberr.CodeOf(err) != dberr.TableNotFound {
		t.Errorf("a shared table behind .user.: %v", err)
	}
}

func TestPlanCache(t *testing.T) {
	db := newDB(t, sql.Options{})
	db.Compiler.ClearCache()
	for _, q := range []string{
		"SELECT * FROM msg WHERE id = 1",
		"select  *\nFROM msg -- comment\nWHERE ID = 2;",
		"SELECT * FROM msg WHERE id = 77",
	} {
		if _, err := prepare(t, db, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	if plans := db.Compiler.CachedPlans(); len(plans) != 1 || plans[0].Hits != 2 {
		t.Errorf("statements that differ in a literal only do not share a plan: %+v", plans)
	}
	// What a statement does not read does not touch its plan.
	if _, err := db.Exec(context.Background(), "CREATE TABLE other (id INT)"); err != nil {
		t.Fatal(err)
	}
	if _, err := prepare(t, db, "SELECT * FROM msg WHERE id = 3"); err != nil {
		t.Fatal(err)
	}
	if plans := db.Compiler.CachedPlans(); len(plans) != 1 || plans[0].Hits != 3 {
		t.Errorf("plans after another table came: %+v", plans)
	}
	small := sql.NewCompiler(sql.Options{PlanCacheSize: 2})
	for _, q := range []string{"SELECT 1", "SELECT 2", "SELECT 3"} {
		if _, err := small.Prepare(context.Background(), sql.Request{Text: q, Catalog: db}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(small.CachedPlans()); n != 2 {
		t.Errorf("%d plans in a cache of 2", n)
	}
}

func TestMemoryLimit(t *testing.T) {
	db := newDB(t, sql.Options{})
	db.Env.MemoryLimit = 1 << 20
	for _, q := range []string{
		"SELECT g FROM generate_series(1, 1000000) g ORDER BY g DESC",
		"SELECT g, count(*) FROM generate_series(1, 1000000) g GROUP BY g",
		"SELECT DISTINCT g FROM generate_series(1, 1000000) g",
		"SELECT count(*) FROM generate_series(1, 10) a JOIN generate_series(1, 1000000) b ON a.a = b.b",
		"WITH x AS MATERIALIZED (SELECT g FROM generate_series(1, 1000000) g) SELECT max(a.g) FROM x a, x b",
		"SELECT sum(g) OVER (ORDER BY g) FROM generate_series(1, 1000000) g",
		"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT count(*) FROM r",
		"SELECT cardinality(ARRAY(SELECT g FROM generate_series(1, 1000000) g))",
		"SELECT cardinality(array_agg(g)) FROM generate_series(1, 1000000) g",
		"SELECT length(string_agg(g::text, ',')) FROM generate_series(1, 1000000) g",
		"SELECT length(json_agg(g)::text) FROM generate_series(1, 1000000) g",
		"SELECT count(DISTINCT g) FROM generate_series(1, 1000000) g",
		"SELECT median(g) FROM generate_series(1, 1000000) g",
		"SELECT mode() WITHIN GROUP (ORDER BY g) FROM generate_series(1, 1000000) g",
		"SELECT g FROM generate_series(1, 1000000) g INTERSECT SELECT g FROM generate_series(1, 1000000) g",
	} {
		if _, err := db.Exec(context.Background(), q); dberr.CodeOf(err) != dberr.ResourceExhausted {
			t.Errorf("%s: %v, want RESOURCE_EXHAUSTED", q, err)
		}
	}
	if r, err := db.Exec(context.Background(), "SELECT count(*) FROM generate_series(1, 1000000) g"); err != nil || r.Rows[0][0].Int() != 1_000_000 {
		t.Errorf("a query that keeps nothing: %v", err)
	}
}

func TestCancelled(t *testing.T) {
	db := newDB(t, sql.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	p, err := db.Compiler.Prepare(ctx, sql.Request{Text: "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b", Catalog: db})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := p.Query(ctx, &db.Env)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	cancel()
	if _, err := rows.Next(ctx); dberr.CodeOf(err) != dberr.Cancelled {
		t.Errorf("cancelled query: %v", err)
	}
	if _, err := rows.Next(context.Background()); err == nil {
		t.Error("after an error Next gives the same again")
	}
}

func TestExplain(t *testing.T) {
	db := newDB(t, sql.Options{})
	for query, want := range map[string][]string{
		"SELECT room FROM msg WHERE id = 5":                                     {"Direct lookup", "Key lookup in main.msg (room) where id = 5"},
		"SELECT upper(room) FROM msg WHERE id = 5 LIMIT 1":                      {"Direct lookup", "Key lookup in main.msg (room) where id = 5"},
		"SELECT room FROM msg WHERE id > 5 AND n = 1":                           {"Key range scan", "Filter (n = 1)"},
		"SELECT id FROM msg ORDER BY id DESC LIMIT 5":                           {"in key order, backwards", "limited"},
		"SELECT id FROM msg ORDER BY n LIMIT 5":                                 {"Top rows by n"},
		"SELECT m.id FROM msg m JOIN pub p ON p.id = m.n":                       {"Hash Inner join"},
		"SELECT id FROM msg WHERE n IN (SELECT id FROM pub)":                    {"Hash Mark join"},
		"SELECT id, (SELECT name FROM pub WHERE pub.id = n) FROM msg":           {"Hash Single join"},
		"SELECT a.id FROM msg a, msg b, pub c WHERE a.n = c.id AND b.id = c.id": {"Hash Inner join"},
		"DELETE FROM msg WHERE id = 1":                                          {"Delete from main.msg", "Key lookup"},
	} {
		r, err := db.Exec(context.Background(), "EXPLAIN "+query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		var lines []string
		for _, row := range r.Rows {
			lines = append(lines, row[0].Str())
		}
		text := strings.Join(lines, "\n")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: the plan does not hold %q\n%s", query, w, text)
			}
		}
		if strings.Contains(text, "Nested loop") {
			t.Errorf("%s: a nested loop\n%s", query, text)
		}
	}
	r, err := db.Exec(context.Background(), "EXPLAIN (ANALYZE, FORMAT JSON) SELECT room, count(*) FROM msg GROUP BY room")
	if err != nil || len(r.Rows) != 1 || !strings.Contains(r.Rows[0][0].Str(), `"rows":2`) {
		t.Errorf("JSON plan: %v %v", r, err)
	}
	if _, err := db.Exec(context.Background(), "EXPLAIN ANALYZE DELETE FROM msg"); dberr.CodeOf(err) != dberr.Unsupported {
		t.Errorf("EXPLAIN ANALYZE of a change: %v", err)
	}
}

func TestDeepNesting(t *testing.T) {
	db := newDB(t, sql.Options{})
	for _, q := range []string{
		"SELECT " + strings.Repeat("(", 100000) + "1",
		"SELECT " + strings.Repeat("- ", 100000) + "1",
		"SELECT 1" + strings.Repeat(" UNION SELECT 1", 300),
		"SELECT * FROM " + strings.Repeat("(SELECT * FROM ", 500) + "msg" + strings.Repeat(") x", 500),
		"SELECT 1 WHERE true" + strings.Repeat(" AND 1 = 1", 5000),
	} {
		if _, err := db.Exec(context.Background(), q); dberr.CodeOf(err) == dberr.Internal {
			t.Errorf("%.40s…: %v", q, err)
		}
	}
}

// TestPlansFollowTheCatalog holds that a cached plan is used until a name in it
// means something else, and no longer.
func TestPlansFollowTheCatalog(t *testing.T) {
	db := logictest.NewDB(sql.Options{})
	ctx := context.Background()
	for i, c := range []struct{ change, query, want string }{
		{"CREATE TABLE a (id INT PRIMARY KEY, n INT)", "", ""},
		{"INSERT INTO a VALUES (1, 10)", "SELECT * FROM a WHERE id = 1", "1 10"},
		// The same name for another table, with other columns.
		{"DROP TABLE a", "SELECT * FROM a WHERE id = 1", string(dberr.TableNotFound)},
		{"CREATE TABLE a (id INT PRIMARY KEY, n INT, s TEXT)", "SELECT * FROM a WHERE id = 1", ""},
		{"INSERT INTO a VALUES (1, 11, 'x')", "SELECT * FROM a WHERE id = 1", "1 11 x"},
		// A view in the place of a table.
		{"DROP TABLE a", "SELECT * FROM a WHERE id = 1", string(dberr.TableNotFound)},
		{"CREATE TABLE b (id INT PRIMARY KEY, n INT)", "", ""},
		{"INSERT INTO b VALUES (1, 12)", "", ""},
		{"CREATE VIEW a AS SELECT id, n + 1 AS n FROM b", "SELECT * FROM a WHERE id = 1", "1 13"},
		// Another view, and another table below the same view.
		{"CREATE OR REPLACE VIEW a AS SELECT id, n + 2 AS n FROM b", "SELECT * FROM a WHERE id = 1", "1 14"},
		{"DROP TABLE b", "SELECT * FROM a WHERE id = 1", string(dberr.TableNotFound)},
		{"CREATE TABLE b (n INT, id INT)", "SELECT * FROM a WHERE id = 1", ""},
		{"INSERT INTO b VALUES (5, 1)", "SELECT * FROM a WHERE id = 1", "1 7"},
		// A table in the place of a view.
		{"DROP VIEW a", "SELECT * FROM a WHERE id = 1", string(dberr.TableNotFound)},
		{"CREATE TABLE a (id INT)", "SELECT * FROM a WHERE id = 1", ""},
		{"INSERT INTO a VALUES (1)", "SELECT * FROM a WHERE id = 1", "1"},
		// A write's target.
		{"DROP TABLE b", "INSERT INTO b VALUES (1, 2) RETURNING *", string(dberr.TableNotFound)},
		{"CREATE TABLE b (x INT, y INT)", "INSERT INTO b VALUES (1, 2) RETURNING x, y", "1 2"},
		{"DROP TABLE b", "INSERT INTO b VALUES (1, 2) RETURNING x, y", string(dberr.TableNotFound)},
		{"CREATE TABLE b (y INT, x INT)", "INSERT INTO b VALUES (1, 2) RETURNING x, y", "2 1"},
	} {
		if _, err := db.Exec(ctx, c.change); err != nil {
			t.Fatalf("%s: %v", c.change, err)
		}
		if c.query == "" {
			continue
		}
		for range 2 {
			r, err := db.Exec(ctx, c.query)
			got := string(dberr.CodeOf(err))
			if err == nil {
				got = ""
				for _, row := range r.Rows {
					for k, v := range row {
						if k > 0 {
							got += " "
						}
						got += v.Text()
					}
				}
			}
			if got != c.want {
				t.Errorf("%d: %s after %s: got %q, want %q (%v)", i, c.query, c.change, got, c.want, err)
			}
		}
	}
}
