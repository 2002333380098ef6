package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// A world is a random table with random writers, for the property tests of
// live queries. Beside its random columns every row has
//
//	k     its key, never negative but in the rows that end a run
//	mark  a number that no other write of the run has, so that a row's state
//	      is known by its key and its mark
//	tag   'x' or 'y', for filters with an equality
type world struct {
	t      *testing.T
	rng    *rand.Rand
	server *harness.Server
	proxy  *harness.Proxy
	admin  *link.Client
	ns     string
	stream bool
	keyed  bool
	// kills is set where the server may go away, purges where it removes deleted
	// rows, of which nobody is told.
	kills, purges bool
	cols          []column
	users         []string

	marks atomic.Int64
	keys  atomic.Int64
	ends  int64 // how many rows with negative keys there were
}

// column is a random column and the SQL of the few values that it takes.
type column struct {
	name, typ string
	values    []string
}

var columnKinds = []column{
	{typ: "INT", values: []string{"0", "1", "2", "3", "-7", "NULL"}},
	{typ: "BIGINT", values: []string{"0", "9223372036854775807", "5", "NULL"}},
	{typ: "TEXT", values: []string{"'a'", "'b'", "'ab'", "'it''s'", "'日本'", "''", "NULL"}},
	{typ: "BOOLEAN", values: []string{"true", "false", "NULL"}},
	{typ: "DOUBLE", values: []string{"0.5", "1.5", "-1e300", "NULL"}},
	{typ: "DECIMAL(10,2)", values: []string{"0.10", "1.00", "99.99", "NULL"}},
	{typ: "TIMESTAMP", values: []string{"TIMESTAMP '2025-01-01 00:00:00'", "TIMESTAMP '2025-06-01 12:00:00.000001'", "NULL"}},
	{typ: "DATE", values: []string{"DATE '2025-01-01'", "DATE '2024-02-29'", "NULL"}},
}

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// newWorld makes the table.
func newWorld(t *testing.T, server *harness.Server, proxy *harness.Proxy, rng *rand.Rand, name string) *world {
	t.Helper()
	w := &world{t: t, rng: rng, server: server, proxy: proxy, ns: name, stream: rng.IntN(6) == 0, keyed: rng.IntN(4) > 0}
	for i := range 1 + rng.IntN(4) {
		c := pick(rng, columnKinds)
		c.name = fmt.Sprint("c", i)
		w.cols = append(w.cols, c)
	}
	for i := range 1 + rng.IntN(3) {
		w.users = append(w.users, fmt.Sprint("user", i))
	}
	var def strings.Builder
	key := ""
	if w.keyed = w.keyed && !w.stream; w.keyed {
		key = " PRIMARY KEY"
	}
	kind, end := "USER", ""
	if w.stream {
		kind, end = "STREAM", " TTL 1h"
	}
	fmt.Fprintf(&def, "CREATE NAMESPACE %s; CREATE %s TABLE %[1]s.t (k BIGINT NOT NULL%[3]s, mark BIGINT NOT NULL, tag TEXT", w.ns, kind, key)
	for _, c := range w.cols {
		fmt.Fprintf(&def, ", %s %s", c.name, c.typ)
	}
	def.WriteString(")" + end)
	w.admin = server.Admin(t)
	harness.Exec(t, w.admin, def.String())
	return w
}

// client connects a user, to the server itself or through the proxy.
func (w *world) client(user, url string) *link.Client {
	w.t.Helper()
	c, err := link.New(url, link.WithToken(harness.Token(w.t, user, "user")), link.WithNamespace(w.ns),
		link.WithBackoff(link.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond}))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// condition makes a random condition over the random columns.
func (w *world) condition(rng *rand.Rand, depth int) string {
	if depth > 0 {
		switch rng.IntN(4) {
		case 0:
			return "(" + w.condition(rng, depth-1) + " AND " + w.condition(rng, depth-1) + ")"
		case 1:
			return "(" + w.condition(rng, depth-1) + " OR " + w.condition(rng, depth-1) + ")"
		case 2:
			return "NOT (" + w.condition(rng, depth-1) + ")"
		}
	}
	c := pick(rng, w.cols)
	value := func() string { return pick(rng, c.values[:len(c.values)-1]) } // the last is NULL
	switch rng.IntN(7) {
	case 0:
		return c.name + " IS NULL"
	case 1:
		return c.name + " IS NOT NULL"
	case 2:
		return c.name + " IN (" + value() + ", " + value() + ")"
	case 3:
		if c.typ == "TEXT" {
			return c.name + " LIKE " + pick(rng, []string{"'%a%'", "'_'", "'a%'"})
		}
		return c.name + " BETWEEN " + value() + " AND " + value()
	case 4:
		return fmt.Sprintf("k %% %d = %d", 2+rng.IntN(3), rng.IntN(2))
	}
	return c.name + " " + pick(rng, []string{"=", "<>", "<", ">=", "IS DISTINCT FROM"}) + " " + value()
}

