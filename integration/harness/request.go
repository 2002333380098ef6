package harness

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// Answer is what the server answered to a request, as it came.
type Answer struct {
	wire.SQLResponse
	// HTTPStatus and Header are those of the HTTP answer.
	HTTPStatus int
	Header     http.Header
	Body       string
}

// Row decodes a row of a result.
func (a *Answer) Row(t testing.TB, result, row int) map[string]any {
	t.Helper()
	if result >= len(a.Results) || row >= len(a.Results[result].Rows) {
		t.Fatalf("there is no row %d of result %d in %s", row, result, a.Body)
	}
	d := json.NewDecoder(bytes.NewReader(a.Results[result].Rows[row]))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		t.Fatalf("row %s: %v", a.Results[result].Rows[row], err)
	}
	return out
}

// Post sends a body to the SQL endpoint; headers are name and value in turn.
func (s *Server) Post(t testing.TB, body any, headers ...string) *Answer {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return s.Send(t, wire.PathSQL, string(raw), headers...)
}

// Send posts a body that need not be JSON to any path. The answer must be.
func (s *Server) Send(t testing.TB, path, body string, headers ...string) *Answer {
	t.Helper()
	req, err := http.NewRequestWithContext(Context(t), http.MethodPost, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := &Answer{HTTPStatus: resp.StatusCode, Header: resp.Header, Body: string(text)}
	if err := json.Unmarshal(text, &a.SQLResponse); err != nil {
		t.Fatalf("the answer %s is no JSON: %v", text, err)
	}
	return a
}
