package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// tempPrefix starts the names of files that are being written. No object has
// such a name, List does not show them, and Sweep removes those that a crash
// left behind.
const tempPrefix = ".tmp-"

// Local is a Bucket in a folder. Everything goes through an os.Root, which
// refuses to follow a symbolic link out of the folder.
//
// # Writing
//
//  1. The bytes go to a temporary name beside the final one.
//  2. Commit syncs the file,
//  3. gives it its final name (rename, or link where the name must be free),
//  4. and syncs the folder, and those above it that the object needed.
//
// A crash before 3 leaves a temporary file, which Sweep removes; after 3 the
// whole object, perhaps not yet durable; after 4 it is durable.
type Local struct {
	root *os.Root
	dir  string
	seq  atomic.Uint64

	// mu guards synced, the folders whose entries in their parents are known
	// to be durable.
	mu     sync.Mutex
	synced map[string]bool
}

var _ Bucket = (*Local)(nil)

// maxSynced bounds the memory of folders known to be durable.
const maxSynced = 64 << 10

// OpenLocal opens a folder, making it when it does not exist.
func OpenLocal(dir string) (*Local, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, localError("open the folder", "", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, localError("make the folder", "", err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, localError("open the folder", "", err)
	}
	return &Local{root: root, dir: abs, synced: map[string]bool{}}, nil
}

// localError gives an operating system's error its code.
func localError(act, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist) && name != "":
		return NotFound(name)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return dberr.New(dberr.StorageUnavailable, "The disk of the storage is full.").
			Wrap(fmt.Errorf("%s %s: %w", act, name, err)).WithHint("Make room; what waits is written then.")
	case name != "":
		act += " " + name
	}
	return Unavailable(act, err)
}

// check refuses names that are no objects'.
func (l *Local) check(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if strings.HasPrefix(path.Base(name), tempPrefix) {
		return badName(name)
	}
	return nil
}

// Create implements Bucket.
func (l *Local) Create(ctx context.Context, name string, opts CreateOptions) (Writer, error) {
	if err := l.check(name); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	dir := path.Dir(name)
	if err := l.mkdir(dir); err != nil {
		return nil, err
	}
	// The process id keeps a temporary file apart from one that a crashed
	// process left; the counter, those of this process.
	tmp := path.Join(dir, tempPrefix+strconv.Itoa(os.Getpid())+"-"+strconv.FormatUint(l.seq.Add(1), 36))
	f, err := l.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, localError("create", name, notMissing(err))
	}
	return &localWriter{l: l, ctx: ctx, f: f, tmp: tmp, name: name, opts: opts}, nil
}

// notMissing hides that a path did not exist where that does not mean that the
// object is missing.
func notMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New(err.Error())
	}
	return err
}

// mkdir makes a folder and those above it, and makes their names durable.
func (l *Local) mkdir(dir string) error {
	if dir == "." {
		return nil
	}
	// above is the nearest folder whose entry is durable and still there; the
	// names below it are made so. A folder may have been removed by hand.
	above := dir
	for above != "." && !l.durable(above) {
		above = path.Dir(above)
	}
	if above == dir {
		return nil
	}
	if err := l.root.MkdirAll(dir, 0o700); err != nil {
		return localError("make the folder of", dir, notMissing(err))
	}
	for d := dir; d != above; d = path.Dir(d) {
		if err := l.syncDir(path.Dir(d)); err != nil {
			return localError("sync the folder of", d, notMissing(err))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.synced) >= maxSynced {
		clear(l.synced)
	}
	for d := dir; d != above; d = path.Dir(d) {
		l.synced[d] = true
	}
	return nil
}

// durable tells whether a folder is there whose path is known to be durable.
func (l *Local) durable(dir string) bool {
	l.mu.Lock()
	known := l.synced[dir]
	l.mu.Unlock()
	if !known {
		return false
	}
	_, err := l.root.Stat(dir)
	return err == nil
}

func (l *Local) syncDir(dir string) error {
	f, err := l.root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	// Some systems cannot sync a folder, and say so.
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

type localWriter struct {
	l    *Local
	ctx  context.Context // holds for the writing, which this is
	f    *os.File
	tmp  string
	name string
	opts CreateOptions
	err  error
}

// Write implements io.Writer.
func (w *localWriter) Write(p []byte) (int, error) {
	if w.err == nil {
		w.err = context.Cause(w.ctx)
	}
	if w.f == nil || w.err != nil {
		return 0, errors.Join(w.err, w.closed())
	}
	n, err := w.f.Write(p)
	if err != nil {
		w.err = localError("write", w.name, notMissing(err))
		return n, w.err
	}
	return n, nil
}

func (w *localWriter) closed() error {
	if w.f == nil {
		return fmt.Errorf("write %s: %w", w.name, os.ErrClosed)
	}
	return nil
}

// Commit implements Writer.
func (w *localWriter) Commit() error {
	if w.err == nil {
		w.err = context.Cause(w.ctx)
	}
	if w.f == nil || w.err != nil {
		err := errors.Join(w.err, w.closed())
		w.Abort()
		return err
	}
	if err := w.commit(); err != nil {
		w.Abort()
		return err
	}
	return nil
}

func (w *localWriter) commit() error {
	if err := w.f.Sync(); err != nil {
		return localError("sync", w.name, notMissing(err))
	}
	if err := w.f.Close(); err != nil {
		return localError("close", w.name, notMissing(err))
	}
	root := w.l.root
	if w.opts.IfAbsent {
		if err := root.Link(w.tmp, w.name); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return Exists(w.name)
			}
			return localError("name", w.name, notMissing(err))
		}
		if err := root.Remove(w.tmp); err != nil {
			return localError("name", w.name, notMissing(err))
		}
	} else if err := root.Rename(w.tmp, w.name); err != nil {
		return localError("name", w.name, notMissing(err))
	}
	w.f = nil
	if err := w.l.syncDir(path.Dir(w.name)); err != nil {
		return localError("sync the folder of", w.name, notMissing(err))
	}
	return nil
}

