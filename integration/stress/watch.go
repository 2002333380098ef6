package stress

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Sample is what was seen of a server at one time and since the sample before.
type Sample struct {
	At time.Duration // since the watch began
	Memory
	Heap       float64 // bytes of Go objects, garbage that is not collected yet included
	Live       float64 // bytes of Go objects that the last collection has left
	CPU        float64 // of all cores together, 0 to 1, since the sample before
	Goroutines float64
	WebSockets float64
	Subscribed float64
	Waiting    float64 // rows that wait to be flushed
	Queued     float64 // bytes in the queues of live queries, and before them
	Rows       float64 // written a second, as the writers count them
	Heard      float64 // heard a second by all listeners together
	P50        time.Duration
	P95        time.Duration
	Asked      int // how many queries the two are about
	Phase      string
}

// In are the samples of a phase.
func In(phase string, list []Sample) (out []Sample) {
	for _, s := range list {
		if s.Phase == phase {
			out = append(out, s)
		}
	}
	return out
}

// Watch samples a server until Stop. Its counters are for the load that runs
// meanwhile, on any goroutine.
type Watch struct {
	url  string
	pid  int
	from time.Time

	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex // guards what follows
	rows    int
	heard   int
	took    []time.Duration // since the last sample
	phase   string
	all     map[string][]time.Duration // of a phase
	samples []Sample
	err     error
}

// Start watches the server at a URL, a process of this machine, at an
// interval.
func Start(url string, pid int, every time.Duration) *Watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watch{url: url, pid: pid, from: time.Now(), cancel: cancel, done: make(chan struct{}), all: map[string][]time.Duration{}}
	go w.run(ctx, every)
	return w
}

// Seen tells how many samples of a phase there are.
func (w *Watch) Seen(phase string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(In(phase, w.samples))
}

// Phase begins another phase of what the server has to bear. The first one has
// no name, and neither have those that are between others.
func (w *Watch) Phase(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase = name
}

// Wrote counts rows that were written.
func (w *Watch) Wrote(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rows += n
}

// Heard counts rows that a listener heard of.
func (w *Watch) Heard(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard += n
}

// Asked notes how long a query took.
func (w *Watch) Asked(took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took = append(w.took, took)
	w.all[w.phase] = append(w.all[w.phase], took)
}

// Stop ends the watch and gives what was seen, and the first error of looking.
// It may be called twice.
func (w *Watch) Stop() ([]Sample, error) {
	w.cancel()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.samples, w.err
}

// Quantile is the time that a share of the queries of a phase did not exceed.
func (w *Watch) Quantile(phase string, share float64) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return quantile(w.all[phase], share)
}

// quantile sorts the list.
func quantile(list []time.Duration, share float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(int(share*float64(len(list))), len(list)-1)]
}

func (w *Watch) run(ctx context.Context, every time.Duration) {
	defer close(w.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last look
	for {
		now, err := w.look(ctx)
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		if err != nil {
			w.err = err
			w.mu.Unlock()
			return
		}
		if last.metrics != nil {
			w.samples = append(w.samples, w.sample(last, now))
		}
		w.rows, w.heard, w.took = 0, 0, w.took[:0]
		w.mu.Unlock()
		last = now
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look is one look at the server.
type look struct {
	at      time.Time
	metrics Metrics
	memory  Memory
}

func (w *Watch) look(ctx context.Context) (look, error) {
	m, err := Scrape(ctx, w.url)
	if err != nil {
		return look{}, err
	}
	l := look{at: time.Now(), metrics: m}
	var ok bool
	if l.memory, ok = ProcessMemory(w.pid); !ok {
		l.memory.Resident = m["process_resident_memory_bytes"]
		l.memory.Own = l.memory.Resident
	}
	return l, nil
}

// sample makes a sample of two looks. w.mu is held.
func (w *Watch) sample(before, now look) Sample {
	seconds := now.at.Sub(before.at).Seconds()
	return Sample{
		At: now.at.Sub(w.from), Memory: now.memory,
		Heap:       now.metrics["go_memstats_heap_alloc_bytes"],
		Live:       now.metrics["go_gc_heap_live_bytes"],
		CPU:        (now.metrics["process_cpu_seconds_total"] - before.metrics["process_cpu_seconds_total"]) / seconds / float64(runtime.NumCPU()),
		Goroutines: now.metrics["go_goroutines"],
		WebSockets: now.metrics["kalamdb_websocket_connections"],
		Subscribed: now.metrics["kalamdb_subscriptions"],
		Waiting:    now.metrics["kalamdb_flush_waiting_rows"],
		Queued:     now.metrics["kalamdb_live_queued_bytes"] + now.metrics["kalamdb_live_backlog_bytes"],
		Rows:       float64(w.rows) / seconds,
		Heard:      float64(w.heard) / seconds,
		P50:        quantile(w.took, 0.5),
		P95:        quantile(w.took, 0.95),
		Asked:      len(w.took),
		Phase:      w.phase,
	}
}
