package logictest

import (
	"context"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql"
)

// show writes a result's rows, a line each.
func show(r *Result) string {
	var b strings.Builder
	for _, row := range r.Rows {
		for i, v := range row {
			if i > 0 {
				b.WriteByte('|')
			}
			if v.IsNull() {
				b.WriteString("NULL")
			} else {
				b.WriteString(v.Text())
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestStatementsAreAtomic(t *testing.T) {
	db := NewDB(sql.Options{})
	ctx := context.Background()
	for _, q := range []string{"CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1), (2, 2)"} {
		if _, err := db.Exec(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(ctx, "INSERT INTO t VALUES (3, 3), (1, 9)"); dberr.CodeOf(err) != dberr.UniqueViolation {
		t.Errorf("a key that is there: %v", err)
	}
	if _, err := db.Exec(ctx, "UPDATE t SET v = 10 / (id - 2)"); dberr.CodeOf(err) != dberr.DivisionByZero {
		t.Errorf("division by zero: %v", err)
	}
	r, err := db.Exec(ctx, "SELECT * FROM t ORDER BY id")
	if err != nil || show(r) != "1|1\n2|2\n" {
		t.Errorf("rows after statements that failed: %v %v", r, err)
	}
}

func TestParseScript(t *testing.T) {
	s, err := ParseScript(`# comment
statement ok
CREATE TABLE t (a INT);

skipif kalamdb
query I
SELECT 1
----
1

onlyif kalamdb
query II rowsort
SELECT a,
  b FROM t
----
1 2
3 4

statement error no such
SELECT

loop i 1 3

query I
SELECT ${i}
----
${i}

endloop

halt

query I
SELECT never
`, []string{"kalamdb"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range s.Records {
		got = append(got, r.Kind+" "+r.SQL+" "+strings.Join(r.Expected, "/"))
	}
	want := "statement CREATE TABLE t (a INT) |query SELECT a,\n  b FROM t 1 2/3 4|statement SELECT |query SELECT 1 1|query SELECT 2 2"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %q\nwant %q", strings.Join(got, "|"), want)
	}
	if !s.Records[2].Error || s.Records[2].ErrorText != "no such" || s.Records[1].Sort != "rowsort" {
		t.Errorf("records: %+v", s.Records)
	}
}
