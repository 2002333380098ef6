package tpch

import (
	"math"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// zone is the smallest and the largest value of a block of BatchSize rows of
// an integer column, as segments have them of their blocks; min above max:
// there are none but NULLs.
type zone struct{ min, max int64 }

// zones are those of a column; nil for one that is not held as integers.
func zones(v *vector.Vector) []zone {
	if v.Type.Physical() != sqltype.PhysInt {
		return nil
	}
	var out []zone
	for from := 0; from < v.Len(); from += vector.BatchSize {
		z := zone{math.MaxInt64, math.MinInt64}
		for i := from; i < min(from+vector.BatchSize, v.Len()); i++ {
			if !v.IsNull(i) {
				z.min, z.max = min(z.min, v.Ints[i]), max(z.max, v.Ints[i])
			}
		}
		out = append(out, z)
	}
	return out
}

// may tells whether a row of the block may satisfy "op x".
func (z zone) may(op exec.BoundOp, x int64) bool {
	switch op {
	case exec.BoundLt:
		return z.min < x
	case exec.BoundLe:
		return z.min <= x
	case exec.BoundGt:
		return z.max > x
	case exec.BoundGe:
		return z.max >= x
	}
	return z.min <= x && x <= z.max
}

// skip cuts a scan's spans to the blocks in which a row may satisfy all
// bounds.
func (t *columns) skip(spans [][2]int, bounds []exec.Bound) [][2]int {
	var use []exec.Bound
	for _, b := range bounds {
		if b.Column < len(t.cols) && t.zones[b.Column] != nil && b.Value.Kind().Physical() == sqltype.PhysInt {
			use = append(use, b)
		}
	}
	if len(use) == 0 {
		return spans
	}
	var out [][2]int
	for _, s := range spans {
		for from := s[0]; from < s[1]; {
			block := from / vector.BatchSize
			to := min((block+1)*vector.BatchSize, s[1])
			keep := true
			for i := range use {
				keep = keep && t.zones[use[i].Column][block].may(use[i].Op, use[i].Value.Int())
			}
			if n := len(out); keep && n > 0 && out[n-1][1] == from {
				out[n-1][1] = to
			} else if keep {
				out = append(out, [2]int{from, to})
			}
			from = to
		}
	}
	return out
}
