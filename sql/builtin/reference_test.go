package builtin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/golden"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/builtin"
)

// typeReference is what the page says of the types: every name of a type, the
// first being the one that answers give.
var typeReference = []struct{ names, meaning string }{
	{"BOOLEAN, BOOL", "TRUE, FALSE or NULL."},
	{"SMALLINT, INT2, TINYINT", "16 bits."},
	{"INT, INTEGER, INT4, MEDIUMINT", "32 bits."},
	{"BIGINT, INT8", "64 bits. A column declared with SERIAL, BIGSERIAL or AUTO_INCREMENT is one, with DEFAULT SNOWFLAKE_ID()."},
	{"FLOAT, FLOAT4, REAL", "A floating-point number of 32 bits."},
	{"DOUBLE, FLOAT8, DOUBLE PRECISION", "A floating-point number of 64 bits."},
	{"DECIMAL, NUMERIC", "An exact decimal number; (p, s) bounds its digits. In JSON it is a text."},
	{"TEXT, VARCHAR, CHAR, STRING", "Unicode text; (n) bounds its characters."},
	{"JSON, JSONB", "Text that is checked to be JSON."},
	{"UUID", "128 bits, written in groups of hexadecimal digits."},
	{"BYTES, BYTEA, BLOB", "Bytes; base64 in JSON, \\x… in SQL."},
	{"DATE", "A day."},
	{"TIME", "A time of day in microseconds."},
	{"TIMESTAMP, TIMESTAMPTZ, DATETIME", "A moment in microseconds, UTC; other zones are converted on the way in."},
	{"INTERVAL", "Months, days and microseconds; in expressions, no column has it."},
}

// TestFunctionReference holds docs/architecture/functions.md against the
// registry: every function, operator, aggregate and window function with its
// types, its strictness and its volatility.
func TestFunctionReference(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Types, operators and functions

<!-- Generated from the registry by: go test ./sql/builtin -rewrite -->

What expressions may use; the statements are in [SQL](sql.md). The same list is in ` + "`information_schema.routines`" + `. *Strict* functions give NULL when an argument is NULL. *Immutable* ones depend on their arguments alone, *stable* ones give one value for a whole statement, *volatile* ones may differ from call to call. ` + "`ANYELEMENT`" + ` is any type, the same for all arguments of a call, ` + "`ANYARRAY`" + ` an array of it, ` + "`ANY`" + ` any type whatever; a ` + "`VARIADIC`" + ` argument may come several times. A name without a function of these types is ` + "`FUNCTION_NOT_FOUND`" + `.

## Types

| type | also written | |
|---|---|---|
`)
	for _, r := range typeReference {
		names := strings.Split(r.names, ", ")
		first, ok := sqltype.Named(strings.ToLower(names[0]))
		if !ok || first.String() != names[0] {
			t.Errorf("%s is %v", names[0], first)
		}
		for _, n := range names[1:] {
			if got, ok := sqltype.Named(strings.ToLower(n)); !ok || got.Kind != first.Kind {
				t.Errorf("%s is %v, not %s", n, got, names[0])
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", names[0], strings.Join(names[1:], ", "), r.meaning)
	}
	b.WriteString("\n`T[]` is an array of a type, of one dimension.\n")

	titles := map[builtin.Kind]string{
		builtin.Scalar: "Functions", builtin.Operator: "Operators", builtin.Aggregate: "Aggregates",
		builtin.Window: "Window functions", builtin.Table: "Functions that give rows",
	}
	intros := map[builtin.Kind]string{
		builtin.Aggregate: "Each may have `DISTINCT`, `ORDER BY` inside the parentheses, `FILTER (WHERE …)` and `OVER (…)`; those that say *ordered* need `WITHIN GROUP (ORDER BY …)`.",
		builtin.Window:    "They need `OVER (…)`; every aggregate may have it, too.",
		builtin.Table:     "They stand in `FROM`.",
	}
	kind, category, count := builtin.Kind(255), "", 0
	var order []string
	byCategory := map[string][]*builtin.Function{}
	flush := func() {
		for _, category = range order {
			if kind == builtin.Scalar {
				fmt.Fprintf(&b, "\n### %s\n", strings.ToUpper(category[:1])+category[1:])
			}
			b.WriteString("\n| signature | | |\n|---|---|---|\n")
			for _, f := range byCategory[category] {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.ReplaceAll(f.Signature(), "|", "\\|"), properties(f), strings.ReplaceAll(f.Doc, "|", "\\|"))
				count++
			}
		}
		order, byCategory = nil, map[string][]*builtin.Function{}
	}
	for _, f := range builtin.Functions() {
		if f.Kind != kind {
			flush()
			kind = f.Kind
			fmt.Fprintf(&b, "\n## %s\n", titles[kind])
			if intros[kind] != "" {
				b.WriteString("\n" + intros[kind] + "\n")
			}
		}
		c := f.Category
		if kind != builtin.Scalar {
			c = titles[kind]
		}
		if byCategory[c] == nil {
			order = append(order, c)
		}
		byCategory[c] = append(byCategory[c], f)
	}
	flush()
	if count != len(builtin.Functions()) {
		t.Errorf("the page has %d of %d signatures", count, len(builtin.Functions()))
	}

	golden.Page(t, "../../docs/architecture/functions.md", b.String())
}

// properties are a function's strictness, volatility and the like in words.
func properties(f *builtin.Function) string {
	var words []string
	if f.Strict {
		words = append(words, "strict")
	}
	if f.Ordered {
		words = append(words, "ordered")
	}
	return strings.Join(append(words, f.Volatility.String()), ", ")
}
