//go:build !unix

package repl

import (
	"os"

	"golang.org/x/sys/windows"
)

// readable waits a tenth of a second for the console to have input.
func readable(f *os.File) (bool, error) {
	ev, err := windows.WaitForSingleObject(windows.Handle(f.Fd()), 100)
	if err != nil {
		return false, err
	}
	return ev == windows.WAIT_OBJECT_0, nil
}
