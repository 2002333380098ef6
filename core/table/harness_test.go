package table

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/badgerkv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// ear is a publisher that keeps what it hears.
type ear struct {
	mu     sync.Mutex
	events []*change.Event
	deaf   bool
	// shows says that deleted rows are shown.
	shows bool
}

func (e *ear) Publish(events []*change.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, events...)
}

func (e *ear) CountByTable(ident.TableID) int {
	if e.deaf {
		return 0
	}
	return 1
}

func (e *ear) ShowsDeleted(ident.TableID) bool { return e.shows }

// heard is what was published for the commits that were answered.
func (f *fixture) heard() []*change.Event {
	f.Helper()
	if err := f.command(context.Background(), func() error { return nil }); err != nil {
		f.Fatal(err)
	}
	f.ear.mu.Lock()
	defer f.ear.mu.Unlock()
	return append([]*change.Event(nil), f.ear.events...)
}

// clock is a clock that stands still until it is moved.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(1_800_000_000_000_000)
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

var backends = map[string]func(t testing.TB) kv.Backend{
	"memory": func(testing.TB) kv.Backend { return memkv.New(memkv.Options{}) },
	"badger": func(t testing.TB) kv.Backend { return openBadger(t, t.TempDir()) },
}

func openBadger(t testing.TB, dir string) kv.Backend {
	t.Helper()
	b, err := badgerkv.Open(badgerkv.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type fixture struct {
	testing.TB
	*Store
	ear   *ear
	clock *clock
}

func open(t testing.TB, b kv.Backend, opts Options) *fixture {
	t.Helper()
	f := &fixture{TB: t, ear: &ear{}, clock: newClock()}
	if opts.Now == nil {
		opts.Now = f.clock.now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := Open(context.Background(), b, f.ear, opts)
	if err != nil {
		t.Fatal(err)
	}
	f.Store = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// forBackends runs a test on every backend.
func forBackends(t *testing.T, test func(t *testing.T, f *fixture)) {
	for name, make := range backends {
		t.Run(name, func(t *testing.T) { test(t, open(t, make(t), Options{})) })
	}
}

// table makes app.<name> (id BIGINT, body TEXT) with the key given by its
// columns' names.
func (f *fixture) table(typ ident.TableType, name string, keyed bool, change func(*ddl.Table)) *ddl.Table {
	f.Helper()
	def := &ddl.Table{
		Namespace: "app", Name: ident.TableName(name), Type: typ, NextColumn: 3,
		Columns: []ddl.Column{{ID: 1, Name: "id", Type: sqltype.TBigInt, NotNull: true}, {ID: 2, Name: "body", Type: sqltype.TText}},
	}
	if keyed {
		def.PrimaryKey = []ddl.ColumnID{1}
	}
	if change != nil {
		change(def)
	}
	var out *ddl.Table
	_, err := f.Define(context.Background(), func(e *catalog.Edit) error {
		if _, err := e.CreateNamespace("app", nil, true); err != nil {
			return err
		}
		var err error
		out, err = e.CreateTable(def, false)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return out
}

func row(id int64, body string) sqltype.Row {
	return sqltype.Row{sqltype.NewBigInt(id), sqltype.NewText(body)}
}

func insert(id int64, body string) exec.Write {
	return exec.Write{Op: change.Insert, New: row(id, body)}
}

func (f *fixture) commit(user ident.UserID, t *ddl.Table, writes ...exec.Write) error {
	return f.Commit(context.Background(), nil, user, &exec.WriteSet{Table: t, Writes: writes})
}

func (f *fixture) mustCommit(user ident.UserID, t *ddl.Table, writes ...exec.Write) {
	f.Helper()
	if err := f.commit(user, t, writes...); err != nil {
		f.Fatal(err)
	}
}

// stored is a row as a scan of all columns gives it.
type stored struct {
	id      int64
	body    string
	seq     change.Seq
	deleted bool
	rowID   int64
}

func (f *fixture) scanAt(st *State, user ident.UserID, t *ddl.Table, req exec.ScanRequest) []stored {
	f.Helper()
	v := View{Store: f.Store, State: st, User: user, Now: f.clock.now()}
	src, err := v.Table(context.Background(), t)
	if err != nil {
		f.Fatal(err)
	}
	req.Columns = []int{0, 1, t.SeqOrdinal(), t.DeletedOrdinal(), t.RowIDOrdinal()}
	sc, err := src.Scan(context.Background(), req)
	if err != nil {
		f.Fatal(err)
	}
	defer sc.Close()
	var out []stored
	for {
		b, err := sc.Next(context.Background())
		if err != nil {
			f.Fatal(err)
		}
		if b == nil {
			return out
		}
		out = appendStored(out, b)
	}
}

func (f *fixture) scan(user ident.UserID, t *ddl.Table, req exec.ScanRequest) []stored {
	f.Helper()
	st := f.Acquire()
	defer st.Release()
	return f.scanAt(st, user, t, req)
}

// get reads one row by its key.
func (f *fixture) get(user ident.UserID, t *ddl.Table, id int64) (stored, bool) {
	f.Helper()
	st := f.Acquire()
	defer st.Release()
	v := View{Store: f.Store, State: st, User: user, Now: f.clock.now()}
	src, err := v.Table(context.Background(), t)
	if err != nil {
		f.Fatal(err)
	}
	r := make(sqltype.Row, 3)
	found, err := src.Get(context.Background(), sqltype.Row{sqltype.NewBigInt(id)}, []int{0, 1, t.SeqOrdinal()}, false, r)
	if err != nil {
		f.Fatal(err)
	}
	return stored{id: r[0].Int(), body: string([]byte(r[1].Str())), seq: change.Seq(r[2].Int())}, found
}

// update reads a row and changes it, trying again for as long as others get in
// the way.
func (f *fixture) update(user ident.UserID, t *ddl.Table, id int64, next func(body string) string) error {
	for {
		old, ok := f.get(user, t, id)
		if !ok {
			return fmt.Errorf("row %d is not there", id)
		}
		err := f.commit(user, t, exec.Write{Op: change.Update, Old: row(id, old.body), OldSeq: old.seq, New: row(id, next(old.body))})
		var c *Conflict
		if !errors.As(err, &c) {
			return err
		}
	}
}

func (f *fixture) delete(user ident.UserID, t *ddl.Table, id int64) error {
	old, ok := f.get(user, t, id)
	if !ok {
		return fmt.Errorf("row %d is not there", id)
	}
	return f.commit(user, t, exec.Write{Op: change.Delete, Old: row(id, old.body), OldSeq: old.seq})
}

func code(err error) dberr.Code { return dberr.CodeOf(err) }
