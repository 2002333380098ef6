package integration

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// TestDocsFolderOrganization is story 8, scenarios 1 and 2: docs holds three
// folders and no loose file, each begins with a README that leads to every
// page beside it, and no page is empty.
func TestDocsFolderOrganization(t *testing.T) {
	t.Parallel()
	docs := filepath.Join(harness.Root(), "docs")
	entries, err := os.ReadDir(docs)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if !e.IsDir() {
			t.Errorf("docs/%s lies outside of the folders", e.Name())
		}
	}
	if !slices.Equal(names, []string{"architecture", "build", "quickstart"}) {
		t.Errorf("docs holds %v", names)
	}
	for _, dir := range names {
		readme, err := os.ReadFile(filepath.Join(docs, dir, "README.md"))
		if err != nil {
			t.Error(err)
			continue
		}
		pages, err := filepath.Glob(filepath.Join(docs, dir, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			name := filepath.Base(page)
			if name != "README.md" && !strings.Contains(string(readme), "("+name) {
				t.Errorf("docs/%s/README.md does not lead to %s", dir, name)
			}
		}
	}
	eachFile(t, "docs", func(path, text string) {
		if filepath.Ext(path) == ".md" && (!strings.HasPrefix(text, "# ") || len(text) < 200) {
			t.Errorf("%s has no title, or says nothing", path)
		}
	})
}

