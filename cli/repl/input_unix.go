//go:build unix

package repl

import (
	"errors"
	"os"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
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

var cursorReport = regexp.MustCompile("\x1b\\[[0-9]+;[0-9]+R")

// tellsCursor asks the terminal once where its cursor is, and waits shortly for
// the answer. The line editor needs to know where it draws, but would wait
// forever on a terminal that never answers. typed is what was typed meanwhile.
func tellsCursor(in, out *os.File) (ok bool, typed string) {
	fd := int(in.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return false, ""
	}
	defer term.Restore(fd, state)
	if _, err := out.WriteString("\x1b[6n"); err != nil {
		return false, ""
	}
	var got []byte
	buf := make([]byte, 256)
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		ready, err := readable(in)
		if err != nil {
			break
		}
		if !ready {
			continue
		}
		n, err := in.Read(buf)
		got = append(got, buf[:n]...)
		if at := cursorReport.FindIndex(got); at != nil {
			return true, string(got[:at[0]]) + string(got[at[1]:])
		}
		if err != nil {
			break
		}
	}
	return false, string(got)
}