// Abort implements Writer.
func (w *localWriter) Abort() {
	if w.f == nil {
		return
	}
	// What cannot be removed now is removed by the next Sweep.
	_ = w.f.Close()
	_ = w.l.root.Remove(w.tmp)
	w.f = nil
}

// Open implements Bucket.
func (l *Local) Open(ctx context.Context, name string) (Handle, error) {
	if err := l.check(name); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	f, err := l.root.Open(name)
	if err != nil {
		return nil, localError("open", name, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, localError("open", name, err)
	}
	return &localHandle{f: f, name: name, size: st.Size()}, nil
}

type localHandle struct {
	f    *os.File
	name string
	size int64
}

// ReadAt implements Handle.
func (h *localHandle) ReadAt(ctx context.Context, p []byte, off int64) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	n, err := h.f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", h.name, io.ErrUnexpectedEOF)
	}
	return localError("read", h.name, notMissing(err))
}

// Size implements Handle.
func (h *localHandle) Size() int64 { return h.size }

// Close implements Handle.
func (h *localHandle) Close() error {
	if err := h.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return localError("close", h.name, err)
	}
	return nil
}

// Stat implements Bucket.
func (l *Local) Stat(ctx context.Context, name string) (Info, error) {
	if err := l.check(name); err != nil {
		return Info{}, err
	}
	if err := context.Cause(ctx); err != nil {
		return Info{}, err
	}
	st, err := l.root.Stat(name)
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, localError("look at", name, err)
	}
	return Info{Name: name, Size: st.Size(), Modified: st.ModTime()}, nil
}

// List implements Bucket. It holds the names of one folder at a time.
func (l *Local) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		dir := "."
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			dir = prefix[:i]
			if CheckName(dir) != nil {
				return // no object has such a name
			}
		}
		l.walk(ctx, dir, prefix, yield)
	}
}

// walk gives the objects of a folder and those below it. A folder sorts as its
// name with a slash, which is where its objects sort.
func (l *Local) walk(ctx context.Context, dir, prefix string, yield func(Info, error) bool) bool {
	if err := context.Cause(ctx); err != nil {
		yield(Info{}, err)
		return false
	}
	f, err := l.root.Open(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return true // deleted meanwhile, or never there
		}
		yield(Info{}, localError("list", dir, err))
		return false
	}
	entries, err := f.ReadDir(-1)
	_ = f.Close()
	if errors.Is(err, syscall.ENOTDIR) {
		return true
	}
	if err != nil {
		yield(Info{}, localError("list", dir, notMissing(err)))
		return false
	}
	type child struct {
		name  string
		entry fs.DirEntry
	}
	children := make([]child, 0, len(entries))
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case e.IsDir():
			name += "/"
			if !strings.HasPrefix(name, prefix) && !strings.HasPrefix(prefix, name) {
				continue
			}
		case !e.Type().IsRegular(), !strings.HasPrefix(name, prefix), l.check(name) != nil:
			continue
		}
		children = append(children, child{name, e})
	}
	slices.SortFunc(children, func(a, b child) int { return strings.Compare(a.name, b.name) })
	for _, c := range children {
		if c.entry.IsDir() {
			if !l.walk(ctx, strings.TrimSuffix(c.name, "/"), prefix, yield) {
				return false
			}
			continue
		}
		st, err := c.entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			yield(Info{}, localError("list", c.name, err))
			return false
		}
		if !yield(Info{Name: c.name, Size: st.Size(), Modified: st.ModTime()}, nil) {
			return false
		}
	}
	return true
}

// Delete implements Bucket. Folders stay, so that a writer who has just made
// one does not find it gone.
func (l *Local) Delete(ctx context.Context, name string) error {
	if err := l.check(name); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := l.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return localError("delete", name, err)
	}
	return nil
}

// Sweep removes the temporary files below a prefix that a crash left behind,
// and folders that are empty. It must not run while objects are written there.
func (l *Local) Sweep(ctx context.Context, prefix string) (removed int, err error) {
	dir := strings.TrimSuffix(prefix, "/")
	if dir == "" {
		dir = "."
	} else if err := CheckName(dir); err != nil {
		return 0, err
	}
	l.mu.Lock()
	clear(l.synced)
	l.mu.Unlock()
	_, err = l.sweep(ctx, dir, &removed)
	return removed, err
}

// sweep tells whether the folder is empty afterwards.
func (l *Local) sweep(ctx context.Context, dir string, removed *int) (empty bool, err error) {
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	f, err := l.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, localError("sweep", dir, err)
	}
	entries, err := f.ReadDir(-1)
	_ = f.Close()
	if err != nil {
		return false, localError("sweep", dir, notMissing(err))
	}
	empty = true
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		gone := false
		switch {
		case e.IsDir():
			if gone, err = l.sweep(ctx, name, removed); err != nil {
				return false, err
			}
		case e.Type().IsRegular() && strings.HasPrefix(e.Name(), tempPrefix):
			gone = true
			*removed++
		}
		if gone {
			if err := l.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, localError("sweep", name, err)
			}
		}
		empty = empty && gone
	}
	return empty, nil
}

// Probe implements Bucket.
func (l *Local) Probe(ctx context.Context) error { return ProbeByWriting(ctx, l) }

// Location implements Bucket.
func (l *Local) Location() string { return l.dir }

// Close implements Bucket.
func (l *Local) Close() error { return l.root.Close() }
