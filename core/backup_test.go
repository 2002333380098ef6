package core

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/backup"
	"github.com/kalamdb/kalamdb/core/table"
)

// fillNamespace makes a namespace with a bit of everything: rows of both tiers, deleted
// ones, several schema versions, a table without a key, a view, a storage.
func (d *db) fillNamespace(attic string) {
	d.Helper()
	d.must(admin, fmt.Sprintf(`CREATE NAMESPACE app; ALTER NAMESPACE app SET OPTIONS (owner = 'ann'); CREATE STORAGE attic TYPE filesystem PATH '%s';
		CREATE USER TABLE app.notes (id INT PRIMARY KEY, body TEXT DEFAULT 'none', gone INT) FLUSH INTERVAL 1h ROW_THRESHOLD 77;
		CREATE SHARED TABLE app.words (w TEXT) STORAGE attic ACCESS open;
		CREATE STREAM TABLE app.events (n INT) TTL 1h; CREATE SHARED TABLE app.empty (n INT)`, attic))
	d.must("ann", "INSERT INTO app.notes (id, gone) VALUES (1, 1), (2, 2), (3, 3); DELETE FROM app.notes WHERE id = 3; INSERT INTO app.words VALUES ('x'), ('y')")
	d.must("Bob@example.org", "INSERT INTO app.notes (id, body) VALUES (1, 'bob''s')")
	d.must(admin, "FLUSH ALL TABLES; ALTER TABLE app.notes ADD COLUMN late TEXT DEFAULT 'early'; ALTER TABLE app.notes DROP COLUMN gone; ALTER TABLE app.notes RENAME COLUMN body TO text")
	d.must("ann", "INSERT INTO app.notes (id, text, late) VALUES (4, 'hot', 'late'); UPDATE app.notes SET text = 'changed' WHERE id = 1; INSERT INTO app.words VALUES ('z')")
	d.must("cid", "INSERT INTO app.notes (id) VALUES (9); INSERT INTO app.events VALUES (1)")
	d.must(admin, "CREATE VIEW app.all_words AS SELECT app.words.w, n.id FROM app.words, app.notes n WHERE w > 'a'")
}

// contents is what everybody sees of a namespace.
func (d *db) contents(ns string) string {
	d.Helper()
	var out []string
	for _, q := range []string{
		"SELECT id, text, late, _seq, _updated, _deleted FROM app.notes WHERE _deleted OR NOT _deleted ORDER BY id",
		"SELECT count(*) FROM app.notes",
		"SELECT w, _seq FROM app.words ORDER BY w",
		"SELECT * FROM app.all_words ORDER BY 1, 2",
		"SELECT * FROM app.notes WHERE id = 1",
		"SELECT * FROM app.empty",
		"DESCRIBE app.notes",
	} {
		for _, user := range []string{"ann", "Bob@example.org", "cid", "nobody"} {
			out = append(out, q+"\n"+d.rows(user, strings.ReplaceAll(q, "app.", ns+".")))
		}
	}
	for _, q := range []string{
		"SELECT table_name, table_type, flush_policy, schema_version, access, created_at FROM system.tables WHERE namespace = 'app' ORDER BY 1",
		"SELECT table_name, version, changes, created_at FROM system.table_schemas WHERE namespace = 'app' ORDER BY 1, 2",
		"SELECT options, table_count, created_at FROM system.namespaces WHERE namespace_id = 'app'",
	} {
		out = append(out, q+"\n"+d.rows(admin, strings.ReplaceAll(q, "'app'", "'"+ns+"'")))
	}
	return strings.Join(out, "\n")
}

