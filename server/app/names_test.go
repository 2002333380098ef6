package app

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/wire"
)

// TestNamesStayInTheirFolder makes namespaces, tables, users, storages and
// backups whose names are paths, fills and flushes the tables, and looks where
// files have come to lie: nowhere but in the folders that the configuration and
// the administrator named, and no two tables or users in one another's.
func TestNamesStayInTheirFolder(t *testing.T) {
	root := t.TempDir()
	c := testConfig(t)
	c.Store.Backend = config.BackendBadger
	c.Data.Dir = filepath.Join(root, "data")
	c.Storage.DefaultLocation = filepath.Join(root, "cold", "files")
	s := start(t, c)
	quoted := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	exec(t, s, fmt.Sprintf("CREATE STORAGE far TYPE filesystem PATH '%s'", filepath.Join(root, "far", "files")))
	names := []string{"../up", "..", "a/b", "/etc/x", `a\b`, "%2e%2e", "con", "a:b", "~", "a b", "x.", ".x"}
	users := append([]string{"../../up", "ann", "ann/../bob", ".", "auth0|5f", "ann@example.org", "%2e%2e%2f", "ann."}, names...)
	made := 0
	for i, name := range names {
		ns := quoted("n" + name)
		if a := post(t, s, wire.SQLRequest{SQL: "CREATE NAMESPACE " + ns}); a.HTTP != 200 {
			if a.HTTP >= 500 {
				t.Errorf("namespace %q: %s", name, a.Text)
			}
			continue // it is no name, which is an answer, too
		}
		for _, table := range names {
			storage := ""
			if i%2 == 1 {
				storage = " STORAGE far"
			}
			full := ns + "." + quoted(table)
			if a := post(t, s, wire.SQLRequest{SQL: "CREATE USER TABLE " + full + " (id INT PRIMARY KEY, who TEXT)" + storage}); a.HTTP != 200 {
				if a.HTTP >= 500 {
					t.Errorf("table %q: %s", table, a.Text)
				}
				continue
			}
			made++
			if made%11 != 1 {
				continue // not all of them are filled
			}
			for _, user := range users {
				exec(t, s, "INSERT INTO "+full+" VALUES (1, CURRENT_USER())", wire.HeaderUserID, user)
			}
			exec(t, s, "FLUSH TABLE "+full)
			for _, user := range users {
				if a := exec(t, s, "SELECT who FROM "+full, wire.HeaderUserID, user); len(a.Results[0].Rows) != 1 {
					t.Errorf("%q in %s has %s", user, full, rowsOf(a))
				}
			}
		}
		exec(t, s, fmt.Sprintf("BACKUP DATABASE %s TO '%s'", ns, filepath.Join(root, "backups", fmt.Sprint(i))))
	}
	if made < 10 {
		t.Fatalf("only %d tables were made", made)
	}
	files := map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(root, path)
			first, rest, _ := strings.Cut(filepath.ToSlash(rel), "/")
			if first == "cold" || first == "far" {
				first += "/" + strings.SplitN(rest, "/", 2)[0]
			}
			files[first]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for first, n := range files {
		switch first {
		case "data", "cold/files", "far/files", "backups":
		default:
			t.Errorf("%d files lie in %s", n, first)
		}
	}
	if files["cold/files"] == 0 || files["far/files"] == 0 || files["backups"] == 0 {
		t.Errorf("this test means nothing: %v", files)
	}
	parent, err := os.ReadDir(filepath.Dir(root))
	if err != nil || len(parent) != 2 { // testConfig has a folder of its own there
		t.Errorf("beside the test's folder: %v %v", parent, err)
	}
}
