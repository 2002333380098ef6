package integration

import (
	"debug/buildinfo"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// sources parses the Go files below some folders of the repository, but for
// tests.
func sources(t *testing.T, folders ...string) map[string]*ast.File {
	t.Helper()
	out := map[string]*ast.File{}
	files := token.NewFileSet()
	for _, folder := range folders {
		root := filepath.Join(harness.Root(), folder)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(harness.Root(), path)
			out[filepath.ToSlash(rel)] = f
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// systemTables are the tables of the reserved namespaces, as the server lists
// them.
func systemTables(t *testing.T, c *link.Client) []string {
	t.Helper()
	got := harness.Query[string](t, c, "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema IN ('system', 'information_schema') ORDER BY 1")
	if len(got) < 10 {
		t.Fatalf("only %v", got)
	}
	return got
}

// TestSystemTableProvidersUseCommonBase is story 6, scenarios 1 and 4: the
// computed system tables share one implementation, so that each of them can
// do what any can, and every scan says what it is for.
func TestSystemTableProvidersUseCommonBase(t *testing.T) {
	t.Parallel()
	bases := map[string]bool{}
	for path, f := range sources(t, "core/systable") {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != "Scan" || fn.Recv == nil {
				continue
			}
			star, ok := fn.Recv.List[0].Type.(*ast.StarExpr)
			if !ok {
				t.Errorf("%s: a Scan of no pointer", path)
				continue
			}
			bases[star.X.(*ast.Ident).Name] = true
		}
	}
	// One computes its rows, one keeps a stored table to the caller's own rows.
	if len(bases) == 0 || len(bases) > 2 {
		t.Errorf("system tables are scanned by %v", bases)
	}
	for path, f := range sources(t, "core", "sql", "store") {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "Scan" && fn.Recv != nil && fn.Doc == nil {
				t.Errorf("%s: a Scan without a comment", path)
			}
		}
	}
	c := harness.Shared(t).Admin(t)
	for _, table := range systemTables(t, c) {
		rows, err := c.Query(harness.Context(t), "SELECT * FROM "+table+" ORDER BY 1 LIMIT 3")
		if err != nil {
			t.Errorf("%s: %v", table, err)
			continue
		}
		column := rows.Columns()[0].Name
		_ = rows.Close()
		for _, sql := range []string{"SELECT count(*) FROM %s", "SELECT %[2]s FROM %[1]s WHERE %[2]s IS NULL", "SELECT DISTINCT %[2]s FROM %[1]s ORDER BY %[2]s DESC OFFSET 1", "SELECT a.%[2]s FROM %[1]s a JOIN %[1]s b ON a.%[2]s = b.%[2]s LIMIT 1"} {
			sql = strings.TrimSuffix(fmt.Sprintf(sql, table, column), "%!(EXTRA string="+column+")")
			if _, err := c.Exec(harness.Context(t), sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
		if _, err := c.Exec(harness.Context(t), "DROP TABLE "+table); link.CodeOf(err) != link.CodePermissionDenied {
			t.Errorf("DROP TABLE %s: %v", table, err)
		}
	}
}

// TestTypeSafeWrappersUsage is story 6, scenario 3: names are checked once, at
// the edge, by the same rules as the server's.
func TestTypeSafeWrappersUsage(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ns, err := ident.ParseNamespace(s.Namespace(t))
	if err != nil {
		t.Fatal(err)
	}
	c := s.Admin(t)
	for _, name := range []string{"messages", "with_underscore_1", "", "1st", "has space", "semi;colon", `quo"te`, strings.Repeat("x", 63), strings.Repeat("x", 64), "select"} {
		table, parseErr := ident.ParseTable(name)
		_, err := c.Exec(harness.Context(t), fmt.Sprintf(`CREATE USER TABLE %s."%s" (id BIGINT)`, ns, strings.ReplaceAll(name, `"`, `""`)))
		if (parseErr == nil) != (err == nil) {
			t.Errorf("%q: the type says %v, the server %v", name, parseErr, err)
		}
		if parseErr == nil && !hasTable(t, c, string(ns), string(table)) {
			t.Errorf("%q is not in the catalog", table)
		}
	}
	for _, bad := range []string{"", "x\x00y", strings.Repeat("x", 64)} {
		if _, err := ident.ParseNamespace(bad); err == nil {
			t.Errorf("%q is a namespace", bad)
		}
	}
}

// TestColumnFamilyHelperFunctions is story 6, scenario 5: the names of
// partitions are made in one place. Whoever made one elsewhere would have to
// convert text to a kv.Partition.
func TestColumnFamilyHelperFunctions(t *testing.T) {
	t.Parallel()
	for path, f := range sources(t, "core", "live", "server", "sql") {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Partition" {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "kv" {
					t.Errorf("%s makes the name of a partition by itself", path)
				}
			}
			return true
		})
	}
	var helpers []string
	for _, f := range sources(t, "store/keyenc") {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasSuffix(fn.Name.Name, "Partition") {
				helpers = append(helpers, fn.Name.Name)
			}
		}
	}
	for _, want := range []string{"UserPartition", "SharedPartition", "CatalogPartition", "MetaPartition", "ParsePartition"} {
		if !slices.Contains(helpers, want) {
			t.Errorf("store/keyenc has no %s, only %v", want, helpers)
		}
	}
}

