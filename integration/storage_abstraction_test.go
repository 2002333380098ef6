package integration

import (
	"errors"
	"fmt"
	"go/ast"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
	"github.com/kalamdb/kalamdb/store/kv/rediskv/redistest"
)

// methods lists the methods of an interface that a file declares, with whether
// each has a comment.
func methods(f *ast.File, name string) map[string]bool {
	out := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return true
		}
		if it, ok := spec.Type.(*ast.InterfaceType); ok {
			for _, m := range it.Methods.List {
				for _, id := range m.Names {
					out[id.Name] = m.Doc != nil
				}
			}
		}
		return false
	})
	return out
}

// TestStorageTraitInterfaceExists is story 7, scenario 1: one interface, with
// its contract in its comments, has every operation on the store of bytes.
func TestStorageTraitInterfaceExists(t *testing.T) {
	t.Parallel()
	files := sources(t, "store/kv")
	contract := files["store/kv/kv.go"]
	for name, want := range map[string][]string{
		"Backend":  {"Snapshot", "Write", "DropPartition", "DropPartitions", "Compact", "Size", "Limits", "Close"},
		"Snapshot": {"Get", "Scan", "Partitions", "Release"},
		"Iterator": {"Next", "Key", "Value", "Err", "Close"},
	} {
		have := methods(contract, name)
		for _, m := range want {
			if documented, ok := have[m]; !ok || !documented {
				t.Errorf("%s.%s: declared %v, documented %v", name, m, ok, documented)
			}
		}
	}
	var batch []string
	for _, d := range files["store/kv/batch.go"].Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
			batch = append(batch, fn.Name.Name)
		}
	}
	for _, m := range []string{"Put", "Delete", "CreatePartition", "Append", "Reset"} {
		if !slices.Contains(batch, m) {
			t.Errorf("a batch has no %s, only %v", m, batch)
		}
	}
	// The contract knows no implementation.
	for _, i := range contract.Imports {
		if path, _ := strconv.Unquote(i.Path.Value); strings.Contains(path, "badger") || strings.Contains(path, "redis") {
			t.Errorf("the contract imports %s", path)
		}
	}
}

// TestRocksdbImplementsStorageTrait is story 7, scenario 2: the engine of the
// default backend implements the interface, and nothing of it shows: neither
// in the exported names of its package nor in another package's imports.
func TestRocksdbImplementsStorageTrait(t *testing.T) {
	t.Parallel()
	const room = "store/kv/badgerkv/"
	asserted := false
	for path, f := range sources(t, "store", "core", "sql", "live", "server") {
		for _, i := range f.Imports {
			if imported, _ := strconv.Unquote(i.Path.Value); strings.HasPrefix(imported, "github.com/dgraph-io/") && !strings.HasPrefix(path, room) {
				t.Errorf("%s imports %s", path, imported)
			}
		}
		if !strings.HasPrefix(path, room) {
			continue
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && mentions(d.Type, "badger") {
					t.Errorf("%s: %s shows a type of Badger", path, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						st, ok := s.Type.(*ast.StructType)
						if !ok || !s.Name.IsExported() {
							continue
						}
						for _, field := range st.Fields.List {
							if len(field.Names) > 0 && field.Names[0].IsExported() && mentions(field.Type, "badger") {
								t.Errorf("%s: %s.%s shows a type of Badger", path, s.Name.Name, field.Names[0].Name)
							}
						}
					case *ast.ValueSpec:
						if s.Names[0].Name == "_" && mentions(s.Type, "kv") {
							asserted = true
						}
					}
				}
			}
		}
	}
	if !asserted {
		t.Error("no line says that the backend implements kv.Backend")
	}
}

// mentions tells whether an expression names something of a package.
func mentions(n ast.Node, pkg string) (found bool) {
	if n == nil {
		return false
	}
	ast.Inspect(n, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == pkg {
				found = true
			}
		}
		return !found
	})
	return found
}

