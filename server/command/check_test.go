package command

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/kalamdb/kalamdb/commons/syncbuf"
	"github.com/kalamdb/kalamdb/server/app"
)

// onDisk sets up a database in a folder, and serves it while do runs.
func onDisk(t *testing.T, do func(s *app.Server)) (dir string) {
	t.Helper()
	dir = setup(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KALAMDB_SERVER_PORT", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	t.Setenv("KALAMDB_STORE_BACKEND", "badger")
	t.Setenv("KALAMDB_STORAGE_DEFAULT_LOCATION", filepath.Join(dir, "storage"))
	t.Setenv("KALAMDB_FLUSH_CHECK_INTERVAL", "1h")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	serve(t, do)
	return dir
}

func serve(t *testing.T, do func(s *app.Server)) {
	t.Helper()
	signals := make(chan os.Signal, 1)
	var log syncbuf.Buffer
	code := Run([]string{"kalamdb-server"}, Env{Stdout: &log, Stderr: &log, Signals: signals, Started: func(s *app.Server) {
		defer http.DefaultClient.CloseIdleConnections()
		do(s)
		signals <- syscall.SIGTERM
	}})
	if code != ExitOK {
		t.Fatal(code, log.String())
	}
}

// execute runs SQL as a user, by the bypass of local clients.
func execute(t *testing.T, s *app.Server, user, sql string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"sql": sql})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("POST", s.URL()+"/v1/api/sql", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-USER-ID", user)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		var out strings.Builder
		_ = res.Write(&out)
		t.Fatalf("%s: %s", sql, out.String())
	}
}

func makeDatabase(t *testing.T, s *app.Server) {
	t.Helper()
	execute(t, s, "root", `CREATE NAMESPACE app; CREATE USER TABLE app.notes (id INT PRIMARY KEY, body TEXT); CREATE SHARED TABLE app.words (w TEXT);
		INSERT INTO system.users (user_id, username) VALUES ('ann', 'Ann'), ('dan', 'Dan'); CREATE VIEW app.v AS SELECT w FROM app.words`)
	for _, user := range []string{"ann", "bob"} {
		for i := range 3 {
			execute(t, s, user, fmt.Sprintf("INSERT INTO app.notes VALUES (%d, 'a'), (%d, 'b')", 2*i, 2*i+1))
			execute(t, s, "root", "FLUSH TABLE app.notes")
		}
	}
	execute(t, s, "root", "INSERT INTO app.words VALUES ('x')")
}

func TestCheck(t *testing.T) {
	dir := onDisk(t, func(s *app.Server) {
		makeDatabase(t, s)
		code, _, errs := run(t, "check")
		if code != ExitData || !strings.Contains(errs, "A server is using the data directory") || !strings.Contains(errs, "stop the server first") {
			t.Errorf("beside a server: %d %s", code, errs)
		}
	})
	code, out, errs := run(t, "check")
	if code != ExitOK || errs != "" || !strings.Contains(out, "(badger), format 1,") || !strings.HasSuffix(out, "no faults\n") || !strings.Contains(out, "2 tables, 3 partitions; 0 hot rows; 7 files") {
		t.Errorf("a sound database: %d %s %s", code, out, errs)
	}
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, "storage"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".parquet") && strings.Contains(path, "notes") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) != 6 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flipped := append([]byte(nil), data...)
	flipped[20] ^= 1
	for _, c := range []struct {
		name   string
		damage func()
		want   string
		quick  bool // noticed with --quick, too
	}{
		{"a bit flipped", func() { put(files[1], flipped) }, "is damaged", false},
		{"cut off", func() { put(files[1], data[:len(data)-100]) }, "bytes instead of", true},
		{"swapped", func() { put(files[1], other) }, "is damaged", true},
		{"missing", func() { _ = os.Remove(files[1]) }, "is missing", true},
	} {
		c.damage()
		code, out, errs := run(t, "check")
		if code != ExitFault || !strings.Contains(out, "FAULT: table app.notes: file ") || !strings.Contains(out, filepath.Base(files[1])) ||
			!strings.Contains(out, c.want) || !strings.Contains(out, "1 faults, 0 notes") || !strings.Contains(errs, "has faults") {
			t.Errorf("%s: %d %s %s", c.name, code, out, errs)
		}
		if code, out, _ := run(t, "check", "--quick"); (code == ExitFault) != c.quick {
			t.Errorf("%s, quickly: %d %s", c.name, code, out)
		}
		put(files[1], data)
	}
	put(filepath.Join(dir, "storage", "app", "words", "00000400-0000000000000001.parquet"), data)
	code, out, _ = run(t, "check", "--json")
	var r checkReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if code != ExitOK || r.Faults != 0 || r.Notes != 1 || len(r.Findings) != 1 || r.Findings[0].Fault || !strings.Contains(r.Findings[0].Text, "is in no list") ||
		r.Files != 7 || r.ColdRows != 13 || r.Tables != 2 || r.DataDir != dir {
		t.Errorf("an unlisted file: %d %s", code, out)
	}
}

