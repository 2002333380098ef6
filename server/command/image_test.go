package command

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	serverconfig "github.com/kalamdb/kalamdb/server/config"
)

// dockerDir is where everything about containers is.
const dockerDir = "../../docker"

func readDocker(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dockerDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// instruction is a line of a Dockerfile.
type instruction struct{ name, args string }

// stages reads a Dockerfile: its instructions, a list for each FROM.
func stages(t *testing.T) [][]instruction {
	t.Helper()
	text := strings.ReplaceAll(readDocker(t, "Dockerfile"), "\\\n", " ")
	var out [][]instruction
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		if name == "FROM" {
			out = append(out, nil)
		}
		if len(out) == 0 {
			t.Fatalf("%s stands before the first FROM", line)
		}
		out[len(out)-1] = append(out[len(out)-1], instruction{name, strings.TrimSpace(args)})
	}
	return out
}

// of gives the arguments of all instructions of a name.
func of(stage []instruction, name string) (args []string) {
	for _, i := range stage {
		if i.name == name {
			args = append(args, i.args)
		}
	}
	return args
}

// one gives the arguments of the only instruction of a name.
func one(t *testing.T, stage []instruction, name string) string {
	t.Helper()
	a := of(stage, name)
	if len(a) != 1 {
		t.Fatalf("there are %d %s instructions", len(a), name)
	}
	return a[0]
}

// list reads ["a", "b"].
func list(s string) (out []string) {
	for _, m := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	return out
}

// environment gives the image's environment.
func environment(t *testing.T, stage []instruction) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, e := range of(stage, "ENV") {
		name, value, ok := strings.Cut(e, "=")
		if !ok || strings.Contains(value, " ") {
			t.Fatalf("ENV %s is not NAME=value", e)
		}
		out[name] = value
	}
	return out
}

// loadWith loads a configuration from environment variables; it fails on those
// that the server does not know.
func loadWith(t *testing.T, env map[string]string) *serverconfig.Loaded {
	t.Helper()
	environ := []string{}
	for k, v := range env {
		environ = append(environ, k+"="+v)
	}
	l, err := serverconfig.Load(serverconfig.Options{Environ: environ, WorkingDir: t.TempDir(), Executable: "/kalamdb-server"})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Warnings) > 0 {
		t.Error(l.Warnings)
	}
	return l
}

func TestDockerfile(t *testing.T) {
	all := stages(t)
	if len(all) != 2 || !strings.HasSuffix(one(t, all[0], "FROM"), " AS build") {
		t.Fatal("the image is not built in two stages")
	}
	build, image := all[0], all[1]
	if one(t, image, "FROM") != "scratch" {
		t.Error("the image is not minimal")
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)[1]
	if !strings.Contains(one(t, build, "FROM"), "golang:"+string(goVersion)+"-") {
		t.Errorf("the builder is not Go %s", goVersion)
	}
	// A default would win over the platform that the builder sets.
	for _, arg := range []string{"TARGETOS", "TARGETARCH"} {
		if !slices.Contains(of(build, "ARG"), arg) {
			t.Errorf("%s is not taken as the builder sets it", arg)
		}
	}
	// The builder gets exactly the modules that the server is made of.
	var copied []string
	for _, c := range of(build, "COPY") {
		copied = append(copied, strings.Fields(c)[0])
	}
	needed := []string{"server"}
	for _, m := range regexp.MustCompile(`=> \.\./(\w+)`).FindAllSubmatch(mod, -1) {
		needed = append(needed, string(m[1]))
	}
	slices.Sort(copied)
	slices.Sort(needed)
	if !slices.Equal(copied, needed) {
		t.Errorf("copied %v, needed %v", copied, needed)
	}
	var sent []string
	for _, line := range strings.Split(readDocker(t, "Dockerfile.dockerignore"), "\n") {
		if dir, ok := strings.CutPrefix(line, "!"); ok {
			sent = append(sent, dir)
		}
	}
	slices.Sort(sent)
	if !slices.Equal(sent, needed) {
		t.Errorf("sent to the builder %v, needed %v", sent, needed)
	}
	info, err := os.ReadFile("../../commons/buildinfo/buildinfo.go")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`-X github\.com/kalamdb/kalamdb/commons/buildinfo\.(\w+)=`).FindAllStringSubmatch(one(t, build, "RUN"), -1)
	if len(flags) != 3 {
		t.Error("not all of version, commit and branch are set:", flags)
	}
	for _, f := range flags {
		if !regexp.MustCompile(`(?m)^\t` + f[1] + `\s+string`).Match(info) {
			t.Errorf("buildinfo has no variable %s", f[1])
		}
	}
	if !strings.Contains(strings.Join(of(build, "ENV"), " "), "CGO_ENABLED=0") {
		t.Error("the binary may not be static")
	}

	l := loadWith(t, environment(t, image))
	if l.Server.Host != "0.0.0.0" || fmt.Sprint(l.Server.Port) != one(t, image, "EXPOSE") {
		t.Errorf("the server listens on %s:%d", l.Server.Host, l.Server.Port)
	}
	if v := list(one(t, image, "VOLUME")); !slices.Contains(v, l.Data.Dir) || !strings.HasPrefix(l.Storage.DefaultLocation, l.Data.Dir+"/") {
		t.Errorf("volumes %v, data in %s, cold files in %s", v, l.Data.Dir, l.Storage.DefaultLocation)
	}
	if user := one(t, image, "USER"); user != "65532:65532" {
		t.Error("the user is", user)
	}
	entry := list(one(t, image, "ENTRYPOINT"))
	_, check, _ := strings.Cut(one(t, image, "HEALTHCHECK"), "CMD ")
	if c := list(check); len(entry) != 1 || len(c) != 2 || c[0] != entry[0] || !hasCommand(c[1]) {
		t.Errorf("entry %v, health check %v", entry, c)
	}
	if !slices.ContainsFunc(of(image, "COPY"), func(c string) bool { return strings.HasSuffix(c, " "+entry[0]) }) {
		t.Error("the binary is not in the image")
	}
}

