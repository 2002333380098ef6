package badgerkv

import (
	"os"
	"syscall"
)

// ownSync says that this package syncs Badger's log files, each as it is
// needed, in place of Badger, which at each commit syncs the memtable's log and
// the file of large values, used or not. Badger writes its logs through shared
// memory maps and syncs them with msync; on Linux that is defined and
// implemented as fdatasync of the mapped file.
const ownSync = true

// syncContents makes what was written to a file durable, by whomever and
// through whatever map.
func syncContents(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// linked tells whether a file has not been deleted.
func linked(f *os.File) bool {
	var st syscall.Stat_t
	return syscall.Fstat(int(f.Fd()), &st) == nil && st.Nlink > 0
}
