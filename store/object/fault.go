package object

import (
	"context"
	"iter"
)

// Op is a step of using a bucket, for faults.
type Op uint8

// The steps.
const (
	OpCreate Op = iota + 1
	OpWrite
	// OpCommit comes before the object is committed.
	OpCommit
	// OpCommitted comes after it: the object is there, the caller is told
	// otherwise.
	OpCommitted
	OpOpen
	// OpRead comes before a read.
	OpRead
	// OpReadDone comes after it and may change the bytes.
	OpReadDone
	OpStat
	// OpList comes before each object of a list, and before its end.
	OpList
	OpDelete
	OpProbe
)

// Call is one step of using a bucket.
type Call struct {
	Op   Op
	Name string
	// Data is the bytes of OpWrite and OpReadDone.
	Data []byte
	// Offset is where OpRead and OpReadDone read.
	Offset int64
}

// Fault decides what happens at a step: the error that it returns is the
// step's. It may also wait, until the context ends for instance, or panic to
// stand for a crash. It is called from the goroutines that use the bucket.
type Fault func(ctx context.Context, c Call) error

// Faulty wraps a bucket with scripted faults.
func Faulty(b Bucket, fault Fault) Bucket { return &faulty{b, fault} }

type faulty struct {
	Bucket
	fault Fault
}

// Create implements Bucket.
func (f *faulty) Create(ctx context.Context, name string, opts CreateOptions) (Writer, error) {
	if err := f.fault(ctx, Call{Op: OpCreate, Name: name}); err != nil {
		return nil, err
	}
	w, err := f.Bucket.Create(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	return &faultyWriter{w, f, ctx, name}, nil
}

type faultyWriter struct {
	Writer
	f    *faulty
	ctx  context.Context // holds for the writing, which this is
	name string
}

// Write implements io.Writer.
func (w *faultyWriter) Write(p []byte) (int, error) {
	if err := w.f.fault(w.ctx, Call{Op: OpWrite, Name: w.name, Data: p}); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

// Commit implements Writer.
func (w *faultyWriter) Commit() error {
	if err := w.f.fault(w.ctx, Call{Op: OpCommit, Name: w.name}); err != nil {
		w.Abort()
		return err
	}
	if err := w.Writer.Commit(); err != nil {
		return err
	}
	return w.f.fault(w.ctx, Call{Op: OpCommitted, Name: w.name})
}

// Open implements Bucket.
func (f *faulty) Open(ctx context.Context, name string) (Handle, error) {
	if err := f.fault(ctx, Call{Op: OpOpen, Name: name}); err != nil {
		return nil, err
	}
	h, err := f.Bucket.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return &faultyHandle{h, f, name}, nil
}

type faultyHandle struct {
	Handle
	f    *faulty
	name string
}

// ReadAt implements Handle.
func (h *faultyHandle) ReadAt(ctx context.Context, p []byte, off int64) error {
	if err := h.f.fault(ctx, Call{Op: OpRead, Name: h.name, Offset: off}); err != nil {
		return err
	}
	if err := h.Handle.ReadAt(ctx, p, off); err != nil {
		return err
	}
	return h.f.fault(ctx, Call{Op: OpReadDone, Name: h.name, Offset: off, Data: p})
}

// Stat implements Bucket.
func (f *faulty) Stat(ctx context.Context, name string) (Info, error) {
	if err := f.fault(ctx, Call{Op: OpStat, Name: name}); err != nil {
		return Info{}, err
	}
	return f.Bucket.Stat(ctx, name)
}

// List implements Bucket.
func (f *faulty) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for i, err := range f.Bucket.List(ctx, prefix) {
			if err == nil {
				err = f.fault(ctx, Call{Op: OpList, Name: i.Name})
			}
			if err != nil {
				yield(Info{}, err)
				return
			}
			if !yield(i, nil) {
				return
			}
		}
		if err := f.fault(ctx, Call{Op: OpList, Name: prefix}); err != nil {
			yield(Info{}, err)
		}
	}
}

// Delete implements Bucket.
func (f *faulty) Delete(ctx context.Context, name string) error {
	if err := f.fault(ctx, Call{Op: OpDelete, Name: name}); err != nil {
		return err
	}
	return f.Bucket.Delete(ctx, name)
}

// Probe implements Bucket.
func (f *faulty) Probe(ctx context.Context) error {
	if err := f.fault(ctx, Call{Op: OpProbe}); err != nil {
		return err
	}
	return f.Bucket.Probe(ctx)
}
