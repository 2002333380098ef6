package segment

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/store/rowenc"
)

// RowIDColumn is the id of the hidden row id, a BIGINT, in tables without a
// primary key. It stands beside rowenc.SeqColumn and its like.
const RowIDColumn = rowenc.DeletedColumn - 1

// rowIDName is the row id's name for other programs.
const rowIDName = "_row_id"

// Column is a declared column of a table.
type Column struct {
	ID   uint32
	Name string
	Type sqltype.Type
	// Default is what a row gets that was written before the column was added.
	// The zero Value is NULL.
	Default sqltype.Value
}

// Schema is a version of a table as its segments keep it.
type Schema struct {
	Table   ident.TableID
	Version uint32
	// Columns are the declared columns in declared order.
	Columns []Column
	// Key lists the ordinals of the primary key's columns in key order. Without
	// any, the rows have a row id as their key, 8 bytes big-endian.
	Key []int
}

// class is how a column's values are stored in Parquet.
type class uint8

// The classes. Their numbers are in the files.
const (
	classBool class = iota + 1
	classInt32
	classInt64
	classFloat
	classDouble
	classBytes
	classUUID
	classDecimal32
	classDecimal64
	classDecimal128
	// classDecimalText is for decimals without a fixed scale, as text.
	classDecimalText
	// classInterval is months, days and microseconds, big-endian.
	classInterval
	classEnd
)

const fixedLen = 16

func classOf(t sqltype.Type) (class, error) {
	switch t.Kind {
	case sqltype.Boolean:
		return classBool, nil
	case sqltype.SmallInt, sqltype.Integer, sqltype.Date:
		return classInt32, nil
	case sqltype.BigInt, sqltype.Time, sqltype.Timestamp:
		return classInt64, nil
	case sqltype.Float:
		return classFloat, nil
	case sqltype.Double:
		return classDouble, nil
	case sqltype.Text, sqltype.JSON, sqltype.Bytes:
		return classBytes, nil
	case sqltype.UUID:
		return classUUID, nil
	case sqltype.Interval:
		return classInterval, nil
	case sqltype.Decimal:
		switch p := t.Precision; {
		case p <= 0 || p > sqltype.MaxDecimalPrecision || t.Scale < 0 || t.Scale > p:
			return classDecimalText, nil
		case p <= 9:
			return classDecimal32, nil
		case p <= 18:
			return classDecimal64, nil
		}
		return classDecimal128, nil
	}
	return 0, dberr.Newf(dberr.Internal, "values of type %s cannot be stored in a segment", t)
}

// stored is a column of a file.
type stored struct {
	id   uint32
	name string
	typ  sqltype.Type
	// class is that of the elements, when it is a list.
	class class
	list  bool
	// required columns have no NULLs and no levels.
	required bool
}

// elem is the type of single values.
func (s *stored) elem() sqltype.Type {
	if s.list {
		return s.typ.ElemType()
	}
	return s.typ
}

// storedColumns are the declared columns followed by those that the server
// keeps.
func storedColumns(schema *Schema) ([]stored, error) {
	if len(schema.Columns) > rowenc.MaxColumns {
		return nil, dberr.Newf(dberr.TooLarge, "A table of %d columns has more than the limit of %d.", len(schema.Columns), rowenc.MaxColumns)
	}
	cols := make([]stored, 0, len(schema.Columns)+4)
	ids, names := map[uint32]bool{}, map[string]bool{}
	for _, c := range schema.Columns {
		s := stored{id: c.ID, name: c.Name, typ: c.Type}
		elem := c.Type
		if c.Type.Kind == sqltype.Array {
			s.list, elem = true, c.Type.ElemType()
		}
		var err error
		if s.class, err = classOf(elem); err != nil {
			return nil, err
		}
		if c.ID >= RowIDColumn || ids[c.ID] || names[c.Name] {
			return nil, dberr.Newf(dberr.Internal, "column %q of table %d has a name or id that is taken", c.Name, schema.Table)
		}
		ids[c.ID], names[c.Name] = true, true
		cols = append(cols, s)
	}
	for _, o := range schema.Key {
		if o < 0 || o >= len(cols) || cols[o].list {
			return nil, dberr.Newf(dberr.Internal, "column %d of table %d cannot be a key", o, schema.Table)
		}
		cols[o].required = true
	}
	system := []stored{
		{id: rowenc.SeqColumn, name: sysname.Seq, typ: sqltype.TBigInt, class: classInt64, required: true},
		{id: rowenc.UpdatedColumn, name: sysname.Updated, typ: sqltype.TTimestamp, class: classInt64, required: true},
		{id: rowenc.DeletedColumn, name: sysname.Deleted, typ: sqltype.TBoolean, class: classBool, required: true},
	}
	if len(schema.Key) == 0 {
		system = append(system, stored{id: RowIDColumn, name: rowIDName, typ: sqltype.TBigInt, class: classInt64, required: true})
	}
	for _, s := range system {
		for names[s.name] {
			s.name += "_"
		}
		names[s.name] = true
		cols = append(cols, s)
	}
	return cols, nil
}

