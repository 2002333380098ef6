package table

import (
	"context"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/rowenc"
)

// remove is step 4.
func (f *flusher) remove(ctx context.Context, state *State, group []*flushed) (err error) {
	// What is left hot of each partition, as far as the state has it.
	left := make([]hotRange, len(group))
	defer func() {
		// Without it the committer would note for nothing.
		_ = f.s.command(context.WithoutCancel(ctx), func() error {
			for i, one := range group {
				if err == nil {
					left[i].gen = state.cold[f.id]
					for key := range f.s.watched[one.p] {
						left[i].widen([]byte(key))
					}
					f.s.hot.set(one.p, &left[i])
				}
				delete(f.s.watched, one.p)
			}
			return nil
		})
	}()
	var piece []removal
	most := removeBusy
	give := func() error {
		if len(piece) == 0 {
			return nil
		}
		start := time.Now()
		err := f.removePiece(ctx, piece)
		piece = piece[:0]
		f.rest(ctx, time.Since(start))
		f.s.opts.Step(StepRemoving)
		return err
	}
	for i, one := range group {
		through := max(one.after, one.entry.MaxSeq)
		span, any := f.s.clamp(state, f.id, one.p, kv.Range{})
		if !any {
			continue
		}
		it := state.kv.Scan(one.p, span)
		for it.Next() {
			row, err := it.Value()
			if err != nil {
				it.Close()
				return err
			}
			r := rowenc.Row(row)
			if r.Seq() > through {
				left[i].widen(it.Key())
				continue
			}
			piece = append(piece, removal{one.p, string(it.Key()), r.Deleted()})
			if len(piece) == most {
				if most = removeKeys; f.busy() {
					most = removeBusy
				}
				if err := give(); err != nil {
					it.Close()
					return err
				}
			}
		}
		err := it.Err()
		it.Close()
		if err != nil {
			return err
		}
	}
	return give()
}

// tidyRows is after how many removed rows the backend is asked to give their
// space back: until then scans have to step over them.
const tidyRows = 100_000

// removed counts rows that a flush has removed.
func (s *Store) removed(n int64) {
	if s.garbage.Add(n) >= tidyRows {
		select {
		case s.tidy <- struct{}{}:
		default:
		}
	}
}

// tidier compacts the backend after much was removed from it.
func (s *Store) tidier() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.tidy:
			s.Tidy(s.ctx)
		}
	}
}

// Tidy compacts the backend if much was removed from it. A store does so by
// itself; before it is closed it has no time for that unless it is asked.
func (s *Store) Tidy(ctx context.Context) {
	select {
	case s.tidying <- struct{}{}:
		defer func() { <-s.tidying }()
	case <-ctx.Done():
		return
	}
	n := s.garbage.Load()
	if n < tidyRows {
		return
	}
	switch err := s.backend.Compact(ctx); {
	case err == nil:
		s.garbage.Add(-n)
	case ctx.Err() == nil:
		s.opts.Logger.Warn("compact the backend", "error", err)
	}
}

// removal is a hot row that a segment has.
type removal struct {
	p       kv.Partition
	key     string
	deleted bool
}

// removePiece removes hot rows that were not written since the watch began.
func (f *flusher) removePiece(ctx context.Context, piece []removal) error {
	s := f.s
	return s.command(ctx, func() error {
		if s.broken != nil {
			return s.broken
		}
		cat := s.cur.Load().Catalog
		if now, err := cat.Table(f.t.Namespace, f.t.Name); err != nil || now.ID != f.id {
			return errUnlisted
		}
		s.batch.Reset()
		var delta count
		for i := range piece {
			r := &piece[i]
			if s.watched[r.p][r.key] {
				continue
			}
			s.batch.Delete(r.p, []byte(r.key))
			if r.deleted {
				delta.hotDeleted--
			} else {
				delta.hot--
			}
		}
		if s.batch.Len() == 0 {
			return nil
		}
		deltas := map[ident.TableID]count{f.id: delta}
		s.counts.put(&s.batch, deltas)
		if err := s.write(); err != nil {
			return err
		}
		s.counts.apply(deltas)
		return s.advance(cat)
	})
}
