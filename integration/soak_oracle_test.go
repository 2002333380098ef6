package integration

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"
)

// record is what a row of the soak test must be. Nobody changes it.
type record struct {
	mark int64
	tag  string
	n    int64
	null bool // n is
	body string
	c    []string // of the random columns, as JSON
	// extra is what was written to columns that come and go, by their ids;
	// what was not has the column's default.
	extra map[int]int64
}

// recordColumns are the columns of a record's text.
const recordColumns = "k, mark, tag, n, body"

// text is the record as the server sends it: recordColumns without the key,
// then the random columns.
func (r *record) text() string {
	n := "null"
	if !r.null {
		n = strconv.FormatInt(r.n, 10)
	}
	return fmt.Sprintf("%d %q %s %q %s", r.mark, r.tag, n, r.body, strings.Join(r.c, " "))
}

// records are the rows of a writer by key.
type records map[int64]*record

// page is what a writer's rows are, or may be, at some time. Nobody changes
// its rows.
type page struct {
	rows records
	next atomic.Pointer[page]
}

// ledger knows the states of a writer's rows: those that were, in their order,
// and those that its statement under way may bring about. A page goes when no
// reader remembers an earlier one.
//
// The writer owns it; sure is for everybody: what the rows were when the last
// statement was acknowledged. Every state that a query sees which begins later
// is that page or one behind it.
type ledger struct {
	sure atomic.Pointer[page]
	last *page
}

func newLedger() *ledger {
	l := &ledger{last: &page{rows: records{}}}
	l.sure.Store(l.last)
	return l
}

// rows are those that are surely there.
func (l *ledger) rows() records { return l.sure.Load().rows }

// may notes a state that the rows may get from now on.
func (l *ledger) may(rows records) *page {
	p := &page{rows: rows}
	l.last.next.Store(p)
	l.last = p
	return p
}

// is notes that the rows are what the page says.
func (l *ledger) is(p *page) { l.sure.Store(p) }

// since finds a state that holds among those from a page on.
func since(from *page, holds func(records) bool) bool {
	for p := from; p != nil; p = p.next.Load() {
		if holds(p.rows) {
			return true
		}
	}
	return false
}

// equal tells whether the rows are those that a query gave, as text by key.
func (rs records) equal(got map[int64]string) bool {
	if len(rs) != len(got) {
		return false
	}
	for k, r := range rs {
		if text, ok := got[k]; !ok || text != r.text() {
			return false
		}
	}
	return true
}

// difference tells in words, of a few rows, what a query should have given.
func (rs records) difference(got map[int64]string) string {
	var out []string
	for k, r := range rs {
		if text, ok := got[k]; !ok {
			out = append(out, fmt.Sprintf("row %d is missing: %s", k, r.text()))
		} else if text != r.text() {
			out = append(out, fmt.Sprintf("row %d is %s instead of %s", k, text, r.text()))
		}
	}
	for k, text := range got {
		if rs[k] == nil {
			out = append(out, fmt.Sprintf("row %d should not be there: %s", k, text))
		}
	}
	n := len(out)
	return fmt.Sprintf("%d rows of %d and %d differ:\n\t%s", n, len(rs), len(got), strings.Join(out[:min(n, 6)], "\n\t"))
}

// marked is the rows with another mark each.
func (rs records) marked(mark int64) records {
	out := make(records, len(rs))
	for k, r := range rs {
		c := *r
		c.mark = mark
		out[k] = &c
	}
	return out
}

// with is the rows and more of them; those that are there stay as they are.
func (rs records) with(more records) records {
	out := maps.Clone(more)
	if out == nil {
		out = records{}
	}
	maps.Copy(out, rs)
	return out
}

// where is a condition in SQL and what it means. It names no NULL by mistake:
// what is unknown does not hold.
type where struct {
	sql   string
	holds func(k int64, r *record) bool
}

func (w where) and(other where) where {
	return where{sql: w.sql + " AND " + other.sql, holds: func(k int64, r *record) bool { return w.holds(k, r) && other.holds(k, r) }}
}

// matching are the rows of which a condition holds.
func (rs records) matching(w where) records {
	out := records{}
	for k, r := range rs {
		if w.holds(k, r) {
			out[k] = r
		}
	}
	return out
}
