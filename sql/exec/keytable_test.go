package exec

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestKeyTables compares both tables with a map.
func TestKeyTables(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	keys, pairs := newKeyTable(), newPairTable()
	want := map[string]int32{}
	for range 20_000 {
		a, b, nulls := int64(r.IntN(60)-30)<<(8*r.IntN(7)), int64(r.IntN(40)), uint8(0)
		if r.IntN(20) == 0 {
			a, nulls = 0, 1
		}
		text := fmt.Sprint(a, b, nulls)
		if n, known := want[text]; nulls == 0 && known != (pairs.find(a, b) >= 0) || known && keys.find([]byte(text)) != n || !known && keys.find([]byte(text)) != -1 {
			t.Fatalf("%s: known %v as %d, found %d and %d", text, known, n, pairs.find(a, b), keys.find([]byte(text)))
		}
		p, freshPair := pairs.add(a, b, nulls)
		k, freshKey := keys.add([]byte(text))
		n, known := want[text]
		if !known {
			n = int32(len(want))
			want[text] = n
		}
		if p != n || k != n || freshPair == known || freshKey == known {
			t.Fatalf("%s is pair %d (new: %v), key %d (new: %v), want %d", text, p, freshPair, k, freshKey, n)
		}
	}
	if pairs.n != len(want) || keys.len() != len(want) {
		t.Errorf("%d pairs, %d keys, want %d", pairs.n, keys.len(), len(want))
	}
}
