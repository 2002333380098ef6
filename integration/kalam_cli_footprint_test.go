//go:build unix

package integration

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/integration/stress"
	"github.com/kalamdb/kalamdb/link"
)

var (
	cliRows   = flag.Int("cli.rows", 200_000, "how many rows kalam-cli streams when its memory is measured")
	cliStream = flag.Duration("cli.stream", 3*time.Second, "how long kalam-cli follows 1,000 updates a second when its memory is measured")
)

// maxResident is SC-CLI-009.
const maxResident = 50 << 20

// watchMemory looks at a process until stop, which gives the most resident
// memory that was seen. What the system keeps of an ended process is no use:
// it counts the memory of the process that started it.
func watchMemory(t testing.TB, pid int) (stop func() int64) {
	t.Helper()
	if _, ok := stress.ProcessMemory(pid); !ok {
		t.Skip("skipped: this system does not tell how much memory a process has")
	}
	end, most := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		var peak int64
		for {
			if m, ok := stress.ProcessMemory(pid); ok {
				peak = max(peak, int64(m.Resident))
			}
			select {
			case <-tick.C:
			case <-end:
				most <- peak
				return
			}
		}
	}()
	return func() int64 { close(end); return <-most }
}

// TestCliBinarySize is SC-CLI-008: the stripped program has at most 20 MB.
func TestCliBinarySize(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "kalam-cli")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./cli/cmd/kalam-cli")
	cmd.Dir = harness.Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fi, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB", float64(fi.Size())/1e6)
	if fi.Size() > 20e6 {
		t.Errorf("kalam-cli has %d bytes", fi.Size())
	}
}

// TestCliMemoryWhileStreamingRows is SC-CLI-009 with a result far larger than
// that; all of it arrives.
func TestCliMemoryWhileStreamingRows(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	for format, lines := range map[string]int{"table": *cliRows + 5, "csv": *cliRows + 1, "json": *cliRows + 2} {
		cmd := exec.Command(harness.ClientBinary(t), "-h", s.URL, "--format", format, "-e",
			fmt.Sprintf("SELECT g AS id, 'row number ' || g || ' of many' AS body, g * 1.5 AS n FROM generate_series(1, %d) AS t(g)", *cliRows))
		cmd.Env = []string{"HOME=" + t.TempDir()}
		var out counter
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		peak := watchMemory(t, cmd.Process.Pid)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		got := peak()
		t.Logf("%s: %d rows, %.1f MB written, %.1f MB resident", format, *cliRows, float64(out.bytes)/1e6, float64(got)/1e6)
		if out.lines < lines-1 || out.lines > lines {
			t.Errorf("%s: %d lines for %d rows", format, out.lines, *cliRows)
		}
		if got > maxResident {
			t.Errorf("%s: %d bytes resident", format, got)
		}
	}
}

// counter counts what is written to it.
type counter struct {
	mu           sync.Mutex // guards what follows
	bytes, lines int
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lines
}

func (c *counter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += len(b)
	c.lines += strings.Count(string(b), "\n")
	return len(b), nil
}

// TestCliMemoryWhileSubscribed is SC-CLI-005 and SC-CLI-009: a thousand updates
// a second are all shown, in bounded memory.
func TestCliMemoryWhileSubscribed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "CREATE USER TABLE ticks (id BIGINT PRIMARY KEY, n BIGINT, note TEXT)")
	harness.Exec(t, d.user, "INSERT INTO ticks SELECT g, 0, 'a note that makes the row a little longer' FROM generate_series(1, 100) AS t(g)")
	cmd := exec.Command(harness.ClientBinary(t), append(d.args, "--json", "-e", "SUBSCRIBE TO ticks")...)
	cmd.Env = []string{"HOME=" + t.TempDir()}
	var out counter
	cmd.Stdout = &out
	notices, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	peak := watchMemory(t, cmd.Process.Pid)
	if _, err := notices.Read(make([]byte, 200)); err != nil { // the ready line
		t.Fatal(err)
	}
	const each = 20 // rows of one UPDATE
	sent := 0
	tick := time.NewTicker(each * time.Millisecond)
	defer tick.Stop()
	behind := 0 // how many were not shown yet, at most, whenever a batch is due
	for begin := time.Now(); time.Since(begin) < *cliStream; <-tick.C {
		// A tick that comes late is made up for: it is a thousand a second.
		for due := int(time.Since(begin).Milliseconds()); sent < due; sent += each {
			from := sent % 100
			harness.Exec(t, d.user, "UPDATE ticks SET n = n + 1 WHERE id > $1 AND id <= $2", from, from+each)
		}
		behind = max(behind, sent-out.count())
	}
	await(t, "all changes at the client", func() bool { return out.count() >= sent })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	end, _ := io.ReadAll(notices)
	_ = cmd.Wait()
	got := peak()
	t.Logf("%d updates in %v, at most %d of them on their way, %.1f MB resident", sent, *cliStream, behind, float64(got)/1e6)
	if out.lines != sent || !strings.Contains(string(end), "Subscription ended") {
		t.Errorf("%d of %d changes were shown; %s", out.lines, sent, end)
	}
	if got > maxResident {
		t.Errorf("%d bytes resident", got)
	}
}

// TestCliTokenOfUnknownUser: What happens when JWT token is valid but user_id in
// token doesn't exist on server? The token is what says who somebody is, so it
// works; a user needs no row in system.users.
func TestCliTokenOfUnknownUser(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	c, err := link.Connect(harness.Context(t), d.server.URL, link.WithToken(harness.Token(t, "nobody-knows", "user")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	type who struct{ Who string }
	if got := harness.Query[who](t, c, "SELECT CURRENT_USER() AS who"); len(got) != 1 || got[0].Who != "nobody-knows" {
		t.Errorf("it is %+v", got)
	}
	type count struct{ N int64 }
	if got := harness.Query[count](t, d.server.Admin(t), "SELECT count(*) AS n FROM system.users WHERE user_id = 'nobody-knows'"); got[0].N != 0 {
		t.Errorf("asking made a user")
	}
}

// BenchmarkCliStart measures SC-CLI-001: from the start of the program to its
// prompt, beside a running server.
func BenchmarkCliStart(b *testing.B) {
	s := harness.Shared(b)
	home := b.TempDir()
	for b.Loop() {
		c := harness.StartClientAt(b, home, "-h", s.URL, "--color", "false")
		c.Expect(harness.Prompt)
		b.StopTimer()
		c.Type(harness.CtrlD)
		c.Wait()
		b.StartTimer()
	}
}

// BenchmarkCliBatch measures SC-CLI-007: a file of 100 statements, from the start
// of the program to its end.
func BenchmarkCliBatch(b *testing.B) {
	s := harness.Shared(b)
	home := b.TempDir()
	file := filepath.Join(home, "batch.sql")
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, "SELECT %d AS n, count(*) FROM system.users;\n", i)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if r := harness.RunClient(b, home, "", "-h", s.URL, "-f", file); r.Code != 0 {
			b.Fatalf("%+v", r)
		}
	}
}
