// Package flush decides when tables are flushed, and has it done: by FLUSH
// TABLE, by a table's schedule and row threshold, and at shutdown.
//
// Every flush is a job. A table is flushed once at a time; requests that come
// meanwhile wait for their turn. How rows are moved is package table's
// business.
//
// # The schedule
//
// The flushes of a table with an interval are due at fixed times: the table's
// creation and every interval after it, however long a flush takes. A time at
// which nothing waits passes. One that passed while the server was down is made
// up for at its start. Between these times a table is flushed when as many rows
// wait as its threshold says.
//
// When a flush of the schedule or the threshold fails, the rows stay where they
// are, and it is tried again after a second, then two, four, up to five
// minutes.
package flush

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/histogram"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/job"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// JobType is the type of the jobs.
const JobType = "flush"

// Options sets how a Service works. Store and Jobs must be given; the zero
// value of the other fields means their defaults.
type Options struct {
	Store *table.Store
	Jobs  *job.Manager
	// Interval and Rows are for tables that say neither.
	Interval time.Duration
	Rows     int64
	// DeletedRows is how long a deleted row is kept at least, before a
	// compaction may drop it. Zero: for ever.
	DeletedRows time.Duration
	// CheckInterval is how often due tables are looked for. Default 1s.
	CheckInterval time.Duration
	// MinRowsPerUser is how many hot rows of a user make a file worthwhile, by
	// schedule and threshold. Default 1.
	MinRowsPerUser int64
	// Now is the clock. Default time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

// Service flushes tables. It may be used from several goroutines.
type Service struct {
	opts   Options
	cancel context.CancelFunc
	wg     sync.WaitGroup

	flushes, failures, rows atomic.Int64
	took                    *histogram.Histogram

	mu     sync.Mutex // guards tables
	tables map[ident.TableID]*memory
}

// memory is what is remembered of a table between two looks.
type memory struct {
	// tick is the last of the fixed times that is dealt with.
	tick int64
	// left is what waited after the last flush by schedule or threshold: users
	// that have too few rows for a file.
	left     int64
	failures int
	// retry is when a flush that failed is tried again.
	retry time.Time
	// since is when something was first seen to wait; zero: nothing waits.
	since time.Time
}

// New makes a Service. Start makes it follow the schedules.
func New(opts Options) *Service {
	if opts.CheckInterval <= 0 {
		opts.CheckInterval = time.Second
	}
	if opts.MinRowsPerUser <= 0 {
		opts.MinRowsPerUser = 1
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		opts: opts, tables: map[ident.TableID]*memory{},
		took: histogram.New(.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300),
	}
}

// Stats are a Service's figures.
type Stats struct {
	// Flushes and Failures count those that ended, Rows what was moved.
	Flushes, Failures, Rows int64
	// Took are their times in seconds.
	Took histogram.Snapshot
	// Lag is for how long the change waits that has waited longest, as precise
	// as CheckInterval; 0: nothing waits.
	Lag time.Duration
}

// Stats reads the figures.
func (s *Service) Stats() Stats {
	st := Stats{Flushes: s.flushes.Load(), Failures: s.failures.Load(), Rows: s.rows.Load(), Took: s.took.Snapshot()}
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.tables {
		if !m.since.IsZero() {
			st.Lag = max(st.Lag, now.Sub(m.since))
		}
	}
	return st
}

// note keeps the time since which something waits. After a flush that is the
// flush: what it has left is no older, unless it was left on purpose.
func (m *memory) note(st table.Stats, now time.Time) {
	switch {
	case st.Waiting == 0:
		m.since = time.Time{}
	case m.since.IsZero():
		m.since = now
	case st.LastFlush.After(m.since):
		m.since = st.LastFlush
	}
}

// Start follows the tables' schedules until Stop.
func (s *Service) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.wg.Go(func() {
		t := time.NewTicker(s.opts.CheckInterval)
		defer t.Stop()
		for {
			s.Check(ctx)
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	})
}

// Stop ends following the schedules. Flushes under way go on. It may be called
// twice.
func (s *Service) Stop() {
	if s.cancel != nil {
		s.cancel()
	}
	s.wg.Wait()
}

// Flushable tells whether a table has a cold tier.
func Flushable(t *ddl.Table) bool {
	return t.Type == ident.UserTable || t.Type == ident.SharedTable
}

// Policy is when a table is flushed, with the defaults where it does not say.
// Zero: never, or no threshold.
func (s *Service) Policy(t *ddl.Table) (interval time.Duration, rows int64) {
	if t.Flush.Interval == 0 && t.Flush.Rows == 0 {
		return s.opts.Interval, s.opts.Rows
	}
	return t.Flush.Interval, t.Flush.Rows
}

// Key is the job key of everything that changes a table's files.
func Key(id ident.TableID) string { return fmt.Sprintf("files of table %d", id) }

// Check starts the flushes that are due.
func (s *Service) Check(ctx context.Context) {
	now := s.opts.Now()
	alive := map[ident.TableID]bool{}
	for t := range s.opts.Store.Catalog().Tables("") {
		if !Flushable(t) {
			continue
		}
		alive[t.ID] = true
		why := s.due(t, now)
		if why == "" || s.opts.Jobs.Busy(Key(t.ID)) {
			continue
		}
		if _, err := s.begin(ctx, t, Request{Origin: why, MinRows: s.opts.MinRowsPerUser}, func(err error) { s.ended(t.ID, err) }); err != nil && ctx.Err() == nil {
			s.ended(t.ID, err)
			s.opts.Logger.Warn("start a flush", "table", t.Ident(), "error", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.tables {
		if !alive[id] {
			delete(s.tables, id)
		}
	}
}

// due says why a table is to be flushed now; nothing when it is not.
func (s *Service) due(t *ddl.Table, now time.Time) string {
	interval, rows := s.Policy(t)
	stats := s.opts.Store.Stats(t.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.tables[t.ID]
	if m == nil {
		m = &memory{tick: tick(t, interval, stats.LastFlush)}
		s.tables[t.ID] = m
	}
	m.note(stats, now)
	if stats.Waiting < m.left {
		m.left = 0 // somebody else has flushed
	}
	if m.failures > 0 {
		if now.Before(m.retry) || stats.Waiting == 0 {
			return ""
		}
		return fmt.Sprintf("retry %d after a failure", m.failures)
	}
	if interval > 0 {
		if at := tick(t, interval, now); at > m.tick {
			m.tick = at
			if stats.Waiting > 0 {
				return "schedule"
			}
		}
	}
	if rows > 0 && stats.Waiting-m.left >= rows {
		return "row threshold"
	}
	return ""
}

// tick counts the fixed times of a table up to a moment.
func tick(t *ddl.Table, interval time.Duration, at time.Time) int64 {
	if interval <= 0 || at.Before(t.CreatedAt) {
		return 0
	}
	return int64(at.Sub(t.CreatedAt) / interval)
}

// The waits before a flush that failed is tried again.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

// ended notes how a flush by schedule or threshold ended.
func (s *Service) ended(id ident.TableID, err error) {
	left := s.opts.Store.Stats(id).Waiting
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.tables[id]
	if m == nil {
		return
	}
	if err == nil || dberr.CodeOf(err) == dberr.Cancelled || dberr.CodeOf(err) == dberr.TableNotFound {
		m.failures, m.left = 0, left
		return
	}
	wait := lastRetry
	if m.failures < 9 {
		wait = min(firstRetry<<m.failures, lastRetry)
	}
	m.failures++
	m.retry = s.opts.Now().Add(wait)
}

// Request asks for a flush.
type Request struct {
	// Origin says why, User who asked.
	Origin string
	User   ident.UserID
	// MinRows leaves out users that have fewer hot rows. Default 1.
	MinRows int64
}

// Answer is what a flush has done.
type Answer struct {
	Table *ddl.Table
	table.FlushResult
	Job ident.JobID
	// Waited says that another flush of the table was under way.
	Waited bool
	Took   time.Duration
}

// Flush flushes a table and returns when it is done. When the context ends
// before, the job goes on.
func (s *Service) Flush(ctx context.Context, t *ddl.Table, req Request) (Answer, error) {
	f, err := s.begin(ctx, t, req, nil)
	if err != nil {
		return Answer{}, err
	}
	return f.wait(ctx)
}

// FlushAll flushes all tables of a namespace that have anything to flush, of
// all namespaces when ns is empty. The answers are in the order of the names.
// A table that fails does not keep the others from being flushed; the error
// names it.
func (s *Service) FlushAll(ctx context.Context, ns ident.NamespaceID, req Request) ([]Answer, error) {
	var all []*underWay
	var failed []error
	for t := range s.opts.Store.Catalog().Tables(ns) {
		if !Flushable(t) || s.opts.Store.Stats(t.ID).Waiting == 0 {
			continue
		}
		f, err := s.begin(ctx, t, req, nil)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		all = append(all, f)
	}
	var out []Answer
	for _, f := range all {
		a, err := f.wait(ctx)
		switch {
		case err == nil:
			out = append(out, a)
		case dberr.CodeOf(err) == dberr.TableNotFound:
			// It was dropped meanwhile, so it has nothing to flush.
		default:
			failed = append(failed, fmt.Errorf("flush %s: %w", f.t.Ident(), err))
		}
	}
	if len(failed) == 0 {
		return out, nil
	}
	first, ok := dberr.As(failed[0])
	if !ok {
		return out, errors.Join(failed...)
	}
	return out, dberr.Newf(first.Code, "%d of %d table(s) could not be flushed: %s", len(failed), len(failed)+len(out), first.Message).
		Wrap(errors.Join(failed...))
}

// underWay is a flush that was started.
type underWay struct {
	t    *ddl.Table
	task *job.Task
	mu   sync.Mutex // guards res
	res  table.FlushResult
}

// begin starts a flush; ended, if there is one, hears how it ends.
func (s *Service) begin(ctx context.Context, t *ddl.Table, req Request, ended func(error)) (*underWay, error) {
	f := &underWay{t: t}
	spec := job.Spec{
		Type: JobType, Namespace: t.Namespace, Table: t.Name, Parameters: []string{t.Ident().String()},
		User: req.User, Origin: req.Origin, Key: Key(t.ID),
	}
	var err error
	f.task, err = s.opts.Jobs.Start(ctx, spec, func(ctx context.Context, task *job.Task) (string, error) {
		start := time.Now()
		res, err := s.opts.Store.Flush(ctx, t.ID, table.FlushOptions{MinRows: req.MinRows, Step: task.Step, Hold: task.Hold, Work: task.Work})
		s.flushes.Add(1)
		s.took.Observe(time.Since(start).Seconds())
		if err != nil {
			s.failures.Add(1)
		} else {
			s.rows.Add(res.Rows)
		}
		f.mu.Lock()
		f.res = res
		f.mu.Unlock()
		if err == nil && res.Crowded > 0 {
			// It runs when this job is over, as it has the same key.
			if _, err := s.beginCompact(ctx, t, Request{Origin: "automatic"}, table.Crowd); err != nil {
				s.opts.Logger.Warn("start a compaction", "table", t.Ident(), "error", err)
			}
		}
		if ended != nil {
			ended(err)
		}
		return fmt.Sprintf("%d rows flushed into %d files of %d bytes", res.Rows, res.Files, res.Bytes), err
	})
	return f, err
}

// wait gives the answer when the flush has ended.
func (f *underWay) wait(ctx context.Context) (Answer, error) {
	if _, err := f.task.Wait(ctx); err != nil {
		return Answer{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.task.Job()
	return Answer{Table: f.t, FlushResult: f.res, Job: f.task.ID(), Waited: f.task.Waits(), Took: j.CompletedAt.Sub(j.CreatedAt)}, nil
}

// Again does again what jobs were about that a server died in.
func (s *Service) Again(ctx context.Context, interrupted []job.Job) {
	for _, j := range interrupted {
		if j.Type != JobType && j.Type != CompactJobType {
			continue
		}
		t, err := s.opts.Store.Catalog().Table(j.Namespace, j.Table)
		if err != nil || !Flushable(t) || s.opts.Jobs.Busy(Key(t.ID)) {
			continue
		}
		req := Request{Origin: fmt.Sprintf("again, as the server ended in %s", j.ID), User: j.User}
		if j.Type == CompactJobType {
			_, err = s.beginCompact(ctx, t, req, 0)
		} else {
			_, err = s.begin(ctx, t, req, nil)
		}
		if err != nil {
			s.opts.Logger.Warn("start a job again", "table", t.Ident(), "error", err)
		}
	}
}
