package tpch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/binder"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Database is a read-only database whose tables are columns in memory, in the
// order of their primary keys. It may be used from several goroutines.
type Database struct {
	// Compiler prepares the queries of Run.
	Compiler *sql.Compiler
	tables   map[ident.TableName]*columns
}

var (
	_ binder.Catalog   = (*Database)(nil)
	_ exec.Snapshot    = snapshot{}
	_ exec.Partitioned = (*columns)(nil)
	_ exec.Scanner     = (*scanner)(nil)
)

// NewDatabase makes a database of TPC-H's tables with the rows of a scale
// factor.
func NewDatabase(scale float64, opts sql.Options) (*Database, error) {
	db := &Database{Compiler: sql.NewCompiler(opts), tables: map[ident.TableName]*columns{}}
	for _, t := range Tables {
		if err := db.Create(t.Name, t.Columns); err != nil {
			return nil, err
		}
	}
	err := NewGenerator(scale).Rows(func(table, row string) error {
		return db.tables[ident.TableName(table)].add(strings.Split(row, ", "))
	})
	if err != nil {
		return nil, err
	}
	for _, t := range db.tables {
		t.finish()
	}
	return db, nil
}

// Create adds an empty table with columns as CREATE TABLE spells them.
func (db *Database) Create(name, spec string) error {
	stmt, err := parser.Parse(fmt.Sprintf("CREATE TABLE %s (%s)", name, spec))
	if err != nil {
		return fmt.Errorf("parse definition of %s: %w", name, err)
	}
	s := stmt.(*ast.CreateTable)
	def := &ddl.Table{ID: ident.TableID(len(db.tables) + 1), Namespace: "main", Name: ident.TableName(name), Type: ident.SharedTable, SchemaVersion: 1}
	t := &columns{def: def}
	for i := range s.Columns {
		c := &s.Columns[i]
		typ, err := binder.ResolveType(c.Type)
		if err != nil {
			return err
		}
		def.NextColumn++
		def.Columns = append(def.Columns, ddl.Column{ID: def.NextColumn, Name: c.Name, Type: typ, NotNull: c.NotNull || c.PrimaryKey})
		if c.PrimaryKey {
			def.PrimaryKey = append(def.PrimaryKey, def.NextColumn)
		}
		t.builders = append(t.builders, vector.NewBuilder(typ, 0))
	}
	for _, k := range s.PrimaryKey {
		o, ok := def.Ordinal(k.Name)
		if !ok {
			return fmt.Errorf("no column %s", k.Name)
		}
		def.PrimaryKey = append(def.PrimaryKey, def.Columns[o].ID)
	}
	db.tables[def.Name] = t
	return nil
}

// Load fills a table that Create made, column by column. Rows must come in
// the order of the primary key where the table has one.
func (db *Database) Load(name string, cols []*vector.Vector) {
	t := db.tables[ident.TableName(name)]
	t.cols, t.n, t.key = cols, cols[0].Len(), t.def.KeyOrdinals()
	t.measure()
}

// Version numbers the catalog's state; it never changes.
func (db *Database) Version() uint64 { return 1 }

// View finds no view.
func (db *Database) View(ident.NamespaceID, ident.TableName) (*ddl.View, bool) { return nil, false }

// Table finds a table's definition.
func (db *Database) Table(_ ident.NamespaceID, name ident.TableName) (*ddl.Table, error) {
	if t := db.tables[name]; t != nil {
		return t.def, nil
	}
	return nil, dberr.Newf(dberr.TableNotFound, "table %s does not exist", name)
}

// Snapshot is the database as queries read it.
func (db *Database) Snapshot() exec.Snapshot { return snapshot{db} }

// Run runs a query and gives each batch to visit.
func (db *Database) Run(ctx context.Context, env exec.Env, text string, visit func(*vector.Batch)) error {
	p, err := db.Compiler.Prepare(ctx, sql.Request{Text: text, Namespace: "main", Catalog: db, Rows: db.rows})
	if err != nil {
		return err
	}
	env.Snapshot = db.Snapshot()
	rows, err := p.Query(ctx, &env)
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		b, err := rows.Next(ctx)
		if b == nil || err != nil {
			return err
		}
		visit(b)
	}
}

func (db *Database) rows(t *ddl.Table) int64 { return db.tables[t.Name].Rows() }

type snapshot struct{ db *Database }

func (s snapshot) Table(_ context.Context, t *ddl.Table) (exec.Table, error) {
	return s.db.tables[t.Name], nil
}

// columns is one table.
type columns struct {
	def      *ddl.Table
	key      []int
	builders []*vector.Builder
	cols     []*vector.Vector
	// zones are, by column, those of its blocks.
	zones [][]zone
	n     int
}

// add takes a row's values, spelled for VALUES.
func (t *columns) add(fields []string) error {
	if len(fields) != len(t.builders) {
		return fmt.Errorf("table %s: %d values for %d columns", t.def.Name, len(fields), len(t.builders))
	}
	t.n++
	for i, f := range fields {
		typ := t.def.Columns[i].Type
		f = strings.Trim(f, "'")
		switch typ.Kind {
		case sqltype.Decimal:
			d, err := decimal.Parse(f)
			if err == nil {
				d, err = d.Rescale(int32(typ.Scale))
			}
			if err != nil {
				return err
			}
			t.builders[i].AppendDecimal(d)
		case sqltype.Text:
			t.builders[i].AppendString(f)
		default:
			v, err := sqltype.Parse(f, typ)
			if err != nil {
				return err
			}
			t.builders[i].Append(v)
		}
	}
	return nil
}

