package dberr

import "net/http"

// Code names a kind of failure. Codes are part of the protocol: clients branch
// on them, so a code is never renamed and never changes its meaning.
type Code string

// The codes. Each one's HTTP status and SQLSTATE stand in the table below.
const (
	InvalidSQL           Code = "INVALID_SQL"
	Unsupported          Code = "UNSUPPORTED"
	NamespaceNotFound    Code = "NAMESPACE_NOT_FOUND"
	TableNotFound        Code = "TABLE_NOT_FOUND"
	ColumnNotFound       Code = "COLUMN_NOT_FOUND"
	FunctionNotFound     Code = "FUNCTION_NOT_FOUND"
	NotFound             Code = "NOT_FOUND"
	AlreadyExists        Code = "ALREADY_EXISTS"
	ParameterMismatch    Code = "PARAMETER_MISMATCH"
	TypeMismatch         Code = "TYPE_MISMATCH"
	ValueOutOfRange      Code = "VALUE_OUT_OF_RANGE"
	DivisionByZero       Code = "DIVISION_BY_ZERO"
	NotNullViolation     Code = "NOT_NULL_VIOLATION"
	UniqueViolation      Code = "UNIQUE_VIOLATION"
	InvalidJSON          Code = "INVALID_JSON"
	Unauthenticated      Code = "UNAUTHENTICATED"
	TokenExpired         Code = "TOKEN_EXPIRED"
	PermissionDenied     Code = "PERMISSION_DENIED"
	RateLimited          Code = "RATE_LIMITED"
	TooLarge             Code = "TOO_LARGE"
	Timeout              Code = "TIMEOUT"
	Cancelled            Code = "CANCELLED"
	ResourceExhausted    Code = "RESOURCE_EXHAUSTED"
	ActiveSubscriptions  Code = "ACTIVE_SUBSCRIPTIONS"
	SubscriptionNotFound Code = "SUBSCRIPTION_NOT_FOUND"
	ResyncRequired       Code = "RESYNC_REQUIRED"
	StorageUnavailable   Code = "STORAGE_UNAVAILABLE"
	Conflict             Code = "CONFLICT"
	Internal             Code = "INTERNAL"
)

// Info is what a code means to a client.
type Info struct {
	Code Code
	// HTTPStatus is the status of an answer that fails with this code.
	HTTPStatus int
	// SQLState is the nearest PostgreSQL error class; an Error may carry a
	// more exact one.
	SQLState string
	// Meaning is one sentence for the reference documentation.
	Meaning string
}

// StatusClientClosed is the status of a request whose client went away
// (nginx's 499; net/http has no name for it).
const StatusClientClosed = 499

var infos = []Info{
	{InvalidSQL, http.StatusBadRequest, "42601", "The statement is not valid SQL, or means nothing in this place."},
	{Unsupported, http.StatusBadRequest, "0A000", "The statement is understood, but this server does not do it."},
	{NamespaceNotFound, http.StatusNotFound, "3F000", "The namespace does not exist."},
	{TableNotFound, http.StatusNotFound, "42P01", "The table or view does not exist."},
	{ColumnNotFound, http.StatusNotFound, "42703", "The column does not exist."},
	{FunctionNotFound, http.StatusNotFound, "42883", "No function or operator has this name and these argument types."},
	{NotFound, http.StatusNotFound, "02000", "The named object does not exist."},
	{AlreadyExists, http.StatusConflict, "42710", "An object of this name exists already."},
	{ParameterMismatch, http.StatusBadRequest, "08P01", "The number of parameters is not the number of placeholders."},
	{TypeMismatch, http.StatusBadRequest, "42804", "A value has another type than its place needs."},
	{ValueOutOfRange, http.StatusBadRequest, "22003", "A value does not fit the range of its type."},
	{DivisionByZero, http.StatusBadRequest, "22012", "A number was divided by zero."},
	{NotNullViolation, http.StatusBadRequest, "23502", "A column that is NOT NULL got no value."},
	{UniqueViolation, http.StatusConflict, "23505", "A row with this key exists already."},
	{InvalidJSON, http.StatusBadRequest, "22P02", "A text is not valid JSON."},
	{Unauthenticated, http.StatusUnauthorized, "28000", "The request has no credentials, or wrong ones."},
	{TokenExpired, http.StatusUnauthorized, "28000", "The token was valid once and has expired."},
	{PermissionDenied, http.StatusForbidden, "42501", "The caller's role does not allow this."},
	{RateLimited, http.StatusTooManyRequests, "53400", "Too many requests; Retry-After tells when to come back."},
	{TooLarge, http.StatusRequestEntityTooLarge, "54000", "The request, statement or value is larger than the limit."},
	{Timeout, http.StatusGatewayTimeout, "57014", "The statement ran longer than its time limit."},
	{Cancelled, StatusClientClosed, "57014", "The client cancelled the statement or went away."},
	{ResourceExhausted, http.StatusServiceUnavailable, "53200", "A memory, queue or connection limit was reached."},
	{ActiveSubscriptions, http.StatusConflict, "55006", "Live subscriptions still use the object."},
	{SubscriptionNotFound, http.StatusNotFound, "02000", "The subscription does not exist, or has ended."},
	{ResyncRequired, http.StatusGone, "55000", "The changes since that sequence number are no longer kept; read the rows again."},
	{StorageUnavailable, http.StatusServiceUnavailable, "58030", "The storage cannot be read or written now."},
	{Conflict, http.StatusConflict, "40001", "The object was changed by somebody else meanwhile; try again."},
	{Internal, http.StatusInternalServerError, "XX000", "A fault of the server; the log has the same id with the details."},
}

var byCode = func() map[Code]Info {
	m := make(map[Code]Info, len(infos))
	for _, in := range infos {
		m[in.Code] = in
	}
	return m
}()

// Codes lists every code with what it means, in the order of the reference
// documentation.
func Codes() []Info { return append([]Info(nil), infos...) }

// Info tells what the code means. An unknown code is treated as INTERNAL.
func (c Code) Info() Info {
	if in, ok := byCode[c]; ok {
		return in
	}
	return byCode[Internal]
}
