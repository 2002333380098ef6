package exec

import (
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

func (c *compiler) window(n *plan.Window) (node, []int, error) {
	in, lay, err := c.node(n.In)
	if err != nil {
		return nil, nil, err
	}
	w := &windowNode{in: in}
	if w.partition, err = positions(lay, n.Partition); err != nil {
		return nil, nil, err
	}
	if w.order, err = c.keys(lay, n.Order); err != nil {
		return nil, nil, err
	}
	out := append([]int(nil), lay...)
	for i := range n.Funcs {
		s := &n.Funcs[i]
		f := windowFunc{fn: s.Fn, spec: s.Spec, filter: -1, ignoreNulls: s.IgnoreNulls, out: c.st.Types[s.Col], text: s.Text + "(" + c.names(s.Args) + ")"}
		if f.args, err = positions(lay, s.Args); err != nil {
			return nil, nil, err
		}
		if s.Filter >= 0 {
			if f.filter, err = position(lay, s.Filter); err != nil {
				return nil, nil, err
			}
		}
		if f.frame, err = c.frame(&s.Frame, n, lay); err != nil {
			return nil, nil, err
		}
		w.funcs = append(w.funcs, f)
		out = append(out, s.Col)
	}
	if len(n.Partition) > 0 {
		w.text = " partition by " + c.names(n.Partition)
	}
	if len(w.order) > 0 {
		w.text += " order by " + sortKeyText(w.order, func(i int) string { return c.st.Labels[lay[i]] })
	}
	w.out = c.types(out)
	return w, out, nil
}

func (c *compiler) frame(f *plan.Frame, n *plan.Window, lay []int) (windowFrame, error) {
	out := windowFrame{mode: f.Mode, start: f.Start.Kind, end: f.End.Kind, exclude: f.Exclude}
	var err error
	if out.startOff, err = c.program(f.Start.Offset, nil); err != nil {
		return out, err
	}
	if out.endOff, err = c.program(f.End.Offset, nil); err != nil {
		return out, err
	}
	if f.Mode != ast.FrameRange || f.Start.Offset == nil && f.End.Offset == nil {
		return out, nil
	}
	// PRECEDING goes towards the partition's start, which for a descending
	// key is towards larger values. The ends are computed from the key in the
	// type in which they come out, so that the two compare.
	key := n.Order[0]
	end := func(b plan.FrameBound, keyType sqltype.Type) (expr.Expr, error) {
		op := ast.OpAdd
		if (b.Kind == ast.OffsetPreceding) != key.Desc {
			op = ast.OpSub
		}
		return expr.Binary(op, expr.Column(0, keyType, "key"), expr.Column(1, b.Offset.Type(), "offset"))
	}
	first := f.Start
	if first.Offset == nil {
		first = f.End
	}
	keyType := c.st.Types[key.Col]
	if keyType.Kind == sqltype.Time {
		// A time of day would begin anew at midnight.
		keyType = sqltype.TInterval
	}
	e, err := end(first, keyType)
	if err != nil {
		return out, err
	}
	t := sqltype.Type{Kind: e.Type().Kind}
	k, err := expr.Cast(expr.Column(0, c.st.Types[key.Col], "key"), t, expr.CastExplicit)
	if err != nil {
		return out, err
	}
	out.key = expr.Compile(k)
	for i, b := range []plan.FrameBound{f.Start, f.End} {
		if b.Offset == nil {
			continue
		}
		if e, err = end(b, t); err != nil {
			return out, err
		}
		if i == 0 {
			out.low = expr.Compile(e)
		} else {
			out.high = expr.Compile(e)
		}
	}
	return out, nil
}
