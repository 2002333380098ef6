package exec_test

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// columnar is a catalog and snapshot of one table whose columns are vectors,
// so that benchmarks measure the operators and not the storage.
type columnar struct {
	def  *ddl.Table
	cols []*vector.Vector
	n    int
	// read counts the rows that scans and lookups gave.
	read int
}

// newColumnar makes a table big(id, grp, room, price) of n rows.
func newColumnar(n int) *columnar {
	c := &columnar{n: n, def: &ddl.Table{
		Namespace: "main", Name: "big", Type: ident.SharedTable, SchemaVersion: 1,
		Columns: []ddl.Column{
			{ID: 1, Name: "id", Type: sqltype.TBigInt, NotNull: true}, {ID: 2, Name: "grp", Type: sqltype.TInteger},
			{ID: 3, Name: "room", Type: sqltype.TText}, {ID: 4, Name: "price", Type: sqltype.TDouble},
		},
		PrimaryKey: []ddl.ColumnID{1},
	}}
	var b []*vector.Builder
	for i := range c.def.Columns {
		b = append(b, vector.NewBuilder(c.def.Columns[i].Type, n))
	}
	x := uint64(1)
	for i := range n {
		x = x*6364136223846793005 + 1442695040888963407
		r := int(x >> 33)
		b[0].AppendInt(int64(i))
		b[1].AppendInt(int64(r % 1000))
		b[2].AppendString(fmt.Sprintf("room-%d", r%200))
		b[3].AppendFloat(float64(r%100000) / 100)
	}
	for _, bl := range b {
		c.cols = append(c.cols, bl.Finish())
	}
	return c
}

func (c *columnar) Version() uint64 { return 1 }

func (c *columnar) View(ident.NamespaceID, ident.TableName) (*ddl.View, bool) { return nil, false }

func (c *columnar) Rows() int64 { return int64(c.n) }

func (c *columnar) Get(_ context.Context, key sqltype.Row, cols []int, _ bool, dst sqltype.Row) (bool, error) {
	i := int(key[0].Int())
	if i < 0 || i >= c.n {
		return false, nil
	}
	for k, col := range cols {
		dst[k] = c.cols[col].Value(i)
	}
	c.read++
	return true, nil
}

func (c *columnar) Scan(_ context.Context, req exec.ScanRequest) (exec.Scanner, error) {
	s := &columnarScan{c: c, cols: req.Columns, end: c.n}
	if len(req.Ranges) > 1 || len(req.Ranges) == 1 && len(req.Ranges[0].Prefix) > 0 {
		for _, r := range req.Ranges {
			if i := r.Prefix[0].Int(); i >= 0 && i < int64(c.n) {
				s.keys = append(s.keys, int32(i))
			}
		}
		return s, nil
	}
	for _, r := range req.Ranges {
		if !r.Low.IsNull() {
			s.at = int(r.Low.Int())
		}
		if !r.High.IsNull() {
			s.end = min(s.end, int(r.High.Int()))
		}
	}
	return s, nil
}

type columnarScan struct {
	c    *columnar
	cols []int
	at   int
	end  int
	keys []int32
}

func (s *columnarScan) Next(context.Context) (*vector.Batch, error) {
	if s.keys != nil {
		if s.at == len(s.keys) {
			return nil, nil
		}
		s.at = len(s.keys)
		s.c.read += len(s.keys)
		out := make([]*vector.Vector, len(s.cols))
		for i, c := range s.cols {
			out[i] = s.c.cols[c].Gather(s.keys)
		}
		return vector.NewBatch(out, len(s.keys)), nil
	}
	to := min(s.at+vector.BatchSize, s.end)
	if to == s.at {
		return nil, nil
	}
	out := make([]*vector.Vector, len(s.cols))
	for i, c := range s.cols {
		out[i] = s.c.cols[c].Slice(s.at, to)
	}
	b := vector.NewBatch(out, to-s.at)
	s.c.read += to - s.at
	s.at = to
	return b, nil
}

func (s *columnarScan) Close() {}

// catalog and snapshot are the two faces of a columnar.
type catalog struct{ *columnar }

func (c catalog) Table(_ ident.NamespaceID, name ident.TableName) (*ddl.Table, error) {
	if name != "big" {
		return nil, dberr.Newf(dberr.TableNotFound, "table main.%s does not exist", name)
	}
	return c.def, nil
}

type snapshot struct{ *columnar }

func (s snapshot) Table(context.Context, *ddl.Table) (exec.Table, error) { return s.columnar, nil }
