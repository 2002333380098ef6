package rediskv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/readpoint"
)

// firstFetch and maxFetch are how many members a scan asks for first, and at
// most, at a time.
const (
	firstFetch = 32
	maxFetch   = 256
)

// snapshot reads the newest versions up to its point.
type snapshot struct {
	b     *Backend
	point *readpoint.Point
	ended atomic.Pointer[error]
}

// Snapshot implements kv.Backend. It asks Redis for nothing.
func (b *Backend) Snapshot() (kv.Snapshot, error) {
	if !b.calls.Enter() {
		return nil, kv.ErrClosed
	}
	defer b.calls.Leave()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &snapshot{b: b, point: b.points.Pin(b.visible)}
	b.open[s] = struct{}{}
	return s, nil
}

// Release implements kv.Snapshot.
func (s *snapshot) Release() {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	delete(s.b.open, s)
	s.end(kv.ErrReleased)
}

// end closes the snapshot; reads answer err from now on. The caller holds mu.
func (s *snapshot) end(err error) {
	if s.ended.CompareAndSwap(nil, &err) {
		s.b.points.Unpin(s.point)
	}
}

func (s *snapshot) err() error {
	if e := s.ended.Load(); e != nil {
		return *e
	}
	return nil
}

// read runs an exchange. What it found counts only if the snapshot was open
// all the while: what it saw may be removed afterwards.
func (s *snapshot) read(do func(ctx context.Context) error) error {
	if err := s.err(); err != nil {
		return err
	}
	err := s.b.read("read", do)
	if ended := s.err(); ended != nil {
		return ended
	}
	return err
}

// Get implements kv.Snapshot.
func (s *snapshot) Get(p kv.Partition, key []byte) ([]byte, bool, error) {
	if err := s.err(); err != nil {
		return nil, false, err
	}
	if !p.Valid() || len(key) > kv.MaxKeySize {
		return nil, false, nil
	}
	first := appendWholeKey(append(make([]byte, 0, len(key)+12), '['), key)
	r := redis.ZRangeArgs{
		Key:   s.b.dataKey(p),
		ByLex: true,
		Start: string(appendVersion(first, s.point.Seq)),
		Stop:  string(appendAfter(append(make([]byte, 0, len(key)+3), '('), key)),
		Count: 1,
	}
	var found []string
	err := s.read(func(ctx context.Context) (err error) {
		found, err = s.b.client.ZRangeArgs(ctx, r).Result()
		return err
	})
	if err != nil || len(found) == 0 {
		return nil, false, err
	}
	m, ok := parseMember(found[0])
	if !ok {
		return nil, false, damaged(p)
	}
	if m.kind == kindDeleted {
		return nil, false, nil
	}
	if m.kind == kindExternal {
		return s.external(p, m)
	}
	v := make([]byte, len(m.value))
	copy(v, m.value)
	return v, true, nil
}

// external fetches a value that does not stand in its member. It is gone when
// the partition was dropped after the member was read.
func (s *snapshot) external(p kv.Partition, m member) (v []byte, found bool, err error) {
	err = s.read(func(ctx context.Context) error {
		got, err := s.b.client.HGet(ctx, s.b.valueKey(p), m.key+string(appendVersion(nil, m.seq))).Bytes()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		v, found = got, err == nil
		return err
	})
	return v, found, err
}

// damaged is what is answered when Redis holds what this package did not write.
func damaged(p kv.Partition) error {
	return dberr.New(dberr.StorageUnavailable, "The storage is damaged.").
		WithHint("Keys of the database in Redis were changed by something else than its server.").
		Wrap(fmt.Errorf("redis: malformed entry in partition %q", string(p)))
}

// Partitions implements kv.Snapshot.
func (s *snapshot) Partitions(prefix kv.Partition) iter.Seq2[kv.Partition, error] {
	return func(yield func(kv.Partition, error) bool) {
		r := redis.ZRangeArgs{Key: s.b.registryKey(), ByLex: true, Start: "[" + string(prefix), Stop: "+", Count: 4 * maxFetch}
		if end := kv.Successor([]byte(prefix)); end != nil {
			r.Stop = "(" + string(end)
		}
		for {
			var names []string
			err := s.read(func(ctx context.Context) (err error) {
				names, err = s.b.client.ZRangeArgs(ctx, r).Result()
				return err
			})
			if err != nil {
				yield("", err)
				return
			}
			for _, n := range names {
				name, version, ok := strings.Cut(n, "\x00")
				if !ok || len(version) != versionLen {
					yield("", damaged("registry"))
					return
				}
				if parseVersion(version) > s.point.Seq {
					continue
				}
				if err := s.err(); err != nil {
					yield("", err)
					return
				}
				if !yield(kv.Partition(name), nil) {
					return
				}
			}
			if int64(len(names)) < r.Count {
				return
			}
			r.Start = "(" + names[len(names)-1]
		}
	}
}

