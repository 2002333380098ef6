package parser

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/sql/ast"
)

// expressionCases are expressions, and the same with every operator's
// parentheses written out.
var expressionCases = []struct{ sql, want string }{
	// The table of the manual's section 4.1.6, from loose to tight.
	{"a OR b AND NOT c", "(a OR (b AND (NOT c)))"},
	{"a AND b AND c OR d OR e", "((a AND b AND c) OR d OR e)"},
	{"a AND (b AND c)", "(a AND (b AND c))"},
	{"NOT a = b", "(NOT (a = b))"},
	{"NOT NOT a", "(NOT (NOT a))"},
	{"NOT a IS NULL", "(NOT (a IS NULL))"},
	{"a = b IS NULL", "((a = b) IS NULL)"},
	{"a IS NULL IS NOT TRUE", "((a IS NULL) IS NOT TRUE)"},
	{"a ISNULL OR b NOTNULL", "((a IS NULL) OR (b IS NOT NULL))"},
	{"a IS DISTINCT FROM b + 1", "(a IS DISTINCT FROM (b + 1))"},
	{"a IS NOT DISTINCT FROM b AND c", "((a IS NOT DISTINCT FROM b) AND c)"},
	{"a < b AND b >= c", "((a < b) AND (b >= c))"},
	{"a <> b OR a != c", "((a <> b) OR (a <> c))"},
	{"a = b LIKE c", "(a = (b LIKE c))"},
	{"a LIKE b = c", "((a LIKE b) = c)"},
	{"a NOT LIKE b || '%' ESCAPE '!'", "(a NOT LIKE (b || '%') ESCAPE '!')"},
	{"a ILIKE b OR a NOT SIMILAR TO c", "((a ILIKE b) OR (a NOT SIMILAR TO c))"},
	{"a BETWEEN 1 AND 2 AND b", "((a BETWEEN 1 AND 2) AND b)"},
	{"a NOT BETWEEN SYMMETRIC b + 1 AND c * 2 OR d", "((a NOT BETWEEN SYMMETRIC (b + 1) AND (c * 2)) OR d)"},
	{"a IN (1, 2) = b", "((a IN (1, 2)) = b)"},
	{"a NOT IN (1) IN (2)", "((a NOT IN (1)) IN (2))"},
	{"a || b + c", "(a || (b + c))"},
	{"a || b -> c", "((a || b) -> c)"},
	{"a -> 'b' ->> 'c' = 'd'", "(((a -> 'b') ->> 'c') = 'd')"},
	{"a #> b #>> c @> d <@ e", "((((a #> b) #>> c) @> d) <@ e)"},
	{"a ? 'k' AND a ?| b AND a ?& c", "((a ? 'k') AND (a ?| b) AND (a ?& c))"},
	{"a & b | c # d << 1 >> 2", "(((((a & b) | c) # d) << 1) >> 2)"},
	{"a ~ b AND a ~* b AND a !~ b AND a !~* b", "((a ~ b) AND (a ~* b) AND (a !~ b) AND (a !~* b))"},
	{"a ~~ b AND a !~~* b", "((a LIKE b) AND (a NOT ILIKE b))"},
	{"a + b * c", "(a + (b * c))"},
	{"a - b - c", "((a - b) - c)"},
	{"a - (b - c)", "(a - (b - c))"},
	{"a / b % c * d", "(((a / b) % c) * d)"},
	{"a * b ^ c", "(a * (b ^ c))"},
	{"2 ^ 3 ^ 4", "((2 ^ 3) ^ 4)"},
	{"- 2 ^ 2", "((- 2) ^ 2)"},
	{"- - + 1", "(- (- (+ 1)))"},
	{"-1::int", "(- CAST(1 AS int))"},
	{"2 - -1", "(2 - (- 1))"},
	{"- a[1]", "(- (a[1]))"},
	{"~ a + b", "(~ (a + b))"},
	{"~ a || b", "((~ a) || b)"},
	{"@ -5", "(@ (- 5))"},
	{"|/ 25 + ||/ 27", "(|/ (25 + (||/ 27)))"},
	{"a = NOT b OR c", "((a = (NOT b)) OR c)"},
	{"a + NOT b = c", "(a + (NOT (b = c)))"},
	{"a AT TIME ZONE 'UTC' ^ 2", "((a AT TIME ZONE 'UTC') ^ 2)"},
	{"a AT TIME ZONE 'UTC' AT TIME ZONE 'CET'", "((a AT TIME ZONE 'UTC') AT TIME ZONE 'CET')"},
	{`a || b COLLATE "C" < c`, `((a || (b COLLATE "C")) < c)`},
	{"a::int[] || b", "(CAST(a AS int[]) || b)"},
	{"a::text::int + 1", "(CAST(CAST(a AS text) AS int) + 1)"},
	{"a::double precision * 2", "(CAST(a AS double precision) * 2)"},
	{"a::timestamp(3) with time zone", "CAST(a AS timestamp(3) with time zone)"},
	{"a::time = b", "(CAST(a AS time) = b)"},
	{"a[1][2:3]", "((a[1])[2:3])"},
	{"a[:2] || a[1:] || a[:]", "(((a[:2]) || (a[1:])) || (a[:]))"},
	{"(a).b.c", "(((a).b).c)"},
	{"a = ANY (ARRAY[1, 2])", "(a = ANY (ARRAY[1, 2]))"},
	{"a + 1 > ALL (SELECT 1) AND b", "(((a + 1) > ALL (SELECT 1)) AND b)"},
	{"a <> SOME (b)", "(a <> ANY (b))"},
	{"a LIKE ANY (b) OR a NOT ILIKE ALL (b)", "((a LIKE ANY (b)) OR (a NOT ILIKE ALL (b)))"},
	{"(a, b) = (SELECT 1, 2)", "((a, b) = (SELECT 1, 2))"},
	{"(a, b) IN ((1, 2), ROW(3, 4))", "((a, b) IN ((1, 2), (3, 4)))"},
	{"(a, b) < ROW(1)", "((a, b) < ROW(1))"},
	{"a IN (SELECT 1)", "(a IN (SELECT 1))"},
	{"a IN ((SELECT 1))", "(a IN (SELECT 1))"},
	{"a IN ((SELECT 1), 2)", "(a IN ((SELECT 1), 2))"},
	{"a IN ((SELECT 1) UNION (SELECT 2))", "(a IN (SELECT 1 UNION SELECT 2))"},
	{"((SELECT 1) + 2) * 3", "(((SELECT 1) + 2) * 3)"},
	{"(((SELECT 1)))", "(SELECT 1)"},
	{"(((SELECT 1) UNION SELECT 2) ORDER BY 1)", "(SELECT 1 UNION SELECT 2 ORDER BY 1)"},
	{"NOT EXISTS (SELECT 1) AND a", "((NOT (EXISTS (SELECT 1))) AND a)"},
	{"(((a)))", "a"},

	// Constants.
	{"1", "1"},
	{"9223372036854775807", "9223372036854775807"},
	{"9223372036854775808", "9223372036854775808"},
	{"0x1F + 0o17 + 0b11 + 1_000_000", "(((31 + 15) + 3) + 1000000)"},
	{"0xFFFFFFFFFFFFFFFF", "18446744073709551615"},
	{".5 + 1. + 1e10 + 1.5E-3 + 1_0.0_1", "((((.5 + 1.) + 1e10) + 1.5E-3) + 10.01)"},
	{"'it''s' || E'a\\n\\x41\\u00e4\\'' || $$d'q$$ || $t$a$$b$t$", "((('it''s' || 'a\nAä''') || 'd''q') || 'a$$b')"},
	{"'a'\n'b'", "'ab'"},
	{`U&'\00zz'`, "error"},
	{`U&'\0061\+000062' || U&"d\0061ta"`, `('ab' || data)`},
	{`E'\uD83D\uDE00'`, "'😀'"},
	{"X'00ff' || B'101'", "(X'00ff' || B'101')"},
	{"TRUE AND false OR NULL", "((TRUE AND FALSE) OR NULL)"},
	{"DATE '2025-10-21' + TIME '10:00'", "(date '2025-10-21' + time '10:00')"},
	{"TIMESTAMP '2025-10-21 10:00' - INTERVAL '1' DAY", "(timestamp '2025-10-21 10:00' - interval '1' day)"},
	{"INTERVAL '1 year 2 months'", "interval '1 year 2 months'"},
	{"INTERVAL '1:2' HOUR TO MINUTE", "interval '1:2' hour to minute"},
	{"INTERVAL '1' SECOND(3) + INTERVAL(2) '1.234'", "(interval '1' second(3) + interval(2) '1.234')"},
	{"timestamp with time zone '2025-10-21' < timestamp(3) with time zone '2025-10-22'", "(timestamp with time zone '2025-10-21' < timestamp(3) with time zone '2025-10-22')"},
	{"double precision '1.5' + numeric(10,2) '1.5' + json '{}'", "((double precision '1.5' + numeric(10, 2) '1.5') + json '{}')"},
	{"$1 + $20", "($1 + $20)"},

	// Calls and special syntax.
	{"count(*) + count(DISTINCT a) + sum(ALL b)", "((count(*) + count(DISTINCT a)) + sum(b))"},
	{"string_agg(a, ',' ORDER BY b DESC, c) FILTER (WHERE d > 0)", "string_agg(a, ',' ORDER BY b DESC, c) FILTER (WHERE (d > 0))"},
	{"percentile_cont(0.5) WITHIN GROUP (ORDER BY a)", "percentile_cont(0.5) WITHIN GROUP (ORDER BY a)"},
	{"lag(a, 1) IGNORE NULLS OVER (ORDER BY b)", "lag(a, 1) IGNORE NULLS OVER (ORDER BY b)"},
	{"make_interval(days => 10, hours := 2)", "make_interval(days => 10, hours => 2)"},
	{"f(1, VARIADIC ARRAY[2, 3])", "f(1, VARIADIC ARRAY[2, 3])"},
	{"pg_catalog.lower(a)", "pg_catalog.lower(a)"},
	{"left(a, 1) || right(a, 1)", "(left(a, 1) || right(a, 1))"},
	{"CASE a WHEN 1 THEN 'x' ELSE 'y' END", "CASE a WHEN 1 THEN 'x' ELSE 'y' END"},
	{"CASE WHEN a > 1 THEN b WHEN c THEN d END", "CASE WHEN (a > 1) THEN b WHEN c THEN d END"},
	{"CAST(a AS decimal(10, 2)) + TRY_CAST(b AS int)", "(CAST(a AS decimal(10, 2)) + TRY_CAST(b AS int))"},
	{"CAST(a AS interval day to second(3))", "CAST(a AS interval day to second(3))"},
	{"EXTRACT(YEAR FROM a) + extract('epoch' from b)", "(extract(year FROM a) + extract(epoch FROM b))"},
	{"POSITION('a' IN b)", "position(b, 'a')"},
	{"POSITION(('a' IN ('b')) , b)", "position(('a' IN ('b')), b)"},
	{"SUBSTRING(a FROM 2 FOR 3) || SUBSTRING(a FOR 2) || SUBSTRING(a, 1) || substring(a similar b escape c)",
		"(((substring(a, 2, 3) || substring(a, 1, 2)) || substring(a, 1)) || substring(a, b, c))"},
	{"TRIM(a) || TRIM(BOTH 'x' FROM a) || TRIM(LEADING FROM a) || TRIM(TRAILING 'y' FROM a) || TRIM(a, 'z')",
		"((((btrim(a) || btrim(a, 'x')) || ltrim(a)) || rtrim(a, 'y')) || btrim(a, 'z'))"},
	{"OVERLAY(a PLACING b FROM 1 FOR 2)", "overlay(a, b, 1, 2)"},
	{"(a, b) OVERLAPS (c, d)", "overlaps(a, b, c, d)"},
	{"CURRENT_DATE = current_date() AND CURRENT_USER() = user", "((current_date = current_date) AND (current_user = current_user))"},
	{"CURRENT_TIMESTAMP(3) > LOCALTIMESTAMP", "(current_timestamp(3) > localtimestamp)"},
	{"ARRAY[[1, 2], [3, 4]] || ARRAY[] || ARRAY(SELECT 1)", "((ARRAY[ARRAY[1, 2], ARRAY[3, 4]] || ARRAY[]) || ARRAY(SELECT 1))"},
	{"coalesce(a, nullif(b, c), greatest(1, 2))", "coalesce(a, nullif(b, c), greatest(1, 2))"},
	{"grouping(a, b)", "grouping(a, b)"},
	{`"exists"(a) + "Trim"(b) + "select"(c)`, `(("exists"(a) + "Trim"(b)) + "select"(c))`},
}

