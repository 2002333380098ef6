package expr

import (
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// scratch is one node's working memory within an Eval. A node has its own, so
// what it returned stays untouched while its parents use it.
type scratch struct {
	result *vector.Vector
	args   []sqltype.Value
	vecs   []*vector.Vector
	sel    [4][]int32
	branch []int32
	cache  any
	key    string
	escape string
}

func (m *scratch) values(n int) []sqltype.Value {
	if cap(m.args) < n {
		m.args = make([]sqltype.Value, n)
	}
	return m.args[:n]
}

func (m *scratch) vectors(n int) []*vector.Vector {
	if cap(m.vecs) < n {
		m.vecs = make([]*vector.Vector, n)
	}
	return m.vecs[:n]
}

// argsAt gathers row i of the vectors.
func (m *scratch) argsAt(vecs []*vector.Vector, i int) []sqltype.Value {
	args := m.values(len(vecs))
	for k, v := range vecs {
		args[k] = v.Value(i)
	}
	return args
}

// buffer is one of the node's selection buffers, empty, with room for n.
func (m *scratch) buffer(which, n int) []int32 {
	if cap(m.sel[which]) < n {
		// Batches mostly grow to one size soon; small queries stay small.
		m.sel[which] = make([]int32, 0, max(n, min(2*cap(m.sel[which]), vector.BatchSize)))
	}
	return m.sel[which][:0]
}

// out is a vector of n places, all valid, whose values are arbitrary.
func (m *scratch) out(t sqltype.Type, n int) *vector.Vector {
	if v := m.result; v != nil && v.Len() == n && v.Type == t {
		v.Valid = nil
		return v
	}
	m.result = vector.New(t, n)
	return m.result
}

// collect computes one value for each selected row; the others are NULL.
func (m *scratch) collect(ev *Eval, t sqltype.Type, n int, sel []int32, f func(i int) (sqltype.Value, error)) (*vector.Vector, error) {
	if t.Physical() == sqltype.PhysString || t.Physical() == sqltype.PhysNone {
		return collectStrings(ev, t, n, sel, f)
	}
	out := m.out(t, n)
	if sel != nil {
		out.Valid = vector.NewBitmap(n)
		for k, i := range sel {
			if err := ev.interrupted(k); err != nil {
				return nil, err
			}
			v, err := f(int(i))
			if err != nil {
				return nil, err
			}
			if !v.IsNull() {
				out.Valid.Set(int(i))
				put(out, int(i), v)
			}
		}
		return out, nil
	}
	for i := range n {
		if err := ev.interrupted(i); err != nil {
			return nil, err
		}
		v, err := f(i)
		if err != nil {
			return nil, err
		}
		if v.IsNull() {
			out.SetNull(i)
			continue
		}
		put(out, i, v)
	}
	return out, nil
}

func collectStrings(ev *Eval, t sqltype.Type, n int, sel []int32, f func(i int) (sqltype.Value, error)) (*vector.Vector, error) {
	b := vector.NewBuilder(t, n)
	next := 0
	rows := count(sel, n)
	for k := range rows {
		if err := ev.interrupted(k); err != nil {
			return nil, err
		}
		i := k
		if sel != nil {
			i = int(sel[k])
		}
		for ; next < i; next++ {
			b.AppendNull()
		}
		v, err := f(i)
		if err != nil {
			return nil, err
		}
		if b.Size()+len(v.Str()) > maxBatchText {
			return nil, tooMuchText()
		}
		b.Append(v)
		next++
	}
	for ; next < n; next++ {
		b.AppendNull()
	}
	return b.Finish(), nil
}

// maxBatchText is how many bytes of text an expression may make of one batch,
// so that a function that makes long texts cannot take all memory before the
// query's own account sees them.
const maxBatchText = 256 << 20

func tooMuchText() error {
	return dberr.Newf(dberr.TooLarge, "an expression makes more than %d MiB of text of %d rows", maxBatchText>>20, vector.BatchSize)
}

// put stores a valid value of a fixed-width representation.
func put(out *vector.Vector, i int, v sqltype.Value) {
	switch out.Type.Physical() {
	case sqltype.PhysBool:
		out.Bools[i] = v.Bool()
	case sqltype.PhysInt:
		out.Ints[i] = v.Int()
	case sqltype.PhysFloat:
		out.Floats[i] = v.Float()
	case sqltype.PhysDecimal:
		out.Decimals[i] = v.Decimal()
	case sqltype.PhysInterval:
		out.Intervals[i] = v.Interval()
	case sqltype.PhysList:
		out.Lists[i] = v.List()
	}
}

// scatter copies the rows sel of src to the same places of out, which has
// another representation than text.
func scatter(out, src *vector.Vector, sel []int32) {
	switch out.Type.Physical() {
	case sqltype.PhysBool:
		scatterTo(out.Bools, src.Bools, src.Const, sel)
	case sqltype.PhysInt:
		scatterTo(out.Ints, src.Ints, src.Const, sel)
	case sqltype.PhysFloat:
		scatterTo(out.Floats, src.Floats, src.Const, sel)
	case sqltype.PhysDecimal:
		scatterTo[decimal.Decimal](out.Decimals, src.Decimals, src.Const, sel)
	case sqltype.PhysInterval:
		scatterTo(out.Intervals, src.Intervals, src.Const, sel)
	case sqltype.PhysList:
		scatterTo(out.Lists, src.Lists, src.Const, sel)
	}
	if src.Valid == nil {
		return
	}
	for _, i := range sel {
		if src.IsNull(int(i)) {
			out.SetNull(int(i))
		}
	}
}

func scatterTo[T any](dst, src []T, constant bool, sel []int32) {
	if constant {
		for _, i := range sel {
			dst[i] = src[0]
		}
		return
	}
	for _, i := range sel {
		dst[i] = src[i]
	}
}

// validity is where all vectors are valid (nil: everywhere); null says that a
// constant NULL makes it nowhere.
func validity(vecs []*vector.Vector, n int) (valid vector.Bitmap, null bool) {
	for _, v := range vecs {
		if v.Valid == nil {
			continue
		}
		if v.Const {
			if v.IsNull(0) {
				return nil, true
			}
			continue
		}
		valid = vector.And(valid, v.Valid, n)
	}
	return valid, false
}

// validRows narrows sel to the rows whose bit is set.
func (m *scratch) validRows(sel []int32, valid vector.Bitmap, n int) []int32 {
	out := m.buffer(0, n)
	if sel == nil {
		for i := range n {
			if valid.Get(i) {
				out = append(out, int32(i))
			}
		}
	} else {
		for _, i := range sel {
			if valid.Get(int(i)) {
				out = append(out, i)
			}
		}
	}
	m.sel[0] = out
	return out
}

// count is how many rows a selection names.
func count(sel []int32, n int) int {
	if sel == nil {
		return n
	}
	return len(sel)
}

// each calls f for the selected rows.
func each(sel []int32, n int, f func(i int)) {
	if sel == nil {
		for i := range n {
			f(i)
		}
		return
	}
	for _, i := range sel {
		f(int(i))
	}
}

var allRows = func() []int32 {
	s := make([]int32, 2*vector.BatchSize)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}()

// identity selects rows 0 to n-1. It is shared: nobody changes it.
func identity(n int) []int32 {
	if n <= len(allRows) {
		return allRows[:n:n]
	}
	s := make([]int32, n)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}

// isIdentity tells whether a selection is the shared one of all rows. false may
// be wrong.
func isIdentity(sel []int32) bool { return len(sel) > 0 && &sel[0] == &allRows[0] }

func missingParam(index, given int) error {
	return dberr.Newf(dberr.ParameterMismatch, "parameter mismatch: the statement uses $%d, but %d were given", index, given)
}
