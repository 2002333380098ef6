// Package dberr is the one home of errors that a client may see: a code that
// programs branch on, a message and a hint for people, and the place in the
// statement. It owns the list of codes with their HTTP statuses and SQLSTATEs.
//
// Every error that is the caller's fault is an *Error. Any other error that
// reaches the edge of the server is a fault of ours and is shown as INTERNAL.
package dberr

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Error is a coded error. It is built by New and refined by the With…
// methods, which return a changed copy and so may be used on shared values.
type Error struct {
	Code    Code
	Message string
	// Hint says what the user can do about it; may be empty.
	Hint string
	// SQLState overrides the code's default when it is not empty.
	SQLState string
	// Pos is where in the statement's text it went wrong.
	Pos Pos
	// Retry is after which time the same may succeed; 0: that is not known.
	Retry time.Duration

	cause error
}

// Pos is a place in a statement. Line and Column count from 1, columns in
// characters; the zero value means that the place is not known.
type Pos struct {
	// Offset is in bytes from the start of the text.
	Offset int
	Line   int
	Column int
}

// Known tells whether the place is known.
func (p Pos) Known() bool { return p.Line > 0 }

// New makes an error with a finished message.
func New(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// Newf makes an error with a formatted message. A %w verb keeps the cause.
func Newf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// Error returns the message, with the place where it is known.
func (e *Error) Error() string {
	if e.Pos.Known() {
		return fmt.Sprintf("%s: %s (line %d, column %d)", e.Code, e.Message, e.Pos.Line, e.Pos.Column)
	}
	return string(e.Code) + ": " + e.Message
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is(err, dberr.New(code, "")) compare codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Code == e.Code
}

// State is the SQLSTATE: the error's own, else its code's.
func (e *Error) State() string {
	if e.SQLState != "" {
		return e.SQLState
	}
	return e.Code.Info().SQLState
}

// WithHint adds what the user can do about it.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// WithState sets a more exact SQLSTATE than the code's.
func (e *Error) WithState(state string) *Error {
	c := *e
	c.SQLState = state
	return &c
}

// WithRetry says after which time the same may succeed.
func (e *Error) WithRetry(after time.Duration) *Error {
	c := *e
	c.Retry = after
	return &c
}

// At sets the place, unless a deeper layer has set one already.
func (e *Error) At(p Pos) *Error {
	if e.Pos.Known() || !p.Known() {
		return e
	}
	c := *e
	c.Pos = p
	return &c
}

// Wrap keeps the cause for the log. It is never shown to a client.
func (e *Error) Wrap(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// As finds the coded error in err's chain. A context that ended becomes
// CANCELLED or TIMEOUT. ok is false for any other error, which then is a
// fault of ours.
func As(err error) (e *Error, ok bool) {
	if errors.As(err, &e) {
		return e, true
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return New(Timeout, "The statement ran longer than its time limit.").Wrap(err), true
	case errors.Is(err, context.Canceled):
		return New(Cancelled, "The statement was cancelled.").Wrap(err), true
	}
	return nil, false
}

// CodeOf is the code that a client would see for err: "" for nil, INTERNAL
// for an error without one.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := As(err); ok {
		return e.Code
	}
	return Internal
}
