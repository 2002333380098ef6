package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// idName is what parameters and fields are called that hold the id or the name
// of something that commons/ident has a type for.
var idName = regexp.MustCompile(`(?i)^(id|(user|namespace|ns|table|view|storage|session|live|live_?query|subscription|connection|conn|job|node|api_?key)s?_?(id|ids|name|names)?)$`)

// idsAsText is where ids are text for a reason, by package or by
// "package.Declaration". Names of columns are text everywhere: a column is
// identified by ddl.ColumnID, its name is a label that an alias replaces.
var idsAsText = map[string]string{
	"commons/wire":                    "messages as clients write them, before anything is checked",
	"sql/ast":                         "names as the user wrote them, which the binder and the statements check",
	"server/wireconv.Request":         "a request's namespace before it is checked",
	"server/wireconv.InternalFailure": "the id of a line in the log",
	"server/ws.clipped":               "a client's id before it is checked",
	"server/command":                  "reports as people and scripts read them",
	"core/table.Finding":              "a table's full name in such a report",
	"store/kv/rediskv.start":          "the id of a process that owns the database",
	"store/kv/rediskv.acquire":        "the id of a process that owns the database",
}

// testSupport are packages for tests only, which write ids as literals.
var testSupport = regexp.MustCompile(`(^sql/tpch|^sql/logictest|test)$`)

// TestIdsAreTyped counts the parameters and fields that hold ids of users,
// namespaces, tables and the like as bare strings, and finds none but where
// idsAsText has a reason. Past the packages where text comes in and goes out,
// it holds the share of typed ones that SC-014 asks for, 95 %.
func TestIdsAreTyped(t *testing.T) {
	typed, bare, excused := 0, 0, map[string]bool{}
	fset := token.NewFileSet()
	for _, f := range sources(t) {
		module, _, _ := strings.Cut(f.dir, "/")
		if f.test || testSupport.MatchString(f.dir) || !slices.Contains([]string{"commons", "store", "sql", "live", "core", "server"}, module) {
			continue
		}
		whole, err := parser.ParseFile(fset, filepath.Join("..", "..", f.path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range whole.Decls {
			for name, n := range declared(decl) {
				place := f.dir + "." + name
				ids := fields(n)
				typed += ids.typed
				for _, id := range ids.bare {
					if _, ok := idsAsText[f.dir]; ok {
						excused[f.dir] = true
					} else if _, ok := idsAsText[place]; ok {
						excused[place] = true
						bare++
					} else {
						bare++
						t.Errorf("%s: %s takes the id %s as a string; commons/ident has types for ids", fset.Position(id.Pos()), place, id.Name)
					}
				}
			}
		}
	}
	for place := range idsAsText {
		if !excused[place] {
			t.Errorf("no id is text in %s any more", place)
		}
	}
	t.Logf("%d typed, %d bare: %.1f %% are typed", typed, bare, 100*float64(typed)/float64(typed+bare))
	if 20*typed < 19*(typed+bare) {
		t.Error("less than 95 % are typed")
	}
}

// declared gives the parts of a declaration that have names of their own.
func declared(decl ast.Decl) map[string]ast.Node {
	out := map[string]ast.Node{}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		out[d.Name.Name] = d
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				out[s.Name.Name] = s
			case *ast.ValueSpec:
				out[s.Names[0].Name] = s
			}
		}
	}
	return out
}

// idFields are the parameters, results and struct fields that hold ids.
type idFields struct {
	typed int
	bare  []*ast.Ident
}

func fields(n ast.Node) (out idFields) {
	ast.Inspect(n, func(n ast.Node) bool {
		f, ok := n.(*ast.Field)
		if !ok {
			return true
		}
		switch base := element(f.Type).(type) {
		case *ast.SelectorExpr:
			if isName(base.X, "ident") && !slices.Contains([]string{"TableType", "Access", "Role"}, base.Sel.Name) {
				out.typed += max(len(f.Names), 1)
			}
		case *ast.Ident:
			for _, name := range f.Names {
				if base.Name == "string" && idName.MatchString(name.Name) {
					out.bare = append(out.bare, name)
				}
			}
		}
		return true
	})
	return out
}

// element is what a list holds, or the keys of a map.
func element(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *ast.ArrayType:
		return element(x.Elt)
	case *ast.Ellipsis:
		return element(x.Elt)
	case *ast.MapType:
		return element(x.Key)
	}
	return e
}
