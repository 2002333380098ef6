// Package crew runs functions at the same time and carries what one of them
// panics with to whoever waits for them: a fault in the work of one request
// must not end the process.
package crew

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Crew is a set of goroutines that are waited for together. Its zero value has
// none.
type Crew struct {
	wg     sync.WaitGroup
	failed atomic.Pointer[Panic]
}

// Panic is what Wait panics with: the panic of a goroutine, with where it came
// from.
type Panic struct {
	Value any
	Stack []byte
}

// String gives the value and the goroutine's stack.
func (p *Panic) String() string { return fmt.Sprintf("%v\n%s", p.Value, p.Stack) }

// Go runs f in a goroutine.
func (c *Crew) Go(f func()) {
	c.wg.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				c.failed.CompareAndSwap(nil, &Panic{p, debug.Stack()})
			}
		}()
		f()
	})
}

// Wait waits for all goroutines. When one has panicked, so does Wait, with a
// *Panic.
func (c *Crew) Wait() {
	c.wg.Wait()
	if p := c.failed.Load(); p != nil {
		panic(p)
	}
}
