package exec

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

// source gives rows of BIGINT and TEXT columns in batches of a size; between
// two rows that count lies one that does not.
type source struct {
	typs []sqltype.Type
	rows [][]any
	size int
	err  error
	// closed counts the operators that were closed.
	closed *int
}

func (s *source) types() []sqltype.Type { return s.typs }
func (s *source) inputs() []node        { return nil }
func (s *source) label() string         { return "source" }
func (s *source) open(*run) operator    { return &sourceOp{s: s} }

type sourceOp struct {
	s    *source
	at   int
	done bool
}

func value(x any) sqltype.Value {
	switch x := x.(type) {
	case int:
		return sqltype.NewBigInt(int64(x))
	case string:
		return sqltype.NewText(x)
	}
	return sqltype.Null()
}

func (o *sourceOp) Next(context.Context) (*vector.Batch, error) {
	n := min(o.s.size, len(o.s.rows)-o.at)
	if n == 0 {
		return nil, o.s.err
	}
	var cols []*vector.Vector
	var sel []int32
	for c, t := range o.s.typs {
		b := vector.NewBuilder(t, 2*n)
		for _, row := range o.s.rows[o.at : o.at+n] {
			b.AppendNull()
			b.Append(value(row[c]))
		}
		cols = append(cols, b.Finish())
	}
	for i := range n {
		sel = append(sel, int32(2*i+1))
	}
	o.at += n
	b := vector.NewBatch(cols, 2*n)
	b.Sel = sel
	return b, nil
}

func (o *sourceOp) Close() {
	if !o.done && o.s.closed != nil {
		*o.s.closed++
	}
	o.done = true
}

func newTestRun(batch int) *run {
	return &run{env: &Env{}, acct: &account{limit: 1 << 30}, ectx: &expr.Context{}, batch: batch, ctes: map[int]*cteState{}}
}

// results runs a node and writes its rows as text, one a line.
func results(t *testing.T, n node, batch int) ([]string, error) {
	t.Helper()
	r := newTestRun(batch)
	op := r.open(n)
	defer func() {
		op.Close()
		op.Close()
		if used := r.acct.used.Load(); used != 0 {
			t.Errorf("%s: %d bytes are still reserved", n.label(), used)
		}
	}()
	var out []string
	for {
		b, err := op.Next(context.Background())
		if err != nil {
			return out, err
		}
		if b == nil {
			break
		}
		if b.Rows() == 0 || b.Rows() > max(batch, 8) && batch > 8 {
			t.Errorf("%s: a batch of %d rows", n.label(), b.Rows())
		}
		if len(b.Cols) != len(n.types()) {
			t.Fatalf("%s: %d columns, want %d", n.label(), len(b.Cols), len(n.types()))
		}
		for i := range b.Rows() {
			var parts []string
			for _, c := range b.Cols {
				if v := c.Value(b.Row(i)); v.IsNull() {
					parts = append(parts, "-")
				} else {
					parts = append(parts, v.Text())
				}
			}
			out = append(out, strings.Join(parts, " "))
		}
	}
	return out, nil
}

var bigText = []sqltype.Type{sqltype.TBigInt, sqltype.TText}

func program(t *testing.T) func(expr.Expr, error) *expr.Program {
	return func(e expr.Expr, err error) *expr.Program {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return expr.Compile(e)
	}
}

