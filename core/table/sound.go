package table

import (
	"context"
	"errors"
	"path"
	"slices"
	"sync"

	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/segment"
)

// Sound makes a View leave out files that are damaged or missing, and keeps
// account of them. To know, every file of a partition is read as a whole when
// the partition is first opened.
//
// What is left out may hide nothing any more: a row whose newest version was
// there shows an older one if another file has it, and one that was deleted
// there shows again. So it is for who asks for it, and for reading only. It may
// be used from several goroutines.
type Sound struct {
	mu    sync.Mutex // guards what follows
	lists map[kv.Partition]*coldList
	left  []string
}

// LeftOut names the files that were left out, in the order of their names.
func (so *Sound) LeftOut() []string {
	so.mu.Lock()
	defer so.mu.Unlock()
	slices.Sort(so.left)
	return slices.Clone(so.left)
}

// list is what is sound of a partition's list.
func (so *Sound) list(ctx context.Context, s *Store, p kv.Partition, l *coldList) (*coldList, error) {
	so.mu.Lock()
	defer so.mu.Unlock()
	if known := so.lists[p]; known != nil {
		return known, nil
	}
	var entries []manifest.Entry
	for i := range l.entries {
		e := l.entries[i]
		switch err := s.verify(ctx, &e); {
		case err == nil:
			entries = append(entries, e)
		case errors.Is(err, segment.ErrDamaged), errors.Is(err, object.ErrNotFound):
			so.left = append(so.left, path.Base(e.Name))
		default:
			return nil, err
		}
	}
	if len(entries) < len(l.entries) {
		l = newColdList(entries)
	}
	if so.lists == nil {
		so.lists = map[kv.Partition]*coldList{}
	}
	so.lists[p] = l
	return l, nil
}

// verify reads a whole segment and compares it with its checksums.
func (s *Store) verify(ctx context.Context, e *manifest.Entry) error {
	seg, err := s.openSegment(ctx, e)
	if err != nil {
		return err
	}
	defer seg.Close()
	return seg.Verify(ctx)
}
