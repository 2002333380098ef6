package parser_test

import (
	"fmt"

	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/parser"
)

func ExampleParse() {
	stmt, err := parser.Parse(`SELECT Name FROM app.users u WHERE age >= $1 AND NOT deleted`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ast.SQL(stmt))
	ast.Inspect(stmt, func(n ast.Node) bool {
		if p, ok := n.(*ast.Param); ok {
			fmt.Println("parameter", p.Index, "at byte", p.Offset())
		}
		return true
	})
	// Output:
	// SELECT name FROM app.users AS u WHERE age >= $1 AND NOT deleted
	// parameter 1 at byte 42
}

func ExampleParse_error() {
	_, err := parser.Parse("SELECT id,\n  FROM t")
	fmt.Println(err)
	// Output:
	// INVALID_SQL: syntax error at or near "FROM" (line 2, column 3)
}

func ExampleSplit() {
	for piece, err := range parser.Split("SELECT ';';\nDELETE FROM t -- all of it\n;") {
		fmt.Println(piece.Line, piece.Column, piece.Text, err)
	}
	// Output:
	// 1 1 SELECT ';' <nil>
	// 2 1 DELETE FROM t <nil>
}

func ExampleTokens() {
	const sql = "SELECT 'a' -- b"
	for t := range parser.Tokens(sql) {
		fmt.Println(t.Kind == parser.Comment, t.Keyword, t.Text(sql))
	}
	// Output:
	// false SELECT SELECT
	// false  'a'
	// true  -- b
}
