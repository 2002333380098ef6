// Package history remembers what was typed, across sessions and for several
// programs at once.
//
// The file holds one entry a line, with line breaks and backslashes escaped.
// Whoever appends to it or shortens it holds the lock of the file beside it, so
// that programs that run at the same time lose nothing; a line that cannot be
// read (a crash, a full disk, another program) is skipped. Lines that hold
// credentials are never written.
package history

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gofrs/flock"
)

// maxEntry bounds one entry; longer ones are remembered for the session only.
const maxEntry = 64 << 10

// lockWait bounds how long the lock is waited for. Those who hold it do so for
// milliseconds; longer than this it is a folder that cannot be locked well.
const lockWait = time.Second

// History is the list of entries, oldest first. It may be used by several
// goroutines.
type History struct {
	mu    sync.Mutex // guards what follows
	path  string     // "" when nothing is written
	limit int
	lines []string
}

// Open reads the file's newest entries. The history that it returns is usable
// even when it also returns an error: then it lasts for the session only.
func Open(path string, limit int) (*History, error) {
	h := &History{path: path, limit: limit}
	if limit <= 0 {
		h.path, h.limit = "", 1000
		return h, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.path = ""
		return h, fmt.Errorf("create the history's folder: %w", err)
	}
	locked, unlock := h.lock()
	defer unlock()
	total, err := h.load()
	if err == nil && total > 2*limit && locked {
		err = h.rewrite()
	}
	return h, err
}

// lock keeps other programs from changing the file; got tells whether it could.
// Without it entries are still appended, but the file is not shortened: that
// could lose what another program appends meanwhile.
func (h *History) lock() (got bool, unlock func()) {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	l := flock.New(h.path+".lock", flock.SetPermissions(0o600))
	if got, err := l.TryLockContext(ctx, 2*time.Millisecond); !got || err != nil {
		return false, func() {}
	}
	return true, func() { l.Unlock() }
}

// load reads the file and gives the number of its lines.
func (h *History) load() (total int, err error) {
	f, err := os.OpenFile(h.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		h.path = ""
		return 0, fmt.Errorf("open the history: %w", err)
	}
	defer f.Close()
	total, torn, err := h.read(f)
	if err != nil {
		return total, fmt.Errorf("read the history: %w", err)
	}
	if torn { // the last line was cut off: the next entry must not join it
		f.Write([]byte("\n"))
	}
	return total, nil
}

func (h *History) read(r io.Reader) (total int, torn bool, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := br.ReadSlice('\n')
		long := false
		for errors.Is(err, bufio.ErrBufferFull) {
			long = true
			line, err = br.ReadSlice('\n')
		}
		if len(line) > 0 && !long {
			total++
			if text, ok := decode(line); ok {
				h.add(text)
			}
		}
		torn = len(line) > 0 && line[len(line)-1] != '\n'
		if errors.Is(err, io.EOF) {
			return total, torn, nil
		}
		if err != nil {
			return total, torn, err
		}
	}
}

func decode(line []byte) (string, bool) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) == 0 || !utf8.Valid(line) {
		return "", false
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", false
		}
	}
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' && i+1 < len(line) {
			i++
			if line[i] == 'n' {
				b.WriteByte('\n')
				continue
			}
			if line[i] != '\\' {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(line[i])
	}
	return b.String(), true
}

var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", "")

// add appends to the list in memory; an entry equal to the last one is left
// out.
func (h *History) add(text string) bool {
	if n := len(h.lines); n > 0 && h.lines[n-1] == text {
		return false
	}
	h.lines = append(h.lines, text)
	if len(h.lines) > h.limit {
		h.lines = append([]string(nil), h.lines[len(h.lines)-h.limit:]...)
	}
	return true
}

// Add remembers what was typed. Empty lines and lines that begin with a space
// are not remembered; lines that hold a secret are remembered nowhere.
func (h *History) Add(text string) error {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" || text[0] == ' ' || Secret(text) {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.add(trimmed) || h.path == "" || len(trimmed) > maxEntry {
		return nil
	}
	if _, ok := decode([]byte(escapes.Replace(trimmed))); !ok {
		return nil
	}
	_, unlock := h.lock()
	defer unlock()
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	_, err = f.Write([]byte(escapes.Replace(trimmed) + "\n"))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}

// rewrite shortens the file to what was read of it; the lock is held since.
func (h *History) rewrite() error {
	tmp, err := os.CreateTemp(filepath.Dir(h.path), ".history-*")
	if err != nil {
		return fmt.Errorf("shorten the history: %w", err)
	}
	defer os.Remove(tmp.Name())
	w := bufio.NewWriter(tmp)
	for _, l := range h.lines {
		w.WriteString(escapes.Replace(l))
		w.WriteByte('\n')
	}
	err = w.Flush()
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), h.path)
	}
	if err != nil {
		return fmt.Errorf("shorten the history: %w", err)
	}
	return nil
}

// Lines are the entries, oldest first.
func (h *History) Lines() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.lines...)
}

// Write remembers a line, for the line editor.
func (h *History) Write(line string) (int, error) {
	err := h.Add(line)
	return h.Len(), err
}

// GetLine gives entry i, for the line editor.
func (h *History) GetLine(i int) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i < 0 || i >= len(h.lines) {
		return "", fmt.Errorf("the history has no entry %d", i)
	}
	return h.lines[i], nil
}

// Len is the number of entries.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.lines)
}

// Dump gives every entry, for the line editor.
func (h *History) Dump() any { return h.Lines() }

// secrets finds tokens, keys and passwords in what was typed.
var secrets = regexp.MustCompile(`(?i)--?(token|apikey|api-key|password)\b|\bCREDENTIALS\b|\beyJ[\w-]{8,}\.|\b(password|passwd|secret|secret_key|jwt_secret|access_key|api_?key|token)\b['"]?\s*(=|:|=>)|\\set\s+\w*(token|secret|password|key)\w*\s`)

// Secret tells whether a line holds a credential, as far as one can see.
func Secret(line string) bool { return secrets.MatchString(line) }
