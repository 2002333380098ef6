package wireconv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/wire"
)

// MaxDetails is how many bytes of a failed statement an answer repeats.
const MaxDetails = 1000

// Failure is what a client is shown of an error. A coded error is shown as it
// is; any other is a fault of ours: it goes into the log with an id, and the
// client gets the id alone.
func Failure(ctx context.Context, log *slog.Logger, err error) wire.Error {
	e, ok := dberr.As(err)
	// What ended the context may know better than the context.
	if ok && e.Code == dberr.Cancelled {
		if cause, isCoded := dberr.As(context.Cause(ctx)); isCoded {
			e = cause
		}
	}
	if !ok || e.Code == dberr.Internal {
		id := NewID()
		log.LogAttrs(ctx, slog.LevelError, "internal error", slog.String("id", id), slog.Any("error", err), causeOf(e))
		return InternalFailure(id)
	}
	return wire.Error{
		Code: string(e.Code), SQLState: e.State(), Message: e.Message, Hint: e.Hint,
		Line: e.Pos.Line, Column: e.Pos.Column,
	}
}

// causeOf is what a coded error hides from clients.
func causeOf(e *dberr.Error) slog.Attr {
	if e == nil || e.Unwrap() == nil {
		return slog.Attr{}
	}
	return slog.Any("cause", e.Unwrap())
}

// InternalFailure is what a client is shown of a fault of ours.
func InternalFailure(id string) wire.Error {
	return wire.Error{
		Code: string(dberr.Internal), SQLState: dberr.Internal.Info().SQLState, ID: id,
		Message: "Internal error. The server's log has the details under the id " + id + ".",
	}
}

// NewID makes a random id.
func NewID() string {
	var b [8]byte
	rand.Read(b[:]) // crypto/rand.Read never fails
	return hex.EncodeToString(b[:])
}

// Clip shortens s to at most n bytes, at the boundary of a character.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// AppendError appends an error as an object.
func AppendError(dst []byte, e wire.Error) []byte {
	b, err := json.Marshal(e)
	if err != nil {
		return append(dst, "null"...)
	}
	return append(dst, b...)
}
