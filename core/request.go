package core

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Principal is who a request comes from. A caller that acts for another user
// is that user with the caller's role.
type Principal struct {
	User ident.UserID
	Role ident.Role
	// ExplicitUser says that the request itself named the user, by a token or
	// X-USER-ID; the .user. qualifier needs it.
	ExplicitUser bool
}

// Request is a text of one or more statements.
type Request struct {
	SQL string
	// Params are the values of $1…$n. They belong to the whole text: a batch
	// has as many as its highest placeholder says.
	Params []sqltype.Value
	// Namespace is the current namespace of this request; empty: the
	// session's, which USE sets.
	Namespace ident.NamespaceID
	// SkipDamaged makes queries leave out files that are damaged or missing,
	// instead of failing; their answers name the files. It is not for
	// statements that change rows.
	SkipDamaged bool
	// Deadline ends whatever still runs; zero: nothing but the context does.
	// It costs less than a context's deadline, which makes a timer.
	Deadline time.Time
	// Turn becomes the request's place among those who compute. A sink that
	// waits for a slow client lends it meanwhile. nil: one that nobody else
	// sees.
	Turn *slot.Turn
}

// Sink takes the results of a request, one statement after the other:
//
//	Begin Batch* End     a statement that gives rows, perhaps none
//	End                  a statement that gives no rows
//
// A statement that fails may have had Begin and Batch calls, and gets no End.
// An error of the sink ends the request. A batch is the engine's memory and
// valid during the call only; a sink that does not come back holds up nobody
// else.
type Sink interface {
	Begin(cols []sql.ResultColumn) error
	Batch(b *vector.Batch) error
	End(o Outcome) error
}

// Outcome ends one statement's result.
type Outcome struct {
	// HasRows says that Begin was called.
	HasRows bool
	// RowCount is how many rows were given or, by a statement that changes
	// rows, how many it changed.
	RowCount int64
	// Message says in words what happened; empty for a query.
	Message string
	// Properties is what a statement has to say beside its rows, as a JSON
	// object; mostly nil.
	Properties json.RawMessage
	Elapsed    time.Duration
}

// StatementError is the failure of one statement of a request.
type StatementError struct {
	// Number counts the request's statements from 1.
	Number int
	// Text is the statement's text, without the semicolon.
	Text string
	// Line and Column say where in the request's text the statement begins,
	// counted from 1. The place that Err carries is within the request's
	// text.
	Line, Column int
	Err          error
}

// Error names the statement and says why it failed.
func (e *StatementError) Error() string {
	if d, ok := dberr.As(e.Err); ok {
		return fmt.Sprintf("Statement %d failed: %s", e.Number, d.Message)
	}
	return fmt.Sprintf("Statement %d failed: %v", e.Number, e.Err)
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *StatementError) Unwrap() error { return e.Err }

// SubscribeRequest asks for a live query.
type SubscribeRequest struct {
	// SQL is a SELECT over one table, or SUBSCRIBE TO ….
	SQL       string
	Params    []sqltype.Value
	Namespace ident.NamespaceID
	// Connection and ID name the subscription to its client: ID is the
	// client's own name for it on that connection.
	Connection ident.ConnectionID
	ID         ident.SubscriptionID
	// LastRows asks for the newest rows to begin with: -1 for all of them;
	// nil or 0: none. OPTIONS (last_rows = n) in the text counts as well.
	LastRows *int64
	// FromSeq resumes behind a sequence number.
	FromSeq *uint64
	// Buffer is how many undelivered changes may wait; 0: the server's
	// default, which is also the most.
	Buffer int
	// CloseOnSlow closes a subscription whose buffer is full, instead of
	// bringing it up to date later.
	CloseOnSlow bool
	// Options are all options as the client wrote them, a JSON object, shown
	// in system.live_queries.
	Options json.RawMessage
	// Mux is who reads the subscription beside others, so that a connection
	// needs no goroutine for each; nil: a reader of its own calls Next. Tag is
	// the reader's own. Both go into the live.Spec as they are.
	Mux *live.Mux
	Tag any
}

// Health says whether the engine can do its work.
type Health struct {
	// Writable is false while the storage refuses writes.
	Writable bool
	// Reason says why not, for people.
	Reason string
}
