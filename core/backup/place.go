package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/store/object"
)

// The beginnings of a path that is not simply a folder's.
const (
	storageScheme = "storage://"
	fileScheme    = "file://"
)

// place is where a backup lies: names of objects in a bucket that begin with
// prefix, which is empty or ends in a slash.
type place struct {
	bucket object.Bucket
	prefix string
	// own says that the bucket is the place's, to be closed with it.
	own bool
}

func (p *place) name(file string) string { return p.prefix + file }

func (p *place) close() {
	if p.own {
		_ = p.bucket.Close()
	}
}

func badPath(path, what string) *dberr.Error {
	return dberr.Newf(dberr.InvalidSQL, "a backup cannot lie at %q: %s", path, what).
		WithHint("Write the absolute path of a folder, or storage://ID/NAME for a place in a storage.")
}

// open finds the place of a path. With make the folder is made when it does not
// exist; else NOT_FOUND says that there is no backup.
func (s *Service) open(cat *catalog.Snapshot, path string, make bool) (*place, error) {
	if strings.ContainsFunc(path, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return nil, badPath(path, "it holds control characters")
	}
	if rest, ok := strings.CutPrefix(path, storageScheme); ok {
		return s.openStorage(cat, path, rest)
	}
	dir := filepath.FromSlash(strings.TrimPrefix(path, fileScheme))
	switch {
	case strings.Contains(strings.TrimPrefix(path, fileScheme), "://"):
		return nil, badPath(path, "it is no folder of this server").
			WithHint("CREATE STORAGE keeps the credentials of a bucket; storage://ID/NAME is a place in it.")
	case !filepath.IsAbs(dir):
		return nil, badPath(path, "the path is not absolute")
	case hasParent(dir):
		return nil, badPath(path, "the path holds ..")
	}
	if err := s.outside(path, dir); err != nil {
		return nil, err
	}
	if !make {
		if st, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !st.IsDir() {
			return nil, noBackup(path)
		}
	}
	b, err := object.OpenLocal(dir)
	if err != nil {
		return nil, err
	}
	return &place{bucket: b, own: true}, nil
}

func noBackup(path string) error {
	return dberr.Newf(dberr.NotFound, "There is no backup at '%s'.", path)
}

func (s *Service) openStorage(cat *catalog.Snapshot, path, rest string) (*place, error) {
	id, name, _ := strings.Cut(rest, "/")
	name = strings.TrimSuffix(name, "/")
	if name == "" {
		return nil, badPath(path, "it names no place in the storage")
	}
	// What is written there begins with the name and is not much longer.
	if err := object.CheckName(name); err != nil || len(name) > object.MaxName/2 {
		return nil, badPath(path, "its name is not one that objects may have")
	}
	b, err := s.opts.Files.Bucket(cat, ident.StorageID(id))
	if err != nil {
		return nil, err
	}
	return &place{bucket: b, prefix: name + "/"}, nil
}

func hasParent(dir string) bool {
	for c := range strings.SplitSeq(filepath.ToSlash(dir), "/") {
		if c == ".." {
			return true
		}
	}
	return false
}

// outside refuses a folder in the data directory: the server's own files lie
// there, and a backup that goes with them is none.
func (s *Service) outside(path, dir string) error {
	if s.opts.DataDir == "" {
		return nil
	}
	data, err := filepath.Abs(s.opts.DataDir)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(real(data), real(filepath.Clean(dir)))
	if err == nil && filepath.IsLocal(rel) {
		return badPath(path, "the folder is in the server's data directory")
	}
	return nil
}

// real follows the symbolic links of a path as far as it exists.
func real(dir string) string {
	if r, err := filepath.EvalSymlinks(dir); err == nil {
		return r
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return dir
	}
	return filepath.Join(real(parent), filepath.Base(dir))
}

// sweeper is a bucket that keeps temporary files of what was not finished.
type sweeper interface {
	Sweep(ctx context.Context, prefix string) (removed int, err error)
}

// clear deletes every object of a folder of the place.
func (p *place) clear(ctx context.Context, folder string) error {
	prefix := p.name(folder + "/")
	for i, err := range p.bucket.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if err := p.bucket.Delete(ctx, i.Name); err != nil {
			return err
		}
	}
	if sw, ok := p.bucket.(sweeper); ok {
		_, err := sw.Sweep(ctx, strings.TrimSuffix(prefix, "/"))
		return err
	}
	return nil
}
