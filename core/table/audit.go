package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
)

// Depth is how much of the files an audit looks at.
type Depth uint8

// The depths.
const (
	// Lists looks at what the backend says of the files.
	Lists Depth = iota
	// Ends opens each file, which has checksums of everything at its end, and
	// looks for files that are in no list.
	Ends
	// Everything reads every byte, too.
	Everything
)

// Audit looks at a database that nobody has open. It changes nothing.
type Audit struct {
	Snapshot kv.Snapshot
	// System are the definitions of the server's own tables.
	System []*ddl.Table
	Files  Files
	Depth  Depth
	// Finding hears of everything that is not as it should be, Segment of every
	// listed segment. Nil: nobody.
	Finding func(Finding)
	Segment func(AuditedSegment)

	cat      *catalog.Snapshot
	dropped  map[ident.TableID]bool
	tables   map[ident.TableID]*ddl.Table
	versions map[codecKey]bool
	codecs   codecs
	// listed are the partitions that have segments.
	listed map[kv.Partition]bool
	res    AuditResult
}

// Finding is something that is not as it should be.
type Finding struct {
	// Fault says that data is damaged or lost; else it is what a crash leaves
	// and the next start removes, or nothing to worry about.
	Fault bool
	// Table is the table's name, File an object's, empty where there is none.
	Table, File string
	Text        string
}

// AuditedSegment is a listed segment with its owner.
type AuditedSegment struct {
	Table *ddl.Table
	User  ident.UserID
	manifest.Entry
}

// AuditedTable is what was found of a table.
type AuditedTable struct {
	Table *ddl.Table
	// Live and Deleted are the rows that the database counts.
	Live, Deleted int64
	// Hot is how many entries the hot tier has, Cold how many versions the
	// segments have.
	Hot, Cold    int64
	Files, Bytes int64
	// Owners are the users that have rows of a USER table.
	Owners    int64
	LastFlush time.Time
}

// AuditedUser is what was found of a user, all tables together.
type AuditedUser struct {
	User         ident.UserID
	Hot, Cold    int64
	Files, Bytes int64
}

// AuditResult is what an audit has seen.
type AuditResult struct {
	Format uint32
	// Sequence is the limit of the sequence numbers that may have been given.
	Sequence   change.Seq
	Catalog    *catalog.Snapshot
	Tables     map[ident.TableID]*AuditedTable
	Users      map[ident.UserID]*AuditedUser
	Partitions int64
}

// Run does the audit. Its error means that the database cannot be looked at at
// all.
func (a *Audit) Run(ctx context.Context) (*AuditResult, error) {
	if a.Finding == nil {
		a.Finding = func(Finding) {}
	}
	if a.Segment == nil {
		a.Segment = func(AuditedSegment) {}
	}
	if err := a.definitions(); err != nil {
		return nil, err
	}
	if err := a.segments(ctx); err != nil {
		return nil, err
	}
	if err := a.rows(ctx); err != nil {
		return nil, err
	}
	a.counts()
	if err := a.leftovers(ctx); err != nil {
		return nil, err
	}
	return &a.res, nil
}

func (a *Audit) fault(t *ddl.Table, file, format string, args ...any) {
	f := Finding{Fault: true, File: file, Text: fmt.Sprintf(format, args...)}
	if t != nil {
		f.Table = t.Ident().String()
	}
	a.Finding(f)
}

// number reads a record of the meta partition; 0 when there is none.
func (a *Audit) number(key []byte, size int) (uint64, error) {
	v, found, err := a.Snapshot.Get(metaPartition, key)
	switch {
	case err != nil || !found:
		return 0, err
	case len(v) != size:
		a.fault(nil, "", "the record %q is damaged", key)
		return 0, nil
	case size == 4:
		return uint64(binary.BigEndian.Uint32(v)), nil
	}
	return binary.BigEndian.Uint64(v), nil
}

