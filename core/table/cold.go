package table

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
)

// Files are the places where cold files lie. Its methods may be called from
// several goroutines.
type Files interface {
	// Bucket gives the bucket of a storage as the catalog has it. It stays the
	// implementation's.
	Bucket(cat *catalog.Snapshot, id ident.StorageID) (object.Bucket, error)
	// ObjectName is the name that a file of a table has in its storage.
	ObjectName(cat *catalog.Snapshot, t *ddl.Table, user ident.UserID, file string) (string, error)
}

// coldList is the segments of one partition, as of a generation of its table.
// It is immutable.
//
// The segments of a partition have disjoint ranges of sequence numbers: a flush
// writes the rows that no segment has, which are newer than all that one has.
// So of two segments with the same key the one with the greater MaxSeq has the
// newer version, and a hot row up to seq is a copy of a cold one.
type coldList struct {
	entries []manifest.Entry // by MaxSeq, the oldest first
	// alone says of each entry that it shares no key range with another one.
	alone []bool
	// disjoint says that no two of them do.
	disjoint bool
	seq      change.Seq
	size     int
}

func newColdList(entries []manifest.Entry) *coldList {
	c := &coldList{entries: entries, alone: make([]bool, len(entries)), size: 128}
	slices.SortFunc(c.entries, func(a, b manifest.Entry) int { return int(int64(a.MaxSeq) - int64(b.MaxSeq)) })
	lone := map[manifest.ID]bool{}
	for _, run := range manifest.Runs(entries) {
		if len(run) == 1 {
			lone[run[0].ID] = true
		}
	}
	c.disjoint = len(lone) == len(entries)
	for i := range c.entries {
		e := &c.entries[i]
		c.alone[i] = lone[e.ID]
		c.seq = max(c.seq, e.MaxSeq)
		c.size += 256 + len(e.Name) + len(e.FirstKey) + len(e.LastKey) + 160*len(e.Columns)
	}
	return c
}

// holds tells whether a segment's range of keys has the key in it.
func holds(e *manifest.Entry, key []byte) bool {
	return bytes.Compare(key, e.FirstKey) >= 0 && bytes.Compare(key, e.LastKey) <= 0
}

// reaches tells whether any segment's range of keys has the key in it.
func (c *coldList) reaches(key []byte) bool {
	return c != nil && slices.ContainsFunc(c.entries, func(e manifest.Entry) bool { return holds(&e, key) })
}

// coldBytes bounds the memory of the lists that are kept.
const coldBytes = 32 << 20

// coldLists keeps lists that were read, the newest of each partition; the least
// recently used ones go first.
type coldLists struct {
	mu    sync.Mutex // guards what follows
	m     map[kv.Partition]*list.Element
	order list.List // of *coldKept, the most recently used first
	size  int
}

// coldKey names a list: each change of a table's segments makes a new
// generation, so a list never has to be taken back.
type coldKey struct {
	partition kv.Partition
	gen       uint64
}

type coldKept struct {
	key  coldKey
	list *coldList
}

func (c *coldLists) get(k coldKey) *coldList {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.m[k.partition]
	if e == nil || e.Value.(*coldKept).key != k {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*coldKept).list
}

func (c *coldLists) put(k coldKey, l *coldList) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[kv.Partition]*list.Element{}
	}
	if e := c.m[k.partition]; e != nil {
		if e.Value.(*coldKept).key.gen >= k.gen {
			return // who still reads an older state does not take its place
		}
		c.drop(e)
	}
	c.m[k.partition] = c.order.PushFront(&coldKept{k, l})
	c.size += l.size
	for c.size > coldBytes && c.order.Len() > 1 {
		c.drop(c.order.Back())
	}
}

func (c *coldLists) drop(e *list.Element) {
	kept := c.order.Remove(e).(*coldKept)
	delete(c.m, kept.key.partition)
	c.size -= kept.list.size
}

// noSegments is the list of a partition without any.
var noSegments = &coldList{size: 128}

// cold is the list of a partition at a state; nil when the table has no
// segments at all, which costs nothing to find out.
func (s *Store) cold(st *State, id ident.TableID, p kv.Partition) (*coldList, error) {
	gen, ok := st.cold[id]
	if !ok {
		return nil, nil
	}
	k := coldKey{p, gen}
	if l := s.lists.get(k); l != nil {
		return l, nil
	}
	entries, err := manifest.Load(st.kv, p)
	if err != nil {
		return nil, err
	}
	l := noSegments
	if len(entries) > 0 {
		l = newColdList(entries)
	}
	s.lists.put(k, l)
	return l, nil
}

// ref says where a listed segment is.
func (s *Store) ref(e *manifest.Entry) (segment.Ref, error) {
	b, err := s.opts.Files.Bucket(s.Catalog(), e.Storage)
	if err != nil {
		return segment.Ref{}, fmt.Errorf("open segment %s: %w", e.Name, err)
	}
	return segment.Ref{Bucket: b, Name: e.Name, Size: e.Bytes, Checksum: e.Checksum}, nil
}

// openSegment opens a listed segment, which must be closed.
func (s *Store) openSegment(ctx context.Context, e *manifest.Entry) (*segment.Segment, error) {
	ref, err := s.ref(e)
	if err != nil {
		return nil, err
	}
	seg, err := segment.Open(ctx, ref, s.segments)
	if err != nil {
		return nil, missing(err, e.Name)
	}
	return seg, nil
}

// missing says of a file that is not there that it is a segment.
func missing(err error, name string) error {
	if errors.Is(err, object.ErrNotFound) {
		return dberr.Newf(dberr.StorageUnavailable, "The segment %s is missing.", path.Base(name)).
			Wrap(err).WithHint("Restore the file from a backup.")
	}
	return err
}

// coldGet finds the newest cold version of a row and reads it into dst, which
// has a place for each of the wanted columns.
func (s *Store) coldGet(ctx context.Context, l *coldList, key []byte, want []rowenc.Want, dst []sqltype.Value) (h rowenc.Header, found bool, err error) {
	if l == nil {
		return h, false, nil
	}
	for i := len(l.entries) - 1; i >= 0; i-- {
		e := &l.entries[i]
		if !holds(e, key) {
			continue
		}
		seg, err := s.openSegment(ctx, e)
		if err != nil {
			return h, false, err
		}
		h, found, err = seg.Get(ctx, key, want, dst)
		seg.Close()
		if found || err != nil {
			return h, found, err
		}
	}
	return h, false, nil
}

// coldVersion is what the committer wants to know of a cold row.
func (s *Store) coldVersion(ctx context.Context, l *coldList, key []byte) (version, error) {
	h, found, err := s.coldGet(ctx, l, key, nil, nil)
	if err != nil || !found {
		return version{}, err
	}
	return version{seq: h.Seq, deleted: h.Deleted, cold: true}, nil
}
