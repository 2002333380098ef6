package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestExportedNamesHaveComments wants a sentence on each exported type,
// function, method, variable and constant of the product, or one on the group
// that it is declared in.
func TestExportedNamesHaveComments(t *testing.T) {
	fset := token.NewFileSet()
	seen := 0
	for _, f := range sources(t) {
		module, _, _ := strings.Cut(f.dir, "/")
		if f.test || slices.Contains([]string{"integration", "docs"}, module) {
			continue
		}
		whole, err := parser.ParseFile(fset, filepath.Join("..", "..", f.path), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		check := func(name *ast.Ident, docs ...*ast.CommentGroup) {
			if !name.IsExported() {
				return
			}
			seen++
			for _, doc := range docs {
				if text := strings.TrimSpace(doc.Text()); text != "" {
					if last := text[len(text)-1]; !strings.ContainsRune(".:;?!)`", rune(last)) && !strings.Contains(text, "\n\t") && doc == docs[0] {
						t.Errorf("%s: the comment of %s is no sentence: %.60q", fset.Position(name.Pos()), name.Name, text)
					}
					return
				}
			}
			t.Errorf("%s: %s has no comment", fset.Position(name.Pos()), name.Name)
		}
		for _, decl := range whole.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil || ast.IsExported(receiver(d.Recv.List[0].Type)) {
					check(d.Name, d.Doc)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						check(s.Name, s.Doc, d.Doc)
					case *ast.ValueSpec:
						for _, name := range s.Names {
							check(name, s.Doc, d.Doc, s.Comment)
						}
					}
				}
			}
		}
	}
	if seen < 1000 {
		t.Errorf("only %d exported names were found", seen)
	}
}

// receiver is the name of a method's type.
func receiver(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
