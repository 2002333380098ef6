package logictest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql"
)

// TestMutatedStatements runs the statements of our scripts with tokens left
// out, doubled, exchanged and taken from others: whatever comes of it, it is a
// result or a coded error.
func TestMutatedStatements(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.slt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	r := rand.New(rand.NewPCG(17, 19))
	count := 40
	if testing.Short() {
		count = 2
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		script, err := ParseScript(string(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		var pool []string
		for i := range script.Records {
			pool = append(pool, strings.Fields(script.Records[i].SQL)...)
		}
		for range count {
			db := NewDB(sql.Options{})
			db.Env.MemoryLimit = 16 << 20
			for i := range script.Records {
				sql := script.Records[i].SQL
				if script.Records[i].Kind == "query" || r.IntN(4) == 0 {
					sql = mutate(r, strings.Fields(sql), pool)
				}
				if err := tryExec(db, sql); err != nil {
					t.Errorf("%s: %v\n%s", f, err, sql)
				}
			}
		}
	}
}

func mutate(r *rand.Rand, tokens, pool []string) string {
	for range 1 + r.IntN(3) {
		if len(tokens) == 0 {
			break
		}
		i := r.IntN(len(tokens))
		switch r.IntN(4) {
		case 0:
			tokens = append(tokens[:i:i], tokens[i+1:]...)
		case 1:
			k := r.IntN(len(tokens))
			tokens[i], tokens[k] = tokens[k], tokens[i]
		case 2:
			tokens[i] = pool[r.IntN(len(pool))]
		case 3:
			tokens = append(tokens[:i:i], append([]string{pool[r.IntN(len(pool))]}, tokens[i:]...)...)
		}
	}
	return strings.Join(tokens, " ")
}

func tryExec(db *DB, sql string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, e := db.Exec(ctx, sql); e != nil && dberr.CodeOf(e) == dberr.Internal {
		return e
	}
	return nil
}
