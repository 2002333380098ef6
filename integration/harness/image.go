package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/syncbuf"
	"github.com/kalamdb/kalamdb/commons/wire"
)

// Image is the image that docker/Dockerfile describes. Where a Docker daemon
// runs it is built and run by that. Elsewhere the harness follows the
// Dockerfile by itself: the same build command, then a root directory with the
// image's files and nothing else, in which containers run as the image's user
// with its environment.
type Image struct {
	// Docker tells whether a Docker daemon has it.
	Docker bool

	tag  string // Docker's name of the image
	root string // the files, without Docker
	// From the last stage of the Dockerfile.
	env     []string
	entry   []string
	health  []string
	workdir string
	uid     int
}

// image is the image of this run.
var image struct {
	once sync.Once
	it   *Image
	skip string
	err  error
}

// BuildImage builds the image, once for a run of the tests. A test is skipped
// where containers can neither be run nor imitated.
func BuildImage(t testing.TB) *Image {
	t.Helper()
	image.once.Do(func() { image.it, image.skip, image.err = buildImage() })
	if image.skip != "" {
		t.Skip("skipped: " + image.skip)
	}
	if image.err != nil {
		t.Fatal(image.err)
	}
	return image.it
}

// HasDocker tells whether a Docker daemon answers.
var HasDocker = sync.OnceValue(func() bool {
	return exec.Command("docker", "info").Run() == nil
})

// instruction is a line of a Dockerfile.
type instruction struct{ name, args string }

// stages reads the Dockerfile: its instructions, a list for each FROM.
func stages() ([][]instruction, error) {
	text, err := os.ReadFile(filepath.Join(Root(), "docker", "Dockerfile"))
	if err != nil {
		return nil, err
	}
	var out [][]instruction
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		if name == "FROM" {
			out = append(out, nil)
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("%s stands before the first FROM", line)
		}
		out[len(out)-1] = append(out[len(out)-1], instruction{name, strings.TrimSpace(args)})
	}
	if len(out) != 2 {
		return nil, fmt.Errorf("the Dockerfile has %d stages, this reads two", len(out))
	}
	return out, nil
}

var quoted = regexp.MustCompile(`"([^"]*)"`)

// list reads ["a", "b"].
func list(s string) (out []string) {
	for _, m := range quoted.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	return out
}

func buildImage() (img *Image, skip string, err error) {
	all, err := stages()
	if err != nil {
		return nil, "", err
	}
	img = &Image{}
	for _, i := range all[1] {
		switch i.name {
		case "ENV":
			img.env = append(img.env, i.args)
		case "ENTRYPOINT":
			img.entry = list(i.args)
		case "WORKDIR":
			img.workdir = i.args
		case "HEALTHCHECK":
			_, check, _ := strings.Cut(i.args, "CMD ")
			img.health = list(check)
		case "USER":
			if _, err := fmt.Sscanf(i.args, "%d", &img.uid); err != nil {
				return nil, "", fmt.Errorf("USER %s: %w", i.args, err)
			}
		}
	}
	if HasDocker() {
		img.Docker, img.tag = true, fmt.Sprintf("kalamdb-test:%d", os.Getpid())
		cmd := exec.Command("docker", "build", "-f", "docker/Dockerfile", "-t", img.tag, ".")
		cmd.Dir = Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, "", fmt.Errorf("docker build: %w\n%s", err, out)
		}
		return img, "", nil
	}
	if !canConfine() {
		return nil, "there is no Docker daemon, and to run a container's files without one takes Linux and the user root", nil
	}
	dir, err := buildDir()
	if err != nil {
		return nil, "", err
	}
	img.root = filepath.Join(dir, "image")
	return img, "", img.follow(all, filepath.Join(dir, "image-build"))
}

// follow does what the Dockerfile says.
func (i *Image) follow(all [][]instruction, build string) error {
	env := os.Environ()
	var copied []string
	for _, in := range all[0] {
		switch in.name {
		case "ARG":
			// Without a default it is the platform, and ours is meant.
			if strings.Contains(in.args, "=") {
				env = append(env, in.args)
			}
		case "ENV":
			env = append(env, strings.Fields(in.args)...)
		case "COPY":
			copied = append(copied, strings.Fields(in.args)[0])
		case "RUN":
			// In place, so that what was built before need not be built again;
			// then -trimpath must go, which makes all packages other ones.
			command := regexp.MustCompile(`--mount=\S+`).ReplaceAllString(in.args, "")
			command = strings.NewReplacer("-trimpath", "", "/out", build).Replace(command)
			cmd := exec.Command("sh", "-ec", command)
			cmd.Dir, cmd.Env = Root(), env
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("RUN %s: %w\n%s", command, err, out)
			}
		}
	}
	if err := needsOnly(copied, env); err != nil {
		return err
	}
	for _, in := range all[1] {
		if in.name != "COPY" {
			continue
		}
		args := strings.Fields(in.args)
		from, to := args[len(args)-2], filepath.Join(i.root, args[len(args)-1])
		if rest, ok := strings.CutPrefix(from, "/out"); ok {
			from = build + rest
		} else if _, err := os.Stat(from); err != nil {
			continue // the builder's own file, such as its certificates
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if out, err := exec.Command("cp", "-RL", from, to).CombinedOutput(); err != nil {
			return fmt.Errorf("COPY %s: %w\n%s", in.args, err, out)
		}
		if slices.Contains(args, fmt.Sprintf("--chown=%d:%d", i.uid, i.uid)) {
			if err := os.Chown(to, i.uid, i.uid); err != nil {
				return err
			}
		}
	}
	return nil
}