func TestOperators(t *testing.T) {
	must := program(t)
	col := func(i int) expr.Expr {
		if i%2 == 0 {
			return expr.Column(i, sqltype.TBigInt, "n")
		}
		return expr.Column(i, sqltype.TText, "s")
	}
	num := func(n int64) expr.Expr { return expr.Const(sqltype.NewBigInt(n), sqltype.TBigInt) }
	left := [][]any{{1, "a"}, {2, "b"}, {nil, "c"}, {2, "a"}, {3, nil}}
	right := [][]any{{2, "x"}, {2, "y"}, {nil, "z"}, {4, "w"}}
	agg := func(name string, args []int, types ...sqltype.Type) aggregate {
		m, err := builtin.Resolve(name, types)
		if err != nil {
			t.Fatal(err)
		}
		return aggregate{fn: m.Fn, spec: builtin.AggSpec{Args: types, Result: m.Result}, args: args, filter: -1, text: name}
	}
	joined := slices.Concat(bigText, bigText)
	join := func(kind plan.JoinKind, hash bool) func(l, r node) node {
		return func(l, r node) node {
			j := &joinNode{kind: kind, l: l, r: r, out: joined}
			if kind == plan.Mark {
				j.out = append(slices.Clone(bigText), sqltype.TBoolean)
			}
			if hash {
				j.leftKeys = []*expr.Program{expr.Compile(col(0))}
				j.rightKeys = []*expr.Program{expr.Compile(col(0))}
			} else {
				j.residual, j.read = must(expr.Binary(ast.OpEq, col(0), col(2))), []int{0, 2}
			}
			if kind != plan.Mark {
				j.keep = []int{0, 1, 2, 3}
			}
			j.place()
			return j
		}
	}
	for _, c := range []struct {
		name    string
		make    func(l, r node) node
		want    []string
		ordered bool
	}{
		{"filter", func(l, _ node) node {
			return &filterNode{in: l, pred: must(expr.Binary(ast.OpGt, col(0), num(1)))}
		}, []string{"2 b", "2 a", "3 -"}, true},
		{"project", func(l, _ node) node {
			return &projectNode{in: l, out: []sqltype.Type{sqltype.TText, sqltype.TBigInt}, outs: []output{{col: 1}, {prog: must(expr.Binary(ast.OpAdd, col(0), num(10)))}}}
		}, []string{"a 11", "b 12", "c -", "a 12", "- 13"}, true},
		{"sort", func(l, _ node) node {
			return &sortNode{in: l, keys: []sortKey{{col: 0, desc: true, nullsFirst: true}, {col: 1}}}
		}, []string{"- c", "3 -", "2 a", "2 b", "1 a"}, true},
		{"sort keeps the order of equals", func(l, _ node) node {
			return &sortNode{in: l, keys: []sortKey{{col: 0}}}
		}, []string{"1 a", "2 b", "2 a", "3 -", "- c"}, true},
		{"top rows", func(l, _ node) node {
			return &topNNode{in: l, keys: []sortKey{{col: 0}}, limit: must(num(2), nil), offset: must(num(1), nil)}
		}, []string{"1 a", "2 b", "2 a"}, true},
		{"limit", func(l, _ node) node {
			return &limitNode{in: l, limit: must(num(2), nil), offset: must(num(1), nil)}
		}, []string{"2 b", "- c"}, true},
		{"limit zero", func(l, _ node) node { return &limitNode{in: l, limit: must(num(0), nil)} }, nil, true},
		{"offset past the end", func(l, _ node) node { return &limitNode{in: l, offset: must(num(9), nil)} }, nil, true},
		{"limit with ties", func(l, _ node) node {
			return &limitNode{in: &sortNode{in: l, keys: []sortKey{{col: 0}}}, limit: must(num(2), nil), ties: []sortKey{{col: 0}}}
		}, []string{"1 a", "2 b", "2 a"}, true},
		{"distinct by number", func(l, _ node) node { return &distinctNode{in: l, on: []int{0}} }, []string{"1 a", "2 b", "- c", "3 -"}, true},
		{"distinct by text", func(l, _ node) node { return &distinctNode{in: l, on: []int{1}} }, []string{"1 a", "2 b", "- c", "3 -"}, true},
		{"distinct by both", func(l, _ node) node { return &distinctNode{in: l, on: []int{0, 1}} }, []string{"1 a", "2 b", "- c", "2 a", "3 -"}, true},
		{"aggregate without groups", func(l, _ node) node {
			return &aggNode{in: l, aggs: []aggregate{agg("count", nil), agg("sum", []int{0}, sqltype.TBigInt)}, out: []sqltype.Type{sqltype.TBigInt, sqltype.TDecimal}}
		}, []string{"5 8"}, true},
		{"aggregate by number", func(l, _ node) node {
			return &aggNode{in: l, groups: []int{0}, aggs: []aggregate{agg("count", nil)}, out: []sqltype.Type{sqltype.TBigInt, sqltype.TBigInt}}
		}, []string{"1 1", "2 2", "- 1", "3 1"}, true},
		{"aggregate by text", func(l, _ node) node {
			return &aggNode{in: l, groups: []int{1}, aggs: []aggregate{agg("max", []int{0}, sqltype.TBigInt)}, out: []sqltype.Type{sqltype.TText, sqltype.TBigInt}}
		}, []string{"a 2", "b 2", "c -", "- 3"}, true},
		{"aggregate distinct", func(l, _ node) node {
			a := agg("count", []int{0}, sqltype.TBigInt)
			a.distinct = true
			return &aggNode{in: l, aggs: []aggregate{a}, out: []sqltype.Type{sqltype.TBigInt}}
		}, []string{"3"}, true},
		{"aggregate in order", func(l, _ node) node {
			a := agg("array_agg", []int{0}, sqltype.TBigInt)
			a.order = []sortKey{{col: 0, desc: true, nullsFirst: true}}
			return &aggNode{in: l, aggs: []aggregate{a}, out: []sqltype.Type{sqltype.ArrayOf(sqltype.TBigInt)}}
		}, []string{"{NULL,3,2,2,1}"}, true},
		{"hash inner join", join(plan.Inner, true), []string{"2 b 2 x", "2 b 2 y", "2 a 2 x", "2 a 2 y"}, false},
		{"loop inner join", join(plan.Inner, false), []string{"2 b 2 x", "2 b 2 y", "2 a 2 x", "2 a 2 y"}, false},
		{"hash left join", join(plan.Left, true), []string{"1 a - -", "2 b 2 x", "2 b 2 y", "- c - -", "2 a 2 x", "2 a 2 y", "3 - - -"}, false},
		{"loop left join", join(plan.Left, false), []string{"1 a - -", "2 b 2 x", "2 b 2 y", "- c - -", "2 a 2 x", "2 a 2 y", "3 - - -"}, false},
		{"hash full join", join(plan.Full, true), []string{"1 a - -", "2 b 2 x", "2 b 2 y", "- c - -", "2 a 2 x", "2 a 2 y", "3 - - -", "- - - z", "- - 4 w"}, false},
		{"loop full join", join(plan.Full, false), []string{"1 a - -", "2 b 2 x", "2 b 2 y", "- c - -", "2 a 2 x", "2 a 2 y", "3 - - -", "- - - z", "- - 4 w"}, false},
		{"hash mark join", join(plan.Mark, true), []string{"1 a f", "2 b t", "- c f", "2 a t", "3 - f"}, true},
		{"mark join as IN", func(l, r node) node {
			j := join(plan.Mark, true)(l, r).(*joinNode)
			j.nullAware = true
			return j
		}, []string{"1 a -", "2 b t", "- c -", "2 a t", "3 - -"}, true},
		{"union", func(l, r node) node { return &unionNode{ins: []node{l, r}} }, []string{"1 a", "2 b", "- c", "2 a", "3 -", "2 x", "2 y", "- z", "4 w"}, true},
		{"intersect", func(l, r node) node {
			return &setOpNode{kind: plan.Intersect, l: &projectNode{in: l, out: bigText[:1], outs: []output{{col: 0}}}, r: &projectNode{in: r, out: bigText[:1], outs: []output{{col: 0}}}}
		}, []string{"2", "-"}, true},
		{"intersect all", func(l, r node) node {
			return &setOpNode{kind: plan.Intersect, all: true, l: &projectNode{in: l, out: bigText[:1], outs: []output{{col: 0}}}, r: &projectNode{in: r, out: bigText[:1], outs: []output{{col: 0}}}}
		}, []string{"2", "-", "2"}, true},
		{"except", func(l, r node) node {
			return &setOpNode{kind: plan.Except, l: &projectNode{in: l, out: bigText[:1], outs: []output{{col: 0}}}, r: &projectNode{in: r, out: bigText[:1], outs: []output{{col: 0}}}}
		}, []string{"1", "3"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, batch := range []int{1, 2, 3, 2048} {
				closed := 0
				l := &source{typs: bigText, rows: left, size: batch, closed: &closed}
				r := &source{typs: bigText, rows: right, size: batch, closed: &closed}
				got, err := results(t, c.make(l, r), batch)
				if err != nil {
					t.Fatal(err)
				}
				want := slices.Clone(c.want)
				if !c.ordered {
					slices.Sort(got)
					slices.Sort(want)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("batches of %d:\n got %q\nwant %q", batch, got, want)
				}
				if closed == 0 {
					t.Error("the inputs were not closed")
				}
				// An input's error comes through and nothing stays reserved.
				bad := errors.New("disk on fire")
				l = &source{typs: bigText, rows: left, size: batch, err: bad}
				r = &source{typs: bigText, rows: right, size: batch}
				if _, err := results(t, c.make(l, r), batch); !errors.Is(err, bad) && !strings.Contains(c.name, "limit") {
					t.Errorf("batches of %d: the error got lost: %v", batch, err)
				}
			}
		})
	}
}

