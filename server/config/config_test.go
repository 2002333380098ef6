package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
)

// load loads text as a configuration file with an environment.
func load(t *testing.T, text string, env ...string) (*Loaded, string, error) {
	path := filepath.Join(t.TempDir(), "kalam.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Load(Options{File: path, Environ: append([]string{"HOME=/x"}, env...), Executable: "/opt/kalam/kalamdb-server"})
	return l, path, err
}

func TestPrecedence(t *testing.T) {
	l, path, err := load(t, "[server]\nport = 9000\nhost = \"0.0.0.0\"\n\n[rate_limit]\nenabled = false\n",
		"KALAMDB_SERVER_PORT=9001", "KALAMDB_SERVER_ALLOWED_ORIGINS=https://a.example, https://b.example",
		"KALAMDB_QUERY_TIMEOUT=2m", "KALAMDB_STORE_BADGER_BLOCK_CACHE=64MiB", "KALAMDB_STORE_SYNC=FALSE")
	if err != nil {
		t.Fatal(err)
	}
	if l.Server.Port != 9001 || l.Server.Host != "0.0.0.0" || l.RateLimit.Enabled || l.Query.Timeout.Std() != 2*time.Minute ||
		l.Store.Badger.BlockCache != 64*config.MiB || l.Store.Sync || !reflect.DeepEqual(l.Server.AllowedOrigins, []string{"https://a.example", "https://b.example"}) {
		t.Errorf("%+v", l.Config)
	}
	for key, want := range map[string]string{
		"server.port": "environment KALAMDB_SERVER_PORT", "server.host": path + ":3", "rate_limit.enabled": path + ":6", "server.max_body": "default",
	} {
		if got := l.Source(key); got != want {
			t.Errorf("%s comes from %q, want %q", key, got, want)
		}
	}
	if l.Data.Dir != filepath.FromSlash("/opt/kalam/data") || l.Storage.DefaultLocation != filepath.FromSlash("/opt/kalam/data/storage") {
		t.Error(l.Data.Dir, l.Storage.DefaultLocation)
	}
}

func TestFileErrors(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"unknown key", "[server]\n\nprot = 1\n", ":3: unknown key server.prot; did you mean server.port?"},
		{"unknown section", "[sever]\nport = 1\n", ":1: unknown section sever"},
		{"unknown key far from any", "[log]\nxxxxxxxxxxxxxxxxxxxxxx = 1\n", ":2: unknown key log.xxxxxxxxxxxxxxxxxxxxxx"},
		{"unknown subsection", "[store.rocks]\na = 1\n", ":1: unknown section store.rocks"},
		{"unknown in an inline table", "server = { host = \"x\", prt = 1 }\n", ":1: unknown key server.prt"},
		{"unknown dotted", "a = 1\nserver.hosst = \"x\"\n", ":2: unknown key server.hosst"},
		{"string for a number", "[server]\nport = \"80\"\n", ":2: server.port: is a string; it must be a whole number"},
		{"fraction for a number", "[server]\nport = 80.5\n", ":2: server.port: is the number 80.5"},
		{"number for a duration", "[query]\n# 30 what?\ntimeout = 30\n", ":3: query.timeout: is the number 30; it must be a string with a unit"},
		{"bad duration", "[query]\ntimeout = \"30\"\n", ":2: query.timeout: \"30\" is not a duration"},
		{"bad size", "[server]\nmax_body = \"lots\"\n", ":2: server.max_body: \"lots\" is not a size"},
		{"string for a boolean", "[store]\nsync = \"yes\"\n", ":2: store.sync: is a string; it must be true or false"},
		{"string for a list", "[server]\nallowed_origins = \"x\"\n", ":2: server.allowed_origins: is a string; it must be a list of strings"},
		{"list of numbers", "[server]\nallowed_origins = [1]\n", ":2: server.allowed_origins: holds the number 1"},
		{"value for a section", "server = 1\n", ":1: unknown key server"},
		{"list of sections", "[[server]]\nport = 1\n", ":1: unknown key server"},
		{"not allowed", "[log]\nformat = \"text\"\nlevel = \"loud\"\n", ":3: log.level: is \"loud\"; it must be one of"},
		{"syntax", "[server]\nport = = 1\n", ":2:8:"},
		{"twice", "[server]\nport = 1\nport = 2\n", ":3:"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, path, err := load(t, tc.text)
			if err == nil || !strings.Contains(err.Error(), path+tc.want) {
				t.Fatalf("got %v\nwant …%s", err, tc.want)
			}
		})
	}
}

