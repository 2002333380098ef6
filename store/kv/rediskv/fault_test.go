package rediskv_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/rediskv"
	"github.com/kalamdb/kalamdb/store/kv/rediskv/redistest"
)

func put(b kv.Backend, pairs ...string) error {
	var batch kv.Batch
	for i := 0; i < len(pairs); i += 2 {
		batch.Put("p", []byte(pairs[i]), []byte(pairs[i+1]))
	}
	return b.Write(context.Background(), &batch)
}

// putAgain is put, over and over until Redis can be reached again.
func putAgain(b kv.Backend, pairs ...string) error {
	for end := time.Now().Add(20 * time.Second); ; {
		if err := put(b, pairs...); dberr.CodeOf(err) != dberr.StorageUnavailable || time.Now().After(end) {
			return err
		}
	}
}

// dump reads the partition p; an error ends the test.
func dump(t *testing.T, b kv.Backend) string {
	t.Helper()
	s, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	return dumpAt(t, s)
}

func dumpAt(t *testing.T, s kv.Snapshot) string {
	t.Helper()
	it := s.Scan("p", kv.Range{})
	defer it.Close()
	var out []string
	for it.Next() {
		v, err := it.Value()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s=%.10s", it.Key(), v))
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	return strings.Join(out, " ")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if dberr.CodeOf(err) != dberr.StorageUnavailable {
		t.Fatalf("%s: got %v, want STORAGE_UNAVAILABLE", what, err)
	}
}

func raw(t *testing.T, s *redistest.Server) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(s.URL)
	must(t, err)
	c := redis.NewClient(opt)
	t.Cleanup(func() { c.Close() })
	return c
}

// TestLostAnswer loses the answer of a write that Redis has carried out: sent
// again, it is applied once.
func TestLostAnswer(t *testing.T) {
	p := redistest.NewProxy(t, redistest.Start(t))
	b := open(t, quiet(p.URL))
	must(t, put(b, "a", "1"))
	for i := range 5 {
		p.Swallow(1)
		must(t, put(b, "a", fmt.Sprint(i), "b", fmt.Sprint(i)))
		if got, want := dump(t, b), fmt.Sprintf("a=%d b=%d", i, i); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	p.Cut()
	if got := dump(t, b); got != "a=4 b=4" {
		t.Fatalf("after a cut: %s", got)
	}
}

// TestUnknownFate has Redis carry a batch out, and everything fail from then
// on until the caller was told that the write failed: nothing of it may ever
// be seen, neither before nor after later writes.
func TestUnknownFate(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s)
	opt := quiet(p.URL)
	opt.RetryFor = 50 * time.Millisecond
	b := open(t, opt)
	large := strings.Repeat("x", 10_000)
	must(t, put(b, "a", "1", "b", large, "c", "1"))
	old, err := b.Snapshot()
	must(t, err)
	for i := range 3 {
		// The first answer is lost, and so are those of all repetitions.
		p.Swallow(1 << 20)
		var batch kv.Batch
		batch.Put("p", []byte("a"), []byte("never"))
		batch.Delete("p", []byte("b"))
		batch.Put("p", []byte("d"), []byte(large))
		batch.Put("new", []byte("k"), nil)
		wantUnavailable(t, "write", b.Write(t.Context(), &batch))
		p.Swallow(0)
		if n := raw(t, s).ZCard(t.Context(), "kalamdb:d:new").Val(); n != 1 {
			t.Fatalf("the test is void: Redis did not carry the batch out, %d members", n)
		}
		want := "a=1 b=xxxxxxxxxx c=1"
		if i > 0 {
			want = fmt.Sprintf("a=1 b=xxxxxxxxxx c=%d", i+1)
		}
		if got := dump(t, b); got != want {
			t.Fatalf("after the failure: %s, want %s", got, want)
		}
		must(t, putAgain(b, "c", fmt.Sprint(i+2)))
		if got, want := dump(t, b), fmt.Sprintf("a=1 b=xxxxxxxxxx c=%d", i+2); got != want {
			t.Fatalf("after the next write: %s, want %s", got, want)
		}
		if got, err := kv.Partitions(b, ""); err != nil || len(got) != 1 {
			t.Fatalf("partitions %v, %v", got, err)
		}
	}
	if got := dumpAt(t, old); got != "a=1 b=xxxxxxxxxx c=1" {
		t.Fatalf("the snapshot: %s", got)
	}
	// A drop whose answer is lost may be made or not, but never later.
	p.Swallow(1 << 20)
	wantUnavailable(t, "drop", b.DropPartition(t.Context(), "p"))
	p.Swallow(0)
	must(t, putAgain(b, "z", "1"))
	if got := dump(t, b); !strings.HasSuffix(got, "z=1") {
		t.Fatalf("after the drop: %s", got)
	}
}