func TestBackupAndRestore(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		attic, at := t.TempDir(), filepath.Join(t.TempDir(), "deep", "backup")
		d.fillNamespace(attic)
		want := d.contents("app")
		a := d.must(admin, fmt.Sprintf("BACKUP DATABASE app TO '%s'", at))[0]
		if got := strings.Join(a.cols, ","); got != "namespace,tables,rows,files,bytes,sequence,created_at,path" {
			t.Errorf("columns are %s", got)
		}
		if f := strings.Split(a.rows[0], "|"); f[0] != "app" || f[1] != "4" || f[2] != "8" || f[7] != at {
			t.Errorf("answered %s", a.rows[0])
		}
		if !strings.HasPrefix(a.message, "Namespace app backed up to '"+at+"': 4 tables, 8 rows, ") {
			t.Errorf("the message is %s", a.message)
		}
		shown := d.must(admin, fmt.Sprintf("SHOW BACKUP '%s'", at))[0]
		if strings.Join(shown.rows, "\n") != strings.Join(a.rows, "\n") {
			t.Errorf("SHOW BACKUP gives %s, BACKUP gave %s", shown.rows, a.rows)
		}
		if got := d.rows(admin, "SHOW BACKUP FOR DATABASE app"); got != a.rows[0] {
			t.Errorf("SHOW BACKUP FOR gives %s", got)
		}
		// What comes later is not in it.
		d.must("ann", "INSERT INTO app.notes (id) VALUES (100); DELETE FROM app.notes WHERE id = 2; INSERT INTO app.words VALUES ('zz')")
		last := d.rows("ann", "SELECT max(_seq) FROM app.notes")

		b := d.must(admin, fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS copy", at))[0]
		if f := strings.Split(b.rows[0], "|"); f[0] != "copy" || strings.Join(f[1:], "|") != strings.Join(strings.Split(a.rows[0], "|")[1:], "|") {
			t.Errorf("restored %s of %s", b.rows[0], a.rows[0])
		}
		if got := d.contents("copy"); got != want {
			t.Errorf("the copy has\n%s\nwant\n%s", got, want)
		}
		if got := d.rows(admin, "SELECT storage_id FROM system.tables WHERE namespace = 'copy' AND table_name = 'words'"); got != "attic" {
			t.Errorf("the words are in %s", got)
		}
		// The copy lives: keys are unique, numbers go on, files come and go.
		d.fails("ann", "INSERT INTO copy.notes (id) VALUES (4)", dberr.UniqueViolation, "")
		d.must("ann", "INSERT INTO copy.notes (id) VALUES (100); UPDATE copy.notes SET text = 'u' WHERE id = 2; INSERT INTO copy.words VALUES ('new')")
		if got := d.rows("ann", "SELECT min(_seq) > "+last+" FROM copy.notes WHERE id IN (100, 2)"); got != "t" {
			t.Error("sequence numbers do not go on")
		}
		d.must(admin, "FLUSH ALL TABLES IN copy; COMPACT TABLE copy.notes; ALTER TABLE copy.notes ADD COLUMN gone INT")
		if got := d.rows("ann", "SELECT id, text, gone FROM copy.notes ORDER BY id"); got != "1|changed|NULL\n2|u|NULL\n4|hot|NULL\n100|none|NULL" {
			t.Errorf("ann has\n%s", got)
		}
		if got := d.rows(admin, "SELECT count(*), count(DISTINCT w) FROM copy.words"); got != "4|4" {
			t.Errorf("%s words", got)
		}
		// Its own name is free once the namespace is gone.
		d.fails(admin, fmt.Sprintf("RESTORE DATABASE app FROM '%s'", at), dberr.AlreadyExists, "Namespace 'app' already exists")
		d.must(admin, "DROP NAMESPACE app CASCADE; DROP NAMESPACE copy CASCADE")
		d.must(admin, fmt.Sprintf("RESTORE DATABASE app FROM '%s'", at))
		if got := d.contents("app"); got != want {
			t.Errorf("restored is\n%s\nwant\n%s", got, want)
		}
		if got := d.rows(admin, "SHOW TABLE STATS app.notes"); !strings.HasPrefix(got, "app|notes|0|5|5|") {
			t.Errorf("statistics are %s", got)
		}
		if got := d.rows(admin, "SELECT job_type, status, namespace, parameters FROM system.jobs WHERE job_type <> 'flush' AND job_type <> 'compact' ORDER BY job_id"); got !=
			fmt.Sprintf(`backup|completed|app|["app","%[1]s"]`+"\n"+`restore|completed|app|["app","%[1]s","copy"]`+"\n"+`restore|completed|app|["app","%[1]s"]`, at) {
			t.Errorf("jobs are\n%s", got)
		}
	})
}

