package core

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/storage"
	"github.com/kalamdb/kalamdb/core/systable"
	"github.com/kalamdb/kalamdb/sql/ast"
)

// shownStorage is a storage as people see it, without its secrets.
func shownStorage(s *catalog.Storage) systable.Storage {
	return systable.Storage{
		ID: s.ID, Name: s.Name, Description: s.Description, Type: string(s.Type), URI: s.URI, Credentials: storage.Mask(s.Credentials),
		SharedTemplate: s.SharedTemplate, UserTemplate: s.UserTemplate, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
}

// storageOptions puts the clauses of CREATE and ALTER STORAGE into a
// definition.
func (st *statement) storageOptions(def *catalog.Storage, opts []ast.Option) error {
	for i := range opts {
		o := &opts[i]
		value, err := catalog.TextOption(o)
		if err != nil {
			return st.at(err, o.Pos)
		}
		switch o.Name {
		case ast.OptName:
			def.Name = value
		case ast.OptDescription:
			def.Description = value
		case ast.OptPath:
			def.URI = value
		case ast.OptCredentials:
			def.Credentials = value
		case ast.OptSharedTablesTemplate:
			def.SharedTemplate = value
		case ast.OptUserTablesTemplate:
			def.UserTemplate = value
		default:
			return dberr.Newf(dberr.InvalidSQL, "unknown storage option %q", o.Name).At(o.Pos.In(st.text))
		}
	}
	return nil
}

func (st *statement) createStorage(ctx context.Context, x *ast.CreateStorage) error {
	id, err := ident.ParseStorage(x.ID.Name)
	if err != nil {
		return st.at(err, x.ID.Pos)
	}
	def := catalog.Storage{ID: id, Type: catalog.StorageType(x.Type.Name)}
	if err := st.storageOptions(&def, x.Options); err != nil {
		return err
	}
	if err := st.s.e.storages.Check(&def); err != nil {
		return st.at(err, x.Pos)
	}
	created := false
	_, err = st.s.e.store.Define(ctx, func(e *catalog.Edit) error {
		var err error
		created, err = e.CreateStorage(def, x.IfNotExists)
		return err
	})
	switch {
	case err != nil:
		return st.at(err, x.ID.Pos)
	case !created:
		return st.answer(fmt.Sprintf("Storage %s exists already", id))
	}
	return st.answer(fmt.Sprintf("Storage %s created", id))
}

// errLocal answers who wants to change the storage that is always there.
var errLocal = dberr.New(dberr.Conflict, "Storage 'local' is always there; the configuration says what it is.").
	WithHint("Change [storage] in the configuration, or CREATE STORAGE another one.")

func (st *statement) alterStorage(ctx context.Context, x *ast.AlterStorage) error {
	id := ident.StorageID(x.ID.Name)
	if id == sysname.DefaultStorage {
		return errLocal.At(x.ID.Pos.In(st.text))
	}
	_, err := st.s.e.store.Define(ctx, func(e *catalog.Edit) error {
		return e.AlterStorage(id, func(def *catalog.Storage) error {
			before := def.URI
			if err := st.storageOptions(def, x.Options); err != nil {
				return err
			}
			if def.URI != before {
				// Files that are there would be looked for elsewhere.
				if err := st.s.e.unusedStorage(e.Next(), id, "Cannot change the PATH of storage"); err != nil {
					return err
				}
			}
			return st.s.e.storages.Check(def)
		})
	})
	if err != nil {
		return st.at(err, x.ID.Pos)
	}
	return st.answer(fmt.Sprintf("Storage %s altered", id))
}

func (st *statement) dropStorage(ctx context.Context, x *ast.DropStorage) error {
	id := ident.StorageID(x.ID.Name)
	if id == sysname.DefaultStorage {
		return errLocal.At(x.ID.Pos.In(st.text))
	}
	dropped := false
	_, err := st.s.e.store.Define(ctx, func(e *catalog.Edit) error {
		var err error
		if dropped, err = e.DropStorage(id, x.IfExists); err != nil || !dropped {
			return err
		}
		return st.s.e.unusedStorage(e.Next(), id, "Cannot drop storage")
	})
	switch {
	case err != nil:
		return st.at(err, x.ID.Pos)
	case !dropped:
		return st.answer(fmt.Sprintf("Storage %s does not exist", id))
	}
	return st.answer(fmt.Sprintf("Storage %s dropped", id))
}

// unusedStorage refuses what would make files unreachable: those of tables that
// use the storage, and those that tables have left there. It runs between two
// batches.
func (e *Engine) unusedStorage(cat *catalog.Snapshot, id ident.StorageID, what string) error {
	if n := cat.TablesOf(id); n > 0 {
		return dberr.Newf(dberr.Conflict, "%s '%s': %d table(s) use it", what, id, n).WithState("2BP01")
	}
	files, err := e.store.FilesOf(id)
	if err != nil {
		return err
	}
	if files > 0 {
		return dberr.Newf(dberr.Conflict, "%s '%s': %d file(s) of tables lie there", what, id, files).WithState("2BP01").
			WithHint("COMPACT TABLE writes a table's files anew, into the storage that it has now.")
	}
	return nil
}
