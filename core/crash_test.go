package core

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// childDir names, in the environment, the data directory of the process that
// TestKill kills.
const childDir = "KALAMDB_TEST_CRASH_DIR"

// runChild inserts until it is killed, if this process was started for that.
// It prints the key of every row that was acknowledged.
func runChild() {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	e, err := Open(context.Background(), testConfig(config.BackendBadger, dir), nil)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	first, err := strconv.ParseInt(os.Getenv(childDir+"_FIRST"), 10, 64)
	if err != nil {
		first = 0
	}
	var out sync.Mutex // guards standard output: a line at a time
	parallel(8, func(w int) {
		s, err := e.Session(who(fmt.Sprint("user", w%2)), "")
		if err != nil {
			os.Exit(1)
		}
		for i := first; ; i++ {
			id := i*8 + int64(w)
			err := s.Execute(context.Background(), Request{
				SQL:    "INSERT INTO app.t (id, body) VALUES ($1, $2), ($3, $2)",
				Params: []sqltype.Value{sqltype.NewBigInt(id), sqltype.NewText("row"), sqltype.NewBigInt(-id - 1)},
			}, &recorder{})
			out.Lock()
			if err != nil {
				fmt.Println("error", err)
				os.Exit(1)
			}
			fmt.Println("ack", id)
			out.Unlock()
		}
	})
}

// TestKill kills a server process in the middle of concurrent inserts, twice,
// and finds every acknowledged row once, and no half statement.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	cfg := testConfig(config.BackendBadger, dir)
	d := openDB(t, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, body TEXT)")
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	acked := map[int64]bool{}
	for round := range 2 {
		insertUntilKilled(t, dir, int64(round)*1_000_000, acked)
		d := openDB(t, cfg)
		for _, user := range []string{"user0", "user1"} {
			there := map[int64]int{}
			for _, line := range strings.Fields(d.rows(user, "SELECT id FROM app.t")) {
				id, err := strconv.ParseInt(line, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				there[id]++
			}
			for id := range acked {
				if fmt.Sprint("user", id%2) == user && there[id] != 1 {
					t.Errorf("the acknowledged row %d is there %d times", id, there[id])
				}
			}
			for id, n := range there {
				if n != 1 || there[-id-1] != 1 {
					t.Errorf("row %d is there %d times, its partner %d times", id, n, there[-id-1])
				}
			}
			if live, _ := d.store.RowCount(d.mustTable("app", "t").ID); live < int64(2*len(acked)) {
				t.Errorf("counted %d rows", live)
			}
		}
		// The database goes on as if nothing had been.
		d.must("user0", "INSERT INTO app.t (id, body) VALUES ($1, 'after'), ($2, 'after')",
			sqltype.NewBigInt(900_000_000+int64(round)), sqltype.NewBigInt(-900_000_001-int64(round)))
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func insertUntilKilled(t *testing.T, dir string, first int64, acked map[int64]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childDir+"_FIRST="+strconv.FormatInt(first, 10))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	n := 0
	for lines.Scan() {
		what, id, _ := strings.Cut(lines.Text(), " ")
		if what != "ack" {
			t.Fatalf("the process says: %s", lines.Text())
		}
		key, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		acked[key] = true
		if n++; n == 300 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if n < 300 {
		t.Fatalf("the process ended after %d rows", n)
	}
}

// TestCopyOfARunningDatabase opens what a power loss would leave: the files as
// they are at one moment.
func TestCopyOfARunningDatabase(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	d := openDB(t, testConfig(config.BackendBadger, dir))
	d.must(admin, "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id BIGINT PRIMARY KEY)")
	for i := range 50 {
		d.must(admin, "INSERT INTO app.t VALUES ($1)", sqltype.NewBigInt(int64(i)))
	}
	copyFolder(t, dir, copied)
	c := openDB(t, testConfig(config.BackendBadger, copied))
	if got := c.rows(admin, "SELECT count(*), min(id), max(id) FROM app.t"); got != "50|0|49" {
		t.Errorf("the copy has %s", got)
	}
	c.must(admin, "INSERT INTO app.t VALUES (50)")
	if got := c.rows(admin, "SELECT count(DISTINCT _seq) FROM app.t"); got != "51" {
		t.Errorf("the copy has %s sequence numbers", got)
	}
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		if e.Name() == lockFile {
			return nil
		}
		src, err := os.Open(path)
		if err != nil {
			return err
		}
		defer src.Close()
		dst, err := os.Create(filepath.Join(to, rel))
		if err != nil {
			return err
		}
		if _, err := io.Copy(dst, src); err != nil {
			return err
		}
		return dst.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}
