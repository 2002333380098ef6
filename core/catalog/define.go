package catalog

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// maxColumns is how many columns a table may have, as in PostgreSQL.
const maxColumns = 1600

// SnowflakeDefault is the DEFAULT of SERIAL and AUTO_INCREMENT columns.
const SnowflakeDefault = "SNOWFLAKE_ID()"

// CheckDefault checks a DEFAULT expression for a column of the type and gives
// its SQL text.
type CheckDefault func(x ast.Expr, t sqltype.Type) (string, error)

// Define makes a table's definition from a CREATE TABLE with columns. ns is
// the namespace that the name means. What depends on the state of the catalog
// is checked by Edit.CreateTable.
//
// Errors are coded and carry the place in sql, the statement's text.
func Define(stmt *ast.CreateTable, sql string, ns ident.NamespaceID, check CheckDefault) (*ddl.Table, error) {
	d := &definer{sql: sql, check: check}
	name, err := ident.ParseTable(stmt.Name.Name)
	if err != nil {
		return nil, at(err, stmt.Name.Pos, sql)
	}
	d.t = &ddl.Table{Namespace: ns, Name: name, Type: ident.SharedTable, Storage: sysname.DefaultStorage, NextColumn: 1}
	if stmt.Type != ast.TableUnset {
		if d.t.Type, err = ident.ParseTableType(stmt.Type.String()); err != nil {
			return nil, at(err, stmt.Pos, sql)
		}
	}
	if len(stmt.Columns) == 0 {
		return nil, d.errorf(stmt.Pos, "table %s needs at least one column", d.t.Ident())
	}
	if len(stmt.Columns) > maxColumns {
		return nil, d.errorf(stmt.Pos, "a table has at most %d columns, this one has %d", maxColumns, len(stmt.Columns))
	}
	for i := range stmt.Columns {
		if err := d.column(&stmt.Columns[i]); err != nil {
			return nil, err
		}
	}
	for _, k := range stmt.PrimaryKey {
		if err := d.keyColumn(k); err != nil {
			return nil, err
		}
	}
	if err := d.options(stmt.Options); err != nil {
		return nil, err
	}
	return d.t, nil
}

type definer struct {
	sql   string
	check CheckDefault
	t     *ddl.Table
}

func (d *definer) errorf(p ast.Pos, format string, args ...any) error {
	return dberr.Newf(dberr.InvalidSQL, format, args...).At(p.In(d.sql))
}

// at puts the place into a coded error that has none.
func at(err error, p ast.Pos, sql string) error {
	if e, ok := dberr.As(err); ok {
		return e.At(p.In(sql))
	}
	return err
}

// name checks that a column may have a name.
func (d *definer) name(name string, p ast.Pos) error {
	if err := ident.CheckColumn(name); err != nil {
		return at(err, p, d.sql)
	}
	if strings.HasPrefix(name, "_") {
		return dberr.Newf(dberr.InvalidSQL, "column name %q is reserved: names that begin with an underscore belong to the system", name).
			WithState("42939").At(p.In(d.sql))
	}
	for i := range d.t.Columns {
		if d.t.Columns[i].Name == name {
			return dberr.Newf(dberr.InvalidSQL, "column %q is specified more than once", name).
				WithState("42701").At(p.In(d.sql))
		}
	}
	return nil
}

func (d *definer) column(def *ast.ColumnDef) error {
	if err := d.name(def.Name, def.Pos); err != nil {
		return err
	}
	typ, serial, err := ResolveType(&def.Type)
	if err != nil {
		return at(err, def.Type.Pos, d.sql)
	}
	c := ddl.Column{ID: d.t.NextColumn, Name: def.Name, Type: typ, NotNull: def.NotNull || def.PrimaryKey || serial}
	if serial || def.AutoIncrement {
		if !typ.Kind.IsInteger() {
			return d.errorf(def.Pos, "column %q: only an integer column can number itself", def.Name)
		}
		if def.Default != nil {
			return d.errorf(def.Pos, "column %q has two default values", def.Name)
		}
		// A snowflake id needs all 64 bits.
		c.Type, c.Default, c.NotNull = sqltype.TBigInt, SnowflakeDefault, true
	}
	if def.Default != nil {
		if c.Default, err = d.check(def.Default, typ); err != nil {
			return at(err, def.Default.Position(), d.sql)
		}
	}
	d.t.NextColumn++
	d.t.Columns = append(d.t.Columns, c)
	if def.PrimaryKey {
		if len(d.t.PrimaryKey) > 0 {
			return d.errorf(def.Pos, "table %s has more than one primary key; write PRIMARY KEY (a, b) for one of several columns", d.t.Ident())
		}
		return d.keyColumn(ast.Ident{Pos: def.Pos, Name: def.Name})
	}
	return nil
}

