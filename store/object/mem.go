package object

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mem is a Bucket in memory. It is for tests and for databases that live as
// long as their process.
type Mem struct {
	mu      sync.RWMutex // guards objects
	objects map[string]memObject
}

type memObject struct {
	data     []byte
	modified time.Time
}

var _ Bucket = (*Mem)(nil)

// NewMem makes an empty bucket.
func NewMem() *Mem { return &Mem{objects: map[string]memObject{}} }

// Create implements Bucket.
func (m *Mem) Create(ctx context.Context, name string, opts CreateOptions) (Writer, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return &memWriter{m: m, ctx: ctx, name: name, opts: opts}, nil
}

type memWriter struct {
	m    *Mem
	ctx  context.Context // holds for the writing, which this is
	name string
	opts CreateOptions
	data []byte
	done bool
}

// Write implements io.Writer.
func (w *memWriter) Write(p []byte) (int, error) {
	if w.done {
		return 0, fmt.Errorf("write %s: %w", w.name, io.ErrClosedPipe)
	}
	if err := context.Cause(w.ctx); err != nil {
		return 0, err
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

// Commit implements Writer.
func (w *memWriter) Commit() error {
	if w.done {
		return fmt.Errorf("commit %s: %w", w.name, io.ErrClosedPipe)
	}
	w.done = true
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if _, found := w.m.objects[w.name]; found && w.opts.IfAbsent {
		return Exists(w.name)
	}
	w.m.objects[w.name] = memObject{slices.Clip(w.data), time.Now()}
	return nil
}

// Abort implements Writer.
func (w *memWriter) Abort() { w.done, w.data = true, nil }

func (m *Mem) find(ctx context.Context, name string) (memObject, error) {
	if err := CheckName(name); err != nil {
		return memObject{}, err
	}
	if err := context.Cause(ctx); err != nil {
		return memObject{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, found := m.objects[name]
	if !found {
		return o, NotFound(name)
	}
	return o, nil
}

// Open implements Bucket.
func (m *Mem) Open(ctx context.Context, name string) (Handle, error) {
	o, err := m.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return memHandle{name, o.data}, nil
}

type memHandle struct {
	name string
	data []byte
}

// ReadAt implements Handle.
func (h memHandle) ReadAt(ctx context.Context, p []byte, off int64) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if off < 0 || off > int64(len(h.data)) || copy(p, h.data[off:]) < len(p) {
		return fmt.Errorf("read %s: %w", h.name, io.ErrUnexpectedEOF)
	}
	return nil
}

// Size implements Handle.
func (h memHandle) Size() int64 { return int64(len(h.data)) }

// Close implements Handle.
func (memHandle) Close() error { return nil }

// Stat implements Bucket.
func (m *Mem) Stat(ctx context.Context, name string) (Info, error) {
	o, err := m.find(ctx, name)
	if err != nil {
		return Info{}, err
	}
	return Info{Name: name, Size: int64(len(o.data)), Modified: o.modified}, nil
}

// List implements Bucket.
func (m *Mem) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		var infos []Info
		m.mu.RLock()
		for name, o := range m.objects {
			if strings.HasPrefix(name, prefix) {
				infos = append(infos, Info{Name: name, Size: int64(len(o.data)), Modified: o.modified})
			}
		}
		m.mu.RUnlock()
		slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
		for _, i := range infos {
			if err := context.Cause(ctx); err != nil {
				yield(Info{}, err)
				return
			}
			if !yield(i, nil) {
				return
			}
		}
	}
}

// Delete implements Bucket.
func (m *Mem) Delete(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

// Probe implements Bucket.
func (m *Mem) Probe(ctx context.Context) error { return context.Cause(ctx) }

// Location implements Bucket.
func (m *Mem) Location() string { return "memory" }

// Close implements Bucket.
func (m *Mem) Close() error { return nil }
