package app

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/ws/wstest"
)

// scraped is what /metrics says: numbers by name and labels.
func scraped(t *testing.T, s *Server) map[string]float64 {
	t.Helper()
	status, body, _ := get(t, s, wire.PathMetrics)
	if status != 200 {
		t.Fatal(status, body)
	}
	out := map[string]float64{}
	lines := bufio.NewScanner(strings.NewReader(body))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if strings.HasPrefix(name, "#") || !ok {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Errorf("%s: %v", lines.Text(), err)
		}
		out[name] = n
	}
	return out
}

// TestMetricsTellWhatHappens uses the server, and finds each thing that it did
// in the metrics.
func TestMetricsTellWhatHappens(t *testing.T) {
	c := testConfig(t)
	c.Store.Backend = config.BackendBadger
	c.Query.PlanCacheSize = 20
	s := start(t, c)
	exec(t, s, "CREATE NAMESPACE app; CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT)")
	before := scraped(t, s)
	const rows = 30
	for i := range rows {
		exec(t, s, fmt.Sprintf("INSERT INTO app.notes VALUES (%d, 'x')", i), wire.HeaderUserID, "ann")
	}
	exec(t, s, "FLUSH TABLE app.notes")
	exec(t, s, "INSERT INTO app.notes VALUES (1000, 'x')", wire.HeaderUserID, "ann")
	exec(t, s, "DELETE FROM app.notes WHERE id = 1", wire.HeaderUserID, "ann")
	for i := range 30 {
		exec(t, s, fmt.Sprintf("SELECT %d AS a%d FROM app.notes", i, i), wire.HeaderUserID, "ann")
	}
	post(t, s, wire.SQLRequest{SQL: "SELECT * FROM app.nothing"})
	w := wstest.Dial(t, s.URL(), "ann")
	if m := w.Subscribe(wire.Subscription{ID: "s", SQL: "SELECT * FROM app.notes"}); m.LiveID == "" {
		t.Fatalf("%+v", m)
	}
	now := scraped(t, s)
	for name, want := range map[string]float64{
		"kalamdb_hot_rows": 1, "kalamdb_cold_rows": rows - 1, "kalamdb_deleted_rows": 1, "kalamdb_cold_files": 1, "kalamdb_flush_waiting_rows": 2,
		"kalamdb_subscriptions": 1, "kalamdb_websocket_connections": 1,
		"kalamdb_flush_rows_total": rows, "kalamdb_flush_failures_total": 0, "kalamdb_flush_duration_seconds_count": 1,
		`kalamdb_errors_total{code="TABLE_NOT_FOUND"}`: 1, "kalamdb_query_memory_bytes": 0, "kalamdb_query_memory_refused_total": 0,
	} {
		if got, there := now[name]; !there || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for name, least := range map[string]float64{
		"kalamdb_commits_total": rows + 2, "kalamdb_commit_batch_statements_count": 1, "kalamdb_commit_batch_statements_sum": rows + 2,
		"kalamdb_commit_sync_seconds_count": 1, "kalamdb_commit_sync_seconds_sum": 1e-9,
		"kalamdb_plan_cache_hits_total": rows - 2, "kalamdb_plan_cache_misses_total": 30, "kalamdb_plan_cache_evictions_total": 11,
		"kalamdb_session_hits_total": rows, `kalamdb_request_duration_seconds_count{kind="insert"}`: rows + 1,
		`kalamdb_http_requests_total{path="/v1/api/sql",status="200"}`: rows,
	} {
		if got := now[name] - before[name]; got < least {
			t.Errorf("%s went up by %v, want %v", name, got, least)
		}
	}
	for _, name := range []string{
		"kalamdb_hot_bytes", "kalamdb_cold_bytes", "kalamdb_sessions", "kalamdb_plan_cache_entries", "kalamdb_query_memory_limit_bytes",
		"kalamdb_uptime_seconds", "kalamdb_connections", "go_goroutines",
	} {
		if now[name] <= 0 {
			t.Errorf("%s is %v", name, now[name])
		}
	}
	if _, there := now["kalamdb_flush_lag_seconds"]; !there {
		t.Error("there is no kalamdb_flush_lag_seconds")
	}
}
