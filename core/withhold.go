package core

import (
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/systable"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/parser"
)

// maxViews is how many views deep withhold looks.
const maxViews = 32

// withhold gives the error that the caller may be told of a statement that
// could not be prepared. What is wrong with it would tell of columns and types
// of the tables that it names; when the caller may not read one of them, that
// is all that is said.
func (s *Session) withhold(cat *catalog.Snapshot, ns ident.NamespaceID, text string, err error) error {
	if s.principal.Role.IsAdmin() {
		return err
	}
	tree, parseErr := parser.Parse(text)
	if parseErr != nil {
		return err // it has not come to any table
	}
	if t := s.hidden(cat, ns, tree, maxViews); t != nil {
		return denied("read", t)
	}
	return err
}

// hidden finds a table that a statement names, itself or by a view, and that
// the caller may not read.
func (s *Session) hidden(cat *catalog.Snapshot, ns ident.NamespaceID, tree ast.Node, views int) (found *ddl.Table) {
	look := func(n *ast.TableName) {
		in := ns
		if n.Namespace != "" {
			in = ident.NamespaceID(n.Namespace)
		}
		if v, ok := cat.View(in, ident.TableName(n.Name)); ok && views > 0 {
			if q, err := parser.Parse(v.Query); err == nil {
				found = s.hidden(cat, in, q, views-1)
			}
			return
		}
		t, err := cat.Table(in, ident.TableName(n.Name))
		if err == nil && t.Type == ident.SharedTable && !systable.MayRead(s.principal.Role, t.Access) {
			found = t
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if found != nil {
			return false
		}
		switch x := n.(type) {
		case *ast.TableRef:
			look(&x.Name)
		case *ast.Insert:
			look(&x.Table)
		case *ast.Update:
			look(&x.Table)
		case *ast.Delete:
			look(&x.Table)
		}
		return found == nil
	})
	return found
}
