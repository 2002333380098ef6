package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
)

// prepared is a write set with everything done that needs no turn: keys and
// rows are encoded, but for the numbers that only the committer knows.
type prepared struct {
	ws        *exec.WriteSet
	user      ident.UserID
	partition kv.Partition // of USER, SHARED and the server's own tables
	stream    bool
	hard      bool
	writes    []encoded
	// steps and size are at least what the batch will grow by.
	steps int
	size  int64
	// gen is the generation of the table's segments that the cold versions
	// below are of; looked says that there are any.
	gen    uint64
	looked bool
	// next is another write set of the same statement, which commits with this
	// one and after it. Its steps and size are counted here, too.
	next *prepared
}

// encoded is one write.
type encoded struct {
	// key is the row's key after the write; nil for an INSERT into a table
	// without a primary key, which gets one from its sequence number.
	key []byte
	// oldKey is the key before an UPDATE that changes it, else nil; tomb is
	// what is then left there.
	oldKey []byte
	value  []byte
	tomb   []byte
	size   int64
	// cold and oldCold are the newest versions of key and oldKey for when the
	// hot tier has none at the statement's turn.
	cold, oldCold version
	// gone is the deleted row that an INSERT of its key puts an end to, when a
	// live query shows it. covers says that an UPDATE of the key does that.
	gone   *goneRow
	covers bool
}

// goneRow is a deleted row as it was last.
type goneRow struct {
	row  sqltype.Row
	seq  change.Seq
	time time.Time
}

// prepareAll prepares the write sets of a statement; nil when they are empty.
func (s *Store) prepareAll(ctx context.Context, read *State, user ident.UserID, sets []*exec.WriteSet) (first *prepared, err error) {
	last := &first
	for _, ws := range sets {
		if len(ws.Writes) == 0 {
			continue
		}
		p, err := s.prepare(ctx, read, user, ws)
		if err != nil {
			return nil, err
		}
		*last = p
		if last = &p.next; p != first {
			first.steps, first.size = first.steps+p.steps, first.size+p.size
		}
	}
	return first, nil
}

// prepare encodes a write set, on the statement's own goroutine.
func (s *Store) prepare(ctx context.Context, read *State, user ident.UserID, ws *exec.WriteSet) (*prepared, error) {
	t := ws.Table
	p := &prepared{ws: ws, stream: t.Type == ident.StreamTable, hard: s.hard[t.ID]}
	switch {
	case t.Type.PerUser():
		if user == "" {
			return nil, errors.New("write to a user's table without a user")
		}
		p.user = user
		if !p.stream {
			p.partition = keyenc.UserPartition(t.ID, user)
		}
	case t.Type == ident.SharedTable, p.hard:
		p.partition = keyenc.SharedPartition(t.ID)
	default:
		return nil, dberr.Newf(dberr.PermissionDenied, "table %s cannot be changed", t.Ident())
	}
	c, err := s.codecs.of(t, s.Catalog())
	if err != nil {
		return nil, err
	}
	p.writes = make([]encoded, len(ws.Writes))
	for i := range ws.Writes {
		w, e := &ws.Writes[i], &p.writes[i]
		if p.stream && w.Op == change.Update {
			return nil, dberr.Newf(dberr.Unsupported, "rows of the STREAM table %s cannot be updated", t.Ident()).
				WithHint("Insert a new row instead.")
		}
		if err := p.encode(c, w, e); err != nil {
			return nil, err
		}
		p.steps += 2
		e.size = int64(2*len(p.partition) + len(e.key) + len(e.oldKey) + len(e.value) + len(e.tomb) + 2*64)
		p.size += e.size
	}
	if p.stream || p.hard {
		return p, nil
	}
	if err := s.lookCold(ctx, read, p); err != nil {
		return nil, err
	}
	return p, s.lookDeleted(ctx, p)
}

// shown tells whether a live query shows deleted rows of a table.
func (s *Store) shown(t *ddl.Table) bool {
	return t.Type == ident.UserTable && s.pub.ShowsDeleted(t.ID)
}

