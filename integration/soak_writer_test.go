package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

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

// rest waits for a moment; over tells that the round ends, or the test, which is
// the error.
func rest(ctx context.Context, stopping <-chan struct{}, moment time.Duration) (over bool, err error) {
	select {
	case <-stopping:
		return true, nil
	case <-ctx.Done():
		return true, ctx.Err()
	case <-time.After(moment):
		return false, nil
	}
}

// work changes rows until the round ends.
func (h *hand) work(ctx context.Context, stopping <-chan struct{}) error {
	for {
		if over, err := rest(ctx, stopping, time.Duration(h.rng.IntN(6000))*time.Microsecond); over {
			return err
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
