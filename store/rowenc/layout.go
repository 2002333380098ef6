package rowenc

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/kv"
)

const (
	// MaxColumns is how many columns a row may have.
	MaxColumns = 4096
	// MaxRowSize is how many bytes a row may take.
	MaxRowSize = kv.MaxValueSize
)

// The ids of the columns that are read from the header. No stored column has
// one of them.
const (
	SeqColumn     uint32 = math.MaxUint32 - iota // a BIGINT
	UpdatedColumn                                // a TIMESTAMP
	DeletedColumn                                // a BOOLEAN
	firstReserved
)

// Column is a column of a schema version.
type Column struct {
	// ID is the column's number in its table. It is never used for another
	// column, which is what lets rows outlive schema versions.
	ID   uint32
	Type sqltype.Type
}

// op says how a column's values are stored.
type op uint8

const (
	opNone op = iota // always NULL, nothing stored
	// In fixed places:
	opBool
	opInt16
	opInt32
	opInt64
	opFloat32
	opFloat64
	opUUID
	opInterval
	// Behind one another, found by their ends:
	opText
	opDecimal
	opList
	// From the header or from nowhere; decoding only:
	opSeq
	opUpdated
	opDeleted
	opDefault
)

var fixedWidth = [...]int{
	opBool: 1, opInt16: 2, opInt32: 4, opInt64: 8, opFloat32: 4, opFloat64: 8, opUUID: uuidLen, opInterval: 16,
	opText: 0, opDecimal: 0, opList: 0,
}

const uuidLen = 16

func opOf(k sqltype.Kind) op {
	switch k {
	case sqltype.Boolean:
		return opBool
	case sqltype.SmallInt:
		return opInt16
	case sqltype.Integer, sqltype.Date:
		return opInt32
	case sqltype.BigInt, sqltype.Time, sqltype.Timestamp:
		return opInt64
	case sqltype.Float:
		return opFloat32
	case sqltype.Double:
		return opFloat64
	case sqltype.UUID:
		return opUUID
	case sqltype.Interval:
		return opInterval
	case sqltype.Text, sqltype.JSON, sqltype.Bytes:
		return opText
	case sqltype.Decimal:
		return opDecimal
	case sqltype.Array, sqltype.Record:
		return opList
	}
	return opNone
}

// slot is where a column stands in a row.
type slot struct {
	op op
	// bit is its place in the null bitmap: its rank by column id.
	bit int
	// at is where a fixed value starts, from the start of the row.
	at int
	// text is the rank of a value that is found by its end.
	text int
}

// Layout is the places of a schema version's columns. It never changes and
// may be used from several goroutines.
type Layout struct {
	version uint32
	columns []Column
	slots   []slot // by the same ordinals
	// texts are the ordinals of the values that are found by their ends, in
	// the order in which they are stored.
	texts []int
	// ends is where the ends of the texts start.
	ends int
}

// NewLayout prepares a schema version. The ordinals of rows are those of
// columns; the bytes depend on their ids alone.
func NewLayout(version uint32, columns []Column) (*Layout, error) {
	if len(columns) > MaxColumns {
		return nil, dberr.Newf(dberr.TooLarge, "A table of %d columns has more than the limit of %d.", len(columns), MaxColumns)
	}
	l := &Layout{version: version, columns: slices.Clone(columns), slots: make([]slot, len(columns))}
	byID := make([]int, len(columns))
	for i := range byID {
		byID[i] = i
	}
	slices.SortFunc(byID, func(a, b int) int { return cmp.Compare(columns[a].ID, columns[b].ID) })
	at := headerLen + (len(columns)+7)/8
	for bit, i := range byID {
		c := columns[i]
		if c.ID >= firstReserved {
			return nil, dberr.Newf(dberr.Internal, "column id %d is reserved", c.ID)
		}
		if bit > 0 && columns[byID[bit-1]].ID == c.ID {
			return nil, dberr.Newf(dberr.Internal, "column id %d stands twice in schema version %d", c.ID, version)
		}
		s := &l.slots[i]
		s.op, s.bit = opOf(c.Type.Kind), bit
		if s.op >= opText {
			s.text = len(l.texts)
			l.texts = append(l.texts, i)
		} else if s.op != opNone {
			s.at = at
			at += fixedWidth[s.op]
		}
	}
	l.ends = at
	return l, nil
}

// Version is the schema version.
func (l *Layout) Version() uint32 { return l.version }