// TestRestoreElsewhere restores into another database, by way of a storage, and
// opens it again.
func TestRestoreElsewhere(t *testing.T) {
	shelf := t.TempDir()
	a := openDB(t, testConfig(config.BackendBadger, t.TempDir()))
	a.fillNamespace(t.TempDir())
	want := a.contents("app")
	a.must(admin, fmt.Sprintf("CREATE STORAGE shelf TYPE filesystem PATH '%s'; BACKUP DATABASE app TO 'storage://shelf/daily/1'", shelf))
	if got := a.rows(admin, fmt.Sprintf("SHOW BACKUP '%s'", filepath.Join(shelf, "daily", "1"))); !strings.HasPrefix(got, "app|4|8|") {
		t.Errorf("as a folder it is %s", got)
	}
	seq := a.rows("ann", "SELECT max(_seq) FROM app.notes")

	cfg := testConfig(config.BackendBadger, t.TempDir())
	b := openDB(t, cfg)
	m := b.must(admin, fmt.Sprintf("RESTORE DATABASE app FROM 'file://%s'", filepath.ToSlash(filepath.Join(shelf, "daily", "1"))))[0].message
	if !strings.HasSuffix(m, "; 1 table had a storage that does not exist here, and went to 'local': words") {
		t.Errorf("the message is %s", m)
	}
	check := func() {
		t.Helper()
		if got := b.contents("app"); got != want {
			t.Errorf("restored is\n%s\nwant\n%s", got, want)
		}
		if got, want := len(parquet(t, cfg.Data.Dir)), b.listed("app", "notes")+b.listed("app", "words"); got != want {
			t.Errorf("%d files, %d are listed", got, want)
		}
	}
	check()
	// A client of the other server, which has gone on meanwhile, is not told
	// half of what it has missed.
	from, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	from += 1000
	for _, table := range []string{"notes", "events"} {
		_, err = b.session(who("ann")).Subscribe(t.Context(), SubscribeRequest{SQL: "SELECT * FROM app." + table, FromSeq: &from})
		if dberr.CodeOf(err) != dberr.ResyncRequired {
			t.Errorf("resuming: %v", err)
		}
	}
	b.must("ann", "INSERT INTO app.notes (id) VALUES (50)")
	if got := b.rows("ann", fmt.Sprintf("SELECT _seq > %d FROM app.notes WHERE id = 50", from)); got != "t" {
		t.Error("numbers are given again")
	}
	b.must("ann", "DELETE FROM app.notes WHERE id = 50")
	want = b.contents("app")
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b = openDB(t, cfg)
	check()
}

func (d *db) listed(ns, table string) int {
	d.Helper()
	n, err := strconv.Atoi(strings.Split(d.rows(admin, "SHOW TABLE STATS "+ns+"."+table), "|")[6])
	if err != nil {
		d.Fatal(err)
	}
	return n
}