// finish puts the rows in the order of the key.
func (t *columns) finish() {
	t.key = t.def.KeyOrdinals()
	for _, b := range t.builders {
		t.cols = append(t.cols, b.Finish())
	}
	t.builders = nil
	order := make([]int32, t.n)
	for i := range order {
		order[i] = int32(i)
	}
	by := func(a, b int32) int {
		for _, k := range t.key {
			if c := cmp.Compare(t.cols[k].Ints[a], t.cols[k].Ints[b]); c != 0 {
				return c
			}
		}
		return 0
	}
	if !slices.IsSortedFunc(order, by) {
		slices.SortFunc(order, by)
		for i, c := range t.cols {
			t.cols[i] = c.Gather(order)
		}
	}
	t.measure()
}

// measure makes the zones of complete columns.
func (t *columns) measure() {
	t.zones = make([][]zone, len(t.cols))
	for i, c := range t.cols {
		t.zones[i] = zones(c)
	}
}

// Rows is how many rows there are.
func (t *columns) Rows() int64 { return int64(t.n) }

// column is rows from to to of a scan ordinal. Columns of the system are
// constants.
func (t *columns) column(ord, from, to int) *vector.Vector {
	if ord < len(t.cols) {
		return t.cols[ord].Slice(from, to)
	}
	typ := t.def.ScanType(ord)
	if typ.Kind == sqltype.Boolean {
		return vector.NewConst(typ, sqltype.NewBool(false), to-from)
	}
	return vector.NewConst(typ, sqltype.NewInt(typ.Kind, 1), to-from)
}

// Get reads a row by its key.
func (t *columns) Get(_ context.Context, key sqltype.Row, cols []int, _ bool, dst sqltype.Row) (bool, error) {
	from, to := t.span(&exec.KeyRange{Prefix: key})
	if from == to {
		return false, nil
	}
	for i, c := range cols {
		dst[i] = t.column(c, from, to).Value(0)
	}
	return true, nil
}

// span is the rows of a range.
func (t *columns) span(r *exec.KeyRange) (from, to int) {
	compare := func(row int, end sqltype.Value) int {
		for i, v := range r.Prefix {
			if c := sqltype.Compare(t.cols[t.key[i]].Value(row), v); c != 0 {
				return c
			}
		}
		if end.IsNull() {
			return 0
		}
		return sqltype.Compare(t.cols[t.key[len(r.Prefix)]].Value(row), end)
	}
	from = sort.Search(t.n, func(row int) bool {
		c := compare(row, r.Low)
		return c > 0 || c == 0 && !r.LowOpen
	})
	to = sort.Search(t.n, func(row int) bool {
		c := compare(row, r.High)
		return c > 0 || c == 0 && r.HighOpen
	})
	return from, max(from, to)
}

// Scan reads rows in the order of the key.
func (t *columns) Scan(_ context.Context, req exec.ScanRequest) (exec.Scanner, error) {
	s := &scanner{t: t, cols: req.Columns}
	if req.Ranges == nil {
		s.spans = [][2]int{{0, t.n}}
	}
	for i := range req.Ranges {
		from, to := t.span(&req.Ranges[i])
		s.spans = append(s.spans, [2]int{from, to})
	}
	s.spans = t.skip(s.spans, req.Bounds)
	if req.Reverse && req.Ordered {
		s.reverse = true
		slices.Reverse(s.spans)
	}
	return s, nil
}

// morsel is how many rows the reader of a part takes at a time.
const morsel = 16 * vector.BatchSize

// ScanParts gives parts that take morsels from one counter.
func (t *columns) ScanParts(ctx context.Context, req exec.ScanRequest, n int) ([]exec.Scanner, error) {
	all, err := t.Scan(ctx, req)
	if err != nil {
		return nil, err
	}
	var morsels [][2]int
	for _, s := range all.(*scanner).spans {
		for from := s[0]; from < s[1]; from += morsel {
			morsels = append(morsels, [2]int{from, min(from+morsel, s[1])})
		}
	}
	next := new(atomic.Int64)
	out := make([]exec.Scanner, n)
	for i := range out {
		out[i] = &scanner{t: t, cols: req.Columns, morsels: morsels, next: next}
	}
	return out, nil
}

type scanner struct {
	t       *columns
	cols    []int
	spans   [][2]int
	reverse bool
	// morsels, in a part of a scan, are what all parts share, next is the
	// first that none has taken.
	morsels [][2]int
	next    *atomic.Int64
}

// Next gives the next rows.
func (s *scanner) Next(ctx context.Context) (*vector.Batch, error) {
	for len(s.spans) > 0 && s.spans[0][0] == s.spans[0][1] {
		s.spans = s.spans[1:]
	}
	if len(s.spans) == 0 && s.next != nil {
		if at := s.next.Add(1) - 1; at < int64(len(s.morsels)) {
			s.spans = append(s.spans, s.morsels[at])
		}
	}
	if len(s.spans) == 0 {
		return nil, ctx.Err()
	}
	span := &s.spans[0]
	from, to := span[0], min(span[0]+vector.BatchSize, span[1])
	if s.reverse {
		from, to = max(span[1]-vector.BatchSize, span[0]), span[1]
		span[1] = from
	} else {
		span[0] = to
	}
	out := make([]*vector.Vector, len(s.cols))
	for i, c := range s.cols {
		out[i] = s.t.column(c, from, to)
	}
	b := vector.NewBatch(out, to-from)
	if s.reverse {
		b.Sel = make([]int32, to-from)
		for i := range b.Sel {
			b.Sel[i] = int32(to - from - 1 - i)
		}
	}
	return b, nil
}

// Close ends the scan.
func (s *scanner) Close() { s.spans = nil }