// TestSystemStoragesTableRenamed is story 7, scenario 3: the table is
// system.storages, everywhere, and the old name is not known.
func TestSystemStoragesTableRenamed(t *testing.T) {
	t.Parallel()
	c := harness.Shared(t).Admin(t)
	type storage struct{ StorageID, StorageType string }
	got := harness.Query[storage](t, c, "SELECT storage_id, storage_type FROM system.storages WHERE storage_id = 'local'")
	if len(got) != 1 || got[0].StorageType != "filesystem" {
		t.Errorf("system.storages holds %+v", got)
	}
	for _, sql := range []string{"SELECT * FROM system.storage_locations", "DESCRIBE TABLE system.storage_locations", "INSERT INTO system.storage_locations VALUES (1)"} {
		if _, err := c.Exec(harness.Context(t), sql); link.CodeOf(err) != link.CodeTableNotFound {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, dir := range []string{"commons", "store", "sql", "live", "core", "server", "link", "cli", "docs", "docker"} {
		eachFile(t, dir, func(path, text string) {
			// The requirements quote the specification.
			if strings.Contains(text, "storage_locations") && !strings.HasSuffix(path, "_test.go") && filepath.Base(path) != "requirements.md" {
				t.Errorf("%s still says storage_locations", path)
			}
		})
	}
}

// eachFile reads the Go, Markdown, TOML and YAML files below a folder of the
// repository.
func eachFile(t *testing.T, dir string, use func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(harness.Root(), dir), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".go", ".md", ".toml", ".yml"}, filepath.Ext(path)) {
			return err
		}
		text, err := os.ReadFile(path)
		use(path, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eachBackend runs a test on a server with every backend there is.
func eachBackend(t *testing.T, test func(t *testing.T, s *harness.Server)) {
	t.Run(config.BackendBadger, func(t *testing.T) {
		t.Parallel()
		test(t, harness.Start(t, "KALAMDB_STORE_BACKEND=badger"))
	})
	t.Run(config.BackendMemory, func(t *testing.T) {
		t.Parallel()
		test(t, harness.Start(t, "KALAMDB_STORE_BACKEND=memory"))
	})
	t.Run(config.BackendRedis, func(t *testing.T) {
		t.Parallel()
		test(t, startOnRedis(t, redistest.Start(t)))
	})
}

// onRedis is the settings of a server on a Redis server.
func onRedis(r *redistest.Server) []string {
	return []string{"KALAMDB_STORE_BACKEND=redis", "KALAMDB_STORE_REDIS_URL=" + r.URL, "KALAMDB_STORE_REDIS_PREFIX=story7"}
}

func startOnRedis(t *testing.T, r *redistest.Server) *harness.Server {
	t.Helper()
	return harness.Start(t, onRedis(r)...)
}

// TestStorageOperationsThroughAbstraction is story 7, scenarios 1 and 2: the
// same statements give the same answers with every backend, row by row and
// error by error; only the opening of the engine names an implementation.
func TestStorageOperationsThroughAbstraction(t *testing.T) {
	t.Parallel()
	for path, f := range sources(t, "core", "sql", "live", "server") {
		for _, i := range f.Imports {
			imported, _ := strconv.Unquote(i.Path.Value)
			for _, impl := range []string{"badgerkv", "memkv", "rediskv"} {
				if strings.HasSuffix(imported, "/store/kv/"+impl) && path != "core/engine.go" {
					t.Errorf("%s uses the backend %s by itself", path, impl)
				}
			}
		}
	}
	script := []string{
		"CREATE NAMESPACE app", "CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, v TEXT, n DOUBLE)",
		"INSERT INTO app.t VALUES (1, 'a', 1.5), (2, 'b', NULL), (3, 'ünïcode', -0.5)",
		"INSERT INTO app.t VALUES (4, 'd', 1), (2, 'twice', 2)",
		"UPDATE app.t SET v = v || '!', n = n + 1 WHERE id <> 2", "DELETE FROM app.t WHERE id = 3",
		"SELECT id, v, n FROM app.t ORDER BY id", "SELECT id, v FROM app.t ORDER BY id DESC LIMIT 1", "SELECT v FROM app.t WHERE id = 2",
		"SELECT count(*), sum(n) FROM app.t", "SELECT id, _deleted FROM app.t WHERE _deleted",
		"INSERT INTO app.t VALUES (3, 'again', 0) ON CONFLICT (id) DO UPDATE SET v = 'never'", "SELECT v FROM app.t WHERE id BETWEEN 2 AND 3 ORDER BY id",
		"ALTER TABLE app.t ADD COLUMN w INT DEFAULT 7", "SELECT * FROM app.t ORDER BY id", "SELECT nothing FROM app.t",
		"DROP TABLE app.t", "SELECT * FROM app.t",
	}
	answers := make(chan string, 3)
	t.Run("servers", func(t *testing.T) {
		eachBackend(t, func(t *testing.T, s *harness.Server) {
			var out []string
			for _, sql := range script {
				a := s.Post(t, map[string]any{"sql": sql, "options": map[string]any{"rows": "array"}})
				text := fmt.Sprint(a.HTTPStatus)
				if a.Error != nil {
					text += " " + string(a.Error.Code) + " " + a.Error.Message
				}
				for _, r := range a.Results {
					text += fmt.Sprintf(" %d %s", r.RowCount, r.Rows)
				}
				out = append(out, sql+" → "+text)
			}
			answers <- strings.Join(out, "\n")
		})
	})
	close(answers)
	first, ok := <-answers
	if !ok || !strings.Contains(first, "ünïcode") && !strings.Contains(first, "UNIQUE_VIOLATION") {
		t.Fatalf("the script shows nothing:\n%s", first)
	}
	for other := range answers {
		if other != first {
			t.Errorf("backends differ:\n%s\n\nand\n%s", first, other)
		}
	}
}

// TestColumnFamilyAbstraction is story 7, scenario 4: every backend keeps
// tables and users apart, and a table's part goes as a whole.
func TestColumnFamilyAbstraction(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *harness.Server) {
		admin := s.Admin(t, link.WithNamespace("app"))
		harness.Exec(t, admin, "CREATE NAMESPACE app")
		// Names that are prefixes of each other.
		tables, users := []string{"t", "t1", "t10"}, []string{"a", "ab", "a|b"}
		for _, table := range tables {
			harness.Exec(t, admin, "CREATE USER TABLE app."+table+" (id BIGINT PRIMARY KEY, v TEXT)")
			for _, user := range users {
				harness.Exec(t, s.As(t, user, link.WithNamespace("app")), "INSERT INTO "+table+" SELECT g, '"+table+user+"' FROM generate_series(1, 5) AS s(g)")
			}
		}
		check := func(gone string) {
			t.Helper()
			for _, table := range tables {
				for _, user := range users {
					got, err := link.Collect[string](s.As(t, user, link.WithNamespace("app")).Query(harness.Context(t), "SELECT DISTINCT v || count(*) OVER () FROM "+table))
					if table == gone {
						if link.CodeOf(err) != link.CodeTableNotFound {
							t.Errorf("%s of %s after its drop: %v, %v", table, user, got, err)
						}
						continue
					}
					if err != nil || !slices.Equal(got, []string{table + user + "5"}) {
						t.Errorf("%s of %s: %v, %v", table, user, got, err)
					}
				}
			}
		}
		check("")
		harness.Exec(t, admin, "DROP TABLE t1")
		check("t1")
		harness.Exec(t, admin, "CREATE USER TABLE app.t1 (id BIGINT PRIMARY KEY, v TEXT)")
		if n := harness.Query[int64](t, s.As(t, "ab", link.WithNamespace("app")), "SELECT count(*) FROM t1"); n[0] != 0 {
			t.Errorf("a table made again has %d old rows", n[0])
		}
		if got := harness.Query[string](t, admin, "SELECT table_name FROM system.tables WHERE namespace = 'app' ORDER BY 1"); !slices.Equal(got, tables) {
			t.Errorf("tables %v", got)
		}
	})
}

