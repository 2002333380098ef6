package badgerkv

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/kalamdb/kalamdb/store/kv"
)

// A batch that is larger than Badger's transactions is written in these steps,
// by the only writer:
//
//  1. journal: its steps go to journal keys, in as many transactions as it
//     takes. After a crash they are removed: nothing of the batch is there.
//  2. mark: one transaction writes the journal's mark. The batch is committed.
//     After a crash the journal is applied at the next opening.
//  3. apply: its steps go to their keys, in as many transactions as it takes,
//     all at one timestamp that is not visible yet. Applying again gives the
//     same.
//  4. clear: one transaction removes the mark and the journal. Removing both
//     at once matters: a mark with half a journal would undo later writes.
//
// Then the timestamp is published.

// chunkSize is the size of a journal entry. The steps are written one behind the
// other and cut where an entry is full, so that none reaches Badger's threshold
// for large values: it does not count what a journal leaves in their files as
// garbage. Few enough entries are left for step 4.
const chunkSize = 512 << 10

// Steps, as Backend.step names them.
const (
	stepJournal = "journal"
	stepMark    = "mark"
	stepApply   = "apply"
	stepClear   = "clear"
)

func journalChunkKey(id uint64, chunk uint32) []byte {
	k := binary.BigEndian.AppendUint64([]byte{journalTag}, id)
	return binary.BigEndian.AppendUint32(append(k, 0), chunk)
}

func journalMarkKey(id uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{journalTag}, id), 1)
}

