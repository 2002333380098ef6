// Package wire holds the messages that travel between clients and the server,
// over HTTP and over WebSocket, exactly as their JSON looks. It imports
// nothing of the system, so that a client can be built from it alone.
package wire

import "encoding/json"

// Paths of the HTTP interface. Each alias answers like the path before it.
const (
	PathSQL         = "/v1/api/sql"
	PathSQLAlias    = "/api/sql"
	PathHealth      = "/v1/health"
	PathHealthAlias = "/v1/api/healthcheck"
	PathHealthShort = "/health"
	PathWS          = "/v1/ws"
	PathWSAlias     = "/ws"
	PathMetrics     = "/metrics"
)

// Headers of a request.
const (
	HeaderAPIKey    = "X-API-KEY"
	HeaderUserID    = "X-USER-ID"
	HeaderSessionID = "X-SESSION-ID"
	HeaderNamespace = "X-NAMESPACE"
)

// SQLRequest is the body of POST /v1/api/sql.
type SQLRequest struct {
	// SQL is one statement, or several with semicolons between them.
	SQL string `json:"sql"`
	// Params are the values of $1, $2, … in order: strings, numbers, booleans
	// or null. They count for every statement of the request.
	Params []json.RawMessage `json:"params,omitempty"`
	// NamespaceID is the current namespace of this request.
	NamespaceID string `json:"namespace_id,omitempty"`
	// Options change the form of the answer.
	Options *SQLOptions `json:"options,omitempty"`
}

// SQLOptions change the form of an answer.
type SQLOptions struct {
	// Rows is "object" (the default) or "array".
	Rows string `json:"rows,omitempty"`
	// Int64 is "number" (the default) or "string", for readers whose numbers
	// have 53 bits.
	Int64 string `json:"int64,omitempty"`
	// Damaged is "error" (the default) or "skip": queries leave out files that
	// are damaged or missing, and their message names them.
	Damaged string `json:"damaged,omitempty"`
}

// Values of SQLResponse.Status.
const (
	StatusSuccess = "success"
	StatusError   = "error"
)

// SQLResponse is the answer to a SQLRequest.
type SQLResponse struct {
	Status string  `json:"status"`
	TookMS float64 `json:"took_ms"`
	// Results has one entry for every statement that succeeded, in order.
	Results []Result `json:"results"`
	Error   *Error   `json:"error,omitempty"`
}

// Result is what one statement gave.
type Result struct {
	Columns []string `json:"columns"`
	Schema  []Column `json:"schema,omitempty"`
	// Rows are objects, or arrays when the request asked for them.
	Rows []json.RawMessage `json:"rows,omitempty"`
	// RowCount is the number of rows, or of rows that the statement changed.
	RowCount        int64    `json:"row_count"`
	Message         string   `json:"message,omitempty"`
	ExecutionTimeMS *float64 `json:"execution_time_ms,omitempty"`
	// Properties tell of the whole what the rows tell of its parts (DESCRIBE).
	Properties json.RawMessage `json:"properties,omitempty"`
	// Incomplete marks the rows of a statement that failed when some had been
	// sent already; it is the last result of an answer whose status is error.
	Incomplete bool `json:"incomplete,omitempty"`
}

// Column names a result's column and its SQL type.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Error tells what went wrong.
type Error struct {
	Code     string `json:"code"`
	SQLState string `json:"sqlstate,omitempty"`
	Message  string `json:"message"`
	// Details is the statement that failed, or more about the reason.
	Details string `json:"details,omitempty"`
	// Hint is what the user can do about it.
	Hint string `json:"hint,omitempty"`
	// Statement is the failing statement's number in the request, from 1.
	Statement int `json:"statement,omitempty"`
	// Line and Column are the place in that statement's text, from 1.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// ID finds the error in the server's log; only INTERNAL errors have one.
	ID string `json:"id,omitempty"`
}

// Health is the answer of GET /v1/health.
type Health struct {
	// Status is "healthy", or what the server is doing instead: "starting",
	// "draining", "unhealthy".
	Status        string  `json:"status"`
	Version       string  `json:"version"`
	APIVersion    string  `json:"api_version"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	Commit        string  `json:"commit"`
	Branch        string  `json:"branch"`
}

// Values of Health.Status and Health.APIVersion.
const (
	Healthy    = "healthy"
	APIVersion = "v1"
)
