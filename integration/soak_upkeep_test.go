package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// deck deals things in random order, each as often as it is in it.
type deck[T any] struct {
	rng  *rand.Rand
	all  []T
	left []T
}

func (d *deck[T]) deal() T {
	if len(d.left) == 0 {
		d.left = slices.Clone(d.all)
		d.rng.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	out := d.left[0]
	d.left = d.left[1:]
	return out
}

// keeper does what an administrator does, beside those who work.
type keeper struct {
	s      *soak
	rng    *rand.Rand
	client *link.Client
	duties deck[func(context.Context) error]
	n      int // of what it has named so far
	name   string
}

// newKeeper makes one of the two: the first moves rows, the second changes
// tables and copies them.
func newKeeper(s *soak, name string, first bool) *keeper {
	k := &keeper{s: s, name: name, rng: s.fork(), client: s.connect("", false)}
	k.duties.rng = k.rng
	if first {
		k.duties.all = []func(context.Context) error{k.flush, k.flush, k.flush, k.flush, k.flushAll, k.compact, k.compact}
	} else {
		k.duties.all = []func(context.Context) error{k.alter, k.alter, k.alter, k.set, k.side, k.side, k.backup}
	}
	return k
}

// work does one duty after the other until the round ends.
func (k *keeper) work(ctx context.Context, stopping <-chan struct{}) error {
	for {
		if over, err := rest(ctx, stopping, time.Duration(k.rng.IntN(200))*time.Millisecond); over {
			return err
		}
		if err := k.duties.deal()(ctx); err != nil {
			return err
		}
	}
}

// exec runs a statement that only the end of the server may keep from its
// success; ok tells whether it succeeded.
func (k *keeper) exec(ctx context.Context, name, sql string) (ok bool, err error) {
	k.s.count(name)
	if _, err = k.client.Exec(ctx, sql); err == nil {
		return true, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if !k.s.excuses(err, false) {
		return false, fmt.Errorf("%s: %w", sql, err)
	}
	k.s.count("unacknowledged " + name)
	return false, present(ctx, k.client)
}

func (k *keeper) flush(ctx context.Context) error {
	_, err := k.exec(ctx, "FLUSH TABLE", "FLUSH TABLE "+pick(k.rng, k.s.plots).ns+".t")
	return err
}

func (k *keeper) flushAll(ctx context.Context) error {
	_, err := k.exec(ctx, "FLUSH ALL TABLES", "FLUSH ALL TABLES")
	return err
}

func (k *keeper) compact(ctx context.Context) error {
	_, err := k.exec(ctx, "COMPACT TABLE", "COMPACT TABLE "+pick(k.rng, k.s.plots).ns+".t")
	return err
}

// set changes when a table is flushed.
func (k *keeper) set(ctx context.Context) error {
	_, err := k.exec(ctx, "ALTER TABLE SET", fmt.Sprintf("ALTER TABLE %s.t SET (flush_rows = %d)", pick(k.rng, k.s.plots).ns, 100+k.rng.IntN(2000)))
	return err
}

// extraColumn is a column that ALTER TABLE has added.
type extraColumn struct {
	id    int
	name  string
	value int64 // its default
}

// alter adds a column, drops one or gives it another name, while nobody names
// it. When the server goes away meanwhile, the table has the old columns or
// the new ones.
func (k *keeper) alter(ctx context.Context) error {
	p := pick(k.rng, k.s.plots)
	p.altering.Lock()
	defer p.altering.Unlock()
	k.n++
	next := slices.Clone(p.extras)
	var what, sql string
	at := k.rng.IntN(max(len(next), 1))
	switch n := k.rng.IntN(3); {
	case len(next) == 0 || n == 0 && len(next) < 4:
		what = "ADD COLUMN"
		next = append(next, extraColumn{id: k.n, name: fmt.Sprint("added", k.n), value: int64(k.rng.IntN(1000))})
		c := next[len(next)-1]
		sql = fmt.Sprintf("ADD COLUMN %s BIGINT DEFAULT %d", c.name, c.value)
	case n == 1:
		what = "RENAME COLUMN"
		old := next[at].name
		next[at].name = fmt.Sprint("renamed", k.n)
		if k.rng.IntN(4) == 0 {
			next[at].name = fmt.Sprint("added", k.n)
		}
		sql = fmt.Sprintf("RENAME COLUMN %s TO %s", old, next[at].name)
	default:
		what = "DROP COLUMN"
		sql = "DROP COLUMN " + next[at].name
		next = slices.Delete(next, at, at+1)
	}
	ok, err := k.exec(ctx, "ALTER TABLE "+what, "ALTER TABLE "+p.ns+".t "+sql)
	if ok {
		p.extras = next
	}
	if ok || err != nil {
		return err
	}
	there, err := k.list(ctx, "SELECT column_name FROM information_schema.columns WHERE table_schema = '"+p.ns+"' AND table_name = 't'")
	if err != nil {
		return err
	}
	there = slices.DeleteFunc(there, func(c string) bool { return !strings.HasPrefix(c, "added") && !strings.HasPrefix(c, "renamed") })
	for _, possible := range [][]extraColumn{p.extras, next} {
		if slices.EqualFunc(possible, there, func(c extraColumn, name string) bool { return c.name == name }) {
			p.extras = possible
			return nil
		}
	}
	return fmt.Errorf("ALTER TABLE %s.t %s was not acknowledged, and of %v come %v", p.ns, sql, p.extras, there)
}

// list asks for texts, again when the server goes away meanwhile.
func (k *keeper) list(ctx context.Context, sql string) ([]string, error) {
	for {
		out, err := link.Collect[string](k.client.Query(ctx, sql))
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil || !k.s.excuses(err, false) {
			return nil, fmt.Errorf("%s: %w", sql, err)
		}
		if err := present(ctx, k.client); err != nil {
			return nil, err
		}
	}
}

// side makes a table, fills it and drops it.
func (k *keeper) side(ctx context.Context) error {
	k.n++
	name := fmt.Sprint(sideNamespace, ".", k.name, k.n)
	kind := pick(k.rng, []string{"USER", "SHARED", "STREAM"})
	if ok, err := k.exec(ctx, "CREATE TABLE", "CREATE "+kind+" TABLE "+name+" (id BIGINT, body TEXT)"); !ok {
		return errors.Join(err, k.drop(ctx, name))
	}
	rows := 1 + k.rng.IntN(100)
	ok, err := k.exec(ctx, "INSERT into a new table", fmt.Sprintf("INSERT INTO %s SELECT g, 'side' FROM generate_series(1, %d) AS x(g)", name, rows))
	if ok && kind != "STREAM" && k.rng.IntN(2) == 0 {
		ok, err = k.exec(ctx, "FLUSH TABLE", "FLUSH TABLE "+name)
	}
	if ok {
		var n int
		before := k.s.starts.Load()
		if err = k.client.QueryRow(ctx, "SELECT count(*) FROM "+name).Scan(&n); err != nil && ctx.Err() == nil && k.s.excuses(err, false) {
			err = nil
		} else if err == nil && n != rows && (kind != "STREAM" || before == k.s.starts.Load()) {
			err = fmt.Errorf("the %s table %s has %d rows instead of %d", kind, name, n, rows)
		}
	}
	return errors.Join(err, k.drop(ctx, name))
}

// drop drops a table that may not be there any more.
func (k *keeper) drop(ctx context.Context, name string) error {
	for {
		if ok, err := k.exec(ctx, "DROP TABLE", "DROP TABLE IF EXISTS "+name); ok || err != nil {
			return err
		}
	}
}

// backup takes a backup while everybody writes, and restores it beside: each
// hand's rows are there as they were at one moment since.
func (k *keeper) backup(ctx context.Context) error {
	k.n++
	p := pick(k.rng, k.s.plots)
	at := filepath.Join(k.s.backups, fmt.Sprint(k.name, k.n))
	copied := fmt.Sprint(restoredNamespace, k.name, k.n)
	from := map[string][]*page{}
	for _, u := range p.users {
		for _, h := range p.partition(u) {
			from[u] = append(from[u], h.sure.Load())
		}
	}
	defer os.RemoveAll(at)
	if ok, err := k.exec(ctx, "BACKUP DATABASE", "BACKUP DATABASE "+p.ns+" TO '"+at+"'"); !ok {
		return err
	}
	if ok, err := k.exec(ctx, "RESTORE DATABASE", "RESTORE DATABASE "+p.ns+" FROM '"+at+"' AS "+copied); !ok {
		return err // the server does it again, and the round's end drops it
	}
	for _, u := range p.users {
		c := p.client(u, k.s.server.URL)
		err := p.compare(ctx, c, copied+".t", u, p.partition(u), from[u])
		_ = c.Close()
		if err != nil && (ctx.Err() != nil || !k.s.excuses(err, false)) {
			return fmt.Errorf("a backup, restored: %w", err)
		}
	}
	if err := present(ctx, k.client); err != nil {
		return err
	}
	_, err := k.exec(ctx, "DROP NAMESPACE", "DROP NAMESPACE IF EXISTS "+copied+" CASCADE")
	return err
}

// tidy waits for the jobs that a server has done again after its start, and
// drops what they have made.
func (s *soak) tidy() {
	s.t.Helper()
	await(s.t, "the end of all jobs", func() bool {
		return harness.Query[int](s.t, s.admin, "SELECT count(*) FROM system.jobs WHERE status IN ('pending', 'running')")[0] == 0
	})
	for _, ns := range harness.Query[string](s.t, s.admin, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '"+restoredNamespace+"%'") {
		harness.Exec(s.t, s.admin, "DROP NAMESPACE "+ns+" CASCADE")
	}
	if left := harness.Query[string](s.t, s.admin, "SELECT table_name FROM information_schema.tables WHERE table_schema = '"+sideNamespace+"'"); len(left) > 0 {
		s.t.Errorf("tables that were dropped are there: %v", left)
	}
}
