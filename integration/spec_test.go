package integration

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/integration/harness"
)

// specified is a test that the specification names.
type specified struct {
	name    string // as the specification spells it
	story   string
	file    string
	pending bool
}

// function is the name of the test in Go.
func (s specified) function() string {
	var b strings.Builder
	for word := range strings.SplitSeq(s.name, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// specification reads the list of the tests that the specification names.
func specification(t *testing.T) (out []specified) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "specification.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var story, file string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "story" && len(words) == 3:
			story, file = words[1], words[2]
		case words[0] == "pending" && len(words) == 2:
			out = append(out, specified{words[1], story, file, true})
		case len(words) == 1 && file != "":
			out = append(out, specified{words[0], story, file, false})
		default:
			t.Fatalf("%q is no line of the list", line)
		}
	}
	return out
}

// TestSpecificationIsTested holds the tests against the list of those that the
// specification names (FR-146, FR-151, FR-155): each is there, in its file,
// says which story it shows, does something, and is not skipped whatever the
// circumstances.
func TestSpecificationIsTested(t *testing.T) {
	t.Parallel()
	list := specification(t)
	if len(list) != 130 {
		t.Errorf("the list has %d names, the specification 130", len(list))
	}
	files := map[string]*ast.File{}
	pending := 0
	for _, s := range list {
		f, ok := files[s.file]
		if !ok {
			var err error
			f, err = parser.ParseFile(token.NewFileSet(), s.file, nil, parser.ParseComments)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			files[s.file] = f
		}
		err := checkTest(f, s)
		if err != nil && s.pending && findTest(f, s) == nil {
			pending++
			continue
		}
		if err != nil {
			t.Errorf("%s (story %s, %s): %v", s.name, s.story, s.file, err)
		}
	}
	if pending > 0 {
		t.Logf("%d of %d tests are pending", pending, len(list))
	}
}

func findTest(f *ast.File, s specified) *ast.FuncDecl {
	if f == nil {
		return nil
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == s.function() {
			return fn
		}
	}
	return nil
}

// checkTest says what is wrong with a test.
func checkTest(f *ast.File, s specified) error {
	fn := findTest(f, s)
	if fn == nil {
		return fmt.Errorf("there is no %s", s.function())
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() < f.Package && constraint.IsGoBuild(c.Text) {
				return fmt.Errorf("its file is built under a condition: %s", c.Text)
			}
		}
	}
	if !regexp.MustCompile(`\bstory ` + s.story + `\b`).MatchString(fn.Doc.Text()) {
		return fmt.Errorf("its comment does not name story %s", s.story)
	}
	if len(fn.Body.List) < 2 {
		return fmt.Errorf("it does nothing")
	}
	for _, stmt := range fn.Body.List {
		if skips(stmt) {
			return fmt.Errorf("it is skipped, whatever the circumstances")
		}
	}
	return nil
}

// skips tells whether a statement skips its test in any case.
func skips(stmt ast.Stmt) bool {
	e, ok := stmt.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := e.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name)
}

// TestSpecificationListIsWhole holds the list against the specification, where
// that lies beside the repository.
func TestSpecificationListIsWhole(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(harness.Root(), "..", "shared", "spec", "feature-004.md"))
	if err != nil {
		t.Skipf("skipped: the specification is not beside the repository: %v", err)
	}
	var want, have []string
	file := ""
	for _, m := range regexp.MustCompile(`(?m)^\*\*Integration Tests\*\* \(backend/tests/integration/test_(\w+)\.rs\)|^\d+\. \*\*(test_\w+)\*\*`).FindAllStringSubmatch(string(text), -1) {
		if m[1] != "" {
			file = m[1] + "_test.go"
			continue
		}
		want = append(want, file+" "+m[2])
	}
	for _, s := range specification(t) {
		have = append(have, s.file+" "+s.name)
	}
	if !slices.Equal(have, want) {
		t.Errorf("the list has %d names, the specification %d; the first that differs: %s", len(have), len(want), firstDifference(have, want))
	}
}

func firstDifference(a, b []string) string {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return b[i]
		case i >= len(b) || a[i] != b[i]:
			return a[i]
		}
	}
	return "none"
}

// TestSpecificationCheckSees shows the check what it must find.
func TestSpecificationCheckSees(t *testing.T) {
	t.Parallel()
	const good = "// TestGoodThing is story 3, scenario 1.\nfunc TestGoodThing(t *testing.T) {\n\tif x() {\n\t\tt.Skip(\"no\")\n\t}\n\tt.Log()\n}\n"
	for name, c := range map[string]struct{ source, want string }{
		"good":          {good, ""},
		"missing":       {"func TestOther(t *testing.T) {}", "there is no TestGoodThing"},
		"skipped":       {strings.Replace(good, "t.Log()", "t.Skip(\"later\")", 1), "skipped"},
		"other story":   {strings.Replace(good, "story 3", "story 30", 1), "story 3"},
		"no comment":    {good[strings.Index(good, "func"):], "story 3"},
		"empty":         {"// story 3\nfunc TestGoodThing(t *testing.T) { t.Log() }", "does nothing"},
		"under a tag":   {"//go:build never\n\npackage x\n" + good, "condition"},
		"a mere method": {strings.Replace(good, "func Test", "func (x) Test", 1), "there is no"},
	} {
		source := c.source
		if !strings.Contains(source, "package x") {
			source = "package x\n" + source
		}
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		err = checkTest(f, specified{name: "test_good_thing", story: "3"})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
