package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCreateThenLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".kalam", "config.toml")
	if _, exists, err := Load(path); exists || err != nil {
		t.Fatalf("a missing file: %v, %v", exists, err)
	}
	if err := Create(path, "http://h:1", "ada"); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, "http://other:1", "eve"); err != nil {
		t.Fatal(err)
	}
	cfg, exists, err := Load(path)
	if err != nil || !exists || cfg.Connection.Host != "http://h:1" || cfg.Connection.User != "ada" || cfg.Connection.Token != "" {
		t.Errorf("%+v, %v, %v", cfg, exists, err)
	}
	fi, _ := os.Stat(path)
	dir, _ := os.Stat(filepath.Dir(path))
	if fi.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700 {
		t.Errorf("modes %v %v", fi.Mode(), dir.Mode())
	}
	data, _ := os.ReadFile(path)
	for _, want := range []string{"[connection]", "[output]"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in %s", want, data)
		}
	}
	if strings.Contains(string(data), "tenant") {
		t.Error("there is a tenant")
	}
}

func TestMistakesAreExplained(t *testing.T) {
	for _, tc := range []struct {
		text string
		line int
		want string
	}{
		{"[connection]\nhost = http://x\n", 2, "Mend that line"},
		{"[connection]\nhots = \"x\"\n", 2, `no setting "connection.hots"`},
		{"[connection\n", 1, ""},
		{"[output]\nformat = \"xml\"\n", 2, "it must be table"},
		{"[output]\n\ncolor = \"blue\"\n", 3, "auto, true or false"},
		{"[output]\nborder = \"thick\"\n", 2, "ascii"},
		{"[connection]\ntimeout = \"soon\"\n", 2, "30s"},
		{"[output]\npage_size = -1\n", 2, "negative"},
		{"[subscription]\nlast_rows = -2\n", 2, "last_rows"},
		{"[connection]\nuser = 5\n", 2, ""},
	} {
		path := write(t, tc.text)
		_, _, err := Load(path)
		var ce *Error
		if !errors.As(err, &ce) || ce.Line != tc.line || ce.Path != path || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q gives %v", tc.text, err)
		}
	}
}

func TestPrecedence(t *testing.T) {
	file := `
[connection]
host = "http://file:1"
user = "file-user"
token = "file-token"
timeout = "5s"
[output]
color = false
[profiles.prod]
host = "https://prod"
apikey = "prod-key"
`
	cfg, _, err := Load(write(t, file))
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	for _, tc := range []struct {
		name string
		o    Overrides
		want Connection
	}{
		{"file", Overrides{Getenv: none}, Connection{Host: "http://file:1", User: "file-user", Token: "file-token", Timeout: "5s"}},
		{"profile over file", Overrides{Getenv: none, Profile: "prod"}, Connection{Host: "https://prod", User: "file-user", APIKey: "prod-key", Timeout: "5s"}},
		{"environment over profile", Overrides{Profile: "prod", Getenv: env("KALAM_USER", "env-user")}, Connection{Host: "https://prod", User: "env-user", APIKey: "prod-key", Timeout: "5s"}},
		{"flag over environment", Overrides{Flags: Connection{User: "flag-user"}, Getenv: env("KALAM_USER", "env-user")}, Connection{Host: "http://file:1", User: "flag-user", Token: "file-token", Timeout: "5s"}},
		{"a stored token stays with its host", Overrides{Flags: Connection{Host: "http://elsewhere"}, Getenv: none}, Connection{Host: "http://elsewhere", User: "file-user", Timeout: "5s"}},
		{"a given token goes where told", Overrides{Flags: Connection{Host: "http://elsewhere"}, Getenv: env("KALAM_TOKEN", "env-token")}, Connection{Host: "http://elsewhere", User: "file-user", Token: "env-token", Timeout: "5s"}},
		{"one credential", Overrides{Flags: Connection{APIKey: "k"}, Getenv: none}, Connection{Host: "http://file:1", User: "file-user", APIKey: "k", Timeout: "5s"}},
	} {
		if got, err := cfg.Connect(tc.o); err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v", tc.name, got, err)
		}
	}
	if _, err := cfg.Connect(Overrides{Profile: "nope", Getenv: none}); err == nil {
		t.Error("an unknown profile was accepted")
	}
	var empty Config
	if got, _ := empty.Connect(Overrides{Getenv: none}); got.Host != DefaultHost {
		t.Errorf("default host %q", got.Host)
	}
}

func env(key, value string) func(string) string {
	return func(k string) string {
		if k == key {
			return value
		}
		return ""
	}
}

func TestParsers(t *testing.T) {
	for in, want := range map[string]time.Duration{"30s": 30 * time.Second, "2": 2 * time.Second, "0.5": 500 * time.Millisecond} {
		if got, err := ParseTimeout(in); err != nil || got != want {
			t.Errorf("%q gives %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "-1s", "x", "1e99"} {
		if _, err := ParseTimeout(in); err == nil {
			t.Errorf("%q was accepted", in)
		}
	}
	if c, err := ParseColor("auto"); c != nil || err != nil {
		t.Error("auto decides")
	}
	if _, err := ParseColor("blue"); err == nil {
		t.Error("blue was accepted")
	}
}
