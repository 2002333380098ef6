package exec

import (
	"context"
	"slices"
	"testing"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

// counted is a source that counts the batches that are taken from it.
type counted struct {
	source
	taken int
}

func (c *counted) open(r *run) operator { return &countedOp{c: c, in: c.source.open(r)} }

type countedOp struct {
	c  *counted
	in operator
}

func (o *countedOp) Next(ctx context.Context) (*vector.Batch, error) {
	o.c.taken++
	return o.in.Next(ctx)
}

func (o *countedOp) Close() { o.in.Close() }

// TestSidesAreNotComputedForNothing holds that a side whose rows cannot change
// the result is not read, and where it must be found out, not further than its
// first batch.
func TestSidesAreNotComputedForNothing(t *testing.T) {
	rows := [][]any{{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}}
	col := expr.Compile(expr.Column(0, sqltype.TBigInt, "n"))
	joined := slices.Concat(bigText, bigText)
	join := func(kind plan.JoinKind, keyed bool, l, r node) node {
		j := &joinNode{kind: kind, l: l, r: r, out: joined}
		if kind == plan.Mark {
			j.out = append(slices.Clone(bigText), sqltype.TBoolean)
		} else {
			j.keep = []int{0, 1, 2, 3}
		}
		if keyed {
			j.leftKeys, j.rightKeys = []*expr.Program{col}, []*expr.Program{col}
		}
		j.place()
		return j
	}
	// heavy is a side that itself joins, or asks anew for each row.
	heavy := func(in node) node {
		return &projectNode{in: join(plan.Inner, true, in, in), out: bigText, outs: []output{{col: 0}, {col: 1}}}
	}
	lateral := func(in node) node {
		return &projectNode{in: &applyNode{kind: plan.ApplyCross, l: in, r: in, out: joined}, out: bigText, outs: []output{{col: 0}, {col: 1}}}
	}
	for _, c := range []struct {
		name string
		make func(full, none node) node
		// taken is how many batches of the full source may be taken.
		taken, rows int
	}{
		{"inner join with nothing", func(full, none node) node { return join(plan.Inner, true, full, none) }, 0, 0},
		{"cross join with nothing", func(full, none node) node { return join(plan.Inner, false, full, none) }, 0, 0},
		{"inner join of nothing", func(full, none node) node { return join(plan.Inner, true, none, heavy(full)) }, 0, 0},
		{"cross join of nothing", func(full, none node) node { return join(plan.Inner, false, none, heavy(full)) }, 0, 0},
		{"cross join of nothing with a lateral side", func(full, none node) node { return join(plan.Inner, false, none, lateral(full)) }, 0, 0},
		{"left join of nothing", func(full, none node) node { return join(plan.Left, true, none, heavy(full)) }, 0, 0},
		{"single join of nothing", func(full, none node) node { return join(plan.Single, true, none, heavy(full)) }, 0, 0},
		{"mark join of nothing", func(full, none node) node { return join(plan.Mark, true, none, heavy(full)) }, 0, 0},
		{"full join of nothing", func(full, none node) node { return join(plan.Full, true, none, full) }, 5, 4},
		{"left join with nothing", func(full, none node) node { return join(plan.Left, true, full, none) }, 5, 4},
		{"intersection with nothing", func(full, none node) node { return &setOpNode{kind: plan.Intersect, l: full, r: none} }, 0, 0},
		{"intersection of nothing", func(full, none node) node { return &setOpNode{kind: plan.Intersect, l: none, r: full} }, 5, 0},
		{"nothing except something", func(full, none node) node { return &setOpNode{kind: plan.Except, all: true, l: none, r: full} }, 0, 0},
		{"something except nothing", func(full, none node) node { return &setOpNode{kind: plan.Except, l: full, r: none} }, 5, 4},
		{"lateral nothing", func(full, none node) node { return &applyNode{kind: plan.ApplyCross, l: full, r: none, out: joined} }, 1, 0},
		{"left lateral nothing", func(full, none node) node { return &applyNode{kind: plan.ApplyLeft, l: full, r: none, out: joined} }, 5, 4},
		{"exists", func(full, none node) node {
			one := &source{typs: bigText, rows: rows, size: 8}
			return &applyNode{kind: plan.ApplyExists, l: one, r: full, out: append(slices.Clone(bigText), sqltype.TBoolean)}
		}, 1, 4},
		{"mark without a condition", func(full, none node) node {
			one := &source{typs: bigText, rows: rows, size: 8}
			return join(plan.Mark, false, one, full)
		}, 1, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			full := &counted{source: source{typs: bigText, rows: rows, size: 1}}
			none := &source{typs: bigText, size: 1}
			got, err := results(t, c.make(full, none), 2048)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != c.rows {
				t.Errorf("%d rows, want %d: %q", len(got), c.rows, got)
			}
			if full.taken != c.taken {
				t.Errorf("%d batches were taken, want %d", full.taken, c.taken)
			}
		})
	}
}
