package core

import (
	"context"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/core/slot"
)

// statementContext is the caller's context with a statement's deadline, which
// also ends when the engine stops. It is what context.WithDeadline and
// AfterFunc would make, but costs a timer only if somebody waits on Done:
// statements mostly just look at Err.
type statementContext struct {
	context.Context // the caller's
	deadline        time.Time
	stopped         context.Context
	turn            *slot.Turn

	mu    sync.Mutex // guards what follows
	done  chan struct{}
	err   error
	timer *time.Timer
	undo  []func() bool
}

// extend puts another deadline, or none, in the place of the statement's own:
// it is of those that take as long as they take. The caller's stays.
func (c *statementContext) extend(deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = deadline
	if c.timer == nil {
		return
	}
	c.timer.Stop()
	if !deadline.IsZero() {
		c.timer.Reset(time.Until(deadline))
	}
}

// Deadline implements context.Context.
func (c *statementContext) Deadline() (time.Time, bool) {
	c.mu.Lock()
	own := c.deadline
	c.mu.Unlock()
	if own.IsZero() {
		return c.Context.Deadline()
	}
	if d, ok := c.Context.Deadline(); ok && d.Before(own) {
		return d, true
	}
	return own, true
}

// Value implements context.Context.
func (c *statementContext) Value(key any) any {
	if key == (slot.ContextKey{}) {
		return c.turn
	}
	return c.Context.Value(key)
}

// Err implements context.Context.
func (c *statementContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.check()
}

// check finds out whether the context has ended. The caller holds mu.
func (c *statementContext) check() error {
	if c.err != nil {
		return c.err
	}
	switch {
	case c.Context.Err() != nil:
		c.err = c.Context.Err()
	case c.stopped.Err() != nil:
		c.err = errStopped
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		c.err = context.DeadlineExceeded
	default:
		return nil
	}
	if c.done != nil {
		close(c.done)
	}
	return c.err
}

// Done implements context.Context.
func (c *statementContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done != nil {
		return c.done
	}
	c.done = make(chan struct{})
	if c.err != nil {
		close(c.done)
		return c.done
	}
	if c.check() != nil {
		return c.done
	}
	look := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = c.check()
	}
	if !c.deadline.IsZero() {
		c.timer = time.AfterFunc(time.Until(c.deadline), look)
	}
	c.undo = append(c.undo, context.AfterFunc(c.Context, look), context.AfterFunc(c.stopped, look))
	return c.done
}

// end frees what the context holds, when the statement is over.
func (c *statementContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	for _, f := range c.undo {
		f()
	}
	if c.err == nil {
		c.err = context.Canceled
		if c.done != nil {
			close(c.done)
		}
	}
}