func (a *Audit) definitions() error {
	format, err := a.number(metaFormat, 4)
	if err != nil {
		return err
	}
	if format > Format {
		return dberr.Newf(dberr.StorageUnavailable, "The data was written by a newer server (format %d, this one knows %d).", format, Format).
			WithHint("Use the newer version.")
	}
	seq, err := a.number(metaSequence, 8)
	if err != nil {
		return err
	}
	cat, dropped, err := catalog.Load(a.Snapshot, a.System)
	if err != nil {
		return err
	}
	a.cat, a.dropped = cat, map[ident.TableID]bool{}
	a.tables, a.versions, a.listed = map[ident.TableID]*ddl.Table{}, map[codecKey]bool{}, map[kv.Partition]bool{}
	a.res = AuditResult{Format: uint32(format), Sequence: change.Seq(seq), Catalog: cat, Tables: map[ident.TableID]*AuditedTable{}, Users: map[ident.UserID]*AuditedUser{}}
	for _, d := range dropped {
		a.dropped[d.ID] = true
		a.Finding(Finding{Text: fmt.Sprintf("table %d is dropped, or was being restored; the next start removes what is left of it", d.ID)})
	}
	for versions := range cat.Histories("") {
		t := versions[len(versions)-1].Table
		a.tables[t.ID] = t
		for _, v := range versions {
			a.versions[codecKey{v.Table.ID, v.Table.SchemaVersion}] = true
		}
		if t.Type != ident.SystemTable {
			a.res.Tables[t.ID] = &AuditedTable{Table: t}
			if !cat.HasStorage(t.Storage) {
				a.fault(t, "", "its storage %s does not exist", t.Storage)
			}
		}
	}
	return nil
}

// owner finds the table of a partition of rows; nil when it has none that
// matters.
func (a *Audit) owner(p kv.Partition, file string) (*ddl.Table, ident.UserID) {
	name, err := keyenc.ParsePartition(p)
	if err != nil {
		a.fault(nil, file, "a partition has the name %q", string(p))
		return nil, ""
	}
	t := a.tables[name.Table]
	switch {
	case t == nil && a.dropped[name.Table]:
		return nil, ""
	case t == nil:
		a.fault(nil, file, "there are rows of a table %d, which does not exist", name.Table)
		return nil, ""
	case (name.Kind == keyenc.User) != (t.Type == ident.UserTable):
		a.fault(t, file, "a partition of the table is of another kind")
		return nil, ""
	}
	return t, name.User
}

func (a *Audit) user(id ident.UserID) *AuditedUser {
	u := a.res.Users[id]
	if u == nil {
		u = &AuditedUser{User: id}
		a.res.Users[id] = u
	}
	return u
}

// segments looks at the lists, and at the files that they list.
func (a *Audit) segments(ctx context.Context) error {
	var p kv.Partition
	var list []manifest.Entry
	one := func() {
		if len(list) > 0 {
			a.list(ctx, p, list)
		}
		list = list[:0]
	}
	for o, err := range manifest.All(a.Snapshot, "") {
		if err != nil {
			a.fault(nil, "", "%v", err)
			break
		}
		if o.Partition != p {
			one()
			p = o.Partition
		}
		list = append(list, o.Entry)
	}
	one()
	return context.Cause(ctx)
}

// list looks at the segments of one partition.
func (a *Audit) list(ctx context.Context, p kv.Partition, list []manifest.Entry) {
	t, user := a.owner(p, list[0].Name)
	if t == nil {
		return
	}
	slices.SortFunc(list, func(x, y manifest.Entry) int { return int(int64(x.MaxSeq) - int64(y.MaxSeq)) })
	sums := manifest.Sum(list)
	at := a.res.Tables[t.ID]
	at.Cold += sums.Rows
	at.Files += sums.Files
	at.Bytes += sums.Bytes
	a.listed[p] = true
	a.res.Partitions++
	if t.Type == ident.UserTable {
		at.Owners++
		u := a.user(user)
		u.Cold += sums.Rows
		u.Files += sums.Files
		u.Bytes += sums.Bytes
	}
	for i := range list {
		if ctx.Err() != nil {
			return
		}
		e := &list[i]
		a.Segment(AuditedSegment{t, user, *e})
		table, id, ok := manifest.ParseFileName(e.Name)
		switch {
		case !ok || table != t.ID || id != e.ID:
			a.fault(t, e.Name, "the segment %d is listed with the name of another file", e.ID)
		case e.MinSeq > e.MaxSeq || e.MaxSeq > a.res.Sequence:
			a.fault(t, e.Name, "it has the sequence numbers %d to %d, the database is at %d", e.MinSeq, e.MaxSeq, a.res.Sequence)
		case i > 0 && e.MinSeq <= list[i-1].MaxSeq:
			a.fault(t, e.Name, "its sequence numbers begin with %d, an older file of the partition has them up to %d", e.MinSeq, list[i-1].MaxSeq)
		case !a.versions[codecKey{t.ID, e.SchemaVersion}]:
			a.fault(t, e.Name, "it has the schema version %d, which the table never had", e.SchemaVersion)
		}
		if a.Depth == Lists {
			continue
		}
		if err := a.file(ctx, e); err != nil && ctx.Err() == nil {
			a.fault(t, e.Name, "%s", said(err))
		}
	}
}

