package link

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// Code names a kind of error that the server reports.
type Code string

// The codes of the server's errors, for programs that branch on them.
const (
	CodeInvalidSQL           Code = "INVALID_SQL"
	CodeUnsupported          Code = "UNSUPPORTED"
	CodeNamespaceNotFound    Code = "NAMESPACE_NOT_FOUND"
	CodeTableNotFound        Code = "TABLE_NOT_FOUND"
	CodeColumnNotFound       Code = "COLUMN_NOT_FOUND"
	CodeFunctionNotFound     Code = "FUNCTION_NOT_FOUND"
	CodeNotFound             Code = "NOT_FOUND"
	CodeAlreadyExists        Code = "ALREADY_EXISTS"
	CodeParameterMismatch    Code = "PARAMETER_MISMATCH"
	CodeTypeMismatch         Code = "TYPE_MISMATCH"
	CodeValueOutOfRange      Code = "VALUE_OUT_OF_RANGE"
	CodeDivisionByZero       Code = "DIVISION_BY_ZERO"
	CodeNotNullViolation     Code = "NOT_NULL_VIOLATION"
	CodeUniqueViolation      Code = "UNIQUE_VIOLATION"
	CodeInvalidJSON          Code = "INVALID_JSON"
	CodeUnauthenticated      Code = "UNAUTHENTICATED"
	CodeTokenExpired         Code = "TOKEN_EXPIRED"
	CodePermissionDenied     Code = "PERMISSION_DENIED"
	CodeRateLimited          Code = "RATE_LIMITED"
	CodeTooLarge             Code = "TOO_LARGE"
	CodeTimeout              Code = "TIMEOUT"
	CodeCancelled            Code = "CANCELLED"
	CodeResourceExhausted    Code = "RESOURCE_EXHAUSTED"
	CodeActiveSubscriptions  Code = "ACTIVE_SUBSCRIPTIONS"
	CodeSubscriptionNotFound Code = "SUBSCRIPTION_NOT_FOUND"
	CodeResyncRequired       Code = "RESYNC_REQUIRED"
	CodeStorageUnavailable   Code = "STORAGE_UNAVAILABLE"
	CodeConflict             Code = "CONFLICT"
	CodeInternal             Code = "INTERNAL"
)

// CodeInvalidAnswer is the code of a *ProtocolError. No server sends it.
const CodeInvalidAnswer Code = "INVALID_ANSWER"

// Error is what the server answered instead of a result.
type Error struct {
	Code     Code
	SQLState string
	Message  string
	// Details is the statement that failed, or more about the reason.
	Details string
	// Hint is what the user can do about it; may be empty.
	Hint string
	// Statement is the failing statement's number in the request, from 1; 0
	// when the error is not about a statement.
	Statement int
	// Line and Column are the place in that statement's text, from 1; 0 when
	// the place is not known.
	Line, Column int
	// ID finds an INTERNAL error in the server's log.
	ID string
	// HTTPStatus is the status of the answer; 0 for errors that came over
	// WebSocket.
	HTTPStatus int
	// RetryAfter is how long the server asks to wait; 0 when it did not say.
	RetryAfter time.Duration
}

// Error gives the code and the message.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.ID != "" {
		s += " (id " + e.ID + ")"
	}
	return s
}

// Auth tells whether the server refused the credentials.
func (e *Error) Auth() bool {
	return e.Code == CodeUnauthenticated || e.Code == CodeTokenExpired
}

// Is makes errors.Is(err, &link.Error{Code: link.CodeTableNotFound}) compare
// codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Code == e.Code
}

// CodeOf is the server's code in err's chain, CodeInvalidAnswer when the server
// did not answer as one, and "" when there is no code.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if _, ok := errors.AsType[*ProtocolError](err); ok {
		return CodeInvalidAnswer
	}
	return ""
}

// TransportError means that the server was not reached, or that the answer was
// lost on its way.
type TransportError struct {
	// Op is what was tried: "connect", "send", "read", "subscribe".
	Op string
	// URL is the server's address, without credentials.
	URL string
	Err error
	// Sent tells whether the request may have reached the server, so that a
	// statement that writes may have run.
	Sent bool
}

// Error names the act, the address and the cause.
func (e *TransportError) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Op, e.URL, e.Err)
}

// Unwrap gives the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// Reason is the cause in a few words for people: "connection refused", "no such
// host".
func (e *TransportError) Reason() string {
	err := e.Err
	for {
		if dns, ok := err.(*net.DNSError); ok && dns.IsNotFound {
			return "no such host"
		}
		inner := errors.Unwrap(err)
		if inner == nil || inner == errTimeout || inner == errSilent {
			return strings.TrimPrefix(err.Error(), "net/http: ")
		}
		err = inner
	}
}

// ProtocolError means that something answered, but not as a KalamDB server
// does: no JSON, cut off JSON, or a redirect that must not be followed.
type ProtocolError struct {
	// Status is the HTTP status; 0 for a WebSocket message.
	Status int
	Reason string
	// Body is the beginning of the answer.
	Body string
}

// Error gives the reason and the beginning of the answer.
func (e *ProtocolError) Error() string {
	s := "unexpected answer from the server: " + e.Reason
	if e.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d %s)", e.Status, http.StatusText(e.Status))
	}
	if e.Body != "" {
		s += ": " + strconv.Quote(e.Body)
	}
	return s
}

// ClosedError ends a subscription that the server closed.
type ClosedError struct {
	// Reason is "killed", "table_dropped", "slow_consumer" or "shutdown".
	Reason string
	LiveID string
}

// Error says why, in words.
func (e *ClosedError) Error() string {
	switch e.Reason {
	case wire.ReasonKilled:
		return "the live query " + e.LiveID + " was terminated by KILL LIVE QUERY"
	case wire.ReasonTableDropped:
		return "the subscribed table was dropped"
	case wire.ReasonSlowConsumer:
		return "the subscription was closed because its changes were not read fast enough"
	case wire.ReasonShutdown:
		return "the server shut down"
	}
	return "the server closed the subscription: " + e.Reason
}

// Sentinels of the client's own.
var (
	// ErrNoRows is what Row.Scan returns when the query gave no row.
	ErrNoRows = errors.New("the query returned no rows")
	// ErrClosed is returned by a client or subscription after its Close.
	ErrClosed = errors.New("the client is closed")
)

func fromWire(e *wire.Error, status int) *Error {
	return &Error{
		Code: Code(e.Code), SQLState: e.SQLState, Message: e.Message, Details: e.Details,
		Hint: e.Hint, Statement: e.Statement, Line: e.Line, Column: e.Column, ID: e.ID,
		HTTPStatus: status,
	}
}
