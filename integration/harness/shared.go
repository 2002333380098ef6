package harness

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/link"
)

// shared is the server that tests of a package have in common.
var shared struct {
	mu     sync.Mutex
	server *Server
}

// Shared gives the server that the tests of a package have in common; they
// keep apart by their namespaces. With KALAM_URL set it is the one that runs
// there, whose token secret KALAM_SECRET names.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		if url := os.Getenv("KALAM_URL"); url != "" {
			shared.server = &Server{URL: strings.TrimRight(url, "/"), t: t}
		} else {
			shared.server = startShared(t)
		}
	}
	s := shared.server
	from := len(s.Log())
	t.Cleanup(func() {
		if log := s.Log(); t.Failed() && len(log) > from {
			t.Logf("the server's log meanwhile:\n%s", log[from:])
		}
	})
	return s
}

func startShared(t testing.TB) *Server {
	t.Helper()
	dir, err := buildDir()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, Dir: filepath.Join(dir, "shared"), bin: ServerBinary(t), env: backendEnv(t)}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	return s
}

// endShared ends the common server.
func endShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil {
		shared.server.discard()
	}
}

var unnamed = regexp.MustCompile(`[^a-z0-9]+`)

// Name makes an identifier that no other test has, from the test's name.
func Name(t testing.TB) string {
	var b [4]byte
	_, _ = rand.Read(b[:])
	name := strings.Trim(unnamed.ReplaceAllString(strings.ToLower(t.Name()), "_"), "_")
	return name[:min(len(name), 40)] + "_" + hex.EncodeToString(b[:])
}

// Namespace creates a namespace for the test and drops it afterwards with all
// that is in it.
func (s *Server) Namespace(t testing.TB) string {
	t.Helper()
	name := Name(t)
	admin := s.Admin(t)
	Exec(t, admin, "CREATE NAMESPACE "+name)
	t.Cleanup(func() {
		c, err := link.New(s.URL)
		if err != nil {
			return
		}
		defer c.Close()
		// A test that ended its server leaves nothing to be dropped.
		_, _ = c.Exec(Context(t), "DROP NAMESPACE IF EXISTS "+name+" CASCADE")
	})
	return name
}
