package debug

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kalamdb/kalamdb/commons/histogram"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/live"
)

// figure is one number that is read when metrics are collected.
type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	// engine says that it needs an open database.
	engine bool
	read   func(*Figures) float64
}

func gauge(name, help string, read func(*Figures) float64) figure {
	return figure{prometheus.NewDesc("kalamdb_"+name, help, nil, nil), prometheus.GaugeValue, false, read}
}

func engineGauge(name, help string, read func(*Figures) float64) figure {
	f := gauge(name, help, read)
	f.engine = true
	return f
}

func engineCounter(name, help string, read func(*Figures) float64) figure {
	f := engineGauge(name, help, read)
	f.kind = prometheus.CounterValue
	return f
}

var figures = []figure{
	gauge("connections", "Open TCP connections.", func(f *Figures) float64 { return float64(f.Connections) }),
	gauge("websocket_connections", "Open WebSocket connections.", func(f *Figures) float64 { return float64(f.WebSockets) }),
	{prometheus.NewDesc("kalamdb_connections_refused_total", "Connections that were closed because there were too many.", nil, nil),
		prometheus.CounterValue, false, func(f *Figures) float64 { return float64(f.RefusedConnections) }},

	engineGauge("uptime_seconds", "Time since the database was opened.", func(f *Figures) float64 { return f.Engine.Uptime.Seconds() }),
	engineGauge("requests_running", "Requests that run statements now, or wait to.", func(f *Figures) float64 { return float64(f.Engine.Gate.UnderWay) }),
	engineGauge("places_taken", "Requests that compute now; the others under way wait for something.", func(f *Figures) float64 { return float64(f.Engine.Gate.Running) }),
	engineGauge("places_taken_long", "Those of them that are long.", func(f *Figures) float64 { return float64(f.Engine.Gate.RunningLong) }),
	engineGauge("places_wanted", "Requests that wait for others to compute.", func(f *Figures) float64 { return float64(f.Engine.Gate.Waiting) }),
	engineGauge("places_wanted_long", "Those of them that are long.", func(f *Figures) float64 { return float64(f.Engine.Gate.WaitingLong) }),
	engineGauge("hot_bytes", "Bytes of the hot rows on their medium.", func(f *Figures) float64 { return float64(f.HotBytes) }),
	engineGauge("hot_rows", "Live rows whose newest version is in the hot tier.", func(f *Figures) float64 { return float64(f.Engine.Tables.Buffered) }),
	engineGauge("cold_rows", "Live rows whose newest version is in the cold tier.", func(f *Figures) float64 { return float64(f.Engine.Tables.Flushed) }),
	engineGauge("cold_bytes", "Bytes of the files of the cold tier.", func(f *Figures) float64 { return float64(f.Engine.Tables.Bytes) }),
	engineGauge("cold_files", "Files of the cold tier.", func(f *Figures) float64 { return float64(f.Engine.Tables.Files) }),
	engineGauge("deleted_rows", "Rows that are deleted but kept, in both tiers.", func(f *Figures) float64 { return float64(f.Engine.Tables.Deleted) }),
	engineGauge("flush_waiting_rows", "Rows and deletions that wait to be flushed.", func(f *Figures) float64 { return float64(f.Engine.Tables.Waiting) }),
	engineGauge("flush_lag_seconds", "For how long the change waits that has waited longest to be flushed.", func(f *Figures) float64 { return f.Engine.Flush.Lag.Seconds() }),
	engineCounter("flush_failures_total", "Flushes of a table that failed.", func(f *Figures) float64 { return float64(f.Engine.Flush.Failures) }),
	engineCounter("flush_rows_total", "Rows that were flushed.", func(f *Figures) float64 { return float64(f.Engine.Flush.Rows) }),

	engineGauge("sessions", "Sessions that are remembered.", func(f *Figures) float64 { return float64(f.Engine.Sessions.Sessions) }),
	engineCounter("session_hits_total", "Tables that statements found registered in their session.", func(f *Figures) float64 { return float64(f.Engine.Sessions.Hits) }),
	engineCounter("session_misses_total", "Tables that statements had to register in their session.", func(f *Figures) float64 { return float64(f.Engine.Sessions.Misses) }),
	engineGauge("query_memory_bytes", "Memory that running statements have reserved.", func(f *Figures) float64 { return float64(f.Engine.Memory.Used) }),
	engineGauge("query_memory_limit_bytes", "Memory that all statements may reserve together.", func(f *Figures) float64 { return float64(f.Engine.Memory.Limit) }),
	engineCounter("query_memory_refused_total", "Reservations that were refused because all statements together had too much.", func(f *Figures) float64 { return float64(f.Engine.Memory.Refused) }),
	engineGauge("plan_cache_entries", "Plans in the plan cache.", func(f *Figures) float64 { return float64(f.Engine.Plans.Entries) }),
	engineCounter("plan_cache_hits_total", "Statements whose plan was there.", func(f *Figures) float64 { return float64(f.Engine.Plans.Hits) }),
	engineCounter("plan_cache_misses_total", "Statements that had to be compiled.", func(f *Figures) float64 { return float64(f.Engine.Plans.Misses) }),
	engineCounter("plan_cache_evictions_total", "Plans that made room for others.", func(f *Figures) float64 { return float64(f.Engine.Plans.Evictions) }),
	engineGauge("api_keys", "API keys.", func(f *Figures) float64 { return float64(f.Engine.APIKeys) }),
	engineGauge("stream_rows", "Rows of STREAM tables in memory.", func(f *Figures) float64 { return float64(f.Engine.StreamRows) }),
	engineGauge("stream_bytes", "Bytes of STREAM tables in memory.", func(f *Figures) float64 { return float64(f.Engine.StreamBytes) }),

	engineCounter("commits_total", "Statements that changed rows durably.", func(f *Figures) float64 { return float64(f.Engine.Commit.Commits) }),

	engineGauge("subscriptions", "Live queries.", func(f *Figures) float64 { return float64(f.Engine.Live.Subscriptions) }),
	engineGauge("live_topics", "Tables of a user that have live queries.", func(f *Figures) float64 { return float64(f.Engine.Live.Topics) }),
	engineGauge("live_filters", "Distinct filters of live queries.", func(f *Figures) float64 { return float64(f.Engine.Live.Filters) }),
	engineGauge("live_backlog_rows", "Changes that wait to be dispatched.", func(f *Figures) float64 { return float64(f.Engine.Live.BacklogRows) }),
	engineGauge("live_backlog_bytes", "Bytes of changes that wait to be dispatched.", func(f *Figures) float64 { return float64(f.Engine.Live.BacklogBytes) }),
	engineGauge("live_queued_bytes", "Bytes in the queues of live queries.", func(f *Figures) float64 { return float64(f.Engine.Live.QueuedBytes) }),
	engineCounter("live_changes_total", "Changes that were published.", func(f *Figures) float64 { return float64(f.Engine.Live.Published) }),
	engineCounter("live_changes_routed_total", "Changes of tables that have live queries.", func(f *Figures) float64 { return float64(f.Engine.Live.Routed) }),
	engineCounter("live_deliveries_total", "Messages that were put into queues.", func(f *Figures) float64 { return float64(f.Engine.Live.Deliveries) }),
	engineCounter("live_rows_total", "Rows that clients took as changes.", func(f *Figures) float64 { return float64(f.Engine.Live.DeliveredRows) }),
	engineCounter("live_rows_dropped_total", "Rows that queues of slow clients lost.", func(f *Figures) float64 { return float64(f.Engine.Live.DroppedRows) }),
	engineCounter("live_resyncs_total", "How often slow clients were brought up to date.", func(f *Figures) float64 { return float64(f.Engine.Live.Resyncs) }),
	engineCounter("subscriptions_started_total", "Live queries that were started.", func(f *Figures) float64 { return float64(f.Engine.Live.Registered) }),
	engineCounter("subscriptions_refused_total", "Live queries that were refused for a limit.", func(f *Figures) float64 { return float64(f.Engine.Live.Refused) }),
}

