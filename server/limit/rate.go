package limit

import (
	"math"
	"strconv"
	"sync"
	"time"
)

// Rate bounds events of one owner: so many a second, and a number at once
// after a rest. It is the generic cell rate algorithm: all it remembers is the
// time at which the events so far would have come at the even rate. The zero
// value allows everything. It belongs to one goroutine at a time.
type Rate struct {
	every time.Duration // between two events
	slack time.Duration // by how much events may run ahead of the rate
	next  time.Duration // when the next event would be due, since start
}

// start is what times are measured from: readings of the monotonic clock.
var start = time.Now()

func now() time.Duration { return time.Since(start) }

// NewRate makes a Rate of n events in each period, and burst at once.
func NewRate(n int, period time.Duration, burst int) Rate {
	if n <= 0 {
		return Rate{}
	}
	every := max(period/time.Duration(n), 1)
	slack := time.Duration(math.MaxInt64)
	if most := slack / every; time.Duration(burst-1) < most {
		slack = every * time.Duration(max(burst-1, 0))
	}
	return Rate{every: every, slack: slack}
}

// Allow takes an event if there is room for it; else it tells when there will
// be.
func (r *Rate) Allow() (wait time.Duration, ok bool) { return r.allow(now()) }

func (r *Rate) allow(at time.Duration) (wait time.Duration, ok bool) {
	if r.every == 0 {
		return 0, true
	}
	next := max(r.next, at)
	if ahead := next - at; ahead > r.slack {
		return ahead - r.slack, false
	}
	r.next = next + r.every
	return 0, true
}

// maxKeys is how many keys each half of Rates holds.
const maxKeys = 32 << 10

// Rates keeps a Rate for each key. It may be used from several goroutines.
//
// Its memory is bounded: it has two halves, and when the new one is full it
// becomes the old one, and what was in the old one and did nothing since is
// forgotten. Forgetting gives a key its full burst again, so an attacker would
// have to come with 32,768 other keys in between to gain one burst.
//
// Benchmark: BenchmarkRates.
type Rates struct {
	mu       sync.Mutex // guards what follows
	rate     Rate
	new, old map[string]time.Duration
}

// NewRates makes Rates of n events in each period and burst at once; with n 0
// everything is allowed.
func NewRates(n int, period time.Duration, burst int) *Rates {
	return &Rates{rate: NewRate(n, period, burst)}
}

// Set changes the rate. Keys keep what they have used up.
func (r *Rates) Set(n int, period time.Duration, burst int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rate = NewRate(n, period, burst)
}

// Allow takes an event of a key if there is room for it; else it tells when
// there will be.
func (r *Rates) Allow(key string) (wait time.Duration, ok bool) {
	return r.at(key, now(), true)
}

// Exceeded tells whether an event of the key would be refused, without taking
// it, and for how long.
func (r *Rates) Exceeded(key string) (wait time.Duration, yes bool) {
	wait, ok := r.at(key, now(), false)
	return wait, !ok
}

func (r *Rates) at(key string, at time.Duration, take bool) (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rate.every == 0 {
		return 0, true
	}
	rate := r.rate
	used, known := r.new[key]
	if !known {
		used = r.old[key]
	}
	rate.next = used
	wait, ok := rate.allow(at)
	if !take {
		rate.next = used
	}
	if rate.next != used || !known && used > at {
		// Who is refused is carried over, too: that is whom it is about.
		if !known && len(r.new) >= maxKeys || r.new == nil {
			r.old, r.new = r.new, make(map[string]time.Duration)
		}
		r.new[key] = rate.next
	}
	return wait, ok
}

// RetryAfter is a time to wait as the header Retry-After has it: whole seconds,
// at least one.
func RetryAfter(wait time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(max(wait.Seconds(), 1))), 10)
}
