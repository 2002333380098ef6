package core

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/object/s3"
	"github.com/kalamdb/kalamdb/store/object/s3/s3test"
)

// weather is how the way to an S3 server is: sound, with requests that fail in
// between, or with none that is answered.
type weather struct {
	state, count, failed atomic.Int64
	stop                 chan struct{}
}

const (
	sound = iota
	rough
	silent
)

// spoils fails a request, or does not.
func (w *weather) spoils(out http.ResponseWriter, r *http.Request) bool {
	n := w.count.Add(1)
	switch w.state.Load() {
	case rough:
		switch {
		case n%9 == 1:
			w.failed.Add(1)
			out.WriteHeader(http.StatusServiceUnavailable)
			return true
		case n%9 == 4 && r.Method == http.MethodGet && r.Header.Get("Range") != "":
			// The answer breaks off in its middle.
			w.failed.Add(1)
			out.Header().Set("Content-Length", "1000000")
			out.WriteHeader(http.StatusPartialContent)
			_, _ = out.Write(make([]byte, 100))
			panic(http.ErrAbortHandler)
		case n%97 == 17:
			// No answer comes, so the client gives the request up.
			w.failed.Add(1)
			select {
			case <-r.Context().Done():
			case <-w.stop:
			}
			return true
		}
	case silent:
		w.failed.Add(1)
		select {
		case <-r.Context().Done():
		case <-w.stop:
		}
		return true
	}
	return false
}

// TestTablesInS3 runs tables whose files lie in a real S3 server, which is hard
// to reach: nothing that is asked of them differs from tables in a folder.
func TestTablesInS3(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a server")
	}
	t.Parallel()
	srv := s3test.Start(t)
	w := &weather{stop: make(chan struct{})}
	o := srv.Options(t, "cold")
	url := srv.Proxy(t, w.spoils)
	t.Cleanup(func() { close(w.stop); http.DefaultClient.CloseIdleConnections() })
	direct, err := s3.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	objects := func(prefix string) (names []string) {
		t.Helper()
		for i, err := range direct.List(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, i.Name)
		}
		return names
	}
	cfg := testConfig(config.BackendBadger, t.TempDir())
	d := openDB(t, cfg)
	d.must(admin, fmt.Sprintf(`CREATE NAMESPACE app; CREATE NAMESPACE local;
		CREATE STORAGE cloud TYPE s3 PATH 's3://cold/tables?endpoint=%s&timeout=300ms&retries=2' CREDENTIALS '{"access_key_id": "%s", "secret_access_key": "%s"}'`,
		url, o.AccessKey, o.SecretKey))
	for ns, storage := range map[string]string{"app": "cloud", "local": "local"} {
		d.must(admin, fmt.Sprintf("CREATE USER TABLE %s.t (id INT PRIMARY KEY, body TEXT, n INT) STORAGE %s; CREATE SHARED TABLE %[1]s.s (n INT) STORAGE %[2]s ACCESS open", ns, storage))
	}
	both := func(as, sql string) {
		t.Helper()
		d.must(as, strings.ReplaceAll(sql, "ns.", "local."))
		d.must(as, strings.ReplaceAll(sql, "ns.", "app."))
	}
	compare := func(when, ns string) {
		t.Helper()
		for _, q := range []string{
			"SELECT id, body, n FROM ns.t ORDER BY id", "SELECT count(*), sum(n) FROM ns.t WHERE n > 3", "SELECT body FROM ns.t WHERE id = 7",
			"SELECT id FROM ns.t WHERE id BETWEEN 10 AND 30 ORDER BY id DESC LIMIT 5", "SELECT count(*), sum(n) FROM ns.s",
		} {
			for _, as := range []string{"ann", "bob"} {
				want := d.rows(as, strings.ReplaceAll(q, "ns.", "local."))
				if got := d.rows(as, strings.ReplaceAll(q, "ns.", ns+".")); got != want {
					t.Errorf("%s: %s: %s\ngot:\n%s\nwant:\n%s", when, as, q, got, want)
				}
			}
		}
	}
	w.state.Store(rough)
	for round := range 2 {
		for i := range 25 {
			for _, as := range []string{"ann", "bob"} {
				both(as, fmt.Sprintf("INSERT INTO ns.t VALUES (%d, 'text %d', %d); INSERT INTO ns.s VALUES (%[1]d)", round*25+i, i, i%9))
			}
		}
		both("ann", fmt.Sprintf("UPDATE ns.t SET n = n + 1 WHERE id %% 4 = %d; DELETE FROM ns.t WHERE id %% 13 = %[1]d", round))
		d.must(admin, "FLUSH ALL TABLES")
		compare("flushed", "app")
	}
	d.fails("ann", "INSERT INTO app.t (id) VALUES (7)", dberr.UniqueViolation, "")
	d.must(admin, "COMPACT TABLE app.t; COMPACT TABLE local.t; COMPACT TABLE app.s")
	compare("merged", "app")
	d.must(admin, "BACKUP DATABASE app TO 'storage://cloud/backups/1'; RESTORE DATABASE app FROM 'storage://cloud/backups/1' AS copy")
	compare("restored", "copy")
	if n := w.failed.Load(); n < 5 {
		t.Errorf("only %d requests failed", n)
	}

	// Nobody answers: rows stay hot, cold ones cannot be read, the answer says
	// so; afterwards nothing is missing.
	both("ann", "INSERT INTO ns.t VALUES (1000, 'waits', 1)")
	if err := d.Close(t.Context()); err != nil { // what is known of the files is forgotten
		t.Fatal(err)
	}
	d = openDB(t, cfg)
	both("ann", "INSERT INTO ns.t VALUES (1001, 'waits', 1)")
	w.state.Store(silent)
	d.fails(admin, "FLUSH TABLE app.t", dberr.StorageUnavailable, "")
	d.fails("ann", "SELECT count(body) FROM app.t", dberr.StorageUnavailable, "")
	both("bob", "INSERT INTO ns.t VALUES (1002, 'goes on', 1)")
	w.state.Store(sound)
	d.must(admin, "FLUSH TABLE app.t")
	compare("after the silence", "app")

	d.must(admin, "DROP TABLE app.t; DROP NAMESPACE app CASCADE; DROP NAMESPACE copy CASCADE")
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d = openDB(t, cfg) // removes what could not be removed in the silence
	for end := time.Now().Add(hearing); ; runtime.Gosched() {
		left := objects("tables/")
		if len(left) > 0 {
			// The backup stays.
			kept := left[:0]
			for _, n := range left {
				if !strings.HasPrefix(n, "tables/backups/1/") {
					kept = append(kept, n)
				}
			}
			left = kept
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d objects are left: %v", len(left), left)
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.must(admin, "RESTORE DATABASE app FROM 'storage://cloud/backups/1'")
	if got := d.rows("bob", "SELECT count(*) FROM app.t"); got != "50" {
		t.Errorf("bob has %s", got)
	}
}
