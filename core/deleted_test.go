package core

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/live"
)

// screen shows what a live query has told so far, rows by their first column.
type screen struct {
	query string
	sub   *live.Subscription
	rows  map[string]string
}

func (s *screen) text() string {
	var lines []string
	for _, r := range s.rows {
		lines = append(lines, r)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// until takes what comes until the screen shows the rows that are wanted.
func (s *screen) until(t *testing.T, after, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hearing)
	defer cancel()
	line := func(r sqltype.Row) (key, text string) {
		var vals []string
		for _, v := range r {
			vals = append(vals, v.Text())
		}
		return vals[0], strings.Join(vals, "|")
	}
	for s.text() != want {
		m, err := s.sub.Next(ctx)
		if err != nil {
			t.Fatalf("after %s, %s:\nshown:\n%s\nSELECT gives:\n%s\n(%v)", after, s.query, s.text(), want, err)
		}
		for i, r := range m.Rows {
			key, text := line(r)
			if old := key; m.Old != nil {
				var was string
				if old, was = line(m.Old[i]); s.rows[old] != was {
					t.Errorf("after %s, %s: old values %s, shown was %s", after, s.query, was, s.rows[old])
				}
				delete(s.rows, old)
			} else if _, ok := s.rows[key]; ok && m.Kind == live.Insert && !m.Resync {
				t.Errorf("after %s, %s: %s is inserted, and shown already", after, s.query, text)
			}
			if s.rows[key] = text; m.Kind == live.Delete {
				delete(s.rows, key)
			}
		}
	}
}

// TestLiveQueriesThatShowDeletedRows holds that a live query which names
// _deleted leads to what its SELECT gives, whatever happens to rows and keys.
func TestLiveQueriesThatShowDeletedRows(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, a TEXT); CREATE STREAM TABLE app.s (id BIGINT PRIMARY KEY, a TEXT) TTL 1h")
		d.must("ann", "INSERT INTO app.t VALUES (1, 'x'), (2, 'y'), (7, 'x'); DELETE FROM app.t WHERE id = 7")
		var screens []*screen
		for _, q := range []string{
			"SELECT id, a, _deleted, _updated FROM app.t",
			"SELECT id, a, _deleted, _updated FROM app.t WHERE _deleted",
			"SELECT id, a, _deleted, _updated FROM app.t WHERE NOT _deleted",
			"SELECT id, a, _deleted, _updated FROM app.t WHERE a = 'x'",
			"SELECT id, a, _deleted, _updated FROM app.s",
		} {
			s := &screen{query: q, rows: map[string]string{}}
			s.sub = d.subscribe("ann", SubscribeRequest{SQL: q, LastRows: ptr[int64](-1)})
			screens = append(screens, s)
		}
		usual := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id, a FROM app.t"})
		look := func(after string) {
			t.Helper()
			for _, s := range screens {
				want := strings.Split(d.rows("ann", s.query), "\n")
				slices.Sort(want)
				s.until(t, after, strings.Join(want, "\n"))
			}
		}
		look("the start")
		for _, change := range []string{
			"DELETE FROM app.t WHERE id = 1",
			"INSERT INTO app.t VALUES (1, 'y')",
			"INSERT INTO app.t VALUES (7, 'z')",
			"UPDATE app.t SET a = 'x' WHERE id = 2",
			"UPDATE app.t SET id = 3 WHERE id = 2",
			"INSERT INTO app.t VALUES (2, 'x') ON CONFLICT (id) DO UPDATE SET a = 'never'",
			"UPDATE app.t SET id = id + 1",
			"WITH d AS (DELETE FROM app.t WHERE id = 4 RETURNING id) INSERT INTO app.t SELECT id, 'again' FROM d",
			"DELETE FROM app.t",
			"INSERT INTO app.t SELECT i, 'x' FROM generate_series(1, 8) AS g(i)",
			"INSERT INTO app.s VALUES (1, 'x'), (2, 'y'); DELETE FROM app.s WHERE id = 1",
			"DELETE FROM app.t WHERE id % 2 = 0; INSERT INTO app.s VALUES (1, 'again')",
		} {
			d.must("ann", change)
			look(change)
		}
		// Who resumes is told the same.
		from := uint64(screens[0].sub.Seq())
		back := &screen{query: screens[0].query, rows: map[string]string{}}
		back.sub = d.subscribe("ann", SubscribeRequest{SQL: back.query, FromSeq: &from})
		want := strings.Split(d.rows("ann", back.query), "\n")
		slices.Sort(want)
		back.until(t, "coming back", strings.Join(want, "\n"))
		// A query beside them hears what it always does.
		for _, want := range []string{"delete [1]", "insert [1]", "insert [7]"} {
			if h := next(t, usual); fmt.Sprint(h.kind, " ", h.ids) != want {
				t.Errorf("the usual query heard %s %v, want %s", h.kind, h.ids, want)
			}
		}
	})
}