// TestBackupBesideWriters takes backups while rows are written, moved, merged
// and changed: each of them is one state of all tables.
func TestBackupBesideWriters(t *testing.T) {
	d := openDB(t, testConfig(config.BackendBadger, t.TempDir()))
	d.must(admin, "CREATE NAMESPACE app; CREATE SHARED TABLE app.accounts (id INT PRIMARY KEY, n INT) ACCESS open; CREATE USER TABLE app.log (id INT PRIMARY KEY)")
	for i := range 20 {
		d.must(admin, fmt.Sprintf("INSERT INTO app.accounts VALUES (%d, 100)", i))
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var logged [3]atomic.Int64
	for w := range 3 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 7))
			for i := int64(1); ctx.Err() == nil; i++ {
				from, to := r.IntN(20), r.IntN(20)
				if from != to {
					d.must("ann", fmt.Sprintf("UPDATE app.accounts SET n = CASE WHEN id = %d THEN n - 1 ELSE n + 1 END WHERE id IN (%[1]d, %d)", from, to))
				}
				d.must(fmt.Sprint("user", w), fmt.Sprintf("INSERT INTO app.log VALUES (%d)", i))
				logged[w].Store(i)
			}
		})
	}
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			d.must(admin, "FLUSH ALL TABLES")
			if i%3 == 2 {
				d.must(admin, "COMPACT TABLE app.log; COMPACT TABLE app.accounts")
			}
		}
	})
	for i := range 5 {
		var before [3]int64
		for w := range before {
			before[w] = logged[w].Load()
		}
		at, as := filepath.Join(t.TempDir(), "b"), fmt.Sprint("copy", i)
		a := d.must(admin, fmt.Sprintf("BACKUP DATABASE app TO '%s'", at))[0]
		d.must(admin, fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS %s", at, as))
		if got := d.rows(admin, fmt.Sprintf("SELECT count(*), sum(n) FROM %s.accounts", as)); got != "20|2000" {
			t.Errorf("accounts are %s", got)
		}
		total := int64(20)
		for w := range before {
			got := d.rows(fmt.Sprint("user", w), fmt.Sprintf("SELECT count(*), max(id) FROM %s.log", as))
			n, last, _ := strings.Cut(got, "|")
			count, err := strconv.ParseInt(n, 10, 64)
			if err != nil || n != last && count > 0 || count < before[w] {
				t.Errorf("user%d has %s, wrote %d before", w, got, before[w])
			}
			total += count
		}
		if got := strings.Split(a.rows[0], "|")[2]; got != fmt.Sprint(total) {
			t.Errorf("the backup says %s rows, has %d", got, total)
		}
		seq := strings.Split(a.rows[0], "|")[5]
		if got := d.rows(admin, fmt.Sprintf("SELECT max(_seq) <= %s FROM %s.accounts", seq, as)); got != "t" {
			t.Errorf("there is a change after %s", seq)
		}
		if got, want := d.rows(admin, fmt.Sprintf("SHOW TABLE STATS %s.log", as)), fmt.Sprintf("%s|log|0|%d|", as, total-20); !strings.HasPrefix(got, want) {
			t.Errorf("statistics are %s, want %s", got, want)
		}
	}
	stop()
	wg.Wait()
}

