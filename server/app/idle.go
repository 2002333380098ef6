package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// When memory is given back to the system.
const (
	idleEvery = 10 * time.Second
	// idleAllocs is what a process that has nothing to do may allocate between
	// two looks: metrics are asked for and pings answered.
	idleAllocs = 8 << 20
	// idleWorth is the least that must have been allocated since memory was
	// given back for it to be worth while again.
	idleWorth = 16 << 20
)

// idleMemory gives memory back after a busy time. Go by itself collects garbage
// when there is as much of it as was in use, which after the end of a load is
// never, or every two minutes, and keeps most of the pages.
type idleMemory struct {
	// read tells how many bytes were allocated since the start, and how many
	// were in use at the last collection.
	read func() (allocated, live uint64)
	// free collects garbage and gives the pages back.
	free func()

	seen, freed uint64 // of what was allocated: at the last look, when it was freed
}

func newIdleMemory() *idleMemory {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	return &idleMemory{free: debug.FreeOSMemory, read: func() (allocated, live uint64) {
		metrics.Read(samples)
		return samples[0].Value.Uint64(), samples[1].Value.Uint64()
	}}
}

// look frees memory when little was done since the last look but enough since
// memory was freed: of a large heap half as much as is in use, as the work of
// a collection grows with that.
func (m *idleMemory) look() {
	allocated, live := m.read()
	idle := allocated-m.seen <= idleAllocs
	m.seen = allocated
	if idle && allocated-m.freed >= max(idleWorth, live/2) {
		m.free()
		m.freed = allocated
	}
}

// run looks until the context ends.
func (m *idleMemory) run(ctx context.Context) {
	tick := time.NewTicker(idleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			m.look()
		}
	}
}
