package table

import (
	"bytes"
	"context"
	"slices"
	"sort"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/vector"
)

// streamTable is a user's part of a STREAM table at a state. Its rows are in
// the order of their sequence numbers.
type streamTable struct {
	t    *ddl.Table
	c    *codec
	rows []streamRow
}

var _ exec.Table = (*streamTable)(nil)

// Rows implements exec.Table.
func (s *streamTable) Rows() int64 { return int64(len(s.rows)) }

// Get implements exec.Table. A ring is small and has no index that readers
// could use, so it looks through the rows, the newest first.
func (s *streamTable) Get(_ context.Context, key sqltype.Row, cols []int, _ bool, dst sqltype.Row) (bool, error) {
	var buf [128]byte
	k := keyenc.AppendKey(buf[:0], key...)
	for i := len(s.rows) - 1; i >= 0; i-- {
		if s.rows[i].key == string(k) {
			for c, o := range cols {
				dst[c] = s.value(&s.rows[i], o)
			}
			return true, nil
		}
	}
	return false, nil
}

func (s *streamTable) value(r *streamRow, ordinal int) sqltype.Value {
	switch ordinal - len(s.t.Columns) {
	case s.t.SeqOrdinal() - len(s.t.Columns):
		return sqltype.NewBigInt(int64(r.seq))
	case s.t.UpdatedOrdinal() - len(s.t.Columns):
		return sqltype.NewInt(sqltype.Timestamp, r.at)
	case s.t.DeletedOrdinal() - len(s.t.Columns):
		return sqltype.NewBool(false)
	case s.t.RowIDOrdinal() - len(s.t.Columns):
		if len(s.c.key) > 0 {
			return sqltype.NewBigInt(0)
		}
		return sqltype.NewBigInt(int64(r.seq))
	}
	return r.row[ordinal]
}

// Scan implements exec.Table. Purpose: the one way from a STREAM table into a
// query. Keys: the ring is that of the view's user, so no other user's rows
// are ever looked at; ranges of a primary key are checked row by row.
func (s *streamTable) Scan(_ context.Context, req exec.ScanRequest) (exec.Scanner, error) {
	if _, err := s.c.wants(req.Columns); err != nil {
		return nil, err
	}
	rows := s.rows
	if req.Ranges != nil && len(s.c.key) > 0 {
		ranges := make([]kv.Range, len(req.Ranges))
		for i := range req.Ranges {
			ranges[i] = keyRange(&req.Ranges[i])
		}
		rows = slices.DeleteFunc(slices.Clone(rows), func(r streamRow) bool {
			return !slices.ContainsFunc(ranges, func(kr kv.Range) bool {
				k := []byte(r.key)
				return bytes.Compare(k, kr.Start) >= 0 && (kr.End == nil || bytes.Compare(k, kr.End) < 0)
			})
		})
	}
	if req.Ordered && len(s.c.key) > 0 {
		rows = slices.Clone(rows)
		sort.Slice(rows, func(i, j int) bool { return rows[i].key < rows[j].key })
	}
	if req.Reverse {
		rows = slices.Clone(rows)
		slices.Reverse(rows)
	}
	return &streamScanner{s: s, rows: rows, cols: req.Columns}, nil
}

type streamScanner struct {
	s    *streamTable
	rows []streamRow
	cols []int
}

// Next implements exec.Scanner.
func (sc *streamScanner) Next(ctx context.Context) (*vector.Batch, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	n := min(len(sc.rows), vector.BatchSize)
	if n == 0 {
		return nil, nil
	}
	cols := make([]*vector.Vector, len(sc.cols))
	for c, o := range sc.cols {
		b := vector.NewBuilder(sc.s.t.ScanType(o), n)
		for i := range n {
			b.Append(sc.s.value(&sc.rows[i], o))
		}
		cols[c] = b.Finish()
	}
	sc.rows = sc.rows[n:]
	return vector.NewBatch(cols, n), nil
}

// Close implements exec.Scanner.
func (sc *streamScanner) Close() { sc.rows = nil }
