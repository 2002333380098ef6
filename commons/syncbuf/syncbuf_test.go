package syncbuf_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/syncbuf"
)

func TestWritersDoNotMix(t *testing.T) {
	var b syncbuf.Buffer
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 100 {
				fmt.Fprintf(&b, "%d:%d\n", i, j)
				_ = b.String()
			}
		})
	}
	all.Wait()
	next := map[int]int{}
	for line := range strings.Lines(b.String()) {
		var i, j int
		if _, err := fmt.Sscanf(line, "%d:%d\n", &i, &j); err != nil || next[i] != j {
			t.Fatalf("%q (%v), expected %d of %d", line, err, next[i], i)
		}
		next[i]++
	}
	for i := range 8 {
		if next[i] != 100 {
			t.Errorf("%d lines of %d", next[i], i)
		}
	}
}
