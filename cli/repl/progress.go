package repl

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/cli/render"
)

// meter counts what is read of a file.
type meter struct {
	r    io.Reader
	size int64 // of the whole file; 0 when it is not known
	read atomic.Int64
}

// Read reads and counts.
func (m *meter) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	m.read.Add(int64(n))
	return n, err
}

// progressBar is how many columns the bar takes.
const progressBar = 24

// progress shows on a terminal how far a copy is: the rows, their rate, and a
// bar when the file's size is known. The returned function is told the rows so
// far; -1 takes the line away.
func (a *App) progress(in *meter) func(int64) {
	if !a.errTTY {
		return func(int64) {}
	}
	start, shown := time.Now(), time.Time{}
	return func(n int64) {
		switch {
		case n < 0:
			if !shown.IsZero() {
				shown = time.Time{}
				fmt.Fprint(a.errw, "\r\x1b[K")
			}
			return
		case time.Since(shown) < 50*time.Millisecond:
			return
		}
		shown = time.Now()
		fmt.Fprintf(a.errw, "\r%s\x1b[K", progressLine(in, n, shown.Sub(start)))
	}
}

func progressLine(in *meter, n int64, d time.Duration) string {
	line := render.Rows(n)
	if s := d.Seconds(); s > 0 {
		line += fmt.Sprintf("  %s/s", render.Thousands(int64(float64(n)/s)))
	}
	if in == nil || in.size <= 0 {
		return line
	}
	done := min(float64(in.read.Load())/float64(in.size), 1)
	full := int(done * progressBar)
	return fmt.Sprintf("[%s%s] %3.0f %%  %s", strings.Repeat("=", full), strings.Repeat(" ", progressBar-full), 100*done, line)
}