func TestParseExpressions(t *testing.T) {
	for _, c := range expressionCases {
		t.Run(c.sql, func(t *testing.T) {
			x, err := ParseExpr(c.sql)
			if c.want == "error" {
				if err == nil {
					t.Fatalf("parses as %s", ast.SQL(x))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// The text with all parentheses must give the same tree.
			y, err := ParseExpr(c.want)
			if err != nil {
				t.Fatalf("%s: %v", c.want, err)
			}
			if d := diffTrees(x, y); d != "" {
				t.Fatalf("is %s\nwant %s\n%s", ast.SQL(x), c.want, d)
			}
			// And what is printed, without needless ones, as well.
			printed := ast.SQL(x)
			z, err := ParseExpr(printed)
			if err != nil {
				t.Fatalf("prints as %s: %v", printed, err)
			}
			if d := diffTrees(x, z); d != "" {
				t.Fatalf("prints as %s: %s", printed, d)
			}
			if strings.Count(printed, "(") > strings.Count(c.want, "(") {
				t.Errorf("prints as %s, with more parentheses than %s", printed, c.want)
			}
		})
	}
}

func TestNonAssociative(t *testing.T) {
	for _, sql := range []string{
		"a = b = c", "a < b < c", "a LIKE b LIKE c", "a BETWEEN 1 AND 2 BETWEEN 3 AND 4", "x AND a = b = c",
		"a IS DISTINCT FROM b IS DISTINCT FROM c", "(a = b <> c)",
	} {
		if x, err := ParseExpr(sql); err == nil {
			t.Errorf("%s parses as %s", sql, ast.SQL(x))
		}
	}
}

// PostgreSQL's grammar has a smaller kind of expression before the AND of
// BETWEEN; parentheses of any kind hold all of them.
func TestLowerBound(t *testing.T) {
	for _, sql := range []string{
		"a BETWEEN NOT b AND c", "a BETWEEN b = NOT c AND d", "a BETWEEN b IN (1) AND c", "a BETWEEN b LIKE c AND d",
		"a NOT BETWEEN SYMMETRIC b BETWEEN 1 AND 2 AND c", "a BETWEEN b IS NULL AND c",
	} {
		if x, err := ParseExpr(sql); err == nil {
			t.Errorf("%s parses as %s", sql, ast.SQL(x))
		}
	}
	for _, sql := range []string{
		"a BETWEEN (NOT b) AND c", "a BETWEEN b AND NOT c", "a BETWEEN f(NOT b, c IN (1)) AND d", "a BETWEEN (b LIKE c) AND d",
		"a BETWEEN CASE WHEN NOT b THEN c IN (1) END AND d", "a BETWEEN (SELECT NOT b WHERE c BETWEEN 1 AND 2) AND d",
		"a BETWEEN b[CASE WHEN NOT c THEN 1 END] AND d", "a BETWEEN b < c AND d", "a BETWEEN b AND c AND NOT d IN (1)",
	} {
		if _, err := ParseExpr(sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestChainsAreFlat(t *testing.T) {
	x, err := ParseExpr(strings.Repeat("a OR ", 999_999) + "a")
	if err != nil {
		t.Fatal(err)
	}
	or, ok := x.(*ast.OrExpr)
	if !ok || len(or.Args) != 1_000_000 {
		t.Fatalf("is a %T", x)
	}
}
