package link

import (
	"testing"
	"time"
)

type liveRow struct {
	ID   int64
	Text string
}

func TestLiveFollowsItsRows(t *testing.T) {
	srv := newLiveServer(t)
	srv.insert(1)
	srv.insert(2)
	live, err := NewLive(t.Context(), srv.client(), "SELECT * FROM m", func(r liveRow) int64 { return r.ID })
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if live.Len() != 2 {
		t.Fatalf("%d rows at the start", live.Len())
	}
	until := func(what string, cond func() bool) {
		t.Helper()
		timeout := time.After(10 * time.Second)
		for {
			ch := live.Changed()
			if cond() {
				return
			}
			select {
			case <-ch:
			case <-timeout:
				t.Fatalf("%s: rows %v, error %v", what, live.Rows(), live.Err())
			}
		}
	}
	srv.insert(3)
	until("insert", func() bool { return live.Len() == 3 })
	srv.publish("update", `{"id":3,"text":"new"}`, `{"id":3,"text":"row 3"}`)
	until("update", func() bool { r, _ := live.Get(3); return r.Text == "new" })
	srv.publish("update", `{"id":9,"text":"moved"}`, `{"id":3,"text":"new"}`)
	until("new key", func() bool { _, gone := live.Get(3); r, ok := live.Get(9); return !gone && ok && r.Text == "moved" })
	srv.publish("delete", `{"id":9,"text":"moved"}`, `{"id":9,"text":"moved"}`)
	until("delete", func() bool { return live.Len() == 2 })
	srv.insert(4)
	until("another insert", func() bool { return live.Len() == 3 })
	srv.publish("delete", `{"id":44,"text":"left the result"}`, `{"id":4,"text":"row 4"}`)
	until("delete under a new key", func() bool { return live.Len() == 2 })
	srv.mu.Lock()
	srv.oldest = 100
	srv.mu.Unlock()
	srv.kick()
	until("start anew", func() bool { return live.Len() == 4 }) // the test server repeats every insert of its log
	live.Close()
	if live.Err() != nil || live.Len() != 4 {
		t.Errorf("after Close: %v, %d rows", live.Err(), live.Len())
	}
	select {
	case <-live.Changed():
	default:
		t.Error("Changed waits after the end")
	}
}

func TestLiveFollow(t *testing.T) {
	srv := newLiveServer(t)
	srv.insert(1)
	live, err := NewLive(t.Context(), srv.client(), "SELECT * FROM m", func(r liveRow) int64 { return r.ID })
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	seen := 0
	for rows := range live.Follow(t.Context()) {
		if len(rows) < seen || len(rows) > seen+1 {
			t.Fatalf("%d rows behind %d", len(rows), seen)
		}
		if len(rows) > seen {
			if seen = len(rows); seen == 4 {
				break
			}
			srv.insert(seen + 1)
		}
	}
	if seen != 4 {
		t.Errorf("it ended at %d rows: %v", seen, live.Err())
	}
	// A row that does not fit ends it, and takes the subscription along.
	srv.publish("insert", `{"id":"no number","text":""}`, "")
	for range live.Follow(t.Context()) {
	}
	if live.Err() == nil || live.Len() != 4 {
		t.Errorf("%v, %d rows", live.Err(), live.Len())
	}
	srv.wait(func() bool { return len(srv.conns) == 0 })
}

func TestLiveThatCannotScan(t *testing.T) {
	srv := newLiveServer(t)
	srv.insert(1)
	type wrong struct{ Text int }
	if _, err := NewLive(t.Context(), srv.client(), "SELECT * FROM m", func(w wrong) int { return w.Text }); err == nil {
		t.Error("a text went into an int")
	}
}
