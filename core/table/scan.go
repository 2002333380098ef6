package table

import (
	"context"
	"fmt"
	"slices"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/vector"
)

// batchBytes is where a batch ends, whatever its number of rows, so that large
// rows do not make it large.
const batchBytes = 4 << 20

// storedTable is a partition of the backend at a state.
type storedTable struct {
	v *View
	t *ddl.Table
	c *codec
	p kv.Partition
}

var _ exec.Partitioned = (*storedTable)(nil)

// Rows implements exec.Table. For a USER table it is the number of all users'
// rows, so the most that one of them can have.
func (s *storedTable) Rows() int64 { return s.v.Store.counts.get(s.t.ID).live }

// Get implements exec.Table with one lookup and no scan.
func (s *storedTable) Get(ctx context.Context, key sqltype.Row, cols []int, deleted bool, dst sqltype.Row) (bool, error) {
	var buf [128]byte
	k := keyenc.AppendKey(buf[:0], key...)
	row, found, err := s.v.State.kv.Get(s.p, k)
	if err != nil {
		return false, err
	}
	if !found {
		return s.readCold(ctx, k, cols, deleted, dst)
	}
	return s.read(k, row, cols, deleted, dst)
}

// readCold is Get where the hot tier has nothing.
func (s *storedTable) readCold(ctx context.Context, key []byte, cols []int, deleted bool, dst sqltype.Row) (bool, error) {
	l, err := s.coldList(ctx)
	if err != nil || !l.reaches(key) {
		return false, err
	}
	d, err := s.c.point(cols)
	if err != nil {
		return false, err
	}
	h, found, err := s.v.Store.coldGet(ctx, l, key, d.want, dst)
	s.c.points.Put(d)
	if err != nil || !found || h.Deleted && !deleted {
		return false, err
	}
	for i, o := range cols {
		if o == s.t.RowIDOrdinal() {
			dst[i] = sqltype.NewBigInt(s.rowID(key))
		}
	}
	return true, nil
}

// coldList is the partition's segments; nil: there are none.
func (s *storedTable) coldList(ctx context.Context) (*coldList, error) {
	l, err := s.v.Store.cold(s.v.State, s.t.ID, s.p)
	if err != nil {
		return nil, s.damaged(err)
	}
	if so := s.v.Sound; so != nil && l != nil {
		if l, err = so.list(ctx, s.v.Store, s.p, l); err != nil {
			return nil, s.damaged(err)
		}
	}
	if l != nil && len(l.entries) == 0 {
		return nil, nil
	}
	return l, nil
}

func (s *storedTable) read(key, row []byte, cols []int, deleted bool, dst sqltype.Row) (bool, error) {
	r := rowenc.Row(row)
	if err := r.Check(); err != nil {
		return false, s.damaged(err)
	}
	if r.Deleted() && !deleted {
		return false, nil
	}
	d, err := s.c.point(cols)
	if err != nil {
		return false, err
	}
	if _, err := d.dec.Values(dst[:0], row); err != nil {
		return false, s.damaged(err)
	}
	for i, o := range cols {
		if o == s.t.RowIDOrdinal() {
			dst[i] = sqltype.NewBigInt(s.rowID(key))
		}
	}
	s.c.points.Put(d)
	return true, nil
}

func (s *storedTable) rowID(key []byte) int64 {
	if len(s.c.key) > 0 {
		return 0
	}
	return rowIDOf(key)
}

func (s *storedTable) damaged(err error) error {
	return fmt.Errorf("read %s: %w", s.t.Ident(), err)
}

// Scan implements exec.Table. Purpose: the one way from the two tiers into a
// query. Keys: a row's key is its primary key (or row id), so key ranges become
// ranges of bytes, and a scan in key order needs no sort. It never leaves the
// partition that the view opened.
func (s *storedTable) Scan(ctx context.Context, req exec.ScanRequest) (exec.Scanner, error) {
	l, err := s.coldList(ctx)
	if err != nil {
		return nil, err
	}
	sc, err := s.byImage(ctx, req, l)
	if err != nil {
		return nil, s.damaged(err)
	}
	if sc != nil {
		return sc, nil
	}
	if n, err := s.newest(req, l); n != nil || err != nil {
		return n, err
	}
	return s.scan(req, s.spans(&req), l)
}

