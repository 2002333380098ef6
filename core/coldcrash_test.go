package core

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/core/backup"
	"github.com/kalamdb/kalamdb/core/table"
)

// The environment of the process that kills itself: its data directory, the
// step at which, and how often the step is passed before.
const (
	coldDir  = "KALAMDB_TEST_COLD_DIR"
	coldStep = "KALAMDB_TEST_COLD_STEP"
	coldSkip = "KALAMDB_TEST_COLD_SKIP"
)

// coldWriters is how many users write in it, coldKeys how many rows each has.
const (
	coldWriters = 3
	coldKeys    = 40
)

// runColdChild writes, flushes and compacts, and makes and drops things, until it
// kills itself at a step, if this process was started for that. It prints what it is about to do and what
// was acknowledged: "try user key value" and "ack user key value", where the
// value 0 is a deletion.
func runColdChild() {
	dir := os.Getenv(coldDir)
	if dir == "" {
		return
	}
	die := func(err error) {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var left atomic.Int64
	skip, _ := strconv.ParseInt(os.Getenv(coldSkip), 10, 64)
	left.Store(skip)
	step = func(name string) {
		if name != os.Getenv(coldStep) || left.Add(-1) >= 0 {
			return
		}
		p, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			die(err)
		}
		select {}
	}
	e, err := Open(context.Background(), testConfig(config.BackendBadger, dir), nil)
	if err != nil {
		die(err)
	}
	var out sync.Mutex // guards standard output: a line at a time
	say := func(args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(args...)
	}
	run := func(user, sql string) {
		s, err := e.Session(who(user), "")
		if err == nil {
			err = s.Execute(context.Background(), Request{SQL: sql}, &recorder{})
		}
		if err != nil {
			die(fmt.Errorf("%s: %w", sql, err))
		}
	}
	var wg sync.WaitGroup
	for w := range coldWriters {
		wg.Go(func() {
			user := fmt.Sprint("user", w)
			for i := 1; ; i++ {
				key := (i * 7) % coldKeys
				value := i
				if i%5 == 0 {
					value = 0
				}
				say("try", user, key, value)
				if value == 0 {
					run(user, fmt.Sprintf("DELETE FROM app.t WHERE id = %d", key))
				} else {
					run(user, fmt.Sprintf("INSERT INTO app.t (id, v) VALUES (%d, %d) ON CONFLICT (id) DO UPDATE SET v = excluded.v", key, value))
				}
				say("ack", user, key, value)
			}
		})
	}
	wg.Go(func() {
		for i := 1; ; i++ {
			run(admin, "FLUSH TABLE app.t")
			if i%3 == 0 {
				run(admin, "COMPACT TABLE app.t")
			}
		}
	})
	if !slices.Contains(coldSteps, os.Getenv(coldStep)) {
		wg.Go(func() {
			for i := 1; ; i++ {
				name := fmt.Sprintf("%d_%d", os.Getpid(), i)
				run(admin, fmt.Sprintf("CREATE NAMESPACE n%[1]s; CREATE SHARED TABLE n%[1]s.a (id INT); CREATE SHARED TABLE n%[1]s.b (id INT); INSERT INTO n%[1]s.a VALUES (1); FLUSH TABLE n%[1]s.a; INSERT INTO n%[1]s.a VALUES (2)", name))
				run(admin, fmt.Sprintf("BACKUP DATABASE app TO '%s'", filepath.Join(backups(dir), name)))
				run(admin, fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS copy%s", filepath.Join(backups(dir), name), name))
				run(admin, fmt.Sprintf("ALTER TABLE app.t ADD COLUMN c%[1]s INT DEFAULT 1; DROP TABLE n%[1]s.a; DROP NAMESPACE n%[1]s CASCADE; ALTER TABLE app.t DROP COLUMN c%[1]s", name))
			}
		})
	}
	wg.Wait()
}

// backups is where the process with a data directory puts its backups.
func backups(dir string) string { return dir + "-backups" }

// coldSteps are the steps of flush and compaction, wideSteps those of
// definitions, DROP, BACKUP and RESTORE.
var (
	coldSteps = []string{
		table.StepNoted, table.StepWritten, table.StepListed, table.StepRemoving, table.StepRemoved,
		table.StepCompactNoted, table.StepCompactWritten, table.StepCompactListed,
	}
	wideSteps = []string{
		table.StepDefined, table.StepDropUnlisted, table.StepDropRemoved, table.StepDropForgotten,
		backup.StepNoted, backup.StepCopied, backup.StepWritten, backup.StepForgotten,
		table.StepRestoreReserved, table.StepRestoreNoted, table.StepRestoreWritten, table.StepRestoreListed, table.StepRestoreDefined,
	}
)

// TestKillAtEachStep kills a server process at each named step of flush,
// compaction, ALTER, DROP, BACKUP and RESTORE, under load, and finds every
// acknowledged row once, backups and restored namespaces whole or not at all,
// and no file that is not listed.
func TestKillAtEachStep(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("KALAMDB_TEST_COLD_ROUNDS")); err == nil {
		rounds = n
	}
	t.Parallel()
	for round := range rounds {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			t.Parallel()
			killAtEachStep(t, round)
		})
	}
}

