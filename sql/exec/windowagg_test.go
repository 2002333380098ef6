package exec_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/exec"
)

// TestSlidingFrames compares aggregates over frames that slide, in partitions
// that are long enough for a tree of states, with a subquery that reads the
// same rows.
func TestSlidingFrames(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	tab := newColumnar(700)
	c := sql.NewCompiler(sql.Options{})
	all := func(text string) []string {
		p, err := c.Prepare(t.Context(), sql.Request{Text: text, Namespace: "main", Catalog: catalog{tab}})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := p.Query(t.Context(), &exec.Env{Snapshot: snapshot{tab}})
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var out []string
		for {
			b, err := rows.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				return out
			}
			for i := range b.Rows() {
				row := make(sqltype.Row, len(b.Cols))
				b.ReadRow(i, row)
				out = append(out, fmt.Sprint(row))
			}
		}
	}
	for range 20 {
		back, ahead := r.IntN(300), r.IntN(300)
		if r.IntN(3) == 0 {
			back = r.IntN(20)
		}
		frame := fmt.Sprintf("OVER (ORDER BY id ROWS BETWEEN %d PRECEDING AND %d FOLLOWING", back, ahead)
		minus := ""
		if r.IntN(3) == 0 {
			frame, minus = frame+" EXCLUDE CURRENT ROW", " AND i.id <> o.id"
		}
		frame += ")"
		got := all(fmt.Sprintf(`SELECT id, count(*) %[1]s, sum(grp) FILTER (WHERE grp > 300) %[1]s, min(room) %[1]s, max(grp) %[1]s FROM big ORDER BY id`, frame))
		want := all(fmt.Sprintf(`SELECT o.id, x.* FROM big o, LATERAL (SELECT count(*), sum(grp) FILTER (WHERE grp > 300), min(room), max(grp)
			FROM big i WHERE i.id - o.id BETWEEN -%d AND %d%s) x ORDER BY o.id`, back, ahead, minus))
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s, row %d: %s, want %s", frame, i, got[i], want[i])
			}
		}
	}
}

// BenchmarkSlidingFrame is an aggregate over wide frames: its time must not
// grow with their width.
func BenchmarkSlidingFrame(b *testing.B) {
	t := newColumnar(100_000)
	c := sql.NewCompiler(sql.Options{})
	for _, width := range []int{10, 1000, 50_000} {
		b.Run(fmt.Sprint(width), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				runQuery(b, c, t, &exec.Env{Snapshot: snapshot{t}}, fmt.Sprintf("SELECT max(s) FROM (SELECT sum(grp) OVER (ORDER BY id ROWS BETWEEN %d PRECEDING AND CURRENT ROW) s FROM big) x", width))
			}
		})
	}
}
