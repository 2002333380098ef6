package live

import (
	"sync"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/live/filter"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// SystemColumns is how many columns delivered rows have at most beside those
// of the query.
const SystemColumns = 2

// Column is one column of a subscription's rows.
type Column struct {
	Name string
	Type sqltype.Type
}

// Plan is a compiled subscription query: which rows of one table belong to
// the result and what they look like in it. A Plan is not changed after its
// first use and is shared, best by all subscriptions with the same text.
type Plan struct {
	Table *ddl.Table
	// Columns are the result's columns. Delivered rows have _updated and
	// _deleted behind them, where the query does not name these itself; they
	// are put into the slice's capacity, if it has SystemColumns to spare.
	Columns []Column
	// FilterKey is equal for plans of one table whose filters, parameters
	// included, are the same. Subscriptions share a filter's evaluation by it.
	FilterKey string
	// ProjectionKey is equal for plans of one table that make the same row.
	ProjectionKey string
	// Equal are equality conjuncts of the filter. They are a help to find
	// the subscription and may be left out; the evaluator checks them again,
	// and those that an index cannot use are passed over.
	Equal []filter.Equality
	// ShowsDeleted is set when deleted rows may belong to the result: the query
	// names _deleted, and its table keeps them.
	ShowsDeleted bool
	// NewEval makes an evaluator. It is called when the first change arrives,
	// at most once for each distinct filter and projection of a user.
	NewEval func() filter.Evaluator
	// Origin is what the engine made the plan from, for its Source.
	Origin any

	once  sync.Once
	out   layout
	index []filter.Equality
}

// layout says how the rows that are delivered are made of a plan's columns
// and of the system columns.
type layout struct {
	columns          []Column
	updated, deleted int // position in columns; -1: the projection has it
}

// Delivered are the columns that delivered rows have: the query's, then
// _updated and _deleted unless it names them.
func (p *Plan) Delivered() []Column { return p.layout().columns }

func (p *Plan) layout() *layout {
	p.once.Do(func() {
		p.index = p.indexable()
		p.out = layout{columns: p.Columns, updated: -1, deleted: -1}
		if n := len(p.Columns); cap(p.Columns) < n+SystemColumns {
			p.out.columns = append(make([]Column, 0, n+SystemColumns), p.Columns...)
		}
		named := func(name string) bool {
			for _, c := range p.Columns {
				if c.Name == name {
					return true
				}
			}
			return false
		}
		if !named(sysname.Updated) {
			p.out.updated = len(p.out.columns)
			p.out.columns = append(p.out.columns, Column{sysname.Updated, sqltype.TTimestamp})
		}
		if !named(sysname.Deleted) {
			p.out.deleted = len(p.out.columns)
			p.out.columns = append(p.out.columns, Column{sysname.Deleted, sqltype.TBoolean})
		}
	})
	return &p.out
}

// system puts the system columns into a delivered row.
func (l *layout) system(row sqltype.Row, updated, deleted sqltype.Value) {
	if l.updated >= 0 {
		row[l.updated] = updated
	}
	if l.deleted >= 0 {
		row[l.deleted] = deleted
	}
}

// indexable are the equalities that the index may rely on.
func (p *Plan) indexable() []filter.Equality {
	if p.ShowsDeleted {
		return nil // an UPDATE of the key may concern it by what it covers
	}
	var out []filter.Equality
	for _, e := range p.Equal {
		if e.Ordinal >= 0 && e.Ordinal < len(p.Table.Columns) && filter.Indexable(p.Table.Columns[e.Ordinal].Type.Kind, e.Value.Kind()) {
			out = append(out, e)
		}
	}
	return out
}

func (p *Plan) tableID() ident.TableID { return p.Table.ID }
