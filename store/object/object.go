package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// Bounds that are the same for every bucket.
const (
	// MaxName is the longest name of an object, in bytes: S3's limit.
	MaxName = 1024
	// MaxComponent is the longest part of a name between slashes, in bytes.
	MaxComponent = 255
)

// ErrNotFound is in the chain of errors about objects that do not exist.
var ErrNotFound = errors.New("no such object")

// ErrExists is in the chain of errors about objects that exist already, where
// CreateOptions.IfAbsent asked for it.
var ErrExists = errors.New("the object exists already")

// Bucket keeps objects by name. All methods may be called from several
// goroutines. A name is a path of plain components with slashes (CheckName).
//
// Errors have the code STORAGE_UNAVAILABLE when the medium fails, is full or
// cannot be reached; ErrNotFound and ErrExists are in the chain of those that
// concern one object.
type Bucket interface {
	// Create begins a new object. It is not visible before Commit, which
	// replaces an object of the same name unless opts say otherwise. The
	// context holds for the whole of the writing.
	Create(ctx context.Context, name string, opts CreateOptions) (Writer, error)

	// Open finds an object for reading. An object that is deleted or replaced
	// afterwards gives its old bytes or an error, never a mixture.
	Open(ctx context.Context, name string) (Handle, error)

	// Stat describes an object.
	Stat(ctx context.Context, name string) (Info, error)

	// List walks the objects whose names start with prefix, in the order of
	// their names. What is created or deleted meanwhile may be seen or not.
	// The walk ends after the first error.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Delete removes an object; one that does not exist is none of its
	// concern.
	Delete(ctx context.Context, name string) error

	// Probe tells whether objects can be written and read now.
	Probe(ctx context.Context) error

	// Location is where the objects lie, for people: a path or a URL without
	// secrets. It is shown to administrators only.
	Location() string

	// Close gives up connections. Handles that are open stay usable.
	Close() error
}

// CreateOptions says how an object comes into being.
type CreateOptions struct {
	// IfAbsent makes Commit fail with ErrExists when there is an object of the
	// name already, atomically.
	IfAbsent bool
}

// Writer takes an object's bytes. It belongs to one goroutine.
type Writer interface {
	io.Writer
	// Commit makes the object visible and durable. After an error nothing is
	// visible, except that a failure of the medium at the last moment may leave
	// the whole object there.
	Commit() error
	// Abort throws away what was written. After Commit it does nothing, so it
	// can be deferred.
	Abort()
}

// Handle reads one object. ReadAt may be called from several goroutines.
type Handle interface {
	// ReadAt fills p from the offset. It reads len(p) bytes or gives an error;
	// reading past the end gives io.ErrUnexpectedEOF.
	ReadAt(ctx context.Context, p []byte, off int64) error
	// Size is the object's size in bytes.
	Size() int64
	// Close frees the handle. A second call does nothing.
	Close() error
}

// Info describes an object.
type Info struct {
	Name string
	Size int64
	// Modified is when the object came into being, by the medium's clock.
	Modified time.Time
}

// CheckName tells whether a name keeps the rules: 1 to MaxName bytes of UTF-8,
// components between single slashes of 1 to MaxComponent bytes, none of them
// "." or "..", and no backslash, colon or control character.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return badName(name)
	}
	for c := range strings.SplitSeq(name, "/") {
		if c == "" || c == "." || c == ".." || len(c) > MaxComponent {
			return badName(name)
		}
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < 0x20 || c == 0x7f || c == '\\' || c == ':' {
			return badName(name)
		}
	}
	return nil
}

func badName(name string) error {
	return dberr.Newf(dberr.Internal, "%.80q is not a name for an object", name)
}

// NotFound is the error of an object that does not exist. Its message names the
// last part of the name, because users may see it and folders are not theirs to
// know; the log gets all of it.
func NotFound(name string) error {
	return dberr.Newf(dberr.StorageUnavailable, "The file %s is missing.", path.Base(name)).Wrap(fmt.Errorf("%s: %w", name, ErrNotFound))
}

// Exists is the error of an object that exists already.
func Exists(name string) error {
	return dberr.Newf(dberr.AlreadyExists, "The file %s exists already.", path.Base(name)).Wrap(fmt.Errorf("%s: %w", name, ErrExists))
}

// Unavailable is the error of a medium that fails. The cause is for the log
// alone, because it may hold paths and addresses.
func Unavailable(act string, cause error) error {
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", act, cause)
	}
	if e, ok := dberr.As(cause); ok {
		return e
	}
	return dberr.New(dberr.StorageUnavailable, "The storage does not answer, or refuses.").Wrap(fmt.Errorf("%s: %w", act, cause)).
		WithHint("The server's log has the cause.")
}

// Put writes a small object in one go.
func Put(ctx context.Context, b Bucket, name string, data []byte, opts CreateOptions) error {
	w, err := b.Create(ctx, name, opts)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Commit()
}

// ReadAll reads an object of at most limit bytes; a larger one gives
// TOO_LARGE.
func ReadAll(ctx context.Context, b Bucket, name string, limit int64) ([]byte, error) {
	h, err := b.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	if h.Size() > limit {
		return nil, dberr.Newf(dberr.TooLarge, "The file %s has %d bytes, more than the limit of %d.", name, h.Size(), limit)
	}
	data := make([]byte, h.Size())
	if err := h.ReadAt(ctx, data, 0); err != nil {
		return nil, err
	}
	return data, nil
}

// copyChunk is how much Copy holds in memory.
const copyChunk = 1 << 20

// Copy copies an object, within a bucket or to another one, and gives its
// size.
func Copy(ctx context.Context, dst Bucket, dstName string, src Bucket, srcName string, opts CreateOptions) (int64, error) {
	h, err := src.Open(ctx, srcName)
	if err != nil {
		return 0, err
	}
	defer h.Close()
	w, err := dst.Create(ctx, dstName, opts)
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	buf := make([]byte, min(copyChunk, h.Size()))
	for off := int64(0); off < h.Size(); off += int64(len(buf)) {
		p := buf[:min(int64(len(buf)), h.Size()-off)]
		if err := h.ReadAt(ctx, p, off); err != nil {
			return 0, err
		}
		if _, err := w.Write(p); err != nil {
			return 0, err
		}
	}
	return h.Size(), w.Commit()
}

// probeName is the object that probes write.
const probeName = ".kalamdb-probe"

// ProbeByWriting is a Probe that writes a small object, reads it back and
// deletes it.
func ProbeByWriting(ctx context.Context, b Bucket) error {
	want := []byte("kalamdb")
	if err := Put(ctx, b, probeName, want, CreateOptions{}); err != nil {
		return err
	}
	got, err := ReadAll(ctx, b, probeName, int64(len(want)))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	// Another probe at the same time may have deleted it already.
	if err == nil && !bytes.Equal(got, want) {
		return dberr.New(dberr.StorageUnavailable, "The storage does not give back what was written.")
	}
	return b.Delete(ctx, probeName)
}