// said is an error's message, with its cause where that says more.
func said(err error) string {
	e, ok := dberr.As(err)
	if !ok {
		return err.Error()
	}
	if cause := errors.Unwrap(e); cause != nil && !errors.Is(err, segment.ErrDamaged) && !errors.Is(err, object.ErrNotFound) {
		return fmt.Sprintf("%s (%v)", e.Message, cause)
	}
	return e.Message
}

// file looks at a segment's file.
func (a *Audit) file(ctx context.Context, e *manifest.Entry) error {
	b, err := a.Files.Bucket(a.cat, e.Storage)
	if err != nil {
		return err
	}
	// Nothing is read twice, so nothing is worth keeping.
	cache := segment.NewCache(segment.CacheOptions{Bytes: 1, Open: 1})
	defer cache.Clear()
	s, err := segment.Open(ctx, segment.Ref{Bucket: b, Name: e.Name, Size: e.Bytes, Checksum: e.Checksum}, cache)
	if err != nil {
		return missing(err, e.Name)
	}
	defer s.Close()
	least, greatest := s.Seqs()
	first, last := s.Keys()
	if s.Rows() != e.Rows || s.Deleted() != e.Deleted || least != e.MinSeq || greatest != e.MaxSeq || s.SchemaVersion() != e.SchemaVersion ||
		!bytes.Equal(first, e.FirstKey) || !bytes.Equal(last, e.LastKey) {
		return dberr.New(dberr.StorageUnavailable, "The list says other things of the file than it does itself.")
	}
	if a.Depth == Everything {
		return s.Verify(ctx)
	}
	return nil
}

// rows looks at the hot rows.
func (a *Audit) rows(ctx context.Context) error {
	for p, err := range a.Snapshot.Partitions(keyenc.TablesPrefix()) {
		if err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		t, user := a.owner(p, "")
		if t == nil {
			continue
		}
		if err := a.partition(p, t, user); err != nil {
			return err
		}
	}
	return nil
}

