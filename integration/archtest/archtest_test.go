package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/kalamdb/kalamdb/"

// file is one Go source file of the repository.
type file struct {
	path string // within the repository
	dir  string
	test bool
	ast  *ast.File
}

// sources reads the imports and comments of every Go file of the repository.
func sources(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.work")); err != nil {
		t.Fatalf("the repository's root is not at %s: %v", root, err)
	}
	var out []file
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", "testdata", "node_modules", "data",
				"oracle": // a module of its own, for tests only, that needs cgo
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		out = append(out, file{path: rel, dir: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"), ast: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("found only %d source files", len(out))
	}
	return out
}

// under tells whether a path is dir or lies below it.
func under(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// find gives the most exact rule for a path.
func find(rules []rule, p string) (best rule) {
	for _, r := range rules {
		if under(p, r.Path) && len(r.Path) > len(best.Path) {
			best = r
		}
	}
	return best
}

func allows(r rule, imported string) bool {
	return slices.ContainsFunc(r.May, func(may string) bool { return under(imported, may) })
}

func TestImportsFollowTheTable(t *testing.T) {
	for _, f := range sources(t) {
		for _, spec := range f.ast.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			switch own, ok := strings.CutPrefix(imp, modulePath); {
			case ok:
				if own == f.dir || allows(find(ours, f.dir), own) || f.test && allows(find(testOnly, f.dir), own) {
					continue
				}
				t.Errorf("%s imports %s: %s may import %v (%s)", f.path, own, f.dir, find(ours, f.dir).May, find(ours, f.dir).Why)
			case strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
				if (f.test || under(f.dir, "integration")) && slices.ContainsFunc(testEngines, func(m string) bool { return under(imp, m) }) {
					continue
				}
				i := slices.IndexFunc(engines, func(e engineRule) bool { return under(imp, e.Module) })
				if i < 0 {
					t.Errorf("%s imports %s, which no rule allows; see docs/build/dependencies.md", f.path, imp)
					continue
				}
				rooms := engines[i].Rooms
				if f.test {
					rooms = slices.Concat(rooms, engines[i].Tests)
				}
				if !slices.ContainsFunc(rooms, func(room string) bool { return under(f.dir, room) }) {
					t.Errorf("%s imports %s, which belongs in %v only", f.path, imp, rooms)
				}
			}
		}
	}
}

func TestCommonsNeedsTheStandardLibraryOnly(t *testing.T) {
	mod, err := os.ReadFile("../../commons/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mod), "require") {
		t.Errorf("commons/go.mod has dependencies:\n%s", mod)
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	comment := map[string]string{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		if _, ok := comment[f.dir]; !ok {
			comment[f.dir] = ""
		}
		if f.ast.Doc == nil {
			continue
		}
		if other := comment[f.dir]; other != "" {
			t.Errorf("package %s has two package comments: in %s and in %s", f.dir, other, f.path)
		}
		comment[f.dir] = f.path
		text := f.ast.Doc.Text()
		want := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(text, want) {
			t.Errorf("%s: the package comment begins %.40q, not %q", f.path, text, want)
		}
	}
	for dir, in := range comment {
		if in == "" {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// TestDependenciesAreExplained holds the table of engines and the document
// that gives their reasons together.
func TestDependenciesAreExplained(t *testing.T) {
	doc, err := os.ReadFile("../../docs/build/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Clone(testEngines)
	for _, e := range engines {
		names = append(names, e.Module)
	}
	for _, name := range names {
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/build/dependencies.md does not explain %s", name)
		}
	}
	for _, line := range strings.Split(string(doc), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || !strings.Contains(cells[1], "`") {
			continue
		}
		name := strings.Trim(strings.TrimSpace(cells[1]), "`")
		if !slices.Contains(names, name) {
			t.Errorf("docs/build/dependencies.md explains %s, which no rule allows", name)
		}
	}
}
