package live

import (
	"sync/atomic"
	"time"
)

// counters are what the Hub counts. The gauges are int64.
type counters struct {
	published, routed, backlogLost    atomic.Uint64
	evaluated, messages, deliveries   atomic.Uint64
	delivered, dropped, resyncs       atomic.Uint64
	registered, refused               atomic.Uint64
	killed, slow, errors, otherClosed atomic.Uint64
	topics, filters, queuedBytes      atomic.Int64
	latency                           histogram
}

func (c *counters) closed(r Reason) {
	switch r {
	case ReasonKilled:
		c.killed.Add(1)
	case ReasonSlowConsumer:
		c.slow.Add(1)
	case ReasonError:
		c.errors.Add(1)
	default:
		c.otherClosed.Add(1)
	}
}

// LatencyBounds are the upper bounds of the buckets of Stats.Latency; one more
// bucket has everything above.
var LatencyBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 5 * time.Second,
}

type histogram struct {
	buckets [len(LatencyBounds) + 1]atomic.Uint64
	sum     atomic.Int64
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(LatencyBounds) && d > LatencyBounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// Stats is what the Hub counts, since it was made.
type Stats struct {
	// Subscriptions, Topics (tables of a user that have some) and Filters
	// (distinct ones of a topic) are those that exist now.
	Subscriptions, Topics, Filters int64
	// BacklogRows and BacklogBytes are what waits for the dispatchers now.
	BacklogRows, BacklogBytes int64
	// QueuedBytes is what the queues of subscriptions hold now.
	QueuedBytes int64
	// Published changes, and Routed: those whose topic has subscriptions.
	Published, Routed uint64
	// BacklogLost changes found the backlog full.
	BacklogLost uint64
	// Evaluated filters, and Messages that were built.
	Evaluated, Messages uint64
	// Deliveries is how many messages were put into queues; DeliveredRows how
	// many rows readers took as changes.
	Deliveries, DeliveredRows uint64
	// DroppedRows is how many rows queues lost to slow readers; Resyncs how
	// often what was missed was read again.
	DroppedRows, Resyncs uint64
	// Registered and Refused (for a limit) subscriptions.
	Registered, Refused uint64
	// Killed, SlowClosed, Failed and OtherClosed subscriptions.
	Killed, SlowClosed, Failed, OtherClosed uint64
	// Latency counts messages by the time from commit to the reader, in
	// buckets bounded by LatencyBounds; LatencySum is the sum of the times.
	Latency    [len(LatencyBounds) + 1]uint64
	LatencySum time.Duration
}

// Stats reads the counters. They are read one by one, so that they need not
// fit together exactly.
func (h *Hub) Stats() Stats {
	c := &h.stats
	st := Stats{
		Topics: c.topics.Load(), Filters: c.filters.Load(), QueuedBytes: c.queuedBytes.Load(),
		Published: c.published.Load(), Routed: c.routed.Load(), BacklogLost: c.backlogLost.Load(),
		Evaluated: c.evaluated.Load(), Messages: c.messages.Load(),
		Deliveries: c.deliveries.Load(), DeliveredRows: c.delivered.Load(),
		DroppedRows: c.dropped.Load(), Resyncs: c.resyncs.Load(),
		Registered: c.registered.Load(), Refused: c.refused.Load(),
		Killed: c.killed.Load(), SlowClosed: c.slow.Load(), Failed: c.errors.Load(), OtherClosed: c.otherClosed.Load(),
		LatencySum: time.Duration(c.latency.sum.Load()),
	}
	for i := range st.Latency {
		st.Latency[i] = c.latency.buckets[i].Load()
	}
	h.mu.Lock()
	st.Subscriptions = int64(len(h.subs))
	h.mu.Unlock()
	for _, s := range h.shards {
		s.mu.Lock()
		st.BacklogRows += int64(s.rows)
		st.BacklogBytes += int64(s.bytes)
		s.mu.Unlock()
	}
	return st
}
