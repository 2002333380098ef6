package wireconv

import (
	"strconv"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Column names a column of a result and its type.
type Column struct {
	Name string
	Type sqltype.Type
}

// Encoder appends the rows of one result. It is immutable and may be used
// from several goroutines.
type Encoder struct {
	columns []Column
	format  Format
	// before[i] is what stands before the value of column i: the bracket or
	// comma and, in an object, the key.
	before [][]byte
	end    string
}

// NewEncoder makes an Encoder. Equal names are made unique, because an object
// with a key twice would lose a value.
func NewEncoder(columns []Column, format Format) *Encoder {
	e := &Encoder{columns: UniqueNames(columns), format: format, end: "}"}
	open := byte('{')
	if format.Arrays {
		open, e.end = '[', "]"
	}
	size := 0
	for _, c := range e.columns {
		size += len(c.Name) + 8
	}
	keys := make([]byte, 0, size)
	e.before = make([][]byte, len(e.columns))
	for i, c := range e.columns {
		start := len(keys)
		if i == 0 {
			keys = append(keys, open)
		} else {
			keys = append(keys, ',')
		}
		if !format.Arrays {
			keys = append(AppendString(keys, c.Name), ':')
		}
		e.before[i] = keys[start:len(keys):len(keys)]
	}
	return e
}

// UniqueNames gives every column a name of its own: the second "a" becomes
// "a_2". It returns its argument when there is nothing to do.
func UniqueNames(columns []Column) []Column {
	if !hasDuplicate(columns) {
		return columns
	}
	taken := make(map[string]bool, len(columns))
	for _, c := range columns {
		taken[c.Name] = true
	}
	seen := make(map[string]int, len(columns))
	out := make([]Column, len(columns))
	for i, c := range columns {
		out[i] = c
		seen[c.Name]++
		if seen[c.Name] == 1 {
			continue
		}
		for n := seen[c.Name]; ; n++ {
			name := c.Name + "_" + strconv.Itoa(n)
			if !taken[name] {
				taken[name] = true
				seen[c.Name] = n
				out[i].Name = name
				break
			}
		}
	}
	return out
}

func hasDuplicate(columns []Column) bool {
	if len(columns) <= 16 {
		for i := range columns {
			for j := range i {
				if columns[i].Name == columns[j].Name {
					return true
				}
			}
		}
		return false
	}
	seen := make(map[string]bool, len(columns))
	for _, c := range columns {
		if seen[c.Name] {
			return true
		}
		seen[c.Name] = true
	}
	return false
}

// Columns are the columns with their unique names.
func (e *Encoder) Columns() []Column { return e.columns }

// AppendHead appends the members "columns" and "schema" of a result, without
// the braces around them.
func (e *Encoder) AppendHead(dst []byte) []byte {
	dst = append(dst, `"columns":[`...)
	for i, c := range e.columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, c.Name)
	}
	return e.AppendSchema(append(dst, "],"...))
}

// AppendSchema appends the member "schema".
func (e *Encoder) AppendSchema(dst []byte) []byte {
	dst = append(dst, `"schema":[`...)
	for i, c := range e.columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(append(dst, `{"name":`...), c.Name)
		dst = AppendString(append(dst, `,"type":`...), c.Type.String())
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// AppendRow appends the i-th row of the batch that counts.
//
// Benchmark: BenchmarkBatch.
func (e *Encoder) AppendRow(dst []byte, b *vector.Batch, i int) []byte {
	if len(e.before) == 0 {
		return e.appendEmpty(dst)
	}
	r := b.Row(i)
	for c, before := range e.before {
		dst = append(dst, before...)
		v := b.Cols[c]
		at := v.Index(r)
		if v.Valid != nil && !v.Valid.Get(at) {
			dst = append(dst, "null"...)
			continue
		}
		k := v.Type.Kind
		switch k.Physical() {
		case sqltype.PhysBool:
			dst = strconv.AppendBool(dst, v.Bools[at])
		case sqltype.PhysInt:
			dst = appendInt(dst, k, v.Ints[at], e.format)
		case sqltype.PhysFloat:
			dst = appendFloat(dst, k, v.Floats[at])
		case sqltype.PhysDecimal:
			dst = append(v.Decimals[at].Append(append(dst, '"')), '"')
		case sqltype.PhysString:
			dst = appendStr(dst, k, v.Str(at))
		case sqltype.PhysInterval:
			dst = append(v.Intervals[at].Append(append(dst, '"')), '"')
		case sqltype.PhysList:
			dst = appendList(dst, v.Lists[at], e.format)
		default:
			dst = append(dst, "null"...)
		}
	}
	return append(dst, e.end...)
}

// AppendValues appends one row of single values; values that are missing at
// the end are null.
func (e *Encoder) AppendValues(dst []byte, row sqltype.Row) []byte {
	if len(e.before) == 0 {
		return e.appendEmpty(dst)
	}
	for c, before := range e.before {
		dst = append(dst, before...)
		if c >= len(row) {
			dst = append(dst, "null"...)
			continue
		}
		dst = AppendValue(dst, row[c], e.format)
	}
	return append(dst, e.end...)
}

// appendEmpty appends a row without columns.
func (e *Encoder) appendEmpty(dst []byte) []byte {
	if e.format.Arrays {
		return append(dst, "[]"...)
	}
	return append(dst, "{}"...)
}
