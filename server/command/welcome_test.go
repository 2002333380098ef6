package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/server/config"
)

func TestWelcome(t *testing.T) {
	setup(t)
	loaded, err := config.Load(config.Options{WorkingDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	welcome(&out, "http://localhost:1234", loaded)
	for _, want := range []string{"curl -s http://localhost:1234/v1/api/sql", loaded.Data.Dir, "there is no config.toml here", "Ctrl+C"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
	if isTerminal(&out) {
		t.Error("a buffer is no terminal")
	}
	loaded.Auth.LocalhostBypass = false
	out.Reset()
	welcome(&out, "http://localhost:1234", loaded)
	if !strings.Contains(out.String(), "kalamdb-server token") || strings.Contains(out.String(), "curl") {
		t.Error(out.String())
	}
}
