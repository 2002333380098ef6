package bench

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// BenchmarkCriteria measures the single operations for which the specification
// names a time, from outside: over HTTP, over WebSocket, at the client. Each
// reports its median beside the criterion's bound.
func BenchmarkCriteria(b *testing.B) {
	server := harness.Start(b)
	admin := server.Admin(b, link.WithNamespace("app"), link.WithUser("ada"))
	harness.Exec(b, admin, `CREATE NAMESPACE app; CREATE USER TABLE app.m (id BIGINT PRIMARY KEY, room TEXT, body TEXT);
		INSERT INTO app.m SELECT i, 'lobby', 'message ' || i FROM generate_series(1, 20000) AS g(i); FLUSH TABLE app.m;
		INSERT INTO app.m SELECT i, 'lobby', 'message ' || i FROM generate_series(20001, 25000) AS g(i)`)
	for range 50 {
		harness.Exec(b, admin, "ALTER TABLE m ADD COLUMN extra INT; ALTER TABLE m DROP COLUMN extra")
	}
	ctx := harness.Context(b)
	users := 0
	exec := func(sql string, params ...any) func(*testing.B) {
		return func(b *testing.B) {
			if _, err := admin.Exec(ctx, sql, params...); err != nil {
				b.Fatal(err)
			}
		}
	}
	client := func(want string, args ...string) func(*testing.B) {
		return func(b *testing.B) {
			r := harness.RunClient(b, "", "", append([]string{"-h", server.URL, "-u", "ada", "-n", "app"}, args...)...)
			if r.Code != 0 || !strings.Contains(r.Out, want) {
				b.Fatalf("%+v", r)
			}
		}
	}
	var killed *link.Subscription
	for _, c := range []struct {
		name, criterion string
		limit           time.Duration
		before, run     func(*testing.B)
	}{
		{"describe", "SC-037", 100 * time.Millisecond, nil, exec("DESCRIBE m")},
		{"table-stats", "SC-038", 50 * time.Millisecond, nil, exec("SHOW TABLE STATS m")},
		{"insert-user", "SC-041", 10 * time.Millisecond, nil, func(b *testing.B) {
			users++
			exec("INSERT INTO system.users (user_id, username) VALUES ($1, 'x')", "user-"+strconv.Itoa(users))(b)
		}},
		{"update-user", "SC-042", 10 * time.Millisecond, nil, func(b *testing.B) {
			exec("UPDATE system.users SET username = 'y' WHERE user_id = $1", "user-"+strconv.Itoa(users))(b)
		}},
		{"last-rows-1000", "SC-032", 500 * time.Millisecond, nil, func(b *testing.B) {
			sub, err := admin.Subscribe(ctx, "SELECT * FROM m WHERE room = 'lobby'", link.LastRows(1000))
			if err != nil {
				b.Fatal(err)
			}
			rows := 0
			for event, err := range sub.Events(ctx) {
				if err != nil {
					b.Fatal(err)
				}
				if event.Kind == link.EventInitial {
					rows++
				}
				if event.Kind == link.EventLoaded {
					break
				}
			}
			if rows != 1000 {
				b.Fatalf("%d rows", rows)
			}
			_ = sub.Close()
		}},
		{"kill-live-query", "SC-034", 2 * time.Second, func(b *testing.B) {
			var err error
			if killed, err = admin.Subscribe(ctx, "SELECT * FROM m"); err != nil {
				b.Fatal(err)
			}
		}, func(b *testing.B) {
			exec("KILL LIVE QUERY '" + killed.LiveID() + "'")(b)
			for _, err := range killed.Events(ctx) {
				if err != nil {
					return
				}
			}
		}},
		{"client-start-to-prompt", "SC-CLI-001", 2 * time.Second, nil, func(b *testing.B) {
			t := harness.StartClient(b, "-h", server.URL, "-u", "ada")
			t.Expect(harness.Prompt)
			t.Type("\\q\r")
			t.Wait()
		}},
		{"client-select-1000", "SC-CLI-002", 500 * time.Millisecond, nil, client("message 25000", "-e", "SELECT * FROM m ORDER BY id DESC LIMIT 1000")},
		{"client-100-statements", "SC-CLI-007", 30 * time.Second, nil, client("", "-e", strings.Repeat("SELECT count(*) FROM m WHERE id < 100;", 100))},
	} {
		b.Run(c.name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				if c.before != nil {
					c.before(b)
				}
				start := time.Now()
				c.run(b)
				times = append(times, time.Since(start))
			}
			b.ReportMetric(float64(median(times).Microseconds())/1000, "median-ms")
			b.ReportMetric(float64(c.limit.Milliseconds()), fmt.Sprintf("%s-limit-ms", c.criterion))
			b.ReportMetric(0, "ns/op")
		})
	}
}
