// Package s3test runs a real S3 server for tests: the Versity S3 gateway,
// built once from the Go module proxy, over a temporary folder.
package s3test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/store/object/s3"
)

const (
	module  = "github.com/versity/versitygw"
	version = "v1.8.0"

	accessKey = "test-access"
	secretKey = "test-secret-key"

	buildLimit = 5 * time.Minute
	startLimit = 30 * time.Second
)

// binary builds the server, once for all test runs on this machine.
var binary = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "kalamdb-test", "versitygw-"+version)
	exe := filepath.Join(dir, "versitygw")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	if _, err := os.Stat(exe); err == nil {
		return exe, nil
	}
	// Built aside and renamed, so that a build that is broken off, or another
	// one at the same time, leaves no half program.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", module+"/cmd/versitygw@"+version)
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "GOBIN="+tmp, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, lastLine(out))
	}
	if err := os.Rename(filepath.Join(tmp, filepath.Base(exe)), exe); err != nil {
		return "", err
	}
	return exe, nil
})

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// Server is a running S3 server.
type Server struct {
	// Endpoint is its URL.
	Endpoint string
	folder   string
}

// Start runs a server until the test ends. Where it cannot be built or cannot
// run, the test is skipped with the reason.
func Start(t testing.TB) *Server {
	t.Helper()
	exe, err := binary()
	if err != nil {
		t.Skipf("tests against a real S3 server are skipped: %s@%s cannot be built: %v", module, version, err)
	}
	folder := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	var log bytes.Buffer
	cmd := exec.Command(exe, "--port", addr, "--access", accessKey, "--secret", secretKey, "--quiet", "posix", folder)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Skipf("tests against a real S3 server are skipped: it does not start: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	deadline := time.NewTimer(startLimit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			break
		}
		select {
		case <-ended:
			t.Skipf("tests against a real S3 server are skipped: it ended: %s", lastLine(log.Bytes()))
		case <-deadline.C:
			t.Fatalf("the S3 server does not listen after %v", startLimit)
		case <-tick.C:
		}
	}
	return &Server{Endpoint: "http://" + addr, folder: folder}
}

// Options makes a bucket of that name, unless it is there, and says how to
// use it.
func (s *Server) Options(t testing.TB, bucket string) s3.Options {
	t.Helper()
	// To this server a bucket is a folder.
	if err := os.MkdirAll(filepath.Join(s.folder, bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	return s3.Options{Endpoint: s.Endpoint, Bucket: bucket, AccessKey: accessKey, SecretKey: secretKey}
}

// Proxy stands between a client and the server, and gives its URL. A request
// for which fail answers true is not passed on: fail has answered it, or has
// not.
func (s *Server) Proxy(t testing.TB, fail func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is part of the signature
	}}
	p.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fail(w, r) {
			p.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}
