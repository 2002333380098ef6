package badgerkv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// folder makes what Badger has written durable: the contents of its log files,
// where ownSync says so, and that new ones exist, which Badger never does. It
// belongs to the writer.
//
// Badger has two kinds of log files, numbered one after the other: a memtable's
// log (.mem), which has every write, and files of large values (.vlog), which a
// write only touches that has some. A transaction goes into the newest of a
// kind, or begins the next one; in no other way does a commit change them.
// Whoever else does (DropPrefix, value-log collection) runs as the only writer
// and calls look afterwards. A memtable's log is deleted when its sorted file
// is on the disk, which Badger syncs itself.
type folder struct {
	dir        string
	mem, value logs
	// synced, set by tests, is told each file whose contents were synced, or
	// the folder itself.
	synced func(name string)
	// freeBytes is replaced by tests.
	freeBytes func(dir string) (int64, bool)
}

// logs are the log files of one kind.
type logs struct {
	width int // of the number in a name, with leading zeros
	ext   string
	// newest is the number of the newest one that the folder is known to hold
	// on disk, and file is that one, open; nil: not yet opened.
	newest int
	file   *os.File
}

func newFolder(dir string) folder {
	return folder{dir: dir, mem: logs{width: 5, ext: ".mem"}, value: logs{width: 6, ext: ".vlog"}}
}

func (l *logs) name(n int) string { return fmt.Sprintf("%0*d%s", l.width, n, l.ext) }

// move makes n the newest file.
func (l *logs) move(n int) {
	if l.file != nil {
		_ = l.file.Close() // nothing was written through it
		l.file = nil
	}
	l.newest = n
}

// open makes durable what is there: a crash may have left more in the log files
// than was acknowledged, and all of it will be seen from now on.
func (f *folder) open() error {
	abs, err := filepath.Abs(f.dir)
	if err != nil {
		return fmt.Errorf("open badger: %w", err)
	}
	if err := f.look(); err != nil {
		return fmt.Errorf("open badger: %w", err)
	}
	return syncFolder(filepath.Dir(abs))
}

// look finds the newest log files whatever has happened to them, and syncs all
// that are there.
func (f *folder) look() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("list files: %w", err)
	}
	for _, l := range []*logs{&f.mem, &f.value} {
		l.move(0)
		for _, e := range entries {
			digits, ok := strings.CutSuffix(e.Name(), l.ext)
			n, err := strconv.Atoi(digits)
			if !ok || err != nil {
				continue
			}
			if ownSync {
				if err := f.syncFile(e.Name()); err != nil {
					return err
				}
			}
			l.newest = max(l.newest, n)
		}
	}
	return f.syncSelf()
}

// close closes the files that are open.
func (f *folder) close() {
	f.mem.move(0)
	f.value.move(0)
}

// commit makes a transaction durable that Badger has just written. values says
// that it may have large values.
func (f *folder) commit(values bool) error {
	fresh, err := f.commitLogs(&f.mem)
	if err != nil {
		return err
	}
	if values {
		more, err := f.commitLogs(&f.value)
		if err != nil {
			return err
		}
		fresh = fresh || more
	}
	if !fresh {
		return nil
	}
	return f.syncSelf()
}

// commitLogs syncs the newest file of a kind, and the next ones if they have
// been begun; then fresh is true.
func (f *folder) commitLogs(l *logs) (fresh bool, err error) {
	for {
		if ownSync {
			if err := f.syncNewest(l); err != nil {
				return false, err
			}
		}
		switch _, err := os.Lstat(filepath.Join(f.dir, l.name(l.newest+1))); {
		case errors.Is(err, fs.ErrNotExist):
			// The last one is in use, so it must be there.
			if ownSync && (l.file == nil || !linked(l.file)) {
				return false, fmt.Errorf("log file %s is gone", l.name(l.newest))
			}
			return fresh, nil
		case err != nil:
			return false, fmt.Errorf("look for new log file: %w", err)
		}
		l.move(l.newest + 1)
		fresh = true
	}
}

// syncNewest syncs the newest known file of a kind. It is kept open, as it is
// synced with each commit.
func (f *folder) syncNewest(l *logs) error {
	name := l.name(l.newest)
	if l.file == nil {
		file, err := os.Open(filepath.Join(f.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // what it had is in a sorted file by now
		}
		if err != nil {
			return fmt.Errorf("open log file: %w", err)
		}
		l.file = file
	}
	if err := syncContents(l.file); err != nil {
		return fmt.Errorf("sync log file: %w", err)
	}
	f.tell(name)
	return nil
}

// syncFile syncs a file that may be gone.
func (f *folder) syncFile(name string) error {
	file, err := os.Open(filepath.Join(f.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open log file: %w", err)
	}
	defer file.Close()
	if err := syncContents(file); err != nil {
		return fmt.Errorf("sync log file: %w", err)
	}
	f.tell(name)
	return nil
}

func (f *folder) syncSelf() error {
	if err := syncFolder(f.dir); err != nil {
		return err
	}
	f.tell(".")
	return nil
}

func (f *folder) tell(name string) {
	if f.synced != nil {
		f.synced(name)
	}
}

// tryWriting tells why no file can be made in the folder, in the system's words
// and not in Badger's, which hide the error.
func (f *folder) tryWriting() error {
	file, err := os.CreateTemp(f.dir, ".try-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// roomToOpen refuses to open a database whose disk is full: reading what a crash
// left in the log files, and making new ones, would end the process.
func (f *folder) roomToOpen(need int64) error {
	free, known := f.free()
	if !known || free >= need {
		return nil
	}
	return dberr.Newf(dberr.StorageUnavailable, "The disk of the data directory is full: %d MiB are free, and %d MiB are needed to open the database.", free>>20, need>>20).
		WithHint("Free some disk space (%s) and start again; nothing is lost.", f.dir)
}

// free is the room left on the disk, if the system tells.
func (f *folder) free() (int64, bool) {
	if f.freeBytes != nil {
		return f.freeBytes(f.dir)
	}
	return freeBytes(f.dir)
}
