package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/live/filter"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/vector"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Ordinals of the test table: messages(id BIGINT PRIMARY KEY, room TEXT, n BIGINT).
const (
	colID = iota
	colRoom
	colN
	colSeq
	colUpdated
	colDeleted
)

func messages(version uint32) *ddl.Table {
	return &ddl.Table{
		ID: 7, Namespace: "app", Name: "messages", Type: ident.UserTable, SchemaVersion: version,
		Columns: []ddl.Column{
			{ID: 1, Name: "id", Type: sqltype.TBigInt}, {ID: 2, Name: "room", Type: sqltype.TText}, {ID: 3, Name: "n", Type: sqltype.TBigInt},
		},
		PrimaryKey: []ddl.ColumnID{1},
	}
}

// predicate is a WHERE clause of the tests.
type predicate struct {
	text  string
	equal []filter.Equality
	shows bool // deleted rows
	match func(row sqltype.Row) (bool, error)
}

func all() predicate {
	return predicate{match: func(sqltype.Row) (bool, error) { return true, nil }}
}

func roomIs(room string) predicate {
	return predicate{
		text:  "room = '" + room + "'",
		equal: []filter.Equality{{Ordinal: colRoom, Value: sqltype.NewText(room)}},
		match: func(r sqltype.Row) (bool, error) { return !r[colRoom].IsNull() && r[colRoom].Str() == room, nil },
	}
}

func nBelow(n int64) predicate {
	return predicate{
		text:  fmt.Sprint("n < ", n),
		match: func(r sqltype.Row) (bool, error) { return !r[colN].IsNull() && r[colN].Int() < n, nil },
	}
}

func gone(is bool) predicate {
	return predicate{
		text:  fmt.Sprint("_deleted = ", is),
		match: func(r sqltype.Row) (bool, error) { return r[colDeleted].Bool() == is, nil },
	}
}

func and(a, b predicate) predicate {
	return predicate{
		text: a.text + " AND " + b.text, equal: append(slices.Clone(a.equal), b.equal...),
		match: func(r sqltype.Row) (bool, error) {
			if ok, err := a.match(r); !ok || err != nil {
				return false, err
			}
			return b.match(r)
		},
	}
}

// evaluator runs a predicate and projects ordinals. It also checks that it is
// used by one goroutine at a time.
type evaluator struct {
	where predicate
	cols  []int
	busy  sync.Mutex
}

func (e *evaluator) Match(row sqltype.Row) (bool, error) {
	if !e.busy.TryLock() {
		panic("an evaluator is used by two goroutines")
	}
	defer e.busy.Unlock()
	return e.where.match(row)
}

func (e *evaluator) Project(row, dst sqltype.Row) error {
	for i, c := range e.cols {
		dst[i] = row[c]
	}
	return nil
}

func plan(where predicate, cols ...int) *Plan { return planOn(messages(1), where, cols...) }

func planOn(t *ddl.Table, where predicate, cols ...int) *Plan {
	if len(cols) == 0 {
		for i := range t.Columns {
			cols = append(cols, i)
		}
	}
	p := &Plan{Table: t, FilterKey: where.text, ProjectionKey: fmt.Sprint(cols), Equal: where.equal, ShowsDeleted: where.shows}
	for _, c := range cols {
		p.Columns = append(p.Columns, Column{t.ScanName(c), t.ScanType(c)})
	}
	p.NewEval = func() filter.Evaluator { return &evaluator{where: where, cols: cols} }
	p.Origin = &evaluator{where: where, cols: cols}
	return p
}

// version is the newest version of a row.
type version struct {
	row     sqltype.Row
	seq     change.Seq
	time    time.Time
	deleted bool
}

// database is a small engine: the partitions of users, a committer, and the
// Source of the hub. Every committed row can be read before it is published,
// as in a real engine.
type database struct {
	t     testing.TB
	hub   *Hub
	delay func() // called in Since, after the snapshot

	commit sync.Mutex // the committer
	mu     sync.Mutex
	seq    change.Seq
	rows   map[ident.UserID]map[int64]version
	opened int // sources that are not closed
}

func newDatabase(t testing.TB, opt Options) *database {
	db := &database{t: t, rows: make(map[ident.UserID]map[int64]version)}
	opt.Source = db
	db.hub = NewHub(opt)
	t.Cleanup(func() {
		db.hub.Close()
		db.mu.Lock()
		defer db.mu.Unlock()
		if db.opened != 0 {
			t.Errorf("%d sources were not closed", db.opened)
		}
	})
	return db
}

