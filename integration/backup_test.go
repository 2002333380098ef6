package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// backedUp is a row of the answers of BACKUP, RESTORE and SHOW BACKUP.
type backedUp struct {
	Namespace, Path                      string
	Tables, Rows, Files, Bytes, Sequence int64
	CreatedAt                            time.Time
}

// TestBackupMovesToAnotherServer backs a namespace up while it is written to,
// and restores it on another server, where it lives on.
func TestBackupMovesToAnotherServer(t *testing.T) {
	t.Parallel()
	a := newCellar(t, flushTable)
	bob := a.As(t, "bob", link.WithNamespace("app"))
	fill(t, a.ada, "messages", 1, 100)
	fill(t, bob, "messages", 1, 10)
	harness.Exec(t, a.admin, "FLUSH TABLE app.messages")
	harness.Exec(t, a.ada, "UPDATE messages SET content = 'new' WHERE id = 1")
	harness.Exec(t, a.ada, "DELETE FROM messages WHERE id = 2")

	// Somebody goes on writing: the backup has a beginning of it.
	written := make(chan int, 1)
	stop := make(chan struct{})
	go func() {
		n := 1000
		for ; ; n++ {
			select {
			case <-stop:
				written <- n
				return
			default:
			}
			if _, err := bob.Exec(harness.Context(t), fmt.Sprintf("INSERT INTO messages VALUES (%d, 'later')", n)); err != nil {
				t.Error(err)
			}
		}
	}()
	at := filepath.Join(t.TempDir(), "backup")
	made := harness.Query[backedUp](t, a.admin, "BACKUP DATABASE app TO '"+at+"'")
	close(stop)
	last := <-written
	if len(made) != 1 || made[0].Namespace != "app" || made[0].Tables != 1 || made[0].Rows < 109 || made[0].Files < 3 || made[0].Bytes == 0 || made[0].Path != at {
		t.Fatalf("BACKUP gives %+v", made)
	}
	if shown := harness.Query[backedUp](t, a.admin, "SHOW BACKUP '"+at+"'"); len(shown) != 1 || shown[0] != made[0] {
		t.Errorf("SHOW BACKUP gives %+v, BACKUP gave %+v", shown, made)
	}
	if _, err := a.ada.Exec(harness.Context(t), "BACKUP DATABASE app TO '"+at+"2'"); link.CodeOf(err) != link.CodePermissionDenied {
		t.Errorf("a user's BACKUP: %v", err)
	}

	b := harness.Start(t)
	admin, ada := b.Admin(t), b.As(t, "ada", link.WithNamespace("app"))
	back := harness.Query[backedUp](t, admin, "RESTORE DATABASE app FROM '"+at+"'")
	if len(back) != 1 || back[0] != made[0] {
		t.Errorf("RESTORE gives %+v, BACKUP gave %+v", back, made)
	}
	type sums struct{ N, Low, High, New, Seq int64 }
	const q = "SELECT count(*) AS n, min(id) AS low, max(id) AS high, count(*) FILTER (WHERE content = 'new') AS new, max(_seq) AS seq FROM messages"
	if got := harness.Query[sums](t, ada, q); got[0].N != 99 || got[0].Low != 1 || got[0].High != 100 || got[0].New != 1 || got[0].Seq > made[0].Sequence {
		t.Errorf("ada has %+v", got)
	}
	got := harness.Query[sums](t, b.As(t, "bob", link.WithNamespace("app")), q)[0]
	if later := got.N - 10; later < 0 || later > 0 && got.High != 1000+later-1 || got.High >= int64(last) || got.N+99 != made[0].Rows || got.Seq > made[0].Sequence {
		t.Errorf("bob has %+v of %d, the backup %+v", got, last, made[0])
	}

	// The table lives on: a live query hears of new rows, which are later than
	// all old ones.
	sub, err := ada.Subscribe(harness.Context(t), "SELECT * FROM messages WHERE id > 100")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	harness.Exec(t, ada, "INSERT INTO messages VALUES (101, 'after')")
	for event, err := range sub.Events(harness.Context(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind == link.EventInsert {
			if event.Seq <= uint64(made[0].Sequence) {
				t.Errorf("the change has the number %d", event.Seq)
			}
			break
		}
	}
	if got := harness.Query[sums](t, ada, q); got[0].N != 100 || got[0].Seq <= made[0].Sequence {
		t.Errorf("then ada has %+v", got)
	}
	if _, err := admin.Exec(harness.Context(t), "RESTORE DATABASE app FROM '"+at+"'"); link.CodeOf(err) != link.CodeAlreadyExists {
		t.Errorf("a second RESTORE: %v", err)
	}
}

// TestCheckAndInspectCommands runs both commands of the program on a server's
// data: beside the server, after it was killed, and with a damaged file.
func TestCheckAndInspectCommands(t *testing.T) {
	harness.NeedDurable(t)
	t.Parallel()
	c := newCellar(t, flushTable)
	fill(t, c.ada, "messages", 1, 100)
	harness.Exec(t, c.admin, "FLUSH TABLE app.messages")
	fill(t, c.ada, "messages", 101, 110)
	if out, code := c.Command("check"); code != 4 || !strings.Contains(out, "A server is using the data directory") {
		t.Errorf("check beside the server: %d %s", code, out)
	}
	if out, code := c.Command("inspect"); code != 0 || !strings.Contains(out, "app.messages") {
		t.Errorf("inspect beside the server: %d %s", code, out)
	}
	c.Kill()
	if out, code := c.Command("check"); code != 0 || !strings.Contains(out, "10 hot rows; 1 files of") || !strings.Contains(out, "no faults") {
		t.Errorf("check after a kill: %d %s", code, out)
	}
	files := segments(t, c.Server)
	if out, code := c.Command("inspect"); code != 0 || len(files) != 1 || !strings.Contains(out, files[0]) {
		t.Errorf("inspect after a kill: %d %s", code, out)
	}
	name := filepath.Join(c.Dir, "storage", filepath.FromSlash(files[0]))
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[100] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := c.Command("check"); code != 1 || !strings.Contains(out, "FAULT: table app.messages: file "+files[0]) {
		t.Errorf("check of a damaged file: %d %s", code, out)
	}
}
