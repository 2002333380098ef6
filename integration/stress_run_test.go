package integration

import (
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/integration/stress"
)

// stressRun is what was seen of one run that several tests judge, as all of
// them need the same load: ten writers, twenty listeners, one who asks, and
// now and then a flush and a compaction by hand. A first load makes what stays
// for good: caches, pools, plans. Then everybody leaves, the server rests, and
// what it then holds is what the second load, which is the one that is judged,
// and the rest after it are compared with.
type stressRun struct {
	all, load []stress.Sample // of the whole run, under the second load
	// connected and loaded are the server at the beginning and the end of the
	// second load, while all listeners are there; emptied is after the last
	// flush.
	connected, loaded, emptied stress.Metrics
	// before and after are the server after it has rested.
	before, after stress.Metrics
	rows, told    int64 // rows of the second load, and what all listeners heard of them
	kept          int64 // rows of both loads
	flushes       int
	lasted        time.Duration
	p50, p95      time.Duration
	// jobs are those that did not end well, or not at all.
	jobs []string
}

// The phases of the run.
const (
	phaseWarm   = "warming up"
	phaseBefore = "rest before"
	phaseLoad   = "load"
	phaseAfter  = "rest after"
)

const (
	stressRate = 1500 // rows a second
	// stressFlushRows is after how many rows the table is flushed by itself.
	stressFlushRows = 20_000
)

var sharedRun struct {
	once sync.Once
	by   string
	run  *stressRun // nil when it failed
}

// run gives what was seen of the run under load. The first test that asks makes
// it.
func run(t *testing.T) *stressRun {
	t.Helper()
	sharedRun.once.Do(func() {
		sharedRun.by = t.Name()
		t.Run("run", func(t *testing.T) {
			if r := makeRun(t); !t.Failed() {
				sharedRun.run = r
			}
		})
	})
	if sharedRun.run == nil {
		t.Fatalf("the run under load has failed, as %s tells", sharedRun.by)
	}
	return sharedRun.run
}

func makeRun(t *testing.T) *stressRun {
	// By itself the cache of hot rows fills while files come, and is emptied
	// when they are merged: by more, and more slowly, than what is looked for.
	l := newStress(t, "KALAMDB_STORE_BADGER_BLOCK_CACHE=1MiB")
	l.rate = stressRate
	r := &stressRun{}
	rest := min(*stressTime/5, time.Minute)

	l.watch.Phase(phaseWarm)
	l.start(stressWriters, stressHearers)
	l.flushing(*stressTime * 3 / 10)
	warm := l.finish()
	r.before = l.rest(phaseBefore, rest)

	heard := l.told.Load()
	l.again()
	r.connected = l.metrics()
	l.watch.Phase(phaseLoad)
	begin := time.Now()
	r.flushes = l.flushing(*stressTime)
	r.loaded = l.metrics()
	r.lasted = time.Since(begin)
	l.seen(phaseLoad, 2)
	l.watch.Phase("")
	r.kept = l.finish()
	r.rows, r.told = r.kept-warm, l.told.Load()-heard
	admin := l.client("")
	await(t, "empty queues", func() bool {
		m := l.metrics()
		return m["kalamdb_live_queued_bytes"] == 0 && m["kalamdb_live_backlog_rows"] == 0 && m["kalamdb_live_backlog_bytes"] == 0
	})
	harness.Exec(t, admin, "FLUSH TABLE app.messages")
	await(t, "the end of all jobs", func() bool {
		return harness.Query[int](t, admin, "SELECT count(*) FROM system.jobs WHERE status IN ('pending', 'running')")[0] == 0
	})
	r.emptied = l.metrics()
	r.jobs = harness.Query[string](t, admin, "SELECT job_type || ' ' || status || ' ' || coalesce(error, '') FROM system.jobs WHERE status <> 'completed'")
	r.after = l.rest(phaseAfter, rest)

	r.p50, r.p95 = l.watch.Quantile(phaseLoad, 0.5), l.watch.Quantile(phaseLoad, 0.95)
	l.fact("%d rows and %d flushes by hand in %v of load; queries: half within %v, 95 of 100 within %v",
		r.rows, r.flushes, r.lasted.Round(time.Second/10), r.p50, r.p95)
	l.page.Title, l.name = "The run under load", "load"
	r.all = l.end(r.kept)
	r.load = stress.In(phaseLoad, r.all)
	return r
}

// flushing lets the load go on, with a flush by hand now and then, and a
// compaction now and then.
func (l *stressLoad) flushing(d time.Duration) (flushes int) {
	l.t.Helper()
	admin := l.client("")
	every := max(d/20, 50*time.Millisecond)
	for begin := time.Now(); time.Since(begin) < d; {
		l.during(min(every, d-time.Since(begin)))
		harness.Exec(l.t, admin, "FLUSH TABLE app.messages")
		if flushes++; flushes%5 == 0 {
			harness.Exec(l.t, admin, "COMPACT TABLE app.messages")
		}
	}
	return flushes
}

// rest sends everybody home, waits until the server has let go of what they
// used, lets it rest and gives what it then is.
func (l *stressLoad) rest(phase string, d time.Duration) stress.Metrics {
	l.t.Helper()
	l.settle()
	l.watch.Phase(phase)
	l.during(d)
	l.seen(phase, 1)
	return l.metrics()
}

// seen waits until there are some samples of a phase, which a slow machine may
// not have in a short one.
func (l *stressLoad) seen(phase string, least int) {
	l.t.Helper()
	await(l.t, "samples of the "+phase, func() bool { return l.watch.Seen(phase) >= least })
}

// report begins the report of a test of what was seen of the run.
func (r *stressRun) report(t *testing.T) *stressReport {
	s := newReport(t)
	s.fact("seen in %v of [the run under load](load.md)", r.lasted.Round(time.Second/10))
	return s
}