// spans are the ranges of a request in the order of the scan.
func (s *storedTable) spans(req *exec.ScanRequest) []span {
	if req.Ranges == nil {
		return []span{{}}
	}
	out := make([]span, 0, len(req.Ranges))
	for i := range req.Ranges {
		r := &req.Ranges[i]
		if len(s.c.key) > 0 && len(r.Prefix) == len(s.c.key) {
			out = append(out, span{point: keyenc.AppendKey(nil, r.Prefix...)})
		} else {
			out = append(out, span{Range: keyRange(r)})
		}
	}
	if req.Reverse {
		slices.Reverse(out)
	}
	return out
}

// scan reads the spans, which take the place of the request's ranges, from the
// hot tier and from segments.
func (s *storedTable) scan(req exec.ScanRequest, spans []span, l *coldList) (exec.Scanner, error) {
	w, err := s.c.wants(req.Columns)
	if err != nil {
		return nil, err
	}
	sc := &scanner{s: s, req: req, dec: rowenc.NewDecoder(s.c.layouts, w), rowID: slices.Index(req.Columns, s.t.RowIDOrdinal()), spans: spans}
	if l == nil {
		return sc, nil
	}
	if sc.points() {
		sc.cold, sc.want, sc.coldRow = l, w, make(sqltype.Row, len(w))
		return sc, nil
	}
	return newMerger(sc, l)
}

// points tells whether the scan is of single keys only.
func (sc *scanner) points() bool {
	for i := range sc.spans {
		if sc.spans[i].point == nil {
			return false
		}
	}
	return true
}

// keyRange is the bytes between which the keys of a range lie.
func keyRange(r *exec.KeyRange) kv.Range {
	prefix := keyenc.AppendKey(nil, r.Prefix...)
	out := kv.PrefixRange(prefix)
	if len(prefix) == 0 {
		out = kv.Range{}
	}
	prefix = prefix[:len(prefix):len(prefix)]
	if !r.Low.IsNull() {
		out.Start = keyenc.Append(prefix, r.Low, keyenc.Asc)
		if r.LowOpen {
			out.Start = kv.Successor(out.Start)
		}
	}
	if !r.High.IsNull() {
		out.End = keyenc.Append(prefix, r.High, keyenc.Asc)
		if !r.HighOpen {
			out.End = kv.Successor(out.End)
		}
	}
	return out
}

// span is a part of a scan: a range of keys, or one key, whose lookup costs
// less than an iterator.
type span struct {
	kv.Range
	point []byte
}

// everything tells whether the span is all keys.
func (sp *span) everything() bool { return sp.point == nil && sp.Start == nil && sp.End == nil }

// scanner walks the spans one after the other.
type scanner struct {
	s     *storedTable
	req   exec.ScanRequest
	dec   *rowenc.Decoder
	rowID int // position of the row id in the batch, or -1
	spans []span
	it    kv.Iterator
	// key and value are the row of a point; value is nil while an iterator is
	// walked.
	key, value []byte
	// cold has the segments for points that the hot tier does not have; what
	// is found there is in coldRow, and isCold is set.
	cold    *coldList
	want    []rowenc.Want
	coldRow sqltype.Row
	isCold  bool
	head    rowenc.Header
	given   int64
	err     error
	done    bool
}

