package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/server/debug"
	"github.com/kalamdb/kalamdb/server/wireconv"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/store/vector"
)

const (
	// firstBuffer is up to which size an answer is held back, so that its
	// HTTP status can still tell how it ended.
	firstBuffer = 128 << 10
	// chunk is how much of a larger answer is sent at a time.
	chunk = 32 << 10
	// headRoom is kept free before the results for the head, which is known
	// last.
	headRoom = 96
	// ownLength is up to which size net/http finds an answer's length itself.
	ownLength = 2 << 10
	// keepBuffer is the largest buffer that is kept for the next answer; one
	// long row may have made it larger.
	keepBuffer = 2 * firstBuffer
)

var answers = sync.Pool{New: func() any { return &answer{buf: make([]byte, headRoom, 4<<10)} }}

// answer writes an SQL answer; it is the engine's sink. What it guarantees is
// in the package comment.
type answer struct {
	w       http.ResponseWriter
	log     *slog.Logger
	metrics *debug.Metrics
	turn    slot.Turn
	request string // the SQL text
	format  wireconv.Format
	shapes  *shapeCache
	timing  bool // report execution_time_ms
	start   time.Time

	buf     []byte
	limit   int // when to send what is in buf
	sent    bool
	results int // finished ones

	enc  *wireconv.Encoder // of the statement that is under way
	mark int               // where in buf its result begins
	rows int64
	err  error // of the connection
}

var _ core.Sink = (*answer)(nil)

func newAnswer(w http.ResponseWriter, h *Handler, start time.Time) *answer {
	a := answers.Get().(*answer)
	*a = answer{
		w: w, log: h.log, metrics: h.o.Metrics, shapes: &h.shapes, start: start, limit: firstBuffer,
		buf: a.buf[:headRoom],
	}
	return a
}

// release gives the answer back to be used for another request.
func (a *answer) release() {
	if cap(a.buf) <= keepBuffer {
		*a = answer{buf: a.buf}
		answers.Put(a)
	}
}

// open begins a statement's result.
func (a *answer) open() {
	a.mark = len(a.buf)
	if a.results > 0 {
		a.buf = append(a.buf, ',')
	}
	a.buf = append(a.buf, '{')
}

// Begin begins the result of a statement that gives rows.
func (a *answer) Begin(cols []sql.ResultColumn) error {
	shape := a.shapes.get(cols, a.format)
	a.enc = shape.encoder
	a.rows = 0
	a.open()
	a.buf = append(append(a.buf, shape.head...), `,"rows":[`...)
	return a.spill()
}

// Batch appends rows.
func (a *answer) Batch(b *vector.Batch) error {
	for i := range b.Rows() {
		if a.rows > 0 {
			a.buf = append(a.buf, ',')
		}
		a.buf = a.enc.AppendRow(a.buf, b, i)
		a.rows++
		if len(a.buf) >= a.limit {
			if err := a.spill(); err != nil {
				return err
			}
		}
	}
	return nil
}

// End ends a statement's result.
func (a *answer) End(o core.Outcome) error {
	if a.enc != nil {
		a.buf = append(a.buf, `],"row_count":`...)
	} else {
		a.open()
		a.buf = append(a.buf, `"columns":[],"row_count":`...)
	}
	a.buf = strconv.AppendInt(a.buf, o.RowCount, 10)
	if o.Message != "" {
		a.buf = wireconv.AppendString(append(a.buf, `,"message":`...), o.Message)
	}
	if a.timing {
		a.buf = wireconv.AppendMS(append(a.buf, `,"execution_time_ms":`...), o.Elapsed)
	}
	if len(o.Properties) > 0 {
		a.buf = wireconv.AppendRaw(append(a.buf, `,"properties":`...), o.Properties)
	}
	a.buf = append(a.buf, '}')
	a.enc = nil
	a.results++
	return a.spill()
}

// spill sends what there is once it is enough.
func (a *answer) spill() error {
	if len(a.buf) < a.limit {
		return a.err
	}
	if !a.sent {
		a.sent, a.limit = true, chunk
		a.w.Header()["Content-Type"] = wireconv.JSONType
		const head = `{"results":[`
		copy(a.buf[headRoom-len(head):], head)
		a.write(a.buf[headRoom-len(head):])
	} else {
		a.write(a.buf)
	}
	a.buf, a.mark = a.buf[:0], 0
	return a.err
}

