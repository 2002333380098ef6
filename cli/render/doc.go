// Package render turns results into text: aligned tables, JSON, NDJSON, CSV,
// TSV, Markdown and records one below the other.
//
// Every form is written row by row, so that a result of any size needs memory
// for its first rows at most: a table looks at the first 10,000 to find the
// widths of its columns and streams the rest at those widths. What goes to a
// terminal holds no control character of the data.
package render
