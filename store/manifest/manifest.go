package manifest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/pack"
	"github.com/kalamdb/kalamdb/store/segment"
)

// ID is a segment's number. A server gives each number once, so that a segment
// which replaces another one never has its name.
type ID uint64

// Entry is a live segment.
type Entry struct {
	ID ID
	// Storage is where the file lies, Name is its object's name there.
	Storage ident.StorageID
	Name    string
	// Level is how often the rows were compacted: 0 fresh from the hot tier.
	Level   uint8
	Created time.Time
	// The rest is what the writer said of the file.
	segment.Summary
}

// partition keeps the lists of all partitions.
var partition = keyenc.CatalogPartition("segments")

// ownerKey starts the keys of a partition's segments: its name and a zero byte,
// which no name holds. So the lists of a table lie together.
func ownerKey(p kv.Partition) []byte {
	return append(append(make([]byte, 0, len(p)+1+8), p...), 0)
}

func entryKey(p kv.Partition, id ID) []byte {
	return binary.BigEndian.AppendUint64(ownerKey(p), uint64(id))
}

// Add puts a segment into the list of a partition of rows; one with the same
// number is replaced.
func Add(b *kv.Batch, p kv.Partition, e *Entry) { b.Put(partition, entryKey(p, e.ID), e.append(nil)) }

// Remove takes a segment out of the list. The file has to be deleted after the
// batch is written and nobody reads an older snapshot.
func Remove(b *kv.Batch, p kv.Partition, id ID) { b.Delete(partition, entryKey(p, id)) }

// Replace takes segments out and puts others in.
func Replace(b *kv.Batch, p kv.Partition, old []ID, now ...*Entry) {
	for _, id := range old {
		Remove(b, p, id)
	}
	for _, e := range now {
		Add(b, p, e)
	}
}

// Load reads the list of a partition, in the order of the segments' numbers.
// Errors: INTERNAL when an entry is damaged, or what the backend gives.
func Load(s kv.Snapshot, p kv.Partition) ([]Entry, error) {
	var out []Entry
	for o, err := range walk(s, kv.PrefixRange(ownerKey(p))) {
		if err != nil {
			return nil, err
		}
		out = append(out, o.Entry)
	}
	return out, nil
}

// Owned is a segment and the partition whose rows it has.
type Owned struct {
	Partition kv.Partition
	Entry
}

// All walks the lists of all partitions whose names start with prefix, those
// of one partition together. The walk ends after the first error.
func All(s kv.Snapshot, prefix kv.Partition) iter.Seq2[Owned, error] {
	return func(yield func(Owned, error) bool) {
		walk(s, kv.PrefixRange([]byte(prefix)))(yield)
	}
}

func walk(s kv.Snapshot, r kv.Range) iter.Seq2[Owned, error] {
	return func(yield func(Owned, error) bool) {
		it := s.Scan(partition, r)
		defer it.Close()
		for it.Next() {
			v, err := it.Value()
			if err == nil {
				var o Owned
				if o, err = read(it.Key(), v); err == nil {
					if !yield(o, nil) {
						return
					}
					continue
				}
			}
			yield(Owned{}, fmt.Errorf("read the list of segments: %w", err))
			return
		}
		if err := it.Err(); err != nil {
			yield(Owned{}, fmt.Errorf("read the list of segments: %w", err))
		}
	}
}

// DropPartition adds to a batch that the list of a partition goes.
func DropPartition(b *kv.Batch, s kv.Snapshot, p kv.Partition) ([]Entry, error) {
	entries, err := Load(s, p)
	for i := range entries {
		Remove(b, p, entries[i].ID)
	}
	return entries, err
}

// DropTable adds to a batch that the lists of all partitions of a table go,
// and gives what was in them.
func DropTable(b *kv.Batch, s kv.Snapshot, table ident.TableID) ([]Owned, error) {
	var out []Owned
	for o, err := range All(s, keyenc.TablePrefix(table)) {
		if err != nil {
			return nil, err
		}
		Remove(b, o.Partition, o.ID)
		out = append(out, o)
	}
	return out, nil
}

// Totals are sums over entries.
type Totals struct {
	Files, Rows, Deleted, Bytes int64
}

