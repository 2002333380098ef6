package core

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
)

// TestDamagedFilesOfATable damages one of a table's files in every way. Who
// needs it is told so, with its name; who does not need it, or asks for what is
// left, reads on; and nobody changes rows without it.
func TestDamagedFilesOfATable(t *testing.T) {
	cfg := testConfig(config.BackendBadger, t.TempDir())
	d := openDB(t, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, v TEXT)")
	folder := filepath.Join(cfg.Data.Dir, "storage", "app", "users", "ann", "t")
	names := func() (out []string) {
		t.Helper()
		all, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			out = append(out, e.Name())
		}
		slices.Sort(out) // their numbers grow
		return out
	}
	for i := range 3 {
		d.must("ann", fmt.Sprintf("INSERT INTO app.t SELECT n, repeat('%c', 50) || n FROM generate_series(%d, %d) g(n)", 'a'+rune(i), i*1000, i*1000+999))
		d.must("bob", fmt.Sprintf("INSERT INTO app.t VALUES (%d, 'bob')", i))
		d.must(admin, "FLUSH TABLE app.t")
	}
	d.must("ann", "INSERT INTO app.t VALUES (5000, 'hot')")
	files := names()
	if len(files) != 3 {
		t.Fatal(files)
	}
	bad := filepath.Join(folder, files[1])
	data, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(folder, files[2]))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(b []byte)) []byte {
		b := slices.Clone(data)
		change(b)
		return b
	}
	skipping := func(sql string) (answer, error) {
		var r recorder
		err := d.session(who("ann")).Execute(context.Background(), Request{SQL: sql, SkipDamaged: true}, &r)
		if err != nil {
			return answer{}, err
		}
		return r.answers[0], nil
	}
	for _, c := range []struct {
		name string
		put  []byte // nil: no file
	}{
		{"missing", nil},
		{"empty", []byte{}},
		{"cut off", data[:len(data)/2]},
		{"swapped", other},
		{"a bit flipped", changed(func(b []byte) { b[len(b)/3] ^= 4 })},
		{"torn", changed(func(b []byte) { clear(b[512:4096]) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.put == nil {
				err = os.Remove(bad)
			} else {
				err = os.WriteFile(bad, c.put, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			// What is known of the file is forgotten.
			if err := d.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.Engine = openDB(d.TB, cfg).Engine
			for _, q := range []string{"SELECT count(v) FROM app.t", "SELECT * FROM app.t ORDER BY id", "SELECT max(v) FROM app.t WHERE id BETWEEN 1500 AND 3500", "UPDATE app.t SET v = v || 'x' WHERE v > 'a'"} {
				st := d.fails("ann", q, dberr.StorageUnavailable, files[1])
				if st != nil && strings.Contains(st.Error(), folder) {
					t.Errorf("%s: the message has the folder: %v", q, st)
				}
			}
			for q, want := range map[string]string{
				"SELECT count(v) FROM app.t WHERE id < 1000":   "1000",
				"SELECT count(v) FROM app.t WHERE id >= 2000":  "1001",
				"SELECT left(v, 3) FROM app.t WHERE id = 2500": "ccc",
				"SELECT v FROM app.t WHERE id = 5000":          "hot",
			} {
				if got := d.rows("ann", q); got != want {
					t.Errorf("%s: %s", q, got)
				}
			}
			if got := d.rows("bob", "SELECT count(v) FROM app.t"); got != "3" {
				t.Errorf("bob has %s", got)
			}
			a, err := skipping("SELECT count(v), min(id), max(id) FROM app.t")
			if err != nil || a.rows[0] != "2001|0|5000" || a.message != "1 file damaged or missing, and left out: "+files[1] {
				t.Errorf("what is left is %v, %v", a, err)
			}
			if a, err = skipping("SELECT id FROM app.t WHERE id IN (7, 1007, 2007) ORDER BY id"); err != nil || strings.Join(a.rows, " ") != "7 2007" {
				t.Errorf("keys give %v, %v", a, err)
			}
			if a, err = skipping("SELECT count(*) FROM app.t x JOIN app.t y ON x.id = y.id"); err != nil || a.rows[0] != "2001" {
				t.Errorf("a join gives %v, %v", a, err)
			}
			if _, err := skipping("UPDATE app.t SET v = 'x' WHERE v > 'a'"); dberr.CodeOf(err) != dberr.StorageUnavailable {
				t.Errorf("an UPDATE that skips: %v", err)
			}
		})
	}
	if err := os.WriteFile(bad, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err := skipping("SELECT count(v) FROM app.t"); err != nil || a.rows[0] != "3001" || a.message != "" {
		t.Errorf("with nothing damaged: %v, %v", a, err)
	}
}