// TestKalamdbCommonsModelsAccessible is story 6, scenario 12: the shared types
// can be used from another module, and refuse what they must.
func TestKalamdbCommonsModelsAccessible(t *testing.T) {
	t.Parallel()
	user, err := ident.ParseUserID("auth0|5f7c")
	if err != nil || string(user) != "auth0|5f7c" {
		t.Errorf("%q, %v", user, err)
	}
	for _, bad := range []string{"", "line\nbreak", strings.Repeat("x", 129), "\xff"} {
		if _, err := ident.ParseUserID(bad); err == nil {
			t.Errorf("%q is a user", bad)
		}
	}
	table, err := ident.ParseTable("messages")
	if err != nil {
		t.Fatal(err)
	}
	ns, err := ident.ParseNamespace("chat")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(ident.Table{Namespace: ns, Name: table}); got != "chat.messages" {
		t.Errorf("the table is %s", got)
	}
	for _, typ := range []ident.TableType{ident.UserTable, ident.SharedTable, ident.StreamTable} {
		if back, err := ident.ParseTableType(string(typ)); err != nil || back != typ {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// TestSystemCatalogConsistency is story 6, scenario 10: system tables are in
// the namespace system, under the names of one list, and nowhere else.
func TestSystemCatalogConsistency(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	c := s.Admin(t)
	have := systemTables(t, c)
	for _, name := range []ident.TableName{sysname.Users, sysname.Namespaces, sysname.Tables, sysname.TableSchemas, sysname.Storages, sysname.Jobs, sysname.LiveQueries, sysname.Sessions, sysname.APIKeys, sysname.PlanCache} {
		qualified := string(sysname.System) + "." + string(name)
		if !slices.Contains(have, qualified) {
			t.Errorf("%s is not listed", qualified)
		}
		if _, err := c.Exec(harness.Context(t), "SELECT * FROM "+qualified+" LIMIT 1"); err != nil {
			t.Errorf("%s: %v", qualified, err)
		}
		if _, err := c.Exec(harness.Context(t), "SELECT * FROM "+string(name)); err == nil {
			t.Errorf("%s is found without its namespace", name)
		}
		harness.Exec(t, c.With(link.WithNamespace("system")), "SELECT * FROM "+string(name)+" LIMIT 1")
	}
	for _, name := range []string{"system.storage_locations", "system.nothing"} {
		if _, err := c.Exec(harness.Context(t), "SELECT * FROM "+name); link.CodeOf(err) != link.CodeTableNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, sql := range []string{"CREATE NAMESPACE system", "DROP NAMESPACE system CASCADE", "CREATE USER TABLE system.t (id BIGINT)", "DELETE FROM system.tables", "INSERT INTO system.namespaces (namespace_id) VALUES ('x')"} {
		if _, err := c.Exec(harness.Context(t), sql); err == nil {
			t.Errorf("%s was accepted", sql)
		}
	}
}

// TestLocalVsTemporaryServerConfig is story 6, scenario 11: the same tests run
// against a server of their own and against one that runs already.
func TestLocalVsTemporaryServerConfig(t *testing.T) {
	if os.Getenv("KALAM_URL") != "" {
		t.Skip("skipped: this run is against a server that runs already")
	}
	t.Parallel()
	local := harness.Start(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const subset = "^(TestCreateTableNonexistentNamespaceError|TestParameterCountMismatch|TestMixedOperationsOrdering|TestInsertUserIntoSystemUsers)$"
	cmd := exec.Command(program, "-test.run", subset, "-test.v")
	cmd.Env = append(os.Environ(), "KALAM_URL="+local.URL, "KALAM_SERVER_BINARY="+harness.ServerBinary(t))
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 4 {
		t.Errorf("against %s: %v\n%s", local.URL, err, out)
	}
	// It was really that server: the tests' statements are in its cache.
	n := harness.Query[int64](t, local.Admin(t), "SELECT count(*) FROM system.plan_cache WHERE statement LIKE '%messages%'")[0]
	if n == 0 {
		t.Error("the server that runs already was not used")
	}
}

// TestBinarySizeOptimization is story 6, scenario 13: what only tests need is
// in no binary, and the binaries keep to their sizes (SC-CLI-008).
func TestBinarySizeOptimization(t *testing.T) {
	t.Parallel()
	for path, limit := range map[string]int64{harness.ServerBinary(t): 80 << 20, harness.ClientBinary(t): 20 << 20} {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range info.Deps {
			for _, testOnly := range []string{"go.uber.org/goleak", "github.com/creack/pty", "github.com/stretchr/testify", "github.com/alicebob/miniredis"} {
				if strings.HasPrefix(d.Path, testOnly) {
					t.Errorf("%s holds %s", filepath.Base(path), d.Path)
				}
			}
		}
		stat, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if stat.Size() > limit {
			t.Errorf("%s has %d bytes, at most %d are allowed", filepath.Base(path), stat.Size(), limit)
		}
	}
	cmd := exec.Command("go", "list", "-deps", "./server", "./cli/cmd/kalam-cli")
	cmd.Dir = harness.Root()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, bad := range []string{"testing", "net/http/httptest"} {
		if slices.Contains(strings.Fields(string(out)), bad) {
			t.Errorf("a binary holds the package %s", bad)
		}
	}
}
