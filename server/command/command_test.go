package command

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/syncbuf"
	"github.com/kalamdb/kalamdb/server/app"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs a command line with a data directory of its own.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	var out, errs syncbuf.Buffer
	code = Run(append([]string{"kalamdb-server"}, args...), Env{Stdout: &out, Stderr: &errs})
	return code, out.String(), errs.String()
}

func setup(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "data")
	t.Setenv("KALAMDB_DATA_DIR", dir)
	t.Setenv("KALAMDB_SERVER_PORT", "0")
	t.Setenv("KALAMDB_STORE_BACKEND", "memory")
	return dir
}

func TestVersionAndHelp(t *testing.T) {
	setup(t)
	for _, way := range []string{"version", "--version"} {
		if code, out, _ := run(t, way); code != ExitOK || !strings.HasPrefix(out, "kalamdb-server ") || !strings.Contains(out, "commit ") {
			t.Error(way, code, out)
		}
	}
	for _, way := range []string{"--help", "-h", "help"} {
		if code, out, _ := run(t, way); code != ExitOK || !strings.Contains(out, "token") || !strings.Contains(out, "--config") {
			t.Error(way, code, out)
		}
	}
	if code, out, _ := run(t, "help", "token"); code != ExitOK || !strings.Contains(out, "--ttl") {
		t.Error(code, out)
	}
}

func TestUsageErrors(t *testing.T) {
	setup(t)
	bad := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(bad, []byte("[server]\nprot = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--nonsense"}, "-nonsense; kalamdb-server --help lists"},
		{[]string{"help", "nonsense"}, "nonsense"},
		{[]string{"nonsense"}, `there is no command "nonsense"; without one the server runs`},
		{[]string{"token"}, "user"},
		{[]string{"token", "--user", ""}, "--user"},
		{[]string{"token", "--user", "u", "--role", "root"}, "unknown role"},
		{[]string{"token", "--user", "u", "--ttl", "-1s"}, "--ttl"},
		{[]string{"--config", bad}, bad + ":2: unknown key server.prot"},
		{[]string{"--config", bad, "config"}, bad + ":2: unknown key server.prot"},
		{[]string{"config", "--config", bad}, bad + ":2: unknown key server.prot"},
		{[]string{"token", "--user", "u", "-c", bad}, bad + ":2: unknown key server.prot"},
		{[]string{"--config", bad + "x"}, "no such file"},
	} {
		if code, _, errs := run(t, tc.args...); code != ExitUsage || !strings.Contains(errs, tc.want) {
			t.Errorf("%v: %d %s", tc.args, code, errs)
		}
	}
}

func TestConfigCommand(t *testing.T) {
	dir := setup(t)
	t.Setenv("KALAMDB_AUTH_JWT_SECRET", strings.Repeat("s3cret", 8))
	t.Setenv("KALAMDB_SERVER_HOTS", "x")
	code, out, errs := run(t, "config")
	if code != ExitOK || !strings.Contains(out, "# environment KALAMDB_DATA_DIR") || !strings.Contains(out, dir) || strings.Contains(out, "s3cret") {
		t.Error(code, out)
	}
	if !strings.Contains(errs, "did you mean KALAMDB_SERVER_HOST?") {
		t.Error(errs)
	}
}