// TestAlternativeBackendCompatibility is story 7, scenario 4: what there is
// beside the default backend does the same work, and keeps what it promises:
// Redis all over kill -9, memory nothing.
func TestAlternativeBackendCompatibility(t *testing.T) {
	t.Parallel()
	const setup = "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, v TEXT)"
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		r := redistest.Start(t)
		s := startOnRedis(t, r)
		c := s.Admin(t, link.WithNamespace("app"))
		harness.Exec(t, c, setup)
		sub := subscribe(t, s.Admin(t, link.WithNamespace("app")), "SELECT * FROM t")
		for i := range 20 {
			harness.Exec(t, c, "INSERT INTO t VALUES ($1, 'new')", i)
		}
		harness.Exec(t, c, "UPDATE t SET v = 'changed' WHERE id < 10")
		harness.Exec(t, c, "DELETE FROM t WHERE id >= 15")
		if n := len(rows(t, sub, 35)); n != 35 {
			t.Errorf("%d changes", n)
		}
		// A second server on the same database is told who has it.
		out, err := secondServer(t, onRedis(r)...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !strings.Contains(out, "in use by another server") || !strings.Contains(out, fmt.Sprint("process ", s.PID())) {
			t.Errorf("a second server: %v\n%s", err, out)
		}
		s.Kill()
		s.Restart()
		type count struct{ N, Changed int64 }
		const check = "SELECT count(*) AS n, count(*) FILTER (WHERE v = 'changed') AS changed FROM t"
		if got := harness.Query[count](t, c, check)[0]; got != (count{15, 10}) {
			t.Errorf("after kill -9: %+v", got)
		}
		// Redis itself is killed, and comes back.
		if err := r.Restart(); err != nil {
			t.Fatal(err)
		}
		if got := harness.Query[count](t, c, check)[0]; got != (count{15, 10}) {
			t.Errorf("after Redis was killed: %+v", got)
		}
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		s := harness.Start(t, "KALAMDB_STORE_BACKEND=memory")
		c := s.Admin(t, link.WithNamespace("app"))
		harness.Exec(t, c, setup+"; INSERT INTO t VALUES (1, 'x')")
		if got := harness.Query[string](t, c, "SELECT v FROM t WHERE id = 1"); !slices.Equal(got, []string{"x"}) {
			t.Errorf("rows %v", got)
		}
		s.Stop()
		s.Restart()
		if _, err := c.Exec(harness.Context(t), "SELECT * FROM app.t"); link.CodeOf(err) != link.CodeNamespaceNotFound && link.CodeOf(err) != link.CodeTableNotFound {
			t.Errorf("after the end of the process: %v", err)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command(harness.ServerBinary(t))
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "KALAMDB_STORE_BACKEND=sled", "KALAMDB_DATA_DIR="+cmd.Dir)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "store.backend") || !strings.Contains(string(out), "badger, memory, redis") {
			t.Errorf("an unknown backend: %v\n%s", err, out)
		}
	})
}

