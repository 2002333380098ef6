package crew

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestDoor(t *testing.T) {
	var d Door
	for range 2 {
		if !d.Enter() || d.Closed() {
			t.Fatal("an open door is closed")
		}
	}
	if n := d.Inside(); n != 2 {
		t.Errorf("%d are inside", n)
	}
	if !d.Close() || d.Close() {
		t.Error("closing it the first time is not the same as the second time")
	}
	if d.Enter() || !d.Closed() {
		t.Fatal("a closed door is open")
	}
	first, second := d.Empty(), d.Empty()
	d.Leave()
	select {
	case <-first:
		t.Fatal("empty with one inside")
	default:
	}
	d.Leave()
	<-first
	<-second
	<-d.Empty()
}

func TestNobodyIsInsideOfAnEmptyDoor(t *testing.T) {
	var d Door
	var inside atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for d.Enter() {
				inside.Add(1)
				inside.Add(-1)
				d.Leave()
			}
		})
	}
	d.Close()
	<-d.Empty()
	if n := inside.Load(); n != 0 {
		t.Errorf("%d are inside", n)
	}
	all.Wait()
}
