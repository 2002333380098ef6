package exec

import (
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// rowStore keeps rows of batches that are gone. Rows are numbered as they
// come; ref finds a number's chunk.
type rowStore struct {
	types  []sqltype.Type
	chunks []*vector.Batch
	// starts[i] is the number of chunk i's first row.
	starts []int
	rows   int
	mem    reservation
}

// ref is a row of a rowStore.
type ref struct{ chunk, row int32 }

// noRow stands for a row of NULLs where rows are gathered.
var noRow = ref{chunk: -1}

func newRowStore(types []sqltype.Type, r *run) *rowStore {
	return &rowStore{types: types, mem: reservation{acct: r.acct}}
}

// add copies the batch's rows and gives the chunk that holds them. What counts
// is the copy: the batch may share memory with much that is not in it.
func (s *rowStore) add(b *vector.Batch) (*vector.Batch, error) {
	c := copyBatch(b)
	if err := s.mem.add(int64(c.Size()) + 64); err != nil {
		return nil, err
	}
	s.starts = append(s.starts, s.rows)
	s.chunks = append(s.chunks, c)
	s.rows += c.Rows()
	return c, nil
}

func (s *rowStore) value(r ref, col int) sqltype.Value {
	return s.chunks[r.chunk].Cols[col].Value(int(r.row))
}

// gather makes a batch of the given rows.
func (s *rowStore) gather(refs []ref) *vector.Batch {
	cols := make([]*vector.Vector, len(s.types))
	for i := range cols {
		cols[i] = s.gatherCol(i, refs)
	}
	return vector.NewBatch(cols, len(refs))
}

// gatherCol makes one column of the given rows.
func (s *rowStore) gatherCol(col int, refs []ref) *vector.Vector {
	t := s.types[col]
	var valid vector.Bitmap
	null := func(i int) {
		if valid == nil {
			valid = vector.NewBitmap(len(refs))
			valid.SetAll(len(refs))
		}
		valid.Clear(i)
	}
	for i, r := range refs {
		if r == noRow || s.chunks[r.chunk].Cols[col].IsNull(int(r.row)) {
			null(i)
		}
	}
	switch t.Physical() {
	case sqltype.PhysInt:
		return vector.FromInts(t, gatherRefs(s, col, refs, func(v *vector.Vector) []int64 { return v.Ints }), valid)
	case sqltype.PhysFloat:
		return vector.FromFloats(t, gatherRefs(s, col, refs, func(v *vector.Vector) []float64 { return v.Floats }), valid)
	case sqltype.PhysBool:
		out := vector.FromBools(gatherRefs(s, col, refs, func(v *vector.Vector) []bool { return v.Bools }), valid)
		out.Type = t
		return out
	case sqltype.PhysString:
		size := 0
		for i, r := range refs {
			if valid == nil || valid.Get(i) {
				v := s.chunks[r.chunk].Cols[col]
				k := v.Index(int(r.row))
				size += int(v.Offsets[k+1] - v.Offsets[k])
			}
		}
		offsets, data := make([]int32, len(refs)+1), make([]byte, 0, size)
		for i, r := range refs {
			if valid == nil || valid.Get(i) {
				v := s.chunks[r.chunk].Cols[col]
				k := v.Index(int(r.row))
				data = append(data, v.Data[v.Offsets[k]:v.Offsets[k+1]]...)
			}
			offsets[i+1] = int32(len(data))
		}
		return vector.FromStrings(t, offsets, data, valid)
	}
	b := vector.NewBuilder(t, len(refs))
	for i, r := range refs {
		if valid != nil && !valid.Get(i) {
			b.AppendNull()
			continue
		}
		b.AppendFrom(s.chunks[r.chunk].Cols[col], int(r.row))
	}
	return b.Finish()
}

func gatherRefs[T any](s *rowStore, col int, refs []ref, get func(*vector.Vector) []T) []T {
	out := make([]T, len(refs))
	for i, r := range refs {
		if r == noRow {
			continue
		}
		v := s.chunks[r.chunk].Cols[col]
		out[i] = get(v)[v.Index(int(r.row))]
	}
	return out
}

// release forgets the rows.
func (s *rowStore) release() {
	s.chunks, s.starts, s.rows = nil, nil, 0
	s.mem.release()
}

var identity = func() []int32 {
	sel := make([]int32, vector.BatchSize)
	for i := range sel {
		sel[i] = int32(i)
	}
	return sel
}()

// firstRows is the selection 0 to n-1. It is shared and not changed.
func firstRows(n int) []int32 {
	if n <= len(identity) {
		return identity[:n]
	}
	sel := make([]int32, n)
	for i := range sel {
		sel[i] = int32(i)
	}
	return sel
}

// copyBatch copies the rows that count into memory of its own.
func copyBatch(b *vector.Batch) *vector.Batch {
	sel := b.Sel
	if sel == nil {
		sel = firstRows(b.Len())
	}
	cols := make([]*vector.Vector, len(b.Cols))
	for i, c := range b.Cols {
		if c.Const {
			cols[i] = vector.NewConst(c.Type, c.Value(0).Clone(), len(sel))
			continue
		}
		cols[i] = c.Gather(sel)
	}
	return vector.NewBatch(cols, len(sel))
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}
