package apikey

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
)

// Partition holds a record for each key, under its id.
var Partition = keyenc.CatalogPartition("api_keys")

// format is the version of the records. It grows when a server that does not
// know a change would misread them.
const format = 1

type record struct {
	Format     int          `json:"format"`
	User       ident.UserID `json:"user"`
	Name       string       `json:"name,omitempty"`
	Hash       []byte       `json:"sha256"`
	Registered bool         `json:"registered,omitempty"`
	CreatedAt  time.Time    `json:"created_at"`
	LastUsed   int64        `json:"last_used,omitempty"` // Unix microseconds
}

// put adds the key's record to a batch.
func (e *entry) put(b *kv.Batch, used int64) error {
	data, err := json.Marshal(record{
		Format: format, User: e.user, Name: e.name, Hash: e.hash[:], Registered: e.registered, CreatedAt: e.created, LastUsed: used,
	})
	if err != nil {
		return fmt.Errorf("encode API key: %w", err)
	}
	b.Put(Partition, []byte(e.id), data)
	return b.Err()
}

// decode reads a key's record.
func decode(id ident.APIKeyID, data []byte) (*entry, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read API key %q: %w", id, err)
	}
	if r.Format > format {
		return nil, dberr.Newf(dberr.StorageUnavailable, "The API keys were written by a newer server (format %d, this server knows %d).", r.Format, format)
	}
	e := &entry{id: id, user: r.User, name: r.Name, created: r.CreatedAt, registered: r.Registered, saved: r.LastUsed}
	if len(r.Hash) != len(e.hash) || r.User == "" || len(id) != 2*idBytes {
		return nil, fmt.Errorf("read API key %q: the record is damaged", id)
	}
	copy(e.hash[:], r.Hash)
	e.used.Store(r.LastUsed)
	return e, nil
}
