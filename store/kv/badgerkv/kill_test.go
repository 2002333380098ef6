package badgerkv_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/badgerkv"
)

// killDir names the folder for the process that TestKill ends.
const killDir = "BADGERKV_KILL_DIR"

// writeUntilKilled writes batches of two keys from several goroutines and
// prints each one's number once it is acknowledged.
func writeUntilKilled(dir string) error {
	b, err := badgerkv.Open(badgerkv.Options{Dir: dir})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	fail := make(chan error)
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				n := i*4 + w
				var batch kv.Batch
				batch.Put("left", fmt.Append(nil, n), fmt.Append(nil, n))
				batch.Put("right", fmt.Append(nil, n), make([]byte, 2000))
				if i%100 == 50 { // a large one
					for k := range 15_000 {
						batch.Put("large", fmt.Appendf(nil, "%d/%d", n, k), nil)
					}
				}
				if err := b.Write(context.Background(), &batch); err != nil {
					fail <- err
					return
				}
				mu.Lock()
				fmt.Println(n)
				mu.Unlock()
			}
		}()
	}
	return <-fail
}

// TestKill ends a process with SIGKILL in the middle of its writes and finds
// every acknowledged batch, and no part of another.
func TestKill(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		t.Fatal(writeUntilKilled(dir))
	}
	dir := t.TempDir()
	acked := map[string]bool{}
	for _, enough := range []int{30, 300, 900} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), killDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		n := 0
		for lines.Scan() {
			if _, err := strconv.Atoi(lines.Text()); err != nil {
				t.Fatalf("the writer says %q", lines.Text())
			}
			acked[lines.Text()] = true
			if n++; n == enough {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the writer ended by itself: %v", err)
		}
		checkAfterKill(t, open(t, dir, false), acked)
	}
}

func checkAfterKill(t *testing.T, b *badgerkv.Backend, acked map[string]bool) {
	t.Helper()
	s, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	keys := func(p kv.Partition) map[string]bool {
		m := map[string]bool{}
		it := s.Scan(p, kv.Range{KeysOnly: true})
		defer it.Close()
		for it.Next() {
			m[string(it.Key())] = true
		}
		if it.Err() != nil {
			t.Fatal(it.Err())
		}
		return m
	}
	left, right, large := keys("left"), keys("right"), keys("large")
	for n := range acked {
		if !left[n] || !right[n] {
			t.Errorf("acknowledged batch %s is lost", n)
		}
	}
	if len(left) != len(right) {
		t.Errorf("%d left keys and %d right ones: half a batch", len(left), len(right))
	}
	pieces := map[string]int{}
	for k := range large {
		n, _, _ := strings.Cut(k, "/")
		pieces[n]++
	}
	for n, c := range pieces {
		if c != 15_000 || !left[n] {
			t.Errorf("%d of 15000 keys of large batch %s", c, n)
		}
	}
	s.Release()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
