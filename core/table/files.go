package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
)

// files sees to it that a file exists if and only if it is listed.
//
// Before a file is written, a note of its name goes to the backend. The batch
// that lists the file takes the note away. The batch that takes a file off its
// list makes a note of it, too. So a noted file is one that may exist and is
// not listed: at a start all noted files are deleted; a file that is no longer
// listed is deleted when nobody has a state any more that lists it. A file that
// cannot be deleted keeps its note, and is tried again from time to time.
type files struct {
	s *Store
	// clean is closed when what the server before this one left is gone, or
	// was tried: before that no file is written, as temporary ones of a folder
	// are removed whole.
	clean chan struct{}

	mu sync.Mutex // guards last
	// last is the number of the last segment.
	last manifest.ID
	// useless are files that nobody lists any more.
	useless *pile[noted]
}

// noted is a file by its storage and name.
type noted struct {
	storage ident.StorageID
	name    string
}

// notes keeps the notes: the key is the storage, a zero byte, and the name.
var notes = keyenc.CatalogPartition("pending-files")

// metaSegment is the last number that was given to a segment.
var metaSegment = []byte("segment")

func (n noted) key() []byte {
	return append(append([]byte(n.storage), 0), n.name...)
}

// load reads the notes that were left.
func (f *files) load(s *Store, snap kv.Snapshot) ([]noted, error) {
	f.s, f.clean, f.useless = s, make(chan struct{}), newPile[noted](nil)
	v, found, err := snap.Get(metaPartition, metaSegment)
	if err != nil {
		return nil, fmt.Errorf("read the last segment's number: %w", err)
	}
	if found {
		if len(v) != 8 {
			return nil, errors.New("read the last segment's number: its record is damaged")
		}
		f.last = manifest.ID(binary.BigEndian.Uint64(v))
	}
	it := snap.Scan(notes, kv.Range{KeysOnly: true})
	defer it.Close()
	var out []noted
	for it.Next() {
		storage, name, ok := bytes.Cut(it.Key(), []byte{0})
		if !ok {
			return nil, fmt.Errorf("read notes of files: %q is damaged", it.Key())
		}
		out = append(out, noted{ident.StorageID(storage), string(name)})
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read notes of files: %w", err)
	}
	return out, nil
}

// run deletes the files that are left over, then those that come to be.
func (f *files) run(pending []noted) {
	failed := f.sweep(pending)
	close(f.clean)
	var again <-chan time.Time
	for {
		if again == nil && len(failed) > 0 {
			again = time.After(f.s.opts.Retry)
		}
		select {
		case <-f.s.ctx.Done():
			return
		case <-f.useless.more:
			failed = append(failed, f.tryDelete(f.s.ctx, f.useless.take())...)
		case <-again:
			failed, again = f.tryDelete(f.s.ctx, failed), nil
		}
	}
}

// sweeper is a bucket that keeps temporary files of what was not finished.
type sweeper interface {
	Sweep(ctx context.Context, prefix string) (removed int, err error)
}

// sweep deletes what the server before this one left, and gives the files that
// could not be deleted.
func (f *files) sweep(pending []noted) (failed []noted) {
	if len(pending) == 0 {
		return nil
	}
	failed = f.tryDelete(f.s.ctx, pending)
	swept := map[noted]bool{}
	for _, n := range pending {
		folder := noted{n.storage, path.Dir(n.name) + "/"}
		if swept[folder] {
			continue
		}
		swept[folder] = true
		b, err := f.s.opts.Files.Bucket(f.s.Catalog(), n.storage)
		if err != nil {
			continue // tryDelete has logged it
		}
		if sw, ok := b.(sweeper); ok {
			if _, err := sw.Sweep(f.s.ctx, folder.name); err != nil {
				f.s.opts.Logger.Warn("remove temporary files", "storage", n.storage, "error", err)
			}
		}
	}
	f.s.opts.Logger.Info("removed files that were not finished", "files", len(pending)-len(failed))
	return failed
}

// delete deletes files, then their notes. What fails is tried again later.
func (f *files) delete(ctx context.Context, pending []noted) {
	f.useless.add(f.tryDelete(ctx, pending)...)
}

