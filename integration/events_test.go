package integration

import (
	"context"
	"fmt"
	"testing"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// subscribe starts a live query that must be accepted; it ends with the test.
func subscribe(t *testing.T, c *link.Client, sql string, opts ...link.SubscribeOption) *link.Subscription {
	t.Helper()
	sub, err := c.Subscribe(harness.Context(t), sql, opts...)
	if err != nil {
		t.Fatalf("subscribe to %s: %v", sql, err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

// nextRow waits for the next event with a row.
func nextRow(ctx context.Context, sub *link.Subscription) (link.Event, error) {
	for {
		e, err := sub.Next(ctx)
		if err != nil || e.Kind.HasRow() {
			return e, err
		}
	}
}

// rows waits for n events with rows.
func rows(t *testing.T, sub *link.Subscription, n int) []link.Event {
	t.Helper()
	ctx := harness.Context(t)
	out := make([]link.Event, 0, n)
	for len(out) < n {
		e, err := nextRow(ctx, sub)
		if err != nil {
			t.Fatalf("after %d of %d rows: %v", len(out), n, err)
		}
		out = append(out, e)
	}
	return out
}

// field is a column of an event's row.
func field[T any](t *testing.T, r *link.Record, name string) T {
	t.Helper()
	var zero T
	if r == nil {
		t.Fatalf("there is no row to take %s from", name)
	}
	v, ok := r.Get(name)
	if !ok {
		t.Fatalf("the row has no column %s", name)
	}
	got, ok := v.(T)
	if !ok {
		t.Fatalf("%s is %v, a %T and no %T", name, v, v, zero)
	}
	return got
}

// inOrder fails when the events' sequence numbers fall; those of one message
// are equal.
func inOrder(t *testing.T, events []link.Event) {
	t.Helper()
	for i := 1; i < len(events); i++ {
		a, b := events[i-1], events[i]
		if !a.CatchUp && !b.CatchUp && b.Seq < a.Seq {
			t.Errorf("event %d has sequence %d, the one before %d", i+1, b.Seq, a.Seq)
		}
	}
}

// eachOnce fails unless the events are inserts of the ids 1 to n, each once.
func eachOnce(t *testing.T, events []link.Event, n int) {
	t.Helper()
	seen := map[int64]int{}
	for _, e := range events {
		if e.Kind != link.EventInsert {
			t.Errorf("a row came as %s", e.Kind)
		}
		seen[field[int64](t, e.Row, "id")]++
	}
	for id := int64(1); id <= int64(n); id++ {
		if seen[id] != 1 {
			t.Errorf("row %d came %d times", id, seen[id])
		}
		delete(seen, id)
	}
	if len(seen) > 0 {
		t.Errorf("rows came that nobody wrote: %v", seen)
	}
}

// nothingMore inserts one more row, which the subscription must match, by the
// given values, and fails when another event comes before it.
func nothingMore(t *testing.T, sub *link.Subscription, writer *link.Client, table, values string) {
	t.Helper()
	harness.Exec(t, writer, fmt.Sprintf("INSERT INTO %s VALUES (-1, %s)", table, values))
	e := rows(t, sub, 1)[0]
	if e.Kind != link.EventInsert || field[int64](t, e.Row, "id") != -1 {
		t.Errorf("one event too many: %s %v", e.Kind, e.Row)
	}
}
