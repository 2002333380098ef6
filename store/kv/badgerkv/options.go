package badgerkv

import (
	"fmt"
	"log/slog"
)

// mergeRoom is how many times MemTable a merge of files may need before it
// deletes those it has merged: five files of that size with what they overlap.
// openRoom is how many times opening may, which turns the log files that a crash
// left into sorted ones and begins new ones.
const mergeRoom, openRoom = 8, 4

// Options sets how a database is kept. The zero value of each field but Dir
// means its default.
type Options struct {
	// Dir is the folder of the database's files. It is made when missing.
	Dir string
	// NoSync acknowledges writes before they are on the disk: a crash of the
	// machine, not of the process, may then lose the last of them.
	NoSync bool
	// MemTable is the bytes of writes kept in memory before they become a
	// sorted file, and by it the size of what is written at a time (15 %).
	// Default 8 MiB.
	MemTable int64
	// BlockCache is the bytes of file blocks kept in memory. Default 8 MiB.
	BlockCache int64
	// IndexCache is the bytes of file indexes kept in memory. Default 8 MiB.
	IndexCache int64
	// ValueLogFile is the size of a file of large values (above 1 MiB).
	// Default 32 MiB, also the least.
	ValueLogFile int64
	// Compactors is how many goroutines merge files. Default 2, also the least.
	Compactors int
	// MinFree is the free bytes of the disk below which writes are refused.
	// Badger writes through memory maps, where a full disk ends the process;
	// so it must not get there. While files are merged they are there twice,
	// so less than eight times MemTable counts as that. Default 64 MiB.
	MinFree int64
	// MaxBatch is the size in bytes of the largest batch. Default 256 MiB.
	MaxBatch int64
	// Logger gets what Badger has to say. Default slog.Default().
	Logger *slog.Logger

	// freeBytes, set by tests, tells of a disk that is not there.
	freeBytes func(dir string) (int64, bool)
}

// withDefaults fills and checks the options.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("open badger: no folder is set")
	}
	for _, f := range []struct {
		name       string
		value      *int64
		least, def int64
	}{
		{"MemTable", &o.MemTable, 8 << 20, 8 << 20},
		{"BlockCache", &o.BlockCache, 1 << 20, 8 << 20},
		{"IndexCache", &o.IndexCache, 1 << 20, 8 << 20},
		{"ValueLogFile", &o.ValueLogFile, 32 << 20, 32 << 20},
		{"MinFree", &o.MinFree, 1 << 20, 64 << 20},
		{"MaxBatch", &o.MaxBatch, 1 << 20, 256 << 20},
	} {
		if *f.value == 0 {
			*f.value = f.def
		}
		if *f.value < f.least {
			return o, fmt.Errorf("open badger: %s of %d bytes is below the least, %d", f.name, *f.value, f.least)
		}
	}
	o.MinFree = max(o.MinFree, mergeRoom*o.MemTable)
	if o.ValueLogFile >= 1<<30 {
		return o, fmt.Errorf("open badger: ValueLogFile of %d bytes is not below 1 GiB", o.ValueLogFile)
	}
	switch {
	case o.Compactors == 0:
		o.Compactors = 2
	case o.Compactors < 2:
		return o, fmt.Errorf("open badger: Compactors is %d, the least is 2", o.Compactors)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}