// hasCommand tells whether the server has a subcommand.
func hasCommand(name string) bool {
	c := &commands{}
	return c.app().Command(name) != nil
}

// yaml reads the small part of YAML that our compose file is written in: maps
// and lists by indentation, texts, and lists in brackets. A value is found by
// its path, "services.kalamdb.ports" for the list of ports.
func yaml(t *testing.T, text string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	type level struct {
		indent int
		path   string
	}
	var stack []level
	for n, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if strings.Contains(line, "\t") || indent%2 != 0 {
			t.Fatalf("line %d is not indented by two spaces", n+1)
		}
		for len(stack) > 0 && stack[len(stack)-1].indent >= indent {
			stack = stack[:len(stack)-1]
		}
		path := ""
		if len(stack) > 0 {
			path = stack[len(stack)-1].path + "."
		}
		if item, ok := strings.CutPrefix(trimmed, "- "); ok {
			path = strings.TrimSuffix(path, ".")
			out[path] = append(out[path], strings.Trim(item, `"`))
			continue
		}
		key, value, ok := strings.Cut(trimmed, ":")
		if !ok {
			t.Fatalf("line %d is neither key nor item: %s", n+1, line)
		}
		path += key
		if _, twice := out[path]; twice {
			t.Fatalf("line %d: %s is there twice", n+1, path)
		}
		value = strings.TrimSpace(value)
		switch {
		case value == "":
			stack = append(stack, level{indent, path})
		case strings.HasPrefix(value, "["):
			out[path] = list(value)
		default:
			out[path] = []string{strings.Trim(value, `"`)}
		}
	}
	return out
}

func TestCompose(t *testing.T) {
	c := yaml(t, readDocker(t, "docker-compose.yml"))
	const s = "services.kalamdb."
	first := func(path string) string {
		t.Helper()
		if len(c[path]) == 0 {
			t.Fatalf("there is no %s", path)
		}
		return c[path][0]
	}
	if _, err := os.Stat(filepath.Join(dockerDir, first(s+"build.context"), first(s+"build.dockerfile"))); err != nil {
		t.Error(err)
	}
	env := map[string]string{}
	for path, v := range c {
		if name, ok := strings.CutPrefix(path, s+"environment."); ok {
			if v[0] = regexp.MustCompile(`\$\{\w+:-([^}]*)\}`).ReplaceAllString(v[0], "$1"); v[0] != "" {
				env[name] = v[0]
			}
		}
	}
	l := loadWith(t, env)
	if p := first(s + "ports"); !strings.HasSuffix(p, fmt.Sprintf(":%d", l.Server.Port)) || !strings.HasPrefix(p, "127.0.0.1:") {
		t.Errorf("ports %s, the server listens on %d", p, l.Server.Port)
	}
	name, target, _ := strings.Cut(first(s+"volumes"), ":")
	if target != l.Data.Dir || c["volumes."+name] == nil {
		t.Errorf("volume %s at %s, data in %s", name, target, l.Data.Dir)
	}
	if !strings.HasPrefix(l.Storage.DefaultLocation, l.Data.Dir+"/") {
		t.Error("cold files are outside of the volume:", l.Storage.DefaultLocation)
	}
	if n := first(s + "networks"); c["networks."+n+".driver"] == nil {
		t.Error("there is no network", n)
	}
	image := stages(t)[1]
	if check := c[s+"healthcheck.test"]; len(check) != 3 || check[0] != "CMD" || check[1] != list(one(t, image, "ENTRYPOINT"))[0] || !hasCommand(check[2]) {
		t.Error("health check", check)
	}
	grace, err := time.ParseDuration(first(s + "stop_grace_period"))
	if err != nil || grace < config.Default().Server.ShutdownTimeout.Std()+10*time.Second {
		t.Error("the server may be killed while it stops:", grace, err)
	}
	if first(s+"read_only") != "true" {
		t.Error("the image is writable")
	}
}

func TestUnit(t *testing.T) {
	values := map[string][]string{}
	for _, line := range strings.Split(readDocker(t, "kalamdb.service"), "\n") {
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			values[key] = append(values[key], value)
		}
	}
	env := map[string]string{}
	for _, e := range values["Environment"] {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	if l := loadWith(t, env); l.Data.Dir != values["WorkingDirectory"][0] || !strings.HasSuffix(l.Data.Dir, "/"+values["StateDirectory"][0]) {
		t.Error("the data is not in the unit's state directory:", l.Data.Dir)
	}
	if !strings.Contains(values["ExecReload"][0], "-HUP") {
		t.Error("reload is", values["ExecReload"])
	}
	if want := fmt.Sprintf("%d %d", ExitUsage, ExitListen); values["RestartPreventExitStatus"][0] != want {
		t.Error("exit codes that are not tried again:", values["RestartPreventExitStatus"])
	}
	stop, err := time.ParseDuration(values["TimeoutStopSec"][0])
	if err != nil || stop < config.Default().Server.ShutdownTimeout.Std()+10*time.Second {
		t.Error("the server may be killed while it stops:", stop, err)
	}
}