// query makes a random live query. Its filter lets rows with negative keys
// through, and its result names k and mark first.
func (w *world) query(rng *rand.Rand) (columns, where string) {
	columns = "k, mark"
	switch rng.IntN(3) {
	case 0:
		columns += ", tag"
		for _, c := range w.cols {
			columns += ", " + c.name
		}
	case 1:
		c := pick(rng, w.cols)
		columns += ", " + c.name + " AS renamed, k * 2 AS twice, coalesce(" + c.name + "::text, 'none') AS shown"
	}
	switch rng.IntN(5) {
	case 0:
		return columns, ""
	case 1:
		return columns, " WHERE tag = 'x'"
	case 2:
		return columns, " WHERE tag = 'x' AND (" + w.condition(rng, 1) + " OR k < 0)"
	case 3:
		if !w.stream { // each write moves the row in or out
			if w.keyed && !w.purges && rng.IntN(2) == 0 { // deleted rows stay, with another mark
				return "k, CASE WHEN _deleted THEN -mark ELSE mark END AS mark, tag", " WHERE tag = 'x' OR k < 0"
			}
			return columns, fmt.Sprintf(" WHERE (_seq %% 3 = %d AND _updated > '2001-01-01' OR k < 0) AND NOT _deleted", rng.IntN(3))
		}
	}
	return columns, " WHERE " + w.condition(rng, 2) + " OR k < 0"
}

// row gives the values of a new row.
func (w *world) row(rng *rand.Rand, key, mark int64) string {
	s := fmt.Sprintf("(%d, %d, '%s'", key, mark, pick(rng, []string{"x", "y"}))
	for _, c := range w.cols {
		s += ", " + pick(rng, c.values)
	}
	return s + ")"
}

// statement makes a random write.
func (w *world) statement(rng *rand.Rand) string {
	mark := w.marks.Add(1)
	which := func() string {
		last := int(w.keys.Load()) + 1
		switch rng.IntN(4) {
		case 0:
			return fmt.Sprint(w.condition(rng, 1), " AND k >= 0")
		case 1:
			return fmt.Sprintf("k %% 4 = %d AND k >= 0", rng.IntN(4))
		}
		return fmt.Sprint("k = ", rng.IntN(last))
	}
	inserting := func() string {
		var rows []string
		for range 1 + rng.IntN(4) {
			rows = append(rows, w.row(rng, w.keys.Add(1), mark))
		}
		return "INSERT INTO t VALUES " + strings.Join(rows, ", ")
	}
	n := rng.IntN(12)
	if w.stream && n < 8 {
		n = 11
	}
	switch {
	case n < 5:
		set := fmt.Sprint("UPDATE t SET mark = ", mark)
		for _, c := range w.cols {
			if rng.IntN(2) == 0 {
				set += ", " + c.name + " = " + pick(rng, c.values)
			}
		}
		if rng.IntN(3) == 0 {
			set += ", tag = " + pick(rng, []string{"'x'", "'y'"})
		}
		return set + " WHERE " + which()
	case n == 5 && w.keyed: // the row gets another key
		return fmt.Sprintf("UPDATE t SET mark = %d, k = %d WHERE k = %d", mark, w.keys.Add(1), rng.IntN(int(w.keys.Load())+1))
	case n == 6 && w.keyed:
		return fmt.Sprintf("INSERT INTO t VALUES %s ON CONFLICT (k) DO UPDATE SET mark = excluded.mark, tag = excluded.tag, c0 = excluded.c0",
			w.row(rng, rng.Int64N(w.keys.Load()+2), mark))
	case n == 8 || n == 9:
		return "DELETE FROM t WHERE " + which()
	}
	return inserting()
}

