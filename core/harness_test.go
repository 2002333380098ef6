package core

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/flush"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/store/vector"
)

func TestMain(m *testing.M) {
	runChild() // the processes that tests kill
	runColdChild()
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// answer is what one statement gave.
type answer struct {
	cols       []string
	rows       []string // values joined by |
	count      int64
	message    string
	properties json.RawMessage
}

// recorder is a sink that keeps everything.
type recorder struct {
	answers []answer
	open    *answer
	fail    error
}

func (r *recorder) Begin(cols []sql.ResultColumn) error {
	r.open = &answer{}
	for _, c := range cols {
		r.open.cols = append(r.open.cols, c.Name)
	}
	return nil
}

func (r *recorder) Batch(b *vector.Batch) error {
	if r.fail != nil {
		return r.fail
	}
	row := make(sqltype.Row, len(b.Cols))
	for i := range b.Rows() {
		b.ReadRow(i, row)
		vals := make([]string, len(row))
		for c, v := range row {
			if vals[c] = v.Text(); v.IsNull() {
				vals[c] = "NULL"
			}
		}
		r.open.rows = append(r.open.rows, strings.Join(vals, "|"))
	}
	return nil
}

func (r *recorder) End(o Outcome) error {
	a := answer{}
	if r.open != nil {
		a = *r.open
	}
	if o.HasRows != (r.open != nil) {
		return errors.New("HasRows does not say whether Begin was called")
	}
	a.count, a.message, a.properties = o.RowCount, o.Message, o.Properties
	r.open = nil
	r.answers = append(r.answers, a)
	return nil
}

type db struct {
	testing.TB
	*Engine
	// between runs before each statement that exec is given; nil: nothing.
	between func()
}

func testConfig(backend, dir string) config.Config {
	cfg := config.Default()
	cfg.Store.Backend = backend
	cfg.Data.Dir = dir
	cfg.Server.Node = "test"
	if dir != "" {
		cfg.Storage.DefaultLocation = filepath.Join(dir, "storage")
	}
	return cfg
}

func openDB(t testing.TB, cfg config.Config) *db {
	t.Helper()
	e, err := Open(context.Background(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &db{TB: t, Engine: e}
}

// forBackends runs a test on every backend, with all rows in the hot tier, with
// all in the cold one before each statement, and with some here and some there.
// Nothing that a statement answers may differ.
func forBackends(t *testing.T, test func(t *testing.T, d *db)) {
	memory := func(t *testing.T) *db { return openDB(t, testConfig(config.BackendMemory, "")) }
	badger := func(t *testing.T) *db { return openDB(t, testConfig(config.BackendBadger, t.TempDir())) }
	t.Run("memory", func(t *testing.T) { test(t, memory(t)) })
	t.Run("badger", func(t *testing.T) { test(t, badger(t)) })
	t.Run("flushed", func(t *testing.T) {
		d := memory(t)
		d.between = d.flushAll
		test(t, d)
	})
	t.Run("half", func(t *testing.T) {
		d := badger(t)
		var n atomic.Int32
		d.between = func() {
			if n.Add(1)%3 == 0 {
				d.flushAll()
			}
		}
		test(t, d)
	})
}

// forRestarts is forBackends, and with a database that is closed and opened
// again on the way, for tests that keep nothing of the engine.
func forRestarts(t *testing.T, test func(t *testing.T, d *db)) {
	forBackends(t, test)
	t.Run("restarted", func(t *testing.T) {
		cfg := testConfig(config.BackendBadger, t.TempDir())
		d := openDB(t, cfg)
		n := 0
		d.between = func() {
			if n++; n%6 != 0 {
				return
			}
			if err := d.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			d.Engine = openDB(t, cfg).Engine
		}
		test(t, d)
	})
}

func (d *db) flushAll() {
	d.Helper()
	if _, err := d.flushes.FlushAll(context.Background(), "", flush.Request{Origin: "test"}); err != nil {
		d.Fatal(err)
	}
}

// who makes a principal: "ann", "ann:service"; without a role it is a user.
func who(s string) Principal {
	name, role, _ := strings.Cut(s, ":")
	if role == "" {
		role = "user"
	}
	return Principal{User: ident.UserID(name), Role: ident.Role(role), ExplicitUser: true}
}

func (d *db) session(p Principal) *Session {
	d.Helper()
	s, err := d.Session(p, "")
	if err != nil {
		d.Fatal(err)
	}
	return s
}

func (d *db) exec(as, text string, params ...sqltype.Value) ([]answer, error) {
	d.Helper()
	if d.between != nil {
		d.between()
	}
	var r recorder
	err := d.session(who(as)).Execute(context.Background(), Request{SQL: text, Params: params}, &r)
	return r.answers, err
}

func (d *db) must(as, text string, params ...sqltype.Value) []answer {
	d.Helper()
	a, err := d.exec(as, text, params...)
	if err != nil {
		d.Fatalf("%s: %v", text, err)
	}
	return a
}

// rows gives the rows of a query as one text, a line each.
func (d *db) rows(as, text string, params ...sqltype.Value) string {
	d.Helper()
	a := d.must(as, text, params...)
	return strings.Join(a[len(a)-1].rows, "\n")
}

// fails checks that a statement fails with a code, and a message that holds
// the text.
func (d *db) fails(as, text string, code dberr.Code, message string, params ...sqltype.Value) *StatementError {
	d.Helper()
	_, err := d.exec(as, text, params...)
	if err == nil {
		d.Errorf("%s: succeeded, want %s", text, code)
		return nil
	}
	if got := dberr.CodeOf(err); got != code || !strings.Contains(err.Error(), message) {
		d.Errorf("%s: got %s: %v, want %s: %s", text, got, err, code, message)
	}
	var st *StatementError
	if !errors.As(err, &st) {
		if code == dberr.ParameterMismatch {
			return nil
		}
		d.Errorf("%s: the error is a %T", text, err)
	}
	return st
}

const admin = "root:admin"

// line is one line of a script: what somebody runs and what comes of it.
type line struct {
	as, sql string
	// want is the rows, or with a leading "-- " the message, or with a leading
	// "!" the error's code and a part of its text.
	want string
}

func (d *db) script(steps []line) {
	d.Helper()
	for _, s := range steps {
		if s.as == "" {
			s.as = admin
		}
		if code, ok := strings.CutPrefix(s.want, "!"); ok {
			c, text, _ := strings.Cut(code, " ")
			d.fails(s.as, s.sql, dberr.Code(c), text)
			continue
		}
		a, err := d.exec(s.as, s.sql)
		if err != nil {
			d.Errorf("%s: %s: %v", s.as, s.sql, err)
			continue
		}
		last := a[len(a)-1]
		got := strings.Join(last.rows, "\n")
		if strings.HasPrefix(s.want, "-- ") {
			got = "-- " + last.message
		}
		if got != s.want {
			d.Errorf("%s: %s:\ngot:\n%s\nwant:\n%s", s.as, s.sql, got, s.want)
		}
	}
}

// parallel runs f n times at once.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