func (d *definer) keyColumn(name ast.Ident) error {
	for i := range d.t.Columns {
		c := &d.t.Columns[i]
		if c.Name != name.Name {
			continue
		}
		for _, id := range d.t.PrimaryKey {
			if id == c.ID {
				return d.errorf(name.Pos, "column %q appears twice in the primary key", c.Name)
			}
		}
		if !canBeKey(c.Type) {
			return d.errorf(name.Pos, "column %q of type %s cannot be part of a primary key", c.Name, c.Type)
		}
		c.NotNull = true
		d.t.PrimaryKey = append(d.t.PrimaryKey, c.ID)
		return nil
	}
	return dberr.Newf(dberr.ColumnNotFound, "column %q named in the primary key does not exist", name.Name).At(name.Pos.In(d.sql))
}

// canBeKey tells whether values of the type have one order and one spelling.
func canBeKey(t sqltype.Type) bool {
	switch t.Kind {
	case sqltype.JSON, sqltype.Array, sqltype.Record, sqltype.Interval, sqltype.Unknown:
		return false
	}
	return true
}

// ResolveType finds the type that a column's type name means. serial is true
// for SERIAL and its like, which also mean a default value.
func ResolveType(n *ast.TypeName) (t sqltype.Type, serial bool, err error) {
	t, ok := sqltype.Named(n.Name)
	if !ok {
		return t, false, dberr.Newf(dberr.InvalidSQL, "type %q does not exist", n.Name).WithState("42704").
			WithHint("The types are BOOLEAN, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p,s), TEXT, JSON, UUID, BYTES, DATE, TIME and TIMESTAMP.")
	}
	switch t.Kind {
	case sqltype.Unknown, sqltype.Record, sqltype.Interval:
		return t, false, dberr.Newf(dberr.Unsupported, "a column cannot have the type %s", t)
	}
	serial = strings.Contains(n.Name, "serial")
	if t, err = modify(t, n); err != nil {
		return t, false, err
	}
	switch {
	case n.Dims > 1:
		return t, false, dberr.New(dberr.Unsupported, "arrays have one dimension")
	case n.Dims == 1 && serial:
		return t, false, dberr.New(dberr.InvalidSQL, "an array cannot be SERIAL")
	case n.Dims == 1:
		return sqltype.ArrayOf(t), false, nil
	}
	return t, serial, nil
}

// modify applies the numbers in parentheses.
func modify(t sqltype.Type, n *ast.TypeName) (sqltype.Type, error) {
	mods := n.Mods
	bad := func(format string, args ...any) (sqltype.Type, error) {
		return t, dberr.Newf(dberr.InvalidSQL, format, args...).WithState("22023")
	}
	switch {
	case t.Kind == sqltype.Text && len(mods) == 0 && (n.Name == "char" || n.Name == "character"):
		t.Precision = 1
		return t, nil
	case len(mods) == 0:
		return t, nil
	case t.Kind == sqltype.Decimal:
		if len(mods) > 2 {
			return bad("DECIMAL takes a precision and a scale")
		}
		t.Precision = mods[0]
		if len(mods) == 2 {
			t.Scale = mods[1]
		}
		if t.Precision < 1 || t.Precision > sqltype.MaxDecimalPrecision {
			return bad("the precision of DECIMAL must be between 1 and %d, not %d", sqltype.MaxDecimalPrecision, t.Precision)
		}
		if t.Scale < 0 || t.Scale > t.Precision {
			return bad("the scale of DECIMAL(%d) must be between 0 and %d, not %d", t.Precision, t.Precision, t.Scale)
		}
	case len(mods) > 1:
		return bad("type %s takes one number", n.Name)
	case t.Kind == sqltype.Text:
		if mods[0] < 1 {
			return bad("the length of %s must be at least 1", n.Name)
		}
		t.Precision = mods[0]
	case t.Kind == sqltype.Float && n.Name == "float":
		switch {
		case mods[0] < 1 || mods[0] > 53:
			return bad("the precision of FLOAT must be between 1 and 53, not %d", mods[0])
		case mods[0] > 24:
			t = sqltype.TDouble
		}
	case t.Kind == sqltype.Timestamp, t.Kind == sqltype.Time:
		if mods[0] < 0 || mods[0] > 6 {
			return bad("the precision of %s must be between 0 and 6, not %d", t, mods[0])
		}
	case t.Kind.IsInteger(), t.Kind == sqltype.Bytes:
		// MySQL's display width and the length of BINARY(n) mean nothing here.
	default:
		return bad("type %s takes no numbers", n.Name)
	}
	return t, nil
}

