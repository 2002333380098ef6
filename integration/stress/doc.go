// Package stress watches a server while it works hard, from outside: its
// memory, processor time, queues and connections as /metrics and the operating
// system give them, and the latency and throughput that its clients see. It
// writes what it saw as a Markdown page and a plot.
//
// It makes no load and judges nothing; the tests do.
package stress
