package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestOutputFormats(t *testing.T) {
	s := newTestServer(t)
	for format, want := range map[string]string{
		"table":  "+----+----------------+\n| id | text           |\n+----+----------------+\n|  1 | hi             |\n| 22 | NULL           |\n|  3 | a\\tb\\x1b[31mred |\n|  4 | 日本           |\n+----+----------------+\n",
		"json":   "[\n  {\"id\":1,\"text\":\"hi\"},\n  {\"id\":22,\"text\":null},\n  {\"id\":3,\"text\":\"a\\tb\\u001b[31mred\"},\n  {\"id\":4,\"text\":\"日本\"}\n]\n",
		"ndjson": "{\"id\":1,\"text\":\"hi\"}\n{\"id\":22,\"text\":null}\n{\"id\":3,\"text\":\"a\\tb\\u001b[31mred\"}\n{\"id\":4,\"text\":\"日本\"}\n",
		"csv":    "id,text\n1,hi\n22,\n3,a\tb\x1b[31mred\n4,日本\n",
		"tsv":    "id\ttext\n1\thi\n22\t\\N\n3\ta\\tb\x1b[31mred\n4\t日本\n",
	} {
		r := run1(t, "", "-h", s.URL, "--format", format, "-e", "SELECT * FROM app.m")
		got := r.out
		if format == "table" {
			got = strings.Split(got, "(4 rows)")[0]
			want = strings.ReplaceAll(want, "----------------+", "-----------------+")
			want = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(want, "text           |", "text            |"), "hi             |", "hi              |"), "NULL           |", "NULL            |"), "日本           |", "日本            |")
		}
		if got != want || r.err != "" || r.code != 0 {
			t.Errorf("%s: code %d, stderr %q\ngot:\n%s\nwant:\n%s", format, r.code, r.err, got, want)
		}
	}
}

func TestMachineOutputIsClean(t *testing.T) {
	s := newTestServer(t)
	r := run1(t, "", "-h", s.URL, "--json", "-e", "CREATE TABLE app.m (id INT); INSERT INTO app.m VALUES (1); SELECT * FROM app.m")
	var rows []map[string]any
	if err := json.Unmarshal([]byte(r.out), &rows); err != nil || len(rows) != 4 {
		t.Errorf("%v: %s", err, r.out)
	}
	if !strings.Contains(r.err, "1 row inserted") {
		t.Errorf("stderr %q", r.err)
	}
	r = run1(t, "", "-h", s.URL, "--csv", "-e", "SELECT * FROM app.m")
	if recs, err := csv.NewReader(strings.NewReader(r.out)).ReadAll(); err != nil || len(recs) != 5 {
		t.Errorf("%v: %s", err, r.out)
	}
}

func TestDamagedFilesMayBeLeftOut(t *testing.T) {
	s := newTestServer(t)
	if r := run1(t, "", "-h", s.URL, "-e", "SELECT * FROM damaged"); r.code != 1 || !strings.Contains(r.err, "is damaged") {
		t.Errorf("%+v", r)
	}
	r := run1(t, "", "-h", s.URL, "--csv", "-v", "DAMAGED=skip", "-e", "SELECT * FROM damaged")
	if r.code != 0 || r.out != "id,text\n1,sound\n" || r.err != "Warning: 1 file damaged or missing, and left out: part-1.parquet\n" {
		t.Errorf("%+v", r)
	}
}

func TestNoColor(t *testing.T) {
	s := newTestServer(t)
	for _, tc := range []struct {
		env   []string
		args  []string
		color bool
	}{{nil, nil, true}, {[]string{"NO_COLOR=1"}, nil, false}, {[]string{"NO_COLOR=1"}, []string{"--color=true"}, true}, {nil, []string{"--color=false"}, false}, {[]string{"TERM=dumb"}, nil, false}} {
		home := t.TempDir()
		tm := startEnv(t, append(environment(home), tc.env...), home, 80, append(tc.args, "-h", s.URL, "-e", "SELECT 1")...)
		if code := tm.exit(); code != 0 || strings.Contains(string(tm.out), "\x1b[") != tc.color {
			t.Errorf("%v %v: code %d, %q", tc.env, tc.args, code, tm.out)
		}
	}
}