// fieldID is the id that other programs see: the column's own, and numbers
// from the end of the range for the server's.
func fieldID(id uint32) int {
	if id >= RowIDColumn {
		return int(id - math.MaxUint32/2 - 1)
	}
	return int(id & math.MaxInt32)
}

// node is the column's place in the Parquet schema.
func (s *stored) node(dictionary bool) parquet.Node {
	n := s.leaf(dictionary)
	switch {
	case s.list:
		n = parquet.Optional(parquet.List(parquet.Optional(n)))
	case !s.required:
		n = parquet.Optional(n)
	}
	return parquet.FieldID(n, fieldID(s.id))
}

func (s *stored) leaf(dictionary bool) parquet.Node {
	t := s.elem()
	switch s.class {
	case classBool:
		return parquet.Leaf(parquet.BooleanType)
	case classInt32:
		n := parquet.Int(32)
		switch t.Kind {
		case sqltype.SmallInt:
			n = parquet.Int(16)
		case sqltype.Date:
			n = parquet.Date()
		}
		return parquet.Encoded(n, &parquet.DeltaBinaryPacked)
	case classInt64:
		n := parquet.Int(64)
		switch t.Kind {
		case sqltype.Time:
			n = parquet.TimeAdjusted(parquet.Microsecond, false)
		case sqltype.Timestamp:
			n = parquet.Timestamp(parquet.Microsecond)
		}
		return parquet.Encoded(n, &parquet.DeltaBinaryPacked)
	case classFloat:
		return parquet.Leaf(parquet.FloatType)
	case classDouble:
		return parquet.Leaf(parquet.DoubleType)
	case classUUID:
		return parquet.UUID()
	case classDecimal32:
		return parquet.Encoded(parquet.Decimal(int(t.Scale), int(t.Precision), parquet.Int32Type), &parquet.DeltaBinaryPacked)
	case classDecimal64:
		return parquet.Encoded(parquet.Decimal(int(t.Scale), int(t.Precision), parquet.Int64Type), &parquet.DeltaBinaryPacked)
	case classDecimal128:
		return parquet.Decimal(int(t.Scale), int(t.Precision), parquet.FixedLenByteArrayType(fixedLen))
	case classInterval:
		return parquet.Leaf(parquet.FixedLenByteArrayType(fixedLen))
	}
	n := parquet.String()
	switch t.Kind {
	case sqltype.JSON:
		n = parquet.JSON()
	case sqltype.Bytes:
		n = parquet.Leaf(parquet.ByteArrayType)
	}
	if dictionary {
		return parquet.Encoded(n, &parquet.RLEDictionary)
	}
	return parquet.Encoded(n, &parquet.DeltaLengthByteArray)
}

// noBounds tells whether the library's statistics of the column would be
// wrong for other programs: it orders such values as bytes without a sign.
func (s *stored) noBounds() bool { return s.class == classDecimal128 || s.class == classInterval }

// record is the root of a Parquet schema whose columns keep their order, which
// parquet.Group does not do.
type record struct {
	parquet.Group
	fields []parquet.Field
}

// Fields implements parquet.Node.
func (r *record) Fields() []parquet.Field { return r.fields }

// GoType implements parquet.Node. No Go value is ever written as a row.
func (r *record) GoType() reflect.Type { return reflect.TypeFor[struct{}]() }

// String implements parquet.Node.
func (r *record) String() string {
	names := make([]string, len(r.fields))
	for i, f := range r.fields {
		names[i] = f.Name()
	}
	return fmt.Sprintf("message { %s }", strings.Join(names, ", "))
}

type field struct {
	parquet.Node
	name string
}

// Name implements parquet.Field.
func (f *field) Name() string { return f.name }

// Value implements parquet.Field. No Go value is ever written as a row.
func (f *field) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// parquetSchema makes the Parquet schema; dictionary names the columns that
// have one.
func parquetSchema(cols []stored, dictionary []bool) *parquet.Schema {
	r := &record{Group: parquet.Group{}}
	for i := range cols {
		r.fields = append(r.fields, &field{Node: cols[i].node(dictionary[i]), name: cols[i].name})
	}
	return parquet.NewSchema("kalamdb", r)
}

// path is the column's leaf in the Parquet schema.
func (s *stored) path() []string {
	if s.list {
		return []string{s.name, "list", "element"}
	}
	return []string{s.name}
}