var (
	ended = prometheus.NewDesc("kalamdb_subscriptions_ended_total", "Live queries that ended, by reason.", []string{"reason"}, nil)
	sizes = prometheus.NewDesc("kalamdb_commit_batch_statements", "Statements that were written in one batch, with one sync.", nil, nil)
	syncs = prometheus.NewDesc("kalamdb_commit_sync_seconds", "Time to write and sync a batch.", nil, nil)
	shed  = prometheus.NewDesc("kalamdb_requests_shed_total", "Requests that were refused because the server was overloaded, by reason: too many under way, too many waiting, or waited too long.", []string{"reason"}, nil)
	waits = prometheus.NewDesc("kalamdb_place_wait_seconds", "Time that requests waited for others to compute, of those that had to.", nil, nil)
	took  = prometheus.NewDesc("kalamdb_flush_duration_seconds", "Time of the flushes of a table, those that failed included.", nil, nil)
	lag   = prometheus.NewDesc("kalamdb_live_latency_seconds", "Time from a commit to the reader of a live query.", nil, nil)
)

// collector reads the figures.
type collector struct{ figures func() Figures }

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range figures {
		ch <- f.desc
	}
	for _, d := range []*prometheus.Desc{ended, lag, sizes, syncs, took, shed, waits} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	now := c.figures()
	for _, f := range figures {
		if f.engine && now.Engine == nil {
			continue
		}
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.read(&now))
	}
	if now.Engine == nil {
		return
	}
	ch <- counted(sizes, now.Engine.Commit.Sizes)
	ch <- counted(syncs, now.Engine.Commit.Writes)
	ch <- counted(took, now.Engine.Flush.Took)
	ch <- counted(waits, now.Engine.Gate.Waits)
	for reason, n := range now.Engine.Gate.Refused {
		ch <- prometheus.MustNewConstMetric(shed, prometheus.CounterValue, float64(n), slot.Reason(reason).String())
	}
	l := &now.Engine.Live
	for reason, n := range map[string]uint64{"killed": l.Killed, "slow_consumer": l.SlowClosed, "error": l.Failed, "other": l.OtherClosed} {
		ch <- prometheus.MustNewConstMetric(ended, prometheus.CounterValue, float64(n), reason)
	}
	buckets := make(map[float64]uint64, len(live.LatencyBounds))
	total := uint64(0)
	for i, bound := range live.LatencyBounds {
		total += l.Latency[i]
		buckets[bound.Seconds()] = total
	}
	total += l.Latency[len(live.LatencyBounds)]
	ch <- prometheus.MustNewConstHistogram(lag, total, l.LatencySum.Seconds(), buckets)
}

func counted(d *prometheus.Desc, s histogram.Snapshot) prometheus.Metric {
	buckets := make(map[float64]uint64, len(s.Bounds))
	for i, bound := range s.Bounds {
		buckets[bound] = s.Below[i]
	}
	return prometheus.MustNewConstHistogram(d, s.Count, s.Sum, buckets)
}
