package integration

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

// asker reads a partition while its hands write, and holds every answer
// against what they know: an answer must show each hand's rows as they were at
// one moment that is not before the question.
type asker struct {
	s      *soak
	plot   *plot
	user   string
	rng    *rand.Rand
	client *link.Client
}

// work asks until the round ends.
func (a *asker) work(ctx context.Context, stopping <-chan struct{}) error {
	for {
		if over, err := rest(ctx, stopping, time.Duration(a.rng.IntN(20))*time.Millisecond); over {
			return err
		}
		err := a.ask(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case a.s.excuses(err, false):
			if err := present(ctx, a.client); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s reads %s: %w", a.user, a.plot.ns, err)
		}
	}
}

// ask asks one question.
func (a *asker) ask(ctx context.Context) error {
	hands := a.plot.partition(a.user)
	h := pick(a.rng, hands)
	questions := []func(context.Context, *hand) error{a.whole, a.own, a.row, a.some, a.first, a.moment, a.extras, a.counter}
	if a.rng.IntN(4) == 0 {
		return a.sums(ctx, hands)
	}
	return pick(a.rng, questions)(ctx, h)
}

// whole reads everything that the user may see.
func (a *asker) whole(ctx context.Context, _ *hand) error {
	a.s.count("SELECT of all rows")
	var from []*page
	hands := a.plot.partition(a.user)
	for _, h := range hands {
		from = append(from, h.sure.Load())
	}
	return a.plot.compare(ctx, a.client, "t", a.user, hands, from)
}