// lookDeleted reads the deleted rows whose keys are inserted, for live queries
// that show them.
func (s *Store) lookDeleted(ctx context.Context, p *prepared) error {
	t := p.ws.Table
	keys := t.KeyOrdinals()
	if len(keys) == 0 || !s.shown(t) {
		return nil
	}
	st := s.Acquire()
	defer st.Release()
	v := View{Store: s, State: st, User: p.user}
	rows, err := v.Table(ctx, t)
	if err != nil {
		return err
	}
	cols := make([]int, 0, len(t.Columns)+3)
	for i := range t.Columns {
		cols = append(cols, i)
	}
	n := len(cols)
	cols = append(cols, t.SeqOrdinal(), t.UpdatedOrdinal(), t.DeletedOrdinal())
	row, key := make(sqltype.Row, len(cols)), make(sqltype.Row, len(keys))
	for i := range p.ws.Writes {
		w := &p.ws.Writes[i]
		if w.Op != change.Insert {
			continue
		}
		for k, o := range keys {
			key[k] = w.New[o]
		}
		found, err := rows.Get(ctx, key, cols, true, row)
		if err != nil {
			return err
		}
		if found && row[n+2].Bool() {
			p.writes[i].gone = &goneRow{row[:n].Clone(), change.Seq(row[n].Int()), time.UnixMicro(row[n+1].Int()).UTC()}
		}
	}
	return nil
}