// shown is a predicate with the deleted rows that it holds for.
func shown(p predicate) predicate {
	p.shows = true
	return p
}

// has tells whether a row belongs to the result.
func (p predicate) has(v version) bool {
	in, _ := p.match(scanRow(v))
	return in && (p.shows || !v.deleted)
}

// op is one row's change. to is another key that an update gives the row; 0:
// it keeps its own.
type op struct {
	id   int64
	to   int64
	room string
	n    int64
	del  bool
}

// write commits the operations together and publishes them. Inserts and
// updates are told apart by what is there.
func (db *database) write(user ident.UserID, ops ...op) change.Seq {
	db.commit.Lock()
	defer db.commit.Unlock()
	var events []*change.Event
	db.mu.Lock()
	now := time.UnixMicro(1_700_000_000_000_000 + int64(db.seq)).UTC()
	part := db.rows[user]
	if part == nil {
		part = make(map[int64]version)
		db.rows[user] = part
	}
	for _, o := range ops {
		old, ok := part[o.id]
		ok = ok && !old.deleted
		_, taken := part[o.to]
		if o.del && !ok || o.to != 0 && (!ok || o.to == o.id || taken && !part[o.to].deleted) {
			continue
		}
		db.seq++
		e := &change.Event{Seq: db.seq, Time: now, Op: change.Insert, Table: 7, User: user, SchemaVersion: 1,
			New: sqltype.Row{sqltype.NewBigInt(o.id), sqltype.NewText(o.room), sqltype.NewBigInt(o.n)}}
		if ok {
			e.Op, e.Old, e.OldSeq, e.OldTime = change.Update, old.row, old.seq, old.time
		}
		switch gone, was := part[o.id]; {
		case o.del:
			e.Op, e.New = change.Delete, old.row
		case o.to != 0:
			e.Moved, e.Covers = true, taken
			e.New[0] = sqltype.NewBigInt(o.to)
			part[o.id] = version{row: old.row, seq: e.Seq, time: now, deleted: true}
			o.id = o.to
		case !ok && was && db.hub.ShowsDeleted(7):
			e.Old, e.OldSeq, e.OldTime = gone.row, gone.seq, gone.time
		}
		part[o.id] = version{row: e.New, seq: e.Seq, time: now, deleted: o.del}
		events = append(events, e)
	}
	seq := db.seq
	db.mu.Unlock()
	db.hub.Publish(events)
	return seq
}

// snapshot gives the user's rows by ascending sequence number.
func (db *database) snapshot(user ident.UserID) ([]version, change.Seq) {
	db.mu.Lock()
	defer db.mu.Unlock()
	out := slices.Collect(maps.Values(db.rows[user]))
	slices.SortFunc(out, func(a, b version) int {
		if a.seq == b.seq && a.deleted { // what a row has left at its old key
			return -1
		}
		return int(a.seq) - int(b.seq)
	})
	return out, db.seq
}

// source is a RowSource of some rows, in batches of a size.
type source struct {
	db    *database
	types []sqltype.Type
	rows  []sqltype.Row
	size  int
	fail  error
	end   bool
}

func (db *database) source(types []sqltype.Type, rows []sqltype.Row) *source {
	db.mu.Lock()
	db.opened++
	db.mu.Unlock()
	return &source{db: db, types: types, rows: rows, size: 100}
}