func TestInspect(t *testing.T) {
	var running inspectReport
	dir := onDisk(t, func(s *app.Server) {
		makeDatabase(t, s)
		execute(t, s, "root", "FLUSH ALL TABLES")
		code, out, errs := run(t, "inspect", "--json")
		if err := json.Unmarshal([]byte(out), &running); code != ExitOK || err != nil {
			t.Fatalf("beside a server: %d %s %v", code, errs, err)
		}
		if code, out, _ := run(t, "inspect"); code != ExitOK || !strings.Contains(out, "a server has it") || !strings.Contains(out, "app.notes") {
			t.Errorf("beside a server: %d %s", code, out)
		}
	})
	code, out, errs := run(t, "inspect", "--json")
	var r inspectReport
	if err := json.Unmarshal([]byte(out), &r); code != ExitOK || err != nil {
		t.Fatal(code, errs, err)
	}
	if r.DataDir != dir || r.Running || r.HotBytes == 0 || r.Sequence == 0 || len(r.Segments) != 7 || len(r.Findings) != 0 {
		t.Errorf("the report is %s", out)
	}
	if got := fmt.Sprintf("%+v", r.Namespaces); got != "[{Name:app Tables:2 Views:1}]" || got != fmt.Sprintf("%+v", running.Namespaces) {
		t.Errorf("namespaces are %s, while it ran %+v", got, running.Namespaces)
	}
	n := r.Tables[0]
	if len(r.Tables) != 2 || n.Name != "notes" || n.Type != "user" || n.Rows != 12 || n.Hot != 0 || n.Files != 6 || n.Bytes == 0 || n.Users != 2 || n.Storage != "local" || n.LastFlush == "" {
		t.Errorf("tables are %+v", r.Tables)
	}
	if m := running.Tables[0]; len(running.Tables) != 2 || m.Rows != 12 || m.Files != 6 || m.Bytes != n.Bytes || m.ID != n.ID || m.SchemaVersion != n.SchemaVersion {
		t.Errorf("while it ran tables were %+v", running.Tables)
	}
	var users []string
	for _, u := range r.Users {
		users = append(users, fmt.Sprint(u.ID, u.Name, u.Registered, u.Cold, u.Files))
	}
	if got := strings.Join(users, " "); got != "annAnntrue 6 3 bobfalse 6 3 danDantrue 0 0" {
		t.Errorf("users are %s", got)
	}
	if len(running.Users) != 2 || running.Users[1].Name != "Dan" || len(running.Storages) != 1 {
		t.Errorf("while it ran users were %+v, storages %+v", running.Users, running.Storages)
	}
	s := r.Segments[0]
	if s.Table != "app.notes" || s.User != "ann" || s.Rows != 2 || s.MinSeq > s.MaxSeq || s.File == "" || s.SchemaVersion != 1 {
		t.Errorf("a segment is %+v", s)
	}
	if code, out, _ := run(t, "inspect"); code != ExitOK || !strings.Contains(out, s.File) || !strings.Contains(out, "hot tier") {
		t.Errorf("as text: %d %s", code, out)
	}
	t.Setenv("KALAMDB_DATA_DIR", filepath.Join(t.TempDir(), "none"))
	for _, cmd := range []string{"check", "inspect"} {
		if code, _, errs := run(t, cmd); code != ExitData || !strings.Contains(errs, "There is no database in") {
			t.Errorf("%s without a database: %d %s", cmd, code, errs)
		}
		t.Setenv("KALAMDB_STORE_BACKEND", "memory")
		if code, _, errs := run(t, cmd); code != ExitData || !strings.Contains(errs, "in memory") {
			t.Errorf("%s in memory: %d %s", cmd, code, errs)
		}
		t.Setenv("KALAMDB_STORE_BACKEND", "badger")
	}
}
