package expr_test

import (
	"fmt"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// ExampleCompile builds room = 'go' AND n > $1, and evaluates it over a single
// row and over a batch.
func ExampleCompile() {
	room, err := expr.Binary(ast.OpEq, expr.Column(0, sqltype.TText, "room"), expr.Literal("go"))
	if err != nil {
		panic(err)
	}
	var params expr.Params
	p, err := params.Expr(1)
	if err != nil {
		panic(err)
	}
	n, err := expr.Binary(ast.OpGt, expr.Column(1, sqltype.TBigInt, "n"), p)
	if err != nil {
		panic(err)
	}
	cond := expr.And(room, n)
	fmt.Println(expr.String(cond), params.Types())

	prog := expr.Compile(cond)
	ctx := &expr.Context{Params: []sqltype.Value{sqltype.NewBigInt(5)}}
	ok, err := prog.MatchRow(ctx, sqltype.Row{sqltype.NewText("go"), sqltype.NewBigInt(7)})
	fmt.Println(ok, err)

	rooms := vector.NewBuilder(sqltype.TText, 3)
	for _, s := range []string{"go", "rust", "go"} {
		rooms.AppendString(s)
	}
	in := vector.NewBatch([]*vector.Vector{rooms.Finish(), vector.FromInts(sqltype.TBigInt, []int64{1, 9, 9}, nil)}, 3)
	sel, err := prog.NewEval().Filter(ctx, in)
	fmt.Println(sel, err)
	// Output:
	// (room = 'go') AND (n > $1) [BIGINT]
	// true <nil>
	// [2] <nil>
}
