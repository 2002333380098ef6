package core

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/faultkv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

// faulty opens a database whose backend has faults, none at first.
func faulty(t *testing.T, cfg config.Config) (*db, *faultkv.Backend) {
	t.Helper()
	var b *faultkv.Backend
	through(t, func(inner kv.Backend) kv.Backend {
		b = faultkv.New(inner)
		return b
	})
	return openDB(t, cfg), b
}

// through has backends that are opened during the test pass through f.
func through(t *testing.T, f func(kv.Backend) kv.Backend) {
	before := wrapBackend
	wrapBackend = f
	t.Cleanup(func() { wrapBackend = before })
}

const faultTable = `CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id BIGINT PRIMARY KEY, v TEXT) ACCESS open`

// TestFailingCommits fails every third batch under concurrent writers: what was
// acknowledged is there, what was not is not, and both stays so after a restart.
func TestFailingCommits(t *testing.T) {
	cfg := testConfig(config.BackendBadger, t.TempDir())
	d, b := faulty(t, cfg)
	d.must(admin, faultTable)
	var n atomic.Int32
	b.Set(faultkv.On(faultkv.Write).Do(func(context.Context, faultkv.Call) error {
		if n.Add(1)%3 == 0 {
			return faultkv.ErrBroken
		}
		return nil
	}))
	var mu sync.Mutex
	var acked []string
	var failed atomic.Int32
	parallel(8, func(w int) {
		for i := range 40 {
			id := 1000*w + i
			// Both rows or none.
			_, err := d.exec("ann", fmt.Sprintf("INSERT INTO app.t VALUES (%d, 'x'), (%d, 'x')", id, -id-1))
			switch {
			case err == nil:
				mu.Lock()
				acked = append(acked, fmt.Sprint(id), fmt.Sprint(-id-1))
				mu.Unlock()
			case dberr.CodeOf(err) == dberr.StorageUnavailable:
				failed.Add(1)
			default:
				t.Errorf("insert: %v", err)
			}
		}
	})
	b.Set()
	if failed.Load() == 0 || len(acked) == 0 {
		t.Fatalf("%d statements failed, %d rows were acknowledged", failed.Load(), len(acked))
	}
	slices.Sort(acked)
	check := func(when string) {
		t.Helper()
		got := strings.Split(d.rows("ann", "SELECT id FROM app.t"), "\n")
		slices.Sort(got)
		if !slices.Equal(got, acked) {
			t.Errorf("%s there are %d rows, %d were acknowledged", when, len(got), len(acked))
		}
		if n := d.rows("ann", "SELECT count(*) FROM app.t"); n != fmt.Sprint(len(acked)) {
			t.Errorf("%s count(*) is %s, want %d", when, n, len(acked))
		}
	}
	check("afterwards")
	d.flushAll()
	check("flushed")
	if err := d.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	d = openDB(t, cfg)
	check("after a restart")
}

// TestDiskFull fills the disk: statements that write fail with their code,
// those that read do not, the server says that it cannot do its work, and all
// goes on by itself when there is room again.
func TestDiskFull(t *testing.T) {
	d, b := faulty(t, testConfig(config.BackendMemory, ""))
	d.must(admin, faultTable+"; INSERT INTO app.t VALUES (1, 'a'), (2, 'b')")
	b.Set(faultkv.On(faultkv.Write).Fail(faultkv.ErrDiskFull))
	for _, stmt := range []string{
		"INSERT INTO app.t VALUES (3, 'c')", "UPDATE app.t SET v = 'z'", "DELETE FROM app.t WHERE id = 1",
		"CREATE NAMESPACE other", "DROP TABLE app.t", "INSERT INTO system.users (user_id, username) VALUES ('u', 'u')",
	} {
		d.fails(admin, stmt, dberr.StorageUnavailable, "The storage is full")
	}
	d.script([]line{
		{sql: "SELECT * FROM app.t ORDER BY id", want: "1|a\n2|b"},
		{sql: "SELECT count(*) FROM system.users WHERE user_id = 'u'", want: "0"},
	})
	if h := d.Health(); h.Writable || h.Reason != "The storage is full." {
		t.Errorf("health: %+v", h)
	}
	b.Set()
	for end := time.Now().Add(20 * time.Second); !d.Health().Writable; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("health: %+v", d.Health())
		}
	}
	d.script([]line{
		{sql: "INSERT INTO app.t VALUES (3, 'c')", want: ""},
		{sql: "UPDATE app.t SET v = 'y' WHERE id = 1", want: ""},
		{sql: "SELECT * FROM app.t ORDER BY id", want: "1|y\n2|b\n3|c"},
	})
}

