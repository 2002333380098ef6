package repl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/cli/config"
	"github.com/kalamdb/kalamdb/cli/render"
)

// desk is an App between files and an HTTP server that answers as told.
type desk struct {
	t    *testing.T
	app  *App
	out  *os.File
	errw *os.File

	mu   sync.Mutex // guards what follows
	sent []request
}

type request struct {
	SQL    string            `json:"sql"`
	Params []json.RawMessage `json:"params"`
}

const oneRow = `{"results":[{"columns":["n"],"schema":[{"name":"n","type":"INT"}],"rows":[[1]],"row_count":1}]}`

// newDesk has a server that answers a statement with what answer gives: a
// status and a body; 0 and "" stand for 200 and one row.
func newDesk(t *testing.T, answer func(sql string) (int, string), change ...func(*Options)) *desk {
	d := &desk{t: t}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, `{"status":"healthy","version":"1.2.3","api_version":"v1","uptime_seconds":61,"commit":"abc"}`)
			return
		}
		var req request
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		d.mu.Lock()
		d.sent = append(d.sent, req)
		d.mu.Unlock()
		status, body := 0, ""
		if answer != nil {
			status, body = answer(req.SQL)
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		if body == "" {
			body = oneRow
		}
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	file := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	d.out, d.errw = file("out"), file("err")
	o := Options{In: file("in"), Out: d.out, Err: d.errw, Connection: config.Connection{Host: srv.URL, User: "ada"},
		ConfigPath: filepath.Join(dir, "home", "config.toml"), Dir: filepath.Join(dir, "home"), Format: render.Table}
	for _, c := range change {
		c(&o)
	}
	var err error
	if d.app, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.app.Close() })
	d.app.timing = false
	return d
}

// run runs statements as -e does, and gives what they wrote.
func (d *desk) run(text string) (out, errw string, err error) {
	d.t.Helper()
	err = d.app.RunText(d.t.Context(), text, "")
	d.app.out.Flush()
	return d.take(d.out), d.take(d.errw), err
}

// take gives what a file holds and empties it.
func (d *desk) take(f *os.File) string {
	d.t.Helper()
	data, err := os.ReadFile(f.Name())
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return string(data)
}

func (d *desk) statements() []request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]request(nil), d.sent...)
}

func refusal(code string, more string) string {
	return fmt.Sprintf(`{"status":"error","error":{"code":%q,"message":"no good"%s}}`, code, more)
}