func killAtEachStep(t *testing.T, round int) {
	dir := t.TempDir()
	cfg := testConfig(config.BackendBadger, dir)
	d := openDB(t, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, v INT)")
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	acked := map[string]string{}
	steps := coldSteps
	if round%4 == 0 {
		steps = slices.Concat(coldSteps, wideSteps)
	}
	for i, at := range steps {
		tried := killedAt(t, dir, at, (round*5+i)%3, acked)
		d := openDB(t, cfg)
		d.checkRows(acked, tried)
		// What was not finished is gone when the first flush has begun; what
		// the jobs that are done again make and replace, soon after it.
		d.must(admin, "FLUSH TABLE app.t")
		<-d.backups.Resumed()
		d.settled(at, func() string {
			return fmt.Sprint(len(parquet(t, filepath.Join(dir, "storage"))), " files")
		}, func() string { return fmt.Sprint(d.listedFiles(), " files") })
		d.checkBackups(at, backups(dir))
		d.checkRows(acked, nil)
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// settled waits until two texts are the same.
func (d *db) settled(at string, got, want func() string) {
	d.Helper()
	for end := time.Now().Add(hearing); ; time.Sleep(time.Millisecond) {
		g, w := got(), want()
		if g == w && len(d.jobs.List("")) == d.jobsEnded() {
			return
		}
		if time.Now().After(end) {
			d.Fatalf("%s: there is %s, want %s", at, g, w)
		}
	}
}

func (d *db) jobsEnded() (n int) {
	for _, j := range d.jobs.List("") {
		if j.Status.Ended() {
			n++
		}
	}
	return n
}

// checkBackups looks at what the process was making beside app: each backup is
// whole, or there is no file of it; each namespace that came from one has all of
// its rows. Then it removes them.
func (d *db) checkBackups(at, dir string) {
	d.Helper()
	made, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		d.Fatal(err)
	}
	rows := map[string]string{}
	for _, e := range made {
		place := filepath.Join(dir, e.Name())
		files := "0"
		d.settled(at, func() string { return fmt.Sprint(len(parquet(d, place))) }, func() string {
			files = "0"
			a, err := d.exec(admin, "SHOW BACKUP '"+place+"'")
			if err == nil {
				f := strings.Split(a[0].rows[0], "|")
				files, rows["copy"+e.Name()] = f[3], f[2]
			} else if dberr.CodeOf(err) != dberr.NotFound {
				d.Fatalf("%s: %v", at, err)
			}
			return files
		})
	}
	for n := range d.store.Catalog().Namespaces() {
		ns := string(n.ID)
		if strings.HasPrefix(ns, "copy") {
			total := 0
			for w := range coldWriters {
				total += len(d.must(fmt.Sprint("user", w), "SELECT id, v FROM "+ns+".t")[0].rows)
			}
			if fmt.Sprint(total) != rows[ns] {
				d.Errorf("%s: %s has %d rows, its backup %s", at, ns, total, rows[ns])
			}
		}
		if strings.HasPrefix(ns, "copy") || strings.HasPrefix(ns, "n") {
			d.must(admin, "DROP NAMESPACE "+ns+" CASCADE")
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		d.Fatal(err)
	}
}

// killedAt runs the process and waits for its end. It keeps what was
// acknowledged and gives what was tried last and not.
func killedAt(t *testing.T, dir, at string, skip int, acked map[string]string) (tried map[string]string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), coldDir+"="+dir, coldStep+"="+at, coldSkip+"="+strconv.Itoa(skip))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tried = map[string]string{}
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 4 || f[0] != "try" && f[0] != "ack" {
			if f[0] == "error" {
				t.Fatalf("the process says: %s", lines.Text())
			}
			continue // cut off by its end
		}
		key := f[1] + " " + f[2]
		if f[0] == "try" {
			tried[key] = f[3]
		} else {
			acked[key] = f[3]
			delete(tried, key)
		}
	}
	_ = cmd.Wait() // it was killed
	return tried
}

// checkRows compares the rows with what was acknowledged, or tried. What turns
// out to be there was committed, and counts as acknowledged from then on.
func (d *db) checkRows(acked, tried map[string]string) {
	d.Helper()
	for w := range coldWriters {
		user := fmt.Sprint("user", w)
		there := map[string]string{}
		for _, r := range d.must(user, "SELECT id, v FROM app.t")[0].rows {
			id, v, _ := strings.Cut(r, "|")
			if _, twice := there[id]; twice {
				d.Errorf("%s sees row %s twice", user, id)
			}
			there[id] = v
		}
		if got := d.rows(user, "SELECT count(*) FROM app.t"); got != strconv.Itoa(len(there)) {
			d.Errorf("%s counts %s rows of %d", user, got, len(there))
		}
		for id := range coldKeys {
			k := fmt.Sprint(id)
			got := there[k]
			if got == "" {
				got = "0"
			}
			want := acked[user+" "+k]
			if want == "" {
				want = "0"
			}
			if got != want && got != tried[user+" "+k] {
				d.Errorf("%s: row %s is %s; acknowledged was %s, tried %q", user, k, got, want, tried[user+" "+k])
			}
			acked[user+" "+k] = got
			if one := d.rows(user, "SELECT v FROM app.t WHERE id = "+k); one != "" && one != got || one == "" && got != "0" {
				d.Errorf("%s: row %s is %q by its key, %s in a scan", user, k, one, got)
			}
		}
	}
}

// listedFiles is how many files the statistics of all tables count.
func (d *db) listedFiles() (n int64) {
	for t := range d.store.Catalog().Tables("") {
		n += d.store.Stats(t.ID).Files
	}
	return n
}
