package link

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// Column is a result's column: its name and its SQL type.
type Column = wire.Column

// Summary tells about a statement what its rows do not.
type Summary struct {
	// RowCount is the number of rows given, or of rows changed.
	RowCount int64
	// Message says in words what was done; empty for most queries.
	Message string
	// ExecutionTime is what the server reports for this statement; 0 when it
	// does not.
	ExecutionTime time.Duration
	// Properties tell of the whole what the rows tell of its parts (DESCRIBE).
	Properties json.RawMessage
}

// Rows streams the rows of one or several statements. It is used by one
// goroutine and closed at the end; reading to the end closes it too. Closing it
// early cancels the query on the server.
//
//	for rows.Next() { err := rows.Scan(&id, &name) }
//	err := rows.Err()
type Rows struct {
	ctx  context.Context
	c    *Client
	resp *http.Response
	done func()
	sc   *scanner

	inResults  bool // between the brackets of "results"
	firstInSet bool // no result of "results" was read yet
	inResult   bool // inside a result object
	inRows     bool // between the brackets of "rows"
	firstRow   bool
	started    bool // a current result exists

	cols    []Column
	rec     Record
	summary Summary
	hasRows bool

	took      time.Duration
	serverErr *Error
	err       error
	closed    bool
}

// open reads up to the first result.
func (r *Rows) open() error {
	if err := r.sc.expect('{'); err != nil {
		return r.fail(err)
	}
	if r.advance(true) {
		return nil
	}
	return r.err
}

// advance walks over the outer object up to the next result. outerFirst is
// true before the outer object's first key.
func (r *Rows) advance(outerFirst bool) bool {
	r.started = false
	for {
		if r.inResults {
			ok, err := r.sc.next(']', r.firstInSet)
			if err != nil {
				r.fail(err)
				return false
			}
			r.firstInSet = false
			if !ok {
				r.inResults = false
				outerFirst = false
				continue
			}
			if err := r.beginResult(); err != nil {
				r.fail(err)
				return false
			}
			r.started = true
			return true
		}
		ok, err := r.sc.next('}', outerFirst)
		if err != nil {
			r.fail(err)
			return false
		}
		outerFirst = false
		if !ok {
			if err := r.sc.end(); err != nil {
				r.fail(err)
				return false
			}
			r.finish()
			return false
		}
		if err := r.outerKey(); err != nil {
			r.fail(err)
			return false
		}
	}
}

func (r *Rows) outerKey() error {
	k, err := r.sc.key()
	if err != nil {
		return err
	}
	switch k {
	case "results":
		b, err := r.sc.peek()
		if err != nil {
			return err
		}
		if b == 'n' { // null: an error came before any result
			_, err := r.sc.whole()
			return err
		}
		if err := r.sc.expect('['); err != nil {
			return err
		}
		r.inResults, r.firstInSet = true, true
		return nil
	case "took_ms":
		var ms float64
		if err := r.sc.decode(&ms); err != nil {
			return err
		}
		r.took = millis(ms)
		return nil
	case "error":
		var e *wire.Error
		if err := r.sc.decode(&e); err != nil {
			return err
		}
		if e != nil {
			r.serverErr = fromWire(e, r.resp.StatusCode)
			r.serverErr.RetryAfter = retryAfter(r.resp)
		}
		return nil
	}
	_, err = r.sc.whole()
	return err
}

// beginResult reads a result object up to its first row or its end.
func (r *Rows) beginResult() error {
	if err := r.sc.expect('{'); err != nil {
		return err
	}
	r.cols, r.summary, r.hasRows = nil, Summary{}, false
	r.rec = Record{}
	r.inResult = true
	return r.resultKeys(true)
}

// resultKeys reads keys of the result up to "rows" or to its end.
func (r *Rows) resultKeys(first bool) error {
	for ; ; first = false {
		ok, err := r.sc.next('}', first)
		if err != nil {
			return err
		}
		if !ok {
			r.inResult = false
			return nil
		}
		k, err := r.sc.key()
		if err != nil {
			return err
		}
		switch k {
		case "columns":
			var names []string
			if err := r.sc.decode(&names); err != nil {
				return err
			}
			if r.cols == nil {
				r.cols = make([]Column, len(names))
				for i, n := range names {
					r.cols[i].Name = n
				}
			}
			r.hasRows = r.hasRows || len(names) > 0
		case "schema":
			var cols []Column
			if err := r.sc.decode(&cols); err != nil {
				return err
			}
			if len(cols) > 0 {
				r.cols, r.hasRows = cols, true
			}
		case "rows":
			b, err := r.sc.peek()
			if err != nil {
				return err
			}
			if b == '[' {
				r.sc.pos++
				r.inRows, r.firstRow, r.hasRows = true, true, true
				return nil
			}
			if _, err := r.sc.whole(); err != nil {
				return err
			}
		case "row_count":
			if err := r.sc.decode(&r.summary.RowCount); err != nil {
				return err
			}
		case "message":
			if err := r.sc.decode(&r.summary.Message); err != nil {
				return err
			}
		case "execution_time_ms":
			var ms *float64
			if err := r.sc.decode(&ms); err != nil {
				return err
			}
			if ms != nil {
				r.summary.ExecutionTime = millis(*ms)
			}
		case "properties":
			raw, err := r.sc.whole()
			if err != nil {
				return err
			}
			r.summary.Properties = append(json.RawMessage(nil), raw...)
		default:
			if _, err := r.sc.whole(); err != nil {
				return err
			}
		}
	}
}

