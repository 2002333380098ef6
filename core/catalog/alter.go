package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// EvalDefault evaluates a DEFAULT expression now, as a value of the type.
type EvalDefault func(x ast.Expr, t sqltype.Type) (sqltype.Value, error)

// Alteration is what an ALTER TABLE makes of a definition.
type Alteration struct {
	// Table is the next definition.
	Table *ddl.Table
	// Changes says in words what was done; empty when nothing was.
	Changes string
	// Gone are the names of columns that no longer are what they were: those
	// dropped and the old names of those renamed.
	Gone []string
	// NeedsEmpty names an added column that is NOT NULL and has no value for
	// the rows that exist; empty: none.
	NeedsEmpty string
}

// Alter applies the actions of an ALTER TABLE to a definition, which stays as
// it is. Errors are coded and carry the place in sql, the statement's text.
func Alter(t *ddl.Table, stmt *ast.AlterTable, sql string, check CheckDefault, eval EvalDefault) (*Alteration, error) {
	if t.Type == ident.StreamTable {
		return nil, dberr.Newf(dberr.Unsupported, "the STREAM table %s cannot be altered", t.Ident()).
			WithHint("Drop it and create it anew; its rows are short-lived.").At(stmt.Pos.In(sql))
	}
	next := *t
	next.Columns = slices.Clone(t.Columns)
	next.SchemaVersion++
	a := &alterer{definer: definer{sql: sql, check: check, t: &next}, eval: eval, out: &Alteration{Table: &next}}
	var changes []string
	for _, act := range stmt.Actions {
		what, err := a.action(act)
		if err != nil {
			return nil, err
		}
		if what != "" {
			changes = append(changes, what)
		}
	}
	a.out.Changes = strings.Join(changes, ", ")
	return a.out, nil
}

type alterer struct {
	definer
	eval EvalDefault
	out  *Alteration
}

// action does one action and says in words what it was; nothing when there was
// nothing to do.
func (a *alterer) action(act ast.AlterAction) (string, error) {
	switch x := act.(type) {
	case *ast.AddColumn:
		return a.add(x)
	case *ast.DropColumn:
		return a.drop(x)
	case *ast.RenameColumn:
		return a.rename(x)
	case *ast.SetOptions:
		return a.set(x)
	}
	return "", dberr.New(dberr.Unsupported, "this form of ALTER TABLE is not supported").At(act.Position().In(a.sql))
}

func (a *alterer) find(name string) int {
	return slices.IndexFunc(a.t.Columns, func(c ddl.Column) bool { return c.Name == name })
}

func (a *alterer) add(x *ast.AddColumn) (string, error) {
	if a.find(x.Column.Name) >= 0 {
		if x.IfNotExists {
			return "", nil
		}
		return "", dberr.Newf(dberr.AlreadyExists, "column %q of table %s already exists", x.Column.Name, a.t.Ident()).
			WithState("42701").At(x.Column.Pos.In(a.sql))
	}
	if x.Column.PrimaryKey {
		return "", a.errorf(x.Column.Pos, "a column that is added later cannot be the primary key")
	}
	if len(a.t.Columns) == maxColumns {
		return "", a.errorf(x.Column.Pos, "a table has at most %d columns", maxColumns)
	}
	if err := a.column(&x.Column); err != nil {
		return "", err
	}
	c := &a.t.Columns[len(a.t.Columns)-1]
	what := fmt.Sprintf("ADD COLUMN %s %s", c.Name, c.Type)
	if c.NotNull {
		what += " NOT NULL"
	}
	if c.Default != "" {
		what += " DEFAULT " + c.Default
	}
	if c.Default == SnowflakeDefault && x.Column.Default == nil {
		// One number for every row that exists would be nobody's wish.
		a.out.NeedsEmpty = c.Name
		return what, nil
	}
	if x.Column.Default != nil {
		v, err := a.eval(x.Column.Default, c.Type)
		if err != nil {
			return "", at(err, x.Column.Default.Position(), a.sql)
		}
		c.Missing = v
	}
	if c.NotNull && c.Missing.IsNull() {
		a.out.NeedsEmpty = c.Name
	}
	return what, nil
}

// existing finds a declared column that an action names.
func (a *alterer) existing(n ast.Ident) (int, error) {
	i := a.find(n.Name)
	if i < 0 {
		return 0, dberr.Newf(dberr.ColumnNotFound, "column %q of table %s does not exist", n.Name, a.t.Ident()).At(n.Pos.In(a.sql))
	}
	return i, nil
}

func (a *alterer) drop(x *ast.DropColumn) (string, error) {
	if x.IfExists && a.find(x.Column.Name) < 0 {
		return "", nil
	}
	i, err := a.existing(x.Column)
	if err != nil {
		return "", err
	}
	switch {
	case slices.Contains(a.t.PrimaryKey, a.t.Columns[i].ID):
		return "", dberr.Newf(dberr.InvalidSQL, "column %q is part of the primary key of %s and cannot be dropped", x.Column.Name, a.t.Ident()).
			WithState("42P16").At(x.Column.Pos.In(a.sql))
	case len(a.t.Columns) == 1:
		return "", a.errorf(x.Column.Pos, "the last column of a table cannot be dropped")
	}
	a.t.Columns = slices.Delete(a.t.Columns, i, i+1)
	a.out.Gone = append(a.out.Gone, x.Column.Name)
	if a.out.NeedsEmpty == x.Column.Name {
		a.out.NeedsEmpty = ""
	}
	return "DROP COLUMN " + x.Column.Name, nil
}

func (a *alterer) rename(x *ast.RenameColumn) (string, error) {
	i, err := a.existing(x.From)
	if err != nil {
		return "", err
	}
	if err := a.name(x.To.Name, x.To.Pos); err != nil {
		return "", err
	}
	a.t.Columns[i].Name = x.To.Name
	a.out.Gone = append(a.out.Gone, x.From.Name)
	return fmt.Sprintf("RENAME COLUMN %s TO %s", x.From.Name, x.To.Name), nil
}

func (a *alterer) set(x *ast.SetOptions) (string, error) {
	var what []string
	for i := range x.Options {
		o := &x.Options[i]
		if o.Name == "type" {
			return "", a.errorf(o.Pos, "the type of a table cannot be changed")
		}
		what = append(what, fmt.Sprintf("%s = %s", o.Name, ast.SQL(o.Value)))
	}
	if err := a.options(x.Options); err != nil {
		return "", err
	}
	return "SET (" + strings.Join(what, ", ") + ")", nil
}
