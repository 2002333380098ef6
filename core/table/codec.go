package table

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
)

// codecs keeps what is prepared once for a table's schema version.
type codecs struct {
	mu sync.RWMutex // guards what follows
	m  map[codecKey]*codec
	// layouts are those of every version of a table that was met. A plan of an
	// older version may read rows of a newer one: a live query's, whose new
	// plan is still being made.
	layouts map[codecKey]*rowenc.Layout
}

type codecKey struct {
	id      ident.TableID
	version uint32
}

// of finds or prepares the codec of a table's version. cat is a catalog that
// knows the versions before it.
func (cs *codecs) of(t *ddl.Table, cat *catalog.Snapshot) (*codec, error) {
	k := codecKey{t.ID, t.SchemaVersion}
	cs.mu.RLock()
	c := cs.m[k]
	cs.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	known, err := layoutsOf(t, cat)
	if err != nil {
		return nil, err
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.m == nil {
		cs.m, cs.layouts = map[codecKey]*codec{}, map[codecKey]*rowenc.Layout{}
	}
	for _, l := range known {
		cs.layouts[codecKey{t.ID, l.Version()}] = l
	}
	c = &codec{all: cs, table: t, key: t.KeyOrdinals(), layout: cs.layouts[k]}
	cs.m[k] = c
	return c, nil
}

// layout finds the layout of a version.
func (cs *codecs) layout(k codecKey) *rowenc.Layout {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	return cs.layouts[k]
}

// forget drops the codecs of a table that is gone.
func (cs *codecs) forget(id ident.TableID) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for k := range cs.m {
		if k.id == id {
			delete(cs.m, k)
		}
	}
	for k := range cs.layouts {
		if k.id == id {
			delete(cs.layouts, k)
		}
	}
}

// codec turns rows of one schema version into bytes, and rows of every version
// back. It may be used from several goroutines.
type codec struct {
	all    *codecs
	table  *ddl.Table
	key    []int // ordinals of the primary key
	layout *rowenc.Layout
	// points are *pointDecoder.
	points sync.Pool
}

func layoutOf(t *ddl.Table) (*rowenc.Layout, error) {
	cols := make([]rowenc.Column, len(t.Columns))
	for i, c := range t.Columns {
		cols[i] = rowenc.Column{ID: uint32(c.ID), Type: c.Type}
	}
	l, err := rowenc.NewLayout(t.SchemaVersion, cols)
	if err != nil {
		return nil, fmt.Errorf("prepare rows of %s: %w", t.Ident(), err)
	}
	return l, nil
}

// layoutsOf prepares a version and all that the catalog has of the table.
func layoutsOf(t *ddl.Table, cat *catalog.Snapshot) ([]*rowenc.Layout, error) {
	own, err := layoutOf(t)
	if err != nil {
		return nil, err
	}
	out := []*rowenc.Layout{own}
	history, err := cat.History(t.Namespace, t.Name)
	if err != nil {
		// A table that was dropped meanwhile, or is none of the catalog's, has
		// no other versions that matter.
		return out, nil
	}
	for _, v := range history {
		if v.Table.ID != t.ID || v.Table.SchemaVersion == t.SchemaVersion {
			continue
		}
		l, err := layoutOf(v.Table)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// layouts implements rowenc.Layouts.
func (c *codec) layouts(version uint32) (*rowenc.Layout, error) {
	if version == c.layout.Version() {
		return c.layout, nil
	}
	if l := c.all.layout(codecKey{c.table.ID, version}); l != nil {
		return l, nil
	}
	return nil, dberr.Newf(dberr.Internal, "a row of %s has the unknown schema version %d", c.table.Ident(), version)
}

// appendKey appends the primary key of a row of declared columns.
func (c *codec) appendKey(dst []byte, row sqltype.Row) []byte {
	for _, o := range c.key {
		dst = keyenc.Append(dst, row[o], keyenc.Asc)
	}
	return dst
}

// appendRow appends a row's bytes, which stamp completes.
func (c *codec) appendRow(dst []byte, row sqltype.Row, deleted bool) ([]byte, error) {
	return c.layout.Append(dst, rowenc.Header{Deleted: deleted}, row)
}

// stamp puts the numbers that only the committer knows into a row's bytes.
func stamp(row []byte, seq change.Seq, micros int64) {
	// The row was encoded by appendRow, so its header is sound, and it is
	// copied onto itself.
	_, _ = rowenc.Restamp(row[:0], row, rowenc.Header{Seq: seq, UpdatedAt: micros, Deleted: rowenc.Row(row).Deleted()})
}

// versionOf reads what the committer wants to know of a stored row.
func versionOf(row []byte) (version, error) {
	r := rowenc.Row(row)
	if err := r.Check(); err != nil {
		return version{}, err
	}
	return version{seq: r.Seq(), deleted: r.Deleted()}, nil
}

// A table without a primary key has the row id as its key: the sequence number
// of the INSERT.
func appendRowID(dst []byte, id int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(id)) }

func rowIDOf(key []byte) int64 {
	if len(key) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(key))
}

// wants are the columns to decode for scan ordinals. The row id is not among
// them: it is in the key.
func (c *codec) wants(cols []int) ([]rowenc.Want, error) {
	w := make([]rowenc.Want, len(cols))
	for i, o := range cols {
		w[i].Type = c.table.ScanType(o)
		switch {
		case o >= 0 && o < len(c.table.Columns):
			w[i].ID = uint32(c.table.Columns[o].ID)
			w[i].Default = c.table.Columns[o].Missing
		case o == c.table.SeqOrdinal(), o == c.table.RowIDOrdinal():
			// In place of the row id stands a number that is replaced.
			w[i].ID = rowenc.SeqColumn
		case o == c.table.UpdatedOrdinal():
			w[i].ID = rowenc.UpdatedColumn
		case o == c.table.DeletedOrdinal():
			w[i].ID = rowenc.DeletedColumn
		default:
			return nil, fmt.Errorf("read %s: there is no column %d", c.table.Ident(), o)
		}
	}
	return w, nil
}

// coldWants are the columns to read from segments for scan ordinals.
func (c *codec) coldWants(cols []int) ([]rowenc.Want, error) {
	w, err := c.wants(cols)
	for i, o := range cols {
		if err == nil && o == c.table.RowIDOrdinal() {
			// A table with a key has none, and gives 0.
			w[i].ID, w[i].Default = segment.RowIDColumn, sqltype.NewBigInt(0)
		}
	}
	return w, err
}

// schema is the codec's version as segments keep it.
func (c *codec) schema() segment.Schema {
	out := segment.Schema{Table: c.table.ID, Version: c.table.SchemaVersion, Key: c.key}
	for _, col := range c.table.Columns {
		out.Columns = append(out.Columns, segment.Column{ID: uint32(col.ID), Name: col.Name, Type: col.Type, Default: col.Missing})
	}
	return out
}

// pointDecoder reads single rows for one list of columns.
type pointDecoder struct {
	cols []int
	want []rowenc.Want
	dec  *rowenc.Decoder
}

func (c *codec) point(cols []int) (*pointDecoder, error) {
	if p, ok := c.points.Get().(*pointDecoder); ok && slices.Equal(p.cols, cols) {
		return p, nil
	}
	w, err := c.wants(cols)
	if err != nil {
		return nil, err
	}
	return &pointDecoder{cols: slices.Clone(cols), want: w, dec: rowenc.NewDecoder(c.layouts, w)}, nil
}
