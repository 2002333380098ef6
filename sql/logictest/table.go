package logictest

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// memTable keeps rows in the order of the primary key, or of insertion.
type memTable struct {
	def  *ddl.Table
	key  []int
	rows []*memRow
	next int64
}

type memRow struct {
	values  sqltype.Row
	seq     change.Seq
	updated time.Time
	deleted bool
	id      int64
}

func newMemTable(def *ddl.Table) *memTable { return &memTable{def: def, key: def.KeyOrdinals()} }

func (t *memTable) keyOf(values sqltype.Row) sqltype.Row {
	k := make(sqltype.Row, len(t.key))
	for i, o := range t.key {
		k[i] = values[o]
	}
	return k
}

func compareKeys(a, b sqltype.Row) int {
	for i := range min(len(a), len(b)) {
		if c := sqltype.Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

// find is where a key is, or belongs.
func (t *memTable) find(key sqltype.Row) (int, bool) {
	i := sort.Search(len(t.rows), func(i int) bool { return compareKeys(t.keyOf(t.rows[i].values), key) >= 0 })
	return i, i < len(t.rows) && compareKeys(t.keyOf(t.rows[i].values), key) == 0
}

// apply commits a write.
func (t *memTable) apply(w *exec.Write, seq change.Seq, now time.Time) error {
	switch w.Op {
	case change.Insert:
		row := &memRow{values: w.New.Clone(), seq: seq, updated: now, id: t.next}
		t.next++
		if len(t.key) == 0 {
			t.rows = append(t.rows, row)
			return nil
		}
		i, found := t.find(t.keyOf(w.New))
		if found {
			if !t.rows[i].deleted {
				return dberr.Newf(dberr.UniqueViolation, "duplicate key in table %s", t.def.Ident())
			}
			t.rows[i] = row
			return nil
		}
		t.rows = slices.Insert(t.rows, i, row)
		return nil
	case change.Update, change.Delete:
		at := -1
		if len(t.key) == 0 {
			at = slices.IndexFunc(t.rows, func(r *memRow) bool { return r.id == w.RowID })
		} else if i, ok := t.find(t.keyOf(w.Old)); ok {
			at = i
		}
		if at < 0 || t.rows[at].deleted {
			return fmt.Errorf("write to a row that is not there")
		}
		old := t.rows[at]
		if w.Op == change.Delete {
			t.rows[at] = &memRow{values: old.values, seq: seq, updated: now, deleted: true, id: old.id}
			return nil
		}
		row := &memRow{values: w.New.Clone(), seq: seq, updated: now, id: old.id}
		if len(t.key) > 0 && compareKeys(t.keyOf(old.values), t.keyOf(w.New)) != 0 {
			t.rows[at] = &memRow{values: old.values, seq: seq, updated: now, deleted: true, id: old.id}
			i, found := t.find(t.keyOf(w.New))
			switch {
			case found && !t.rows[i].deleted:
				return dberr.Newf(dberr.UniqueViolation, "duplicate key in table %s", t.def.Ident())
			case found:
				t.rows[i] = row
			default:
				t.rows = slices.Insert(t.rows, i, row)
			}
			return nil
		}
		t.rows[at] = row
	}
	return nil
}

// clone copies the table, so that a failed statement can be undone.
func (t *memTable) clone() *memTable {
	c := *t
	c.rows = slices.Clone(t.rows)
	return &c
}

func (t *memTable) value(r *memRow, ord int) sqltype.Value {
	switch {
	case ord < len(t.def.Columns):
		return r.values[ord]
	case ord == t.def.SeqOrdinal():
		return sqltype.NewBigInt(int64(r.seq))
	case ord == t.def.UpdatedOrdinal():
		return sqltype.NewInt(sqltype.Timestamp, r.updated.UnixMicro())
	case ord == t.def.DeletedOrdinal():
		return sqltype.NewBool(r.deleted)
	}
	return sqltype.NewBigInt(r.id)
}

// view is a memTable at one moment; rows are never changed in place.
type view struct {
	t       *memTable
	batch   int
	minRows int64
}

var (
	_ exec.Partitioned = (*view)(nil)
	_ exec.Scanner     = (*scanner)(nil)
)

func (v *view) Rows() int64 { return max(v.minRows, int64(len(v.t.rows))) }

func (v *view) Get(_ context.Context, key sqltype.Row, cols []int, deleted bool, dst sqltype.Row) (bool, error) {
	for i, k := range key {
		if want := v.t.def.Columns[v.t.key[i]].Type.Kind; k.Kind() != want {
			return false, fmt.Errorf("key column %d is %s, not %s", i, k.Kind(), want)
		}
	}
	i, ok := v.t.find(key)
	if !ok || v.t.rows[i].deleted && !deleted {
		return false, nil
	}
	for k, c := range cols {
		dst[k] = v.t.value(v.t.rows[i], c)
	}
	return true, nil
}

func inRange(key sqltype.Row, r *exec.KeyRange) bool {
	if compareKeys(key[:len(r.Prefix)], r.Prefix) != 0 {
		return false
	}
	if !r.Low.IsNull() {
		if c := sqltype.Compare(key[len(r.Prefix)], r.Low); c < 0 || c == 0 && r.LowOpen {
			return false
		}
	}
	if !r.High.IsNull() {
		if c := sqltype.Compare(key[len(r.Prefix)], r.High); c > 0 || c == 0 && r.HighOpen {
			return false
		}
	}
	return true
}

// Scan skips what the bounds let it skip only now and then, because they are
// advice.
func (v *view) Scan(_ context.Context, req exec.ScanRequest) (exec.Scanner, error) {
	s := &scanner{v: v, req: req}
	for _, r := range v.t.rows {
		if r.deleted && !req.IncludeDeleted {
			continue
		}
		if req.Ranges != nil {
			key := v.t.keyOf(r.values)
			if !slices.ContainsFunc(req.Ranges, func(k exec.KeyRange) bool { return inRange(key, &k) }) {
				continue
			}
		}
		s.rows = append(s.rows, r)
	}
	if req.Reverse {
		slices.Reverse(s.rows)
	}
	if req.Limit > 0 && int64(len(s.rows)) > req.Limit {
		s.rows = s.rows[:req.Limit]
	}
	return s, nil
}

// morsel is how many rows the reader of a part takes at a time: few, so that
// small tables are shared, too.
const morsel = 3

// ScanParts gives parts that take morsels from one counter.
func (v *view) ScanParts(ctx context.Context, req exec.ScanRequest, n int) ([]exec.Scanner, error) {
	all, err := v.Scan(ctx, req)
	if err != nil {
		return nil, err
	}
	next := new(atomic.Int64)
	out := make([]exec.Scanner, n)
	for i := range out {
		out[i] = &scanner{v: v, req: req, shared: all.(*scanner).rows, next: next}
	}
	return out, nil
}

type scanner struct {
	v    *view
	req  exec.ScanRequest
	rows []*memRow
	// shared, in a part of a scan, are the rows of all parts, next counts the
	// morsels that were taken of them.
	shared []*memRow
	next   *atomic.Int64
}

func (s *scanner) Next(ctx context.Context) (*vector.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(s.rows) == 0 && s.next != nil {
		from := min((int(s.next.Add(1))-1)*morsel, len(s.shared))
		s.rows = s.shared[from:min(from+morsel, len(s.shared))]
	}
	n := min(s.v.batch, len(s.rows))
	if n == 0 {
		return nil, nil
	}
	cols := make([]*vector.Vector, len(s.req.Columns))
	for i, ord := range s.req.Columns {
		b := vector.NewBuilder(s.v.t.def.ScanType(ord), n)
		for _, r := range s.rows[:n] {
			b.Append(s.v.t.value(r, ord))
		}
		cols[i] = b.Finish()
	}
	s.rows = s.rows[n:]
	return vector.NewBatch(cols, n), nil
}

func (s *scanner) Close() { s.rows, s.shared = nil, nil }
