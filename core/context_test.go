package core

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func newStatementContext(parent context.Context, limit time.Duration) (*statementContext, context.CancelCauseFunc) {
	stopped, stop := context.WithCancelCause(context.Background())
	return &statementContext{Context: parent, deadline: time.Now().Add(limit), stopped: stopped}, stop
}

func TestStatementContext(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(cancel, stop func())
		want error
	}{
		"deadline":       {func(_, _ func()) { time.Sleep(2 * time.Second) }, context.DeadlineExceeded},
		"caller":         {func(cancel, _ func()) { cancel() }, context.Canceled},
		"engine stopped": {func(_, stop func()) { stop() }, errStopped},
	} {
		for _, waits := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(context.Background())
				defer cancel()
				ctx, stop := newStatementContext(parent, time.Second)
				defer ctx.end()
				defer stop(errStopped)
				if ctx.Err() != nil {
					t.Fatalf("%s: ended at once: %v", name, ctx.Err())
				}
				var child context.Context
				if waits {
					var end context.CancelFunc
					child, end = context.WithCancel(ctx) // waits on Done
					defer end()
				}
				c.end(cancel, func() { stop(errStopped) })
				if waits {
					<-ctx.Done()
					<-child.Done()
				}
				if err := context.Cause(ctx); !errors.Is(err, c.want) || !errors.Is(ctx.Err(), c.want) {
					t.Errorf("%s: cause %v, error %v, want %v", name, err, ctx.Err(), c.want)
				}
				select {
				case <-ctx.Done():
				default:
					t.Errorf("%s: Done is open", name)
				}
			})
		}
	}
}

func TestStatementContextEndsItsChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := newStatementContext(context.Background(), time.Hour)
		defer stop(errStopped)
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		if d, ok := child.Deadline(); !ok || time.Until(d) != time.Hour {
			t.Errorf("the deadline is %v, %v", d, ok)
		}
		ctx.end()
		<-child.Done()
	})
}
