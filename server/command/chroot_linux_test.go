package command

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// maxImage is how large the image may be.
const maxImage = 60 << 20

// TestImage builds the binary as the Dockerfile does and runs it in a root that
// holds only the image's files, as the image's user, with its environment: it
// becomes healthy by its own health check, keeps its data over a restart, and
// stops by its stop signal.
func TestImage(t *testing.T) {
	switch {
	case testing.Short():
		t.Skip("skipped with -short: it builds the server")
	case os.Getuid() != 0:
		t.Skip("skipped: changing the root directory needs the user root")
	}
	image := stages(t)[1]
	root := t.TempDir()
	// The image's user must be able to reach its root.
	for _, dir := range []string{root, filepath.Dir(root)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	entry := list(one(t, image, "ENTRYPOINT"))[0]
	// Without -trimpath: so most of it comes out of the build cache.
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", filepath.Join(root, entry), ".")
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := elf.Open(filepath.Join(root, entry))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary is not static")
		}
	}
	f.Close()
	info, err := os.Stat(filepath.Join(root, entry))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the binary has %.1f MB", float64(info.Size())/(1<<20))
	if info.Size() > maxImage-1<<20 { // certificates are a quarter of a megabyte
		t.Errorf("the image would be larger than %d MiB", maxImage>>20)
	}
	env := environment(t, image)
	for _, c := range of(image, "COPY") {
		args := strings.Fields(c)
		target := filepath.Join(root, args[len(args)-1])
		if strings.HasSuffix(c, ".crt") || args[len(args)-1] == entry {
			continue
		}
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(c, "--chown=65532:65532") {
			if err := os.Chown(target, 65532, 65532); err != nil {
				t.Fatal(err)
			}
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	env["KALAMDB_SERVER_PORT"] = port

	inside := func(args ...string) *exec.Cmd {
		c := &exec.Cmd{Path: args[0], Args: args, Dir: one(t, image, "WORKDIR")}
		for k, v := range env {
			c.Env = append(c.Env, k+"="+v)
		}
		c.SysProcAttr = &syscall.SysProcAttr{
			Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}, Pdeathsig: syscall.SIGKILL,
		}
		return c
	}
	_, check, _ := strings.Cut(one(t, image, "HEALTHCHECK"), "CMD ")
	defer http.DefaultClient.CloseIdleConnections()
	for round, sql := range []string{
		"CREATE NAMESPACE app; CREATE TABLE app.t (id BIGINT PRIMARY KEY, body TEXT); INSERT INTO app.t VALUES (1, 'kept')",
		"SELECT body FROM app.t",
	} {
		var log bytes.Buffer
		server := inside(entry)
		server.Stdout, server.Stderr = &log, &log
		if err := server.Start(); err != nil {
			if os.IsPermission(err) {
				t.Skip("skipped: this container does not let its root change the root directory:", err)
			}
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- server.Wait() }()
		healthy := false
		for end := time.Now().Add(60 * time.Second); !healthy && time.Now().Before(end); {
			if healthy = inside(list(check)...).Run() == nil; healthy {
				break
			}
			select {
			case err := <-ended:
				t.Fatalf("the server ended: %v: %s", err, log.String())
			case <-time.After(20 * time.Millisecond):
			}
		}
		if !healthy {
			_ = server.Process.Kill()
			t.Fatalf("the server is not healthy after a minute: %s", log.String())
		}
		res, err := http.Post("http://127.0.0.1:"+port+wire.PathSQL, "application/json", strings.NewReader(fmt.Sprintf(`{"sql":%q}`, sql)))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || round == 1 && !strings.Contains(string(text), `{"body":"kept"}`) {
			t.Errorf("%s: %s", sql, text)
		}
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("stopped with %v: %s", err, log.String())
		}
	}
}
