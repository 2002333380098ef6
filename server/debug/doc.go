// Package debug serves what people who run the server look at: the metrics that
// Prometheus collects, and Go's profiler, on an address of its own that only
// this machine reaches.
package debug
