package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/object"
)

// Format is the version of the layout of a backup.
const Format = 1

// manifestName is the file that makes a backup one.
const manifestName = "backup.json"

// What is read of a backup into memory at once is bounded.
const (
	maxManifest = 256 << 20
	maxList     = 64 << 20
	// listFiles is how many files a list has at most.
	listFiles = 4096
)

// Manifest says what a backup has.
type Manifest struct {
	Format int `json:"format"`
	// Server is the version of the server that made it.
	Server string `json:"server"`
	// Folder has the files, beside the manifest.
	Folder string `json:"folder"`
	// Sequence is the last commit that is in it.
	Sequence change.Seq `json:"sequence"`
	// CreatedAt is the time of the state that was copied.
	CreatedAt time.Time `json:"created_at"`
	// Definitions are the namespace with its tables and views, Tables the rows
	// of each table, in the same order.
	Definitions *catalog.Portable `json:"definitions"`
	Tables      []Table           `json:"tables"`
	Totals
}

// Totals are the sums over a backup.
type Totals struct {
	Rows  int64 `json:"rows"`
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Table is the rows of one table.
type Table struct {
	Name ident.TableName `json:"name"`
	// Rows are those that are not deleted, Deleted the others.
	Rows    int64  `json:"rows"`
	Deleted int64  `json:"deleted,omitempty"`
	Lists   []List `json:"lists,omitempty"`
}

// List is a file that lists segments.
type List struct {
	File   string `json:"file"`
	Files  int    `json:"files"`
	SHA256 string `json:"sha256"`
}

// envelope is the manifest's file: its bytes with their checksum.
type envelope struct {
	Kalamdb  string          `json:"kalamdb"`
	SHA256   string          `json:"sha256"`
	Manifest json.RawMessage `json:"manifest"`
}

const envelopeMark = "backup"

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

func (m *Manifest) encode() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write the backup's manifest: %w", err)
	}
	return json.Marshal(envelope{envelopeMark, sum(body), body})
}

// damaged is the error of a backup's file that is not what was written.
func damaged(file, what string, cause error) *dberr.Error {
	return dberr.Newf(dberr.StorageUnavailable, "The backup's file %s is damaged: %s.", path.Base(file), what).Wrap(cause).
		WithHint("Use another backup, or another copy of this one.")
}

func decode(data []byte) (*Manifest, error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil || e.Kalamdb != envelopeMark {
		return nil, damaged(manifestName, "it is no manifest of a backup", err)
	}
	// It is read as strictly as it is written: not one byte may differ.
	if again, err := json.Marshal(e); err != nil || !bytes.Equal(again, data) || sum(e.Manifest) != e.SHA256 {
		return nil, damaged(manifestName, "it does not have its checksum", err)
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(e.Manifest, &head); err != nil {
		return nil, damaged(manifestName, "it makes no sense", err)
	}
	if head.Format > Format {
		return nil, dberr.Newf(dberr.StorageUnavailable, "The backup was made by a newer server (format %d, this one knows %d).", head.Format, Format).
			WithHint("Use the newer version.")
	}
	m := &Manifest{}
	err := json.Unmarshal(e.Manifest, m)
	if err != nil || m.Definitions == nil || len(m.Tables) != len(m.Definitions.Tables) || object.CheckName(m.Folder) != nil {
		return nil, damaged(manifestName, "it makes no sense", err)
	}
	return m, nil
}

// read reads the manifest at a place. NOT_FOUND: there is none.
func (p *place) read(ctx context.Context, shown string) (*Manifest, error) {
	data, err := object.ReadAll(ctx, p.bucket, p.name(manifestName), maxManifest)
	if errors.Is(err, object.ErrNotFound) {
		return nil, noBackup(shown)
	}
	if err != nil {
		return nil, err
	}
	return decode(data)
}

// listed is a line of a list: a segment, of which the name is that of its file.
type listed struct {
	User  ident.UserID `json:"user,omitempty"`
	Entry []byte       `json:"entry"`
}

// writeList writes a list of segments.
func (p *place) writeList(ctx context.Context, file string, all []table.Portion) (List, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for i := range all {
		if err := enc.Encode(listed{all[i].User, all[i].Entry.Encode()}); err != nil {
			return List{}, fmt.Errorf("write a list of segments: %w", err)
		}
	}
	err := object.Put(ctx, p.bucket, p.name(file), buf.Bytes(), object.CreateOptions{IfAbsent: true})
	return List{File: file, Files: len(all), SHA256: sum(buf.Bytes())}, err
}

// readList reads a list of segments back, whose names are then those of objects
// in the bucket.
func (p *place) readList(ctx context.Context, l List) ([]table.Portion, error) {
	if object.CheckName(l.File) != nil {
		return nil, damaged(manifestName, "it names no file", nil)
	}
	data, err := object.ReadAll(ctx, p.bucket, p.name(l.File), maxList)
	if err != nil {
		return nil, incomplete(err, l.File)
	}
	if sum(data) != l.SHA256 {
		return nil, damaged(l.File, "it does not have its checksum", nil)
	}
	var out []table.Portion
	for dec := json.NewDecoder(bytes.NewReader(data)); dec.More(); {
		var one listed
		if err := dec.Decode(&one); err != nil {
			return nil, damaged(l.File, "it makes no sense", err)
		}
		e, err := manifest.Parse(one.Entry)
		if err != nil || object.CheckName(e.Name) != nil {
			return nil, damaged(l.File, "it makes no sense", err)
		}
		e.Name = p.name(e.Name)
		out = append(out, table.Portion{User: one.User, Entry: e})
	}
	if len(out) != l.Files {
		return nil, damaged(l.File, "it has another number of files", nil)
	}
	return out, nil
}

// incomplete says of a file that is not there that the backup is not complete.
func incomplete(err error, file string) error {
	if errors.Is(err, object.ErrNotFound) {
		return dberr.Newf(dberr.StorageUnavailable, "The backup's file %s is missing.", path.Base(file)).Wrap(err).
			WithHint("Use another backup, or another copy of this one.")
	}
	return err
}
