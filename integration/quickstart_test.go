package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

const schema = `
	CREATE NAMESPACE chat;
	CREATE USER TABLE chat.messages (
		id BIGINT PRIMARY KEY,
		channel TEXT NOT NULL,
		thread TEXT NOT NULL,
		sender TEXT NOT NULL,
		sent_at TIMESTAMP NOT NULL,
		subject TEXT,
		body TEXT);
	CREATE SHARED TABLE chat.archive (
		id BIGINT PRIMARY KEY,
		channel TEXT NOT NULL,
		thread TEXT NOT NULL,
		sender TEXT NOT NULL,
		sent_at TIMESTAMP NOT NULL) ACCESS public;
	CREATE STREAM TABLE chat.typing (thread TEXT, at TIMESTAMP DEFAULT NOW()) TTL 1h;`

// mailbox is what the tests know of the data: every message by its sender.
type mailbox struct {
	all      []harness.Message
	bySender map[string][]harness.Message
	// senders are ordered by their number of messages, most first.
	senders []string
}

func readMailbox(t *testing.T) *mailbox {
	m := &mailbox{all: harness.Messages(t), bySender: map[string][]harness.Message{}}
	for _, msg := range m.all {
		m.bySender[msg.Sender] = append(m.bySender[msg.Sender], msg)
	}
	for s := range m.bySender {
		m.senders = append(m.senders, s)
	}
	slices.SortFunc(m.senders, func(a, b string) int {
		return cmp.Or(len(m.bySender[b])-len(m.bySender[a]), cmp.Compare(a, b))
	})
	return m
}

// count counts messages by a key, as GROUP BY does.
func count(msgs []harness.Message, key func(harness.Message) string) map[string]int64 {
	out := map[string]int64{}
	for _, m := range msgs {
		out[key(m)]++
	}
	return out
}

func ids(msgs []harness.Message, keep func(harness.Message) bool) []int64 {
	var out []int64
	for _, m := range msgs {
		if keep(m) {
			out = append(out, m.ID)
		}
	}
	return out
}

func channelOf(m harness.Message) string { return m.Channel }
func threadOf(m harness.Message) string  { return m.Thread }

// TestQuickstart is the main job end to end, through the SDK alone, on a
// server process with a fresh data directory.
func TestQuickstart(t *testing.T) {
	box := readMailbox(t)
	server := harness.Start(t)
	admin := server.Admin(t)
	harness.Exec(t, admin, schema)

	users := map[string]*link.Client{}
	for _, sender := range box.senders {
		users[sender] = admin.With(link.WithUser(sender), link.WithToken(harness.Token(t, sender, "user")), link.WithNamespace("chat"))
		t.Cleanup(func() { _ = users[sender].Close() })
	}

	watchers := subscribeAll(t, box, users)
	insertAll(t, box, users)
	for _, w := range watchers {
		t.Run("subscription "+w.name, w.check)
	}

	t.Run("each user sees the own rows", func(t *testing.T) { checkOwnRows(t, box, users) })
	t.Run("queries of a user", func(t *testing.T) { checkUserQueries(t, box, users) })
	t.Run("queries over a shared table", func(t *testing.T) { checkArchive(t, box, admin, users[box.senders[0]]) })
	t.Run("stream table", func(t *testing.T) { checkStream(t, users[box.senders[0]], users[box.senders[1]]) })
	t.Run("isolation", func(t *testing.T) { checkIsolation(t, box, admin, users) })
	t.Run("kill -9", func(t *testing.T) { harness.NeedDurable(t); checkKill(t, server, box, users) })
}

// watcher is one subscription and the messages that it must hear, in order.
type watcher struct {
	name string
	sub  *link.Subscription
	want []int64
}

// subscribeAll has five users watch their messages through four different
// filters each.
func subscribeAll(t *testing.T, box *mailbox, users map[string]*link.Client) []*watcher {
	t.Helper()
	var out []*watcher
	for _, sender := range box.senders[:5] {
		msgs := box.bySender[sender]
		middle := msgs[len(msgs)/2]
		filters := []struct {
			where string
			param any
			keep  func(harness.Message) bool
		}{
			{"", nil, func(harness.Message) bool { return true }},
			{"WHERE thread = $1", middle.Thread, func(m harness.Message) bool { return m.Thread == middle.Thread }},
			{"WHERE id > $1 AND channel <> 'none'", middle.ID, func(m harness.Message) bool { return m.ID > middle.ID }},
			{"WHERE subject LIKE $1", "Re:%", func(m harness.Message) bool { return strings.HasPrefix(m.Subject, "Re:") }},
		}
		for _, f := range filters {
			var opts []link.SubscribeOption
			if f.param != nil {
				opts = append(opts, link.Params(f.param))
			}
			sub, err := users[sender].Subscribe(harness.Context(t), "SELECT id, thread, body FROM chat.messages "+f.where, opts...)
			if err != nil {
				t.Fatalf("subscribe %s: %v", f.where, err)
			}
			t.Cleanup(func() { _ = sub.Close() })
			out = append(out, &watcher{name: sender + " " + f.where, sub: sub, want: ids(msgs, f.keep)})
		}
	}
	return out
}

