package faultkv

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

// What rules may answer.
var (
	// ErrDiskFull is a medium without room.
	ErrDiskFull = dberr.New(dberr.StorageUnavailable, "The storage is full.")
	// ErrBroken is a medium that fails.
	ErrBroken = dberr.New(dberr.StorageUnavailable, "The storage cannot be written now.")
	// ErrCrashed is what everything answers after a crash.
	ErrCrashed = dberr.New(dberr.StorageUnavailable, "The storage has crashed.")
)

// Op is a kind of call.
type Op string

// The calls that rules are about. Drop is both DropPartition and
// DropPartitions; Next is a step of an iterator.
const (
	Write    Op = "write"
	Drop     Op = "drop"
	Snapshot Op = "snapshot"
	Get      Op = "get"
	Next     Op = "next"
	Compact  Op = "compact"
	Size     Op = "size"
)

// Call is a call that a rule looks at.
type Call struct {
	Op Op
	// Partition is what is dropped or read; empty for the others.
	Partition kv.Partition
	// Batch is what is written; it must only be read, and not be kept.
	Batch *kv.Batch
}

// touches tells whether the call is about a partition whose name starts with
// prefix.
func (c Call) touches(prefix kv.Partition) bool {
	if c.Batch == nil {
		return strings.HasPrefix(string(c.Partition), string(prefix))
	}
	for i := range c.Batch.Len() {
		if strings.HasPrefix(string(c.Batch.Op(i).Partition), string(prefix)) {
			return true
		}
	}
	return false
}

// Rule says what happens to which calls. Its methods change it and return it;
// the last of them names the fault. A rule belongs to one Backend.
type Rule struct {
	op    Op
	in    kv.Partition
	skip  int
	times int // -1 for ever

	before func(ctx context.Context, c Call) error
	after  func(c Call, err error)
	crash  crash
}

type crash int

const (
	crashNot crash = iota
	crashBefore
	crashAfter
)

// On begins a rule for every call of a kind, for ever.
func On(op Op) *Rule { return &Rule{op: op, times: -1} }

// In keeps the rule to calls about partitions whose names start with prefix.
func (r *Rule) In(prefix kv.Partition) *Rule { r.in = prefix; return r }

// Skip lets the first n calls that match go by.
func (r *Rule) Skip(n int) *Rule { r.skip = n; return r }

// Times ends the rule after it met n calls.
func (r *Rule) Times(n int) *Rule { r.times = n; return r }

// Fail answers err and does nothing.
func (r *Rule) Fail(err error) *Rule { return r.Do(func(context.Context, Call) error { return err }) }

// Delay makes the call take longer; a context that ends cuts it short and
// fails the call.
func (r *Rule) Delay(d time.Duration) *Rule {
	return r.Do(func(ctx context.Context, _ Call) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// Hold makes the call wait at a gate, whatever its context says: as a sync of
// the disk does.
func (r *Rule) Hold(g *Gate) *Rule {
	return r.Do(func(context.Context, Call) error { g.pass(); return nil })
}

// Do runs a function before the call; its error becomes the call's, which then
// does nothing. It is called from the goroutine of the call.
func (r *Rule) Do(f func(ctx context.Context, c Call) error) *Rule { r.before = f; return r }

// Then runs a function after the call, with the call's error, before the caller
// hears of it.
func (r *Rule) Then(f func(c Call, err error)) *Rule { r.after = f; return r }

// CrashBefore crashes instead of the call.
func (r *Rule) CrashBefore() *Rule { r.crash = crashBefore; return r }

// CrashAfter does the call and crashes before it is answered.
func (r *Rule) CrashAfter() *Rule { r.crash = crashAfter; return r }

// Gate is where calls wait until the test lets them go. It is made by NewGate.
type Gate struct {
	arrived chan struct{}
	open    chan struct{}
	once    sync.Once
}

// NewGate makes a closed gate.
func NewGate() *Gate { return &Gate{arrived: make(chan struct{}, 1), open: make(chan struct{})} }

func (g *Gate) pass() {
	select {
	case g.arrived <- struct{}{}:
	default:
	}
	<-g.open
}

// Arrived gives a value when calls wait, or have waited since the last one was
// taken.
func (g *Gate) Arrived() <-chan struct{} { return g.arrived }

// Open lets all calls go, those that come later too. It may be called twice.
func (g *Gate) Open() { g.once.Do(func() { close(g.open) }) }