// secondServer runs another server process to its end, which must come soon.
func secondServer(t *testing.T, env ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(harness.Context(t), harness.ServerBinary(t))
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "KALAMDB_SERVER_PORT=0", "KALAMDB_DATA_DIR="+filepath.Join(dir, "data")), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestStorageBackendErrorHandling is story 7, scenario 1: a full or absent
// medium shows as coded errors, reading goes on where it can, the server says
// that it cannot do its work, and all goes on by itself afterwards. Nothing that
// failed is there then, and nothing that was acknowledged is missing.
func TestStorageBackendErrorHandling(t *testing.T) {
	t.Parallel()
	type fault struct {
		make, mend func()
		reads      bool // reading goes on meanwhile
	}
	run := func(t *testing.T, s *harness.Server, f fault) {
		t.Helper()
		admin := s.Admin(t)
		harness.Exec(t, admin, "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id BIGINT PRIMARY KEY, v TEXT) ACCESS open; INSERT INTO app.t VALUES (0, 'before')")
		f.make()
		failed := false
		acked := 1
		// The disk is looked at once a second, so some writes may still go well.
		for id := 1; !failed && id < 10_000; id++ {
			a := s.Post(t, map[string]any{"sql": "INSERT INTO app.t VALUES ($1, 'meanwhile')", "params": []any{id}})
			switch {
			case a.Error == nil:
				acked++
			case a.Error.Code != "STORAGE_UNAVAILABLE" || a.HTTPStatus != http.StatusServiceUnavailable || strings.Contains(a.Body, s.Dir):
				t.Fatalf("a write answers %d %s", a.HTTPStatus, a.Body)
			default:
				failed = true
			}
		}
		if !failed {
			t.Fatal("nothing failed")
		}
		if status := health(t, s); status != http.StatusServiceUnavailable {
			t.Errorf("health answers %d", status)
		}
		a := s.Post(t, map[string]any{"sql": "SELECT v FROM app.t WHERE id = 0"})
		if ok := a.Error == nil; ok != f.reads || !ok && a.Error.Code != "STORAGE_UNAVAILABLE" {
			t.Errorf("a read answers %d %s", a.HTTPStatus, a.Body)
		}
		f.mend()
		for end := time.Now().Add(harness.Limit / 2); health(t, s) != http.StatusOK; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the server does not recover")
			}
		}
		harness.Exec(t, admin, "INSERT INTO app.t VALUES (-1, 'after')")
		if n := harness.Query[int64](t, admin, "SELECT count(*) FROM app.t")[0]; n != int64(acked)+1 {
			t.Errorf("%d rows, %d were acknowledged", n, acked+1)
		}
	}
	t.Run("disk full", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		free, err := freeBytes(dir)
		const gib = int64(1) << 30
		if err != nil || free < 8*gib {
			t.Skipf("skipped: a full disk, which takes 8 GiB of free space and df to simulate: %d bytes, %v", free, err)
		}
		ballast := filepath.Join(dir, "ballast")
		s := harness.Start(t, "KALAMDB_STORE_BACKEND=badger", fmt.Sprintf("KALAMDB_STORE_BADGER_MIN_FREE=%dMiB", (free-2*gib)>>20))
		run(t, s, fault{
			make: func() {
				if out, err := exec.Command("fallocate", "-l", fmt.Sprint(4*gib), ballast).CombinedOutput(); err != nil {
					t.Skipf("skipped: a full disk, as fallocate fails: %v %s", err, out)
				}
			},
			mend: func() {
				if err := os.Remove(ballast); err != nil {
					t.Fatal(err)
				}
			},
			reads: true,
		})
	})
	t.Run("redis full", func(t *testing.T) {
		t.Parallel()
		r := redistest.Start(t)
		set := func(limit string) func() {
			return func() {
				if err := r.Set("maxmemory", limit); err != nil {
					t.Fatal(err)
				}
			}
		}
		run(t, startOnRedis(t, r), fault{make: set("1mb"), mend: set("0"), reads: true})
	})
	t.Run("redis away", func(t *testing.T) {
		t.Parallel()
		r := redistest.Start(t)
		run(t, startOnRedis(t, r), fault{make: r.Kill, mend: func() {
			if err := r.Restart(); err != nil {
				t.Fatal(err)
			}
		}})
	})
}

func health(t *testing.T, s *harness.Server) int {
	t.Helper()
	resp, err := http.Get(s.URL + wire.PathHealth)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// freeBytes is the free space of a folder's disk.
func freeBytes(dir string) (int64, error) {
	out, err := exec.Command("df", "--output=avail", "-B1", dir).Output()
	if err != nil {
		return 0, err
	}
	lines := strings.Fields(string(out))
	return strconv.ParseInt(lines[len(lines)-1], 10, 64)
}