// asAdmin connects to a container with a token, as one must from outside.
func asAdmin(t *testing.T, c *harness.Container) *link.Client {
	t.Helper()
	client, err := link.Connect(harness.Context(t), c.URL, link.WithToken(harness.Sign(t, harness.Secret, map[string]any{
		"user_id": "operator", "role": "admin", "exp": time.Now().Add(time.Hour).Unix(),
	})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestDockerfileBuildsSuccessfully is story 8, scenarios 3 and 4: the image
// builds, its binary runs without anything else in the image, and refuses what
// it does not know.
func TestDockerfileBuildsSuccessfully(t *testing.T) {
	t.Parallel()
	image := harness.BuildImage(t)
	volume := image.Volume(t)
	c := image.Start(t, volume)
	c.WaitHealthy()
	if err := c.Stop(); err != nil {
		t.Errorf("the stop signal: %v\n%s", err, c.Log())
	}
	// A binary that cannot do its work says why and ends.
	c = image.Start(t, volume, "KALAMDB_STORE_BACKEND=sled")
	if err := c.Wait(); err == nil || !strings.Contains(c.Log(), "store.backend") {
		t.Errorf("a bad setting: %v\n%s", err, c.Log())
	}
}

// TestDockerImageStartsServer is story 8, scenario 4: a container serves, says
// so to its own health check and to the endpoint, and stops in order.
func TestDockerImageStartsServer(t *testing.T) {
	t.Parallel()
	image := harness.BuildImage(t)
	c := image.Start(t, image.Volume(t))
	c.WaitHealthy()
	if err := c.Check(); err != nil {
		t.Errorf("the health check: %v", err)
	}
	if got := harness.Query[int64](t, asAdmin(t, c), "SELECT 1 + 1"); got[0] != 2 {
		t.Errorf("1 + 1 is %v", got)
	}
	req, err := http.NewRequest(http.MethodPost, c.URL+wire.PathSQL, strings.NewReader(`{"sql": "SELECT 1"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer forged")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a forged token is answered with %d", resp.StatusCode)
	}
	if err := c.Stop(); err != nil {
		t.Errorf("stopped with %v\n%s", err, c.Log())
	}
	if c.Check() == nil {
		t.Error("the health check finds a stopped server healthy")
	}
	if _, err := http.Get(c.URL + wire.PathHealth); err == nil {
		t.Error("a stopped container answers")
	}
}

// TestDockerComposeBringsUpStack is story 8, scenarios 5 and 6: one command
// brings up server, volume and network. Without Docker's compose the service is
// started as the file says: its environment, on a volume.
func TestDockerComposeBringsUpStack(t *testing.T) {
	t.Parallel()
	file := filepath.Join(harness.Root(), "docker", "docker-compose.yml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nservices:\n", "\nvolumes:\n", "\nnetworks:\n", "\n    healthcheck:\n", "- data:/data\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the file has no %q", want)
		}
	}
	if harness.HasDocker() && exec.Command("docker", "compose", "version").Run() == nil {
		compose := func(args ...string) ([]byte, error) {
			return exec.Command("docker", append([]string{"compose", "-p", harness.Name(t)[:20], "-f", file}, args...)...).CombinedOutput()
		}
		t.Cleanup(func() { _, _ = compose("down", "-v") })
		if out, err := compose("up", "-d", "--build", "--wait"); err != nil {
			t.Fatalf("docker compose up: %v\n%s", err, out)
		}
		if out, err := compose("exec", "-T", "kalamdb", "/kalamdb-server", "health"); err != nil {
			t.Errorf("health: %v\n%s", err, out)
		}
		return
	}
	var env []string
	for _, m := range regexp.MustCompile(`(?m)^      (KALAMDB_\w+): *(.*)$`).FindAllStringSubmatch(string(text), -1) {
		value := regexp.MustCompile(`\$\{\w+:-([^}]*)\}`).ReplaceAllString(m[2], "$1")
		if value = strings.Trim(value, `"`); value != "" && m[1] != "KALAMDB_SERVER_PORT" {
			env = append(env, m[1]+"="+value)
		}
	}
	if len(env) < 4 {
		t.Fatalf("the service's environment is %v", env)
	}
	image := harness.BuildImage(t)
	c := image.Start(t, image.Volume(t), env...)
	c.WaitHealthy()
	admin := asAdmin(t, c)
	harness.Exec(t, admin, "CREATE NAMESPACE app; CREATE TABLE app.t (id BIGINT PRIMARY KEY); INSERT INTO app.t VALUES (1); FLUSH TABLE app.t")
	if got := harness.Query[string](t, admin, "SELECT uri FROM system.storages WHERE storage_id = 'local'"); len(got) != 1 || !strings.HasPrefix(got[0], "/data/") {
		t.Errorf("cold files go to %v, outside of the volume", got)
	}
	if !strings.Contains(c.Log(), `{"time"`) {
		t.Errorf("the log is not as KALAMDB_LOG_FORMAT says:\n%s", c.Log())
	}
}

// TestDockerContainerEnvironmentVariables is story 8, scenario 6: every setting
// can be given by the environment; a bad one stops the container and is named.
func TestDockerContainerEnvironmentVariables(t *testing.T) {
	t.Parallel()
	image := harness.BuildImage(t)
	c := image.Start(t, image.Volume(t), "KALAMDB_API_REPORT_EXECUTION_TIME=true", "KALAMDB_LOG_FORMAT=json", "KALAMDB_SERVER_NODE=node-seven", "KALAMDB_STORE_BACKEND=memory")
	c.WaitHealthy()
	admin := asAdmin(t, c)
	harness.Exec(t, admin, "CREATE NAMESPACE app; CREATE TABLE app.t (id BIGINT PRIMARY KEY); INSERT INTO app.t VALUES (1); FLUSH TABLE app.t")
	if got := harness.Query[string](t, admin, "SELECT DISTINCT node FROM system.jobs"); !slices.Equal(got, []string{"node-seven"}) {
		t.Errorf("jobs run on %v", got)
	}
	req, err := http.NewRequest(http.MethodPost, c.URL+wire.PathSQL, strings.NewReader(`{"sql": "SELECT 1"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+harness.Sign(t, harness.Secret, map[string]any{"user_id": "u", "exp": time.Now().Add(time.Hour).Unix()}))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body := readAll(t, resp.Body); !strings.Contains(body, "execution_time_ms") {
		t.Errorf("the answer has no execution_time_ms: %s", body)
	}
	if !strings.Contains(c.Log(), `{"time"`) {
		t.Errorf("the log is no JSON:\n%s", c.Log())
	}
	for env, want := range map[string]string{
		"KALAMDB_FLUSH_WORKERS=many":   "KALAMDB_FLUSH_WORKERS",
		"KALAMDB_LOG_LEVEL=chatty":     "log.level",
		"KALAMDB_AUTH_JWT_SECRET=tiny": "auth.jwt_secret",
	} {
		bad := image.Start(t, image.Volume(t), env)
		if err := bad.Wait(); err == nil || !strings.Contains(bad.Log(), want) {
			t.Errorf("%s: %v\n%s", env, err, bad.Log())
		}
	}
}

// TestDockerVolumePersistence is story 8, scenario 6: what is in the volume is
// there for the next container, hot and cold rows alike; another volume is
// empty, and two containers cannot have the same one.
func TestDockerVolumePersistence(t *testing.T) {
	t.Parallel()
	image := harness.BuildImage(t)
	volume := image.Volume(t)
	c := image.Start(t, volume)
	c.WaitHealthy()
	harness.Exec(t, asAdmin(t, c), `CREATE NAMESPACE app; CREATE TABLE app.t (id BIGINT PRIMARY KEY, v TEXT);
		INSERT INTO app.t VALUES (1, 'cold'); FLUSH TABLE app.t; INSERT INTO app.t VALUES (2, 'hot')`)
	second := image.Start(t, volume)
	if err := second.Wait(); err == nil || !strings.Contains(second.Log(), "in use by another server") {
		t.Errorf("a second container on the volume: %v\n%s", err, second.Log())
	}
	if err := c.Stop(); err != nil {
		t.Errorf("stopped with %v\n%s", err, c.Log())
	}
	c = image.Start(t, volume)
	c.WaitHealthy()
	if got := harness.Query[string](t, asAdmin(t, c), "SELECT v FROM app.t ORDER BY id"); !slices.Equal(got, []string{"cold", "hot"}) {
		t.Errorf("the next container finds %v", got)
	}
	fresh := image.Start(t, image.Volume(t))
	fresh.WaitHealthy()
	if _, err := asAdmin(t, fresh).Exec(harness.Context(t), "SELECT * FROM app.t"); err == nil {
		t.Error("another volume has the table, too")
	}
}

// TestDockerImageSizeWithinLimits is story 8, scenario 4: the image holds the
// static binary, certificates, and nothing that makes it large.
func TestDockerImageSizeWithinLimits(t *testing.T) {
	t.Parallel()
	size, err := harness.BuildImage(t).Size()
	if err != nil {
		t.Fatal(err)
	}
	if size < 10<<20 || size > 100_000_000 {
		t.Errorf("the image has %d bytes", size)
	}
	t.Logf("the image has %.1f MB", float64(size)/1e6)
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
