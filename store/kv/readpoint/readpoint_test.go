package readpoint

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestList holds the list against a slice of all readers.
func TestList(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var l List
	var readers []*Point
	seq := uint64(0)
	for range 5000 {
		switch {
		case rnd.IntN(5) == 0:
			seq++
		case rnd.IntN(2) == 0 && len(readers) > 0:
			i := rnd.IntN(len(readers))
			l.Unpin(readers[i])
			readers = slices.Delete(readers, i, i+1)
		default:
			readers = append(readers, l.Pin(seq))
		}
		want := uint64(1 << 60)
		states := make(map[uint64]bool)
		for _, p := range readers {
			want = min(want, p.Seq)
			states[p.Seq] = true
		}
		if l.Len() != len(states) {
			t.Fatalf("%d points, want %d", l.Len(), len(states))
		}
		if got := l.Oldest(1 << 60); got != want {
			t.Fatalf("oldest is %d, want %d of %d readers", got, want, len(readers))
		}
	}
}
