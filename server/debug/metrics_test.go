package debug

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/buildinfo"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/golden"
	"github.com/kalamdb/kalamdb/commons/histogram"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/core/session"
	"github.com/kalamdb/kalamdb/live"
)

func TestKindOf(t *testing.T) {
	for sql, want := range map[string]Kind{
		"select 1": KindSelect, " (\n(SELECT 1))": KindSelect, "WITH x AS (SELECT 1) SELECT 1": KindSelect, "VALUES (1)": KindSelect,
		"-- a\n/* b */ INSERT INTO t": KindInsert, "Update t": KindUpdate, "DELETE FROM t": KindDelete, "TRUNCATE t": KindDelete,
		"create table": KindDDL, "ALTER": KindDDL, "drop": KindDDL, "EXPLAIN SELECT 1": KindShow, "FLUSH ALL TABLES": KindFlush,
		"": KindOther, "--": KindOther, "/*": KindOther, "selectx": KindOther, "creates_": KindOther, "SUBSCRIBE TO t": KindOther, "12": KindOther,
	} {
		if got := KindOf(sql); got != want {
			t.Errorf("%q: %s, want %s", sql, got, want)
		}
	}
}

func scrape(t *testing.T, m *Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	f := Figures{Connections: 7}
	m := NewMetrics(buildinfo.Info{Version: "1.2.3", Branch: "main", Commit: "abc"}, func() Figures { return f })
	m.Request("/v1/api/sql", 200)
	m.Statement("SELECT 1", 3*time.Millisecond)
	m.Error(string(dberr.RateLimited))
	text := scrape(t, m)
	for _, want := range []string{
		`kalamdb_http_requests_total{path="/v1/api/sql",status="200"} 1`,
		`kalamdb_request_duration_seconds_bucket{kind="select",le="0.005"} 1`,
		`kalamdb_request_duration_seconds_count{kind="insert"} 0`,
		`kalamdb_errors_total{code="RATE_LIMITED"} 1`, `kalamdb_errors_total{code="INTERNAL"} 0`,
		`kalamdb_build_info{branch="main",commit="abc",version="1.2.3"} 1`,
		"kalamdb_connections 7", "go_goroutines ", "go_gc_heap_live_bytes ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "kalamdb_commits_total") {
		t.Error("figures of a database that is not open")
	}
	st := core.Stats{Sessions: session.Stats{Sessions: 3, Hits: 5}}
	st.Commit.Commits = 40
	sizes := histogram.New(1, 8)
	for _, n := range []float64{1, 5, 34} {
		sizes.Observe(n)
	}
	st.Commit.Sizes = sizes.Snapshot()
	st.Flush.Lag, st.Tables.Bytes = 90*time.Second, 77
	st.Live.Killed = 2
	st.Live.Latency[0], st.Live.Latency[1], st.Live.Latency[len(live.LatencyBounds)] = 5, 6, 1
	f.Engine, f.HotBytes = &st, 1<<20
	text = scrape(t, m)
	for _, want := range []string{
		"kalamdb_commits_total 40", `kalamdb_commit_batch_statements_bucket{le="8"} 2`, "kalamdb_commit_batch_statements_count 3", "kalamdb_commit_batch_statements_sum 40",
		"kalamdb_commit_sync_seconds_count 0", "kalamdb_flush_lag_seconds 90", "kalamdb_cold_bytes 77", "kalamdb_session_hits_total 5", "kalamdb_sessions 3", "kalamdb_hot_bytes 1.048576e+06",
		`kalamdb_subscriptions_ended_total{reason="killed"} 2`,
		`kalamdb_live_latency_seconds_bucket{le="0.0001"} 5`, `kalamdb_live_latency_seconds_bucket{le="0.00025"} 11`,
		"kalamdb_live_latency_seconds_count 12",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	var none *Metrics
	none.Request("x", 1)
	none.Statement("x", 1)
	none.Error("x")
}

func BenchmarkStatement(b *testing.B) {
	m := NewMetrics(buildinfo.Info{}, func() Figures { return Figures{} })
	b.ReportAllocs()
	for b.Loop() {
		m.Statement("SELECT * FROM app.t WHERE id = $1", time.Millisecond)
		m.Request("/v1/api/sql", 200)
	}
}

// TestMetricsReference holds docs/architecture/metrics.md against the code:
// every metric of ours with its type, labels and meaning.
func TestMetricsReference(t *testing.T) {
	m := NewMetrics(buildinfo.Info{}, func() Figures { return Figures{Engine: &core.Stats{}} })
	m.Request("/v1/api/sql", 200)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`# Metrics

<!-- Generated from server/debug by: go test ./server/debug -rewrite -->

` + "`GET /metrics`" + ` in Prometheus' format: for callers on this machine and the roles ` + "`service` and `admin`, for everybody with `metrics.public`, for nobody with `metrics.enabled = false`" + `. Beside these there are those of the Go runtime (` + "`go_…`; `go_gc_heap_live_bytes` is the memory in use, without garbage" + `) and of the process (` + "`process_…`" + `).

| metric | type | labels | meaning |
|---|---|---|---|
`)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "kalamdb_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	golden.Page(t, "../../docs/architecture/metrics.md", b.String())
}
