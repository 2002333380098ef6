package table

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/rowenc"
)

// count is what is known of a table's rows and files, all users together.
type count struct {
	// live and deleted are the rows in both tiers, each counted once.
	live, deleted int64
	// hot are the live rows whose newest version is in the hot tier, and
	// hotDeleted the deleted ones.
	hot, hotDeleted int64
	files, bytes    int64
	// flushed is when rows were last moved, in microseconds since 1970-01-01
	// UTC; 0: never.
	flushed int64
}

func (c count) zero() bool { return c == count{} }

// add is the count after a change. The time of a flush is that of the change,
// if it has one.
func (c count) add(d count) count {
	c.live += d.live
	c.deleted += d.deleted
	c.hot += d.hot
	c.hotDeleted += d.hotDeleted
	c.files += d.files
	c.bytes += d.bytes
	if d.flushed != 0 {
		c.flushed = d.flushed
	}
	return c
}

func (c *count) fields() [7]*int64 {
	return [7]*int64{&c.live, &c.deleted, &c.hot, &c.hotDeleted, &c.files, &c.bytes, &c.flushed}
}

// counts keeps the exact numbers of every table. They are written in the batch
// that changes them, so they need no scan and survive a crash. The committer
// writes, everybody reads.
type counts struct {
	mu     sync.RWMutex // guards tables
	tables map[ident.TableID]count
}

// A count's key in the meta partition is countTag and the table's id; its
// value varints. A record of two is from before there was a cold tier.
const countTag = 'r'

func countKey(id ident.TableID) []byte {
	return binary.BigEndian.AppendUint32([]byte{countTag, '/'}, uint32(id))
}

func (c *counts) load(snap kv.Snapshot) error {
	c.tables = map[ident.TableID]count{}
	it := snap.Scan(metaPartition, kv.PrefixRange([]byte{countTag, '/'}))
	defer it.Close()
	for it.Next() {
		k := it.Key()
		v, err := it.Value()
		if err != nil {
			return fmt.Errorf("read row counts: %w", err)
		}
		n, ok := readCount(v)
		if len(k) != 6 || !ok {
			return fmt.Errorf("read row counts: record %q is damaged", k)
		}
		c.tables[ident.TableID(binary.BigEndian.Uint32(k[2:]))] = n
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read row counts: %w", err)
	}
	return nil
}

func readCount(v []byte) (n count, ok bool) {
	read := 0
	for _, f := range n.fields() {
		x, used := binary.Varint(v)
		if used <= 0 {
			break
		}
		*f, v = x, v[used:]
		read++
	}
	if read == 2 {
		n.hot, n.hotDeleted = n.live, n.deleted
	}
	return n, (read == 2 || read == 7) && len(v) == 0
}

func (c *counts) get(id ident.TableID) count {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables[id]
}

// put adds the changed counts to the batch that changes them.
func (c *counts) put(b *kv.Batch, deltas map[ident.TableID]count) {
	var buf [7 * binary.MaxVarintLen64]byte
	for id, d := range deltas {
		if d.zero() {
			continue
		}
		n := c.tables[id].add(d)
		v := buf[:0]
		for _, f := range n.fields() {
			v = binary.AppendVarint(v, *f)
		}
		b.Put(metaPartition, countKey(id), v)
	}
}

// apply makes the deltas count, once they are written.
func (c *counts) apply(deltas map[ident.TableID]count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, d := range deltas {
		c.tables[id] = c.tables[id].add(d)
	}
}

// remove adds to a batch that a table's count goes.
func (c *counts) remove(b *kv.Batch, id ident.TableID) { b.Delete(metaPartition, countKey(id)) }

func (c *counts) forget(id ident.TableID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tables, id)
}

// RowCount is how many rows a USER or SHARED table has, of all users together,
// and how many that are deleted but kept.
func (s *Store) RowCount(id ident.TableID) (live, deleted int64) {
	c := s.counts.get(id)
	return c.live, c.deleted
}

// Stats are the figures of a table, all users together. They are kept, not
// made by scanning.
type Stats struct {
	// Buffered are the rows whose newest version is in the hot tier, Flushed
	// those of the others; Deleted are rows that are deleted but kept, in both.
	Buffered, Flushed, Deleted int64
	// Waiting is how many entries of the hot tier the next flush will move:
	// rows and deletions.
	Waiting      int64
	Files, Bytes int64
	// LastFlush is zero when there was none.
	LastFlush time.Time
}

// Stats reads the figures of a table.
func (s *Store) Stats(id ident.TableID) Stats {
	c := s.counts.get(id)
	out := Stats{
		Buffered: c.hot, Flushed: c.live - c.hot, Deleted: c.deleted, Waiting: c.hot + c.hotDeleted,
		Files: c.files, Bytes: c.bytes,
	}
	if c.flushed != 0 {
		out.LastFlush = time.UnixMicro(c.flushed).UTC()
	}
	return out
}

// Totals are the figures of all tables together.
type Totals struct {
	// Waiting, Buffered, Flushed, Deleted, Files and Bytes are as in Stats.
	Waiting, Buffered, Flushed, Deleted, Files, Bytes int64
}

// Totals adds the figures of all tables up.
func (s *Store) Totals() Totals {
	s.counts.mu.RLock()
	defer s.counts.mu.RUnlock()
	var t Totals
	for _, c := range s.counts.tables {
		t.Waiting += c.hot + c.hotDeleted
		t.Buffered += c.hot
		t.Flushed += c.live - c.hot
		t.Deleted += c.deleted
		t.Files += c.files
		t.Bytes += c.bytes
	}
	return t
}

// UserStats are the figures of one user's part of a USER table at a state. They
// are made by looking at the user's hot rows and the list of the user's files.
func (s *Store) UserStats(ctx context.Context, st *State, t *ddl.Table, user ident.UserID) (Stats, error) {
	var out Stats
	v := View{Store: s, State: st, User: user, Now: s.opts.Now()}
	opened, err := v.Table(ctx, t)
	if err != nil {
		return out, err
	}
	src, ok := opened.(*storedTable)
	if !ok {
		return out, fmt.Errorf("count rows of %s: it is not stored", t.Ident())
	}
	l, err := src.coldList(ctx)
	if err != nil {
		return out, err
	}
	var after change.Seq
	if l != nil {
		after = l.seq
		sums := manifest.Sum(l.entries)
		out.Files, out.Bytes = sums.Files, sums.Bytes
		for i := range l.entries {
			if at := l.entries[i].Created; at.After(out.LastFlush) {
				out.LastFlush = at
			}
		}
	}
	it := st.kv.Scan(src.p, kv.Range{})
	defer it.Close()
	for it.Next() {
		row, err := it.Value()
		if err != nil {
			return out, src.damaged(err)
		}
		switch r := rowenc.Row(row); {
		case r.Seq() <= after:
			// A copy that is about to go.
		case r.Deleted():
			out.Waiting++
		default:
			out.Waiting++
			out.Buffered++
		}
	}
	if err := it.Err(); err != nil {
		return out, src.damaged(err)
	}
	sc, err := src.Scan(ctx, exec.ScanRequest{})
	if err != nil {
		return out, err
	}
	defer sc.Close()
	for {
		b, err := sc.Next(ctx)
		if err != nil {
			return out, err
		}
		if b == nil {
			break
		}
		out.Flushed += int64(b.Rows())
	}
	out.Flushed -= out.Buffered
	return out, nil
}