// TestDamagedBackups damages each file of a backup: nothing is restored, and
// the answer names what is damaged.
func TestDamagedBackups(t *testing.T) {
	d := openDB(t, testConfig(config.BackendBadger, t.TempDir()))
	d.fillNamespace(t.TempDir())
	at := t.TempDir()
	d.must(admin, fmt.Sprintf("BACKUP DATABASE app TO '%s'", at))
	files := func() (n int) { return len(parquet(t, filepath.Join(d.cfg.Data.Dir, "storage"))) }
	had := files()
	r := rand.New(rand.NewPCG(5, 5))
	try := func(what, file string) {
		t.Helper()
		_, err := d.exec(admin, fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS copy", at))
		if err == nil {
			t.Fatalf("%s: %s: restored", file, what)
		}
		code := dberr.CodeOf(err)
		if filepath.Base(file) == "backup.json" && what == "missing" {
			if code != dberr.NotFound {
				t.Errorf("%s: %s: %v", file, what, err)
			}
		} else if code != dberr.StorageUnavailable || !strings.Contains(err.Error(), filepath.Base(file)) || strings.Contains(err.Error(), at) {
			t.Errorf("%s: %s: %s %v", file, what, code, err)
		}
		d.fails(admin, "SHOW TABLES IN copy", dberr.NamespaceNotFound, "")
	}
	err := filepath.WalkDir(at, func(file string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		put := func(data []byte) {
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for range 12 {
			bad := append([]byte(nil), data...)
			bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			put(bad)
			try("a bit flipped", file)
		}
		put(data[:r.IntN(len(data))])
		try("cut off", file)
		put(append(data[:len(data):len(data)], '\n'))
		try("a byte more", file)
		if err := os.Remove(file); err != nil {
			return err
		}
		try("missing", file)
		put(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(hearing); files() != had; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d files, there were %d", files(), had)
		}
	}
	if got := d.rows(admin, "SELECT count(*) > 30 FROM system.jobs WHERE job_type = 'restore' AND status = 'failed' AND error IS NOT NULL"); got != "t" {
		t.Error("the jobs do not say so")
	}
	d.must(admin, fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS copy", at))
	if got, want := d.contents("copy"), d.contents("app"); got != want {
		t.Errorf("undamaged again it gives\n%s\nwant\n%s", got, want)
	}
}

func TestBackupRefuses(t *testing.T) {
	dir := t.TempDir()
	d := openDB(t, testConfig(config.BackendBadger, dir))
	d.must(admin, "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT)")
	at := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Log("a symbolic link was not tried, as this system makes none:", err)
		link = dir
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "backup.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.must(admin, fmt.Sprintf("BACKUP DATABASE app TO '%s'", at))
	d.script([]line{
		{sql: fmt.Sprintf("BACKUP DATABASE app TO '%s'", at), want: "!ALREADY_EXISTS There is a backup at"},
		{sql: fmt.Sprintf("BACKUP DATABASE app TO '%s'", foreign), want: "!ALREADY_EXISTS There is a backup at"},
		{sql: fmt.Sprintf("SHOW BACKUP '%s'", foreign), want: "!STORAGE_UNAVAILABLE backup.json is damaged"},
		{sql: "BACKUP DATABASE nope TO '/tmp/x'", want: "!NAMESPACE_NOT_FOUND Namespace 'nope' does not exist. Create it first with CREATE NAMESPACE."},
		{sql: "BACKUP DATABASE system TO '/tmp/x'", want: "!UNSUPPORTED system"},
		{sql: "BACKUP DATABASE app TO 'x/y'", want: "!INVALID_SQL not absolute"},
		{sql: "BACKUP DATABASE app TO ''", want: "!INVALID_SQL not absolute"},
		{sql: fmt.Sprintf("BACKUP DATABASE app TO '%s/../x'", at), want: "!INVALID_SQL holds .."},
		{sql: "BACKUP DATABASE app TO 's3://bucket/x'", want: "!INVALID_SQL no folder"},
		{sql: "BACKUP DATABASE app TO E'/tmp/\\x01'", want: "!INVALID_SQL control"},
		{sql: fmt.Sprintf("BACKUP DATABASE app TO '%s'", dir), want: "!INVALID_SQL data directory"},
		{sql: fmt.Sprintf("BACKUP DATABASE app TO '%s/hot/x'", dir), want: "!INVALID_SQL data directory"},
		{sql: fmt.Sprintf("BACKUP DATABASE app TO '%s/new/x'", link), want: "!INVALID_SQL data directory"},
		{sql: "BACKUP DATABASE app TO 'storage://local'", want: "!INVALID_SQL no place"},
		{sql: "BACKUP DATABASE app TO 'storage://local/'", want: "!INVALID_SQL no place"},
		{sql: "BACKUP DATABASE app TO 'storage://local/../x'", want: "!INVALID_SQL name"},
		{sql: "BACKUP DATABASE app TO 'storage://nope/x'", want: "!NOT_FOUND nope"},
		{sql: "RESTORE DATABASE app FROM '/nowhere/at/all' AS x", want: "!NOT_FOUND There is no backup"},
		{sql: fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS x", filepath.Dir(at)), want: "!NOT_FOUND There is no backup"},
		{sql: fmt.Sprintf("RESTORE DATABASE other FROM '%s'", at), want: "!NOT_FOUND is of namespace 'app', not of 'other'"},
		{sql: fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS system", at), want: "!ALREADY_EXISTS reserved"},
		{sql: fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS app", at), want: "!ALREADY_EXISTS already exists"},
		{sql: "SHOW BACKUP '/nowhere/at/all'", want: "!NOT_FOUND There is no backup"},
		{sql: "SHOW BACKUP 'storage://local/nothing'", want: "!NOT_FOUND There is no backup"},
		{sql: "SHOW BACKUP FOR DATABASE other", want: ""},
		{as: "ann", sql: fmt.Sprintf("SHOW BACKUP '%s'", at), want: "!PERMISSION_DENIED admin"},
		{as: "ann", sql: "SHOW BACKUP FOR DATABASE app", want: "!PERMISSION_DENIED admin"},
		{as: "ann:service", sql: fmt.Sprintf("BACKUP DATABASE app TO '%s'", at), want: "!PERMISSION_DENIED admin"},
		{as: "ann:service", sql: fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS x", at), want: "!PERMISSION_DENIED admin"},
		{sql: "BACKUP DATABASE app TO 'storage://local/backups/1'; DROP NAMESPACE app CASCADE; RESTORE DATABASE app FROM 'storage://local/backups/1'; SELECT count(*) FROM app.t", want: "0"},
	})
	if _, err := os.Stat("/nowhere/at/all"); err == nil {
		t.Error("SHOW BACKUP makes folders")
	}
}

// atStep calls f at each step of the engines that are opened from then on.
func atStep(t *testing.T, f func(name string)) {
	step = f
	t.Cleanup(func() { step = nil })
}

// TestBackupIsEnded kills a backup and a restore, drops a table under a backup,
// and lets somebody take a restore's name: what was begun leaves nothing.
func TestBackupIsEnded(t *testing.T) {
	var hook atomic.Pointer[func(name string)]
	atStep(t, func(name string) {
		if f := hook.Load(); f != nil {
			(*f)(name)
		}
	})
	cfg := testConfig(config.BackendBadger, t.TempDir())
	d := openDB(t, cfg)
	d.fillNamespace(t.TempDir())
	at := filepath.Join(t.TempDir(), "b")
	once := func(at string, do func()) {
		var done atomic.Bool
		f := func(name string) {
			if name == at && !done.Swap(true) {
				do()
			}
		}
		hook.Store(&f)
	}
	kill := func() {
		id := d.rows(admin, "SELECT job_id FROM system.jobs WHERE status = 'running'")
		// Kill would wait for the end of the job, which waits for us.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = d.jobs.Kill(ctx, ident.JobID(id), "root", true)
	}
	nothing := func(what, dir string, want int) {
		t.Helper()
		for end := time.Now().Add(hearing); len(parquet(t, dir)) != want; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("%s: %d files, want %d", what, len(parquet(t, dir)), want)
			}
		}
	}
	once(backup.StepCopied, kill)
	d.fails(admin, fmt.Sprintf("BACKUP DATABASE app TO '%s'", at), dberr.Cancelled, "killed by root")
	nothing("a killed backup", at, 0)
	d.fails(admin, fmt.Sprintf("SHOW BACKUP '%s'", at), dberr.NotFound, "")
	if got := d.rows(admin, "SELECT status, error, trace FROM system.jobs WHERE job_type = 'backup'"); !strings.Contains(got, `cancelled|killed by root|node=test origin="BACKUP DATABASE" user="root" step="table 1 of 4: `) {
		t.Errorf("the job is %s", got)
	}

	// The rows of the last table go from under the snapshot.
	gone := make(chan struct{})
	f := func(name string) {
		switch name {
		case backup.StepNoted:
			d.must(admin, "CREATE SHARED TABLE app.zzz (id INT); INSERT INTO app.zzz VALUES (1)")
		case table.StepDropForgotten:
			close(gone)
		case backup.StepCopied:
			if _, err := d.exec(admin, "DROP TABLE app.zzz"); err == nil {
				<-gone
			}
		}
	}
	hook.Store(&f)
	d.fails(admin, fmt.Sprintf("BACKUP DATABASE app TO '%s'", at), dberr.Conflict, "table app.zzz was dropped meanwhile")
	hook.Store(nil)
	nothing("a backup of a dropped table", at, 0)

	want := d.contents("app")
	d.must(admin, fmt.Sprintf("BACKUP DATABASE app TO '%s'", at))
	had := len(parquet(t, filepath.Join(cfg.Data.Dir, "storage")))
	once(table.StepRestoreListed, kill)
	d.fails(admin, fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS copy", at), dberr.Cancelled, "killed by root")
	nothing("a killed restore", filepath.Join(cfg.Data.Dir, "storage"), had)
	once(table.StepRestoreListed, func() { d.must(admin, "CREATE NAMESPACE copy") })
	d.fails(admin, fmt.Sprintf("RESTORE DATABASE app FROM '%s' AS copy", at), dberr.AlreadyExists, "Namespace 'copy' already exists")
	nothing("a restore in vain", filepath.Join(cfg.Data.Dir, "storage"), had)
	hook.Store(nil)
	d.must(admin, fmt.Sprintf("DROP NAMESPACE copy; RESTORE DATABASE app FROM '%s' AS copy", at))
	if got := d.contents("copy"); got != want {
		t.Errorf("restored is\n%s\nwant\n%s", got, want)
	}
}
