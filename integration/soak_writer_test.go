package integration

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

// keyStep is the distance of a writer's keys, which the writers of a partition
// take turns in.
const keyStep = 100

// hand is a writer with rows of its own, those whose w is its number: nobody
// else changes them. So it knows what they are after each acknowledgement, and
// which two states are possible when there was none; it then asks.
type hand struct {
	*ledger
	s      *soak
	plot   *plot
	user   string
	no     int64
	rng    *rand.Rand
	client *link.Client // what statements go through
	direct *link.Client // past the proxy
	// cut is set where client goes through the proxy: a statement whose
	// connection was lost may still be running, and end at any time. So those
	// change rows with older marks only, and before the hand goes on it gives
	// all its rows a newer one.
	cut   bool
	limit int // of rows
	keys  int64
	freed []int64  // keys of rows that were deleted
	trail []string // the last ops and what became of them
}

// op is what a hand asks the server to do, and the truth about it.
type op struct {
	name   string
	sql    []string
	want   link.Code // what the last statement is refused with
	counts []int64   // the rows that each statement changes
	after  []records // the rows after each statement
	fresh  []int64   // the keys that it inserts
	done   func()    // when the server has answered and the truth is known
}

// work changes rows until the round ends.
func (h *hand) work(ctx context.Context, stopping <-chan struct{}) error {
	for {
		select {
		case <-stopping:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(h.rng.IntN(6000)) * time.Microsecond):
		}
		if h.rng.IntN(16) == 0 {
			if err := h.add(ctx); err != nil {
				return err
			}
			continue
		}
		o := h.next()
		err := h.do(ctx, &o)
		if o.done != nil {
			o.done()
		}
		if err != nil {
			return fmt.Errorf("hand %d of %s in %s: %s: %.1500s: %w\nRows now:%s\nLast:\n\t%s", h.no, h.user, h.plot.ns, o.name, strings.Join(o.sql, "; "), err,
				h.autopsy(ctx), strings.Join(h.trail, "\n\t"))
		}
	}
}

// trailLength is how many ops a hand remembers, to be told when one fails.
const trailLength = 60

// autopsy tells how the hand's rows differ from what they should be.
func (h *hand) autopsy(ctx context.Context) string {
	got, err := h.plot.read(ctx, h.direct, fmt.Sprintf("SELECT %s FROM t WHERE w = %d", h.plot.columns(), h.no))
	if err != nil {
		return err.Error()
	}
	text := h.rows().difference(got)
	for k := range h.rows() {
		if _, ok := got[k]; ok {
			continue
		}
		versions, err := h.plot.read(ctx, h.direct, fmt.Sprintf("SELECT k, mark, _seq, _updated, _deleted FROM t WHERE k = %d", k))
		return fmt.Sprintf("%s\n\tof row %d: %v %v", text, k, versions, err)
	}
	return text
}

// do runs an op and finds out what became of it.
func (h *hand) do(ctx context.Context, o *op) error {
	before := h.rows()
	for _, rows := range o.after {
		h.may(rows)
	}
	asked := time.Now()
	results, err := h.client.Batch(ctx, strings.Join(o.sql, "; "))
	h.s.count(o.name)
	h.trail = append(h.trail[max(0, len(h.trail)-trailLength):], fmt.Sprintf("%s to %s: %.300s: %v",
		asked.UTC().Format("05.000000"), time.Now().UTC().Format("05.000000"), strings.Join(o.sql, "; "), err))
	code := link.CodeOf(err)
	switch {
	case err == nil && o.want != "":
		return fmt.Errorf("should have been refused with %s", o.want)
	case err == nil, o.want != "" && code == o.want:
		for i, want := range o.counts {
			if i >= len(results) || results[i].RowCount != want {
				return fmt.Errorf("statement %d says %+v, should have changed %d rows", i+1, results, want)
			}
		}
		if len(o.after) > 0 {
			h.is(h.last)
		}
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case code == link.CodeConflict:
	case !h.s.excuses(err, h.cut):
		return err
	}
	h.s.count("unacknowledged " + o.name)
	return h.settle(ctx, o, append([]records{before}, o.after...))
}