// check reads as many rows as the filter matches, and then shows that nothing
// else is under way.
func (w *watcher) check(t *testing.T) {
	ctx := harness.Context(t)
	var got []int64
	var lastSeq uint64
	for len(got) < len(w.want) {
		e, err := w.sub.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d rows: %v", len(got), len(w.want), err)
		}
		if !e.Kind.HasRow() {
			continue
		}
		if e.Kind != link.EventInsert {
			t.Fatalf("row %d came as %s", len(got)+1, e.Kind)
		}
		if e.Seq < lastSeq {
			t.Fatalf("sequence %d came after %d", e.Seq, lastSeq)
		}
		lastSeq = e.Seq
		var id int64
		if err := e.Row.Scan(&id, new(string), new(string), new(any), new(any)); err != nil {
			t.Fatal(err)
		}
		got = append(got, id)
	}
	if !slices.Equal(got, w.want) {
		t.Errorf("heard %v, want %v", got, w.want)
	}
	quiet, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	for {
		e, err := w.sub.Next(quiet)
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind.HasRow() {
			t.Fatalf("one row too many: %s %v", e.Kind, e.Row)
		}
	}
}

// insertAll inserts each message as its sender; a sender's messages keep
// their order, senders go side by side.
func insertAll(t *testing.T, box *mailbox, users map[string]*link.Client) {
	t.Helper()
	ctx := harness.Context(t)
	const workers = 16
	queue := make(chan string)
	var wg sync.WaitGroup
	var failed atomic.Int64
	start := time.Now()
	for range workers {
		wg.Go(func() {
			for sender := range queue {
				for _, m := range box.bySender[sender] {
					if err := insert(ctx, users[sender], m); err != nil {
						if failed.Add(1) < 5 {
							t.Errorf("insert message %d: %v", m.ID, err)
						}
						break
					}
				}
			}
		})
	}
	for _, s := range box.senders {
		queue <- s
	}
	close(queue)
	wg.Wait()
	if n := failed.Load(); n > 0 {
		t.Fatalf("%d senders could not insert", n)
	}
	t.Logf("%d durable inserts by %d users on %d connections: %.0f a second",
		len(box.all), len(box.senders), workers, float64(len(box.all))/time.Since(start).Seconds())
}

