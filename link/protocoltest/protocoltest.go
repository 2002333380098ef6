// Package protocoltest reads the conversations of testdata/protocol, which say
// by example what a client and a server of KalamDB tell each other. A client is
// tested against the server's lines, a server against the client's; both pass
// the same files, and so fit each other.
//
// A line is JSON. A string that begins with $ is a variable: the first time it
// stands for whatever is there, later for the same again; "$_" is anything,
// each time.
package protocoltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Conversation is one file.
type Conversation struct {
	// Name is the file's, without .json.
	Name string `json:"-"`
	// About says what it shows.
	About string `json:"about"`
	// Prepare is SQL that an administrator runs before, in the namespace $ns.
	Prepare string `json:"prepare"`
	Steps   []Step `json:"steps"`
}

// Step is one thing that happens; exactly one of its fields is set.
type Step struct {
	// SQL is run by the same user elsewhere.
	SQL string `json:"sql"`
	// Call is what the program asks of its client.
	Call *Call `json:"call"`
	// Client and Server are messages over the WebSocket.
	Client json.RawMessage `json:"client"`
	Server json.RawMessage `json:"server"`
	// Cut breaks the WebSocket connection; the client makes another.
	Cut bool `json:"cut"`
	// Event is what the client tells the program next.
	Event json.RawMessage `json:"event"`
	// Request and Response are an exchange over HTTP.
	Request  *Request  `json:"request"`
	Response *Response `json:"response"`
	// Results and Error are what the call gives the program; after an exchange
	// that fails in the middle, both.
	Results json.RawMessage `json:"results"`
	Error   json.RawMessage `json:"error"`
}

// Call is a call of the client.
type Call struct {
	// Do is "batch" or "subscribe".
	Do       string            `json:"do"`
	SQL      string            `json:"sql"`
	Params   []json.RawMessage `json:"params"`
	LastRows *int              `json:"last_rows"`
	OnSlow   string            `json:"on_slow"`
}

// Request is an HTTP request.
type Request struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// Response is an HTTP answer.
type Response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// Load reads all conversations of a folder, which must have some.
func Load(dir string) ([]Conversation, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no conversations in %s: %v", dir, err)
	}
	var all []Conversation
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		c := Conversation{Name: strings.TrimSuffix(filepath.Base(f), ".json")}
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// Variables are what the variables of a conversation stand for.
type Variables map[string]any

// decode keeps the digits of numbers.
func decode(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// Match holds JSON against a line and learns the variables that are new.
func (vs Variables) Match(line, got []byte) error {
	want, err := decode(line)
	if err != nil {
		return fmt.Errorf("the line %s: %w", line, err)
	}
	have, err := decode(got)
	if err != nil {
		return fmt.Errorf("got %s: %w", got, err)
	}
	if err := vs.match("", want, have); err != nil {
		return fmt.Errorf("%w\ngot  %s\nwant %s", err, got, line)
	}
	return nil
}

func (vs Variables) match(at string, want, have any) error {
	if name, ok := want.(string); ok && strings.HasPrefix(name, "$") {
		known, ok := vs[name]
		switch {
		case name == "$_":
			return nil
		case !ok:
			vs[name] = have
			return nil
		}
		want = known
	}
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			break
		}
		for _, k := range slices.Sorted(maps.Keys(w)) {
			v, ok := h[k]
			if !ok {
				return fmt.Errorf("%s has no %q", place(at), k)
			}
			if err := vs.match(at+"."+k, w[k], v); err != nil {
				return err
			}
		}
		for k := range h {
			if _, ok := w[k]; !ok {
				return fmt.Errorf("%s has %q", place(at), k)
			}
		}
		return nil
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(w) {
			break
		}
		for i := range w {
			if err := vs.match(fmt.Sprintf("%s[%d]", at, i), w[i], h[i]); err != nil {
				return err
			}
		}
		return nil
	default:
		if want == have {
			return nil
		}
	}
	return fmt.Errorf("%s is %v, not %v", place(at), have, want)
}

func place(at string) string {
	if at == "" {
		return "the message"
	}
	return at[1:]
}

// Fill makes a message of a line. A variable that is not known yet gets a value
// by its name: $seq… a number larger than those before, $time… a time, others a
// text.
func (vs Variables) Fill(line []byte) ([]byte, error) {
	v, err := decode(line)
	if err != nil {
		return nil, err
	}
	return json.Marshal(vs.fill(v))
}

func (vs Variables) fill(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = vs.fill(x[k])
		}
	case []any:
		for i := range x {
			x[i] = vs.fill(x[i])
		}
	case string:
		if !strings.HasPrefix(x, "$") {
			return x
		}
		if _, ok := vs[x]; !ok || x == "$_" {
			vs[x] = vs.make(x)
		}
		return vs[x]
	}
	return v
}

func (vs Variables) make(name string) any {
	switch {
	case strings.HasPrefix(name, "$seq"):
		n := 4711
		for k := range vs {
			if strings.HasPrefix(k, "$seq") {
				n++
			}
		}
		return json.Number(fmt.Sprint(n))
	case strings.HasPrefix(name, "$time"):
		return "2025-10-21T10:00:00.000001Z"
	case name == "$ms":
		return json.Number("0.25")
	}
	return strings.TrimPrefix(name, "$")
}
