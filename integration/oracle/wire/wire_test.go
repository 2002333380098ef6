package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/integration/oracle/engine"
	"github.com/kalamdb/kalamdb/link"
)

func TestMain(m *testing.M) { harness.Main(m) }

const (
	stored = 100_000 // rows that are read
	many   = 1000    // rows of the larger query
	most   = 16      // connections
)

type message struct {
	ID   int64
	Room string
	Body string
}

// client is a connection of either side.
type client interface {
	insert(ctx context.Context, m message) error
	read(ctx context.Context, from, to int64) ([]message, error)
}

const (
	insertSQL = "INSERT INTO messages (id, room, body) VALUES ($1, $2, $3)"
	pointSQL  = "SELECT id, room, body FROM messages WHERE id = $1"
	rangeSQL  = "SELECT id, room, body FROM messages WHERE id BETWEEN $1 AND $2 ORDER BY id"
)

type kalam struct{ c *link.Client }

func (k kalam) insert(ctx context.Context, m message) error {
	_, err := k.c.Exec(ctx, insertSQL, m.ID, m.Room, m.Body)
	return err
}

func (k kalam) read(ctx context.Context, from, to int64) ([]message, error) {
	if from == to {
		return link.Collect[message](k.c.Query(ctx, pointSQL, from))
	}
	return link.Collect[message](k.c.Query(ctx, rangeSQL, from, to))
}

type postgres struct{ c *pgx.Conn }

func (p postgres) insert(ctx context.Context, m message) error {
	_, err := p.c.Exec(ctx, insertSQL, m.ID, m.Room, m.Body)
	return err
}

func (p postgres) read(ctx context.Context, from, to int64) ([]message, error) {
	sql, params := rangeSQL, []any{from, to}
	if from == to {
		sql, params = pointSQL, params[:1]
	}
	rows, err := p.c.Query(ctx, sql, params...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[message])
}

// startKalam gives connections to our server: those of one user, to its part
// of a table.
func startKalam(b *testing.B) (clients []client) {
	s := harness.Start(b)
	harness.Exec(b, s.Admin(b), "CREATE NAMESPACE app; CREATE USER TABLE app.messages (id BIGINT PRIMARY KEY, room TEXT NOT NULL, body TEXT NOT NULL)")
	for range most {
		clients = append(clients, kalam{s.As(b, "writer", link.WithNamespace("app"))})
	}
	for first := 0; first < stored; first += 10_000 {
		harness.Exec(b, clients[0].(kalam).c, fmt.Sprintf("INSERT INTO messages SELECT i, 'lobby', 'message number ' || i FROM generate_series(%d, %d) AS g(i)", first, first+9999))
	}
	return clients
}

// startPostgres gives connections to a PostgreSQL server as it comes out of the
// box, but for where it listens.
func startPostgres(b *testing.B) (clients []client) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err := errors.Join(err, l.Close()); err != nil {
		b.Fatal(err)
	}
	s, err := engine.StartPostgres(b.Context(), "fsync=on", "synchronous_commit=on", "full_page_writes=on", "autovacuum=on",
		"jit=on", "max_connections=40", "listen_addresses=127.0.0.1", "port="+port)
	if errors.Is(err, engine.ErrNoPostgres) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Stop(); err != nil {
			b.Error(err)
		}
	})
	url := "postgres://postgres@127.0.0.1:" + port + "/postgres"
	ready, cancel := context.WithTimeout(b.Context(), harness.Limit)
	defer cancel()
	for range most {
		c, err := pgx.Connect(ready, url)
		for err != nil && ready.Err() == nil { // it starts
			time.Sleep(20 * time.Millisecond)
			c, err = pgx.Connect(ready, url)
		}
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close(context.Background()) })
		clients = append(clients, postgres{c})
	}
	c := clients[0].(postgres).c
	for _, sql := range []string{
		"CREATE TABLE messages (id BIGINT PRIMARY KEY, room TEXT NOT NULL, body TEXT NOT NULL)",
		fmt.Sprintf("INSERT INTO messages SELECT i, 'lobby', 'message number ' || i FROM generate_series(0, %d) AS g(i)", stored-1),
		"VACUUM ANALYZE messages", "CHECKPOINT",
	} {
		if _, err := c.Exec(ready, sql); err != nil {
			b.Fatalf("%s: %v", sql, err)
		}
	}
	return clients
}

// BenchmarkPostgres compares what an application does: reading one row and a
// thousand by primary key, and inserting a row that is on the disk when it is
// acknowledged, on one connection and on sixteen.
func BenchmarkPostgres(b *testing.B) {
	theirs := startPostgres(b)
	ours := startKalam(b)
	var next atomic.Int64
	next.Store(stored)
	read := func(rows int64) func(context.Context, client) error {
		return func(ctx context.Context, c client) error {
			from := (next.Add(1) * 7919) % (stored - many)
			got, err := c.read(ctx, from, from+rows-1)
			if err == nil && (int64(len(got)) != rows || got[0] != message{from, "lobby", fmt.Sprint("message number ", from)}) {
				err = fmt.Errorf("%d rows from %d on: %.100v", len(got), from, got)
			}
			return err
		}
	}
	insert := func(ctx context.Context, c client) error {
		return c.insert(ctx, message{next.Add(1), "lobby", strings.Repeat("x", 100)})
	}
	for _, op := range []struct {
		name string
		turn int // operations of a connection
		do   func(context.Context, client) error
	}{
		{"PointQuery", 100, read(1)},
		{"Read1000Rows", 10, read(many)},
		{"DurableInsert", 20, insert},
	} {
		for _, connections := range []int{1, most} {
			b.Run(fmt.Sprintf("%s/%d", op.name, connections), func(b *testing.B) {
				take := func(clients []client) time.Duration {
					var wg sync.WaitGroup
					start := time.Now()
					for _, c := range clients[:connections] {
						wg.Go(func() {
							for range op.turn {
								if err := op.do(b.Context(), c); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					wg.Wait()
					return time.Since(start) / time.Duration(op.turn*connections)
				}
				take(ours) // both prepare the statement
				take(theirs)
				var we, they []time.Duration
				var ratios []float64
				for b.Loop() {
					w, t := take(ours), take(theirs)
					we, they, ratios = append(we, w), append(they, t), append(ratios, float64(w)/float64(t))
				}
				slices.Sort(we)
				slices.Sort(they)
				slices.Sort(ratios)
				b.ReportMetric(float64(we[len(we)/2].Nanoseconds()), "kalamdb-ns")
				b.ReportMetric(float64(they[len(they)/2].Nanoseconds()), "postgres-ns")
				b.ReportMetric(ratios[len(ratios)/2], "ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
