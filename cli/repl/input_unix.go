//go:build unix

package repl

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// readable waits a tenth of a second for the terminal to have a line. It is
// select and not poll because macOS cannot poll a terminal.
func readable(f *os.File) (bool, error) {
	fd := int(f.Fd())
	var set unix.FdSet
	set.Set(fd)
	n, err := unix.Select(fd+1, &set, nil, nil, &unix.Timeval{Usec: 100_000})
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return n > 0, err
}
