package live

import (
	"context"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
)

// Next waits for the next message. It is for subscriptions that were
// registered without a Mux. After the end it gives the same *Closed again.
func (s *Subscription) Next(ctx context.Context) (Message, error) {
	for {
		s.mux.take() // so that what comes from now on wakes
		m, ok, err := s.Poll(ctx)
		if ok || err != nil {
			return m, err
		}
		select {
		case <-s.mux.wake:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

// Poll gives the next message if there is one. It never waits for a change,
// but reads initial rows, catch-up and resync from their source, which ctx
// bounds.
//
// Subscriptions that were killed, were too slow or failed end at once; at
// shutdown and when the table was dropped, what is queued comes first.
func (s *Subscription) Poll(ctx context.Context) (Message, bool, error) {
	s.reading.Lock()
	m, ok, err := s.poll(ctx)
	s.reading.Unlock()
	s.release()
	if ok && m.Kind.IsChange() {
		now := time.Now()
		s.changes.Add(uint64(len(m.Rows)))
		s.lastUpdate.Store(now.UnixMicro())
		s.hub.stats.delivered.Add(uint64(len(m.Rows)))
		if !m.CatchUp && !m.Resync && !m.Time.IsZero() {
			s.hub.stats.latency.observe(now.Sub(m.Time))
		}
	}
	return m, ok, err
}

func (s *Subscription) poll(ctx context.Context) (Message, bool, error) {
	for {
		s.mu.Lock()
		if s.closed != nil && (!s.closed.drains() || s.idle()) {
			defer s.mu.Unlock()
			return Message{}, false, s.closed
		}
		if !s.started {
			s.mu.Unlock()
			return Message{}, false, nil
		}
		if s.replays != nil {
			s.mu.Unlock()
			m, ok, err := s.replay(ctx)
			if ok {
				return m, true, nil
			}
			if err != nil {
				return Message{}, false, s.fault(ctx, err)
			}
			s.replays.src.Close()
			s.replays = s.replays.then
			continue
		}
		if s.lost {
			m, ok, err := s.resync(ctx)
			if ok || err != nil {
				return m, ok, err
			}
			continue
		}
		m, ok := s.pop()
		s.mu.Unlock()
		return m, ok, nil
	}
}

// idle tells whether nothing is left to deliver. The caller holds mu and
// reading.
func (s *Subscription) idle() bool {
	return !s.started || s.replays == nil && !s.lost && int(s.head) == len(s.queue)
}

func (s *Subscription) pop() (Message, bool) {
	if int(s.head) == len(s.queue) {
		return Message{}, false
	}
	b := s.queue[s.head]
	s.queue[s.head] = nil
	s.head++
	s.hub.unref(b)
	s.rows -= len(b.Rows)
	s.bytes -= b.bytes
	if int(s.head) == len(s.queue) {
		s.head = 0
		if cap(s.queue) > 16 {
			s.queue = nil // an idle subscription is small
		} else {
			s.queue = s.queue[:0]
		}
	}
	return Message{Batch: b}, true
}

// resync opens the source of what was missed. It gives a message only to
// announce the columns. The caller holds mu, which it unlocks.
func (s *Subscription) resync(ctx context.Context) (Message, bool, error) {
	plan, from := s.plan, s.lostFrom
	if s.announce {
		s.announce = false
		s.mu.Unlock()
		return Message{Batch: schemaBatch(plan)}, true, nil
	}
	s.lost = false
	s.mu.Unlock()

	src := s.hub.opt.Source
	if src == nil {
		return Message{}, false, s.fault(ctx, dberr.New(dberr.ResyncRequired, "the subscription was too slow and its changes are not kept"))
	}
	rows, at, err := s.since(ctx, src, plan, from)
	if err != nil {
		s.mu.Lock()
		s.lost, s.lostFrom = true, from // for a reader that comes again
		s.mu.Unlock()
		return Message{}, false, s.fault(ctx, err)
	}
	s.resyncs.Add(1)
	s.hub.stats.resyncs.Add(1)
	r := newReplay(rows, 0, plan, at)
	r.resync = true
	s.replays = r
	s.mu.Lock()
	s.raise(at)
	s.mu.Unlock()
	return Message{}, false, nil
}

// replay gives the next message of the first source; a panic over it is its
// error. The caller holds reading.
func (s *Subscription) replay(ctx context.Context) (m Message, ok bool, err error) {
	defer s.recover(&err)
	return s.replays.next(ctx)
}

// since opens the source of what was missed; a panic over it is its error.
func (s *Subscription) since(ctx context.Context, src Source, p *Plan, from change.Seq) (rows RowSource, at change.Seq, err error) {
	defer s.recover(&err)
	return src.Since(ctx, p, s.user, from)
}

// recover turns a panic over the rows of a source into an error.
func (s *Subscription) recover(err *error) {
	if p := recover(); p != nil {
		*err = s.hub.panicked(p, "live_id", s.id, "user", s.user)
	}
}

// fault is the error that a reader gets when a source failed: that of its own
// context, or the end of the subscription.
func (s *Subscription) fault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.closeSources()
	s.mu.Lock()
	first := s.end(&Closed{Reason: ReasonError, Err: err})
	closed := s.closed
	if !first {
		// Ended already, and the source with it: nothing is left to drain.
		s.clear()
		s.lost = false
	}
	s.mu.Unlock()
	if first {
		s.hub.forget(s)
	}
	return closed
}
