// Package redistest starts real Redis servers for tests.
package redistest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Binary finds redis-server: the one that KALAMDB_TEST_REDIS names, or one in
// the search path.
func Binary() (string, error) {
	if p := os.Getenv("KALAMDB_TEST_REDIS"); p != "" {
		return p, nil
	}
	return exec.LookPath("redis-server")
}

// Server is a Redis process with its own folder.
type Server struct {
	// URL leads to the process, also after Restart.
	URL string

	bin  string
	dir  string
	args []string
	cmd  *exec.Cmd
}

// New starts a Redis that keeps what it acknowledges (appendfsync always);
// args come after its own settings, as on Redis's command line. The caller
// ends it with Close.
func New(args ...string) (*Server, error) {
	bin, err := Binary()
	if err != nil {
		return nil, err
	}
	// A socket's path is short, which a test's own folder is not.
	dir, err := os.MkdirTemp("", "redis-")
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "unix://" + filepath.Join(dir, "sock") + "?db=0", bin: bin, dir: dir, args: args}
	if err := s.start(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Start is New for a test: the server ends with it. Without a redis-server
// the test is skipped, and says what was not tested.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := Binary(); err != nil {
		t.Skipf("skipped: everything about the redis backend, as there is no redis-server (%v); "+
			"install Debian's package redis-server", err)
	}
	s, err := New(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if log, err := os.ReadFile(filepath.Join(s.dir, "log")); err == nil {
				lines := strings.Split(string(log), "\n")
				t.Logf("the last of redis's log:\n%s", strings.Join(lines[max(0, len(lines)-20):], "\n"))
			}
		}
		s.Close()
	})
	return s
}

func (s *Server) start() error {
	if err := os.Remove(filepath.Join(s.dir, "sock")); err != nil && !os.IsNotExist(err) {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"--port", "0", "--unixsocket", filepath.Join(s.dir, "sock"), "--dir", s.dir, "--daemonize", "no",
		"--save", "", "--appendonly", "yes", "--appendfsync", "always"}
	s.cmd = exec.Command(s.bin, append(args, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	return s.waitReady()
}

func (s *Server) waitReady() error {
	opt, err := redis.ParseURL(s.URL)
	if err != nil {
		return err
	}
	opt.MaxRetries = -1
	c := redis.NewClient(opt)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		err := c.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("redis did not start: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Kill ends the process at once, as kill -9 does.
func (s *Server) Kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	s.cmd = nil
}

// Restart starts the process again, on the same data.
func (s *Server) Restart() error {
	s.Kill()
	return s.start()
}

// Process is the running process, so that a test may stop and continue it.
func (s *Server) Process() *os.Process { return s.cmd.Process }

// Forget removes the data of a server that was killed.
func (s *Server) Forget() error { return os.RemoveAll(filepath.Join(s.dir, "appendonlydir")) }

// Close ends the process and removes its folder.
func (s *Server) Close() {
	s.Kill()
	_ = os.RemoveAll(s.dir)
}

// Set changes a setting of the running process, as CONFIG SET does.
func (s *Server) Set(name, value string) error {
	opt, err := redis.ParseURL(s.URL)
	if err != nil {
		return err
	}
	c := redis.NewClient(opt)
	defer c.Close()
	return c.ConfigSet(context.Background(), name, value).Err()
}
