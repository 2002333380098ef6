package table

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

// model is what a table should hold: by user and id.
type model map[ident.UserID]map[int64]stored

func (m model) rows(user ident.UserID, req exec.ScanRequest) (out []stored) {
	for id, r := range m[user] {
		if r.deleted && !req.IncludeDeleted {
			continue
		}
		if req.Ranges != nil && !slices.ContainsFunc(req.Ranges, func(k exec.KeyRange) bool {
			if len(k.Prefix) > 0 {
				return k.Prefix[0].Int() == id
			}
			return (k.Low.IsNull() || id > k.Low.Int() || id == k.Low.Int() && !k.LowOpen) &&
				(k.High.IsNull() || id < k.High.Int() || id == k.High.Int() && !k.HighOpen)
		}) {
			continue
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b stored) int { return int(a.id - b.id) })
	if req.Reverse {
		slices.Reverse(out)
	}
	return out
}

func randomRequest(r *rand.Rand, keys int64) exec.ScanRequest {
	req := exec.ScanRequest{Ordered: r.IntN(2) == 0, Reverse: r.IntN(3) == 0, IncludeDeleted: r.IntN(3) == 0}
	switch r.IntN(4) {
	case 0: // points
		req.Ranges = []exec.KeyRange{}
		ids := map[int64]bool{}
		for range r.IntN(5) {
			ids[r.Int64N(keys)] = true
		}
		for id := range keys {
			if ids[id] {
				req.Ranges = append(req.Ranges, exec.KeyRange{Prefix: sqltype.Row{sqltype.NewBigInt(id)}})
			}
		}
	case 1: // ranges, and a point between them
		req.Ranges = []exec.KeyRange{}
		at := int64(0)
		for range 3 {
			low := at + r.Int64N(keys/4)
			high := low + r.Int64N(keys/8)
			if r.IntN(4) == 0 {
				req.Ranges = append(req.Ranges, exec.KeyRange{Prefix: sqltype.Row{sqltype.NewBigInt(low)}})
				at = low + 1
				continue
			}
			req.Ranges = append(req.Ranges, exec.KeyRange{Low: sqltype.NewBigInt(low), High: sqltype.NewBigInt(high), LowOpen: r.IntN(2) == 0, HighOpen: r.IntN(2) == 0})
			at = high + 1
		}
	}
	return req
}

// TestTiersAgainstModel writes, flushes, restarts and reads at random, and
// compares every scan with a map.
func TestTiersAgainstModel(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4, 5, 6} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			b := memkv.New(memkv.Options{})
			p := newPlace()
			f := open(t, b, Options{Files: p})
			tab := f.table(ident.UserTable, "t", true, nil)
			keys := int64(60)
			if seed%2 == 0 {
				keys = 6000
			}
			users := []ident.UserID{"ann", "bob"}
			cut := 0
			m := model{"ann": {}, "bob": {}}
			check := func(n int) {
				t.Helper()
				for range n {
					user := users[r.IntN(2)]
					req := randomRequest(r, keys)
					want := m.rows(user, req)
					if limit := r.Int64N(40); limit > 30 {
						req.Limit = limit - 30
					}
					got := f.scan(user, tab, req)
					if !req.Ordered && !req.Reverse {
						slices.SortFunc(got, func(a, b stored) int { return int(a.id - b.id) })
					}
					if req.Limit > 0 {
						// A limit is advice, and without an order any rows do.
						if int64(len(got)) < min(req.Limit, int64(len(want))) {
							t.Fatalf("%s: %d rows of %d for a limit of %d", user, len(got), len(want), req.Limit)
						}
						if req.Ordered || req.Reverse {
							n := min(len(got), int(req.Limit))
							got, want = got[:n], want[:min(n, len(want))]
						} else {
							got, want = nil, nil
						}
					}
					if bodies(got) != bodies(want) {
						t.Fatalf("%s: %+v:\ngot  %s\nwant %s", user, req, bodies(got), bodies(want))
					}
					req.Reverse = false
					if got, parts := f.scanInParts(user, tab, req, 1+r.IntN(4), tiny); parts > 0 {
						if want := m.rows(user, req); bodies(got) != bodies(want) {
							t.Fatalf("%s in parts: %+v:\ngot  %s\nwant %s", user, req, bodies(got), bodies(want))
						}
						cut++
					}
				}
				for _, user := range users {
					for _, deleted := range []bool{false, true} {
						if got, want := f.countRows(user, tab, deleted), len(m.rows(user, exec.ScanRequest{IncludeDeleted: deleted})); got != want {
							t.Fatalf("%s: counted %d, want %d", user, got, want)
						}
					}
					id := r.Int64N(keys)
					got, found := f.get(user, tab, id)
					if want, ok := m[user][id]; found != (ok && !want.deleted) || found && got.body != want.body {
						t.Fatalf("%s: row %d is %+v, %v; want %+v", user, id, got, found, want)
					}
				}
			}
			rounds := 120
			if keys > 1000 {
				rounds = 30
			}
			for round := range rounds {
				for range r.IntN(40) {
					user, id := users[r.IntN(2)], r.Int64N(keys)
					body := fmt.Sprint(round, "-", r.IntN(1000))
					old, ok := m[user][id]
					switch {
					case !ok || old.deleted:
						// Many at once, so that segments have several blocks.
						var set []exec.Write
						for i := id; i < min(id+r.Int64N(keys/4), keys) || i == id; i++ {
							if x, there := m[user][i]; !there || x.deleted {
								set = append(set, insert(i, body))
								m[user][i] = stored{id: i, body: body}
							}
						}
						f.mustCommit(user, tab, set...)
					case r.IntN(3) == 0:
						if err := f.delete(user, tab, id); err != nil {
							t.Fatal(err)
						}
						old.deleted = true
						m[user][id] = old
					default:
						if err := f.update(user, tab, id, func(string) string { return body }); err != nil {
							t.Fatal(err)
						}
						m[user][id] = stored{id: id, body: body}
					}
				}
				switch r.IntN(10) {
				case 0, 1:
					f.flush(tab)
				case 4:
					// Tombstones go in the third that are old enough.
					f.compact(tab, CompactOptions{MinSegments: r.IntN(3)})
				case 2:
					// One that ends before it has removed what it moved.
					f.interrupted(tab, StepListed)
				case 3:
					if err := f.Close(); err != nil {
						t.Fatal(err)
					}
					f = open(t, b, Options{Files: p})
				}
				check(4)
			}
			if cut == 0 && keys > 1000 {
				t.Error("no scan was cut into parts")
			}
			var live int64
			for _, user := range users {
				live += int64(len(m.rows(user, exec.ScanRequest{})))
			}
			f.flush(tab)
			s := f.Stats(tab.ID)
			// Files that a compaction has replaced are deleted by and by.
			for range 1000 {
				if int64(len(p.names(t))) == s.Files {
					break
				}
				time.Sleep(time.Millisecond)
			}
			if s.Buffered != 0 || s.Flushed != live || s.Waiting != 0 || s.Files != int64(len(p.names(t))) {
				t.Errorf("stats are %+v, %d rows, %d files", s, live, len(p.names(t)))
			}
		})
	}
}