// TestServe issues a token, starts the server, uses the token and stops the
// server by a signal.
func TestServe(t *testing.T) {
	setup(t)
	code, token, errs := run(t, "token", "--user", "ann", "--role", "admin", "--ttl", "1h")
	if code != ExitOK || strings.Count(token, ".") != 2 {
		t.Fatal(code, token, errs)
	}
	signals := make(chan os.Signal, 1)
	var log syncbuf.Buffer
	code = Run([]string{"kalamdb-server"}, Env{Stdout: &log, Stderr: &log, Signals: signals, Started: func(s *app.Server) {
		defer http.DefaultClient.CloseIdleConnections()
		r, err := http.NewRequest("POST", s.URL()+"/v1/api/sql", strings.NewReader(`{}`))
		if err != nil {
			t.Error(err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
		r.Header.Set("X-Forwarded-For", "192.0.2.1") // no bypass
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
		} else {
			res.Body.Close()
			if res.StatusCode != 400 { // the token is taken, the empty request is not
				t.Error(res.Status)
			}
		}
		signals <- syscall.SIGTERM
	}})
	if code != ExitOK {
		t.Error(code, log.String())
	}
	for _, want := range []string{"kalamdb-server is ready", "branch=", "commit=", "signal=terminated", "msg=stopped"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q: %s", want, log.String())
		}
	}
	if strings.Contains(log.String(), strings.TrimSpace(token)) {
		t.Error("the token is in the log")
	}
}

func TestSignalDuringStart(t *testing.T) {
	setup(t)
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	var log syncbuf.Buffer
	if code := Run([]string{"kalamdb-server"}, Env{Stdout: &log, Stderr: &log, Signals: signals}); code != ExitOK {
		t.Error(code, log.String())
	}
}

func TestExitCodes(t *testing.T) {
	dir := setup(t)
	t.Setenv("KALAMDB_SERVER_HOST", "192.0.2.1") // TEST-NET: not this machine
	if code, _, errs := run(t); code != ExitListen {
		t.Error(code, errs)
	}
	t.Setenv("KALAMDB_SERVER_HOST", "127.0.0.1")
	if err := os.WriteFile(dir, []byte("not a folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := run(t); code != ExitData || !strings.Contains(errs, "it is a file") || !strings.Contains(errs, "KALAMDB_DATA_DIR") {
		t.Error(code, errs)
	}
}

// TestSecondSignal stops a server that has a statement running, and does not
// wait for it.
func TestSecondSignal(t *testing.T) {
	setup(t)
	t.Setenv("KALAMDB_SERVER_SHUTDOWN_TIMEOUT", "2s")
	signals := make(chan os.Signal, 1)
	exits := make(chan int, 2)
	var log syncbuf.Buffer
	var wg sync.WaitGroup
	defer wg.Wait()
	code := Run([]string{"kalamdb-server"}, Env{Stdout: &log, Stderr: &log, Signals: signals, Exit: func(code int) { exits <- code }, Started: func(s *app.Server) {
		wg.Go(func() {
			defer http.DefaultClient.CloseIdleConnections()
			sql := "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000) b"
			res, err := http.Post(s.URL()+"/v1/api/sql", "application/json", strings.NewReader(`{"sql":"`+sql+`"}`))
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			if res.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("the statement that is in the way ends with %s", res.Status)
			}
		})
		wg.Go(func() {
			await(t, func() bool { return s.Running() == 1 })
			signals <- syscall.SIGHUP // ends nothing
			signals <- syscall.SIGTERM
			await(t, func() bool { return statusOf(s.URL()+"/v1/health") == http.StatusServiceUnavailable })
			if got := statusOf(s.URL() + "/v1/api/sql"); got != http.StatusMethodNotAllowed {
				t.Errorf("the listener is closed before the statements have ended: %d", got)
			}
			select {
			case code := <-exits:
				t.Errorf("one signal ends the process at once with %d", code)
			default:
			}
			signals <- syscall.SIGHUP
			signals <- os.Interrupt
		})
	}})
	if got := <-exits; got != ExitInterrupt {
		t.Errorf("the second signal ends the process with %d", got)
	}
	// Here the exit came back, and the statement was cancelled in its time.
	if code != ExitOK || !strings.Contains(log.String(), "statements still run at the end of shutdown_timeout") {
		t.Errorf("%d: %s", code, log.String())
	}
}

func statusOf(url string) int {
	res, err := http.Get(url)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

func await(t *testing.T, holds func() bool) {
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error("it does not come")
			return
		}
	}
}
