package job

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/store/kv"
)

// Options sets how a Manager works. The zero value of each field means its
// default.
type Options struct {
	Node ident.NodeID
	// Workers is how many jobs run at a time. Default 2.
	Workers int
	// Retention is how long a finished job is kept. Default 720h.
	Retention time.Duration
	// Keep is how many finished jobs are kept at most. Default 10000.
	Keep int
	// Pending is how many jobs may wait and run; past it Start answers
	// RESOURCE_EXHAUSTED. Default 10000.
	Pending int
	// Now is the clock. Default time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Workers <= 0 {
		o.Workers = 2
	}
	if o.Retention <= 0 {
		o.Retention = 720 * time.Hour
	}
	if o.Keep <= 0 {
		o.Keep = 10_000
	}
	if o.Pending <= 0 {
		o.Pending = 10_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Func does a job's work. It looks at the context, which ends when the job is
// killed. result says in words what came of it.
type Func func(ctx context.Context, t *Task) (result string, err error)

// Manager keeps and runs jobs. It may be used from several goroutines.
type Manager struct {
	backend kv.Backend
	opts    Options
	workers chan struct{}
	wg      sync.WaitGroup

	mu sync.Mutex // guards what follows
	// live are the jobs that have not ended, by id.
	live map[ident.JobID]*Task
	// last is the latest job of each key whose turn is not over.
	last   map[string]*Task
	ended  []*Job // the oldest first
	closed bool
	millis int64
}

// The causes with which a job's context ends.
var (
	errStopped = errors.New("the server was stopped")
	// errDied is what a job says that was running when its server died.
	errDied = errors.New("the server ended while the job was running")
)

// killed is the cause of a job that somebody killed.
type killed struct{ by ident.UserID }

// Error implements error.
func (k killed) Error() string { return fmt.Sprintf("killed by %s", k.by) }

// Open reads the jobs. Those that had not ended, because their server died,
// are failed now; they are returned, for the caller to run what they were about
// again.
func Open(ctx context.Context, backend kv.Backend, opts Options) (m *Manager, interrupted []Job, err error) {
	opts = opts.withDefaults()
	m = &Manager{
		backend: backend, opts: opts, workers: make(chan struct{}, opts.Workers),
		live: map[ident.JobID]*Task{}, last: map[string]*Task{},
	}
	if m.ended, err = load(backend); err != nil {
		return nil, nil, err
	}
	var b kv.Batch
	for _, j := range m.ended {
		if j.Status.Ended() {
			continue
		}
		j.Status, j.Error, j.CompletedAt = Failed, errDied.Error(), m.now()
		if err := put(&b, j); err != nil {
			return nil, nil, err
		}
		interrupted = append(interrupted, *j)
	}
	m.prune(&b)
	if b.Len() > 0 {
		if err := backend.Write(ctx, &b); err != nil {
			return nil, nil, fmt.Errorf("open jobs: %w", err)
		}
	}
	return m, interrupted, nil
}

func (m *Manager) now() time.Time { return m.opts.Now().UTC().Truncate(time.Microsecond) }

func put(b *kv.Batch, j *Job) error {
	data, err := encode(j)
	if err != nil {
		return err
	}
	b.Put(partition, []byte(j.ID), data)
	return nil
}

// prune forgets finished jobs past their time or number. The caller holds mu,
// or is Open.
func (m *Manager) prune(b *kv.Batch) {
	limit := m.opts.Now().Add(-m.opts.Retention)
	n := 0
	for n < len(m.ended) && (len(m.ended)-n > m.opts.Keep || m.ended[n].CompletedAt.Before(limit)) {
		b.Delete(partition, []byte(m.ended[n].ID))
		n++
	}
	m.ended = m.ended[n:]
}

// newID makes an id that is greater than all before it. The caller holds mu.
func (m *Manager) newID() ident.JobID {
	m.millis = max(m.millis+1, m.opts.Now().UnixMilli())
	b := binary.BigEndian.AppendUint64(nil, uint64(m.millis))[2:]
	b = append(b, make([]byte, 4)...)
	// It never fails; see its documentation.
	_, _ = rand.Read(b[6:])
	return ident.JobID("job_" + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b)))
}

// Start records a job and runs fn as soon as its turn comes: after all jobs of
// the same key, when a worker is free.
//
// Errors: RESOURCE_EXHAUSTED when too many wait, STORAGE_UNAVAILABLE when it
// cannot be recorded or the manager is closed.
func (m *Manager) Start(ctx context.Context, spec Spec, fn Func) (*Task, error) {
	t := &Task{m: m, fn: fn, done: make(chan struct{}), passed: make(chan struct{})}
	t.ctx, t.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	m.mu.Lock()
	switch {
	case m.closed:
		m.mu.Unlock()
		return nil, dberr.New(dberr.StorageUnavailable, "The server is shutting down.")
	case len(m.live) >= m.opts.Pending:
		m.mu.Unlock()
		return nil, dberr.Newf(dberr.ResourceExhausted, "There are %d jobs already that wait or run.", m.opts.Pending)
	}
	t.job = Job{ID: m.newID(), Spec: spec, Status: Pending, CreatedAt: m.now(), Node: m.opts.Node}
	if spec.Key != "" {
		t.before = m.last[spec.Key]
		t.waits = t.before != nil
		m.last[spec.Key] = t
	}
	m.live[t.job.ID] = t
	m.wg.Add(1)
	m.mu.Unlock()

	if err := m.save(ctx, t.Job()); err != nil {
		t.end("", err)
		go t.leave()
		return nil, err
	}
	go t.run()
	return t, nil
}

