package kv

import "github.com/kalamdb/kalamdb/commons/dberr"

// opOverhead is what an operation costs a backend beside its bytes.
const opOverhead = 32

// Op is one step of a batch.
type Op struct {
	Kind      OpKind
	Partition Partition
	// Key and Value are the batch's own memory: read-only, valid until Reset.
	Key   []byte
	Value []byte
}

// OpKind is what a step does.
type OpKind uint8

// The kinds of steps.
const (
	OpPut OpKind = iota
	OpDelete
	OpCreatePartition
)

// Batch gathers changes that are written together. Later steps win over
// earlier ones on the same key. The zero value is an empty batch. It belongs
// to one goroutine at a time.
//
// Keys and values are copied in, so the caller may reuse its buffers at once.
// A step that breaks a limit is kept as the batch's error, which Write
// answers.
type Batch struct {
	ops []opRef
	buf []byte
	err error
	// size is kept beside buf because it counts what backends add.
	size int64
}

// opRef is an Op by its offsets in the batch's buffer, which may still move.
type opRef struct {
	partition          Partition
	key, value, valEnd int
	kind               OpKind
}

// Put sets a key's value. The partition comes into being if it does not exist.
func (b *Batch) Put(p Partition, key, value []byte) {
	if len(value) > MaxValueSize {
		b.fail(dberr.Newf(dberr.TooLarge, "A value of %d bytes is larger than the limit of %d.", len(value), MaxValueSize))
		return
	}
	b.add(OpPut, p, key, value)
}

// Delete removes a key; one that does not exist is none of its concern. It
// does not make the partition.
func (b *Batch) Delete(p Partition, key []byte) { b.add(OpDelete, p, key, nil) }

// CreatePartition makes an empty partition; one that exists stays as it is.
func (b *Batch) CreatePartition(p Partition) { b.add(OpCreatePartition, p, nil, nil) }

func (b *Batch) add(kind OpKind, p Partition, key, value []byte) {
	if !p.Valid() {
		b.fail(dberr.Newf(dberr.Internal, "invalid partition name %q", string(p)))
		return
	}
	if len(key) > MaxKeySize {
		b.fail(dberr.Newf(dberr.TooLarge, "A key of %d bytes is larger than the limit of %d.", len(key), MaxKeySize).
			WithHint("Use shorter values in the primary key."))
		return
	}
	r := opRef{kind: kind, partition: p, key: len(b.buf)}
	b.buf = append(b.buf, key...)
	r.value = len(b.buf)
	b.buf = append(b.buf, value...)
	r.valEnd = len(b.buf)
	b.ops = append(b.ops, r)
	b.size += int64(len(p) + len(key) + len(value) + opOverhead)
}

func (b *Batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Append adds the steps of another batch, and its error.
func (b *Batch) Append(o *Batch) {
	if o.err != nil {
		b.fail(o.err)
	}
	base := len(b.buf)
	b.buf = append(b.buf, o.buf...)
	for _, r := range o.ops {
		r.key += base
		r.value += base
		r.valEnd += base
		b.ops = append(b.ops, r)
	}
	b.size += o.size
}

// Len is the number of steps.
func (b *Batch) Len() int { return len(b.ops) }

// Size is about the number of bytes that a backend will write.
func (b *Batch) Size() int64 { return b.size }

// Err is the first step that broke a limit, or nil.
func (b *Batch) Err() error { return b.err }

// Check is the first error, or TOO_LARGE where the batch is of more bytes than
// limit.
func (b *Batch) Check(limit int64) error {
	if b.err == nil && b.size > limit {
		return dberr.Newf(dberr.TooLarge, "A change of %d bytes is larger than the limit of %d.", b.size, limit).
			WithHint("Split the statement into several smaller ones.")
	}
	return b.err
}

// Op is the step i, counted from 0.
func (b *Batch) Op(i int) Op {
	r := &b.ops[i]
	return Op{
		Kind:      r.kind,
		Partition: r.partition,
		Key:       b.buf[r.key:r.value:r.value],
		Value:     b.buf[r.value:r.valEnd:r.valEnd],
	}
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	clear(b.ops)
	b.ops, b.buf, b.size, b.err = b.ops[:0], b.buf[:0], 0, nil
}