// TestOutage kills Redis under writers and readers and starts it again: calls
// meanwhile fail with their code, and all acknowledged is there.
func TestOutage(t *testing.T) {
	s := redistest.Start(t)
	opt := quiet(s.URL)
	opt.RetryFor = 30 * time.Millisecond
	b := open(t, opt)
	var mu sync.Mutex
	acked := map[string]bool{}
	var failures, since atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				key := fmt.Sprintf("%d/%05d", w, i)
				var batch kv.Batch
				batch.Put("p", []byte(key), []byte("v"))
				batch.Put("twin", []byte(key), []byte("v"))
				err := b.Write(context.Background(), &batch)
				switch {
				case err == nil:
					since.Add(1)
					mu.Lock()
					acked[key] = true
					mu.Unlock()
				case dberr.CodeOf(err) == dberr.StorageUnavailable:
					failures.Add(1)
				default:
					t.Errorf("write: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for !stop.Load() {
			if n, err := count(b, "p"); err != nil && dberr.CodeOf(err) != dberr.StorageUnavailable {
				t.Errorf("read of %d rows: %v", n, err)
			}
		}
	})
	// wait lets something happen.
	wait := func(what string, n *atomic.Int64, more int64) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); n.Load() < more; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("no %s", what)
				return
			}
		}
	}
	for range 3 {
		since.Store(0)
		wait("writes", &since, 50)
		s.Kill()
		failures.Store(0)
		wait("failures", &failures, 3)
		must(t, s.Restart())
	}
	since.Store(0)
	wait("writes at the end", &since, 50)
	stop.Store(true)
	wg.Wait()
	snap, err := b.Snapshot()
	must(t, err)
	defer snap.Release()
	for key := range acked {
		for _, p := range []kv.Partition{"p", "twin"} {
			if _, ok, err := snap.Get(p, []byte(key)); !ok || err != nil {
				t.Fatalf("acknowledged key %s in %s: %v, %v", key, p, ok, err)
			}
		}
	}
	for _, p := range []kv.Partition{"p", "twin"} {
		if n, err := count(b, p); n != len(acked) || err != nil {
			t.Errorf("%d keys in %s, %d were acknowledged; %v", n, p, len(acked), err)
		}
	}
	t.Logf("%d batches acknowledged", len(acked))
}

func count(b kv.Backend, p kv.Partition) (n int, err error) {
	s, err := b.Snapshot()
	if err != nil {
		return 0, err
	}
	defer s.Release()
	it := s.Scan(p, kv.Range{KeysOnly: true})
	defer it.Close()
	for it.Next() {
		n++
	}
	return n, it.Err()
}

// TestKilledInLargeBatch ends Redis while it works on large batches; each is
// there wholly or not at all.
func TestKilledInLargeBatch(t *testing.T) {
	s := redistest.Start(t)
	opt := quiet(s.URL)
	opt.RetryFor = 30 * time.Millisecond
	b := open(t, opt)
	const rows = 9000 // several scripts
	for i := range 4 {
		done := make(chan error)
		go func() {
			var batch kv.Batch
			for k := range rows {
				batch.Put(kv.Partition(fmt.Sprintf("large%d", i)), fmt.Append(nil, k), []byte("v"))
			}
			done <- b.Write(context.Background(), &batch)
		}()
		if i > 0 {
			time.Sleep(time.Duration(i*7) * time.Millisecond) // wherever it then is
			s.Kill()
		}
		err := <-done
		if i > 0 {
			must(t, s.Restart())
		}
		// The next write settles what became of the batch.
		must(t, putAgain(b, fmt.Sprint(i), "v"))
		want := rows
		if err != nil {
			wantUnavailable(t, "large batch", err)
			want = 0
		}
		if n, err := count(b, kv.Partition(fmt.Sprintf("large%d", i))); n != want || err != nil {
			t.Errorf("batch %d: %d rows, want %d; %v", i, n, want, err)
		}
	}
}

