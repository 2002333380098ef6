package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/object/objecttest"
	"github.com/kalamdb/kalamdb/store/object/s3"
	"github.com/kalamdb/kalamdb/store/object/s3/s3test"
)

func open(t *testing.T, o s3.Options) *s3.Bucket {
	t.Helper()
	b, err := s3.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBucket(t *testing.T) {
	srv := s3test.Start(t)
	n := 0
	objecttest.Run(t, func(t *testing.T) object.Bucket {
		n++
		o := srv.Options(t, fmt.Sprint("bucket-", n))
		o.PartSize = 5 << 20
		return open(t, o)
	})
}

func TestPrefix(t *testing.T) {
	srv := s3test.Start(t)
	n := 0
	objecttest.Run(t, func(t *testing.T) object.Bucket {
		n++
		o := srv.Options(t, "shared")
		o.Prefix = fmt.Sprint("data base/", n)
		return open(t, o)
	})
}

func TestRefusals(t *testing.T) {
	srv := s3test.Start(t)
	good := srv.Options(t, "bucket")
	tests := []struct {
		name   string
		change func(*s3.Options)
		want   string
	}{
		{"wrong secret", func(o *s3.Options) { o.SecretKey = "wrong-secret" }, "refuses access"},
		{"no credentials", func(o *s3.Options) { o.AccessKey, o.SecretKey = "", "" }, "refuses access"},
		{"no bucket", func(o *s3.Options) { o.Bucket = "not-there" }, "bucket not-there does not exist"},
		{"nobody listens", func(o *s3.Options) { o.Endpoint, o.Retries = "http://127.0.0.1:1", 1 }, "does not answer"},
	}
	for _, tt := range tests {
		o := good
		tt.change(&o)
		b := open(t, o)
		err := b.Probe(t.Context())
		if dberr.CodeOf(err) != dberr.StorageUnavailable || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && (strings.Contains(err.Error(), o.SecretKey) && o.SecretKey != "" || strings.Contains(err.Error(), "127.0.0.1")) {
			t.Errorf("%s: the message tells too much: %v", tt.name, err)
		}
	}
}

func TestRequestsThatFailInBetween(t *testing.T) {
	srv := s3test.Start(t)
	var count atomic.Int64
	o := srv.Options(t, "bucket")
	o.PartSize = 5 << 20
	o.Endpoint = srv.Proxy(t, func(w http.ResponseWriter, r *http.Request) bool {
		switch n := count.Add(1); {
		case n%5 == 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case n%5 == 4 && r.Method == http.MethodGet && r.Header.Get("Range") != "":
			// The answer breaks off in its middle.
			w.Header().Set("Content-Length", "1000000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(make([]byte, 100))
			panic(http.ErrAbortHandler)
		}
		return false
	})
	b := open(t, o)
	data := strings.Repeat("0123456789abcdef", 800_000)
	if err := object.Put(t.Context(), b, "x", []byte(data), object.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	h, err := b.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 1_000_000)
	for off := 0; off+len(p) <= len(data); off += len(p) {
		if err := h.ReadAt(t.Context(), p, int64(off)); err != nil || string(p) != data[off:off+len(p)] {
			t.Fatalf("from %d: %v", off, err)
		}
	}
	if err := b.Delete(t.Context(), "x"); err != nil {
		t.Error(err)
	}
}

func TestAServerThatHangsIsGivenUp(t *testing.T) {
	srv := s3test.Start(t)
	var hang atomic.Bool
	stop := make(chan struct{})
	o := srv.Options(t, "bucket")
	o.Timeout, o.Retries = 500*time.Millisecond, 1
	o.Endpoint = srv.Proxy(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if hang.Load() {
			select {
			case <-r.Context().Done():
			case <-stop:
			}
			return true
		}
		return false
	})
	t.Cleanup(func() { close(stop) })
	b := open(t, o)
	if err := object.Put(t.Context(), open(t, srv.Options(t, "bucket")), "x", []byte("x"), object.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	h, err := b.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	hang.Store(true)
	_, serr := b.Stat(t.Context(), "x")
	for what, err := range map[string]error{
		"stat": serr, "read": h.ReadAt(t.Context(), make([]byte, 1), 0), "delete": b.Delete(t.Context(), "x"),
		"write": object.Put(t.Context(), b, "y", nil, object.CreateOptions{}),
	} {
		if dberr.CodeOf(err) != dberr.StorageUnavailable || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.ReadAt(ctx, make([]byte, 1), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled read: %v", err)
	}
}

func TestParseOptions(t *testing.T) {
	o, err := s3.ParseOptions("s3://bucket/a/b/?endpoint=http://127.0.0.1:9000&region=eu-west-1&style=virtual&timeout=2s&retries=5",
		`{"access_key_id": "k", "secret_access_key": "s", "session_token": "t"}`)
	want := s3.Options{Endpoint: "http://127.0.0.1:9000", Region: "eu-west-1", Bucket: "bucket", Prefix: "a/b",
		AccessKey: "k", SecretKey: "s", SessionToken: "t", VirtualHost: true, Timeout: 2 * time.Second, Retries: 5}
	if err != nil || o != want {
		t.Errorf("got %+v, %v", o, err)
	}
	if o, err = s3.ParseOptions("s3://bucket", ""); err != nil || o != (s3.Options{Bucket: "bucket"}) {
		t.Errorf("got %+v, %v", o, err)
	}
	const creds = `{"access_key_id": "k", "secret_access_key": "topsecret"}`
	bad := []struct{ name, path, creds string }{
		{"another scheme", "http://bucket", creds},
		{"no bucket", "s3:///x", creds},
		{"secrets in the path", "s3://k:topsecret@bucket/x", creds},
		{"a parent", "s3://bucket/../x", creds},
		{"unknown parameter", "s3://bucket?x=1", creds},
		{"unknown style", "s3://bucket?style=x", creds},
		{"no timeout", "s3://bucket?timeout=soon", creds},
		{"a timeout of nothing", "s3://bucket?timeout=1ns", creds},
		{"negative retries", "s3://bucket?retries=-1", creds},
		{"endpoint without scheme", "s3://bucket?endpoint=host", creds},
		{"endpoint with path", "s3://bucket?endpoint=http://host/x", creds},
		{"no JSON", "s3://bucket", "topsecret"},
		{"unknown key", "s3://bucket", `{"secret": "topsecret"}`},
		{"more behind it", "s3://bucket", creds + creds},
		{"half a pair", "s3://bucket", `{"secret_access_key": "topsecret"}`},
	}
	for _, tt := range bad {
		_, err := s3.ParseOptions(tt.path, tt.creds)
		if c := dberr.CodeOf(err); c != dberr.InvalidSQL && c != dberr.InvalidJSON {
			t.Errorf("%s: %v", tt.name, err)
		} else if strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: the message holds the secret", tt.name)
		}
	}
}
