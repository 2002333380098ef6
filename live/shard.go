package live

import (
	"hash/maphash"
	"math"
	"sync"
	"unsafe"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// topicKey names what changes are grouped by: one table of one user.
type topicKey struct {
	table ident.TableID
	user  ident.UserID
}

func (h *Hub) shardOf(k topicKey) *shard {
	if len(h.shards) == 1 {
		return h.shards[0]
	}
	return h.shards[maphash.Comparable(h.seed, k)%uint64(len(h.shards))]
}

// Publish hands committed changes over. The commit loop calls it once for each
// batch that it committed, in commit order, from one goroutine. The slice may
// be used again; the events stay as they are for ever.
//
// It takes no lock that is held for longer than a few instructions, looks at
// no filter, and never waits: see the package comment for what happens when
// the dispatchers fall behind.
func (h *Hub) Publish(events []*change.Event) {
	for i := 0; i < len(events); {
		e := events[i]
		j := i + 1
		for j < len(events) && events[j].Table == e.Table && events[j].User == e.User {
			j++
		}
		k := topicKey{e.Table, e.User}
		h.shardOf(k).publish(k, events[i:j])
		i = j
	}
	h.stats.published.Add(uint64(len(events)))
}

// entry is one thing for a dispatcher to do: a change, or a control function,
// which keeps its place among the changes.
type entry struct {
	topic   *topic
	event   *change.Event
	control func(*dispatcher)
	// batch counts the calls of Publish, so that a message holds changes of
	// one of them only. In a control it counts the topics that had lost
	// changes when it was queued: it runs when they have been told.
	batch uint32
	bytes int32
}

// shard is one dispatcher with its queue and the topics that it serves.
type shard struct {
	hub               *Hub
	maxRows, maxBytes int
	wake              chan struct{}
	mu                sync.Mutex // guards what follows; held for a few instructions only
	topics            map[topicKey]*topic
	queue             []entry
	rows, bytes       int // of the queue and of what the dispatcher works on
	batch             uint32
	lost              []*topic // those that missed changes since the last swap
	closed            bool
}

func newShard(h *Hub, rows, bytes int) *shard {
	return &shard{hub: h, maxRows: rows, maxBytes: bytes, wake: make(chan struct{}, 1), topics: make(map[topicKey]*topic)}
}

func (s *shard) publish(k topicKey, events []*change.Event) {
	s.mu.Lock()
	t := s.topics[k]
	if t == nil || s.closed {
		s.mu.Unlock()
		return
	}
	s.batch++
	var lost uint64
	for _, e := range events {
		if t.lostLast == 0 && s.rows < s.maxRows && s.bytes < s.maxBytes && t.queued < s.maxRows/2 {
			n := eventBytes(e)
			s.rows++
			t.queued++
			s.bytes += min(n, math.MaxInt32)
			s.queue = append(s.queue, entry{topic: t, event: e, batch: s.batch, bytes: int32(min(n, math.MaxInt32))})
			continue
		}
		// What comes after a lost change is lost, too, until the dispatcher
		// has told the subscriptions: they re-read all of it.
		if t.lostLast == 0 {
			t.lostFirst = e.Seq
			s.lost = append(s.lost, t)
		}
		t.lostLast = e.Seq
		lost++
	}
	s.mu.Unlock()
	s.signal()
	s.hub.stats.routed.Add(uint64(len(events)))
	if lost > 0 {
		s.hub.stats.backlogLost.Add(lost)
	}
}

const eventOverhead = int(unsafe.Sizeof(change.Event{}) + unsafe.Sizeof(entry{}))

func eventBytes(e *change.Event) int { return eventOverhead + rowBytes(e.Old) + rowBytes(e.New) }

func rowBytes(r sqltype.Row) int {
	n := 0
	for i := range r {
		n += r[i].Size()
	}
	return n
}

func (s *shard) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// control queues a function to run on the dispatcher, behind everything that
// was published before. Controls are few and not bounded. False: the shard is
// closed and the function is not called.
func (s *shard) control(fn func(*dispatcher)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.queue = append(s.queue, entry{control: fn, batch: uint32(len(s.lost))})
	s.signal()
	return true
}

func (s *shard) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal()
}

// attach puts a subscription into its topic, making it when it is the first.
func (s *shard) attach(sub *Subscription) {
	k := sub.key()
	s.mu.Lock()
	t := s.topics[k]
	if t == nil {
		t = &topic{key: k}
		s.topics[k] = t
		s.hub.stats.topics.Add(1)
	}
	t.users++ // keeps the topic in the map while its own lock is waited for
	s.mu.Unlock()
	t.mu.Lock()
	t.add(s.hub, sub)
	t.mu.Unlock()

	// One that was ended before this was left for us to take out.
	sub.mu.Lock()
	sub.attached = true
	ended := sub.closed != nil
	sub.mu.Unlock()
	if ended {
		s.detach(sub)
	}
}

// detach takes a subscription out of its topic, once.
func (s *shard) detach(sub *Subscription) {
	s.mu.Lock()
	t := s.topics[sub.key()]
	s.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	removed := t.remove(s.hub, sub)
	t.mu.Unlock()
	if !removed {
		return
	}
	s.mu.Lock()
	if t.users--; t.users == 0 {
		delete(s.topics, t.key)
		s.hub.stats.topics.Add(-1)
	}
	s.mu.Unlock()
}

// run is the dispatcher: it takes everything that waits, works it off, and
// sleeps when there is nothing.
func (s *shard) run() {
	d := &dispatcher{hub: s.hub, shard: s}
	var work []entry
	var lost []*topic
	for {
		s.mu.Lock()
		work, s.queue = s.queue, work[:0]
		lost, s.lost = s.lost, lost[:0]
		closed := s.closed
		s.mu.Unlock()
		if len(work) == 0 && len(lost) == 0 {
			if closed {
				return
			}
			<-s.wake
			continue
		}
		told := s.work(d, work, lost)
		d.lose(lost[told:])
		clear(work)
		clear(lost)
		if cap(work) > 4096 && len(work) < cap(work)/8 {
			work = nil // the queue of a burst that is over
		}
	}
}

// work does what waited. What a topic has lost is told behind the changes of
// it that were not lost, but in front of a control that came later; told is
// how many topics were told.
func (s *shard) work(d *dispatcher, work []entry, lost []*topic) (told int) {
	for i := 0; i < len(work); {
		if fn := work[i].control; fn != nil {
			d.lose(lost[told:work[i].batch])
			told = int(work[i].batch)
			fn(d)
			i++
			continue
		}
		j, bytes := i, 0
		for j < len(work) && work[j].batch == work[i].batch && work[j].topic == work[i].topic {
			bytes += int(work[j].bytes)
			j++
		}
		d.dispatch(work[i].topic, work[i:j])
		s.mu.Lock()
		s.rows -= j - i
		work[i].topic.queued -= j - i
		s.bytes -= bytes
		s.mu.Unlock()
		i = j
	}
	return told
}