// compare holds all rows of a table, or of a copy of it, against the hands'
// pages from given ones on.
func (p *plot) compare(ctx context.Context, c *link.Client, table, user string, hands []*hand, from []*page) error {
	rows, err := c.Query(ctx, "SELECT w, owner, "+p.columns()+" FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	got := map[int64]map[int64]string{}
	for rows.Next() {
		r := rows.Record()
		no, err := strconv.ParseInt(string(r.Raw(0)), 10, 64)
		if err != nil {
			return err
		}
		if no < 0 {
			continue // it ended a round
		}
		if owner, _ := r.Text(1); !p.shared && owner != user {
			return fmt.Errorf("a row of %s is shown to %s", owner, user)
		}
		if got[no] == nil {
			got[no] = map[int64]string{}
		}
		if err := add(got[no], r, 2); err != nil {
			return err
		}
	}
	if rows.Err() != nil {
		return rows.Err()
	}
	for i, h := range hands {
		if !since(from[i], func(rs records) bool { return rs.equal(got[h.no]) }) {
			return fmt.Errorf("%s: the rows of hand %d were never so: %s", table, h.no, h.rows().difference(got[h.no]))
		}
		delete(got, h.no)
	}
	if len(got) > 0 {
		return fmt.Errorf("%s: rows of nobody: %v", table, got)
	}
	return nil
}

// add notes a row with its key at a place, which must not be there yet.
func add(got map[int64]string, r *link.Record, at int) error {
	k, err := strconv.ParseInt(string(r.Raw(at)), 10, 64)
	if err != nil {
		return err
	}
	if was, twice := got[k]; twice {
		return fmt.Errorf("row %d is there twice, as %s", k, was)
	}
	var b strings.Builder
	for i := at + 1; i < r.Len(); i++ {
		if i > at+1 {
			b.WriteByte(' ')
		}
		b.Write(r.Raw(i))
	}
	got[k] = b.String()
	return nil
}

// read asks for rows, whose first column is the key.
func (p *plot) read(ctx context.Context, c *link.Client, sql string) (map[int64]string, error) {
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	got := map[int64]string{}
	for rows.Next() {
		if err := add(got, rows.Record(), 0); err != nil {
			return nil, err
		}
	}
	return got, rows.Err()
}

// own reads a hand's rows, or those of which a condition holds.
func (a *asker) own(ctx context.Context, h *hand) error {
	a.s.count("SELECT by condition")
	w := where{"true", func(int64, *record) bool { return true }}
	for range a.rng.IntN(3) {
		w = w.and((&hand{rng: a.rng, plot: a.plot}).where())
	}
	from := h.sure.Load()
	got, err := a.plot.read(ctx, a.client, fmt.Sprintf("SELECT %s FROM t WHERE w = %d AND %s", a.plot.columns(), h.no, w.sql))
	if err != nil {
		return err
	}
	if !since(from, func(rs records) bool { return rs.matching(w).equal(got) }) {
		return fmt.Errorf("WHERE w = %d AND %s was never so: %s", h.no, w.sql, from.rows.matching(w).difference(got))
	}
	return nil
}

// row reads one row by its key.
func (a *asker) row(ctx context.Context, h *hand) error {
	a.s.count("SELECT by key")
	from := h.sure.Load()
	keys := slices.Collect(maps.Keys(from.rows))
	if len(keys) == 0 {
		return nil
	}
	k := pick(a.rng, keys)
	got, err := a.plot.read(ctx, a.client, fmt.Sprintf("SELECT %s FROM t WHERE k = %d", a.plot.columns(), k))
	if err != nil {
		return err
	}
	w := where{"", func(key int64, _ *record) bool { return key == k }}
	if !since(from, func(rs records) bool { return rs.matching(w).equal(got) }) {
		return fmt.Errorf("row %d was never so: %v, but for instance %v", k, got, from.rows[k])
	}
	return nil
}

// some reads a page of a hand's rows in an order.
func (a *asker) some(ctx context.Context, h *hand) error {
	a.s.count("SELECT with ORDER BY and LIMIT")
	limit, offset := 1+a.rng.IntN(20), a.rng.IntN(10)
	from := h.sure.Load()
	list, err := link.Collect[int64](a.client.Query(ctx, fmt.Sprintf("SELECT k FROM t WHERE w = %d ORDER BY n DESC NULLS LAST, tag, k LIMIT %d OFFSET %d", h.no, limit, offset)))
	if err != nil {
		return err
	}
	if !since(from, func(rs records) bool {
		keys := slices.SortedFunc(maps.Keys(rs), func(x, y int64) int { return rs.order(x, y) })
		keys = keys[min(offset, len(keys)):]
		return slices.Equal(list, keys[:min(limit, len(keys))])
	}) {
		return fmt.Errorf("rows %d to %d of hand %d were never so: %v", offset, offset+limit, h.no, list)
	}
	return nil
}

// order is that of ORDER BY n DESC NULLS LAST, tag, k.
func (rs records) order(x, y int64) int {
	a, b := rs[x], rs[y]
	switch {
	case a.null != b.null:
		return map[bool]int{true: 1, false: -1}[a.null]
	case a.n != b.n && !a.null:
		return map[bool]int{true: -1, false: 1}[a.n > b.n]
	case a.tag != b.tag:
		return strings.Compare(a.tag, b.tag)
	}
	return int(x - y)
}

// first reads the range of keys from one on.
func (a *asker) first(ctx context.Context, h *hand) error {
	a.s.count("SELECT by range of keys")
	from := h.sure.Load()
	low := int64(a.rng.IntN(int(max(maxKey(from.rows), 1))))
	high := low + int64(a.rng.IntN(50*keyStep))
	w := where{fmt.Sprintf("k BETWEEN %d AND %d", low, high), func(k int64, _ *record) bool { return low <= k && k <= high }}
	got, err := a.plot.read(ctx, a.client, fmt.Sprintf("SELECT %s FROM t WHERE %s AND w = %d ORDER BY k", a.plot.columns(), w.sql, h.no))
	if err != nil {
		return err
	}
	if !since(from, func(rs records) bool { return rs.matching(w).equal(got) }) {
		return fmt.Errorf("the rows of hand %d with %s were never so: %s", h.no, w.sql, from.rows.matching(w).difference(got))
	}
	return nil
}

func maxKey(rs records) (most int64) {
	for k := range rs {
		most = max(most, k)
	}
	return most
}

// moment reads a table several times in one statement, which sees one moment.
func (a *asker) moment(ctx context.Context, h *hand) error {
	a.s.count("SELECT of a table beside itself")
	var joined, all, one, seqs int64
	err := a.client.QueryRow(ctx, fmt.Sprintf(`SELECT
		(SELECT count(*) FROM t a JOIN t b ON a.k = b.k AND a.mark = b.mark AND a.body = b.body WHERE a.w = %[1]d),
		(SELECT count(*) FROM t WHERE w = %[1]d),
		(SELECT coalesce(sum(c), 0)::bigint FROM (SELECT count(*) AS c FROM t WHERE w = %[1]d GROUP BY tag, n) AS g),
		(SELECT count(DISTINCT _seq) FROM t WHERE w = %[1]d)`, h.no)).Scan(&joined, &all, &one, &seqs)
	if err != nil {
		return err
	}
	if joined != all || one != all || seqs != all {
		return fmt.Errorf("at one moment hand %d has %d rows, %d joined with themselves, %d in groups, %d different _seq", h.no, all, joined, one, seqs)
	}
	return nil
}

// sums asks for aggregates of all hands.
func (a *asker) sums(ctx context.Context, hands []*hand) error {
	a.s.count("SELECT with GROUP BY")
	from := map[int64]*page{}
	for _, h := range hands {
		from[h.no] = h.sure.Load()
	}
	type sum struct{ W, Rows, Sum, Known, High, Tags int64 }
	list, err := link.Collect[sum](a.client.Query(ctx, "SELECT w, count(*) AS rows, coalesce(sum(n), 0)::bigint AS sum, count(n) AS known, max(mark) AS high, count(DISTINCT tag) AS tags FROM t WHERE w >= 0 GROUP BY w"))
	if err != nil {
		return err
	}
	got := map[int64]sum{}
	for _, s := range list {
		if from[s.W] == nil {
			return fmt.Errorf("sums of a hand that is not: %+v", s)
		}
		got[s.W] = s
	}
	for no, p := range from {
		if !since(p, func(rs records) bool {
			want := sum{Rows: int64(len(rs))}
			tags := map[string]bool{}
			for _, r := range rs {
				want.W, want.High = no, max(want.High, r.mark)
				tags[r.tag] = true
				if !r.null {
					want.Sum += r.n
					want.Known++
				}
			}
			want.Tags = int64(len(tags))
			return want == got[no]
		}) {
			return fmt.Errorf("the sums of hand %d were never so: %+v", no, got[no])
		}
	}
	return nil
}

// extras reads the columns that ALTER TABLE has added.
func (a *asker) extras(ctx context.Context, h *hand) error {
	a.plot.altering.RLock()
	defer a.plot.altering.RUnlock()
	if len(a.plot.extras) == 0 {
		return nil
	}
	a.s.count("SELECT of added columns")
	sql := "SELECT k, mark"
	for _, c := range a.plot.extras {
		sql += ", " + c.name
	}
	from := h.sure.Load()
	got, err := a.plot.read(ctx, a.client, fmt.Sprintf("%s FROM t WHERE w = %d", sql, h.no))
	if err != nil {
		return err
	}
	want := func(r *record) string {
		text := strconv.FormatInt(r.mark, 10)
		for _, c := range a.plot.extras {
			v, written := r.extra[c.id]
			if !written {
				v = c.value
			}
			text += " " + strconv.FormatInt(v, 10)
		}
		return text
	}
	if !since(from, func(rs records) bool {
		if len(rs) != len(got) {
			return false
		}
		for k, r := range rs {
			if got[k] != want(r) {
				return false
			}
		}
		return true
	}) {
		var wrong []string
		for k, text := range got {
			if r := h.rows()[k]; r != nil && text != want(r) {
				wrong = append(wrong, fmt.Sprintf("row %d is %s instead of %s", k, text, want(r)))
			}
		}
		return fmt.Errorf("%s of hand %d was never so: %.600s", sql, h.no, strings.Join(wrong, "; "))
	}
	return nil
}

// counter reads the row that all hands add to.
func (a *asker) counter(ctx context.Context, _ *hand) error {
	a.s.count("SELECT of one row of all")
	c := a.plot.counter(a.user)
	least := c.sure.Load()
	var n int64
	if err := a.client.QueryRow(ctx, "SELECT n FROM counters WHERE id = 1").Scan(&n); err != nil {
		return err
	}
	if n < least {
		return fmt.Errorf("%d additions were acknowledged, and the sum is %d", least, n)
	}
	return nil
}
