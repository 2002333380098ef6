//go:build !linux

package badgerkv

import "os"

// ownSync is false where a sync of a file is not known to cover what was
// written through a memory map: there Badger syncs its logs itself.
const ownSync = false

func syncContents(*os.File) error { return nil }

func linked(*os.File) bool { return true }
