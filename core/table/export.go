package table

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/crew"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/segment"
)

// Export is a copy of a table's rows that is to be made.
type Export struct {
	// Table is the definition that State has.
	Table *ddl.Table
	State *State
	// To is where the files go; Name gives each of them its name.
	To   object.Bucket
	Name func() string
	// Emit gets what was copied, some at a time. Its error ends the copying.
	Emit func([]Portion) error
	// Options are those of a flush, but for MinRows.
	Options FlushOptions
}

// Portion is a segment with rows of one partition, outside of the database: the
// Name of its Entry is that of the file there, and Storage is empty.
type Portion struct {
	// User is the owner of the rows; empty for a SHARED table.
	User  ident.UserID
	Entry manifest.Entry
}

// portions is how many files an export copies before it tells of them.
const portions = groupFiles

// Export copies the rows that a state has of a table: the segments as they are,
// and the hot rows of each partition as one segment more, which the flush's own
// function writes. Nothing in the database changes, nobody waits: the state
// keeps the files that it lists.
//
// Errors: CONFLICT when the table is dropped meanwhile, TABLE_NOT_FOUND when
// the state does not have it; those of the storages; damage, which is not
// copied.
func (s *Store) Export(ctx context.Context, x Export) error {
	if x.Table.Type != ident.UserTable && x.Table.Type != ident.SharedTable {
		return nil // its rows are in memory, and go with it
	}
	e := &exporter{x: x, f: &flusher{s: s, id: x.Table.ID, st: x.State, opts: x.Options.withDefaults()}}
	if err := e.f.prepare(); err != nil {
		return err
	}
	if err := e.cold(ctx); err != nil {
		return err
	}
	if err := e.hot(ctx); err != nil {
		return err
	}
	if err := e.flush(ctx); err != nil {
		return err
	}
	// The hot rows of a table that is dropped go from under a state. Its
	// definition goes before them: while that is there, they were.
	if !s.Catalog().Has(x.Table) {
		return dberr.Newf(dberr.Conflict, "table %s was dropped meanwhile", x.Table.Ident())
	}
	return nil
}

type exporter struct {
	x    Export
	f    *flusher
	work []exported
}

// exported is one file on its way: a segment that is listed, or hot rows.
type exported struct {
	portion Portion
	from    *manifest.Entry
	hot     *flushed
}

func (e *exporter) cold(ctx context.Context) error {
	for o, err := range manifest.All(e.f.st.kv, keyenc.TablePrefix(e.x.Table.ID)) {
		if err != nil {
			return err
		}
		from := o.Entry
		if err := e.add(ctx, o.Partition, exported{from: &from, portion: Portion{Entry: o.Entry}}); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) hot(ctx context.Context) error {
	for p, err := range e.f.st.kv.Partitions(keyenc.TablePrefix(e.x.Table.ID)) {
		if err != nil {
			return fmt.Errorf("back up %s: %w", e.x.Table.Ident(), err)
		}
		one, err := e.f.look(p)
		if err != nil {
			return err
		}
		if one == nil || !one.fresh {
			continue
		}
		if err := e.add(ctx, p, exported{hot: one}); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) add(ctx context.Context, p kv.Partition, one exported) error {
	name, err := keyenc.ParsePartition(p)
	if err != nil {
		return err
	}
	one.portion.User = name.User
	e.work = append(e.work, one)
	if len(e.work) < portions {
		return nil
	}
	return e.flush(ctx)
}

// flush copies what has gathered, and tells of it.
func (e *exporter) flush(ctx context.Context) error {
	if len(e.work) == 0 {
		return nil
	}
	names := make([]string, len(e.work))
	for i := range names {
		names[i] = e.x.Name()
	}
	err := atOnce(ctx, e.f.opts, len(e.work), func(ctx context.Context, i int) error {
		one := &e.work[i]
		if one.from != nil {
			ref, err := e.f.s.ref(one.from)
			if err != nil {
				return err
			}
			if err := segment.Copy(ctx, ref, e.x.To, names[i]); err != nil {
				return missing(err, one.from.Name)
			}
		} else {
			one.hot.entry.Name = names[i]
			if err := e.f.file(ctx, e.x.To, one.hot); err != nil {
				return err
			}
			one.portion.Entry = one.hot.entry
		}
		one.portion.Entry.Name, one.portion.Entry.Storage = names[i], ""
		return nil
	})
	if err != nil {
		return err
	}
	out := make([]Portion, len(e.work))
	for i := range e.work {
		out[i] = e.work[i].portion
	}
	e.work = e.work[:0]
	return e.x.Emit(out)
}

// atOnce does n pieces of work, several at a time. The first error ends it.
func atOnce(ctx context.Context, opts FlushOptions, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg crew.Crew
	var next atomic.Int32
	for range min(opts.Writers, n) {
		wg.Go(func() {
			opts.Work(func() {
				for ctx.Err() == nil {
					i := int(next.Add(1)) - 1
					if i >= n {
						return
					}
					if err := do(ctx, i); err != nil {
						cancel(err)
					}
				}
			})
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// RowsAt is how many rows a state has of a table, of all users together.
func (s *Store) RowsAt(st *State, id ident.TableID) (live, deleted int64, err error) {
	v, found, err := st.kv.Get(metaPartition, countKey(id))
	if err != nil || !found {
		return 0, 0, err
	}
	c, ok := readCount(v)
	if !ok {
		return 0, 0, fmt.Errorf("read row counts: the record of table %d is damaged", id)
	}
	return c.live, c.deleted, nil
}

// Settled waits until what the server before this one left in the storages is
// gone: before that nothing is to be written there.
func (s *Store) Settled(ctx context.Context) error {
	select {
	case <-s.files.clean:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