// Sum adds entries up.
func Sum(entries []Entry) (t Totals) {
	for i := range entries {
		e := &entries[i]
		t.Files++
		t.Rows += e.Rows
		t.Deleted += e.Deleted
		t.Bytes += e.Bytes
	}
	return t
}

// Overlaps tells whether a segment may have a key from start to end
// (exclusive); nil means no bound.
func (e *Entry) Overlaps(start, end []byte) bool {
	return (end == nil || bytes.Compare(e.FirstKey, end) < 0) && (start == nil || bytes.Compare(e.LastKey, start) >= 0)
}

// May tells whether some row of the segment may satisfy all bounds. What it
// leaves out must not hide older versions: see segment.ScanOptions.
func (e *Entry) May(bounds []segment.Bound) bool {
	for _, b := range bounds {
		for i := range e.Columns {
			if c := &e.Columns[i]; c.ID == b.Column && !c.May(b.Op, b.Value) {
				return false
			}
		}
	}
	return true
}

// Runs groups entries into sets that share no keys, in the order of their
// keys. Within a set of one segment every row is the newest cold version, so
// it needs no merging with others, and may be pruned by any column.
func Runs(entries []Entry) [][]Entry {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b Entry) int { return bytes.Compare(a.FirstKey, b.FirstKey) })
	var out [][]Entry
	var last []byte
	for _, e := range sorted {
		if n := len(out); n > 0 && bytes.Compare(e.FirstKey, last) <= 0 {
			out[n-1] = append(out[n-1], e)
		} else {
			out = append(out, []Entry{e})
			last = nil
		}
		if bytes.Compare(e.LastKey, last) > 0 {
			last = e.LastKey
		}
	}
	return out
}

// nameEnd ends the names of segments' files.
const nameEnd = ".parquet"

// FileName is the last part of a segment's object name: table and number, so
// that tables which share a folder, or had the same name one after the other,
// never meet.
func FileName(table ident.TableID, id ID) string {
	return fmt.Sprintf("%08x-%016x%s", uint32(table), uint64(id), nameEnd)
}

// ParseFileName reads the last part of an object's name. It answers false for
// what is no segment.
func ParseFileName(name string) (ident.TableID, ID, bool) {
	base := name[strings.LastIndexByte(name, '/')+1:]
	stem, found := strings.CutSuffix(base, nameEnd)
	t, i, dash := strings.Cut(stem, "-")
	if !found || !dash {
		return 0, 0, false
	}
	table, err := strconv.ParseUint(t, 16, 32)
	if err != nil {
		return 0, 0, false
	}
	id, err := strconv.ParseUint(i, 16, 64)
	if err != nil || FileName(ident.TableID(table), ID(id)) != base {
		return 0, 0, false
	}
	return ident.TableID(table), ID(id), true
}

// Orphans compares a storage with the lists.
type Orphans struct {
	// Unlisted are files that look like segments and are in no list: what a
	// crash left behind, or what is being written now.
	Unlisted []object.Info
	// Missing are listed segments whose file is not there, Resized those
	// whose file has another size.
	Missing, Resized []Owned
}