func TestJoinWithManyRows(t *testing.T) {
	var l, r [][]any
	for i := range 500 {
		l = append(l, []any{i % 50, fmt.Sprint(i)})
		r = append(r, []any{i % 70, "r"})
	}
	col := expr.Compile(expr.Column(0, sqltype.TBigInt, "n"))
	want := 0
	for i := range 500 {
		for k := range 500 {
			if i%50 == k%70 {
				want++
			}
		}
	}
	for _, size := range []int{7, 2048} {
		j := &joinNode{kind: plan.Inner, l: &source{typs: bigText, rows: l, size: size}, r: &source{typs: bigText, rows: r, size: size},
			leftKeys: []*expr.Program{col}, rightKeys: []*expr.Program{col}, keep: []int{0, 1, 2, 3}, out: slices.Concat(bigText, bigText)}
		j.place()
		got, err := results(t, j, size)
		if err != nil || len(got) != want {
			t.Errorf("batches of %d: %d rows, want %d, %v", size, len(got), want, err)
		}
	}
}

// TestLeftJoinKeepsOrder: a left join gives its rows in the order of its left
// side, those without a match in their places, in batches of the usual size.
func TestLeftJoinKeepsOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	build := program(t)
	key := build(expr.Column(0, sqltype.TBigInt, "n"), nil)
	rest := build(expr.Binary(ast.OpLt, expr.Column(1, sqltype.TText, "s"), expr.Column(3, sqltype.TText, "s")))
	for range 60 {
		var left, right [][]any
		for range rng.IntN(60) {
			left = append(left, []any{rng.IntN(12), fmt.Sprint(rng.IntN(10))})
		}
		for range rng.IntN(30) {
			right = append(right, []any{rng.IntN(20), fmt.Sprint(rng.IntN(10))})
		}
		for _, residual := range []*expr.Program{nil, rest} {
			var want []string
			for _, l := range left {
				n := len(want)
				for _, r := range right {
					if l[0] == r[0] && (residual == nil || l[1].(string) < r[1].(string)) {
						want = append(want, fmt.Sprint(l[0], " ", l[1], " ", r[1]))
					}
				}
				if len(want) == n {
					want = append(want, fmt.Sprint(l[0], " ", l[1], " -"))
				}
			}
			for _, batch := range []int{1, 2, 3, 7, 9, 16, 2048} {
				j := &joinNode{kind: plan.Left, l: &source{typs: bigText, rows: left, size: 1 + rng.IntN(batch)}, r: &source{typs: bigText, rows: right, size: batch},
					leftKeys: []*expr.Program{key}, rightKeys: []*expr.Program{key}, residual: residual, keep: []int{0, 1, 3},
					out: []sqltype.Type{sqltype.TBigInt, sqltype.TText, sqltype.TText}}
				if residual != nil {
					j.read = []int{1, 3}
				}
				j.place()
				got, err := results(t, j, batch)
				ofLeft := func(row string) string { return row[:strings.LastIndexByte(row, ' ')] }
				inOrder := slices.EqualFunc(got, want, func(a, b string) bool { return ofLeft(a) == ofLeft(b) })
				slices.Sort(got)
				if err != nil || !inOrder || !slices.Equal(got, slices.Sorted(slices.Values(want))) {
					t.Fatalf("batches of %d, residual %v: %v\n got %q\nwant %q", batch, residual != nil, err, got, want)
				}
			}
		}
	}
}