// tryDelete deletes files, then their notes, and gives those that could not be
// deleted.
func (f *files) tryDelete(ctx context.Context, pending []noted) (failed []noted) {
	var b kv.Batch
	var why error
	for i, n := range pending {
		err := ctx.Err()
		if err == nil {
			err = f.remove(ctx, n)
		}
		if err != nil && ctx.Err() != nil {
			f.s.opts.Logger.Info("files that are no longer needed are left to the next start", "files", len(pending)-i)
			break
		}
		if err != nil {
			failed, why = append(failed, n), err
			continue
		}
		b.Delete(notes, n.key())
	}
	if len(failed) > 0 {
		f.s.opts.Logger.Warn("delete files that are no longer needed; it is tried again later", "files", len(failed),
			"storage", failed[0].storage, "file", failed[0].name, "error", why)
	}
	if b.Len() == 0 {
		return failed
	}
	if err := f.s.backend.Write(context.WithoutCancel(ctx), &b); err != nil {
		// They are looked for, and not found, at the next start.
		f.s.opts.Logger.Warn("forget deleted files", "error", err)
	}
	return failed
}

func (f *files) remove(ctx context.Context, n noted) error {
	bucket, err := f.s.opts.Files.Bucket(f.s.Catalog(), n.storage)
	if err != nil {
		return err
	}
	f.s.segments.Forget(bucket, n.name)
	return bucket.Delete(ctx, n.name)
}

// retire deletes files that the newest state no longer lists, once the older
// ones are gone. Their notes are written.
func (f *files) retire(n []noted) {
	if len(n) == 0 {
		return
	}
	f.s.states.afterOlder(func() { f.useless.add(n...) })
}

// numbers gives n numbers for segments. The batch in which they are used first
// must have what it adds.
func (f *files) numbers(n int, b *kv.Batch) (first manifest.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// Beginning with the time keeps databases that share a folder, or begin
	// anew in it, from writing over each other's files.
	first = max(f.last+1, manifest.ID(f.s.opts.Now().UnixMicro()))
	f.last = first + manifest.ID(n) - 1
	b.Put(metaPartition, metaSegment, binary.BigEndian.AppendUint64(nil, uint64(f.last)))
	return first
}

// removeFiles takes all segments of a dropped table off their lists.
func (s *Store) removeFiles(ctx context.Context, id ident.TableID) error {
	st := s.Acquire()
	defer st.Release()
	var b kv.Batch
	owned, err := manifest.DropTable(&b, st.kv, id)
	if err != nil {
		return err
	}
	it := st.kv.Scan(lostPartition, kv.PrefixRange([]byte(keyenc.TablePrefix(id))))
	for it.Next() {
		b.Delete(lostPartition, it.Key())
	}
	err = it.Err()
	it.Close()
	if err != nil {
		return err
	}
	gone := make([]noted, len(owned))
	for i, o := range owned {
		gone[i] = noted{o.Storage, o.Name}
		b.Put(notes, gone[i].key(), nil)
	}
	if b.Len() == 0 {
		return nil
	}
	if err := s.backend.Write(ctx, &b); err != nil {
		return err
	}
	// This state, too, may be one that still lists them.
	s.files.retire(gone)
	return nil
}

// FilesOf counts the files in a storage: those that are listed, and those that
// are being written or still to be deleted. It looks at all lists, so it is for
// what is rarely done. It may be called between two batches.
func (s *Store) FilesOf(id ident.StorageID) (n int, err error) {
	st := s.Acquire()
	defer st.Release()
	for o, err := range manifest.All(st.kv, "") {
		if err != nil {
			return 0, fmt.Errorf("count files: %w", err)
		}
		if o.Storage == id {
			n++
		}
	}
	it := st.kv.Scan(notes, kv.PrefixRange(noted{storage: id}.key()))
	defer it.Close()
	for it.Next() {
		n++
	}
	if err := it.Err(); err != nil {
		return 0, fmt.Errorf("count files: %w", err)
	}
	return n, nil
}