func TestEnvironmentErrors(t *testing.T) {
	_, _, err := load(t, "", "KALAMDB_SERVER_PORT=http", "KALAMDB_LOG_LEVEL=loud")
	if err == nil || !strings.Contains(err.Error(), "KALAMDB_SERVER_PORT: \"http\" is not a whole number") {
		t.Error(err)
	}
	_, _, err = load(t, "", "KALAMDB_LOG_LEVEL=loud")
	if err == nil || !strings.Contains(err.Error(), "environment KALAMDB_LOG_LEVEL: log.level") {
		t.Error(err)
	}
	l, _, err := load(t, "", "KALAMDB_SERVER_PROT=1", "KALAMDBX=2")
	if err != nil || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "did you mean KALAMDB_SERVER_PORT?") {
		t.Error(err, l)
	}
}

func TestMissingFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(Options{File: filepath.Join(dir, "no.toml"), Environ: []string{}}); err == nil {
		t.Error("a file that was named must be there")
	}
	l, err := Load(Options{WorkingDir: dir, Environ: []string{}, Executable: "/opt/x/server"})
	if err != nil || l.File != "" {
		t.Error(err, l)
	}
	if err := os.WriteFile(filepath.Join(dir, DefaultFile), []byte("[server]\nport = 1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = Load(Options{WorkingDir: dir, Environ: []string{}, Executable: "/opt/x/server"}); err != nil || l.Server.Port != 1234 {
		t.Error(err, l)
	}
}

func TestDataDir(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("paths of another shape")
	}
	for exe, want := range map[string]string{
		"/opt/kalam/bin/kalamdb-server":                       "/opt/kalam/bin/data",
		"/root/.cache/go-build/ab/abcdef-d/server":            "/srv/dir/data",
		os.TempDir() + "/go-build1234/b001/exe/server":        "/srv/dir/data",
		filepath.Join(os.TempDir(), "kalamdb-server"):         "/srv/dir/data",
		"/home/u/project/go-builder-of-things/kalamdb-server": "/srv/dir/data",
		"": "/srv/dir/data",
	} {
		if strings.Contains(exe, "go-builder") {
			// Only Go's own names count: go-build, followed by digits or nothing.
			want = "/home/u/project/go-builder-of-things/data"
		}
		if got := defaultDataDir(exe, "/srv/dir"); got != want {
			t.Errorf("%s: %s, want %s", exe, got, want)
		}
	}
	l, _, err := load(t, "[data]\ndir = \"/srv/k\"\n")
	if err != nil || l.Data.Dir != "/srv/k" || l.Storage.DefaultLocation != "/srv/k/storage" {
		t.Error(err, l)
	}
	l, _, err = load(t, "[data]\ndir = \"/srv/k\"\n[storage]\ndefault_location = \"/cold\"\n")
	if err != nil || l.Storage.DefaultLocation != "/cold" {
		t.Error(err, l)
	}
}

func TestPrintMasksSecrets(t *testing.T) {
	const secret = "a-very-secret-value-of-32-bytes-or-more"
	l, path, err := load(t, "[auth]\njwt_secret = \""+secret+"\"\n", "KALAMDB_STORE_REDIS_URL=redis://:hunter2@host")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := l.Print(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if strings.Contains(text, secret) || strings.Contains(text, "hunter2") {
		t.Error("a secret is shown")
	}
	if !strings.Contains(text, `jwt_secret = "********"`) || !strings.Contains(text, "# "+path+":2") {
		t.Error(text)
	}
	// What is printed can be read again.
	if _, _, err := load(t, strings.ReplaceAll(text, "********", secret)); err != nil {
		t.Error(err)
	}
}

// TestExampleIsTrue holds config.example.toml against the code: it has every
// key with its default, and nothing else.
func TestExampleIsTrue(t *testing.T) {
	raw, err := os.ReadFile("../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := load(t, string(raw)); err != nil {
		t.Errorf("as it is: %v", err)
	}
	text := regexp.MustCompile(`(?m)^#(\w+ = )`).ReplaceAllString(string(raw), "$1")
	l, _, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Data.Dir = l.Data.Dir // depends on the binary
	if !reflect.DeepEqual(l.Config, want) {
		t.Errorf("got  %+v\nwant %+v", l.Config, want)
	}
	for _, f := range Fields(&want) {
		if l.Source(f.Key) == SourceDefault {
			t.Errorf("%s is missing", f.Key)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("[server]\nport = 1\nallowed_origins = [\"a\", 1]\n[store.badger]\nmem_table = 8")
	f.Add("server = { port = 1, x.y = 2 }\n'a b'.c = 1979-05-27\n[[x]]\n")
	f.Fuzz(func(_ *testing.T, text string) {
		l := &Loaded{Config: config.Default(), source: map[string]string{}}
		_ = l.readFile("f", []byte(text), Fields(&l.Config))
	})
}
