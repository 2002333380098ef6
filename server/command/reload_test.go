package command

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/syncbuf"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/app"
	serverconfig "github.com/kalamdb/kalamdb/server/config"
)

// TestReload changes the configuration of a server that runs.
func TestReload(t *testing.T) {
	setup(t)
	t.Setenv("KALAMDB_AUTH_LOCALHOST_BYPASS", "false")
	file := filepath.Join(t.TempDir(), "kalam.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const first, second = "canary-first-secret-0123456789abcdef", "canary-second-secret-0123456789abcde"
	secret := func(s string) string { return "[auth]\njwt_secret = \"" + s + "\"\n" }
	tokenOf := func(s string) string {
		write(secret(s))
		code, token, errs := run(t, "--config", file, "token", "--user", "ann", "--role", "admin")
		if code != ExitOK {
			t.Fatal(errs)
		}
		return strings.TrimSpace(token)
	}
	one, two := tokenOf(first), tokenOf(second)
	write(secret(first))

	signals := make(chan os.Signal)
	var log syncbuf.Buffer
	logged := func(what string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), what); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("the log never has %q: %s", what, log.String())
				return
			}
		}
	}
	code := Run([]string{"kalamdb-server", "--config", file}, Env{Stdout: &log, Stderr: &log, Signals: signals, Started: func(s *app.Server) {
		go func() {
			defer func() { signals <- syscall.SIGTERM }()
			defer http.DefaultClient.CloseIdleConnections()
			status := func(token string) int {
				r, err := http.NewRequest("POST", s.URL()+wire.PathSQL, strings.NewReader(`{"sql":"SELECT 1"}`))
				if err != nil {
					t.Error(err)
					return 0
				}
				r.Header.Set("Authorization", "Bearer "+token)
				r.Header.Set("Content-Type", "application/json")
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return 0
				}
				res.Body.Close()
				return res.StatusCode
			}
			if a, b := status(one), status(two); a != 200 || b != 401 {
				t.Error("before:", a, b)
			}
			write(secret(second) + "[log]\nlevel = \"debug\"\n[flush]\nworkers = 3\n[rate_limit]\nqueries_per_second = 1\nburst = 2\n")
			signals <- syscall.SIGHUP
			logged("configuration reloaded")
			if a, b := status(one), status(two); a != 401 || b != 200 {
				t.Error("after:", a, b)
			}
			status(two)
			if c := status(two); c != 429 {
				t.Error("the rate limit was not reloaded:", c)
			}
			write("[server]\nprot = 1\n")
			signals <- syscall.SIGHUP
			logged("the configuration was not reloaded")
			if c := status(one); c != 401 {
				t.Error("a wrong configuration changed something:", c)
			}
		}()
	}})
	if code != ExitOK {
		t.Error(code, log.String())
	}
	for _, want := range []string{"auth.jwt_secret", "log.level", `keys=[flush.workers]`, "unknown key server.prot"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q: %s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "canary") || strings.Contains(log.String(), one) || strings.Contains(log.String(), two) {
		t.Error("a secret is in the log:", log.String())
	}
}

// TestReloadableKeysExist holds the list of reloadable keys against the code.
func TestReloadableKeysExist(t *testing.T) {
	c := config.Default()
	for _, r := range reloadable {
		found := false
		for _, f := range serverconfig.Fields(&c) {
			found = found || f.Key == r || strings.HasSuffix(r, ".") && strings.HasPrefix(f.Key, r)
		}
		if !found {
			t.Errorf("there is no key %s", r)
		}
	}
}

func TestHealthCommand(t *testing.T) {
	setup(t)
	t.Setenv("KALAMDB_SERVER_PORT", "1") // nobody listens there
	if code, _, errs := run(t, "health"); code != ExitFault || !strings.Contains(errs, "no answer") {
		t.Error(code, errs)
	}
	t.Setenv("KALAMDB_SERVER_PORT", "0")
	signals := make(chan os.Signal, 1)
	var log syncbuf.Buffer
	if code := Run([]string{"kalamdb-server"}, Env{Stdout: &log, Stderr: &log, Signals: signals, Started: func(s *app.Server) {
		_, port, _ := strings.Cut(strings.TrimPrefix(s.URL(), "http://"), ":")
		t.Setenv("KALAMDB_SERVER_PORT", port)
		for _, host := range []string{"127.0.0.1", "0.0.0.0", "localhost"} {
			t.Setenv("KALAMDB_SERVER_HOST", host)
			if code, out, errs := run(t, "health"); code != ExitOK || !strings.HasPrefix(out, "healthy (version ") {
				t.Error(host, code, out, errs)
			}
		}
		signals <- syscall.SIGTERM
	}}); code != ExitOK {
		t.Error(code, log.String())
	}
}

// TestHealthOverTLS asks a server whose certificate names another host.
func TestHealthOverTLS(t *testing.T) {
	setup(t)
	dir := t.TempDir()
	cert, key := certificate(t, dir, "one")
	foreign, _ := certificate(t, dir, "two")
	t.Setenv("KALAMDB_SERVER_TLS_CERT", cert)
	t.Setenv("KALAMDB_SERVER_TLS_KEY", key)
	signals := make(chan os.Signal, 1)
	var log syncbuf.Buffer
	if code := Run([]string{"kalamdb-server"}, Env{Stdout: &log, Stderr: &log, Signals: signals, Started: func(s *app.Server) {
		t.Setenv("KALAMDB_SERVER_PORT", s.URL()[strings.LastIndexByte(s.URL(), ':')+1:])
		if code, out, errs := run(t, "health"); code != ExitOK {
			t.Error(code, out, errs)
		}
		t.Setenv("KALAMDB_SERVER_TLS_CERT", foreign)
		if code, _, errs := run(t, "health"); code != ExitFault || !strings.Contains(errs, "certificate") {
			t.Error(code, errs)
		}
		signals <- syscall.SIGTERM
	}}); code != ExitOK {
		t.Error(code, log.String())
	}
}

// certificate writes a certificate for a host and its key.
func certificate(t *testing.T, dir, host string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{host},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, host+".pem"), filepath.Join(dir, host+".key")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