// Columns are the columns by their ordinals. They must not be changed.
func (l *Layout) Columns() []Column { return l.columns }

// start is where the texts themselves start.
func (l *Layout) start(flags byte) int {
	if flags&flagWide != 0 {
		return l.ends + 4*len(l.texts)
	}
	return l.ends + 2*len(l.texts)
}

// find is the slot of a column id, or false.
func (l *Layout) find(id uint32) (slot, sqltype.Type, bool) {
	for i, c := range l.columns {
		if c.ID == id {
			return l.slots[i], c.Type, true
		}
	}
	return slot{}, sqltype.Type{}, false
}

// Append appends the bytes of a row: one value for each column, by ordinal.
// Its benchmark is BenchmarkAppend.
//
// Errors: VALUE_OUT_OF_RANGE for an integer that its column's width does not
// hold, TOO_LARGE past MaxRowSize, INTERNAL for a value of another
// representation than its column's.
func (l *Layout) Append(dst []byte, h Header, row []sqltype.Value) ([]byte, error) {
	if len(row) != len(l.columns) {
		return dst, dberr.Newf(dberr.Internal, "a row of %d values for %d columns", len(row), len(l.columns))
	}
	var flags byte
	size := 0
	for _, i := range l.texts {
		n, err := textSize(row[i], l.columns[i].Type, 0)
		if err != nil {
			return dst, err
		}
		size += n
	}
	if size > math.MaxUint16 {
		flags |= flagWide
	}
	start := l.start(flags)
	if size += start; size > MaxRowSize {
		return dst, dberr.Newf(dberr.TooLarge, "A row of %d bytes is larger than the limit of %d.", size, MaxRowSize)
	}
	from := len(dst)
	out := slices.Grow(dst, size)[:from+start]
	b := out[from:]
	clear(b)
	b[atFormat], b[atFlags] = formatVersion, flags
	binary.LittleEndian.PutUint16(b[atColumns:], uint16(len(row)))
	binary.LittleEndian.PutUint32(b[atSchema:], l.version)
	h.put(b)
	for i := range l.slots {
		s, v := &l.slots[i], &row[i]
		if v.IsNull() || s.op == opNone {
			b[headerLen+s.bit>>3] |= 1 << (s.bit & 7)
			continue
		}
		if s.op >= opText {
			continue
		}
		if v.Kind().Physical() != l.columns[i].Type.Physical() {
			return dst, mismatch(*v, l.columns[i].Type)
		}
		if !putFixed(b[s.at:], s.op, *v) {
			return dst, dberr.Newf(dberr.ValueOutOfRange, "The value %s is out of the range of %s.", v.Text(), l.columns[i].Type)
		}
	}
	end := l.ends
	for _, i := range l.texts {
		if v := &row[i]; !v.IsNull() {
			if l.slots[i].op == opText {
				out = append(out, v.Str()...)
			} else {
				out = appendText(out, *v)
			}
		}
		if flags&flagWide != 0 {
			binary.LittleEndian.PutUint32(out[from+end:], uint32(len(out)-from-start))
			end += 4
		} else {
			binary.LittleEndian.PutUint16(out[from+end:], uint16(len(out)-from-start))
			end += 2
		}
	}
	return out, nil
}

func mismatch(v sqltype.Value, t sqltype.Type) error {
	return dberr.Newf(dberr.Internal, "a value of type %s for a column of type %s", v.Kind(), t)
}

// putFixed writes a value in its place. It answers false when the width of an
// integer does not hold it.
func putFixed(b []byte, o op, v sqltype.Value) bool {
	switch o {
	case opBool:
		if v.Bool() {
			b[0] = 1
		}
	case opInt16:
		n := v.Int()
		binary.LittleEndian.PutUint16(b, uint16(n))
		return n == int64(int16(n))
	case opInt32:
		n := v.Int()
		binary.LittleEndian.PutUint32(b, uint32(n))
		return n == int64(int32(n))
	case opInt64:
		binary.LittleEndian.PutUint64(b, uint64(v.Int()))
	case opFloat32:
		binary.LittleEndian.PutUint32(b, math.Float32bits(float32(v.Float())))
	case opFloat64:
		binary.LittleEndian.PutUint64(b, math.Float64bits(v.Float()))
	case opUUID:
		s := v.Str()
		copy(b[:uuidLen], s)
		return len(s) == uuidLen
	case opInterval:
		putInterval(b, v.Interval())
	}
	return true
}
