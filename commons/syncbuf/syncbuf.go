// Package syncbuf has the writer that tests give to what writes from several
// goroutines, such as a logger.
package syncbuf

import (
	"strings"
	"sync"
)

// Buffer keeps what is written. The zero value is empty; it may be written and
// read from several goroutines.
type Buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write adds to the text; it never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is all that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