func (s *source) Next(ctx context.Context) (*vector.Batch, error) {
	if s.end {
		s.db.t.Error("a closed source was read")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(s.rows) == 0 {
		return nil, s.fail
	}
	n := min(len(s.rows), s.size)
	var cols []*vector.Vector
	for i, t := range s.types {
		b := vector.NewBuilder(t, n)
		for _, r := range s.rows[:n] {
			b.Append(r[i])
		}
		cols = append(cols, b.Finish())
	}
	s.rows = s.rows[n:]
	return vector.NewBatch(cols, n), nil
}

func (s *source) Close() {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if s.end {
		s.db.t.Error("a source was closed twice")
	}
	s.end = true
	s.db.opened--
}

// read makes the source of a plan's rows: those in the result, or with changed
// all that changed after a sequence number and whether they are in it.
func (db *database) read(p *Plan, rows []version, changed bool, after change.Seq) *source {
	q := p.Origin.(*evaluator)
	var types []sqltype.Type
	for _, c := range p.Columns {
		types = append(types, c.Type)
	}
	types = append(types, sqltype.TBigInt, sqltype.TTimestamp, sqltype.TBoolean)
	if changed {
		types = append(types, sqltype.TBoolean)
	}
	var out []sqltype.Row
	for _, v := range rows {
		row, in := scanRow(v), q.where.has(v)
		if !changed && !in || v.seq <= after {
			continue
		}
		var r sqltype.Row
		for _, c := range q.cols {
			r = append(r, row[c])
		}
		r = append(r, row[colSeq:]...)
		if changed {
			r = append(r, sqltype.NewBool(in))
		}
		out = append(out, r)
	}
	return db.source(types, out)
}

func scanRow(v version) sqltype.Row {
	return append(slices.Clone(v.row), sqltype.NewBigInt(int64(v.seq)),
		sqltype.NewInt(sqltype.Timestamp, v.time.UnixMicro()), sqltype.NewBool(v.deleted))
}

func (db *database) Since(ctx context.Context, p *Plan, user ident.UserID, after change.Seq) (RowSource, change.Seq, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	rows, at := db.snapshot(user)
	src := db.read(p, rows, true, after)
	if db.delay != nil {
		db.delay()
	}
	return src, at, nil
}

var liveIDs struct {
	sync.Mutex
	n int
}

func spec(user ident.UserID, p *Plan) Spec {
	liveIDs.Lock()
	defer liveIDs.Unlock()
	liveIDs.n++
	return Spec{ID: ident.LiveID(fmt.Sprint("live-", liveIDs.n)), User: user, Plan: p, Query: "SELECT …"}
}

func (db *database) register(sp Spec) *Subscription {
	db.t.Helper()
	s, err := db.hub.Register(sp)
	if err != nil {
		db.t.Fatal(err)
	}
	return s
}

// start begins at a snapshot of now, with the initial rows when asked.
func (db *database) start(s *Subscription, initial bool) change.Seq {
	db.t.Helper()
	rows, seq := db.snapshot(s.User())
	st := Start{Seq: seq}
	if initial {
		st.Initial = db.read(s.Plan(), rows, false, 0)
	}
	if err := s.Start(st); err != nil {
		db.t.Fatal(err)
	}
	return seq
}

func (db *database) subscribe(sp Spec) *Subscription {
	db.t.Helper()
	s := db.register(sp)
	db.start(s, false)
	return s
}

// poll gives everything that is there, as short texts, once all that was
// published is in the queues.
func (db *database) poll(s *Subscription) []string {
	db.t.Helper()
	db.hub.drain()
	var out []string
	for {
		m, ok, err := s.Poll(context.Background())
		if err != nil {
			return append(out, err.Error())
		}
		if !ok {
			return out
		}
		out = append(out, show(m))
	}
}

// show writes a message as "insert 3: 1/a/10": kind, sequence number, rows,
// old rows in brackets, flags.
func show(m Message) string {
	s := fmt.Sprintf("%s %d:", m.Kind, m.Seq)
	for i, r := range m.Rows {
		s += " " + showRow(r[:len(r)-2])
		if m.Old != nil {
			s += "[" + showRow(m.Old[i][:len(m.Old[i])-2]) + "]"
		}
	}
	if m.Last {
		s += " last"
	}
	if m.CatchUp {
		s += " catch_up"
	}
	if m.Resync {
		s += " resync"
	}
	return s
}

func showRow(r sqltype.Row) string {
	s := ""
	for i, v := range r {
		if i > 0 {
			s += "/"
		}
		switch {
		case v.IsNull():
			s += "-"
		case v.Kind() == sqltype.Text:
			s += v.Str()
		default:
			s += fmt.Sprint(v.Int())
		}
	}
	return s
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func expectCode(t *testing.T, err error, code dberr.Code) {
	t.Helper()
	if dberr.CodeOf(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func expectClosed(t *testing.T, err error, reason Reason) {
	t.Helper()
	var c *Closed
	if !errors.As(err, &c) || c.Reason != reason {
		t.Errorf("got %v, want the end with %q", err, reason)
	}
}

func limits(queue int) Options { return Options{Limits: config.Live{Queue: queue}} }

// insertV2 is the insert of a row without the column room.
func insertV2(seq change.Seq, id, n int64) []*change.Event {
	return []*change.Event{{Seq: seq, Op: change.Insert, Table: 7, User: "u", SchemaVersion: 2,
		New: sqltype.Row{sqltype.NewBigInt(id), sqltype.NewBigInt(n)}}}
}
