package catalog

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// StorageType is the kind of a place for cold files.
type StorageType string

// The kinds.
const (
	Filesystem StorageType = "filesystem"
	S3         StorageType = "s3"
)

// Storage is a place for cold files, beside the one that is always there. It is
// immutable.
type Storage struct {
	ID          ident.StorageID `json:"id"`
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Type        StorageType     `json:"type"`
	// URI is the folder, or the bucket and prefix.
	URI string `json:"uri"`
	// Credentials is a JSON object with secrets, or empty. It is shown to
	// nobody.
	Credentials    string    `json:"credentials,omitempty"`
	SharedTemplate string    `json:"shared_template"`
	UserTemplate   string    `json:"user_template"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

type storageRecord struct {
	Format int `json:"format"`
	Storage
}

const storageTag = 's'

func storageKey(id ident.StorageID) []byte { return append([]byte{storageTag}, id...) }

func noStorage(id ident.StorageID) error {
	return dberr.Newf(dberr.NotFound, "Storage '%s' does not exist.", id).
		WithHint("SELECT storage_id FROM system.storages lists the storages.")
}

// Storage finds a storage; the one that is always there is none of the
// catalog's.
func (s *Snapshot) Storage(id ident.StorageID) (*Storage, error) {
	if st, ok := s.storages[id]; ok {
		return st, nil
	}
	return nil, noStorage(id)
}

// Storages lists the storages by id.
func (s *Snapshot) Storages() iter.Seq[*Storage] {
	return func(yield func(*Storage) bool) {
		for _, id := range slices.Sorted(maps.Keys(s.storages)) {
			if !yield(s.storages[id]) {
				return
			}
		}
	}
}

// stored checks that a table's storage is there.
func (e *Edit) stored(t *ddl.Table) error {
	if t.Storage == "" || t.Storage == sysname.DefaultStorage {
		return nil
	}
	_, err := e.next.Storage(t.Storage)
	return err
}

func (e *Edit) putStorage(st Storage) error {
	if err := e.put(storageKey(st.ID), storageRecord{format, st}); err != nil {
		return err
	}
	if !e.storagesCopied {
		e.next.storages = maps.Clone(e.next.storages)
		e.storagesCopied = true
	}
	e.next.storages[st.ID] = &st
	return nil
}

// CreateStorage adds a storage. created is false when it exists and ifNotExists
// allows that.
func (e *Edit) CreateStorage(st Storage, ifNotExists bool) (created bool, err error) {
	_, exists := e.next.storages[st.ID]
	if exists || st.ID == sysname.DefaultStorage {
		if ifNotExists {
			return false, nil
		}
		return false, dberr.Newf(dberr.AlreadyExists, "Storage '%s' already exists.", st.ID)
	}
	st.CreatedAt, st.UpdatedAt = e.now, e.now
	return true, e.putStorage(st)
}

// AlterStorage replaces a storage by what change makes of it.
func (e *Edit) AlterStorage(id ident.StorageID, change func(*Storage) error) error {
	old, err := e.next.Storage(id)
	if err != nil {
		return err
	}
	st := *old
	if err := change(&st); err != nil {
		return err
	}
	st.UpdatedAt = e.now
	return e.putStorage(st)
}

// TablesOf counts the tables whose files go to a storage.
func (s *Snapshot) TablesOf(id ident.StorageID) (n int) {
	for t := range s.Tables("") {
		if t.Storage == id {
			n++
		}
	}
	return n
}

// DropStorage removes a storage, unless tables use it. dropped is false when
// there is none and ifExists allows that.
func (e *Edit) DropStorage(id ident.StorageID, ifExists bool) (dropped bool, err error) {
	if _, err := e.next.Storage(id); err != nil {
		if ifExists {
			return false, nil
		}
		return false, err
	}
	if n := e.next.TablesOf(id); n > 0 {
		return false, dberr.Newf(dberr.Conflict, "Cannot drop storage '%s': %d table(s) use it", id, n).WithState("2BP01").
			WithHint("Drop the tables, or give them another storage with ALTER TABLE … SET (storage = '…').")
	}
	if !e.storagesCopied {
		e.next.storages = maps.Clone(e.next.storages)
		e.storagesCopied = true
	}
	delete(e.next.storages, id)
	e.batch.Delete(Partition, storageKey(id))
	e.changed = true
	return true, nil
}

func (s *Snapshot) loadStorage(_ []byte, r *storageRecord) (int, error) {
	if r.Type != Filesystem && r.Type != S3 && r.Format <= format {
		return r.Format, fmt.Errorf("storage %q has the unknown type %q", r.ID, r.Type)
	}
	st := r.Storage
	s.storages[st.ID] = &st
	return r.Format, nil
}
