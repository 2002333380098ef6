package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/wire"
)

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// BenchmarkHandler is what the server does for a point query between reading
// the head of a request and sending the answer, without a connection.
func BenchmarkHandler(b *testing.B) {
	c := testConfig(b)
	c.Store.Backend = config.BackendBadger
	s := start(b, c)
	exec(b, s, schema)
	exec(b, s, "INSERT INTO app.notes VALUES (1, 'a', 'one')")
	for _, bc := range []struct{ name, path, body string }{
		{"health", wire.PathHealth, ""},
		{"constant", wire.PathSQL, `{"sql":"SELECT 1"}`},
		{"point-query", wire.PathSQL, `{"sql":"SELECT * FROM app.notes WHERE id = $1","params":[1]}`},
	} {
		b.Run(bc.name, func(b *testing.B) {
			r := httptest.NewRequest("POST", bc.path, nil)
			if bc.body == "" {
				r.Method = "GET"
			}
			r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:40000"
			r.Header.Set("Content-Type", "application/json")
			r.ContentLength = int64(len(bc.body))
			body := strings.NewReader(bc.body)
			w := discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				body.Reset(bc.body)
				r.Body = io.NopCloser(body)
				s.handler.ServeHTTP(w, r)
			}
		})
	}
}
