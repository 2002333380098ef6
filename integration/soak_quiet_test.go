package integration

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
)

// quiet compares everything while nobody works.
func (s *soak) quiet() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, harness.Limit)
	defer cancel()
	for _, p := range s.plots {
		var followers []*follower
		for f, d := range s.follows {
			if d.plot == p {
				followers = append(followers, f)
			}
		}
		p.finish(ctx, followers)
		for _, f := range followers {
			f.compare(p.selected(ctx, f))
			if f.over() && f.err == nil {
				f.wrong("", "it ended")
			}
			if f.err != nil {
				s.t.Errorf("%s: %s: %v", p.ns, f.name, f.err)
			}
			if d := s.follows[f]; d.rounds == 1 {
				d.stop()
				s.heard(f)
				delete(s.follows, f)
			} else {
				d.rounds--
				f.log = slices.Clone(f.log[max(0, len(f.log)-1000):])
			}
		}
		s.compare(ctx, p)
	}
	for _, b := range s.brooks {
		if err := b.finish(ctx); err != nil {
			s.t.Error(err)
		}
	}
	s.tidy()
	s.settled()
	s.memory = append(s.memory, s.heap())
}

// heap is what the server's process has in use, in bytes, without what the
// next collection frees.
func (s *soak) heap() float64 {
	s.t.Helper()
	res, err := http.Get("http://" + s.profiler + "/debug/pprof/heap?gc=1")
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, res.Body)
	if _ = res.Body.Close(); err != nil {
		s.t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return s.metrics()["go_memstats_heap_alloc_bytes"]
}

// grown tells whether the server's memory has grown while it was left alive.
func (s *soak) grown() bool {
	third := len(s.memory) / 3
	if third == 0 {
		return false
	}
	middle := func(list []float64) float64 {
		list = slices.Sorted(slices.Values(list))
		return list[len(list)/2]
	}
	return middle(s.memory[len(s.memory)-third:]) > 1.2*middle(s.memory[:third])+16e6
}

// heard adds up what a live query has heard.
func (s *soak) heard(f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts["change heard"] += f.tally.Changes
	s.counts["change heard that was missed"] += f.tally.Missed
	s.counts["resync"] += f.tally.Resyncs
}

// compare holds a table against what its hands know; without the rows that
// have ended the round.
func (s *soak) compare(ctx context.Context, p *plot) {
	s.t.Helper()
	for i, u := range p.users {
		c := p.client(u, s.server.URL)
		if !p.shared {
			harness.Exec(s.t, c, "DELETE FROM t WHERE k < 0")
		}
		var from []*page
		for _, h := range p.partition(u) {
			// What was possible once does not count now.
			h.is(h.may(h.rows()))
			from = append(from, h.sure.Load())
		}
		if err := p.compare(ctx, c, "t", u, p.partition(u), from); err != nil {
			s.t.Errorf("%s of %s: %v", p.ns, u, err)
		}
		if k := p.counter(u); !p.shared || i == 0 {
			n := harness.Query[int64](s.t, c, "SELECT n FROM counters WHERE id = 1")[0]
			if least, most := k.sure.Load(), k.sure.Load()+k.maybe.Load(); n < least || n > most {
				s.t.Errorf("%s of %s: %d to %d additions, and the sum is %d", p.ns, u, least, most, n)
			}
			k.sure.Store(n)
			k.maybe.Store(0)
		}
		_ = c.Close()
	}
}

// settled waits until the storage has the files of the server's lists and no
// other.
func (s *soak) settled() {
	s.t.Helper()
	var files int
	var listed float64
	for end := time.Now().Add(harness.Limit); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		listed, files = s.metrics()["kalamdb_cold_files"], 0
		err := filepath.WalkDir(filepath.Join(s.server.Dir, "storage"), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files++
			}
			return err
		})
		if files == int(listed) && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			return
		}
	}
	s.t.Errorf("the storage has %d files, and the server's lists %.0f", files, listed)
}

// end ends everybody, and finds that the server has let go of everything.
func (s *soak) end() {
	s.t.Helper()
	for f, d := range s.follows {
		d.stop()
		s.heard(f)
	}
	s.fail(nil) // the streams' listeners
	s.mu.Lock()
	for _, c := range s.clients {
		_ = c.Close()
	}
	s.mu.Unlock()
	kept := unreleased(s.metrics(), s.idle)
	for end := time.Now().Add(harness.Limit); len(kept) > 0 && time.Now().Before(end); kept = unreleased(s.metrics(), s.idle) {
		<-time.After(20 * time.Millisecond)
	}
	if len(kept) > 0 {
		s.t.Errorf("the server keeps what nobody uses: %s", strings.Join(kept, "; "))
	}
	admin := s.server.Admin(s.t)
	if left := harness.Query[string](s.t, admin, "SELECT live_id FROM system.live_queries"); len(left) > 0 {
		s.t.Errorf("live queries of nobody: %v", left)
	}
	s.t.Logf("seed %d: %d rounds in %v, %d cuts; %v", s.seed, s.rounds, time.Since(s.begun).Round(time.Second), s.proxy.Cuts(), s.counts)
	s.t.Logf("memory in the quiet since the last start: %.0f", s.memory)
	if *soakTime >= soakLong && s.grown() {
		s.t.Error("the server's memory grows")
	}

	// All is whole when the server has ended, and when all tables are dropped
	// nothing is left that no list has.
	s.server.Stop()
	s.check()
	s.server.Restart()
	for _, ns := range []string{sideNamespace, streamNamespace} {
		harness.Exec(s.t, admin, "DROP NAMESPACE "+ns+" CASCADE")
	}
	for _, p := range s.plots {
		harness.Exec(s.t, admin, "DROP NAMESPACE "+p.ns+" CASCADE")
	}
	s.settled()
	// A start removes what is left of them, if nobody stops it.
	for try := 1; ; try++ {
		s.server.Stop()
		out, code := s.server.Command("check")
		if code == 0 && strings.Contains(out, "no faults\n") {
			return
		}
		if code != 0 || try == 5 {
			s.t.Errorf("check, when all tables are dropped: %d\n%s", code, out)
			return
		}
		s.server.Restart()
		s.settled()
	}
}