func TestSingleJoinRefusesSecondMatch(t *testing.T) {
	col := expr.Compile(expr.Column(0, sqltype.TBigInt, "n"))
	j := &joinNode{kind: plan.Single, l: &source{typs: bigText, rows: [][]any{{2, "a"}}, size: 8}, r: &source{typs: bigText, rows: [][]any{{2, "x"}, {2, "y"}}, size: 8},
		leftKeys: []*expr.Program{col}, rightKeys: []*expr.Program{col}, keep: []int{3, 0}, out: []sqltype.Type{sqltype.TText, sqltype.TBigInt}}
	j.place()
	if _, err := results(t, j, 8); dberr.CodeOf(err) != dberr.InvalidSQL {
		t.Errorf("two matches: %v", err)
	}
}

func TestParallelSort(t *testing.T) {
	var rows [][]any
	for i := range 3 * minParallelSort {
		rows = append(rows, []any{i * 7919 % 100_003, "x"})
	}
	src := &source{typs: bigText[:1], rows: rows, size: 2048}
	n := &sortNode{in: src, keys: []sortKey{{col: 0}}}
	want, err := results(t, n, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{2, 3, 8} {
		r := newTestRun(2048)
		r.env.Parallelism = workers
		op := r.open(n)
		at := 0
		for {
			b, err := op.Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				break
			}
			for i := range b.Rows() {
				if got := b.Cols[0].Value(b.Row(i)).Text(); got != want[at] {
					t.Fatalf("%d workers: row %d is %s, want %s", workers, at, got, want[at])
				}
				at++
			}
		}
		op.Close()
		if at != len(want) {
			t.Errorf("%d workers: %d rows, want %d", workers, at, len(want))
		}
	}
}