// lookCold finds the cold versions of the rows that a write set is about, so
// that the committer need not read files. They hold for as long as the table's
// segments stay as they are, because only a flush moves rows there.
func (s *Store) lookCold(ctx context.Context, read *State, p *prepared) error {
	st := s.Acquire()
	defer st.Release()
	id := p.ws.Table.ID
	l, err := s.cold(st, id, p.partition)
	if err != nil {
		return err
	}
	p.gen = st.cold[id]
	// What the statement itself has read is as good, if nothing moved since.
	known := read != nil && read.cold[id] == p.gen
	look := func(key []byte) (version, error) {
		p.looked = true
		if !l.reaches(key) {
			return version{}, nil
		}
		value, found, err := st.kv.Get(p.partition, key)
		switch {
		case err != nil:
			return version{}, err
		case !found:
			return s.coldVersion(ctx, l, key)
		}
		// A flush that has listed its segments may take the row out of the hot
		// tier before this statement's turn.
		v, err := versionOf(value)
		v.cold = true
		return v, err
	}
	old := func(key []byte, w *exec.Write) (version, error) {
		if known {
			p.looked = true
			return version{seq: w.OldSeq, cold: true}, nil
		}
		return look(key)
	}
	for i := range p.writes {
		w, e := &p.ws.Writes[i], &p.writes[i]
		switch {
		case w.Op == change.Insert && e.key == nil:
		case w.Op == change.Insert:
			e.cold, err = look(e.key)
		case e.oldKey != nil:
			if e.oldCold, err = old(e.oldKey, w); err == nil {
				e.cold, err = look(e.key)
			}
		default:
			e.cold, err = old(e.key, w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *prepared) encode(c *codec, w *exec.Write, e *encoded) error {
	keyed := len(c.key) > 0
	switch w.Op {
	case change.Insert:
		if keyed {
			e.key = c.appendKey(nil, w.New)
		}
	case change.Update:
		if keyed {
			old := c.appendKey(nil, w.Old)
			e.key = c.appendKey(nil, w.New)
			if string(old) != string(e.key) {
				e.oldKey = old
			}
		} else {
			e.key = appendRowID(nil, w.RowID)
		}
	case change.Delete:
		if keyed {
			e.key = c.appendKey(nil, w.Old)
		} else {
			e.key = appendRowID(nil, w.RowID)
		}
	default:
		return fmt.Errorf("write with the operation %d", w.Op)
	}
	if len(e.key) > kv.MaxKeySize {
		return dberr.Newf(dberr.TooLarge, "A key of %d bytes is larger than the limit of %d.", len(e.key), kv.MaxKeySize).
			WithHint("Use shorter values in the primary key.")
	}
	if p.stream {
		return nil
	}
	var err error
	switch {
	case w.Op == change.Delete && p.hard:
	case w.Op == change.Delete:
		e.value, err = c.appendRow(nil, w.Old, true)
	default:
		e.value, err = c.appendRow(nil, w.New, false)
		if err == nil && e.oldKey != nil && !p.hard {
			e.tomb, err = c.appendRow(nil, w.Old, true)
		}
	}
	if err == nil && len(e.value) > kv.MaxValueSize {
		err = dberr.Newf(dberr.TooLarge, "A row of %d bytes is larger than the limit of %d.", len(e.value), kv.MaxValueSize)
	}
	return err
}

// errDuplicate marks a UNIQUE_VIOLATION, which may be about a key that the
// same batch was to write.
var errDuplicate = errors.New("duplicate key")

// check is step 1 of the protocol for one statement: when it passes, its
// changes are in the group's overlay, batch and events.
func (s *Store) check(p *prepared) error {
	g := &s.group
	g.undo = g.undo[:0]
	ck, err := s.checkOne(p, s.seq, s.seqScratch[:0])
	s.seqScratch = ck.seqs
	if err != nil {
		g.rollback()
		return err
	}
	// Nothing of a statement is taken before all of it has passed.
	var more []checker
	next := ck.next
	for q := p.next; q != nil; q = q.next {
		c, err := s.checkOne(q, next, nil)
		if err != nil {
			g.rollback()
			return err
		}
		next = c.next
		more = append(more, c)
	}
	ck.take()
	for i := range more {
		more[i].take()
	}
	s.seq = next
	g.passed++
	return nil
}

// checkOne checks one write set, whose numbers follow last.
func (s *Store) checkOne(p *prepared, last change.Seq, seqs []change.Seq) (checker, error) {
	t := p.ws.Table
	ck := checker{s: s, g: &s.group, p: p, t: t, next: last, seqs: seqs}
	if t.ID >= catalog.FirstTableID && !s.cur.Load().Catalog.Current(t) {
		return ck, &Conflict{Table: t.ID}
	}
	if p.looked && p.gen != s.coldNow[t.ID] {
		return ck, errMoved
	}
	if p.stream {
		ck.ring = ringKey{t.ID, p.user}
		if r := s.streams.rings[ck.ring]; r != nil {
			s.streams.evictRing(r, s.opts.Now().UnixMicro())
		}
	}
	err := ck.run()
	return ck, err
}

// checker is the check of one write set.
type checker struct {
	s    *Store
	g    *group
	p    *prepared
	t    *ddl.Table
	ring ringKey
	next change.Seq
	// seqs are the numbers given: for each write that of the row, before it
	// that of the tombstone at an old key, which is the same, or 0 where there
	// is none.
	seqs  []change.Seq
	delta count
}

func (ck *checker) give() change.Seq {
	ck.next++
	return ck.next
}

// lookup is the newest version of a row at this statement's turn. cold is the
// one that it has in a segment if the hot tier has none.
func (ck *checker) lookup(key []byte, cold version) (version, error) {
	if v, ok := ck.g.overlay[rowKey{ck.overlayPartition(), string(key)}]; ok {
		return v, nil
	}
	if ck.p.stream {
		return ck.s.streams.lookup(ck.ring, string(key)), nil
	}
	value, found, err := ck.s.cur.Load().kv.Get(ck.p.partition, key)
	if err != nil || !found {
		return cold, err
	}
	return versionOf(value)
}

// overlayPartition tells rings apart, which have no partition.
func (ck *checker) overlayPartition() kv.Partition {
	if ck.p.stream && ck.p.partition == "" {
		ck.p.partition = keyenc.UserPartition(ck.t.ID, ck.p.user)
	}
	return ck.p.partition
}

func (ck *checker) set(key []byte, v version) {
	ck.g.set(rowKey{ck.overlayPartition(), string(key)}, v)
}

func (ck *checker) run() error {
	writes := ck.p.ws.Writes
	ck.seqs = append(ck.seqs, make([]change.Seq, 2*len(writes))...)
	// Keys that the statement gives up are free for its other rows, so they go
	// first: UPDATE t SET id = id + 1 works in whatever order. A tombstone has
	// the number that its row will get, since both are one change: who resumes
	// from any number must be told of both or of neither.
	first := ck.next + 1
	for i := range writes {
		if e := &ck.p.writes[i]; e.oldKey != nil {
			if err := ck.unchanged(e.oldKey, &writes[i], e.oldCold); err != nil {
				return err
			}
			ck.seqs[2*i] = first + change.Seq(i)
			ck.set(e.oldKey, version{seq: ck.seqs[2*i], deleted: true, by: &writes[i]})
			ck.gone()
		}
	}
	for i := range writes {
		w, e := &writes[i], &ck.p.writes[i]
		seq := ck.give()
		ck.seqs[2*i+1] = seq
		switch {
		case w.Op == change.Insert && e.key == nil:
			ck.delta.live++
			ck.delta.hot++
		case w.Op == change.Insert, e.oldKey != nil:
			if err := ck.free(e, w); err != nil {
				return err
			}
			ck.set(e.key, version{seq: seq})
			ck.delta.live++
			ck.delta.hot++
		default:
			if err := ck.unchanged(e.key, w, e.cold); err != nil {
				return err
			}
			v := version{seq: seq}
			if w.Op == change.Delete {
				v.deleted, v.by = true, w
				ck.gone()
			}
			ck.set(e.key, v)
		}
	}
	return nil
}

// gone counts a row that is deleted, which unchanged has counted as hot.
func (ck *checker) gone() {
	ck.delta.live--
	ck.delta.hot--
	if !ck.p.hard {
		ck.delta.deleted++
		ck.delta.hotDeleted++
	}
}

// unchanged checks that a row is still the one that the statement read. Its
// newest version will be a hot one.
func (ck *checker) unchanged(key []byte, w *exec.Write, cold version) error {
	v, err := ck.lookup(key, cold)
	if err != nil {
		return err
	}
	same := v.seq == w.OldSeq
	if ck.p.hard && w.OldSeq == 0 && v.live() {
		// Queries cannot read the numbers of the server's own tables, so such
		// a row is compared by its values.
		if same, err = ck.sameValues(key, w.Old); err != nil {
			return err
		}
	}
	if !v.live() || !same {
		return ck.conflict(key)
	}
	if v.cold {
		ck.delta.hot++
	}
	return nil
}

func (ck *checker) conflict(key []byte) error {
	return &Conflict{Table: ck.t.ID, Key: string(ck.overlayPartition()) + "\x00" + string(key)}
}

func (ck *checker) sameValues(key []byte, old sqltype.Row) (bool, error) {
	if _, pending := ck.g.overlay[rowKey{ck.overlayPartition(), string(key)}]; pending {
		return false, nil
	}
	state := ck.s.cur.Load()
	value, found, err := state.kv.Get(ck.p.partition, key)
	if err != nil || !found {
		return false, err
	}
	c, err := ck.s.codecs.of(ck.t, state.Catalog)
	if err != nil {
		return false, err
	}
	cols := make([]int, len(ck.t.Columns))
	for i := range cols {
		cols[i] = i
	}
	d, err := c.point(cols)
	if err != nil {
		return false, err
	}
	row, err := d.dec.Values(nil, value)
	if err != nil {
		return false, err
	}
	return slices.EqualFunc(row, old, sqltype.Equal), nil
}

// free checks that a key has no row.
func (ck *checker) free(e *encoded, w *exec.Write) error {
	v, err := ck.lookup(e.key, e.cold)
	switch {
	case err != nil:
		return err
	case v.live() && w.Upsert:
		return ck.conflict(e.key)
	case v.live():
		return &Duplicate{Table: ck.t, Row: w.New}
	case !v.deleted || ck.p.hard:
		e.gone = nil
		return nil
	}
	switch e.covers = w.Op == change.Update; {
	case e.covers:
	case !ck.s.shown(ck.t):
		e.gone = nil
	case v.by != nil:
		e.gone = &goneRow{v.by.Old.Clone(), v.seq, ck.s.commitTime()}
	case e.gone == nil || e.gone.seq != v.seq:
		return ck.conflict(e.key) // it was deleted, or is shown, since the statement looked
	}
	ck.delta.deleted--
	if !v.cold {
		ck.delta.hotDeleted--
	}
	return nil
}

// take puts a statement that passed into the batch.
func (ck *checker) take() {
	g, p := ck.g, ck.p
	now := ck.s.commitTime()
	micros := now.UnixMicro()
	p.ws.Time = now
	listen := p.ws.Table.Type.PerUser() && ck.s.pub.CountByTable(ck.t.ID) > 0
	b := &ck.s.batch
	if !p.stream {
		for i := range p.writes {
			if e := &p.writes[i]; e.oldKey != nil {
				if p.hard {
					b.Delete(p.partition, e.oldKey)
					continue
				}
				stamp(e.tomb, ck.seqs[2*i], micros)
				b.Put(p.partition, e.oldKey, e.tomb)
				ck.s.touched(ck.t.ID, p.partition, e.oldKey, ck.seqs[2*i])
			}
		}
	}
	for i := range p.writes {
		w, e, seq := &p.ws.Writes[i], &p.writes[i], ck.seqs[2*i+1]
		w.NewSeq = seq
		switch {
		case p.stream && w.Op == change.Delete:
			g.streams = append(g.streams, streamOp{ring: ck.ring, table: ck.t, delete: w.OldSeq, seq: seq})
		case p.stream:
			r := streamRow{seq: seq, at: micros, row: w.New.Clone(), size: rowOverhead}
			if e.key != nil {
				r.key = string(e.key)
			}
			for _, v := range r.row {
				r.size += int64(v.Size())
			}
			g.streams = append(g.streams, streamOp{ring: ck.ring, table: ck.t, insert: r, seq: seq})
		case w.Op == change.Delete && p.hard:
			b.Delete(p.partition, e.key)
		default:
			key := e.key
			if key == nil {
				key = appendRowID(nil, int64(seq))
			}
			stamp(e.value, seq, micros)
			b.Put(p.partition, key, e.value)
			ck.s.touched(ck.t.ID, p.partition, key, seq)
		}
		if listen {
			g.events = append(g.events, ck.event(w, e, seq))
		}
	}
	if !p.stream {
		g.deltas[ck.t.ID] = g.deltas[ck.t.ID].add(ck.delta)
	}
}

// event makes the change that subscribers hear. Rows are copied: the write set
// may share memory with a snapshot that ends before the subscribers have read.
func (ck *checker) event(w *exec.Write, enc *encoded, seq change.Seq) *change.Event {
	e := &change.Event{
		Seq: seq, Time: ck.s.commitTime(), Op: w.Op, Table: ck.t.ID, User: ck.p.user,
		SchemaVersion: ck.t.SchemaVersion, Moved: enc.oldKey != nil, Covers: enc.covers,
	}
	switch {
	case w.Op != change.Insert:
		e.Old, e.OldSeq, e.OldTime = w.Old.Clone(), w.OldSeq, w.OldTime
	case enc.gone != nil:
		e.Old, e.OldSeq, e.OldTime = enc.gone.row, enc.gone.seq, enc.gone.time
	}
	if w.Op == change.Delete {
		e.New = e.Old
	} else {
		e.New = w.New.Clone()
	}
	return e
}

// Duplicate says that a key exists. It is a UNIQUE_VIOLATION.
type Duplicate struct {
	Table *ddl.Table
	// Row is the row that could not be inserted.
	Row sqltype.Row
}

// Error implements error.
func (d *Duplicate) Error() string { return d.coded().Error() }

// Is makes the error one of errDuplicate and of its code.
func (d *Duplicate) Is(target error) bool { return target == errDuplicate }

// As gives the coded error.
func (d *Duplicate) As(target any) bool {
	if e, ok := target.(**dberr.Error); ok {
		*e = d.coded()
		return true
	}
	return false
}

func (d *Duplicate) coded() *dberr.Error {
	var cols, vals strings.Builder
	for i, o := range d.Table.KeyOrdinals() {
		if i > 0 {
			cols.WriteString(", ")
			vals.WriteString(", ")
		}
		cols.WriteString(d.Table.Columns[o].Name)
		if v := d.Row[o].Text(); len(v) > 128 {
			vals.WriteString(strings.ToValidUTF8(v[:128], "") + "…")
		} else {
			vals.WriteString(v)
		}
	}
	return dberr.Newf(dberr.UniqueViolation, "duplicate key value violates unique constraint \"%s_pkey\": key (%s)=(%s) already exists in %s",
		d.Table.Name, cols.String(), vals.String(), d.Table.Ident()).
		WithHint("ON CONFLICT says what to do with rows that exist already.")
}