func (d *definer) options(opts []ast.Option) error {
	t := d.t
	for i := range opts {
		o := &opts[i]
		var err error
		switch o.Name {
		case "type":
			// The parser has made it the statement's Type.
		case ast.OptStorage:
			if t.Type == ident.StreamTable {
				return d.errorf(o.Pos, "a STREAM table lives in memory and has no storage")
			}
			var s string
			if s, err = TextOption(o); err == nil {
				t.Storage, err = ident.ParseStorage(s)
			}
		case ast.OptFlushInterval, ast.OptFlushRows:
			if t.Type == ident.StreamTable {
				return d.errorf(o.Pos, "a STREAM table is never flushed")
			}
			if o.Name == ast.OptFlushRows {
				t.Flush.Rows, err = IntOption(o, 1, math.MaxInt64)
			} else {
				t.Flush.Interval, err = DurationOption(o)
			}
		case ast.OptTTL:
			if t.Type != ident.StreamTable {
				return d.errorf(o.Pos, "only a STREAM table has a TTL")
			}
			t.TTL, err = DurationOption(o)
		case ast.OptMaxBuffer:
			if t.Type != ident.StreamTable {
				return d.errorf(o.Pos, "only a STREAM table has a MAX_BUFFER")
			}
			var n int64
			n, err = IntOption(o, 1, math.MaxInt32)
			t.MaxBuffer = int(n)
		case ast.OptAccess:
			if t.Type != ident.SharedTable {
				return d.errorf(o.Pos, "only a SHARED table has an ACCESS")
			}
			var s string
			if s, err = TextOption(o); err == nil {
				t.Access, err = ident.ParseAccess(s)
			}
		default:
			return d.errorf(o.Pos, "unknown table option %q", o.Name)
		}
		if err != nil {
			return at(err, o.Pos, d.sql)
		}
	}
	if t.Type == ident.SharedTable && t.Access == "" {
		t.Access = ident.PublicAccess
	}
	if t.Type == ident.StreamTable {
		t.Storage = ""
	}
	return nil
}

// TextOption reads an option that is a text.
func TextOption(o *ast.Option) (string, error) {
	if s, ok := o.Value.(*ast.StringLit); ok {
		return s.Value, nil
	}
	return "", dberr.Newf(dberr.InvalidSQL, "option %s needs a text", o.Name)
}

// IntOption reads an option that is a whole number between lo and hi.
func IntOption(o *ast.Option, lo, hi int64) (int64, error) {
	var n int64
	switch v := o.Value.(type) {
	case *ast.IntLit:
		n = v.Value
	case *ast.StringLit:
		var err error
		if n, err = strconv.ParseInt(strings.TrimSpace(v.Value), 10, 64); err != nil {
			return 0, dberr.Newf(dberr.InvalidSQL, "option %s needs a whole number, not %q", o.Name, v.Value)
		}
	case *ast.UnaryExpr:
		return 0, dberr.Newf(dberr.InvalidSQL, "option %s must be at least %d", o.Name, lo)
	default:
		return 0, dberr.Newf(dberr.InvalidSQL, "option %s needs a whole number", o.Name)
	}
	if n < lo || n > hi {
		return 0, dberr.Newf(dberr.InvalidSQL, "option %s must be between %d and %d, not %d", o.Name, lo, hi, n)
	}
	return n, nil
}

// DurationOption reads an option that is a span of time above zero: 300s, 5m,
// 1d, or a bare number of seconds.
func DurationOption(o *ast.Option) (time.Duration, error) {
	bad := dberr.Newf(dberr.InvalidSQL, "option %s needs a duration above zero", o.Name).
		WithHint("Write a number with a unit, such as 500ms, 30s, 5m, 24h or 7d; a bare number is seconds.")
	var d time.Duration
	switch v := o.Value.(type) {
	case *ast.IntLit:
		if v.Value > int64(math.MaxInt64/time.Second) {
			return 0, bad
		}
		d = time.Duration(v.Value) * time.Second
	case *ast.DecimalLit:
		f, err := strconv.ParseFloat(v.Text, 64)
		if err != nil || f > float64(math.MaxInt64/time.Second) {
			return 0, bad
		}
		d = time.Duration(f * float64(time.Second))
	case *ast.StringLit:
		var ok bool
		if d, ok = parseDuration(v.Value); !ok {
			return 0, bad
		}
	default:
		return 0, bad
	}
	if d <= 0 {
		return 0, bad
	}
	return d, nil
}

func parseDuration(s string) (time.Duration, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n <= int64(math.MaxInt64/time.Second) {
		return time.Duration(n) * time.Second, true
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err != nil || n > int64(math.MaxInt64/(24*time.Hour)) {
			return 0, false
		}
		return time.Duration(n) * 24 * time.Hour, true
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}
