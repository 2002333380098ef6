package table

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/kv"
)

// count is how many rows a table has in the backend, all users together.
type count struct {
	live, deleted int64
}

func (c count) zero() bool { return c == count{} }

// counts keeps the exact numbers of rows of every table. They are written in
// the batch that changes them, so they need no scan and survive a crash. The
// committer writes, everybody reads.
type counts struct {
	mu     sync.RWMutex // guards tables
	tables map[ident.TableID]count
}

// A count's key in the meta partition is countTag and the table's id; its
// value two varints.
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
		var n count
		var used, more int
		n.live, used = binary.Varint(v)
		if used > 0 {
			n.deleted, more = binary.Varint(v[used:])
		}
		if len(k) != 6 || used <= 0 || more <= 0 {
			return fmt.Errorf("read row counts: record %q is damaged", k)
		}
		c.tables[ident.TableID(binary.BigEndian.Uint32(k[2:]))] = n
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read row counts: %w", err)
	}
	return nil
}

func (c *counts) get(id ident.TableID) count {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables[id]
}

// put adds the changed counts to the batch that changes them.
func (c *counts) put(b *kv.Batch, deltas map[ident.TableID]count) {
	var buf [2 * binary.MaxVarintLen64]byte
	for id, d := range deltas {
		if d.zero() {
			continue
		}
		n := c.tables[id]
		v := binary.AppendVarint(buf[:0], n.live+d.live)
		v = binary.AppendVarint(v, n.deleted+d.deleted)
		b.Put(metaPartition, countKey(id), v)
	}
}

// apply makes the deltas count, once they are written.
func (c *counts) apply(deltas map[ident.TableID]count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, d := range deltas {
		n := c.tables[id]
		n.live += d.live
		n.deleted += d.deleted
		c.tables[id] = n
	}
}

// remove adds to a batch that a table's count goes.
func (c *counts) remove(b *kv.Batch, id ident.TableID) { b.Delete(metaPartition, countKey(id)) }

func (c *counts) forget(id ident.TableID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tables, id)
}

// RowCount is how many rows a USER or SHARED table has in the hot tier, of all
// users together, and how many that are deleted but kept.
func (s *Store) RowCount(id ident.TableID) (live, deleted int64) {
	c := s.counts.get(id)
	return c.live, c.deleted
}
