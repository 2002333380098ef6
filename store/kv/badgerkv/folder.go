package badgerkv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// folder makes new log files of Badger durable: Badger syncs what is in them,
// but not that they exist. It belongs to the writer.
type folder struct {
	dir string
	// memFile and valueFile are the numbers of the newest files that the
	// folder is known to hold on disk.
	memFile, valueFile int
	// freeBytes is replaced by tests.
	freeBytes func(dir string) (int64, bool)
}

// open syncs the folder, and the one that holds it.
func (f *folder) open() error {
	abs, err := filepath.Abs(f.dir)
	if err != nil {
		return fmt.Errorf("open badger: %w", err)
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("open badger: list files: %w", err)
	}
	for _, e := range entries {
		if n, ok := strings.CutSuffix(e.Name(), ".mem"); ok {
			f.memFile = max(f.memFile, number(n))
		}
		if n, ok := strings.CutSuffix(e.Name(), ".vlog"); ok {
			f.valueFile = max(f.valueFile, number(n))
		}
	}
	return errors.Join(syncFolder(f.dir), syncFolder(filepath.Dir(abs)))
}

func number(name string) int {
	n, err := strconv.Atoi(name)
	if err != nil {
		return 0
	}
	return n
}

// syncNew syncs the folder if Badger has begun a log file since the last call.
// A commit begins at most a few, numbered one after the other; the oldest may
// be gone by now, so it looks a little further.
func (f *folder) syncNew() error {
	mem, err := f.newest("%05d.mem", f.memFile)
	if err != nil {
		return err
	}
	value, err := f.newest("%06d.vlog", f.valueFile)
	if err != nil {
		return err
	}
	if mem == f.memFile && value == f.valueFile {
		return nil
	}
	if err := syncFolder(f.dir); err != nil {
		return err
	}
	f.memFile, f.valueFile = mem, value
	return nil
}

func (f *folder) newest(pattern string, known int) (int, error) {
	newest := known
	for n := known + 1; n <= newest+2; n++ {
		_, err := os.Lstat(filepath.Join(f.dir, fmt.Sprintf(pattern, n)))
		switch {
		case err == nil:
			newest = n
		case !errors.Is(err, fs.ErrNotExist):
			return 0, fmt.Errorf("look for new log file: %w", err)
		}
	}
	return newest, nil
}

// free is the room left on the disk, if the system tells.
func (f *folder) free() (int64, bool) {
	if f.freeBytes != nil {
		return f.freeBytes(f.dir)
	}
	return freeBytes(f.dir)
}
