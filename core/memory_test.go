package core

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/store/vector"
)

// holder is a sink that keeps a query where its first batch is, as a client does
// who does not read.
type holder struct {
	nowhere
	turn           slot.Turn
	reached, leave chan struct{}
}

func (h *holder) Batch(b *vector.Batch) error {
	if h.rows == 0 {
		close(h.reached)
		h.turn.Lend()
		<-h.leave
		h.turn.BackInTurn()
	}
	return h.nowhere.Batch(b)
}

// sortOf holds about 60 bytes a row while its result is read.
const sortOf = "SELECT g FROM generate_series(1, 100000) AS s(g) ORDER BY g DESC"

// TestTotalMemory runs queries that are below their own limit and together
// above the server's.
func TestTotalMemory(t *testing.T) {
	cfg := testConfig(config.BackendMemory, "")
	cfg.Query.MemoryLimit, cfg.Query.TotalMemoryLimit = 12*config.MiB, 16*config.MiB
	d := openDB(t, cfg)
	var held []*holder
	ended := make(chan error)
	var last error
	for range 100 { // far more than there is room for
		h := &holder{reached: make(chan struct{}), leave: make(chan struct{})}
		failed := make(chan error, 1)
		go func() {
			err := d.session(who("ann")).Execute(t.Context(), Request{SQL: sortOf, Turn: &h.turn}, h)
			failed <- err
			if h.rows > 0 {
				ended <- err
			}
		}()
		select {
		case <-h.reached:
			held = append(held, h)
			continue
		case last = <-failed:
		}
		break
	}
	if dberr.CodeOf(last) != dberr.ResourceExhausted || !strings.Contains(last.Error(), "all the memory") {
		t.Fatalf("%d queries run beside each other; then: %v", len(held), last)
	}
	if st := d.Stats().Memory; len(held) == 0 || st.Used == 0 || st.Used > st.Limit || st.Refused == 0 {
		t.Errorf("%d queries, %+v", len(held), st)
	}
	// What needs no memory to speak of runs meanwhile.
	d.must(admin, "SELECT 1")
	for _, h := range held {
		close(h.leave)
	}
	for range held {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	d.must("ann", "SELECT count(*) FROM ("+sortOf+") x")
	if st := d.Stats().Memory; st.Used != 0 {
		t.Errorf("%d bytes are still taken", st.Used)
	}
}

// stumble is a sink whose first batch fails.
type stumble struct{ nowhere }

var errStumbled = errors.New("stumbled")

func (*stumble) Batch(*vector.Batch) error { return errStumbled }

// TestMemoryIsGivenBack ends statements in every way there is.
func TestMemoryIsGivenBack(t *testing.T) {
	cfg := testConfig(config.BackendMemory, "")
	cfg.Query.MemoryLimit = 4 * config.MiB
	d := openDB(t, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, v INT)")
	long := "INSERT INTO app.t VALUES (1, 1)" + strings.Repeat(", (1, 1)", longText/8) + " ON CONFLICT DO NOTHING"
	for _, text := range []string{
		"INSERT INTO app.t SELECT g, g % 7 FROM generate_series(1, 20000) AS s(g)",
		"INSERT INTO app.t SELECT g, 1 FROM generate_series(1, 20000) AS s(g)", // the keys are there
		"UPDATE app.t SET v = v + 1 RETURNING id",
		"DELETE FROM app.t WHERE v / (id - 77) > 5",
		"SELECT v, count(*) FROM app.t GROUP BY v",
		"SELECT id FROM app.t ORDER BY v LIMIT 3",
		"SELECT DISTINCT id FROM app.t",
		"SELECT a.id FROM app.t a JOIN app.t b ON a.id = b.id + 1",
		"SELECT id, (SELECT count(*) FROM app.t b WHERE b.v = a.v) FROM app.t a WHERE id < 30",
		"SELECT id, ARRAY(SELECT b.id FROM app.t b WHERE b.v = a.v) FROM app.t a WHERE id < 5",
		"WITH x AS MATERIALIZED (SELECT id FROM app.t) SELECT count(*) FROM x a JOIN x b ON a.id = b.id",
		"SELECT sum(id) OVER (PARTITION BY v ORDER BY id) FROM app.t",
		"SELECT id FROM app.t UNION SELECT v FROM app.t",
		"SELECT 1 / (id - 5000) FROM app.t ORDER BY id",
		"EXPLAIN ANALYZE SELECT id FROM app.t ORDER BY v",
		"SELECT g FROM generate_series(1, 1000000) AS s(g) ORDER BY g", // above its limit
		sortOf,
		long,
		"DELETE FROM app.t",
	} {
		s := d.session(who("ann"))
		_ = s.Execute(t.Context(), Request{SQL: text}, new(nowhere))
		_ = s.Execute(t.Context(), Request{SQL: text}, new(stumble))
		ctx, cancel := context.WithCancel(t.Context())
		_ = s.Execute(ctx, Request{SQL: text}, &during{stop: cancel})
		cancel()
		if st := d.Stats().Memory; st.Used != 0 {
			t.Fatalf("%d bytes are taken after %.100s", st.Used, text)
		}
	}
}

// during is a sink that cancels the request as soon as there are rows.
type during struct {
	nowhere
	stop func()
}

func (s *during) Begin([]sql.ResultColumn) error {
	s.stop()
	return nil
}

// TestLongTextIsAccounted sends a text that is too long for what is left.
func TestLongTextIsAccounted(t *testing.T) {
	cfg := testConfig(config.BackendMemory, "")
	cfg.Query.MemoryLimit, cfg.Query.TotalMemoryLimit = config.MiB, config.MiB
	d := openDB(t, cfg)
	text := "SELECT '" + strings.Repeat("x", longText) + "'"
	if _, err := d.exec(admin, text); dberr.CodeOf(err) != dberr.ResourceExhausted {
		t.Error(err)
	}
	d.must(admin, "SELECT 'x'")
	if st := d.Stats().Memory; st.Used != 0 || st.Refused != 1 {
		t.Errorf("%+v", st)
	}
}

func TestMemoryUnder(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"not Linux":           {nil, assumedMemory},
		"a machine":           {map[string]string{"proc/meminfo": "MemTotal:       16384 kB\nMemFree: 1 kB\n"}, 16 << 20},
		"a container":         {map[string]string{"proc/meminfo": "MemTotal: 16384 kB\n", "sys/fs/cgroup/memory.max": "1048576\n"}, 1 << 20},
		"no limit":            {map[string]string{"proc/meminfo": "MemTotal: 16384 kB\n", "sys/fs/cgroup/memory.max": "max\n"}, 16 << 20},
		"an old kernel":       {map[string]string{"proc/meminfo": "MemTotal: 16384 kB\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "2097152"}, 2 << 20},
		"more than there is":  {map[string]string{"proc/meminfo": "MemTotal: 16384 kB\n", "sys/fs/cgroup/memory.max": "9223372036854771712\n"}, 16 << 20},
		"what makes no sense": {map[string]string{"proc/meminfo": "MemTotal: many kB\n", "sys/fs/cgroup/memory.max": "-1"}, assumedMemory},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := memoryUnder(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