// TestFullDuringFlush fails the batches of a flush: the rows stay where they
// are, and the next flush takes them along.
func TestFullDuringFlush(t *testing.T) {
	for after := range 4 {
		d, b := faulty(t, testConfig(config.BackendMemory, t.TempDir()))
		d.must(admin, faultTable+"; INSERT INTO app.t SELECT g, 'x' FROM generate_series(1, 100) AS s(g)")
		b.Set(faultkv.On(faultkv.Write).Skip(after).Fail(faultkv.ErrDiskFull))
		_, err := d.exec(admin, "FLUSH TABLE app.t")
		if err != nil && dberr.CodeOf(err) != dberr.StorageUnavailable {
			t.Errorf("after %d batches: %v", after, err)
		}
		if after == 0 && err == nil {
			t.Error("a flush that cannot write succeeded")
		}
		const sum = "SELECT count(*), sum(id), count(DISTINCT id) FROM app.t"
		if got := d.rows("ann", sum); got != "100|5050|100" {
			t.Errorf("after %d batches of a flush: %s", after, got)
		}
		b.Set()
		d.must(admin, "FLUSH TABLE app.t")
		if got := d.rows("ann", sum); got != "100|5050|100" {
			t.Errorf("flushed again after %d batches: %s", after, got)
		}
	}
}

// TestSlowSync holds a sync up: who reads does not wait, nothing is shown that
// is not durable yet, and the writers that came meanwhile share the next batch.
func TestSlowSync(t *testing.T) {
	d, b := faulty(t, testConfig(config.BackendMemory, ""))
	d.must(admin, faultTable+"; INSERT INTO app.t VALUES (0, 'old')")
	gate := faultkv.NewGate()
	b.Set(faultkv.On(faultkv.Write).Times(1).Hold(gate))
	const writers = 20
	errs := make(chan error, writers+1)
	insert := func(id int) {
		_, err := d.exec("ann", fmt.Sprintf("INSERT INTO app.t VALUES (%d, 'new')", id))
		errs <- err
	}
	go insert(1)
	<-gate.Arrived()
	before := b.Count(faultkv.Write)
	for i := range writers {
		go insert(2 + i)
	}
	for range 50 {
		if got := d.rows("ann", "SELECT id, v FROM app.t"); got != "0|old" {
			t.Fatalf("while the sync is held a reader sees %q", got)
		}
	}
	select {
	case err := <-errs:
		t.Fatalf("a writer was answered before its sync: %v", err)
	default:
	}
	gate.Open()
	for range writers + 1 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := d.rows("ann", "SELECT count(*) FROM app.t"); got != fmt.Sprint(writers+2) {
		t.Errorf("%s rows", got)
	}
	if n := b.Count(faultkv.Write) - before; n > writers {
		t.Errorf("%d batches for %d statements", n, writers)
	}
}

// TestReadErrors makes reading fail in the middle of a scan: a coded error, and
// never a part of the rows as if it were all.
func TestReadErrors(t *testing.T) {
	d, b := faulty(t, testConfig(config.BackendMemory, ""))
	d.must(admin, faultTable+"; INSERT INTO app.t SELECT g, 'x' FROM generate_series(1, 50) AS s(g)")
	for _, stmt := range []string{
		"SELECT * FROM app.t", "SELECT sum(id) FROM app.t", "UPDATE app.t SET v = 'y'", "DELETE FROM app.t WHERE v = 'x'",
	} {
		b.Set(faultkv.On(faultkv.Next).Skip(20).Times(1).Fail(faultkv.ErrBroken))
		d.fails(admin, stmt, dberr.StorageUnavailable, "")
	}
	b.Set(faultkv.On(faultkv.Get).Times(1).Fail(faultkv.ErrBroken))
	d.fails(admin, "SELECT v FROM app.t WHERE id = 7", dberr.StorageUnavailable, "")
	b.Set()
	if got := d.rows("ann", "SELECT count(*), max(v) FROM app.t"); got != "50|x" {
		t.Errorf("afterwards: %s", got)
	}
}