// TestHangingRedis stops the process without ending it: calls end by their
// time limit, and go on when it does; what failed is not seen afterwards.
func TestHangingRedis(t *testing.T) {
	s := redistest.Start(t)
	opt := quiet(s.URL)
	opt.CallTimeout, opt.RetryFor, opt.Lease = 100*time.Millisecond, 50*time.Millisecond, time.Minute
	b := open(t, opt)
	must(t, put(b, "a", "1"))
	must(t, s.Process().Signal(syscall.SIGSTOP))
	wantUnavailable(t, "write", put(b, "a", "2", "b", "2"))
	wantUnavailable(t, "next write", put(b, "c", "2"))
	wantUnavailable(t, "probe", b.Write(t.Context(), new(kv.Batch)))
	_, err := count(b, "p")
	wantUnavailable(t, "read", err)
	must(t, s.Process().Signal(syscall.SIGCONT))
	must(t, putAgain(b, "d", "3"))
	if got := dump(t, b); got != "a=1 d=3" {
		t.Errorf("%s", got)
	}
}

// TestLoss brings Redis back without its data: nothing may be read or written
// as if all were well.
func TestLoss(t *testing.T) {
	s := redistest.Start(t)
	opt := quiet(s.URL)
	opt.RetryFor = 30 * time.Millisecond
	b := open(t, opt)
	must(t, put(b, "a", "1"))
	snap, err := b.Snapshot()
	must(t, err)
	s.Kill()
	must(t, s.Forget())
	must(t, s.Restart())
	_, _, err = snap.Get("p", []byte("a"))
	wantUnavailable(t, "get", err)
	if e, _ := dberr.As(err); !strings.Contains(e.Message, "lost") {
		t.Errorf("the error does not tell the loss: %v", err)
	}
	wantUnavailable(t, "write", put(b, "b", "2"))
	must(t, b.Close())
	again := open(t, opt)
	if got := dump(t, again); got != "" {
		t.Errorf("opened again: %s", got)
	}
}

// TestSecondOwner opens a database twice.
func TestSecondOwner(t *testing.T) {
	s := redistest.Start(t)
	opt := quiet(s.URL)
	opt.Lease = 300 * time.Millisecond
	b := open(t, opt)
	must(t, put(b, "a", "1"))
	_, err := rediskv.Open(t.Context(), opt)
	wantUnavailable(t, "second open", err)
	if e, _ := dberr.As(err); !strings.Contains(e.Message, fmt.Sprintf("process %d on ", os.Getpid())) || e.Hint == "" {
		t.Errorf("the error does not say who has it: %v", err)
	}
	must(t, put(b, "b", "2"))
	other := opt
	other.Prefix = "elsewhere"
	if got := dump(t, open(t, other)); got != "" {
		t.Errorf("another prefix sees %s", got)
	}
	must(t, b.Close())
	if got := dump(t, open(t, opt)); got != "a=1 b=2" {
		t.Errorf("after the first has closed: %s", got)
	}
}

// TestTakeover opens the database of an owner that hangs: the old one must
// neither write nor read any more.
func TestTakeover(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s)
	opt := quiet(p.URL)
	opt.Lease, opt.RetryFor, opt.Owner = 200*time.Millisecond, 20*time.Millisecond, "one"
	b := open(t, opt)
	must(t, put(b, "a", "1"))
	snap, err := b.Snapshot()
	must(t, err)
	p.Shut(true)
	heir := opt
	heir.URL, heir.Owner = s.URL, "two"
	c := open(t, heir) // waits for the lease
	must(t, put(c, "a", "2"))
	p.Shut(false)
	wantUnavailable(t, "read of the old owner", func() error { _, _, err := snap.Get("p", []byte("a")); return err }())
	err = put(b, "a", "3")
	wantUnavailable(t, "write of the old owner", err)
	if e, _ := dberr.As(err); !strings.Contains(e.Message, "taken over") {
		t.Errorf("the error does not tell: %v", err)
	}
	must(t, b.Close())
	must(t, put(c, "b", "1"))
	if got := dump(t, c); got != "a=2 b=1" {
		t.Errorf("%s", got)
	}
	// The same owner, come back after a crash, need not wait.
	heir.Lease = time.Hour
	must(t, c.Close())
	open(t, heir)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	again, err := rediskv.Open(ctx, heir)
	must(t, err)
	must(t, again.Close())
}