// save records a job that has not ended.
func (m *Manager) save(ctx context.Context, j Job) error {
	var b kv.Batch
	if err := put(&b, &j); err != nil {
		return err
	}
	if err := m.backend.Write(ctx, &b); err != nil {
		return fmt.Errorf("record job: %w", err)
	}
	return nil
}

// Busy tells whether a job of the key waits or runs.
func (m *Manager) Busy(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last[key] != nil
}

// List gives the jobs of a user, or all when user is empty, the oldest first.
func (m *Manager) List(user ident.UserID) []Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Job
	for _, j := range m.ended {
		if user == "" || j.User == user {
			out = append(out, *j)
		}
	}
	from := len(out)
	for _, t := range m.live {
		if j := t.Job(); user == "" || j.User == user {
			out = append(out, j)
		}
	}
	slices.SortFunc(out[from:], func(a, b Job) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out
}

// Kill ends a job: one that waits at once, one that runs as soon as it looks.
// It returns when the job has ended, or with the context. all says that it may
// be anybody's; else only the user's own.
//
// Errors: NOT_FOUND, and CONFLICT for one that has ended already.
func (m *Manager) Kill(ctx context.Context, id ident.JobID, by ident.UserID, all bool) error {
	m.mu.Lock()
	t := m.live[id]
	var known bool
	if t != nil {
		known = all || t.job.User == by
	} else {
		for _, j := range m.ended {
			known = known || j.ID == id && (all || j.User == by)
		}
	}
	m.mu.Unlock()
	switch {
	case !known:
		return dberr.Newf(dberr.NotFound, "Job '%s' not found", id).WithHint("SELECT job_id FROM system.jobs lists the jobs.")
	case t == nil:
		return dberr.Newf(dberr.Conflict, "Job '%s' has ended already", id)
	}
	t.cancel(killed{by})
	_, err := t.Wait(ctx)
	if status := t.Job().Status; status.Ended() && status != Cancelled {
		return dberr.Newf(dberr.Conflict, "Job '%s' has ended already", id)
	} else if !status.Ended() {
		return err
	}
	return nil
}

