package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

const (
	streamTTL = 2 * time.Second
	// streamSlack is how much later than its time a row may still be shown.
	streamSlack = time.Second
)

// brook is a user's part of a STREAM table: rows that one writes, deletes now
// and then, and that vanish after their time and with their server.
type brook struct {
	s      *soak
	user   string
	rng    *rand.Rand
	client *link.Client

	mu    sync.Mutex // guards what follows
	rows  map[int64]*drop
	marks int64
	// heardAnew is when the listener last began from nothing; no row that was
	// written before must be heard.
	heardAnew time.Time
	heard     map[int64]bool
	live      uint64 // the last sequence number that came as it happened
}

// drop is a row: when and with which server it was written.
type drop struct {
	begun, acked time.Time // acked is zero as long as that is uncertain
	start        int64     // of the server, before and after
	startAfter   int64
	deleting     bool
	deleted      time.Time // when that was acknowledged
	gone         bool      // it was heard of
}

func newBrook(s *soak, user string) *brook {
	return &brook{s: s, user: user, rng: s.fork(), client: s.connect(user, false).With(link.WithNamespace(streamNamespace)),
		rows: map[int64]*drop{}, heard: map[int64]bool{}}
}

// work writes and reads until the round ends.
func (b *brook) work(ctx context.Context, stopping <-chan struct{}) error {
	for {
		if over, err := rest(ctx, stopping, time.Duration(b.rng.IntN(20))*time.Millisecond); over {
			return err
		}
		err := pick(b.rng, []func(context.Context) error{b.insert, b.insert, b.insert, b.remove, b.read})(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case b.s.excuses(err, false):
			if err := present(ctx, b.client); err != nil {
				return err
			}
		default:
			return fmt.Errorf("the stream of %s: %w", b.user, err)
		}
	}
}

func (b *brook) insert(ctx context.Context) error {
	b.s.count("INSERT into a stream")
	b.mu.Lock()
	b.marks++
	k := b.marks
	d := &drop{begun: time.Now(), start: b.s.starts.Load()}
	b.rows[k] = d
	b.mu.Unlock()
	_, err := b.client.Exec(ctx, "INSERT INTO t VALUES ($1, $2)", k, b.user)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		d.acked, d.startAfter = time.Now(), b.s.starts.Load()
	}
	return err
}

// remove deletes a row of the last ones, if it is there.
func (b *brook) remove(ctx context.Context) error {
	b.s.count("DELETE from a stream")
	b.mu.Lock()
	k := b.marks - int64(b.rng.IntN(20))
	d := b.rows[k]
	if d != nil {
		d.deleting = true
	}
	b.mu.Unlock()
	_, err := b.client.Exec(ctx, "DELETE FROM t WHERE k = $1", k)
	if err == nil && d != nil {
		b.mu.Lock()
		if !d.acked.IsZero() {
			d.deleted = time.Now()
		}
		b.mu.Unlock()
	}
	return err
}

// read holds the rows against what must be there, and what must not.
func (b *brook) read(ctx context.Context) error {
	b.s.count("SELECT from a stream")
	begun, start := time.Now(), b.s.starts.Load()
	rows, err := b.client.Query(ctx, "SELECT k, owner FROM t")
	if err != nil {
		return err
	}
	defer rows.Close()
	got := map[int64]bool{}
	for rows.Next() {
		var k int64
		var owner string
		if err := rows.Scan(&k, &owner); err != nil {
			return err
		}
		if got[k] {
			return fmt.Errorf("row %d is there twice", k)
		}
		if got[k] = true; owner != b.user {
			return fmt.Errorf("row %d is of %s", k, owner)
		}
	}
	if rows.Err() != nil {
		return rows.Err()
	}
	ended, startAfter := time.Now(), b.s.starts.Load()
	b.mu.Lock()
	defer b.mu.Unlock()
	for k := range got {
		d := b.rows[k]
		switch {
		case d == nil:
			return fmt.Errorf("row %d was not written, or long ago", k)
		case !d.acked.IsZero() && begun.Sub(d.acked) > streamTTL+streamSlack:
			return fmt.Errorf("row %d is there %v after it was written", k, begun.Sub(d.acked))
		case !d.acked.IsZero() && d.startAfter < start:
			return fmt.Errorf("row %d has outlived its server", k)
		case !d.deleted.IsZero() && d.deleted.Before(begun):
			return fmt.Errorf("row %d is there %v after it was deleted", k, begun.Sub(d.deleted))
		}
	}
	for k, d := range b.rows {
		if !got[k] && !d.acked.IsZero() && d.acked.Before(begun) && !d.deleting && d.start == startAfter && ended.Sub(d.begun) < streamTTL {
			return fmt.Errorf("row %d is not there %v after it was written", k, ended.Sub(d.begun))
		}
		if begun.Sub(d.begun) > 10*streamTTL && !d.acked.IsZero() {
			delete(b.rows, k)
			delete(b.heard, k)
		}
	}
	return nil
}

// listen hears of the rows until the context ends: of each once, of those that
// came live in their order.
func (b *brook) listen(ctx context.Context, sub *link.Subscription) error {
	defer sub.Close()
	for {
		e, err := sub.Next(ctx)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the stream of %s ended: %w", b.user, err)
		}
		if err := b.hear(e); err != nil {
			return fmt.Errorf("the stream of %s: %w", b.user, err)
		}
	}
}

func (b *brook) hear(e link.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Kind == link.EventResynced {
		b.heardAnew, b.live = time.Now(), 0
		clear(b.heard)
		for _, d := range b.rows {
			d.gone = false
		}
		return nil
	}
	if !e.Kind.HasRow() {
		return nil
	}
	k, err := strconv.ParseInt(string(e.Row.Raw(0)), 10, 64)
	if err != nil {
		return err
	}
	if owner, _ := e.Row.Text(1); owner != b.user {
		return fmt.Errorf("heard of row %d of %s", k, owner)
	}
	if !e.CatchUp && !e.Resync && e.Kind != link.EventInitial {
		if e.Seq < b.live {
			return fmt.Errorf("row %d came with %d behind %d", k, e.Seq, b.live)
		}
		b.live = e.Seq
	}
	d := b.rows[k]
	switch {
	case d == nil:
		return fmt.Errorf("heard %s of row %d, which was not written", e.Kind, k)
	case e.Kind == link.EventDelete:
		if !d.deleting || d.gone {
			return fmt.Errorf("row %d was deleted, they say; was it asked for: %v, was it said before: %v", k, d.deleting, d.gone)
		}
		d.gone = true
	case e.Kind == link.EventUpdate:
		return fmt.Errorf("a row of a stream has changed: %d", k)
	case b.heard[k] || d.gone:
		return fmt.Errorf("row %d was heard of twice", k)
	default:
		b.heard[k] = true
	}
	return nil
}

// finish writes a last row, waits until it was heard of, and finds that all
// were that had to be.
func (b *brook) finish(ctx context.Context) error {
	if err := b.insert(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	last := b.marks
	b.mu.Unlock()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		b.mu.Lock()
		heard := b.heard[last]
		b.mu.Unlock()
		if heard {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the last row of the stream of %s was not heard of", b.user)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, d := range b.rows {
		if !d.acked.IsZero() && !d.deleting && d.begun.After(b.heardAnew) && !b.heard[k] {
			return fmt.Errorf("row %d of the stream of %s was not heard of", k, b.user)
		}
	}
	return nil
}