// needsOnly checks that the server is built from the folders that the
// Dockerfile copies, and from no other one of the repository.
func needsOnly(copied, env []string) error {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	cmd.Dir, cmd.Env = filepath.Join(Root(), "server"), env
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	for _, m := range strings.Fields(string(out)) {
		if name, ok := strings.CutPrefix(m, "github.com/kalamdb/kalamdb/"); ok && !slices.Contains(copied, name) {
			return fmt.Errorf("the Dockerfile does not copy the module %s", name)
		}
	}
	return nil
}

// Size is the bytes of the image.
func (i *Image) Size() (int64, error) {
	if i.Docker {
		out, err := exec.Command("docker", "image", "inspect", "-f", "{{.Size}}", i.tag).Output()
		if err != nil {
			return 0, err
		}
		return strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	}
	var total int64
	err := filepath.WalkDir(i.root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		total += info.Size()
		return err
	})
	return total, err
}

// Volume makes an empty volume, which goes away with the test.
func (i *Image) Volume(t testing.TB) string {
	t.Helper()
	if i.Docker {
		out, err := exec.Command("docker", "volume", "create").Output()
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSpace(string(out))
		t.Cleanup(func() { _ = exec.Command("docker", "volume", "rm", "-f", name).Run() })
		return name
	}
	// A root of its own for each volume: the files of the image, and the data.
	dir, err := os.MkdirTemp(filepath.Dir(i.root), "container-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if out, err := exec.Command("cp", "-a", i.root+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} { // for the image's user
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Container is a running server of the image.
type Container struct {
	URL string

	image  *Image
	t      testing.TB
	volume string
	env    []string
	id     string // Docker's
	cmd    *exec.Cmd
	done   chan struct{}
	err    error
	log    syncbuf.Buffer
}

// Start starts a container on a volume. Each env is an assignment that wins
// over the image's. It ends with the test.
func (i *Image) Start(t testing.TB, volume string, env ...string) *Container {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	c := &Container{
		URL: "http://127.0.0.1:" + port, image: i, t: t, volume: volume,
		env: append([]string{"KALAMDB_AUTH_JWT_SECRET=" + Secret}, env...), done: make(chan struct{}),
	}
	if i.Docker {
		args := []string{"run", "-d", "-p", "127.0.0.1:" + port + ":8080", "-v", volume + ":/data"}
		for _, e := range c.env {
			args = append(args, "-e", e)
		}
		out, err := exec.Command("docker", append(args, i.tag)...).Output()
		if err != nil {
			t.Fatalf("docker run: %v", err)
		}
		c.id = strings.TrimSpace(string(out))
		c.cmd = exec.Command("docker", "wait", c.id)
		t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", c.id).Run() })
	} else {
		// Nothing maps ports here, so the server takes the free one itself.
		c.env = append([]string{"KALAMDB_SERVER_PORT=" + port}, c.env...)
		c.cmd = c.inside(i.entry...)
		c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	}
	var code bytes.Buffer
	if i.Docker {
		c.cmd.Stdout = &code
	}
	if err := c.cmd.Start(); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			t.Skipf("skipped: this machine does not let its root change the root directory: %v", err)
		}
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		if c.err = c.cmd.Wait(); i.Docker && strings.TrimSpace(code.String()) != "0" {
			c.err = fmt.Errorf("exit status %s", strings.TrimSpace(code.String()))
		}
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-c.done
	})
	return c
}

// inside makes a command in the container's root, as its user.
func (c *Container) inside(args ...string) *exec.Cmd {
	cmd := &exec.Cmd{Path: args[0], Args: args, Dir: c.image.workdir, Env: append(slices.Clone(c.image.env), c.env...)}
	confine(cmd, c.volume, c.image.uid)
	return cmd
}

// Check runs the image's health check in the container.
func (c *Container) Check() error {
	if c.image.Docker {
		return exec.Command("docker", append([]string{"exec", c.id}, c.image.health...)...).Run()
	}
	return c.inside(c.image.health...).Run()
}

// WaitHealthy waits until the health endpoint answers from outside.
func (c *Container) WaitHealthy() {
	c.t.Helper()
	for end := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get(c.URL + wire.PathHealth); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-c.done:
			c.t.Fatalf("the container ended: %v\n%s", c.err, c.Log())
		default:
		}
		if time.Now().After(end) {
			c.t.Fatalf("the container does not become healthy\n%s", c.Log())
		}
	}
}

// Stop asks the container to end by its stop signal and gives its exit error.
func (c *Container) Stop() error {
	if c.image.Docker {
		if err := exec.Command("docker", "stop", "-t", "40", c.id).Run(); err != nil {
			return err
		}
	} else if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return c.Wait()
}

// Wait waits for the container's end, which must come by itself.
func (c *Container) Wait() error {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(startLimit):
		c.t.Fatalf("the container does not end\n%s", c.Log())
	}
	return c.err
}

// Log is what the container has written.
func (c *Container) Log() string {
	if c.image.Docker {
		out, _ := exec.Command("docker", "logs", c.id).CombinedOutput()
		return string(out)
	}
	return c.log.String()
}