// Next moves to the next row of the current statement and tells whether there
// is one. After false, Err tells whether that was the end.
func (r *Rows) Next() bool {
	if r.closed || !r.inRows {
		return false
	}
	ok, err := r.sc.next(']', r.firstRow)
	r.firstRow = false
	if err != nil {
		r.fail(err)
		return false
	}
	if !ok {
		r.inRows = false
		if err := r.resultKeys(false); err != nil {
			r.fail(err)
			return false
		}
		if r.cols == nil {
			r.cols = r.rec.cols
		}
		return false
	}
	if err := r.load(); err != nil {
		r.fail(err)
		return false
	}
	return true
}

// load reads the next row: in one pass when all of it has come.
func (r *Rows) load() error {
	if _, err := r.sc.peek(); err != nil {
		return err
	}
	n, err := r.rec.load(r.sc.buf[r.sc.pos:], r.cols)
	if err != errRowEnds {
		r.sc.pos += n
		return err
	}
	raw, err := r.sc.value()
	if err != nil {
		return err
	}
	_, err = r.rec.load(raw, r.cols)
	return err
}

// NextResult moves to the next statement of a request with several, skipping
// rows that were not read, and tells whether there is one.
func (r *Rows) NextResult() bool {
	if r.closed {
		return false
	}
	for r.inRows {
		if !r.Next() && r.err != nil {
			return false
		}
	}
	if r.closed {
		return false
	}
	return r.advance(false)
}

// Columns are the columns of the current statement; none for a statement that
// gives no rows.
func (r *Rows) Columns() []Column {
	if len(r.cols) == 0 {
		return r.rec.cols
	}
	return r.cols
}

// HasRows tells whether the current statement is one that gives rows, were it
// none.
func (r *Rows) HasRows() bool { return r.hasRows }

// Record is the current row. It is valid until Next is called.
func (r *Rows) Record() *Record { return &r.rec }

// Scan copies the current row's values into the variables that dest points to;
// see Record.Scan.
func (r *Rows) Scan(dest ...any) error { return r.rec.Scan(dest...) }

// ScanStruct copies the current row into the struct that v points to; see
// Record.ScanStruct.
func (r *Rows) ScanStruct(v any) error { return r.rec.ScanStruct(v) }

// Summary tells about the current statement; it is complete once Next has
// returned false.
func (r *Rows) Summary() Summary { return r.summary }

// Took is how long the server worked on the whole request; it is known at the
// end.
func (r *Rows) Took() time.Duration { return r.took }

// Err is the error that ended the reading early: of the server, of the
// connection or of the context.
func (r *Rows) Err() error { return r.err }

// Close ends the reading. It may be called twice and returns Err.
func (r *Rows) Close() error {
	if !r.closed {
		r.closed = true
		r.inRows, r.inResult = false, false
		r.done()
	}
	return r.err
}

// finish is called at the end of the answer.
func (r *Rows) finish() {
	switch {
	case r.serverErr != nil:
		r.err = r.serverErr
	case r.resp.StatusCode >= 400:
		r.err = errorAnswer(r.resp, nil)
	}
	drain(r.resp)
	r.Close()
}

func (r *Rows) fail(err error) error {
	if r.err == nil {
		var se *syntaxError
		switch {
		case r.ctx.Err() != nil:
			r.err = context.Cause(r.ctx)
		case errors.As(err, &se):
			r.err = &ProtocolError{Status: r.resp.StatusCode, Reason: "the answer is not valid JSON: " + se.reason}
		case errors.Is(err, io.ErrUnexpectedEOF):
			r.err = &TransportError{Op: "read", URL: r.c.URL(), Err: errors.New("the connection ended in the middle of the answer"), Sent: true}
		default:
			r.err = &TransportError{Op: "read", URL: r.c.URL(), Err: err, Sent: true}
		}
	}
	return r.Close()
}

// All scans every row of the current statement into a T, a struct or a single
// value, and closes rows at the end. The error is the last thing it yields.
func All[T any](rows *Rows) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer rows.Close()
		for rows.Next() {
			var v T
			if err := rows.rec.into(&v); err != nil {
				yield(v, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			var zero T
			yield(zero, err)
		}
	}
}

// Collect reads every row of the current statement into a slice; it takes the
// error of the query too, so that calls nest:
//
//	users, err := link.Collect[User](db.Query(ctx, "SELECT …"))
func Collect[T any](rows *Rows, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	var out []T
	for v, err := range All[T](rows) {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// One reads the first row of a query and closes the rest; ErrNoRows when there is
// none:
//
//	user, err := link.One[User](db.Query(ctx, "SELECT … WHERE id = $1", id))
func One[T any](rows *Rows, err error) (T, error) {
	var zero T
	if err != nil {
		return zero, err
	}
	for v, err := range All[T](rows) {
		return v, err
	}
	return zero, ErrNoRows
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
