package rowenc

import (
	"encoding/binary"
	"math"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Want is a column that is to be read.
type Want struct {
	// Column is the column's id and the type that it has now, which is of the
	// representation that it was stored with. SeqColumn, UpdatedColumn and
	// DeletedColumn are columns too.
	Column
	// Default is what a row gives that was written before the column was
	// added. The zero Value is NULL.
	Default sqltype.Value
}

// Layouts finds the layout of a schema version. It is called once a version.
type Layouts func(version uint32) (*Layout, error)

// OneLayout is the Layouts of a table that has had one schema version.
func OneLayout(l *Layout) Layouts {
	return func(version uint32) (*Layout, error) {
		if version != l.version {
			return nil, damaged("unknown schema version %d", version)
		}
		return l, nil
	}
}

// Decoder reads the wanted columns of rows of any schema version. It
// remembers what it learns of versions, so it belongs to one goroutine;
// making one is cheap.
type Decoder struct {
	want    []Want
	layouts Layouts
	plans   map[uint32]*plan
	last    *plan
}

// plan is how the wanted columns are read from rows of one schema version.
type plan struct {
	*Layout
	steps []step // one for each wanted column
}

type step struct {
	slot
	kind sqltype.Kind
	// def is for opDefault.
	def sqltype.Value
}

// NewDecoder prepares the reading of columns.
func NewDecoder(layouts Layouts, want []Want) *Decoder {
	return &Decoder{want: want, layouts: layouts, plans: make(map[uint32]*plan)}
}

// NewBuilders makes the builders for DecodeInto, for about n rows.
func (d *Decoder) NewBuilders(n int) []*vector.Builder {
	bs := make([]*vector.Builder, len(d.want))
	for i, w := range d.want {
		bs[i] = vector.NewBuilder(w.Type, n)
	}
	return bs
}

// open checks a row as a whole and finds the plan for it. With it, everything
// in a fixed place may be read without looking at lengths.
func (d *Decoder) open(row Row) (*plan, error) {
	if err := row.Check(); err != nil {
		return nil, err
	}
	p := d.last
	if version := row.SchemaVersion(); p == nil || p.version != version {
		var err error
		if p, err = d.plan(version); err != nil {
			return nil, err
		}
		d.last = p
	}
	if n := int(binary.LittleEndian.Uint16(row[atColumns:])); n != len(p.columns) {
		return nil, damaged("it has %d columns, schema version %d has %d", n, p.version, len(p.columns))
	}
	if start := p.start(row[atFlags]); len(row) < start {
		return nil, damaged("it has %d bytes, its fixed part alone takes %d", len(row), start)
	}
	return p, nil
}

func (d *Decoder) plan(version uint32) (*plan, error) {
	if p := d.plans[version]; p != nil {
		return p, nil
	}
	l, err := d.layouts(version)
	if err != nil {
		return nil, err
	}
	p := &plan{Layout: l, steps: make([]step, len(d.want))}
	for i, w := range d.want {
		st := &p.steps[i]
		st.kind = w.Type.Kind
		stored := w.Type
		switch w.ID {
		case SeqColumn:
			st.op, stored = opSeq, sqltype.TBigInt
		case UpdatedColumn:
			st.op, stored = opUpdated, sqltype.TTimestamp
		case DeletedColumn:
			st.op, stored = opDeleted, sqltype.TBoolean
		default:
			s, t, ok := l.find(w.ID)
			if !ok {
				st.op, st.def = opDefault, w.Default
				if !w.Default.IsNull() {
					stored = sqltype.Type{Kind: w.Default.Kind()}
				}
				break
			}
			st.slot, stored = s, t
		}
		if stored.Physical() != w.Type.Physical() {
			return nil, dberr.Newf(dberr.Internal, "column %d of schema version %d is %s and cannot be read as %s", w.ID, version, stored, w.Type)
		}
	}
	d.plans[version] = p
	return p, nil
}

// null reads the null bitmap. A column without a slot has the bit 0, which is
// why its op is looked at first.
func null(row Row, bit int) bool { return row[headerLen+bit>>3]&(1<<(bit&7)) != 0 }

// text finds a value by its end.
func (p *plan) text(row Row, rank int) ([]byte, error) {
	var from, to int
	start := p.start(row[atFlags])
	if row[atFlags]&flagWide != 0 {
		at := p.ends + 4*rank
		to = int(binary.LittleEndian.Uint32(row[at:]))
		if rank > 0 {
			from = int(binary.LittleEndian.Uint32(row[at-4:]))
		}
	} else {
		at := p.ends + 2*rank
		to = int(binary.LittleEndian.Uint16(row[at:]))
		if rank > 0 {
			from = int(binary.LittleEndian.Uint16(row[at-2:]))
		}
	}
	if from > to || to > len(row)-start {
		return nil, damaged("a value from %d to %d of %d bytes", from, to, len(row)-start)
	}
	return row[start+from : start+to : start+to], nil
}

// DecodeInto appends the wanted columns of a row to the builders, which are of
// their types and in their order. Texts are copied. After an error the
// builders hold columns of different lengths and are of no more use.
//
// Its benchmark is BenchmarkDecodeInto.
func (d *Decoder) DecodeInto(row []byte, cols ...*vector.Builder) error {
	if len(cols) != len(d.want) {
		return dberr.Newf(dberr.Internal, "%d builders for %d columns", len(cols), len(d.want))
	}
	r := Row(row)
	p, err := d.open(r)
	if err != nil {
		return err
	}
	for i := range p.steps {
		st, c := &p.steps[i], cols[i]
		if st.op > opNone && st.op <= opList && null(r, st.bit) {
			c.AppendNull()
			continue
		}
		switch st.op {
		case opBool:
			c.AppendBool(r[st.at] != 0)
		case opInt16, opInt32, opInt64, opSeq, opUpdated:
			c.AppendInt(st.int(r))
		case opFloat32, opFloat64:
			c.AppendFloat(st.float(r))
		case opUUID:
			c.AppendBytes(r[st.at : st.at+uuidLen])
		case opInterval:
			c.AppendInterval(readInterval(r[st.at:]))
		case opText:
			b, err := p.text(r, st.text)
			if err != nil {
				return err
			}
			if c.Full(len(b)) {
				return dberr.New(dberr.ResourceExhausted, "A batch holds more text than fits a column.")
			}
			c.AppendBytes(b)
		case opDecimal, opList:
			v, err := p.value(r, st)
			if err != nil {
				return err
			}
			if st.op == opList {
				v = v.Clone()
			}
			c.Append(v)
		case opDeleted:
			c.AppendBool(r.Deleted())
		case opDefault:
			c.Append(st.def)
		default:
			c.AppendNull()
		}
	}
	return nil
}

// Values appends the wanted columns of a row to dst as values. Their texts
// share the row's memory: clone them when the row does not live as long.
func (d *Decoder) Values(dst []sqltype.Value, row []byte) ([]sqltype.Value, error) {
	r := Row(row)
	p, err := d.open(r)
	if err != nil {
		return dst, err
	}
	from := len(dst)
	for i := range p.steps {
		v, err := p.value(r, &p.steps[i])
		if err != nil {
			return dst[:from], err
		}
		dst = append(dst, v)
	}
	return dst, nil
}

// value reads one column.
func (p *plan) value(r Row, st *step) (v sqltype.Value, err error) {
	if st.op > opNone && st.op <= opList && null(r, st.bit) {
		return sqltype.NullOf(st.kind), nil
	}
	switch st.op {
	case opBool:
		return sqltype.NewBool(r[st.at] != 0), nil
	case opInt16, opInt32, opInt64, opSeq, opUpdated:
		return sqltype.NewInt(st.kind, st.int(r)), nil
	case opFloat32, opFloat64:
		return sqltype.NewFloat(st.kind, st.float(r)), nil
	case opUUID:
		return sqltype.NewString(st.kind, shared(r[st.at:st.at+uuidLen])), nil
	case opInterval:
		return sqltype.NewInterval(readInterval(r[st.at:])), nil
	case opDeleted:
		return sqltype.NewBool(r.Deleted()), nil
	case opDefault:
		if st.def.IsNull() {
			return sqltype.NullOf(st.kind), nil
		}
		return st.def.As(st.kind), nil
	case opText, opDecimal, opList:
	default:
		return sqltype.NullOf(st.kind), nil
	}
	b, err := p.text(r, st.text)
	if err != nil {
		return v, err
	}
	switch st.op {
	case opText:
		return sqltype.NewString(st.kind, shared(b)), nil
	case opDecimal:
		d, ok := readDecimal(b)
		if !ok {
			return v, damaged("decimal of %d bytes", len(b))
		}
		return sqltype.NewDecimal(d), nil
	}
	list, err := readList(b)
	if err != nil {
		return v, err
	}
	if st.kind == sqltype.Record {
		return sqltype.NewRecord(list), nil
	}
	return sqltype.NewArray(list), nil
}

func (st *step) int(r Row) int64 {
	switch st.op {
	case opInt16:
		return int64(int16(binary.LittleEndian.Uint16(r[st.at:])))
	case opInt32:
		return int64(int32(binary.LittleEndian.Uint32(r[st.at:])))
	case opInt64:
		return int64(binary.LittleEndian.Uint64(r[st.at:]))
	case opSeq:
		return int64(r.Seq())
	}
	return r.UpdatedAt()
}

func (st *step) float(r Row) float64 {
	if st.op == opFloat32 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(r[st.at:])))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(r[st.at:]))
}