// TestCrashAtEachBatch ends the backend before and after each batch of a
// workload and opens its data again: the database is in the state of the last
// acknowledged statement, or of the one under way, and goes on.
func TestCrashAtEachBatch(t *testing.T) {
	workload := []string{
		"CREATE NAMESPACE app",
		"CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, v TEXT)",
		"INSERT INTO app.t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
		"UPDATE app.t SET v = 'z' WHERE id > 1",
		"FLUSH TABLE app.t",
		"DELETE FROM app.t WHERE id = 2",
		"INSERT INTO app.t VALUES (2, 'again'), (4, 'd')",
		"ALTER TABLE app.t ADD COLUMN w INT DEFAULT 7",
		"UPDATE app.t SET w = id",
		"FLUSH TABLE app.t",
		"COMPACT TABLE app.t",
		"CREATE USER TABLE app.gone (id BIGINT PRIMARY KEY)",
		"INSERT INTO app.gone VALUES (1)",
		"DROP TABLE app.gone",
		"INSERT INTO app.t VALUES (5, 'e', 5)",
	}
	state := func(d *db) string {
		var out []string
		for _, q := range []string{
			"SELECT * FROM app.t ORDER BY id", "SELECT count(*) FROM app.t", "SELECT count(*) FROM app.gone",
			"SELECT table_name FROM system.tables WHERE namespace = 'app' ORDER BY 1",
		} {
			a, err := d.exec(admin, q)
			if err != nil {
				out = append(out, string(dberr.CodeOf(err)))
				continue
			}
			out = append(out, strings.Join(a[len(a)-1].rows, ","))
		}
		return strings.Join(out, " ; ")
	}
	through(t, nil)
	open := func(dir string, b kv.Backend) *db {
		wrapBackend = func(kv.Backend) kv.Backend { return b }
		e, err := Open(context.Background(), testConfig(config.BackendMemory, dir), nil)
		if err != nil {
			t.Fatal(err)
		}
		return &db{TB: t, Engine: e}
	}
	// The states without faults, and how many batches they take.
	disk := faultkv.New(memkv.New(memkv.Options{}))
	d := open(t.TempDir(), disk)
	states := []string{state(d)}
	opened := disk.Count(faultkv.Write)
	for _, stmt := range workload {
		d.must(admin, stmt)
		states = append(states, state(d))
	}
	batches := disk.Count(faultkv.Write) - opened
	if err := d.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	crashes := 0
	for n := range batches {
		for _, after := range []bool{false, true} {
			rule := faultkv.On(faultkv.Write).Skip(n).CrashBefore()
			if after {
				rule = faultkv.On(faultkv.Write).Skip(n).CrashAfter()
			}
			dir, disk := t.TempDir(), memkv.New(memkv.Options{})
			faults := faultkv.New(disk)
			d := open(dir, faults)
			faults.Set(rule)
			acked := 0
			for _, stmt := range workload {
				if _, err := d.exec(admin, stmt); err != nil {
					if dberr.CodeOf(err) != dberr.StorageUnavailable {
						t.Errorf("batch %d, after %v: %s: %v", n, after, stmt, err)
					}
					break
				}
				acked++
			}
			_ = d.Close(context.Background()) // what it could not write any more it says
			if faults.Crashed() {
				crashes++
			}
			d = open(dir, disk)
			got := state(d)
			if got != states[acked] && (acked == len(workload) || got != states[acked+1]) {
				t.Errorf("batch %d, after %v: %d statements were acknowledged, and there is\n%s\nwant\n%s", n, after, acked, got, states[acked])
			}
			// It goes on from there, where the workload allows it.
			if acked >= 2 {
				d.must(admin, "INSERT INTO app.t (id, v) VALUES (99, 'on')")
				d.must(admin, "FLUSH TABLE app.t")
				if got := d.rows(admin, "SELECT v FROM app.t WHERE id = 99"); got != "on" {
					t.Errorf("batch %d, after %v: a new row is %q", n, after, got)
				}
			}
			if err := d.Close(context.Background()); err != nil {
				t.Errorf("batch %d, after %v: close: %v", n, after, err)
			}
		}
	}
	if crashes < batches {
		t.Errorf("%d crashes at %d batches", crashes, batches)
	}
	t.Logf("%d crashes", crashes)
}
