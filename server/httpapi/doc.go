// Package httpapi is the HTTP interface: POST /v1/api/sql, the health checks,
// and the errors of everything else. It reads requests, has them authenticated
// and hands them to the engine; it knows no SQL.
//
// # Answers
//
// An answer is collected in a buffer while it is small. Then it has the HTTP
// status of its outcome, and status and took_ms stand in front:
//
//	{"status":"success","took_ms":1.4,"results":[…]}
//	{"status":"error","took_ms":0.4,"results":[…],"error":{…}}
//
// One that outgrows the buffer is sent in chunks as its rows are found, so
// that it never sits in memory. Its HTTP status is 200, and the outcome, which
// nobody knows yet when it begins, stands behind the results:
//
//	{"results":[…],"status":"success","took_ms":812}
//	{"results":[…,{…,"row_count":70000,"incomplete":true}],"status":"error","took_ms":812,"error":{…}}
//
// So a client looks at "status" and not at the HTTP status alone. The result
// of a statement that fails after some of its rows were sent is the last one
// and is marked incomplete; before anything was sent it is left out. Only a
// fault of the server that leaves the answer in no good state breaks the
// connection off in the middle.
package httpapi