func TestColorFlag(t *testing.T) {
	s := newTestServer(t)
	if r := run1(t, "", "-h", s.URL, "--color=true", "-e", "SELECT 1"); !strings.Contains(r.out, "\x1b[") {
		t.Errorf("no colour in %q", r.out)
	}
	for _, c := range []string{"--color=false", "--color=auto"} {
		if r := run1(t, "", "-h", s.URL, c, "-e", "SELECT 1"); strings.Contains(r.out, "\x1b[") {
			t.Errorf("%s: colour in %q", c, r.out)
		}
	}
}

func TestExitCodes(t *testing.T) {
	s := newTestServer(t)
	file := filepath.Join(t.TempDir(), "q.sql")
	os.WriteFile(file, []byte("-- three statements\nSELECT 1;\nSELEC * FROM;\n\nSELECT 1 AS last\n"), 0o600)
	for _, tc := range []struct {
		name  string
		stdin string
		args  []string
		code  int
		err   string // in the error output
	}{
		{"fine", "", []string{"-h", s.URL, "-e", "SELECT 1"}, 0, ""},
		{"a failing statement", "", []string{"-h", s.URL, "-e", "SELEC * FROM;"}, 1, "ERROR INVALID_SQL (42601): unexpected \"SELEC\"\nLINE 1: SELEC * FROM\n        ^\nHINT: Did you mean SELECT?\n"},
		{"in a file", "", []string{"-h", s.URL, "-f", file}, 1, file + ":3: ERROR INVALID_SQL"},
		{"in a pipe", "SELECT 1;\nSELEC;\nSELECT 1;\n", []string{"-h", s.URL}, 1, "stdin:2: ERROR"},
		{"ON_ERROR_STOP", "", []string{"-h", s.URL, "-v", "ON_ERROR_STOP=1", "-f", file}, 3, "ERROR"},
		{"no such file", "", []string{"-h", s.URL, "-f", file + "x"}, 1, "no such file"},
		{"bad token", "", []string{"-h", s.URL, "--token", "invalid", "-e", "SELECT 1"}, 2, "authentication failed at " + s.URL + ": The token is not valid."},
		{"no server", "", []string{"-h", "http://127.0.0.1:1", "-e", "SELECT 1"}, 2, "cannot connect to http://127.0.0.1:1: connection refused\n"},
		{"bad address", "", []string{"-h", "ftp://x", "-e", "SELECT 1"}, 1, "must be http or https"},
		{"bad flag", "", []string{"--tenant", "x"}, 1, "flag provided but not defined: -tenant"},
		{"bad format", "", []string{"--format", "xml"}, 1, "unknown format"},
		{"stray argument", "", []string{"SELECT 1"}, 1, "-e 'SELECT"},
		{"token on stdin", "invalid\n", []string{"-h", s.URL, "--token-stdin", "-e", "SELECT 1"}, 2, "authentication failed"},
		{"commas stay", "", []string{"-h", s.URL, "-e", "SELECT 1, 2"}, 0, ""},
		{"quit in a script", "", []string{"-h", s.URL, "-e", `\quit`, "-e", "SELEC"}, 0, ""},
		{"help", "", []string{"--help"}, 0, ""},
		{"version", "", []string{"version"}, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := run1(t, tc.stdin, tc.args...)
			if r.code != tc.code || !strings.Contains(r.err, tc.err) {
				t.Errorf("code %d, want %d; stderr %q, want %q", r.code, tc.code, r.err, tc.err)
			}
			if tc.code == 2 && strings.Count(r.err, "\n") != 1 {
				t.Errorf("more than one line: %q", r.err)
			}
		})
	}
	if r := run1(t, "", "-h", s.URL, "-f", file); strings.Count(r.out, "(1 row)") != 2 {
		t.Errorf("the statements around the failing one did not run: %q", r.out)
	}
	for _, sql := range s.sent() {
		if sql == "SELECT 1, 2" {
			return
		}
	}
	t.Error("the statement was cut at its comma")
}