// FindOrphans looks at all objects of a bucket below prefix that have names of
// segments, for the tables that belongs accepts, and compares them with the
// listed ones of that storage. Other files are left alone. A file that is
// younger than before may be one that is being written and is not reported.
func FindOrphans(ctx context.Context, b object.Bucket, prefix string, storage ident.StorageID, s kv.Snapshot, before time.Time, belongs func(ident.TableID) bool) (Orphans, error) {
	var out Orphans
	listed := map[string]Owned{}
	for o, err := range All(s, "") {
		if err != nil {
			return out, err
		}
		if o.Storage == storage && strings.HasPrefix(o.Name, prefix) {
			if table, _, ok := ParseFileName(o.Name); !ok || belongs(table) {
				listed[o.Name] = o
			}
		}
	}
	for i, err := range b.List(ctx, prefix) {
		if err != nil {
			return out, err
		}
		table, _, ok := ParseFileName(i.Name)
		if !ok || !belongs(table) {
			continue
		}
		o, found := listed[i.Name]
		switch {
		case found && o.Bytes != i.Size:
			out.Resized = append(out.Resized, o)
		case !found && i.Modified.Before(before):
			out.Unlisted = append(out.Unlisted, i)
		}
		delete(listed, i.Name)
	}
	for _, o := range listed {
		out.Missing = append(out.Missing, o)
	}
	slices.SortFunc(out.Missing, func(a, b Owned) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func damaged(format string, args ...any) error {
	return dberr.New(dberr.Internal, "an entry of the list of segments is damaged: "+fmt.Sprintf(format, args...))
}

// format is the version of an entry's bytes.
const format = 1

// append appends the entry's bytes, without its number, which is in the key.
func (e *Entry) append(dst []byte) []byte {
	dst = append(dst, format, e.Level)
	dst = pack.AppendBytes(dst, string(e.Storage))
	dst = pack.AppendBytes(dst, e.Name)
	dst = binary.AppendVarint(dst, e.Created.UnixMicro())
	dst = binary.AppendUvarint(dst, uint64(e.Bytes))
	dst = binary.LittleEndian.AppendUint64(dst, e.Checksum)
	dst = binary.AppendUvarint(dst, uint64(e.Rows))
	dst = binary.AppendUvarint(dst, uint64(e.Deleted))
	dst = binary.AppendUvarint(dst, uint64(e.SchemaVersion))
	dst = pack.AppendBytes(dst, e.FirstKey)
	dst = pack.AppendBytes(dst, e.LastKey)
	dst = binary.AppendUvarint(dst, uint64(e.MinSeq))
	dst = binary.AppendUvarint(dst, uint64(e.MaxSeq))
	dst = binary.AppendVarint(dst, e.MinUpdated)
	dst = binary.AppendVarint(dst, e.MaxUpdated)
	dst = binary.AppendUvarint(dst, uint64(len(e.Columns)))
	for _, c := range e.Columns {
		dst = binary.AppendUvarint(dst, uint64(c.ID))
		dst = append(dst, byte(c.Kind))
		dst = segment.AppendRange(dst, c.ValueRange)
	}
	return dst
}

// Encode gives the entry without its number, as the list keeps it.
func (e *Entry) Encode() []byte { return e.append(nil) }

// Parse reads what Encode gave. Its error has the code INTERNAL.
func Parse(b []byte) (Entry, error) {
	o, err := readValue(Owned{}, b)
	return o.Entry, err
}

// read reads a key and its value.
func read(key, value []byte) (o Owned, err error) {
	n := len(key) - 8
	if n < 2 || bytes.IndexByte(key, 0) != n-1 {
		return o, damaged("its key is %x", key)
	}
	o.Partition, o.ID = kv.Partition(key[:n-1]), ID(binary.BigEndian.Uint64(key[n:]))
	return readValue(o, value)
}

// readValue reads a value into an entry that has its number.
func readValue(o Owned, value []byte) (Owned, error) {
	r := pack.Reader{Rest: value}
	if f := r.Byte(); f != format {
		return o, damaged("it has the unknown format %d", f)
	}
	o.Level = r.Byte()
	o.Storage, o.Name = ident.StorageID(r.Bytes()), string(r.Bytes())
	o.Created = time.UnixMicro(r.Varint()).UTC()
	o.Bytes = int64(r.Uvarint())
	o.Checksum = r.Uint64()
	o.Rows, o.Deleted, o.SchemaVersion = int64(r.Uvarint()), int64(r.Uvarint()), uint32(r.Uvarint())
	o.FirstKey, o.LastKey = bytes.Clone(r.Bytes()), bytes.Clone(r.Bytes())
	o.MinSeq, o.MaxSeq = change.Seq(r.Uvarint()), change.Seq(r.Uvarint())
	o.MinUpdated, o.MaxUpdated = r.Varint(), r.Varint()
	for range r.Count(1) {
		if r.Bad {
			break
		}
		c := segment.ColumnRange{ID: uint32(r.Uvarint()), Kind: sqltype.Kind(r.Byte())}
		var ok bool
		if c.ValueRange, r.Rest, ok = segment.ReadRange(r.Rest, c.Kind); !ok {
			r.Bad = true
		}
		o.Columns = append(o.Columns, c)
	}
	if r.Bad || len(r.Rest) > 0 || o.Bytes < 0 || o.Rows < 0 || o.Deleted < 0 {
		return Owned{}, damaged("segment %d of partition %q", o.ID, string(o.Partition))
	}
	return o, nil
}
