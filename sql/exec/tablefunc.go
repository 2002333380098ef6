package exec

import (
	"context"
	"iter"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// tableFunc is one function of a tableFuncNode; without fn it is the one row
// of the scalar args[0].
type tableFunc struct {
	fn   *builtin.Function
	args []*expr.Program
	cols int
}

// tableFuncNode gives the rows of table functions side by side; one that ends
// before the others gives NULLs.
type tableFuncNode struct {
	funcs      []tableFunc
	ordinality bool
	out        []sqltype.Type
	text       string
}

func (n *tableFuncNode) types() []sqltype.Type { return n.out }
func (n *tableFuncNode) inputs() []node        { return nil }
func (n *tableFuncNode) label() string         { return "Table function " + n.text }
func (n *tableFuncNode) open(r *run) operator  { return &tableFuncOp{n: n, r: r} }

type tableFuncOp struct {
	n     *tableFuncNode
	r     *run
	pulls []func() (sqltype.Row, error, bool)
	stops []func()
	live  []bool
	row   int64
	done  bool
}

func (o *tableFuncOp) start() error {
	for i := range o.n.funcs {
		f := &o.n.funcs[i]
		args := make([]sqltype.Value, len(f.args))
		null := false
		for k, p := range f.args {
			v, err := p.EvalRow(o.r.ectx, nil)
			if err != nil {
				return err
			}
			args[k] = v
			null = null || v.IsNull()
		}
		var seq iter.Seq2[sqltype.Row, error]
		switch {
		case f.fn == nil:
			seq = func(yield func(sqltype.Row, error) bool) { yield(sqltype.Row{args[0]}, nil) }
		case f.fn.Strict && null:
			seq = func(func(sqltype.Row, error) bool) {}
		default:
			seq = f.fn.Rows(o.r.ectx, args)
		}
		next, stop := iter.Pull2(seq)
		o.pulls, o.stops, o.live = append(o.pulls, next), append(o.stops, stop), append(o.live, true)
	}
	return nil
}

func (o *tableFuncOp) Next(ctx context.Context) (*vector.Batch, error) {
	if o.done {
		return nil, nil
	}
	if err := o.r.env.pause(ctx); err != nil {
		return nil, err
	}
	if o.pulls == nil {
		if err := o.start(); err != nil {
			return nil, err
		}
	}
	builders := make([]*vector.Builder, len(o.n.out))
	for i, t := range o.n.out {
		builders[i] = vector.NewBuilder(t, 64)
	}
	n := 0
	for n < o.r.batch {
		any := false
		rows := make([]sqltype.Row, len(o.pulls))
		for i, pull := range o.pulls {
			if !o.live[i] {
				continue
			}
			row, err, ok := pull()
			if err != nil {
				return nil, err
			}
			if !ok {
				o.live[i] = false
				continue
			}
			rows[i], any = row, true
		}
		if !any {
			o.Close()
			break
		}
		n++
		o.row++
		at := 0
		for i := range o.n.funcs {
			for k := range o.n.funcs[i].cols {
				if rows[i] == nil {
					builders[at].AppendNull()
				} else {
					builders[at].Append(rows[i][k])
				}
				at++
			}
		}
		if o.n.ordinality {
			builders[at].AppendInt(o.row)
		}
	}
	if n == 0 {
		return nil, nil
	}
	cols := make([]*vector.Vector, len(builders))
	for i, b := range builders {
		cols[i] = b.Finish()
	}
	return vector.NewBatch(cols, n), nil
}

func (o *tableFuncOp) Close() {
	o.done = true
	for _, stop := range o.stops {
		stop()
	}
	o.stops = nil
}