// write runs random statements until it has made n, waiting for the server
// where it is away. What is under way when the server dies may be committed
// or not.
func (w *world) write(ctx context.Context, rng *rand.Rand, user string, n int) error {
	c := w.client(user, w.server.URL)
	defer c.Close()
	for range n {
		sql := w.statement(rng)
		_, err := c.Exec(ctx, sql)
		if err == nil {
			continue
		}
		switch link.CodeOf(err) {
		case link.CodeConflict, link.CodeUniqueViolation:
			continue // another writer of the user was faster
		case link.CodeStorageUnavailable:
			if !w.kills {
				return fmt.Errorf("%s: %w", sql, err)
			}
			fallthrough // it is just starting
		case "":
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := present(ctx, c); err != nil {
				return err
			}
			continue
		}
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// present waits until the server answers again.
func present(ctx context.Context, c *link.Client) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if c.Ping(ctx) == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// model is what a client knows of a live query's result: the rows by key. It
// notes what a screen built on the messages would get wrong.
type model struct {
	name   string
	stream bool
	rows   map[string]string
	// states are the keys with marks that were seen, each of which must come
	// once.
	states map[string]bool
	// repeated allows what was seen to be seen again, by a client whose
	// catching up was cut off.
	repeated bool
	seq      uint64
	log      []string
	err      error
	// ended is the largest n of the rows -n that came as live changes.
	ended atomic.Int64
}

func newModel(name string, stream bool) *model {
	return &model{name: name, stream: stream, rows: map[string]string{}, states: map[string]bool{}}
}

// reset forgets everything: the initial rows come anew.
func (m *model) reset() {
	m.note("reset")
	clear(m.rows)
	clear(m.states)
}

func (m *model) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

// wrong notes the first thing that a screen would get wrong, with the last of
// what was heard; of one row, when a key is given, with what was heard of it
// and of the connection.
func (m *model) wrong(key, format string, args ...any) {
	if m.err != nil {
		return
	}
	lines := m.log
	if key != "" {
		lines = slices.DeleteFunc(slices.Clone(lines), func(s string) bool {
			return strings.Contains(s, " k=") && !strings.Contains(s+" ", " k="+key+" ") && !strings.Contains(s+" ", " old="+key+" ")
		})
	}
	m.err = fmt.Errorf("%s\n\t%s", fmt.Sprintf(format, args...), strings.Join(lines[max(0, len(lines)-25):], "\n\t"))
}

// change is one row of a change or of the initial rows.
type rowChange struct {
	kind     link.EventKind
	key, old string // keys of the row and of what it was; old is "" when the server did not send it
	mark     string
	row      string // all columns
	was      string // all columns before, "" when the server did not send them
	seq      uint64
	// missed marks the newest state of a row that changed while nobody
	// listened, or faster than it was read.
	missed bool
}

// apply changes the rows and compares the change with what must be true of it.
func (m *model) apply(c rowChange) {
	m.note("%s k=%s mark=%s seq=%d missed=%v old=%s", c.kind, c.key, c.mark, c.seq, c.missed, c.old)
	if c.kind == link.EventDelete {
		key := c.key
		if c.old != "" {
			key = c.old // an update may change the key of a row that it takes out of the filter
		}
		known, there := m.rows[key]
		switch {
		case c.missed:
		case !there:
			m.wrong(key, "a row was deleted that is not there: %s", key)
		case c.was != "" && c.was != known:
			m.wrong(key, "row %s was deleted as %s, and is known as %s", c.key, c.was, known)
		}
		delete(m.rows, key)
		m.live(c)
		return
	}
	state := c.key + "/" + c.mark
	if m.states[state] && !m.repeated {
		m.wrong(c.key, "row %s came a second time with mark %s", c.key, c.mark)
	}
	m.states[state] = true
	_, there := m.rows[c.key]
	switch {
	case c.missed:
	case c.kind == link.EventInitial, c.kind == link.EventInsert:
		if there {
			m.wrong(c.key, "row %s was inserted and is there", c.key)
		}
	default:
		known, there := m.rows[c.old]
		if !there {
			m.wrong(c.old, "row %s was updated and is not there", c.old)
		} else if c.was != known {
			m.wrong(c.key, "row %s was updated from %s, and is known as %s", c.key, c.was, known)
		}
	}
	if c.kind == link.EventUpdate && c.old != "" && c.old != c.key {
		delete(m.rows, c.old)
	}
	m.rows[c.key] = c.row
	m.live(c)
}

// live notes the order of the changes that came as they happened.
func (m *model) live(c rowChange) {
	if c.missed || c.kind == link.EventInitial {
		return
	}
	if c.seq < m.seq {
		m.wrong("", "sequence %d came behind %d", c.seq, m.seq)
	}
	m.seq = c.seq
	if n, err := strconv.ParseInt(c.key, 10, 64); err == nil && n < 0 {
		m.ended.Store(max(m.ended.Load(), -n))
	}
}

// compare holds the rows against what SELECT gives.
func (m *model) compare(want map[string]string) {
	for k, row := range want {
		if got, ok := m.rows[k]; !ok {
			m.wrong(k, "row %s is missing: %s", k, row)
		} else if got != row {
			m.wrong(k, "row %s is known as %s, and is %s", k, got, row)
		}
	}
	for k, row := range m.rows {
		if _, ok := want[k]; !ok {
			m.wrong(k, "row %s is known and is not there: %s", k, row)
		}
	}
}
