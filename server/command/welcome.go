package command

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kalamdb/kalamdb/commons/buildinfo"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/config"
)

// isTerminal tells whether somebody watches.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// welcome tells a newcomer where the server is and what to try first.
func welcome(w io.Writer, url string, loaded *config.Loaded) {
	build := buildinfo.Get()
	data := loaded.Data.Dir
	if abs, err := filepath.Abs(data); err == nil {
		data = abs
	}
	file := loaded.File
	if file == "" {
		file = "defaults (there is no " + config.DefaultFile + " here)"
	}
	fmt.Fprintf(w, `
  KalamDB %s

    listens on     %s
    data           %s
    configuration  %s
`, build.Version, url, data, file)
	if loaded.Auth.LocalhostBypass {
		fmt.Fprintf(w, `
  Try it from another terminal:

    curl -s %s%s -H 'Content-Type: application/json' \
      -d '{"sql": "CREATE NAMESPACE IF NOT EXISTS app; CREATE TABLE IF NOT EXISTS app.notes (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT); INSERT INTO app.notes (body) VALUES ('"'hello'"'); SELECT * FROM app.notes"}'
`, url, wire.PathSQL)
	} else {
		fmt.Fprint(w, `
  Requests need a token:

    kalamdb-server token --user NAME --role admin
`)
	}
	fmt.Fprint(w, "\n  kalam-cli is the prompt (from the sources: go run ./cli/cmd/kalam-cli).\n")
	fmt.Fprint(w, "  Ctrl+C stops the server.\n\n")
}
