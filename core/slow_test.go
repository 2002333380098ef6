package core

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
)

// TestSlowLogHasNoLiterals looks at what the log of slow statements shows.
func TestSlowLogHasNoLiterals(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT a.b, 'x''y', 12, 1.5e3 FROM t WHERE c=$1 -- secret":       "SELECT a.b, ?, ?, ? FROM t WHERE c=$1",
		"CREATE STORAGE s TYPE s3 PATH $$s3://x$$ CREDENTIALS $$secret$$": "CREATE STORAGE s TYPE s3 PATH ? CREDENTIALS ?",
		"SELECT 'never closed secret":                                     "not a valid statement",
		"CREATE STORAGE ' CREDENTIALS 'secret'":                           "not a valid statement",
		"SELECT X'00ff', B'01', 300":                                      "SELECT ?, ?, ?",
		"SELECT 1 /* secret */ + 2":                                       "SELECT ?  + ?",
	} {
		if got := strings.TrimSpace(masked(in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	if got := masked("SELECT " + strings.Repeat("column_name, ", 1000) + "x"); len(got) > 2*maxLogged {
		t.Error(len(got))
	}
	var log bytes.Buffer
	cfg := testConfig(config.BackendMemory, "")
	cfg.Query.Slow = 1
	e, err := Open(context.Background(), cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	d := &db{TB: t, Engine: e}
	d.must(admin, "SELECT 'canary-literal'")
	if err := e.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if s := log.String(); !strings.Contains(s, "slow statement") || !strings.Contains(s, `statement="SELECT ?"`) || strings.Contains(s, "canary") {
		t.Error(s)
	}
}
