package oracle

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
)

var script = flag.String("script", "", "file of statements to run on both sides, each ending a line with a semicolon")

// TestScript shows what both sides say to the statements of a file: those that
// a difference is reported with, for instance.
func TestScript(t *testing.T) {
	if *script == "" {
		t.Skip("no -script given")
	}
	text, err := os.ReadFile(*script)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := kalam(t), postgres(t)
	for _, db := range []engine.Database{ours, theirs} {
		if err := db.Use(t.Context(), "script"); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range strings.Split(string(text), ";\n") {
		if strings.TrimSpace(sql) == "" {
			continue
		}
		a, b := ours.Exec(t.Context(), sql), theirs.Exec(t.Context(), sql)
		if d := Compare(a, b, true); d != nil {
			t.Errorf("%s\n%s\n%s: %s\n%s: %s", d.Kind, sql, ours.Name(), Describe(a), theirs.Name(), Describe(b))
			continue
		}
		t.Logf("agree: %s\n%s", sql, Describe(a))
	}
}