// Close takes no more jobs and waits for those that run until the context
// ends, then cancels them. Jobs that wait are cancelled at once. It may be
// called twice.
func (m *Manager) Close(ctx context.Context) {
	m.mu.Lock()
	m.closed = true
	for _, t := range m.live {
		if t.Job().Status == Pending {
			t.cancel(errStopped)
		}
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() {
		m.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		m.mu.Lock()
		for _, t := range m.live {
			t.cancel(errStopped)
		}
		m.mu.Unlock()
		<-done
	}
}

// Task is a job on its way. Its Func has it, and who started it waits for it.
type Task struct {
	m      *Manager
	fn     Func
	ctx    context.Context
	cancel context.CancelCauseFunc
	// before is the job of the same key whose turn must be over first.
	before *Task
	waits  bool
	done   chan struct{} // closed when the job has ended
	passed chan struct{} // closed when its turn is over

	held, peak atomic.Int64
	// helped is the processor time of Work, in nanoseconds.
	helped    atomic.Int64
	cpuStart  time.Duration
	hasThread bool

	mu     sync.Mutex // guards what follows
	job    Job
	result string
	err    error
}

// ID is the job's id.
func (t *Task) ID() ident.JobID { return t.job.ID }

// Waits tells whether the job was behind another one of its key.
func (t *Task) Waits() bool { return t.waits }

// Job describes the job as it is now.
func (t *Task) Job() Job {
	t.mu.Lock()
	defer t.mu.Unlock()
	j := t.job
	if !j.Status.Ended() {
		j.Memory = t.peak.Load()
	}
	return j
}

// Wait waits for the job's end and gives what its Func gave. When the context
// ends first the job goes on.
func (t *Task) Wait(ctx context.Context) (result string, err error) {
	place := slot.Of(ctx)
	place.Lend()
	defer place.Back()
	select {
	case <-t.done:
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.result, t.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// Step notes what the job is about to do, and how much processor time it has
// used. It is for the job's Func only.
func (t *Task) Step(what string) {
	cpu := t.cpu()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.job.Step, t.job.CPU = what, cpu
}

// Hold notes that the job holds so many more bytes; a negative number gives
// them back.
func (t *Task) Hold(n int64) {
	held := t.held.Add(n)
	for {
		peak := t.peak.Load()
		if held <= peak || t.peak.CompareAndSwap(peak, held) {
			return
		}
	}
}

// Work runs a part of the job on a goroutine of its own, which the caller has
// started, and counts its processor time as the job's.
func (t *Task) Work(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if start, ok := threadTime(); ok {
		defer func() {
			if end, ok := threadTime(); ok {
				t.helped.Add(int64(end - start))
			}
		}()
	}
	f()
}

// cpu is the processor time so far, asked on the job's own thread.
func (t *Task) cpu() time.Duration {
	if now, ok := threadTime(); ok && t.hasThread {
		return now - t.cpuStart + time.Duration(t.helped.Load())
	}
	return time.Since(t.job.StartedAt)
}

// run waits for the job's turn and does it.
func (t *Task) run() {
	defer t.leave()
	if t.before != nil {
		select {
		case <-t.before.passed:
		case <-t.ctx.Done():
		}
	}
	select {
	case t.m.workers <- struct{}{}:
		defer func() { <-t.m.workers }()
	case <-t.ctx.Done():
	}
	if t.ctx.Err() != nil {
		t.end("", context.Cause(t.ctx))
		return
	}
	// Others on this thread would count as the job's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t.cpuStart, t.hasThread = threadTime()
	t.mu.Lock()
	t.job.Status, t.job.StartedAt = Running, t.m.now()
	t.mu.Unlock()
	if err := t.m.save(t.ctx, t.Job()); err != nil {
		if t.ctx.Err() != nil {
			err = context.Cause(t.ctx)
		}
		t.end("", err)
		return
	}
	result, err := t.work()
	t.mu.Lock()
	t.job.CPU = t.cpu()
	t.mu.Unlock()
	if err != nil && t.ctx.Err() != nil {
		err = context.Cause(t.ctx)
	}
	t.end(result, err)
}

// leave is the last thing that a job does.
func (t *Task) leave() {
	defer t.m.wg.Done()
	t.pass(true)
}

// pass hands the turn on, once. A job that was killed while it waited has
// ended already, but its turn is over only when that of the one before it is:
// else the one behind it would run beside the one in front. Without wait, the
// turn is handed on only if that is so now.
func (t *Task) pass(wait bool) {
	if t.before != nil {
		select {
		case <-t.before.passed:
		default:
			if !wait {
				return
			}
			<-t.before.passed
		}
		t.before = nil
	}
	select {
	case <-t.passed:
		return
	default:
	}
	t.m.mu.Lock()
	if t.m.last[t.job.Key] == t {
		delete(t.m.last, t.job.Key)
	}
	t.m.mu.Unlock()
	close(t.passed)
}

// work runs the Func. A panic there is a failure of the job, not of the server.
func (t *Task) work() (result string, err error) {
	defer func() {
		if p := recover(); p != nil {
			stack := make([]byte, 16<<10)
			stack = stack[:runtime.Stack(stack, false)]
			t.m.opts.Logger.Error("a job panicked", "job", t.job.ID, "panic", p, "stack", string(stack))
			err = fmt.Errorf("the job broke down: %v", p)
		}
	}()
	return t.fn(t.ctx, t)
}

// end records how the job ended and answers who waits for it.
func (t *Task) end(result string, err error) {
	m := t.m
	t.mu.Lock()
	j := &t.job
	j.Result, j.Memory, j.CompletedAt = result, t.peak.Load(), m.now()
	var by killed
	switch {
	case err == nil:
		j.Status = Completed
	case errors.As(err, &by), errors.Is(err, errStopped):
		j.Status, j.Error = Cancelled, err.Error()
		err = dberr.Newf(dberr.Cancelled, "Job '%s' was cancelled: %s", j.ID, err)
	default:
		j.Status, j.Error = Failed, reason(err)
	}
	t.result, t.err = result, err
	ended := *j
	t.mu.Unlock()

	m.mu.Lock()
	delete(m.live, ended.ID)
	m.ended = append(m.ended, &ended)
	var b kv.Batch
	m.prune(&b)
	m.mu.Unlock()
	// The job is over, whatever ends the context of who asked for it.
	if perr := put(&b, &ended); perr != nil {
		m.opts.Logger.Error("record a job's end", "job", ended.ID, "error", perr)
	} else if werr := m.backend.Write(context.WithoutCancel(t.ctx), &b); werr != nil {
		m.opts.Logger.Error("record a job's end", "job", ended.ID, "error", werr)
	}
	if ended.Status == Failed {
		m.opts.Logger.Warn("job failed", "job", ended.ID, "type", ended.Type, "namespace", ended.Namespace, "table", ended.Table, "error", err)
	}
	t.cancel(nil)
	t.pass(false)
	close(t.done)
}

// reason is why a job failed, as system.jobs shows it: users see it, so what
// has no code is for the log alone.
func reason(err error) string {
	if e, ok := dberr.As(err); ok {
		return e.Message
	}
	if errors.Is(err, errDied) {
		return err.Error()
	}
	return "internal error; the log has the details"
}