// Next implements exec.Scanner.
func (sc *scanner) Next(ctx context.Context) (*vector.Batch, error) {
	if sc.err != nil || sc.done {
		return nil, sc.err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, sc.fail(err)
	}
	limit := vector.BatchSize
	if sc.req.Limit > 0 {
		limit = int(min(int64(limit), max(1, sc.req.Limit-sc.given)))
	}
	builders := sc.dec.NewBuilders(sc.hint(limit))
	var ids []int64
	n, bytes := 0, 0
	for steps := 1; n < limit && bytes < batchBytes; steps++ {
		if steps%stepsUnasked == 0 { // deleted rows make no batch
			if err := context.Cause(ctx); err != nil {
				return nil, sc.fail(err)
			}
		}
		ok, err := sc.step(ctx)
		if err != nil {
			return nil, sc.fail(err)
		}
		if !ok {
			sc.done = true
			sc.Close()
			break
		}
		if sc.isCold {
			if sc.head.Deleted && !sc.req.IncludeDeleted {
				continue
			}
			for i, v := range sc.coldRow {
				builders[i].Append(v)
			}
			if sc.rowID >= 0 {
				ids = append(ids, sc.s.rowID(sc.key))
			}
			n++
			continue
		}
		key, row, err := sc.row()
		if err != nil {
			return nil, sc.fail(err)
		}
		r := rowenc.Row(row)
		if err := r.Check(); err != nil {
			return nil, sc.fail(sc.s.damaged(err))
		}
		if r.Deleted() && !sc.req.IncludeDeleted {
			continue
		}
		if len(builders) > 0 {
			if err := sc.dec.DecodeInto(row, builders...); err != nil {
				return nil, sc.fail(sc.s.damaged(err))
			}
		}
		if sc.rowID >= 0 {
			ids = append(ids, sc.s.rowID(key))
		}
		n++
		bytes += len(row)
	}
	if n == 0 {
		return nil, nil
	}
	sc.given += int64(n)
	cols := make([]*vector.Vector, len(builders))
	for i, b := range builders {
		cols[i] = b.Finish()
	}
	for i, o := range sc.req.Columns {
		if sc.rowID >= 0 && o == sc.s.t.RowIDOrdinal() {
			cols[i] = vector.FromInts(sqltype.TBigInt, ids, nil)
		}
	}
	return vector.NewBatch(cols, n), nil
}

// stepsUnasked is how many rows are looked at before the context is.
const stepsUnasked = 4096

// firstBatch is how many rows the first batch makes room for. How many a user
// has of a table's rows is not known; most have few, and for those who have
// many growing once is nothing.
const firstBatch = 64

// hint is how many rows to make room for.
func (sc *scanner) hint(limit int) int {
	if sc.given == 0 {
		limit = min(limit, firstBatch)
	}
	return int(min(int64(limit), max(16, sc.s.Rows())))
}

// step goes to the next row of the ranges.
func (sc *scanner) step(ctx context.Context) (bool, error) {
	for {
		if sc.it == nil {
			sc.key, sc.value, sc.isCold = nil, nil, false
			if len(sc.spans) == 0 {
				return false, nil
			}
			sp := sc.spans[0]
			sc.spans = sc.spans[1:]
			if sp.point != nil {
				v, found, err := sc.s.v.State.kv.Get(sc.s.p, sp.point)
				if err != nil {
					return false, err
				}
				if !found && sc.cold.reaches(sp.point) {
					if sc.head, sc.isCold, err = sc.s.v.Store.coldGet(ctx, sc.cold, sp.point, sc.want, sc.coldRow); err != nil {
						return false, err
					}
				}
				if found || sc.isCold {
					sc.key, sc.value = sp.point, v
					return true, nil
				}
				continue
			}
			sp.Reverse = sc.req.Reverse
			sc.it = sc.s.v.State.kv.Scan(sc.s.p, sp.Range)
		}
		if sc.it.Next() {
			return true, nil
		}
		err := sc.it.Err()
		sc.it.Close()
		sc.it = nil
		if err != nil {
			return false, err
		}
	}
}

// row is the key and the bytes of the row that step has gone to.
func (sc *scanner) row() (key, value []byte, err error) {
	if sc.it == nil {
		return sc.key, sc.value, nil
	}
	value, err = sc.it.Value()
	return sc.it.Key(), value, err
}

func (sc *scanner) fail(err error) error {
	sc.err = err
	sc.Close()
	return err
}

// Close implements exec.Scanner.
func (sc *scanner) Close() {
	sc.done = true
	if sc.it != nil {
		sc.it.Close()
		sc.it = nil
	}
	sc.spans = nil
}
