package parser

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/sql/ast"
)

// treeHeight counts the nodes of the longest way down a tree.
func treeHeight(n ast.Node) int {
	highest := 0
	root := true
	ast.Inspect(n, func(c ast.Node) bool {
		if root {
			root = false
			return true
		}
		highest = max(highest, treeHeight(c))
		return false
	})
	return highest + 1
}

// TestHeightIsBounded finds, for each way of nesting, the deepest statement
// that is accepted, and holds that its tree is not much higher than the limit:
// recursion over a tree relies on that.
func TestHeightIsBounded(t *testing.T) {
	nest := func(open, core, closing string) func(int) string {
		return func(n int) string { return strings.Repeat(open, n) + core + strings.Repeat(closing, n) }
	}
	// A chain of 100 in parentheses, continued by a chain of 100, and so on:
	// each level of parentheses adds a hundred levels to the tree.
	chains := func(open, link string) func(int) string {
		return func(n int) string {
			return "SELECT " + strings.Repeat(open, n) + "1" + strings.Repeat(strings.Repeat(link, 100)+")", n)
		}
	}
	for _, c := range []struct {
		name string
		make func(n int) string
	}{
		{"parentheses", func(n int) string {
			return "SELECT " + strings.Repeat("(1 + ", n) + "1" + strings.Repeat(")", n)
		}},
		{"chain", func(n int) string { return "SELECT 1" + strings.Repeat(" + 1", n) }},
		{"chains in parentheses", chains("(", "+1")},
		{"chains in calls", chains("f(", "+1")},
		{"chains in second place", chains("f(2, ", "+1")},
		{"casts in parentheses", chains("(", "::int")},
		{"tests in parentheses", chains("(", " IS NULL")},
		{"fields", chains("(", " .a")},
		{"chains in rows", chains("ROW(", "+1")},
		{"and and or", func(n int) string {
			return "SELECT " + strings.Repeat("(a AND (b OR ", n) + "c" + strings.Repeat("))", n)
		}},
		{"not", func(n int) string { return "SELECT " + strings.Repeat("NOT ", n) + "a" }},
		{"scalar subqueries", nest("SELECT (", "SELECT 1", ")")},
		{"subqueries in from", nest("SELECT * FROM (", "SELECT 1", ") AS x")},
		{"unions in from", nest("SELECT * FROM ((", "SELECT 1", ") UNION ALL SELECT 1) AS x")},
		{"in subqueries", nest("SELECT 1 IN (", "SELECT 1", ")")},
		{"unions", func(n int) string { return "SELECT 1" + strings.Repeat(" UNION SELECT 1", n) }},
		{"unions to the right", nest("SELECT 1 UNION (", "SELECT 1", ")")},
		{"unions of nested unions", func(n int) string {
			return strings.Repeat("(", n) + "SELECT 1" + strings.Repeat(strings.Repeat(" UNION SELECT 1", 100)+")", n)
		}},
		{"joins", func(n int) string { return "SELECT * FROM a" + strings.Repeat(" CROSS JOIN b", n) }},
		{"joins in parentheses", func(n int) string {
			return "SELECT * FROM " + strings.Repeat("(", n) + "a" + strings.Repeat(strings.Repeat(" CROSS JOIN b", 100)+")", n)
		}},
		{"joins to the right", func(n int) string {
			return "SELECT * FROM " + strings.Repeat("a CROSS JOIN (", n) + "b CROSS JOIN c" + strings.Repeat(")", n)
		}},
		{"ctes", nest("WITH a AS (", "SELECT 1", ") SELECT 1")},
		{"cases", func(n int) string {
			return "SELECT " + strings.Repeat("CASE WHEN a THEN ", n) + "1" + strings.Repeat(" END", n)
		}},
		{"arrays", func(n int) string { return "SELECT ARRAY" + strings.Repeat("[", n) + "1" + strings.Repeat("]", n) }},
		{"windows", func(n int) string {
			return "SELECT " + strings.Repeat("sum(1) OVER (ORDER BY ", n) + "1" + strings.Repeat(")", n)
		}},
		{"named arguments", chains("f(a => ", "+1")},
		{"grouping sets", func(n int) string {
			return "SELECT 1 GROUP BY " + strings.Repeat("GROUPING SETS (", n) + "1" + strings.Repeat(")", n)
		}},
		{"limits", nest("SELECT 1 LIMIT (", "SELECT 1", ")")},
		{"between", func(n int) string {
			return "SELECT " + strings.Repeat("1 BETWEEN (", n) + "1" + strings.Repeat(") AND 2", n)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var deepest ast.Statement
			low, high := 0, 2*MaxDepth
			for low < high {
				n := (low + high + 1) / 2
				stmt, err := Parse(c.make(n))
				if err != nil {
					high = n - 1
					continue
				}
				low, deepest = n, stmt
			}
			if deepest == nil {
				t.Fatalf("nothing is accepted: %v", func() error { _, err := Parse(c.make(1)); return err }())
			}
			if h := treeHeight(deepest); h > 5*MaxDepth {
				t.Fatalf("%d levels make a tree of height %d", low, h)
			}
		})
	}
}