// settle finds out which of the possible states an unacknowledged op has left.
func (h *hand) settle(ctx context.Context, o *op, possible []records) error {
	for {
		got, err := h.own(ctx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(possible, func(rs records) bool { return rs.equal(got) })
		if at < 0 {
			return fmt.Errorf("unacknowledged, and neither done nor not: %s\nand: %s", possible[0].difference(got), possible[len(possible)-1].difference(got))
		}
		if !h.cut {
			h.is(h.may(possible[at]))
			return nil
		}
		var ok bool
		if possible, ok, err = h.fence(ctx, o, possible); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		if got, err = h.own(ctx); err != nil {
			return err
		}
		if at = slices.IndexFunc(possible, func(rs records) bool { return rs.equal(got) }); at < 0 {
			return fmt.Errorf("not what it should be when nothing of it can come any more: %s", possible[0].difference(got))
		}
		h.is(h.may(possible[at]))
		return nil
	}
}

// fence makes a statement that may still be running change nothing: the keys
// that it may insert are there, and all rows have newer marks. ok is false when
// that is uncertain itself; the states grow by what is possible then.
func (h *hand) fence(ctx context.Context, o *op, possible []records) (after []records, ok bool, err error) {
	if len(o.fresh) > 0 {
		inserted := records{}
		for _, k := range o.fresh {
			inserted[k] = o.after[0][k]
		}
		inserted = inserted.marked(h.plot.marks.Add(1))
		var next []records
		for _, rs := range possible {
			given := rs.with(inserted)
			for k, r := range inserted {
				if c := *given[k]; c.mark < r.mark { // it was inserted before
					c.mark = r.mark
					given[k] = &c
				}
			}
			next = append(next, given)
			h.may(given)
		}
		sql := h.plot.insert(h, inserted) + " ON CONFLICT (k) DO UPDATE SET mark = excluded.mark WHERE t.mark < excluded.mark"
		if ok, err := h.certain(ctx, sql); err != nil || !ok {
			return append(possible, next...), false, err
		}
		possible = next
	}
	mark := h.plot.marks.Add(1)
	for _, rs := range possible {
		after = append(after, rs.marked(mark))
		h.may(after[len(after)-1])
	}
	sql := fmt.Sprintf("UPDATE t SET mark = %d WHERE w = %d AND mark < %[1]d", mark, h.no)
	if ok, err := h.certain(ctx, sql); err != nil || !ok {
		return append(possible, after...), false, err
	}
	return after, true, nil
}

// certain runs a statement past the proxy; ok is false when the server went
// away meanwhile.
func (h *hand) certain(ctx context.Context, sql string) (ok bool, err error) {
	if _, err = h.direct.Exec(ctx, sql); err == nil {
		return true, nil
	}
	if ctx.Err() != nil || !h.s.excuses(err, false) {
		return false, fmt.Errorf("%.300s: %w", sql, err)
	}
	return false, nil
}

// own asks for the hand's rows, as soon as the server is there.
func (h *hand) own(ctx context.Context) (map[int64]string, error) {
	for {
		if err := present(ctx, h.direct); err != nil {
			return nil, err
		}
		got, err := h.plot.read(ctx, h.direct, fmt.Sprintf("SELECT %s FROM t WHERE w = %d", h.plot.columns(), h.no))
		if err == nil {
			return got, nil
		}
		if ctx.Err() != nil || !h.s.excuses(err, false) {
			return nil, err
		}
	}
}

// add adds one to a row that many hands change: no addition may be lost.
func (h *hand) add(ctx context.Context) error {
	h.s.count("UPDATE of one row by all")
	c := h.plot.counter(h.user)
	_, err := h.client.Exec(ctx, "UPDATE counters SET n = n + 1 WHERE id = 1")
	switch {
	case err == nil:
		c.sure.Add(1)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case link.CodeOf(err) != link.CodeConflict && !h.s.excuses(err, h.cut):
		return fmt.Errorf("add: %w", err)
	}
	c.maybe.Add(1)
	return present(ctx, h.direct)
}

// key is a new one, or that of a row that was deleted.
func (h *hand) key() int64 {
	if n := len(h.freed); n > 0 && h.rng.IntN(2) == 0 {
		k := h.freed[n-1]
		h.freed = h.freed[:n-1]
		if h.rows()[k] == nil {
			return k
		}
	}
	h.keys++
	return h.keys*keyStep + h.no
}

// anyKey is the key of a row that is there; 0 when there is none.
func (h *hand) anyKey(rs records) int64 {
	at := h.rng.IntN(max(len(rs), 1))
	keys := slices.Sorted(maps.Keys(rs))
	if len(keys) == 0 {
		return 0
	}
	return keys[at]
}

// record makes the values of a new row.
func (h *hand) record(mark int64) *record {
	r := &record{mark: mark, tag: pick(h.rng, []string{"x", "y"}), n: int64(h.rng.IntN(9)), null: h.rng.IntN(6) == 0, c: make([]string, len(h.plot.random))}
	r.body = fmt.Sprintf("b%d %s", mark, strings.Repeat("text ", h.rng.IntN(12)))
	for i, c := range h.plot.random {
		r.c[i] = c.json[pick(h.rng, c.values)]
	}
	return r
}

// where makes a condition.
func (h *hand) where() where {
	switch h.rng.IntN(6) {
	case 0, 1:
		tag := pick(h.rng, []string{"x", "y"})
		return where{"tag = '" + tag + "'", func(_ int64, r *record) bool { return r.tag == tag }}
	case 2:
		n := int64(h.rng.IntN(9))
		return where{fmt.Sprint("n >= ", n), func(_ int64, r *record) bool { return !r.null && r.n >= n }}
	case 3:
		return where{"n IS NULL", func(_ int64, r *record) bool { return r.null }}
	case 4:
		m := int64(2 + h.rng.IntN(4))
		return where{fmt.Sprintf("mark %% %d = 0", m), func(_ int64, r *record) bool { return r.mark%m == 0 }}
	}
	m, rest := int64(2+h.rng.IntN(5)), int64(h.rng.IntN(2))
	return where{fmt.Sprintf("k / %d %% %d = %d", keyStep, m, rest), func(k int64, _ *record) bool { return k/keyStep%m == rest }}
}

// mine narrows a condition to the hand's rows, and to those that a statement
// which comes late may change.
func (h *hand) mine(w where, mark int64) string {
	sql := fmt.Sprintf("w = %d AND %s", h.no, w.sql)
	if h.cut {
		sql += fmt.Sprint(" AND mark < ", mark)
	}
	return sql
}

// next makes a random op.
func (h *hand) next() op {
	rs := h.rows()
	n := h.rng.IntN(24)
	switch {
	case len(rs) > h.limit:
		return h.statement(rs, h.deletion)
	case n < 6:
		return h.statement(rs, h.insertion)
	case n < 14:
		return h.statement(rs, h.update)
	case n < 16:
		return h.statement(rs, h.deletion)
	case n == 16 && len(rs) < h.limit/2 && !h.cut:
		return h.statement(rs, h.series)
	case n == 17 && h.plot.keyed:
		return h.statement(rs, h.upsert)
	case n == 18 && h.plot.keyed:
		return h.statement(rs, h.move)
	case n == 19 && h.plot.keyed:
		return h.refused(rs)
	case n == 20 && h.plot.keyed:
		return h.statement(rs, h.nothing)
	case n == 21 && !h.cut:
		return h.extra(rs)
	case n >= 22 && !h.cut:
		return h.batch(rs)
	}
	return h.statement(rs, h.update)
}

// statement is an op of one statement.
func (h *hand) statement(rs records, make func(records) (string, op, records, int64)) op {
	sql, o, after, n := make(rs)
	o.sql, o.after, o.counts = []string{sql}, []records{after}, []int64{n}
	return o
}

// insertion inserts one row or several.
func (h *hand) insertion(rs records) (string, op, records, int64) {
	many := pick(h.rng, []int{1, 1, 1, 2, 5, 20})
	o := op{name: "INSERT"}
	if many > 1 {
		o.name = "INSERT of several rows"
	}
	mark := h.plot.marks.Add(1)
	rows := records{}
	for range many {
		k := h.key()
		rows[k] = h.record(mark)
		o.fresh = append(o.fresh, k)
	}
	return h.plot.insert(h, rows), o, rs.with(rows), int64(len(rows))
}

// series inserts many rows from a query.
func (h *hand) series(rs records) (string, op, records, int64) {
	mark := h.plot.marks.Add(1)
	from := h.keys + 1
	h.keys += int64(50 + h.rng.IntN(h.limit/2))
	after := maps.Clone(rs)
	null := make([]string, len(h.plot.random))
	for i := range null {
		null[i] = "null"
	}
	for g := from; g <= h.keys; g++ {
		after[g*keyStep+h.no] = &record{mark: mark, tag: "y", n: g % 9, body: fmt.Sprint("series ", g), c: null}
	}
	sql := fmt.Sprintf("INSERT INTO t (k, mark, tag, w, owner, n, body) SELECT g * %d + %d, %d, 'y', %[2]d, '%[4]s', g %% 9, 'series ' || g FROM generate_series(%d, %d) AS x(g)",
		keyStep, h.no, mark, h.user, from, h.keys)
	return sql, op{name: "INSERT from a query"}, after, h.keys - from + 1
}

// update changes rows by key or by a condition.
func (h *hand) update(rs records) (string, op, records, int64) {
	mark := h.plot.marks.Add(1)
	o := op{name: "UPDATE by key"}
	var w where
	if h.rng.IntN(3) == 0 {
		o.name, w = "UPDATE by condition", h.where()
		if h.rng.IntN(3) == 0 {
			w = w.and(h.where())
		}
	} else {
		k := h.anyKey(rs)
		w = where{fmt.Sprint("k = ", k), func(key int64, _ *record) bool { return key == k }}
	}
	set, change := h.change()
	after := maps.Clone(rs)
	changed := rs.matching(w)
	for k, r := range changed {
		c := *r
		change(&c)
		c.mark = mark
		after[k] = &c
	}
	return fmt.Sprintf("UPDATE t SET mark = %d%s WHERE %s", mark, set, h.mine(w, mark)), o, after, int64(len(changed))
}

// change makes what an UPDATE sets.
func (h *hand) change() (set string, change func(*record)) {
	var all []func(*record)
	if h.rng.IntN(2) == 0 {
		d := int64(h.rng.IntN(5) - 2)
		set += fmt.Sprintf(", n = n + (%d)", d)
		all = append(all, func(r *record) { r.n += d })
	} else if h.rng.IntN(3) == 0 {
		set += ", n = NULL"
		all = append(all, func(r *record) { r.null, r.n = true, 0 })
	} else {
		n := int64(h.rng.IntN(9))
		set += fmt.Sprint(", n = ", n)
		all = append(all, func(r *record) { r.null, r.n = false, n })
	}
	if h.rng.IntN(3) == 0 {
		set += ", tag = CASE tag WHEN 'x' THEN 'y' ELSE 'x' END"
		all = append(all, func(r *record) {
			r.tag = map[string]string{"x": "y", "y": "x"}[r.tag]
		})
	}
	if h.rng.IntN(3) == 0 {
		set += ", body = left(body || '+', 30)"
		all = append(all, func(r *record) { r.body = (r.body + "+")[:min(len(r.body)+1, 30)] })
	}
	for i, c := range h.plot.random {
		if h.rng.IntN(3) == 0 {
			v := pick(h.rng, c.values)
			set += ", " + c.name + " = " + v
			all = append(all, func(r *record) {
				r.c = slices.Clone(r.c)
				r.c[i] = c.json[v]
			})
		}
	}
	return set, func(r *record) {
		for _, f := range all {
			f(r)
		}
	}
}

// deletion deletes a row or some, now and then all.
func (h *hand) deletion(rs records) (string, op, records, int64) {
	o := op{name: "DELETE by condition"}
	mark := h.plot.marks.Add(1)
	var w where
	switch {
	case h.rng.IntN(3) > 0 && len(rs) <= h.limit:
		o.name = "DELETE by key"
		k := h.anyKey(rs)
		w = where{fmt.Sprint("k = ", k), func(key int64, _ *record) bool { return key == k }}
	case h.rng.IntN(12) == 0:
		o.name = "DELETE of all"
		w = where{"true", func(int64, *record) bool { return true }}
	default:
		w = h.where()
	}
	gone := rs.matching(w)
	after := maps.Clone(rs)
	for k := range gone {
		delete(after, k)
		if len(h.freed) < 50 && !slices.Contains(h.freed, k) {
			h.freed = append(h.freed, k)
		}
	}
	return "DELETE FROM t WHERE " + h.mine(w, mark), o, after, int64(len(gone))
}

// upsert inserts rows of which some are there.
func (h *hand) upsert(rs records) (string, op, records, int64) {
	mark := h.plot.marks.Add(1)
	rows := records{}
	o := op{name: "UPSERT"}
	for range 1 + h.rng.IntN(4) {
		k := h.key()
		if old := h.anyKey(rs); old != 0 && h.rng.IntN(2) == 0 {
			k = old
		} else {
			o.fresh = append(o.fresh, k)
		}
		rows[k] = h.record(mark)
	}
	after := maps.Clone(rs)
	for k, r := range rows {
		if old := rs[k]; old != nil {
			c := *old
			c.mark, c.tag, c.n, c.null = mark, r.tag, r.n, r.null
			r = &c
		}
		after[k] = r
	}
	sql := h.plot.insert(h, rows) + " ON CONFLICT (k) DO UPDATE SET mark = excluded.mark, tag = excluded.tag, n = excluded.n"
	if h.cut {
		sql += " WHERE t.mark < excluded.mark"
	}
	return sql, o, after, int64(len(rows))
}

// nothing inserts rows of which those that are there stay as they are.
func (h *hand) nothing(rs records) (string, op, records, int64) {
	mark := h.plot.marks.Add(1)
	fresh := h.key()
	rows := records{fresh: h.record(mark)}
	if old := h.anyKey(rs); old != 0 {
		rows[old] = h.record(mark)
	}
	return h.plot.insert(h, rows) + " ON CONFLICT DO NOTHING", op{name: "INSERT or nothing", fresh: []int64{fresh}}, rs.with(rows), 1
}

// move gives a row another key.
func (h *hand) move(rs records) (string, op, records, int64) {
	mark := h.plot.marks.Add(1)
	from, to := h.anyKey(rs), h.key()
	w := where{fmt.Sprint("k = ", from), func(k int64, _ *record) bool { return k == from }}
	after := maps.Clone(rs)
	n := int64(0)
	if r := rs[from]; r != nil {
		c := *r
		c.mark = mark
		delete(after, from)
		after[to] = &c
		n = 1
	}
	return fmt.Sprintf("UPDATE t SET mark = %d, k = %d WHERE %s", mark, to, h.mine(w, mark)), op{name: "UPDATE of a key"}, after, n
}

// refused inserts rows of which one is there: the server takes none of them.
func (h *hand) refused(rs records) op {
	old := h.anyKey(rs)
	if old == 0 {
		return h.statement(rs, h.insertion)
	}
	mark := h.plot.marks.Add(1)
	rows := records{h.key(): h.record(mark), h.key(): h.record(mark), old: h.record(mark)}
	return op{name: "INSERT of a key that is there", sql: []string{h.plot.insert(h, rows)}, want: link.CodeUniqueViolation}
}

// batch runs several statements, each of which commits by itself; the last is
// refused now and then.
func (h *hand) batch(rs records) op {
	o := op{name: "batch"}
	makes := []func(records) (string, op, records, int64){h.insertion, h.update, h.update, h.deletion}
	for range 2 + h.rng.IntN(4) {
		sql, _, after, n := pick(h.rng, makes)(rs)
		o.sql, o.after, o.counts = append(o.sql, sql), append(o.after, after), append(o.counts, n)
		rs = after
	}
	if h.plot.keyed && h.rng.IntN(4) == 0 {
		if last := h.refused(rs); last.want != "" {
			o.sql, o.want = append(o.sql, last.sql...), last.want
		}
	}
	return o
}

// extra writes to a column that was added by ALTER TABLE, and keeps it from
// going away meanwhile.
func (h *hand) extra(rs records) op {
	h.plot.altering.RLock()
	if len(h.plot.extras) == 0 {
		h.plot.altering.RUnlock()
		return h.statement(rs, h.update)
	}
	col := pick(h.rng, h.plot.extras)
	mark, v := h.plot.marks.Add(1), int64(h.rng.IntN(100))
	w := h.where()
	after := maps.Clone(rs)
	changed := rs.matching(w)
	for k, r := range changed {
		c := *r
		c.mark = mark
		c.extra = maps.Clone(r.extra)
		if c.extra == nil {
			c.extra = map[int]int64{}
		}
		c.extra[col.id] = v
		after[k] = &c
	}
	sql := fmt.Sprintf("UPDATE t SET mark = %d, %s = %d WHERE %s", mark, col.name, v, h.mine(w, mark))
	return op{name: "UPDATE of an added column", sql: []string{sql}, after: []records{after}, counts: []int64{int64(len(changed))},
		done: sync.OnceFunc(h.plot.altering.RUnlock)}
}
