package tpch

import (
	"math/rand/v2"
	"testing"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// TestSkippedBlocksHaveNoRow reads with random bounds: what is skipped has no
// row that counts, and of a sorted column most is skipped.
func TestSkippedBlocksHaveNoRow(t *testing.T) {
	db := &Database{Compiler: sql.NewCompiler(sql.Options{}), tables: map[ident.TableName]*columns{}}
	if err := db.Create("t", "id BIGINT PRIMARY KEY, n INT"); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 9))
	const rows = 10*vector.BatchSize + 77
	id, n := vector.NewBuilder(sqltype.TBigInt, rows), vector.NewBuilder(sqltype.TInteger, rows)
	for i := range rows {
		id.AppendInt(int64(i * 3))
		if r.IntN(50) == 0 || i < vector.BatchSize {
			n.AppendNull()
		} else {
			n.AppendInt(int64(r.IntN(100) + i/200))
		}
	}
	db.Load("t", []*vector.Vector{id.Finish(), n.Finish()})
	tab := db.tables["t"]
	for range 500 {
		col := r.IntN(2)
		b := exec.Bound{Column: col, Op: exec.BoundOp(r.IntN(5)), Value: sqltype.NewInt(tab.cols[col].Type.Kind, int64(r.IntN(rows*(3-2*col))))}
		from := r.IntN(rows)
		all := [][2]int{{from, from + r.IntN(rows-from+1)}}
		left := tab.skip(all, []exec.Bound{b})
		in := func(spans [][2]int, row int) bool {
			for _, s := range spans {
				if row >= s[0] && row < s[1] {
					return true
				}
			}
			return false
		}
		seen := 0
		for row := range rows {
			if in(left, row) {
				seen++
			}
			v := tab.cols[col].Value(row)
			if !v.IsNull() && satisfies(v.Int(), b) && in(all, row) != in(left, row) {
				t.Fatalf("%+v: row %d of %v is not in %v", b, row, all, left)
			}
		}
		if b.Op == exec.BoundEq && col == 0 && seen > vector.BatchSize {
			t.Fatalf("%+v: %d rows are left of a sorted column", b, seen)
		}
	}
}

func satisfies(x int64, b exec.Bound) bool {
	y := b.Value.Int()
	return [...]bool{exec.BoundEq: x == y, exec.BoundLt: x < y, exec.BoundLe: x <= y, exec.BoundGt: x > y, exec.BoundGe: x >= y}[b.Op]
}
