// Package wireconv turns values into the JSON of the wire and back: result
// batches and live rows into rows, request parameters into values.
//
// It appends to byte slices and allocates nothing for a row. Whatever a value
// holds, its output is valid JSON in valid UTF-8. How each SQL type looks:
//
//	BOOLEAN                 true, false
//	SMALLINT, INT, BIGINT   a number with all digits; BIGINT as a string when asked
//	FLOAT, DOUBLE           a number; "NaN", "Infinity", "-Infinity"
//	DECIMAL                 a string, so that no digit is lost
//	TEXT, UUID, TIME        a string
//	INTERVAL                a string, as PostgreSQL writes it
//	DATE                    "2025-10-21"
//	TIMESTAMP               RFC 3339 in UTC with microseconds
//	BYTES                   base64
//	JSON                    itself
//	arrays, records         an array
//	NULL                    null
package wireconv