// TestGarbage checks that Redis keeps one version of a key once no snapshot
// needs more, and none of a deleted one, also after a crash of the owner.
func TestGarbage(t *testing.T) {
	s := redistest.Start(t)
	opt := quiet(s.URL)
	opt.Lease, opt.Owner = time.Minute, "same"
	b := open(t, opt)
	c := raw(t, s)
	large := strings.Repeat("x", 10_000)
	snap, err := b.Snapshot()
	must(t, err)
	for i := range 50 {
		must(t, put(b, "a", fmt.Sprint(i), "b", large+fmt.Sprint(i), fmt.Sprint("c", i), large))
		var batch kv.Batch
		batch.Delete("p", fmt.Append(nil, "c", i))
		must(t, b.Write(t.Context(), &batch))
	}
	members := func() int64 { return c.ZCard(t.Context(), "kalamdb:d:p").Val() }
	values := func() int64 { return c.HLen(t.Context(), "kalamdb:v:p").Val() }
	if members() != 200 || values() != 100 {
		t.Errorf("with an old snapshot there are %d members and %d values, want 200 and 100", members(), values())
	}
	// A crash: the next owner collects.
	again := open(t, opt)
	snap.Release()
	must(t, again.Compact(t.Context()))
	if members() != 2 || values() != 1 || c.ZCard(t.Context(), "kalamdb:gc").Val() != 0 {
		t.Errorf("%d members and %d values are left, want 2 and 1", members(), values())
	}
	// Without snapshots, writes alone keep it small.
	for i := range 500 {
		must(t, put(again, "a", fmt.Sprint(i)))
	}
	if members() > 20 {
		t.Errorf("%d members after updates of one key", members())
	}
	size, err := again.Size(t.Context())
	if err != nil || size < 10_000 || size > 100_000 {
		t.Errorf("size %d, %v", size, err)
	}
}

// TestSettings refuses servers that would lose data.
func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		noSync bool
		want   string
	}{
		"no append-only file": {[]string{"--appendonly", "no"}, false, "no append-only file"},
		"sync each second":    {[]string{"--appendfsync", "everysec"}, false, "appendfsync is everysec"},
		"no sync accepted":    {[]string{"--appendonly", "no"}, true, ""},
		"eviction":            {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, true, "throw data away"},
	} {
		t.Run(name, func(t *testing.T) {
			opt := quiet(redistest.Start(t, c.args...).URL)
			opt.NoSync = c.noSync
			b, err := rediskv.Open(t.Context(), opt)
			if c.want == "" {
				must(t, err)
				must(t, b.Close())
				return
			}
			wantUnavailable(t, "open", err)
			if e, _ := dberr.As(err); !strings.Contains(e.Message, c.want) || e.Hint == "" {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestFull fills Redis up to its limit: writes fail, reads and deletions go on.
func TestFull(t *testing.T) {
	s := redistest.Start(t, "--maxmemory", "12mb", "--maxmemory-policy", "noeviction")
	b := open(t, quiet(s.URL))
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		var batch kv.Batch
		for i := range 5000 {
			batch.Put("p", fmt.Appendf(nil, "%04d/%04d", n, i), []byte(strings.Repeat("v", 20)))
		}
		err = b.Write(t.Context(), &batch)
	}
	wantUnavailable(t, "write into a full Redis", err)
	if e, _ := dberr.As(err); e.Message != "The storage is full." || e.Hint == "" {
		t.Errorf("%v: %v", err, errors.Unwrap(err))
	}
	if got, err := count(b, "p"); got != (n-1)*5000 || err != nil {
		t.Errorf("%d rows, want %d; %v", got, (n-1)*5000, err)
	}
	must(t, raw(t, s).ConfigSet(t.Context(), "maxmemory", "100mb").Err())
	must(t, put(b, "x", "1"))
	if got, err := count(b, "p"); got != (n-1)*5000+1 || err != nil {
		t.Errorf("%d rows, want %d; %v", got, (n-1)*5000+1, err)
	}
}

func TestBadOptions(t *testing.T) {
	for name, opt := range map[string]rediskv.Options{
		"no url":      {},
		"bad url":     {URL: "http://secret@x"},
		"bad prefix":  {URL: "redis://127.0.0.1:1", Prefix: "a:b"},
		"short lease": {URL: "redis://127.0.0.1:1", Lease: time.Millisecond},
		"huge batch":  {URL: "redis://127.0.0.1:1", MaxBatch: 1 << 40},
	} {
		b, err := rediskv.Open(t.Context(), opt)
		if err == nil {
			t.Errorf("%s: no error", name)
			b.Close()
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
	opt := quiet("redis://127.0.0.1:1")
	opt.RetryFor = time.Millisecond
	_, err := rediskv.Open(t.Context(), opt)
	wantUnavailable(t, "nobody there", err)
}