// TestPlaceOfBackslashCommands: the error's place is in the statement that the
// command stands for, so that is what is shown.
func TestPlaceOfBackslashCommands(t *testing.T) {
	d := newDesk(t, func(sql string) (int, string) { return 404, refusal("TABLE_NOT_FOUND", `,"line":1,"column":10`) })
	for command, want := range map[string]string{
		`\d app.x`:                    "LINE 1: DESCRIBE app.x\n                 ^\n",
		`\watch 1 SELECT a FROM b`:    "LINE 1: SELECT a FROM b\n                 ^\n",
		`\copy app.x TO '/dev/null'`:  "LINE 1: SELECT * FROM app.x\n                 ^\n",
		`\flush app.x`:                "LINE 1: FLUSH TABLE app.x\n                 ^\n",
		`\dt x`:                       "LINE 1: SHOW TABLES IN x\n                 ^\n",
		`\copy (SELECT) TO '/dev/nu'`: "LINE 1: SELECT\n              ^\n",
	} {
		_, errw, err := d.run(command)
		if err != nil || errw != "ERROR TABLE_NOT_FOUND: no good\n"+want {
			t.Errorf("%s: %v\n%s", command, err, errw)
		}
	}
	if err := d.app.Exit(nil); !errors.Is(err, ExitStatus(ExitError)) {
		t.Errorf("the program ends with %v", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	var answer string
	status := 400
	d := newDesk(t, func(string) (int, string) { return status, answer })
	for _, tc := range []struct {
		status       int
		answer, want string
	}{
		{401, refusal("TOKEN_EXPIRED", ""), `HINT: \connect --token NEW-TOKEN goes on`},
		{500, refusal("INTERNAL", `,"id":"e7"`), "The server's log has the details under id e7."},
		{400, refusal("INVALID_SQL", `,"hint":"write\u001b[31m it"`), `HINT: write\x1b[31m it`},
		{400, `{"status":"error","error":{"code":"INVALID_SQL","message":"Statement 1 failed: x","statement":1}}`, "ERROR INVALID_SQL: x\n"},
		{200, "<html>", "is not a KalamDB server: "},
		{502, "<html>", "is not a KalamDB server: "},
	} {
		status, answer = tc.status, tc.answer
		_, errw, _ := d.run("INSERT INTO t VALUES (1)")
		if !strings.Contains(errw, tc.want) || strings.Contains(errw, "\x1b") {
			t.Errorf("%s gives %q", tc.answer, errw)
		}
	}
}

func TestSettingsOfASession(t *testing.T) {
	d := newDesk(t, nil)
	file := filepath.Join(t.TempDir(), "a file")
	for _, tc := range []struct{ command, out, errw string }{
		{`\set a 1 2`, "", ""}, {`\set b`, "", ""}, {`\set`, "a = '1 2'\nb = ''\n", ""}, {`\unset a b`, "", ""}, {`\set`, "", ""},
		{`\format`, "table\n", ""}, {`\format csv`, "", "The format is csv.\n"}, {"SELECT 1", "n\n1\n", ""},
		{`\format xml`, "", `ERROR: unknown format "xml"; it is one of table, json, ndjson, csv, tsv, markdown, vertical` + "\n"},
		{`\format table`, "", "The format is table.\n"},
		{`\theme`, "", "The theme is auto.\n"}, {`\theme Light`, "", "The theme is light.\n"}, {`\theme blue`, "", "ERROR: theme is \"blue\"; it must be auto, dark or light\n"},
		{`\theme a b`, "", "ERROR: \\theme takes auto, dark or light\n"},
		{`\x`, "", "Expanded display is on.\n"}, {"SELECT 1", "-[ RECORD 1 ]--------\nn | 1\n(1 row)\n", ""},
		{`\x`, "", "Expanded display is auto.\n"}, {`\x off`, "", "Expanded display is off.\n"}, {`\x maybe`, "", "ERROR: \\x takes on, off or auto\n"},
		{`\wrap on`, "", "Long values are wrapped.\n"}, {`\wrap`, "", "Long values are cut.\n"}, {`\wrap x`, "", "ERROR: \\wrap takes on or off\n"},
		{`\timing on`, "", "Timing is on.\n"}, {`\timing`, "", "Timing is off.\n"}, {`\timing x`, "", "ERROR: \\timing takes on or off\n"},
		{`\o '` + file + `'`, "", ""}, {"SELECT 1", "", ""}, {`\o`, "", ""}, {`\o a b`, "", "ERROR: \\o takes one file\n"},
		{`\o /no/such/folder/x`, "", "ERROR: open the output file: open /no/such/folder/x: no such file or directory\n"},
		{`\history`, "", "ERROR: there is a history only while somebody types\n"},
		{`\dn x`, "", "ERROR: this command takes no argument\n"}, {`\stats`, "", "ERROR: this command needs an argument\n"},
		{`\watch 0.05 SELECT 1`, "", "ERROR: \\watch needs at least 0.1 seconds\n"},
		{`\continue`, "", "ERROR: no stream is running; SUBSCRIBE TO t; starts one\n"},
		{`\config save-all`, "", "ERROR: \\config does not know \"save-all\"; it takes save-token or nothing\n"},
		{`\config save-token`, "", "ERROR: this session has no token to save\n"},
		{`\du`, "", "ERROR: there is no command \\du; SELECT * FROM system.users lists the users (\\help lists all)\n"},
		{".tables\n;", "", "ERROR: there is no command .tables; commands begin with a backslash, as in \\dt (\\help lists all)\n"},
		{`\hepl`, "", "ERROR: there is no command \\hepl; did you mean \\help? (\\help lists all)\n"},
	} {
		out, errw, err := d.run(tc.command)
		if err != nil || out != tc.out || errw != tc.errw {
			t.Errorf("%s: %v\n%q\n%q", tc.command, err, out, errw)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "+---+\n| n |\n+---+\n| 1 |\n+---+\n(1 row)\n" {
		t.Errorf("the file of \\o has %q, %v", data, err)
	}
	out, _, _ := d.run(`\config`)
	for _, want := range []string{"user         ada\n", "theme        light\n", "format       table\n", "output       terminal\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("\\config lacks %q:\n%s", want, out)
		}
	}
}

func TestSaveToken(t *testing.T) {
	d := newDesk(t, nil, func(o *Options) { o.Connection.Token = "secret-token" })
	if out, _, _ := d.run(`\config`); !strings.Contains(out, "credentials  token (hidden)") || strings.Contains(out, "secret-token") {
		t.Errorf("\\config shows %s", out)
	}
	if _, errw, err := d.run(`\config save-token`); err != nil || !strings.Contains(errw, "Warning: whoever can read that file can act as you.") {
		t.Errorf("%q, %v", errw, err)
	}
	cfg, exists, err := config.Load(d.app.o.ConfigPath)
	if err != nil || !exists || cfg.Connection.Token != "secret-token" || cfg.Connection.User != "ada" {
		t.Errorf("%+v, %v", cfg.Connection, err)
	}
	if fi, err := os.Stat(d.app.o.ConfigPath); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestIncludedFiles(t *testing.T) {
	d := newDesk(t, func(sql string) (int, string) {
		if strings.Contains(sql, "wrong") {
			return 400, refusal("INVALID_SQL", "")
		}
		return 0, ""
	})
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inner := write("inner.sql", "SELECT 2;\nwrong;\nSELECT 3;\n")
	outer := write("outer.sql", "SELECT 1;\n\\i "+inner+"\nSELECT 4;")
	_, errw, err := d.run(`\i ` + outer)
	var sent []string
	for _, r := range d.statements() {
		sent = append(sent, r.SQL)
	}
	if got := strings.Join(sent, ","); err != nil || got != "SELECT 1,SELECT 2,wrong,SELECT 3,SELECT 4" || !strings.Contains(errw, inner+":2: ERROR INVALID_SQL") {
		t.Errorf("%v, sent %s\n%s", err, got, errw)
	}
	self := filepath.Join(dir, "self.sql")
	write("self.sql", `\i `+self)
	if _, errw, _ := d.run(`\i ` + self); !strings.Contains(errw, "files include each other too deep") {
		t.Errorf("%q", errw)
	}
	d.app.vars["ON_ERROR_STOP"] = "1"
	if _, _, err := d.run(`\i ` + outer); !errors.Is(err, ExitStatus(ExitStopped)) {
		t.Errorf("ON_ERROR_STOP gives %v", err)
	}
	if _, errw, _ := d.run(`\i`); !strings.Contains(errw, `\i needs a file`) {
		t.Errorf("%q", errw)
	}
}

func TestCopyFromFiles(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		name, text, command string
		sql, params         string // of the one INSERT; "" when there is none
		out, errw           string
	}{
		{"a.json", `[{"id":1,"Name":"x"},{"id":2}]`, `t FROM`, `INSERT INTO t (id, "Name") VALUES ($1, $2), ($3, $4)`, `[1 "x" 2 null]`, "2 rows copied to t", ""},
		{"a.ndjson", `{"id":12345678901234567890,"j":{"a":[1]}}` + "\n\n" + `{"j":null,"id":2.50}`, `t FROM`, `INSERT INTO t (id, j) VALUES ($1, $2), ($3, $4)`, `[12345678901234567890 "{\"a\":[1]}" 2.50 null]`, "2 rows copied to t", ""},
		{"b.json", " \n[]", `t FROM`, "", "", "0 rows copied to t", ""},
		{"c.json", "", `t FROM`, "", "", "0 rows copied to t", ""},
		{"d.json", `[{"id":1},{"id":2,"more":3}]`, `t FROM`, "", "", "", `after row 1: the object has the key "more", which the first one does not have`},
		{"e.json", `[1]`, `t FROM`, "", "", "", `found 1 where an object is expected`},
		{"f.json", `{"id":1`, `t FROM`, "", "", "", `unexpected EOF`},
		{"a.csv", "\ufeffid,a b\n1,\"x,y\"\n2,\n", `t FROM`, `INSERT INTO t (id, "a b") VALUES ($1, $2), ($3, $4)`, `["1" "x,y" "2" null]`, "2 rows copied to t", ""},
		{"b.csv", "1;x\n", `ns.t (id, "Name") FROM`, `INSERT INTO ns.t (id, "Name") VALUES ($1, $2)`, `["1" "x"]`, "1 row copied to ns.t", ""},
		{"a.tsv", "id\n7\n", `t FROM`, `INSERT INTO t (id) VALUES ($1)`, `["7"]`, "1 row copied to t", ""},
		{"c.csv", "id,x\n1\n", `t FROM`, "", "", "", "after row 0: record on line 2: wrong number of fields"},
		{"d.csv", "", `t FROM`, "", "", "0 rows copied to t", ""},
	} {
		d := newDesk(t, nil)
		path := filepath.Join(dir, tc.name)
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		with := ""
		if tc.name == "b.csv" {
			with = " WITH (FORMAT csv, HEADER false, DELIMITER ';')"
		}
		out, errw, err := d.run(`\copy ` + tc.command + ` '` + path + `'` + with)
		sent := d.statements()
		if err != nil || !strings.Contains(out, tc.out) || !strings.Contains(errw, tc.errw) || (tc.errw == "") != (errw == "") {
			t.Errorf("%s: %v\n%s\n%s", tc.name, err, out, errw)
		}
		switch {
		case tc.sql == "" && len(sent) == 0:
		case len(sent) != 1 || sent[0].SQL != tc.sql || fmt.Sprintf("%s", sent[0].Params) != tc.params:
			t.Errorf("%s: sent %s", tc.name, sent)
		}
	}
	d := newDesk(t, nil)
	if _, errw, _ := d.run(`\copy t FROM '/no/such/file'`); !strings.Contains(errw, "cannot read /no/such/file: no such file or directory") {
		t.Errorf("%q", errw)
	}
}

// TestCopyThatIsRefused: the rows before are in, and which ones are not is said.
func TestCopyThatIsRefused(t *testing.T) {
	batches := 0
	d := newDesk(t, func(string) (int, string) {
		if batches++; batches == 2 {
			return 409, refusal("UNIQUE_VIOLATION", "")
		}
		return 0, `{"results":[{"columns":[],"row_count":500}]}`
	})
	path := filepath.Join(t.TempDir(), "many.csv")
	if err := os.WriteFile(path, []byte("id\n"+strings.Repeat("1\n", 3*copyBatch)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errw, err := d.run(`\copy t FROM '` + path + `'`)
	if want := "500 rows were copied before.\n" + path + ", rows 501 to 1000: ERROR UNIQUE_VIOLATION: no good\n"; err != nil || errw != want {
		t.Errorf("%v\n%s", err, errw)
	}
	if n := len(d.statements()); n != 2 {
		t.Errorf("%d batches were sent", n)
	}
}

func TestCopyToFiles(t *testing.T) {
	d := newDesk(t, func(string) (int, string) {
		return 0, `{"results":[{"columns":["id","t"],"schema":[{"name":"id","type":"INT"},{"name":"t","type":"TEXT"}],"rows":[[1,"a;\"b\""],[2,null]],"row_count":2}]}`
	})
	dir := t.TempDir()
	for name, tc := range map[string]struct{ with, want string }{
		"a.csv":    {"", "id,t\n1,\"a;\"\"b\"\"\"\n2,\n"},
		"b.csv":    {" WITH (HEADER false, DELIMITER ';')", "1;\"a;\"\"b\"\"\"\n2;\n"},
		"c.json":   {"", "[\n  {\"id\":1,\"t\":\"a;\\\"b\\\"\"},\n  {\"id\":2,\"t\":null}\n]\n"},
		"d.ndjson": {"", "{\"id\":1,\"t\":\"a;\\\"b\\\"\"}\n{\"id\":2,\"t\":null}\n"},
	} {
		path := filepath.Join(dir, name)
		out, errw, err := d.run(`\copy t TO '` + path + `'` + tc.with)
		data, _ := os.ReadFile(path)
		if err != nil || string(data) != tc.want || !strings.HasPrefix(out, "2 rows copied to "+path) {
			t.Errorf("%s: %v, %q\n%s%s", name, err, data, out, errw)
		}
	}
	if _, errw, _ := d.run(`\copy t TO '/no/such/folder/x.csv'`); !strings.Contains(errw, "cannot write /no/such/folder/x.csv") {
		t.Errorf("%q", errw)
	}
	if _, errw, _ := d.run(`\copy t`); !strings.Contains(errw, `\copy is written:`) {
		t.Errorf("%q", errw)
	}
}

func TestBenchAndPing(t *testing.T) {
	fails := false
	d := newDesk(t, func(string) (int, string) {
		if fails {
			return 400, refusal("INVALID_SQL", "")
		}
		return 0, ""
	})
	if err := d.app.Bench(t.Context(), 2, 50*time.Millisecond, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	d.app.out.Flush()
	if out := d.take(d.out); !strings.Contains(out, "with 2 clients") || !strings.Contains(out, "100.00 %") {
		t.Errorf("bench shows %s", out)
	}
	fails = true
	if err := d.app.Bench(t.Context(), 2, 10*time.Second, "SELECT 1"); !errors.Is(err, ExitStatus(ExitError)) {
		t.Errorf("a load of errors gives %v", err)
	}
	if errw := d.take(d.errw); !strings.Contains(errw, "INVALID_SQL") {
		t.Errorf("%q", errw)
	}
	if err := d.app.PingLoop(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	d.app.out.Flush()
	if out := d.take(d.out); !strings.HasPrefix(out, "healthy from ") || !strings.Contains(out, "1 answers: fastest") && !strings.Contains(out, "1 answer: ") {
		t.Errorf("ping shows %s", out)
	}
	gone := newDesk(t, nil, func(o *Options) { o.Connection.Host = "http://127.0.0.1:1" })
	if err := gone.app.PingLoop(t.Context(), 3); !errors.Is(err, ExitStatus(ExitConnect)) {
		t.Errorf("no server gives %v", err)
	}
	if err := gone.app.Check(t.Context()); !errors.Is(err, ExitStatus(ExitConnect)) {
		t.Errorf("no server gives %v", err)
	}
	if errw := gone.take(gone.errw); strings.Count(errw, "cannot connect to http://127.0.0.1:1: ") != 2 {
		t.Errorf("%q", errw)
	}
}

// TestNames: what TAB offers comes from the server, also from one whose
// information_schema cannot be read.
func TestNames(t *testing.T) {
	for _, whole := range []bool{true, false} {
		d := newDesk(t, func(sql string) (int, string) {
			switch {
			case sql == "SHOW NAMESPACES":
				return 0, `{"results":[{"columns":["name"],"schema":[{"name":"name","type":"TEXT"}],"rows":[["app"],["empty"]]}]}`
			case sql == "SHOW TABLES":
				return 0, `{"results":[{"columns":["namespace","table_name"],"schema":[{"name":"namespace","type":"TEXT"},{"name":"table_name","type":"TEXT"}],"rows":[["app","messages"]]}]}`
			case whole:
				return 0, `{"results":[{"columns":["table_schema","table_name","column_name"],"schema":[{"name":"table_schema","type":"TEXT"},{"name":"table_name","type":"TEXT"},{"name":"column_name","type":"TEXT"}],"rows":[["app","messages","room"],["app","messages","id"]]}]}`
			}
			return 403, refusal("PERMISSION_DENIED", "")
		})
		d.app.readNames(t.Context(), d.app.client)
		c := completerOf(d.app)
		for line, want := range map[string]string{"USE ": "app empty", "SELECT * FROM ": "app.messages", "SELECT * FROM app.messages WHERE r": "room"} {
			if want == "room" && !whole {
				continue
			}
			_, got := c.Complete([]rune(line), len(line))
			var texts []string
			for _, cand := range got {
				texts = append(texts, cand.Text)
			}
			if !strings.HasPrefix(strings.Join(texts, " "), want) {
				t.Errorf("%q offers %v", line, texts)
			}
		}
	}
}