func insert(ctx context.Context, c *link.Client, m harness.Message) error {
	sum, err := c.Exec(ctx, `INSERT INTO messages (id, channel, thread, sender, sent_at, subject, body) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		m.ID, m.Channel, m.Thread, m.Sender, m.SentAt, m.Subject, m.Body)
	if err == nil && sum.RowCount != 1 {
		err = fmt.Errorf("%d rows inserted", sum.RowCount)
	}
	return err
}

func checkOwnRows(t *testing.T, box *mailbox, users map[string]*link.Client) {
	for _, sender := range box.senders {
		got := harness.Query[int64](t, users[sender], "SELECT count(*) FROM messages")
		if want := int64(len(box.bySender[sender])); got[0] != want {
			t.Errorf("%s has %d rows, want %d", sender, got[0], want)
		}
	}
	// Content survives the way in and out, whatever characters it has.
	for _, sender := range box.senders[:20] {
		type row struct {
			ID            int64
			Subject, Body string
			SentAt        time.Time
		}
		rows := harness.Query[row](t, users[sender], "SELECT id, subject, body, sent_at FROM messages ORDER BY id")
		for i, m := range box.bySender[sender] {
			if r := rows[i]; r.ID != m.ID || r.Subject != m.Subject || r.Body != m.Body || !r.SentAt.Equal(m.SentAt) {
				t.Fatalf("message %d came back as %+v", m.ID, r)
			}
		}
	}
}

type group struct {
	Key string
	N   int64
}

func checkGroups(t *testing.T, c *link.Client, sql string, want map[string]int64) {
	t.Helper()
	got := harness.Query[group](t, c, sql)
	if len(got) != len(want) {
		t.Errorf("%s: %d groups, want %d", sql, len(got), len(want))
	}
	for _, g := range got {
		if want[g.Key] != g.N {
			t.Errorf("%s: %q has %d, want %d", sql, g.Key, g.N, want[g.Key])
		}
	}
}

func checkIDs(t *testing.T, c *link.Client, want []int64, sql string, params ...any) {
	t.Helper()
	if got := harness.Query[int64](t, c, sql, params...); !slices.Equal(got, want) {
		t.Errorf("%s %v: %v, want %v", sql, params, got, want)
	}
}

func checkUserQueries(t *testing.T, box *mailbox, users map[string]*link.Client) {
	for _, sender := range box.senders[:40] {
		c, msgs := users[sender], box.bySender[sender]
		checkGroups(t, c, "SELECT channel AS key, count(*) AS n FROM messages GROUP BY channel", count(msgs, channelOf))
		checkGroups(t, c, "SELECT thread AS key, count(*) AS n FROM messages GROUP BY thread ORDER BY n DESC, key", count(msgs, threadOf))
		checkIDs(t, c, ids(msgs, func(m harness.Message) bool { return strings.Contains(m.Body, "the") }),
			"SELECT id FROM messages WHERE body LIKE '%the%' ORDER BY id")
		from, to := msgs[len(msgs)/4].SentAt, msgs[len(msgs)*3/4].SentAt
		if from.After(to) {
			from, to = to, from
		}
		checkIDs(t, c, ids(msgs, func(m harness.Message) bool { return !m.SentAt.Before(from) && m.SentAt.Before(to) }),
			"SELECT id FROM messages WHERE sent_at >= $1 AND sent_at < $2 ORDER BY id", from, to)
		thread := msgs[0].Thread
		latest := ids(msgs, func(m harness.Message) bool { return m.Thread == thread })
		slices.Reverse(latest)
		checkIDs(t, c, latest[:min(50, len(latest))],
			"SELECT id FROM messages WHERE thread = $1 ORDER BY id DESC LIMIT 50", thread)
	}
}

func checkArchive(t *testing.T, box *mailbox, admin, user *link.Client) {
	ctx := harness.Context(t)
	for chunk := range slices.Chunk(box.all, 500) {
		var sql strings.Builder
		sql.WriteString("INSERT INTO chat.archive (id, channel, thread, sender, sent_at) VALUES ")
		var params []any
		for i, m := range chunk {
			if i > 0 {
				sql.WriteString(", ")
			}
			n := len(params)
			fmt.Fprintf(&sql, "($%d, $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4, n+5)
			params = append(params, m.ID, m.Channel, m.Thread, m.Sender, m.SentAt)
		}
		sum, err := admin.Exec(ctx, sql.String(), params...)
		if err != nil || sum.RowCount != int64(len(chunk)) {
			t.Fatalf("insert %d rows: %d, %v", len(chunk), sum.RowCount, err)
		}
	}
	checkGroups(t, user, "SELECT channel AS key, count(*) AS n FROM chat.archive GROUP BY 1", count(box.all, channelOf))
	checkGroups(t, user, "SELECT thread AS key, count(*) AS n FROM chat.archive GROUP BY 1", count(box.all, threadOf))

	threads := count(box.all, threadOf)
	longest := slices.MaxFunc(box.all, func(a, b harness.Message) int { return cmp.Compare(threads[a.Thread], threads[b.Thread]) }).Thread
	var inThread []harness.Message
	for _, m := range box.all {
		if m.Thread == longest {
			inThread = append(inThread, m)
		}
	}
	slices.SortFunc(inThread, func(a, b harness.Message) int { return cmp.Or(b.SentAt.Compare(a.SentAt), cmp.Compare(b.ID, a.ID)) })
	checkIDs(t, user, ids(inThread[:min(50, len(inThread))], func(harness.Message) bool { return true }),
		"SELECT id FROM chat.archive WHERE thread = $1 ORDER BY sent_at DESC, id DESC LIMIT 50", longest)

	if _, err := user.Exec(ctx, "DELETE FROM chat.archive"); link.CodeOf(err) != link.CodePermissionDenied {
		t.Errorf("a user may write a public table: %v", err)
	}
	_, err := user.Subscribe(ctx, "SELECT * FROM chat.archive")
	if err == nil || !strings.Contains(err.Error(), "Live query subscriptions not supported on shared tables") {
		t.Errorf("subscribing to a shared table: %v", err)
	}
}

func checkStream(t *testing.T, user, other *link.Client) {
	ctx := harness.Context(t)
	sub, err := user.Subscribe(ctx, "SELECT thread FROM chat.typing")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	harness.Exec(t, user, "INSERT INTO chat.typing (thread) VALUES ('t1'), ('t2')")
	var heard []string
	for len(heard) < 2 {
		e, err := sub.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind.HasRow() {
			text, _ := e.Row.Text(0)
			heard = append(heard, text)
		}
	}
	if !slices.Equal(heard, []string{"t1", "t2"}) {
		t.Errorf("heard %v", heard)
	}
	if got := harness.Query[string](t, user, "SELECT thread FROM chat.typing ORDER BY 1"); !slices.Equal(got, []string{"t1", "t2"}) {
		t.Errorf("the stream holds %v", got)
	}
	if got := harness.Query[string](t, other, "SELECT thread FROM chat.typing"); len(got) != 0 {
		t.Errorf("another user reads %v", got)
	}
	if _, err := user.Exec(ctx, "UPDATE chat.typing SET thread = 'x'"); err == nil {
		t.Error("a stream was updated")
	}
}

// checkIsolation has one user try every way to another's rows.
func checkIsolation(t *testing.T, box *mailbox, admin *link.Client, users map[string]*link.Client) {
	ctx := harness.Context(t)
	thief, victim := box.senders[1], box.senders[0]
	c := users[thief]
	target := box.bySender[victim][0]

	for _, sql := range []string{
		"SELECT id FROM messages WHERE id = $1", "SELECT id FROM messages WHERE id = $1 OR sender IS NULL",
		"SELECT id FROM chat.user.messages WHERE id = $1", "SELECT id FROM messages WHERE id = $1 AND _deleted IS NOT NULL",
	} {
		if got := harness.Query[int64](t, c, sql, target.ID); len(got) != 0 {
			t.Errorf("%s gives %v", sql, got)
		}
	}
	for _, sql := range []string{"UPDATE messages SET body = 'stolen' WHERE id = $1", "DELETE FROM messages WHERE id = $1", "UPDATE chat.user.messages SET body = '' WHERE id = $1"} {
		if sum := harness.Exec(t, c, sql, target.ID); sum.RowCount != 0 {
			t.Errorf("%s changed %d rows", sql, sum.RowCount)
		}
	}
	forged := admin.With(link.WithUser(victim), link.WithToken(harness.Token(t, thief, "user")))
	defer forged.Close()
	if _, err := forged.Exec(ctx, "SELECT * FROM chat.messages"); link.CodeOf(err) != link.CodePermissionDenied {
		t.Errorf("X-USER-ID of somebody else: %v", err)
	}
	if _, err := forged.Subscribe(ctx, "SELECT * FROM chat.messages"); err == nil {
		t.Error("subscribed as somebody else")
	}

	sub, err := c.Subscribe(ctx, "SELECT id FROM messages WHERE sender = $1", link.Params(victim), link.LastRows(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	harness.Exec(t, users[victim], "UPDATE messages SET subject = subject WHERE id = $1", target.ID)
	quiet, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	for {
		e, err := sub.Next(quiet)
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind.HasRow() {
			t.Fatalf("heard another user's row: %v", e.Row)
		}
	}
	if got := harness.Query[string](t, users[victim], "SELECT body FROM messages WHERE id = $1", target.ID); len(got) != 1 || got[0] != target.Body {
		t.Errorf("the row of the other user is %q", got)
	}
}

// checkKill ends the server in the middle of concurrent inserts and shows that
// what was acknowledged is there, once, and what was there before is, too.
func checkKill(t *testing.T, server *harness.Server, box *mailbox, users map[string]*link.Client) {
	const writers, before = 8, 400
	const base = int64(1_000_000)
	ctx, cancel := context.WithCancel(harness.Context(t))
	defer cancel()
	var mu sync.Mutex
	acked := map[string][]int64{}
	total := 0
	enough := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		sender := box.senders[w]
		wg.Go(func() {
			for i := int64(0); ctx.Err() == nil; i++ {
				m := harness.Message{ID: base*int64(w+1) + i, Channel: "kill", Thread: "kill", Sender: sender, SentAt: time.Now(), Body: "x"}
				if err := insert(ctx, users[sender], m); err != nil {
					return
				}
				mu.Lock()
				acked[sender] = append(acked[sender], m.ID)
				if total++; total == before {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-ctx.Done():
		t.Fatal("the writers did not get anywhere")
	}
	server.Kill()
	cancel()
	wg.Wait()
	server.Restart()

	for _, sender := range box.senders[:writers] {
		got := harness.Query[int64](t, users[sender], "SELECT id FROM messages WHERE channel = 'kill' ORDER BY id")
		want := acked[sender]
		// One insert may have been committed without its acknowledgement.
		if len(got) > len(want)+1 || len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("%s: %d rows were acknowledged, %d are there", sender, len(want), len(got))
		}
		old := harness.Query[int64](t, users[sender], "SELECT count(*) FROM messages WHERE channel <> 'kill'")
		if old[0] != int64(len(box.bySender[sender])) {
			t.Errorf("%s: %d of the earlier %d rows are there", sender, old[0], len(box.bySender[sender]))
		}
	}
	mu.Lock()
	t.Logf("killed after %d acknowledged inserts by %d writers", total, writers)
	mu.Unlock()
}