// partition looks at the hot rows of one partition. More than a few bad rows
// are counted only.
func (a *Audit) partition(p kv.Partition, t *ddl.Table, user ident.UserID) error {
	c, err := a.codecs.of(t, a.cat)
	if err != nil {
		return err
	}
	dec, err := c.decoder()
	if err != nil {
		return err
	}
	var row []sqltype.Value
	bad, n := 0, int64(0)
	it := a.Snapshot.Scan(p, kv.Range{})
	defer it.Close()
	for it.Next() {
		n++
		value, err := it.Value()
		if err != nil {
			return err
		}
		if row, err = a.row(c, dec, row[:0], it.Key(), value); err == nil {
			continue
		}
		if bad++; bad <= 3 {
			a.fault(t, "", "the hot row with the key %x%s: %v", it.Key(), of(user), said(err))
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	if bad > 3 {
		a.fault(t, "", "%d more hot rows%s are damaged", bad-3, of(user))
	}
	at := a.res.Tables[t.ID]
	if at == nil || n == 0 {
		return nil // the server's own, or a partition that had rows once
	}
	at.Hot += n
	fresh := !a.listed[p]
	if fresh {
		a.res.Partitions++
	}
	if t.Type == ident.UserTable {
		a.user(user).Hot += n
		if fresh {
			at.Owners++
		}
	}
	return nil
}

// decoder reads rows of declared columns.
func (c *codec) decoder() (*rowenc.Decoder, error) {
	cols := make([]int, len(c.table.Columns))
	for i := range cols {
		cols[i] = i
	}
	want, err := c.wants(cols)
	if err != nil {
		return nil, err
	}
	return rowenc.NewDecoder(c.layouts, want), nil
}

func of(user ident.UserID) string {
	if user == "" {
		return ""
	}
	return fmt.Sprintf(" of user %q", user)
}

func (a *Audit) row(c *codec, dec *rowenc.Decoder, dst []sqltype.Value, key, value []byte) ([]sqltype.Value, error) {
	r := rowenc.Row(value)
	if err := r.Check(); err != nil {
		return dst, err
	}
	if r.Seq() > a.res.Sequence {
		return dst, fmt.Errorf("it has the sequence number %d, the database is at %d", r.Seq(), a.res.Sequence)
	}
	row, err := dec.Values(dst, value)
	if err != nil {
		return dst, err
	}
	if len(c.key) > 0 && !bytes.Equal(c.appendKey(nil, row), key) {
		return row, errors.New("the row has another key than it is kept under")
	}
	return row, nil
}

// counts compares what was found with what the database counts.
func (a *Audit) counts() {
	var kept counts
	if err := kept.load(a.Snapshot); err != nil {
		a.fault(nil, "", "%v", err)
		return
	}
	for id, at := range a.res.Tables {
		n := kept.tables[id]
		at.Live, at.Deleted = n.live, n.deleted
		if n.flushed != 0 {
			at.LastFlush = time.UnixMicro(n.flushed).UTC()
		}
		if n.files != at.Files || n.bytes != at.Bytes {
			a.fault(at.Table, "", "%d files of %d bytes are listed, %d of %d are counted", at.Files, at.Bytes, n.files, n.bytes)
		}
		if hot := n.hot + n.hotDeleted; hot != at.Hot {
			a.fault(at.Table, "", "%d hot rows are there, %d are counted", at.Hot, hot)
		}
	}
}

// leftovers looks for files that are in no list.
func (a *Audit) leftovers(ctx context.Context) error {
	pending := map[string]bool{}
	it := a.Snapshot.Scan(notes, kv.Range{KeysOnly: true})
	for it.Next() {
		pending[string(it.Key())] = true
		storage, name, _ := bytes.Cut(it.Key(), []byte{0})
		a.Finding(Finding{File: string(name), Text: fmt.Sprintf("a file in storage %s was not finished or is no longer needed; the next start deletes it", storage)})
	}
	err := it.Err()
	it.Close()
	if err != nil || a.Depth == Lists {
		return err
	}
	ids := []ident.StorageID{sysname.DefaultStorage}
	for s := range a.cat.Storages() {
		ids = append(ids, s.ID)
	}
	for _, id := range ids {
		if err := a.unlisted(ctx, id, pending); err != nil && ctx.Err() == nil {
			a.fault(nil, "", "storage %s cannot be looked at: %s", id, said(err))
		}
	}
	return context.Cause(ctx)
}

// unlisted looks for files of one storage that have names of segments of this
// database.
func (a *Audit) unlisted(ctx context.Context, id ident.StorageID, pending map[string]bool) error {
	b, err := a.Files.Bucket(a.cat, id)
	if err != nil {
		return err
	}
	// Nobody writes now, so no file is too young to be judged.
	never := time.Unix(1<<40, 0)
	found, err := manifest.FindOrphans(ctx, b, "", id, a.Snapshot, never, func(t ident.TableID) bool { return t < a.cat.NextTable() })
	if err != nil {
		return err
	}
	for _, i := range found.Unlisted {
		if !pending[string(noted{id, i.Name}.key())] {
			a.Finding(Finding{File: i.Name, Text: fmt.Sprintf("a file of %d bytes in storage %s is in no list; it may be one of another database that uses the storage", i.Size, id)})
		}
	}
	return nil
}

// EachStored reads the rows of one of the server's own tables from a snapshot,
// those that are not deleted. A row is valid during the call.
func EachStored(snap kv.Snapshot, cat *catalog.Snapshot, t *ddl.Table, do func(row []sqltype.Value) error) error {
	var all codecs
	c, err := all.of(t, cat)
	if err != nil {
		return err
	}
	dec, err := c.decoder()
	if err != nil {
		return err
	}
	it := snap.Scan(keyenc.SharedPartition(t.ID), kv.Range{})
	defer it.Close()
	var row []sqltype.Value
	for it.Next() {
		value, err := it.Value()
		if err != nil {
			return err
		}
		if rowenc.Row(value).Deleted() {
			continue
		}
		if row, err = dec.Values(row[:0], value); err != nil {
			return err
		}
		if err := do(row); err != nil {
			return err
		}
	}
	return it.Err()
}
