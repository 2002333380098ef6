package plan

import "slices"

// Columns are the identities of the columns of the rows.
func (n *Scan) Columns() []int { return n.Cols }

// Columns are the identities of the columns of the rows.
func (n *Values) Columns() []int { return n.Cols }

// Columns are the identities of the columns of the rows, then of their number.
func (n *Changed) Columns() []int {
	if n.Row < 0 {
		return n.Cols
	}
	return append(slices.Clone(n.Cols), n.Row)
}

// Columns are the identities of the columns of the rows.
func (n *Filter) Columns() []int { return n.In.Columns() }

// Columns are the identities of the columns of the rows.
func (n *Project) Columns() []int { return n.Cols }

// Columns are the identities of the columns of the rows.
func (n *Distinct) Columns() []int { return n.In.Columns() }

// Columns are the identities of the columns of the rows.
func (n *Sort) Columns() []int { return n.In.Columns() }

// Columns are the identities of the columns of the rows.
func (n *Limit) Columns() []int { return n.In.Columns() }

// Columns are the identities of the columns of the rows.
func (n *SetOp) Columns() []int { return n.Cols }

// Columns are the identities of the columns of the rows.
func (n *With) Columns() []int { return n.Body.Columns() }

// Columns are the identities of the columns of the rows.
func (n *CTERef) Columns() []int { return n.Cols }

// Columns are the groups, the number of the grouping set, the aggregates.
func (n *Aggregate) Columns() []int {
	out := slices.Clone(n.Groups)
	if n.Sets != nil {
		out = append(slices.Clone(n.SetCols), n.SetID)
	}
	for i := range n.Aggs {
		out = append(out, n.Aggs[i].Col)
	}
	return out
}

// Columns are the left side's, then the right side's or the mark, or of those
// the ones that are kept.
func (n *Join) Columns() []int {
	if n.Keep != nil && n.Kind != Mark {
		return n.Keep
	}
	if n.Kind == Mark {
		return append(slices.Clone(n.L.Columns()), n.MarkCol)
	}
	return append(slices.Clone(n.L.Columns()), n.R.Columns()...)
}

// Columns are the left side's, then the right side's or the column added.
func (n *Apply) Columns() []int {
	if n.Kind <= ApplySingle {
		return append(slices.Clone(n.L.Columns()), n.R.Columns()...)
	}
	return append(slices.Clone(n.L.Columns()), n.Col)
}

// Columns are the input's, then the functions'.
func (n *Window) Columns() []int {
	out := slices.Clone(n.In.Columns())
	for i := range n.Funcs {
		out = append(out, n.Funcs[i].Col)
	}
	return out
}

// Columns are the functions', then the ordinality.
func (n *TableFunc) Columns() []int {
	var out []int
	for i := range n.Funcs {
		out = append(out, n.Funcs[i].Cols...)
	}
	if n.Ordinality >= 0 {
		out = append(out, n.Ordinality)
	}
	return out
}

// Inputs are the nodes that this one reads.
func (n *Scan) Inputs() []Node { return nil }

// Inputs are the nodes that this one reads.
func (n *Values) Inputs() []Node { return nil }

// Inputs are the nodes that this one reads.
func (n *Changed) Inputs() []Node { return nil }

// Inputs are the nodes that this one reads.
func (n *TableFunc) Inputs() []Node { return nil }

// Inputs are the nodes that this one reads.
func (n *CTERef) Inputs() []Node { return nil }

// Inputs are the nodes that this one reads.
func (n *Filter) Inputs() []Node { return []Node{n.In} }

// Inputs are the nodes that this one reads.
func (n *Project) Inputs() []Node { return []Node{n.In} }

// Inputs are the nodes that this one reads.
func (n *Aggregate) Inputs() []Node { return []Node{n.In} }

// Inputs are the nodes that this one reads.
func (n *Distinct) Inputs() []Node { return []Node{n.In} }

// Inputs are the nodes that this one reads.
func (n *Sort) Inputs() []Node { return []Node{n.In} }

// Inputs are the nodes that this one reads.
func (n *Limit) Inputs() []Node { return []Node{n.In} }

// Inputs are the nodes that this one reads.
func (n *Window) Inputs() []Node { return []Node{n.In} }

// Inputs are the nodes that this one reads.
func (n *Join) Inputs() []Node {
	if n.Else != nil {
		return []Node{n.L, n.R, n.Else}
	}
	return []Node{n.L, n.R}
}

// Inputs are the nodes that this one reads.
func (n *Apply) Inputs() []Node { return []Node{n.L, n.R} }

// Inputs are the nodes that this one reads.
func (n *SetOp) Inputs() []Node { return []Node{n.L, n.R} }

// Inputs are the CTEs' queries and steps, then the body.
func (n *With) Inputs() []Node {
	var out []Node
	for _, c := range n.CTEs {
		out = append(out, c.In)
		if c.Step != nil {
			out = append(out, c.Step)
		}
	}
	return append(out, n.Body)
}

// WithInputs is a copy over other inputs.
func (n *Scan) WithInputs([]Node) Node { return n }

// WithInputs is a copy over other inputs.
func (n *Values) WithInputs([]Node) Node { return n }

// WithInputs is a copy over other inputs.
func (n *Changed) WithInputs([]Node) Node { return n }

// WithInputs is a copy over other inputs.
func (n *TableFunc) WithInputs([]Node) Node { return n }

// WithInputs is a copy over other inputs.
func (n *CTERef) WithInputs([]Node) Node { return n }

// WithInputs is a copy over other inputs.
func (n *Filter) WithInputs(in []Node) Node { c := *n; c.In = in[0]; return &c }

// WithInputs is a copy over other inputs.
func (n *Project) WithInputs(in []Node) Node { c := *n; c.In = in[0]; return &c }

// WithInputs is a copy over other inputs.
func (n *Aggregate) WithInputs(in []Node) Node { c := *n; c.In = in[0]; return &c }

// WithInputs is a copy over other inputs.
func (n *Distinct) WithInputs(in []Node) Node { c := *n; c.In = in[0]; return &c }

// WithInputs is a copy over other inputs.
func (n *Sort) WithInputs(in []Node) Node { c := *n; c.In = in[0]; return &c }

// WithInputs is a copy over other inputs.
func (n *Limit) WithInputs(in []Node) Node { c := *n; c.In = in[0]; return &c }

// WithInputs is a copy over other inputs.
func (n *Window) WithInputs(in []Node) Node { c := *n; c.In = in[0]; return &c }

// WithInputs is a copy over other inputs.
func (n *Join) WithInputs(in []Node) Node {
	c := *n
	c.L, c.R = in[0], in[1]
	if n.Else != nil {
		c.Else = in[2]
	}
	return &c
}

// WithInputs is a copy over other inputs.
func (n *Apply) WithInputs(in []Node) Node { c := *n; c.L, c.R = in[0], in[1]; return &c }

// WithInputs is a copy over other inputs.
func (n *SetOp) WithInputs(in []Node) Node { c := *n; c.L, c.R = in[0], in[1]; return &c }

// WithInputs changes the CTEs in place, because CTERefs point to them.
func (n *With) WithInputs(in []Node) Node {
	i := 0
	for _, c := range n.CTEs {
		c.In = in[i]
		i++
		if c.Step != nil {
			c.Step = in[i]
			i++
		}
	}
	out := *n
	out.Body = in[i]
	return &out
}
