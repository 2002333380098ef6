package debug

import (
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kalamdb/kalamdb/commons/buildinfo"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
)

// Figures are what the server knows about itself at a moment.
type Figures struct {
	// Engine is nil while the database is not open.
	Engine *core.Stats
	// HotBytes is how much the hot rows take on their medium.
	HotBytes int64
	// Connections are open TCP connections, WebSockets those of them that are
	// WebSockets.
	Connections, WebSockets int
	// RefusedConnections were closed because there were too many.
	RefusedConnections int64
}

// Metrics counts what happens and serves it in Prometheus' format. It may be
// used from several goroutines; a nil Metrics counts nothing.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	succeeded map[string]prometheus.Counter // those of requests with status 200, by path
	latencies map[Kind]prometheus.Observer
	errors    *prometheus.CounterVec
}

// goHeap is what stands beside the usual metrics of Go programs: the bytes that
// the last collection of garbage has left, go_gc_heap_live_bytes.
var goHeap = regexp.MustCompile(`^/gc/heap/live:bytes$`)

// latencyBuckets reach from a cached point query to the time limit.
var latencyBuckets = []float64{
	.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30,
}

// NewMetrics makes the metrics of a server; figures is called whenever they
// are collected.
func NewMetrics(build buildinfo.Info, figures func() Figures) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kalamdb_http_requests_total", Help: "HTTP requests by path and status.",
		}, []string{"path", "status"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kalamdb_errors_total", Help: "Errors that clients were told of, by code.",
		}, []string{"code"}),
		succeeded: map[string]prometheus.Counter{}, latencies: make(map[Kind]prometheus.Observer, len(kinds)),
	}
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kalamdb_request_duration_seconds", Help: "Time of requests that ran statements, by the kind of their first statement.",
		Buckets: latencyBuckets,
	}, []string{"kind"})
	for _, k := range kinds {
		m.latencies[k] = latency.WithLabelValues(string(k))
	}
	for _, path := range []string{wire.PathSQL, wire.PathSQLAlias, wire.PathHealth, wire.PathHealthAlias, wire.PathHealthShort} {
		m.succeeded[path] = m.requests.WithLabelValues(path, strconv.Itoa(http.StatusOK))
	}
	for _, in := range dberr.Codes() {
		m.errors.WithLabelValues(string(in.Code)) // so that a rate is there from the first one
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kalamdb_build_info", Help: "What runs; always 1.",
		ConstLabels: prometheus.Labels{"version": build.Version, "branch": build.Branch, "commit": build.Commit},
	})
	info.Set(1)
	m.registry.MustRegister(m.requests, m.errors, latency, info, &collector{figures: figures},
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.GoRuntimeMetricsRule{Matcher: goHeap},
		)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Request counts an HTTP request. path is one that the server has, or "other":
// a client must not be able to make up new ones.
func (m *Metrics) Request(path string, status int) {
	switch {
	case m == nil:
	case status == http.StatusOK && m.succeeded[path] != nil:
		m.succeeded[path].Inc()
	default:
		m.requests.WithLabelValues(path, strconv.Itoa(status)).Inc()
	}
}

// Statement counts a request that ran statements, by its text.
func (m *Metrics) Statement(sql string, took time.Duration) {
	if m != nil {
		m.latencies[KindOf(sql)].Observe(took.Seconds())
	}
}

// Error counts an error that a client is told of.
func (m *Metrics) Error(code string) {
	if m != nil {
		m.errors.WithLabelValues(code).Inc()
	}
}
