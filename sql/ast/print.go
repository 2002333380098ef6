package ast

import (
	"strconv"
	"strings"
)

// SQL prints a node as text that parses to an equal tree (but for places). The
// text depends on the tree alone, and different trees have different texts, so
// that it can serve as a key. It is one line, unless texts in it are not.
//
// SQL stands parentheses only where the tree needs them. A node that is no
// Statement, Expr, TableExpr or QueryBody is printed as it stands in its
// parent.
func SQL(n Node) string {
	var p printer
	p.node(n)
	return p.String()
}

type printer struct{ strings.Builder }

func (p *printer) put(parts ...string) {
	for _, s := range parts {
		p.WriteString(s)
	}
}

func (p *printer) ident(name string) { p.put(QuoteIdent(name)) }

func (p *printer) node(n Node) {
	switch n := n.(type) {
	case nil:
	case *Query:
		p.query(n)
	case Expr:
		p.expr(n, lvLowest)
	case QueryBody:
		p.body(n, 1)
	case TableExpr:
		p.table(n)
	case Statement:
		p.statement(n)
	case *With:
		p.with(n)
	case *CTE:
		p.cte(n)
	case *OrderItem:
		p.orderItem(n)
	case *SelectItem:
		p.item(n)
	case *NamedWindow:
		p.ident(n.Name)
		p.put(" AS ")
		p.window(n.Spec)
	case *WindowSpec:
		p.window(n)
	case *Frame:
		p.frame(n)
	case *Assignment:
		p.assignment(n)
	case *OnConflict:
		p.onConflict(n)
	case *ColumnDef:
		p.column(n)
	case AlterAction:
		p.alterAction(n)
	case *Ident:
		p.ident(n.Name)
	case *TableName:
		p.tableName(n)
	case *TypeName:
		p.typeName(n)
	case *Option:
		p.option(n)
	}
}

func (p *printer) tableName(t *TableName) {
	if t.Namespace != "" {
		p.ident(t.Namespace)
		p.put(".")
		if t.UserQualified {
			p.put("user.")
		}
	}
	p.ident(t.Name)
}

func (p *printer) tableNames(list []TableName) {
	for i := range list {
		if i > 0 {
			p.put(", ")
		}
		p.tableName(&list[i])
	}
}

func (p *printer) idents(list []Ident) {
	p.put("(")
	for i, id := range list {
		if i > 0 {
			p.put(", ")
		}
		p.ident(id.Name)
	}
	p.put(")")
}

func (p *printer) typeName(t *TypeName) {
	base, rest := t.Name, ""
	if typeNames[t.Name] {
		// The numbers stand before WITH TIME ZONE.
		if i := strings.Index(t.Name, " with"); i >= 0 {
			base, rest = t.Name[:i], t.Name[i:]
		}
		p.put(base)
	} else {
		p.ident(t.Name)
	}
	if t.Fields != "" {
		p.put(" ", t.Fields)
	}
	p.typeMods(t)
	p.put(rest)
	for range t.Dims {
		p.put("[]")
	}
}

func (p *printer) typeMods(t *TypeName) {
	for i, m := range t.Mods {
		if i == 0 {
			p.put("(")
		} else {
			p.put(", ")
		}
		p.put(strconv.Itoa(int(m)))
	}
	if len(t.Mods) > 0 {
		p.put(")")
	}
}

func (p *printer) option(o *Option) {
	p.ident(o.Name)
	p.put(" = ")
	p.expr(o.Value, lvLowest)
}

func (p *printer) options(list []Option) {
	p.put("(")
	for i := range list {
		if i > 0 {
			p.put(", ")
		}
		p.option(&list[i])
	}
	p.put(")")
}
