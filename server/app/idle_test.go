package app

import (
	"runtime"
	"slices"
	"testing"
)

// TestIdleMemory: memory is given back once after each busy time, and not for
// the little that an idle server does.
func TestIdleMemory(t *testing.T) {
	t.Parallel()
	var allocated, live uint64
	var freed []int
	look := 0
	m := &idleMemory{read: func() (uint64, uint64) { return allocated, live }, free: func() { freed = append(freed, look) }}
	const mib = 1 << 20
	for i, step := range []struct{ more, live uint64 }{
		{4 * mib, 4 * mib},       // starts
		{0, 4 * mib},             // little so far
		{500 * mib, 40 * mib},    // works
		{500 * mib, 40 * mib},    // works
		{1 * mib, 40 * mib},      // rests: 4
		{1 * mib, 10 * mib},      // not again
		{7 * mib, 10 * mib},      // not again
		{8 * mib, 10 * mib},      // little by little as much: 7
		{100 * mib, 1000 * mib},  // works
		{1 * mib, 1000 * mib},    // little beside what is in use
		{400 * mib, 1000 * mib},  // works
		{0, 1000 * mib},          // rests: 11
		{1000 * mib, 1000 * mib}, // works
	} {
		look = i
		allocated, live = allocated+step.more, step.live
		m.look()
	}
	if want := []int{4, 7, 11}; !slices.Equal(freed, want) {
		t.Errorf("memory is given back at %v, want %v", freed, want)
	}
}

var garbage []byte

// TestIdleMemoryOfProcess: what the process has allocated and left is given
// back to the system.
func TestIdleMemoryOfProcess(t *testing.T) {
	m := newIdleMemory()
	m.look()
	garbage = make([]byte, 256<<20)
	for i := 0; i < len(garbage); i += 4096 {
		garbage[i] = 1
	}
	garbage = nil
	before, _ := m.read()
	m.seen, m.freed = before, 0
	freed := m.free
	done := false
	m.free = func() { freed(); done = true }
	m.look()
	if !done {
		t.Fatal("memory was not given back")
	}
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	if held := now.HeapSys - now.HeapReleased; held > 200<<20 {
		t.Errorf("the process still holds %d MiB", held>>20)
	}
}
