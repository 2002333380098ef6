package exec_test

import (
	"testing"

	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/exec"
)

// TestStatementsTouchWhatTheyNeed counts the rows that are read of a large
// table.
func TestStatementsTouchWhatTheyNeed(t *testing.T) {
	for _, c := range []struct {
		name, query string
		rows, read  int
	}{
		{"key lookup", "SELECT * FROM big WHERE id = 77", 1, 1},
		{"few keys", "SELECT * FROM big WHERE id IN (1, 5, 900000)", 2, 2},
		{"key range", "SELECT id FROM big WHERE id >= 10 AND id < 15", 5, 5},
		{"join of one row by key", "SELECT b.room FROM big a JOIN big b ON b.id = a.grp WHERE a.id = 5", 1, 2},
		{"join the other way round", "SELECT a.room FROM big a JOIN big b ON a.id = b.grp WHERE b.id = 5", 1, 2},
		{"left join of a few rows", "SELECT a.id, b.room FROM big a LEFT JOIN big b ON b.id = a.id + 49998 WHERE a.id < 3", 3, 5},
		{"exists by key", "SELECT a.id FROM big a WHERE a.id < 4 AND EXISTS (SELECT 1 FROM big b WHERE b.id = a.grp)", 4, 8},
		{"scalar subquery by key", "SELECT (SELECT b.room FROM big b WHERE b.id = a.grp) FROM big a WHERE a.id = 3", 1, 2},
		{"limit", "SELECT id FROM big WHERE grp >= 0 LIMIT 3", 3, 2048},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := newColumnar(50_000)
			rows := runQuery(t, sql.NewCompiler(sql.Options{}), tab, &exec.Env{Snapshot: snapshot{tab}}, c.query)
			if rows != c.rows || tab.read > c.read {
				t.Errorf("%d rows, want %d; read %d rows of the table, want at most %d", rows, c.rows, tab.read, c.read)
			}
		})
	}
}
