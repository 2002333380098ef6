// Package logging makes the server's logger from its configuration: text or
// JSON on standard error, or in a file that is replaced when it is full.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/kalamdb/kalamdb/commons/config"
)

// Logger is a logger with what can be changed about it while it runs.
type Logger struct {
	*slog.Logger
	// Level may be set at any time.
	Level *slog.LevelVar

	file *rotating
}

// New makes a logger. Without a file it writes to w.
func New(c config.Log, w io.Writer) (*Logger, error) {
	l := &Logger{Level: new(slog.LevelVar)}
	if err := l.Level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, &config.KeyError{Key: "log.level", Reason: err.Error()}
	}
	if c.File != "" {
		f, err := openRotating(c.File, c.MaxSize.Bytes(), c.MaxBackups)
		if err != nil {
			return nil, fmt.Errorf("open log file: %w", err)
		}
		l.file, w = f, f
	}
	o := &slog.HandlerOptions{Level: l.Level}
	if c.Format == "json" {
		l.Logger = slog.New(slog.NewJSONHandler(w, o))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(w, o))
	}
	return l, nil
}

// Close closes the log file, if there is one.
func (l *Logger) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// rotating is a file that is renamed to name.1 when it is full, name.1 to
// name.2 and so on; the oldest is deleted.
type rotating struct {
	name    string
	max     int64
	backups int

	mu     sync.Mutex // guards what follows
	file   *os.File   // nil: the next one could not be begun
	size   int64
	closed bool
}

func openRotating(name string, maxSize int64, backups int) (*rotating, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	r := &rotating{name: name, max: maxSize, backups: backups}
	return r, r.open()
}

func (r *rotating) open() error {
	f, err := os.OpenFile(r.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	r.file, r.size = f, info.Size()
	return nil
}

// Write appends one record; records are not divided between files.
func (r *rotating) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, os.ErrClosed
	}
	if r.file == nil {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	if r.size > 0 && r.size+int64(len(b)) > r.max {
		if err := r.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := r.file.Write(b)
	r.size += int64(n)
	return n, err
}

// rotate begins a new file. If that fails, as on a full disk, the next record
// tries it again: no failure ends the log. What cannot be renamed is written on: a log that
// is too long is better than none.
func (r *rotating) rotate() error {
	backup := func(i int) string { return r.name + "." + strconv.Itoa(i) }
	_ = r.file.Close() // its records are written, or were told to have failed
	r.file = nil
	if r.backups == 0 {
		_ = os.Remove(r.name)
		return r.open()
	}
	for i := r.backups - 1; i > 0; i-- {
		_ = os.Rename(backup(i), backup(i+1)) // may not be there yet
	}
	_ = os.Rename(r.name, backup(1))
	return r.open()
}

// Close closes the file; writing then fails.
func (r *rotating) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
