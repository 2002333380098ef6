package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/syncbuf"
	"github.com/kalamdb/kalamdb/commons/wire"
)

// Root is the repository's root directory.
func Root() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "."
		}
		dir = parent
	}
}

type program struct {
	once sync.Once
	path string
	err  error
}

var serverBinary, clientBinary program

// buildDir is where the binaries of this run lie; Main removes it.
var buildDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "kalamdb-test-") })

// build builds the program, unless the environment names one that is built.
func (b *program) build(t testing.TB, env, pkg, name string) string {
	t.Helper()
	b.once.Do(func() {
		if b.path = os.Getenv(env); b.path != "" {
			return
		}
		dir, err := buildDir()
		if err != nil {
			b.err = err
			return
		}
		b.path = filepath.Join(dir, name)
		cmd := exec.Command("go", "build", "-o", b.path, pkg)
		cmd.Dir = Root()
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=") // the workspace, also for a module that does without
		if out, err := cmd.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.path
}

// ServerBinary builds the server, once, and tells where it is. With
// KALAM_SERVER_BINARY set it is that file.
func ServerBinary(t testing.TB) string {
	return serverBinary.build(t, "KALAM_SERVER_BINARY", "./server", "kalamdb-server")
}

// ClientBinary builds kalam-cli, once, and tells where it is. With
// KALAM_CLI_BINARY set it is that file.
func ClientBinary(t testing.TB) string {
	return clientBinary.build(t, "KALAM_CLI_BINARY", "./cli/cmd/kalam-cli", "kalam-cli")
}

// Main runs a package's tests and removes the binaries afterwards. Call it
// from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	endShared()
	endRedis()
	if dir, err := buildDir(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Secret signs the tokens of every server that the harness starts.
const Secret = "a secret for tests that is long enough for HS256"

// secret is Secret, or that of the server at KALAM_URL.
func secret() string {
	if s := os.Getenv("KALAM_SECRET"); s != "" {
		return s
	}
	return Secret
}

// Server is a server process.
type Server struct {
	URL string
	// Dir is its data directory.
	Dir string

	t    testing.TB
	bin  string
	port int
	env  []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	err  error
	log  syncbuf.Buffer
}

// Start starts a server on a fresh data directory and waits until it is
// healthy. Each env is a KALAMDB_… assignment. The server ends with the test.
func Start(t testing.TB, env ...string) *Server {
	t.Helper()
	s := &Server{t: t, Dir: t.TempDir(), bin: ServerBinary(t), env: append(backendEnv(t), env...)}
	s.Restart()
	t.Cleanup(func() {
		s.discard()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.Log())
		}
	})
	return s
}

// Restart starts the process again after Kill or Stop, on the same data, of
// which with the memory backend there is none: see NeedDurable.
func (s *Server) Restart() {
	s.t.Helper()
	var err error
	for range 5 {
		if err = s.start(); err == nil {
			return
		}
	}
	s.t.Fatalf("start the server: %v\n%s", err, s.Log())
}

func (s *Server) start() error {
	if s.port == 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.port = l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		s.URL = "http://127.0.0.1:" + strconv.Itoa(s.port)
	}
	cmd := s.program()
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()
	go func() {
		err := cmd.Wait()
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		close(done)
	}()
	if err := s.waitHealthy(done); err != nil {
		_ = cmd.Process.Kill()
		<-done
		s.port = 0
		return err
	}
	return nil
}

// program is the server's program in its folder, with its configuration.
func (s *Server) program(args ...string) *exec.Cmd {
	cmd := exec.Command(s.bin, args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), s.Environment()...)
	return cmd
}

// Environment is the server's configuration, as the programs that work on its
// data need it.
func (s *Server) Environment() []string {
	return append([]string{
		"KALAMDB_SERVER_PORT=" + strconv.Itoa(s.port),
		"KALAMDB_DATA_DIR=" + filepath.Join(s.Dir, "data"),
		"KALAMDB_STORAGE_DEFAULT_LOCATION=" + filepath.Join(s.Dir, "storage"),
		"KALAMDB_AUTH_JWT_SECRET=" + secret(),
		"KALAMDB_RATE_LIMIT_ENABLED=false",
	}, s.env...)
}

// Command runs a command of the server's program, check for instance, on its
// data, and gives what it prints and its exit code.
func (s *Server) Command(args ...string) (output string, code int) {
	s.t.Helper()
	out, err := s.program(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("run %v: %v", args, err)
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	return string(out), code
}

// startLimit is how long a server may take to become healthy on a machine
// that is busy with other tests.
const startLimit = 30 * time.Second

func (s *Server) waitHealthy(done <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return errors.New("the server ended at once")
		case <-ctx.Done():
			return errors.New("the server did not become healthy")
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+wire.PathHealth, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// Kill ends the process at once, as kill -9 does, and waits for its end.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop asks the process to end and waits; it fails the test when the process
// ends with another exit code than 0.
func (s *Server) Stop() {
	s.t.Helper()
	s.end(syscall.SIGTERM)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		s.t.Errorf("the server stopped with %v", s.err)
	}
}

// discard ends a process that nobody needs any more: at once, unless the
// coverage of its code is being measured, which a process writes at its end.
func (s *Server) discard() {
	if os.Getenv("GOCOVERDIR") == "" {
		s.Kill()
		return
	}
	late := time.AfterFunc(startLimit, s.Kill)
	defer late.Stop()
	s.end(syscall.SIGTERM)
}

func (s *Server) end(sig os.Signal) {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(sig)
	<-done
}

// PID is the process's id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log is what the process has written so far.
func (s *Server) Log() string { return strings.ToValidUTF8(s.log.String(), "?") }