func TestCredentialsAreSent(t *testing.T) {
	s := newTestServer(t)
	env := append(environment(t.TempDir()), "KALAM_HOST="+s.URL, "KALAM_USER=env-user", "KALAM_TOKEN=env-token", "KALAM_NAMESPACE=app")
	if r := runEnv(t, env, "", "-u", "flag-user", "-e", "SELECT 1"); r.code != 0 {
		t.Fatal(r.err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.headers[len(s.headers)-1]
	if h.Get("X-USER-ID") != "flag-user" || h.Get("Authorization") != "Bearer env-token" || h.Get("X-NAMESPACE") != "app" || h.Get("X-TENANT-ID") != "" {
		t.Errorf("headers %v", h)
	}
}

func TestConfigurationFile(t *testing.T) {
	s := newTestServer(t)
	home := t.TempDir()
	path := filepath.Join(home, ".kalam", "config.toml")
	if r := runEnv(t, environment(home), "", "-h", s.URL, "-u", "jamal", "--token", "tok", "-e", "SELECT 1"); r.code != 0 {
		t.Fatal(r.err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), s.URL) || !strings.Contains(string(data), "jamal") || strings.Contains(string(data), "tok\"") {
		t.Errorf("%s, %v", data, err)
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	if r := runEnv(t, environment(home), "", "-e", "SELECT 1"); r.code != 0 || !strings.Contains(r.out, "(1 row)") {
		t.Errorf("without flags: %+v", r)
	}
	os.WriteFile(path, []byte("[connection]\nhost = http://x\n"), 0o600)
	if r := runEnv(t, environment(home), "", "-e", "SELECT 1"); r.code != 1 || !strings.Contains(r.err, path+":2:") || !strings.Contains(r.err, "Hint:") {
		t.Errorf("malformed: %+v", r)
	}
}

func TestHomeThatCannotBeWritten(t *testing.T) {
	s := newTestServer(t)
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	r := runEnv(t, append(environment(file), "KALAM_HOME="+file+"/x"), "", "-h", s.URL, "-e", "SELECT 1")
	if r.code != 0 || !strings.Contains(r.err, "Warning:") || !strings.Contains(r.out, "(1 row)") {
		t.Errorf("%+v", r)
	}
}

func TestCopy(t *testing.T) {
	s := newTestServer(t)
	dir := t.TempDir()
	out := filepath.Join(dir, "m.csv")
	r := run1(t, "", "-h", s.URL, "-e", `\copy app.m TO '`+out+`'`, "-e", `\copy app.m FROM '`+out+`'`)
	data, _ := os.ReadFile(out)
	if r.code != 0 || !strings.HasPrefix(string(data), "id,text\n1,hi\n22,\n") || !strings.Contains(r.out, "4 rows copied to app.m") {
		t.Fatalf("%+v, file %q", r, data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.requests[len(s.requests)-1]
	if last.SQL != "INSERT INTO app.m (id, text) VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8)" || string(last.Params[3]) != "null" || string(last.Params[7]) != `"日本"` {
		t.Errorf("sent %s with %s", last.SQL, last.Params)
	}
}

func TestSubscribeFromAScriptEndsWithCtrlC(t *testing.T) {
	s := newTestServer(t)
	for _, args := range [][]string{
		{"-h", s.URL, "--json", "-e", "SUBSCRIBE TO app.m"},
		{"-h", s.URL, "--json", "tail", "--last", "1", "SELECT * FROM app.m"},
	} {
		cmd := exec.Command(program, args...)
		cmd.Env = environment(t.TempDir())
		var out strings.Builder
		cmd.Stdout = &out
		errw, _ := cmd.StderrPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s.subscribed(1)
		s.publish(insertOf(7, "x"))
		buf := make([]byte, 1000)
		n, _ := errw.Read(buf) // the ready line
		if !strings.Contains(string(buf[:n]), "Subscribed to app.m") {
			t.Errorf("stderr %q", buf[:n])
		}
		go cmd.Process.Signal(os.Interrupt)
		for {
			if _, err := errw.Read(buf); err != nil {
				break
			}
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("exit code %d", code)
		}
		for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
			if line != "" && !json.Valid([]byte(line)) {
				t.Errorf("line %q is no JSON", line)
			}
		}
		s.subscribed(0)
	}
}

func TestShellCompletionAndManual(t *testing.T) {
	for sh, wants := range map[string][]string{
		"bash":       {"auto dark light", "--namespace", "complete -F"},
		"zsh":        {"auto dark light", "--namespace", "#compdef kalam-cli"},
		"fish":       {"-l theme -xa 'auto dark light'", "-l namespace -s n -r -d 'look unqualified tables up in NS'", `the server\'s URL`, "__fish_seen_subcommand_from completion"},
		"powershell": {"--namespace", "Register-ArgumentCompleter"},
	} {
		r := run1(t, "", "completion", sh)
		for _, want := range append(wants, "format", "tail") {
			if r.code != 0 || !strings.Contains(r.out, want) {
				t.Errorf("%s lacks %q: exit code %d\n%s", sh, want, r.code, r.out)
			}
		}
	}
	if r := run1(t, "", "completion", "tcsh"); r.code != 1 || !strings.Contains(r.err, "not \"tcsh\"") {
		t.Errorf("tcsh: %+v", r)
	}
	r := run1(t, "", "man")
	for _, want := range []string{".TH kalam-cli 1\n", ".SH INTERACTIVE COMMANDS\n", "\\fB\\etheme [auto|dark|light]\\fP\n", ".SH ENVIRONMENT\n", "COLORFGBG", ".SH FILES\n", "~/.kalam/history"} {
		if r.code != 0 || !strings.Contains(r.out, want) {
			t.Errorf("the manual lacks %q: exit code %d\n%s", want, r.code, r.out)
		}
	}
	for _, line := range strings.Split(run1(t, "", "--help").out, "\n") {
		if strings.Contains(line, "[ --") {
			t.Errorf("an option is listed twice: %s", line)
		}
	}
}

func TestThemes(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	home := t.TempDir()
	head := func(env []string, args ...string) string {
		t.Helper()
		r := runEnv(t, append(environment(home), env...), "", append([]string{"-h", s.URL, "--color", "true", "-e", "SELECT 1"}, args...)...)
		_, after, ok := strings.Cut(r.out, "| \x1b[")
		if !ok || r.code != 0 {
			t.Fatalf("%+v", r)
		}
		color, _, _ := strings.Cut(after, "m")
		return color
	}
	const dark, light, either = "1;36", "1;38;5;24", "1"
	for _, tc := range []struct {
		env  []string
		args []string
		want string
	}{
		{nil, nil, either},
		{[]string{"COLORFGBG=15;0"}, nil, dark},
		{[]string{"COLORFGBG=0;15"}, nil, light},
		{[]string{"COLORFGBG=0;15", "KALAM_THEME=dark"}, nil, dark},
		{[]string{"KALAM_THEME=dark"}, []string{"--theme", "light"}, light},
		{nil, []string{"--theme", "LIGHT"}, light},
	} {
		if got := head(tc.env, tc.args...); got != tc.want {
			t.Errorf("%v %v gives %s, want %s", tc.env, tc.args, got, tc.want)
		}
	}
	config := filepath.Join(home, ".kalam", "config.toml")
	if err := os.WriteFile(config, []byte("[output]\ntheme = \"light\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := head(nil); got != light {
		t.Errorf("the configuration gives %s", got)
	}
	if got := head([]string{"KALAM_THEME=dark"}); got != dark {
		t.Errorf("the environment over the configuration gives %s", got)
	}
	if err := os.WriteFile(config, []byte("[output]\ntheme = \"blue\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := runEnv(t, environment(home), "", "-h", s.URL, "-e", "SELECT 1"); r.code != 1 || !strings.Contains(r.err, "config.toml:2:1: theme is \"blue\"; it must be auto, dark or light") {
		t.Errorf("%+v", r)
	}
}