func (a *answer) write(b []byte) {
	if a.err != nil {
		return
	}
	a.turn.Lend() // the client may be slow
	defer a.turn.BackInTurn()
	if _, a.err = a.w.Write(b); a.err == nil {
		a.err = http.NewResponseController(a.w).Flush()
	}
}

// finish ends the answer with the outcome of the request.
func (a *answer) finish(ctx context.Context, err error) {
	if a.err != nil {
		// The connection is broken; err is its consequence.
		return
	}
	took := time.Since(a.start)
	a.metrics.Statement(a.request, took)
	if err == nil {
		if a.sent {
			a.buf = append(wireconv.AppendMS(append(a.buf, `],"status":"success","took_ms":`...), took), '}', '\n')
			a.write(a.buf)
			return
		}
		a.buf = append(a.buf, ']', '}', '\n')
		a.writeSmall(http.StatusOK, wire.StatusSuccess, took)
		return
	}
	f := a.failure(ctx, err)
	a.metrics.Error(f.Code)
	if a.sent {
		if a.enc != nil {
			a.buf = strconv.AppendInt(append(a.buf, `],"row_count":`...), a.rows, 10)
			a.buf = append(a.buf, `,"incomplete":true}`...)
		}
		a.buf = wireconv.AppendMS(append(a.buf, `],"status":"error","took_ms":`...), took)
		a.buf = append(wireconv.AppendError(append(a.buf, `,"error":`...), f), '}', '\n')
		a.write(a.buf)
		return
	}
	if a.enc != nil {
		a.buf = a.buf[:a.mark]
	}
	a.buf = append(wireconv.AppendError(append(a.buf, `],"error":`...), f), '}', '\n')
	wireconv.SetRetryAfter(a.w.Header(), err)
	a.writeSmall(dberr.Code(f.Code).Info().HTTPStatus, wire.StatusError, took)
}

// writeSmall writes an answer that is in the buffer as a whole.
func (a *answer) writeSmall(status int, word string, took time.Duration) {
	var room [headRoom]byte
	head := wireconv.AppendHead(room[:0], word, took)
	from := headRoom - len(head)
	copy(a.buf[from:], head)
	body := a.buf[from:]
	header := a.w.Header()
	header["Content-Type"] = wireconv.JSONType
	if len(body) > ownLength {
		header["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	wireconv.SetStatusHeaders(header, status)
	a.w.WriteHeader(status)
	_, a.err = a.w.Write(body)
}

// failure is an error as the client sees it.
func (a *answer) failure(ctx context.Context, err error) wire.Error {
	var st *core.StatementError
	if !errors.As(err, &st) {
		return wireconv.Failure(ctx, a.log, err)
	}
	f := wireconv.Failure(ctx, a.log, st.Err)
	f.Statement = st.Number
	if !holdsSecret(st.Text) {
		f.Details = wireconv.Clip(st.Text, wireconv.MaxDetails)
	}
	if !a.alone(st) {
		f.Message = "Statement " + strconv.Itoa(st.Number) + " failed: " + f.Message
	}
	// The engine counts in the request's text, the client in the statement's.
	if f.Line > 0 && st.Line > 0 && f.Line >= st.Line {
		if f.Line == st.Line && f.Column >= st.Column {
			f.Column += 1 - st.Column
		}
		f.Line += 1 - st.Line
	}
	return f
}

// holdsSecret tells whether a statement may hold credentials. Its text is then
// not repeated: answers end up in the logs of whoever asked.
func holdsSecret(text string) bool {
	const word = "credentials"
	for i := 0; i+len(word) <= len(text); i++ {
		if text[i]|0x20 == 'c' && strings.EqualFold(text[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// alone tells whether the statement is all of the request: then there is no
// need to say which one failed.
func (a *answer) alone(st *core.StatementError) bool {
	const blank = "; \t\r\n"
	return st.Number == 1 && strings.Trim(a.request, blank) == strings.Trim(st.Text, blank)
}
