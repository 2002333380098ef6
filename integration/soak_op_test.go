package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kalamdb/kalamdb/link"
)

// keyStep is the distance of a writer's keys, which the writers of a partition
// take turns in.
const keyStep = 100

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