// writeLarge writes a batch of any size atomically. Journal and apply share
// the batch's timestamp.
func (b *Backend) writeLarge(batch *kv.Batch, fresh []kv.Partition, ts uint64) error {
	b.values = true
	defer func() { b.values = false }()
	b.journalled++
	id := b.journalled
	chunks, err := b.writeJournal(batch, fresh, id, ts)
	if err != nil {
		return err
	}
	if err := b.at(stepMark); err != nil {
		return err
	}
	if err := b.one(ts, func(txn *badger.Txn) error { return txn.Set(journalMarkKey(id), nil) }); err != nil {
		return err
	}
	w := &splitter{b: b, ts: ts, step: stepApply}
	defer w.discard()
	for _, p := range fresh {
		if err := w.add(appendRegistryKey(nil, p), nil, kv.OpPut); err != nil {
			return err
		}
	}
	for i := range batch.Len() {
		op := batch.Op(i)
		if op.Kind == kv.OpCreatePartition {
			continue
		}
		if err := w.add(appendDataKey(nil, op.Partition, op.Key), op.Value, op.Kind); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	return b.clearJournal(id, chunks, ts)
}

// writeJournal does step 1 and tells how many chunks it wrote.
func (b *Backend) writeJournal(batch *kv.Batch, fresh []kv.Partition, id, ts uint64) (uint32, error) {
	w := &splitter{b: b, ts: ts, step: stepJournal}
	defer w.discard()
	var chunk []byte
	var n uint32
	cut := func(size int) error {
		err := w.add(journalChunkKey(id, n), chunk[:size:size], kv.OpPut)
		n++
		chunk = chunk[size:] // the transaction keeps what is before
		return err
	}
	add := func(kind kv.OpKind, key, value []byte) error {
		chunk = append(chunk, byte(kind))
		chunk = binary.AppendUvarint(chunk, uint64(len(key)))
		chunk = append(chunk, key...)
		chunk = binary.AppendUvarint(chunk, uint64(len(value)))
		chunk = append(chunk, value...)
		for len(chunk) >= chunkSize {
			if err := cut(chunkSize); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range fresh {
		if err := add(kv.OpPut, appendRegistryKey(nil, p), nil); err != nil {
			return 0, err
		}
	}
	var key []byte
	for i := range batch.Len() {
		op := batch.Op(i)
		if op.Kind == kv.OpCreatePartition {
			continue
		}
		key = appendDataKey(key[:0], op.Partition, op.Key)
		if err := add(op.Kind, key, op.Value); err != nil {
			return 0, err
		}
	}
	if len(chunk) > 0 {
		if err := cut(len(chunk)); err != nil {
			return 0, err
		}
	}
	return n, w.flush()
}

func (b *Backend) clearJournal(id uint64, chunks uint32, ts uint64) error {
	if err := b.at(stepClear); err != nil {
		return err
	}
	return b.one(ts, func(txn *badger.Txn) error {
		if err := txn.Delete(journalMarkKey(id)); err != nil {
			return err
		}
		for c := range chunks {
			if err := txn.Delete(journalChunkKey(id, c)); err != nil {
				return err
			}
		}
		return nil
	})
}

// one commits one transaction. An error leaves a large batch half way, which
// only the next opening can put right.
func (b *Backend) one(ts uint64, fill func(*badger.Txn) error) error {
	txn := b.db.NewTransactionAt(ts, true)
	defer txn.Discard()
	if err := fill(txn); err != nil {
		return b.fail(fmt.Errorf("add to transaction: %w", err))
	}
	if err := b.commit(txn, ts); err != nil {
		return b.fail(err)
	}
	return nil
}

// at announces a step to a test.
func (b *Backend) at(step string) error {
	if b.step == nil {
		return nil
	}
	if err := b.step(step); err != nil {
		return b.fail(err)
	}
	return nil
}

// splitter writes any number of keys at one timestamp in as many transactions
// as Badger needs.
type splitter struct {
	b    *Backend
	ts   uint64
	step string
	txn  *badger.Txn
}

func (w *splitter) add(key, value []byte, kind kv.OpKind) error {
	set := func() error {
		if w.txn == nil {
			w.txn = w.b.db.NewTransactionAt(w.ts, true)
		}
		if kind == kv.OpPut {
			return w.txn.Set(key, value)
		}
		return w.txn.Delete(key)
	}
	err := set()
	if errors.Is(err, badger.ErrTxnTooBig) {
		if err := w.flush(); err != nil {
			return err
		}
		err = set()
	}
	if err != nil {
		return w.b.fail(fmt.Errorf("add to transaction: %w", err))
	}
	return nil
}

func (w *splitter) flush() error {
	if w.txn == nil {
		return nil
	}
	if err := w.b.at(w.step); err != nil {
		return err
	}
	err := w.b.commit(w.txn, w.ts)
	w.txn = nil
	if err != nil {
		return w.b.fail(err)
	}
	return nil
}

func (w *splitter) discard() {
	if w.txn != nil {
		w.txn.Discard()
	}
}

// recoverJournal does steps 3 and 4 for marked journals, and removes the
// others. It runs before the backend is shared.
func (b *Backend) recoverJournal() error {
	type journal struct {
		chunks [][]byte
		marked bool
	}
	found := map[uint64]*journal{}
	var order []uint64
	txn := b.db.NewTransactionAt(b.visible, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{journalTag}})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		k := it.Item().KeyCopy(nil)
		if len(k) < 10 {
			return fmt.Errorf("unknown key %x in the journal", k)
		}
		id := binary.BigEndian.Uint64(k[1:])
		j := found[id]
		if j == nil {
			j = &journal{}
			found[id], order = j, append(order, id)
		}
		if k[9] == 1 {
			j.marked = true
		} else {
			j.chunks = append(j.chunks, k)
		}
	}
	for _, id := range order {
		j, ts := found[id], b.visible+1
		if j.marked {
			if err := b.applyChunks(txn, j.chunks, ts); err != nil {
				return err
			}
		}
		w := &splitter{b: b, ts: ts, step: stepClear}
		// The mark goes first, for the case that one transaction does not do.
		keys := append([][]byte{journalMarkKey(id)}, j.chunks...)
		for _, k := range keys {
			if err := w.add(k, nil, kv.OpDelete); err != nil {
				return err
			}
		}
		if err := w.flush(); err != nil {
			return err
		}
		b.publish(ts)
	}
	return nil
}

func (b *Backend) applyChunks(txn *badger.Txn, keys [][]byte, ts uint64) error {
	w := &splitter{b: b, ts: ts, step: stepApply}
	defer w.discard()
	var rest []byte // a step may go on in the next entry
	for _, k := range keys {
		item, err := txn.Get(k)
		if err != nil {
			return err
		}
		err = item.Value(func(v []byte) error {
			rest = append(rest, v...)
			return nil
		})
		if err != nil {
			return err
		}
		for len(rest) > 0 {
			key, r, ok := cutBytes(rest[1:])
			if !ok {
				break
			}
			value, r, ok := cutBytes(r)
			if !ok {
				break
			}
			if err := w.add(key, value, kv.OpKind(rest[0])); err != nil {
				return err
			}
			rest = r
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("damaged journal: %d bytes are no step", len(rest))
	}
	return w.flush()
}

// cutBytes splits off bytes with their length before them.
func cutBytes(b []byte) (head, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, nil, false
	}
	end := w + int(n)
	return b[w:end:end], b[end:], true
}
