// Package storage opens the places where cold files lie: the folder "local",
// which is always there, and the folders and buckets that CREATE STORAGE names.
//
// It checks their definitions, keeps one open bucket for each, and knows which
// object a table's file is. It does not know what is in the files.
package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/layout"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/object/s3"
)

// Options sets how a Manager works.
type Options struct {
	// Location is the folder of the storage "local".
	Location string
	// InMemory keeps the objects of "local" in memory: for a database that has
	// no folder at all.
	InMemory bool
	// UserTemplate and SharedTemplate are those of "local", and of storages
	// that name none.
	UserTemplate, SharedTemplate string
}

var _ table.Files = (*Manager)(nil)

// Manager has the open storages. It may be used from several goroutines.
type Manager struct {
	opts  Options
	local *catalog.Storage

	mu   sync.Mutex // guards open
	open map[ident.StorageID]*opened
}

type opened struct {
	def    *catalog.Storage
	bucket object.Bucket
}

// New makes a Manager. It opens nothing yet.
func New(opts Options) *Manager {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return &Manager{opts: opts, open: map[ident.StorageID]*opened{}, local: &catalog.Storage{
		ID: sysname.DefaultStorage, Name: "Local filesystem", Description: "The storage that is always there",
		Type: catalog.Filesystem, URI: opts.Location,
		SharedTemplate: opts.SharedTemplate, UserTemplate: opts.UserTemplate, CreatedAt: now, UpdatedAt: now,
	}}
}

// Local is the storage that is always there.
func (m *Manager) Local() *catalog.Storage { return m.local }

// find gives a storage's definition.
func (m *Manager) find(cat *catalog.Snapshot, id ident.StorageID) (*catalog.Storage, error) {
	if id == sysname.DefaultStorage {
		return m.local, nil
	}
	return cat.Storage(id)
}

// Bucket gives the bucket of a storage as the catalog has it. It stays the
// Manager's.
//
// Errors: NOT_FOUND, or STORAGE_UNAVAILABLE when it cannot be opened.
func (m *Manager) Bucket(cat *catalog.Snapshot, id ident.StorageID) (object.Bucket, error) {
	def, err := m.find(cat, id)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.open[id]
	if o != nil && (o.def == def || o.def.URI == def.URI && o.def.Credentials == def.Credentials && o.def.Type == def.Type) {
		return o.bucket, nil
	}
	b, err := m.openBucket(def)
	if err != nil {
		return nil, err
	}
	if o != nil {
		// What is open in it stays usable.
		_ = o.bucket.Close()
	}
	m.open[id] = &opened{def, b}
	return b, nil
}

func (m *Manager) openBucket(def *catalog.Storage) (object.Bucket, error) {
	switch {
	case def.ID == sysname.DefaultStorage && m.opts.InMemory:
		return object.NewMem(), nil
	case def.Type == catalog.Filesystem:
		return object.OpenLocal(folder(def.URI))
	}
	opts, err := s3.ParseOptions(def.URI, def.Credentials)
	if err != nil {
		return nil, err
	}
	b, err := s3.New(opts)
	if err != nil {
		return nil, err
	}
	return lending{b}, nil
}

// folder is the path of a filesystem storage, which may be written as a URI.
func folder(uri string) string {
	uri = strings.TrimPrefix(uri, "file://")
	return filepath.FromSlash(uri)
}

// ObjectName is the name of a table's file in its storage.
func (m *Manager) ObjectName(cat *catalog.Snapshot, t *ddl.Table, user ident.UserID, file string) (string, error) {
	def, err := m.find(cat, t.Storage)
	if err != nil {
		return "", err
	}
	tmpl, err := template(def, t.Type)
	if err != nil {
		return "", err
	}
	return tmpl.Prefix(layout.Values{Namespace: t.Namespace, Table: t.Name, User: user}) + file, nil
}

// Location is where a table's files lie, for people. Where a part depends on
// the user it stands as a variable.
func (m *Manager) Location(cat *catalog.Snapshot, t *ddl.Table) string {
	def, err := m.find(cat, t.Storage)
	if err != nil {
		return ""
	}
	text := def.SharedTemplate
	if t.Type == ident.UserTable {
		text = def.UserTemplate
	}
	text = strings.TrimPrefix(strings.TrimPrefix(text, "{storageLocation}"), "/")
	text = strings.NewReplacer("{namespace}", layout.Escape(string(t.Namespace)), "{tableName}", layout.Escape(string(t.Name))).Replace(text)
	base := def.URI
	if m.opts.InMemory && def.ID == sysname.DefaultStorage {
		base = "memory:"
	}
	base, _, _ = strings.Cut(base, "?")
	return strings.TrimSuffix(base, "/") + "/" + path.Clean(text) + "/"
}

func template(def *catalog.Storage, typ ident.TableType) (*layout.Template, error) {
	if typ == ident.UserTable {
		return layout.Parse(layout.UserTables, def.UserTemplate)
	}
	return layout.Parse(layout.SharedTables, def.SharedTemplate)
}

// Check completes a definition and tells what is wrong with it. A folder is
// made when it does not exist; whether a bucket can be reached is found out
// when it is needed.
func (m *Manager) Check(def *catalog.Storage) error {
	if def.SharedTemplate == "" {
		def.SharedTemplate = m.opts.SharedTemplate
	}
	if def.UserTemplate == "" {
		def.UserTemplate = m.opts.UserTemplate
	}
	for _, typ := range []ident.TableType{ident.UserTable, ident.SharedTable} {
		if _, err := template(def, typ); err != nil {
			return err
		}
	}
	switch def.Type {
	case catalog.Filesystem:
		return checkFolder(def)
	case catalog.S3:
		opts, err := s3.ParseOptions(def.URI, def.Credentials)
		if err != nil {
			return err
		}
		b, err := s3.New(opts)
		if err != nil {
			return err
		}
		return b.Close()
	}
	return dberr.Newf(dberr.InvalidSQL, "unknown type of storage %q", def.Type).WithHint("The types are filesystem and s3.")
}

func checkFolder(def *catalog.Storage) error {
	switch dir := folder(def.URI); {
	case def.Credentials != "":
		return dberr.New(dberr.InvalidSQL, "a filesystem storage has no CREDENTIALS")
	case dir == "" || strings.ContainsRune(dir, 0):
		return dberr.New(dberr.InvalidSQL, "a filesystem storage needs the PATH of a folder")
	case strings.Contains(def.URI, "://") && !strings.HasPrefix(def.URI, "file://"):
		return dberr.Newf(dberr.InvalidSQL, "a filesystem storage cannot have the PATH %q", def.URI).
			WithHint("Write the path of a folder, or use TYPE s3.")
	case !filepath.IsAbs(dir):
		return dberr.Newf(dberr.InvalidSQL, "the PATH of a filesystem storage must be absolute, not %q", def.URI)
	default:
		b, err := object.OpenLocal(dir)
		if err != nil {
			return err
		}
		return b.Close()
	}
}

// Mask is the credentials as they may be shown: which ones there are, and
// nothing of them.
func Mask(credentials string) string {
	if credentials == "" {
		return ""
	}
	var have map[string]json.RawMessage
	if json.Unmarshal([]byte(credentials), &have) != nil {
		return "***"
	}
	shown := map[string]string{}
	for k := range have {
		shown[k] = "***"
	}
	data, _ := json.Marshal(shown) // texts always encode
	return string(data)
}

// Close gives up what is open.
func (m *Manager) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for id, o := range m.open {
		if err := o.bucket.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close storage %s: %w", id, err))
		}
	}
	clear(m.open)
	return errors.Join(errs...)
}