// Scan implements kv.Snapshot.
func (s *snapshot) Scan(p kv.Partition, r kv.Range) kv.Iterator {
	it := &iterator{s: s, p: p, reverse: r.Reverse, keysOnly: r.KeysOnly, fetch: firstFetch, min: "-", max: "+"}
	if it.err = s.err(); it.err != nil {
		return it
	}
	if !p.Valid() || r.End != nil && bytes.Compare(r.Start, r.End) >= 0 {
		it.closed = true
		return it
	}
	if len(r.Start) > 0 {
		it.min = string(appendKey([]byte{'['}, r.Start))
	}
	if r.End != nil {
		it.max = string(appendKey([]byte{'('}, r.End))
	}
	return it
}

// iterator fetches members in pieces and finds the versions that its snapshot
// sees.
type iterator struct {
	s                 *snapshot
	p                 kv.Partition
	reverse, keysOnly bool
	// min and max bound what is still to be fetched.
	min, max string
	fetch    int64
	members  []string // fetched, not yet looked at
	last     bool     // nothing is left to be fetched

	// decided is the key, as it stands, whose version was found already.
	decided string
	some    bool // decided holds a key
	valid   bool
	closed  bool
	key     []byte
	val     []byte
	err     error
}

// Next implements kv.Iterator.
func (it *iterator) Next() bool {
	it.valid = false
	if it.closed || it.err != nil {
		return false
	}
	if it.err = it.s.err(); it.err != nil {
		return false
	}
	for {
		m, ok := it.version()
		if !ok {
			return false
		}
		switch {
		case m.kind == kindDeleted:
			continue
		case it.keysOnly:
		case m.kind == kindInline:
			it.val = append(it.val[:0], m.value...)
		default:
			v, found, err := it.s.external(it.p, m)
			if err != nil {
				it.err = err
				return false
			}
			if !found {
				continue
			}
			it.val = v
		}
		it.key, it.valid = appendPlain(it.key[:0], m.key), true
		return true
	}
}

// version finds the version of the next key that the snapshot sees.
func (it *iterator) version() (member, bool) {
	if it.reverse {
		return it.versionBackward()
	}
	for {
		m, ok := it.member()
		if !ok {
			return m, false
		}
		if m.seq > it.s.point.Seq || it.some && m.key == it.decided {
			continue
		}
		it.decided, it.some = m.key, true
		return m, true
	}
}

// versionBackward meets a key's oldest version first: the last one that the
// snapshot sees counts.
func (it *iterator) versionBackward() (found member, ok bool) {
	for {
		m, more := it.member()
		if !more {
			return found, ok && it.err == nil
		}
		if m.seq > it.s.point.Seq {
			continue
		}
		if ok && m.key != found.key {
			// One too far; it is looked at again.
			it.members = it.members[:len(it.members)+1]
			return found, true
		}
		found, ok = m, true
	}
}

// member takes the next member, fetching more when there is none. Fetched
// members are taken from the end of the slice.
func (it *iterator) member() (member, bool) {
	if len(it.members) == 0 && (it.last || !it.more()) {
		return member{}, false
	}
	n := len(it.members) - 1
	m, ok := parseMember(it.members[n])
	it.members = it.members[:n]
	if !ok {
		it.err = damaged(it.p)
	}
	return m, ok
}

// more fetches the next members.
func (it *iterator) more() bool {
	r := redis.ZRangeArgs{Key: it.s.b.dataKey(it.p), ByLex: true, Start: it.min, Stop: it.max, Rev: it.reverse, Count: it.fetch}
	if it.reverse {
		r.Start, r.Stop = it.max, it.min // Redis walks from Start to Stop
	}
	var got []string
	it.err = it.s.read(func(ctx context.Context) (err error) {
		got, err = it.s.b.client.ZRangeArgs(ctx, r).Result()
		return err
	})
	if it.err != nil {
		return false
	}
	it.last = int64(len(got)) < it.fetch
	it.fetch = min(2*it.fetch, maxFetch)
	if len(got) == 0 {
		return false
	}
	m, ok := parseMember(got[len(got)-1])
	if !ok {
		it.err = damaged(it.p)
		return false
	}
	bound := "(" + m.key + string(appendVersion(nil, m.seq))
	if it.reverse {
		it.max = bound
	} else {
		it.min = bound + "\xff"
	}
	for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
		got[i], got[j] = got[j], got[i]
	}
	it.members = got
	return true
}

// Key implements kv.Iterator.
func (it *iterator) Key() []byte {
	if !it.valid {
		return nil
	}
	return it.key
}

// Value implements kv.Iterator.
func (it *iterator) Value() ([]byte, error) {
	if !it.valid || it.keysOnly {
		return nil, it.err
	}
	return it.val, nil
}

// Err implements kv.Iterator.
func (it *iterator) Err() error { return it.err }

// Close implements kv.Iterator.
func (it *iterator) Close() {
	it.valid, it.closed = false, true
	it.members = nil
}
