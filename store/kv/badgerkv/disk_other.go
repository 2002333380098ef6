//go:build !(linux || darwin || freebsd)

package badgerkv

import "io/fs"

// freeBytes does not know the room left on this system.
func freeBytes(string) (int64, bool) { return 0, false }

// diskBytes takes a file's length for its room on this system.
func diskBytes(info fs.FileInfo) int64 { return info.Size() }

// syncFolder has nothing to do: this system does not sync folders.
func syncFolder(string) error { return nil }
