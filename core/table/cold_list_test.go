package table

import (
	"fmt"
	"testing"

	"github.com/kalamdb/kalamdb/store/kv"
)

// TestColdListsKeepTheNewest: a partition has one list, which a reader of an
// older state does not replace; all together they are bounded.
func TestColdListsKeepTheNewest(t *testing.T) {
	var c coldLists
	key := func(p string, gen uint64) coldKey { return coldKey{kv.Partition(p), gen} }
	first, second := &coldList{size: 10}, &coldList{size: 20}
	c.put(key("p", 1), first)
	if c.get(key("p", 1)) != first || c.get(key("p", 2)) != nil || c.get(key("q", 1)) != nil {
		t.Error("the list of another state is given")
	}
	c.put(key("p", 2), second)
	c.put(key("p", 1), first)
	if c.get(key("p", 2)) != second || c.get(key("p", 1)) != nil || c.size != 20 {
		t.Errorf("not the newest is kept, of %d bytes", c.size)
	}
	for i := range 100 {
		c.put(key(fmt.Sprint(i), 1), &coldList{size: coldBytes / 10})
	}
	if c.size > coldBytes || len(c.m) != 10 || c.order.Len() != 10 || c.get(key("99", 1)) == nil || c.get(key("p", 2)) != nil {
		t.Errorf("%d lists of %d bytes are kept", len(c.m), c.size)
	}
}
