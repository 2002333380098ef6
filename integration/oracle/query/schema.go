package query

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Column is a column of a table.
type Column struct {
	Name string
	Type Type
	// Decl is its type as CREATE TABLE spells it, with constraints.
	Decl    string
	NotNull bool
	// Length is a varchar's, 0 where there is none.
	Length int
}

// Table is a table and its rows, each value spelled as a literal.
type Table struct {
	Name    string
	Columns []Column
	Rows    [][]string
	// Key says that column 0, id, is a primary key.
	Key bool

	large bool
}

// Schema is the tables that statements of one round run over.
type Schema struct {
	Tables []*Table
	// Wild says that the data has extreme values, on which many operators
	// fail.
	Wild bool

	dialect *dialect
}

// NewSchema makes tables with data. Each has a unique id, an integer k for
// joins with few different values, and columns of random types.
func NewSchema(r *rand.Rand, wild bool) *Schema { return newSchema(r, postgresql, wild) }

// NewPortableSchema makes tables of the types, for statements in the part of
// the language, that KalamDB, PostgreSQL and DuckDB have in common.
func NewPortableSchema(r *rand.Rand) *Schema { return newSchema(r, portable, false) }

func newSchema(r *rand.Rand, d *dialect, wild bool) *Schema {
	s := &Schema{Wild: wild, dialect: d}
	sizes := []int{0, 1, 4, 8, 15, 30}
	for i := range 3 {
		n := sizes[2+r.IntN(len(sizes)-2)]
		if r.IntN(6) == 0 {
			n = sizes[r.IntN(len(sizes))]
		}
		s.Tables = append(s.Tables, newTable(r, d, fmt.Sprintf("t%d", i), n, wild))
	}
	return s
}

// Large adds many copies of the rows of a table, so that they fill several
// batches, with many values for k.
func (t *Table) Large(rows int) {
	if len(t.Rows) == 0 {
		return
	}
	t.large = true
	n := len(t.Rows)
	for i := n; i < rows; i++ {
		row := append([]string(nil), t.Rows[i%n]...)
		row[0] = fmt.Sprint(i + 1)
		if row[1] != "NULL" {
			row[1] = fmt.Sprint(i % manyKeys)
		}
		t.Rows = append(t.Rows, row)
	}
}

// manyKeys is how many values k has in a large table.
const manyKeys = 97

func newTable(r *rand.Rand, d *dialect, name string, rows int, wild bool) *Table {
	t := &Table{Name: name, Key: r.IntN(2) == 0}
	id := Column{Name: "id", Type: Int4, Decl: "integer NOT NULL", NotNull: true}
	if t.Key {
		id.Decl = "integer PRIMARY KEY"
	}
	t.Columns = []Column{id, {Name: "k", Type: Int4, Decl: "integer"}, {Name: "s", Type: Text, Decl: "text"}}
	for i := range 4 + r.IntN(5) {
		t.Columns = append(t.Columns, newColumn(r, d, i))
	}
	for i := range rows {
		t.Rows = append(t.Rows, t.randomRow(r, i+1, wild))
	}
	return t
}

func newColumn(r *rand.Rand, d *dialect, i int) Column {
	typ := pick(r, d.storable)
	c := Column{Name: fmt.Sprintf("%s_%d", typ, i), Type: typ, Decl: typ.SQL()}
	switch {
	case d.decimal != "" && typ == Numeric:
		c.Decl = d.decimal
	case typ == Numeric && r.IntN(2) == 0:
		c.Decl = "numeric(12,3)"
	case typ == Numeric:
		c.Decl = "numeric(38,10)"
	case typ == Text && r.IntN(3) == 0:
		c.Decl, c.Length = "varchar(14)", 14
	}
	if r.IntN(5) == 0 {
		c.Decl += " NOT NULL"
		c.NotNull = true
	}
	return c
}

func (t *Table) randomRow(r *rand.Rand, id int, wild bool) []string {
	row := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		row[i] = t.randomCell(r, c, wild)
	}
	row[0] = fmt.Sprint(id)
	if row[1] != "NULL" {
		row[1] = fmt.Sprint(r.IntN(5))
	}
	return row
}

func (t *Table) randomCell(r *rand.Rand, c Column, wild bool) string {
	if !c.NotNull && r.IntN(5) == 0 {
		return "NULL"
	}
	vs := values(c.Type, wild && !strings.Contains(c.Decl, "("))
	return cell(c.Type, vs[r.IntN(len(vs))])
}

// Create is the statements that make the table with its rows.
func (t *Table) Create() []string {
	var cols []string
	for _, c := range t.Columns {
		cols = append(cols, c.Name+" "+c.Decl)
	}
	out := []string{fmt.Sprintf("CREATE TABLE %s (%s)", t.Name, strings.Join(cols, ", "))}
	const chunk = 500
	for from := 0; from < len(t.Rows); from += chunk {
		var rows []string
		for _, row := range t.Rows[from:min(from+chunk, len(t.Rows))] {
			rows = append(rows, "("+strings.Join(row, ", ")+")")
		}
		out = append(out, fmt.Sprintf("INSERT INTO %s VALUES %s", t.Name, strings.Join(rows, ", ")))
	}
	return out
}

// Contents is the query that compares the table's rows.
func (t *Table) Contents() string {
	var cols []string
	for _, c := range t.Columns {
		cols = append(cols, c.Name)
	}
	return fmt.Sprintf("SELECT %s FROM %s", strings.Join(cols, ", "), t.Name)
}

// Copy is a table with the same columns and the rows that keep says.
func (t *Table) Copy(keep func(i int) bool) *Table {
	c := *t
	c.Rows = nil
	for i, row := range t.Rows {
		if keep(i) {
			c.Rows = append(c.Rows, row)
		}
	}
	return &c
}

// Without is the table without a column, which may not be the first.
func (t *Table) Without(col int) *Table {
	c := *t
	c.Columns = append(append([]Column(nil), t.Columns[:col]...), t.Columns[col+1:]...)
	c.Rows = nil
	for _, row := range t.Rows {
		c.Rows = append(c.Rows, append(append([]string(nil), row[:col]...), row[col+1:]...))
	}
	return &c
}

// IDs are the values of the column id.
func (t *Table) IDs() []string {
	out := make([]string, len(t.Rows))
	for i, row := range t.Rows {
		out[i] = row[0]
	}
	return out
}
