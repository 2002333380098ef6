package integration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

const messagesTable = `CREATE USER TABLE messages (id BIGINT PRIMARY KEY, content TEXT)`

// room is one test's place on the common server: a namespace with a table
// named messages, a writer, and the network between the listeners and the
// server, which the test may cut.
type room struct {
	server *harness.Server
	proxy  *harness.Proxy
	ns     string
	writer *link.Client
}

func newRoom(t *testing.T, create string) *room {
	t.Helper()
	s := harness.Shared(t)
	r := &room{server: s, ns: s.Namespace(t), proxy: harness.NewProxy(t, s)}
	admin := s.Admin(t, link.WithNamespace(r.ns))
	harness.Exec(t, admin, create)
	r.writer = s.As(t, "ada", link.WithNamespace(r.ns))
	return r
}

// listener is another client of the same user, behind the proxy. It makes a
// lost connection again at once.
func (r *room) listener(t *testing.T) *link.Client {
	t.Helper()
	c, err := link.New(r.proxy.URL, link.WithUser("ada"), link.WithToken(harness.Token(t, "ada", "user")),
		link.WithNamespace(r.ns), link.WithBackoff(link.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// insertAll inserts messages first to last, one statement each.
func (r *room) insert(t *testing.T, first, last int) {
	t.Helper()
	ctx := harness.Context(t)
	for i := first; i <= last; i++ {
		if _, err := r.writer.Exec(ctx, "INSERT INTO messages VALUES ($1, $2)", i, fmt.Sprint("message ", i)); err != nil {
			t.Errorf("insert %d: %v", i, err)
			return
		}
	}
}

// networks runs a test over a steady network and over one that cuts the
// listeners' connections after every few steps.
func networks(t *testing.T, test func(t *testing.T, cut func(step int, r *room))) {
	t.Run("steady", func(t *testing.T) {
		t.Parallel()
		test(t, func(int, *room) {})
	})
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		test(t, func(step int, r *room) {
			if step%9 == 4 {
				r.proxy.Cut()
			}
		})
	})
}

// TestLiveQueryDetectsInserts is story 11, scenario 1: a listener in another
// goroutine hears all 100 inserts with their content, in their order.
func TestLiveQueryDetectsInserts(t *testing.T) {
	t.Parallel()
	networks(t, func(t *testing.T, cut func(int, *room)) {
		r := newRoom(t, messagesTable)
		sub := subscribe(t, r.listener(t), "SELECT * FROM messages")
		var writing sync.WaitGroup
		writing.Go(func() {
			for i := 1; i <= 100; i++ {
				r.insert(t, i, i)
				cut(i, r)
			}
		})
		events := rows(t, sub, 100)
		writing.Wait()
		eachOnce(t, events, 100)
		inOrder(t, events)
		for _, e := range events {
			if got, want := field[string](t, e.Row, "content"), fmt.Sprint("message ", field[int64](t, e.Row, "id")); got != want {
				t.Errorf("the content is %q, want %q", got, want)
			}
			if e.Old != nil || field[bool](t, e.Row, "_deleted") {
				t.Errorf("an insert came with old values %v and _deleted %v", e.Old, field[bool](t, e.Row, "_deleted"))
			}
		}
		nothingMore(t, sub, r.writer, "messages", "'end'")
	})
}

// TestLiveQueryDetectsUpdates is story 11, scenario 2: 50 inserts and 50
// updates arrive, the updates with what the rows were and what they are.
func TestLiveQueryDetectsUpdates(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	sub := subscribe(t, r.listener(t), "SELECT * FROM messages")
	r.insert(t, 1, 50)
	for i := 1; i <= 50; i++ {
		harness.Exec(t, r.writer, "UPDATE messages SET content = $2 WHERE id = $1", i, fmt.Sprint("edited ", i))
	}
	events := rows(t, sub, 100)
	inOrder(t, events)
	eachOnce(t, events[:50], 50)
	for i, e := range events[50:] {
		if e.Kind != link.EventUpdate {
			t.Fatalf("event %d is %s", 50+i, e.Kind)
		}
		id := field[int64](t, e.Row, "id")
		if id != int64(i+1) || field[string](t, e.Row, "content") != fmt.Sprint("edited ", id) {
			t.Errorf("update %d brings %v", i+1, e.Row)
		}
		if field[int64](t, e.Old, "id") != id || field[string](t, e.Old, "content") != fmt.Sprint("message ", id) {
			t.Errorf("update %d comes with old values %v", i+1, e.Old)
		}
		if at, was := field[time.Time](t, e.Row, "_updated"), field[time.Time](t, e.Old, "_updated"); !at.Equal(e.Time) || !at.After(was) || !was.Equal(events[i].Time) {
			t.Errorf("update %d of %s has _updated %s, before %s", i+1, e.Time, at, was)
		}
	}
	// An update of nothing is heard by nobody.
	if sum := harness.Exec(t, r.writer, "UPDATE messages SET content = 'x' WHERE id = 1000"); sum.RowCount != 0 {
		t.Errorf("%d rows were updated", sum.RowCount)
	}
	nothingMore(t, sub, r.writer, "messages", "'end'")
}

// TestLiveQueryDetectsDeletes is story 11, scenario 3: soft deletes arrive
// with the deleted row and _deleted = true.
func TestLiveQueryDetectsDeletes(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	sub := subscribe(t, r.listener(t), "SELECT * FROM messages")
	r.insert(t, 1, 30)
	for i := 1; i <= 15; i++ {
		harness.Exec(t, r.writer, "DELETE FROM messages WHERE id = $1", i)
	}
	events := rows(t, sub, 45)
	inOrder(t, events)
	eachOnce(t, events[:30], 30)
	for i, e := range events[30:] {
		if e.Kind != link.EventDelete || field[int64](t, e.Row, "id") != int64(i+1) || !field[bool](t, e.Row, "_deleted") {
			t.Errorf("delete %d came as %s %v", i+1, e.Kind, e.Row)
		}
		if field[string](t, e.Old, "content") != fmt.Sprint("message ", i+1) {
			t.Errorf("delete %d comes with old values %v", i+1, e.Old)
		}
	}
	if sum := harness.Exec(t, r.writer, "DELETE FROM messages WHERE id <= 15"); sum.RowCount != 0 {
		t.Errorf("%d rows were deleted twice", sum.RowCount)
	}
	if got := harness.Query[int64](t, r.writer, "SELECT count(*) FROM messages WHERE _deleted"); got[0] != 15 {
		t.Errorf("%d rows are kept as deleted, want 15", got[0])
	}
	nothingMore(t, sub, r.writer, "messages", "'end'")
}

// TestConcurrentWritersNoMessageLoss is story 11, scenario 4: one listener
// hears 5 writers' 20 messages each, without loss or double, in the order of
// their commits.
func TestConcurrentWritersNoMessageLoss(t *testing.T) {
	t.Parallel()
	networks(t, func(t *testing.T, cut func(int, *room)) {
		r := newRoom(t, messagesTable)
		sub := subscribe(t, r.listener(t), "SELECT * FROM messages")
		var writers sync.WaitGroup
		for w := range 5 {
			writers.Go(func() {
				for i := range 20 {
					r.insert(t, w*20+i+1, w*20+i+1)
					cut(i+w, r)
				}
			})
		}
		events := rows(t, sub, 100)
		writers.Wait()
		eachOnce(t, events, 100)
		inOrder(t, events)
		nothingMore(t, sub, r.writer, "messages", "'end'")
	})
}

// TestAiMessageScenario is story 11, scenario 5: an AI agent writes messages
// with metadata into conversations, and a person who watches one of them hears
// exactly its messages, with the time of their commit.
func TestAiMessageScenario(t *testing.T) {
	t.Parallel()
	r := newRoom(t, `CREATE USER TABLE messages (
		id BIGINT PRIMARY KEY, conversation_id TEXT NOT NULL, role TEXT NOT NULL, content TEXT, metadata JSON, created_at TIMESTAMP DEFAULT NOW())`)
	sub := subscribe(t, r.listener(t), "SELECT * FROM messages WHERE conversation_id = $1", link.Params("c1"))
	// The agent acts for the person: a service may.
	agent := r.server.Admin(t, link.WithUser("ada"), link.WithToken(harness.Token(t, "agent", "service")), link.WithNamespace(r.ns))
	type metadata struct {
		Model  string  `json:"model"`
		Tokens int     `json:"tokens"`
		Score  float64 `json:"score"`
	}
	started := time.Now()
	for i := 1; i <= 40; i++ {
		meta, err := json.Marshal(metadata{"large-3", i * 10, 0.5})
		if err != nil {
			t.Fatal(err)
		}
		harness.Exec(t, agent, "INSERT INTO messages (id, conversation_id, role, content, metadata) VALUES ($1, $2, 'assistant', $3, $4)",
			i, fmt.Sprint("c", i%2), fmt.Sprint("token ", i), string(meta))
	}
	for i, e := range rows(t, sub, 20) {
		id := field[int64](t, e.Row, "id")
		if e.Kind != link.EventInsert || id != int64(2*i+1) || field[string](t, e.Row, "conversation_id") != "c1" || field[string](t, e.Row, "role") != "assistant" {
			t.Errorf("message %d came as %s %v", i+1, e.Kind, e.Row)
		}
		var meta metadata
		if raw := field[json.RawMessage](t, e.Row, "metadata"); json.Unmarshal(raw, &meta) != nil || meta.Tokens != int(id)*10 || meta.Model != "large-3" {
			t.Errorf("the metadata is %s", raw)
		}
		if e.Time.Before(started.Truncate(time.Millisecond)) || e.Time.After(time.Now()) || field[time.Time](t, e.Row, "created_at").Before(started.Truncate(time.Millisecond)) {
			t.Errorf("message %d is of %s, created at %v", id, e.Time, field[time.Time](t, e.Row, "created_at"))
		}
	}
	// The person answers, moves a message over from the other conversation and
	// takes one of this out of it.
	harness.Exec(t, r.writer, "INSERT INTO messages (id, conversation_id, role) VALUES (100, 'c1', 'user')")
	harness.Exec(t, r.writer, "UPDATE messages SET conversation_id = 'c1' WHERE id = 2")
	harness.Exec(t, r.writer, "UPDATE messages SET conversation_id = 'c0' WHERE id = 1")
	want := []struct {
		kind link.EventKind
		id   int64
	}{{link.EventInsert, 100}, {link.EventInsert, 2}, {link.EventDelete, 1}}
	for i, e := range rows(t, sub, 3) {
		if id := field[int64](t, e.Row, "id"); e.Kind != want[i].kind || id != want[i].id {
			t.Errorf("event %d is %s of %d, want %s of %d", i+1, e.Kind, id, want[i].kind, want[i].id)
		}
	}
	if _, err := r.writer.Exec(harness.Context(t), "INSERT INTO messages (id, conversation_id, role, metadata) VALUES (101, 'c1', 'user', '{broken')"); link.CodeOf(err) != link.CodeInvalidJSON {
		t.Errorf("metadata that is no JSON: %v", err)
	}
}

// TestMixedOperationsOrdering is story 11, scenario 6: changes of several
// kinds arrive in exactly the order in which they were made.
func TestMixedOperationsOrdering(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	sub := subscribe(t, r.listener(t), "SELECT id, content FROM messages")
	const rounds = 20
	var want []string
	for i := range rounds {
		a, b := 2*i+1, 2*i+2
		harness.Exec(t, r.writer, "INSERT INTO messages VALUES ($1, 'one')", a)
		harness.Exec(t, r.writer, "UPDATE messages SET content = 'two' WHERE id = $1", a)
		harness.Exec(t, r.writer, "INSERT INTO messages VALUES ($1, 'three')", b)
		harness.Exec(t, r.writer, "DELETE FROM messages WHERE id = $1", a)
		want = append(want, fmt.Sprintf("insert %d one", a), fmt.Sprintf("update %d one two", a), fmt.Sprintf("insert %d three", b), fmt.Sprintf("delete %d two", a))
	}
	// One request with several statements is as many changes.
	if _, err := r.writer.Batch(harness.Context(t), "INSERT INTO messages VALUES (900, 'a'), (901, 'b'); UPDATE messages SET content = 'c' WHERE id = 900; DELETE FROM messages WHERE id >= 900"); err != nil {
		t.Fatal(err)
	}
	want = append(want, "insert 900 a", "insert 901 b", "update 900 a c", "delete 900 c", "delete 901 b")
	events := rows(t, sub, len(want))
	var got []string
	for _, e := range events {
		s := fmt.Sprint(e.Kind, " ", field[int64](t, e.Row, "id"))
		if e.Kind == link.EventUpdate {
			s += " " + field[string](t, e.Old, "content")
		}
		got = append(got, s+" "+field[string](t, e.Row, "content"))
	}
	if !slices.Equal(got, want) {
		t.Errorf("heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i := 1; i < len(events); i++ {
		if events[i].Seq < events[i-1].Seq || events[i].Time.Before(events[i-1].Time) {
			t.Errorf("event %d is of sequence %d at %s, the one before of %d at %s", i, events[i].Seq, events[i].Time, events[i-1].Seq, events[i-1].Time)
		}
	}
}

// TestChangesCounterAccuracy is story 11, scenario 7: the counter in
// system.live_queries is the number of changes that were delivered.
func TestChangesCounterAccuracy(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	r.insert(t, 1000, 1004)
	sub := subscribe(t, r.listener(t), "SELECT * FROM messages WHERE id < 2000", link.LastRows(-1))
	r.insert(t, 1, 20)
	harness.Exec(t, r.writer, "UPDATE messages SET content = 'all' WHERE id <= 20")
	harness.Exec(t, r.writer, "DELETE FROM messages WHERE id <= 10")
	r.insert(t, 2000, 2004) // the filter does not want them
	events := rows(t, sub, 5+50)
	for i, e := range events {
		if initial := e.Kind == link.EventInitial; initial != (i < 5) {
			t.Errorf("event %d is %s", i+1, e.Kind)
		}
	}
	type live struct {
		Changes   int64
		UserID    string
		TableName string
	}
	// A user sees the own live queries.
	got := harness.Query[live](t, r.writer, "SELECT changes, user_id, table_name FROM system.live_queries WHERE live_id = $1", sub.LiveID())
	if len(got) != 1 || got[0] != (live{50, "ada", "messages"}) {
		t.Errorf("system.live_queries has %+v, want 50 changes", got)
	}
	other := r.server.As(t, "bob")
	if got := harness.Query[live](t, other, "SELECT changes, user_id, table_name FROM system.live_queries WHERE live_id = $1", sub.LiveID()); len(got) != 0 {
		t.Errorf("another user sees %+v", got)
	}
}

// TestMultipleListenersSameTable is story 11, scenario 4 with several
// listeners: each hears all 20 messages, whatever happens to the others.
func TestMultipleListenersSameTable(t *testing.T) {
	t.Parallel()
	networks(t, func(t *testing.T, cut func(int, *room)) {
		r := newRoom(t, messagesTable)
		subs := []*link.Subscription{
			subscribe(t, r.listener(t), "SELECT * FROM messages"),
			subscribe(t, r.listener(t), "SELECT * FROM messages"),
			subscribe(t, r.writer, "SELECT * FROM messages"),
		}
		stranger := subscribe(t, r.server.As(t, "bob", link.WithNamespace(r.ns)), "SELECT * FROM messages")
		gone := subscribe(t, r.listener(t), "SELECT * FROM messages")
		for i := 1; i <= 20; i++ {
			r.insert(t, i, i)
			if i == 10 {
				_ = gone.Close()
			}
			cut(i, r)
		}
		for _, sub := range subs {
			events := rows(t, sub, 20)
			eachOnce(t, events, 20)
			inOrder(t, events)
		}
		nothingMore(t, subs[0], r.writer, "messages", "'end'")
		// The table is every user's own: another user's listener heard nothing.
		nothingMore(t, stranger, r.server.As(t, "bob", link.WithNamespace(r.ns)), "messages", "'mine'")
	})
}

// TestListenerReconnectNoDataLoss is story 11 with a network that breaks:
// whatever is committed while a listener is away arrives once it is back, once.
func TestListenerReconnectNoDataLoss(t *testing.T) {
	t.Parallel()
	t.Run("network", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, messagesTable)
		sub := subscribe(t, r.listener(t), "SELECT * FROM messages")
		r.insert(t, 1, 10)
		events := rows(t, sub, 10)
		r.proxy.Down()
		r.insert(t, 11, 15)
		r.proxy.Up()
		r.insert(t, 16, 20)
		events = append(events, rows(t, sub, 10)...)
		eachOnce(t, events, 20)
		nothingMore(t, sub, r.writer, "messages", "'end'")
	})
	t.Run("rows changed meanwhile", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, messagesTable)
		sub := subscribe(t, r.listener(t), "SELECT * FROM messages WHERE content <> 'hidden'")
		r.insert(t, 1, 10)
		rows(t, sub, 10)
		r.proxy.Down()
		harness.Exec(t, r.writer, "UPDATE messages SET content = 'new' WHERE id = 1")
		harness.Exec(t, r.writer, "UPDATE messages SET content = 'newer' WHERE id = 1")
		harness.Exec(t, r.writer, "DELETE FROM messages WHERE id = 2")
		harness.Exec(t, r.writer, "UPDATE messages SET content = 'hidden' WHERE id = 3")
		r.proxy.Up()
		got := map[int64]string{}
		for _, e := range rows(t, sub, 3) {
			id := field[int64](t, e.Row, "id")
			if _, twice := got[id]; twice || !e.CatchUp {
				t.Errorf("row %d: twice %v, caught up %v", id, twice, e.CatchUp)
			}
			if got[id] = "gone"; e.Kind != link.EventDelete {
				got[id] = field[string](t, e.Row, "content")
			}
		}
		if len(got) != 3 || got[1] != "newer" || got[2] != "gone" || got[3] != "gone" {
			t.Errorf("heard %v", got)
		}
		nothingMore(t, sub, r.writer, "messages", "'end'")
	})
	t.Run("server killed", func(t *testing.T) {
		harness.NeedDurable(t)
		t.Parallel()
		server := harness.Start(t)
		harness.Exec(t, server.Admin(t), "CREATE NAMESPACE app; CREATE USER TABLE app.messages (id BIGINT PRIMARY KEY, content TEXT)")
		r := &room{server: server, ns: "app", writer: server.As(t, "ada", link.WithNamespace("app")), proxy: harness.NewProxy(t, server)}
		sub := subscribe(t, r.listener(t), "SELECT * FROM messages", link.LastRows(-1))
		r.insert(t, 1, 10)
		events := rows(t, sub, 10)
		r.proxy.Down()
		r.insert(t, 11, 15)
		server.Kill()
		server.Restart()
		r.proxy.Up()
		r.insert(t, 16, 20)
		events = append(events, rows(t, sub, 10)...)
		eachOnce(t, events, 20)
		nothingMore(t, sub, r.writer, "messages", "'end'")
		server.Stop()
		server.Restart()
		r.insert(t, 21, 21)
		if e := rows(t, sub, 1)[0]; field[int64](t, e.Row, "id") != 21 {
			t.Errorf("after a restart came %s %v", e.Kind, e.Row)
		}
	})
	t.Run("by hand", func(t *testing.T) {
		t.Parallel()
		r := newRoom(t, messagesTable)
		first := r.server.Socket(t, "ada")
		ask := func(s *harness.Socket, o *wire.SubscriptionOptions) wire.ServerMessage {
			t.Helper()
			if err := s.Send(wire.ClientMessage{Subscriptions: []wire.Subscription{{ID: "s", SQL: "SELECT * FROM " + r.ns + ".messages", Options: o}}}); err != nil {
				t.Fatal(err)
			}
			return read(t, s)
		}
		if ack := ask(first, nil); ack.Type != wire.TypeSubscriptionAck {
			t.Fatalf("the answer is %+v", ack)
		}
		r.insert(t, 1, 10)
		var last uint64
		for i := range 10 {
			m := read(t, first)
			if m.Type != wire.TypeChange || m.ChangeType != "insert" || len(m.Rows) != 1 || m.Seq <= last {
				t.Fatalf("message %d is %+v behind sequence %d", i+1, m, last)
			}
			last = m.Seq
		}
		_ = first.Close()
		r.insert(t, 11, 20)
		second := r.server.Socket(t, "ada")
		if ack := ask(second, &wire.SubscriptionOptions{FromSeq: &last}); ack.Type != wire.TypeSubscriptionAck || ack.Seq < last+10 {
			t.Fatalf("the answer is %+v", ack)
		}
		seen := map[string]bool{}
		for len(seen) < 10 {
			m := read(t, second)
			if m.Type != wire.TypeChange || !m.CatchUp || m.ChangeType != "insert" {
				t.Fatalf("the server repeats %+v", m)
			}
			for _, row := range m.Rows {
				var v struct{ ID json.Number }
				if err := json.Unmarshal(row, &v); err != nil || seen[v.ID.String()] {
					t.Fatalf("%s, seen before: %v, %v", row, seen[v.ID.String()], err)
				}
				seen[v.ID.String()] = true
			}
		}
		r.insert(t, 21, 21)
		if m := read(t, second); m.Type != wire.TypeChange || m.CatchUp || m.Seq <= last {
			t.Errorf("after the repetition came %+v", m)
		}
		ahead := last + 1_000_000
		third := r.server.Socket(t, "ada")
		if m := ask(third, &wire.SubscriptionOptions{FromSeq: &ahead}); m.Type != wire.TypeError || m.Code != string(link.CodeResyncRequired) {
			t.Errorf("a sequence from the future: %+v", m)
		}
	})
}

// read waits for the next message of a socket.
func read(t *testing.T, s *harness.Socket) wire.ServerMessage {
	t.Helper()
	m, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestHighFrequencyChanges is story 11, scenario 4 at speed: 1000 messages
// written as fast as the server takes them all arrive, with the sequence
// numbers that the rows have.
func TestHighFrequencyChanges(t *testing.T) {
	t.Parallel()
	networks(t, func(t *testing.T, cut func(int, *room)) {
		r := newRoom(t, messagesTable)
		sub := subscribe(t, r.listener(t), "SELECT id, _seq FROM messages", link.LastRows(-1))
		var writers sync.WaitGroup
		for w := range 10 {
			writers.Go(func() {
				ctx := harness.Context(t)
				for i := range 20 {
					first := w*100 + i*5 + 1
					if _, err := r.writer.Exec(ctx, "INSERT INTO messages (id) VALUES ($1), ($2), ($3), ($4), ($5)", first, first+1, first+2, first+3, first+4); err != nil {
						t.Errorf("insert %d: %v", first, err)
						return
					}
					cut(i+9*w, r)
				}
			})
		}
		events := rows(t, sub, 1000)
		writers.Wait()
		eachOnce(t, events, 1000)
		type row struct {
			ID  int64
			Seq int64 `kalam:"_seq"`
		}
		byID := map[int64]int64{}
		for _, r := range harness.Query[row](t, r.writer, "SELECT id, _seq FROM messages") {
			byID[r.ID] = r.Seq
		}
		live := slices.DeleteFunc(slices.Clone(events), func(e link.Event) bool { return e.CatchUp })
		for _, e := range events {
			id, seq := field[int64](t, e.Row, "id"), field[int64](t, e.Row, "_seq")
			if byID[id] != seq {
				t.Errorf("row %d came with sequence %d and has %d", id, seq, byID[id])
			}
			if !e.CatchUp && uint64(seq) > e.Seq {
				t.Errorf("row %d has sequence %d, its message %d", id, seq, e.Seq)
			}
		}
		if !slices.IsSortedFunc(live, func(a, b link.Event) int {
			return cmp.Compare(field[int64](t, a.Row, "_seq"), field[int64](t, b.Row, "_seq"))
		}) {
			t.Error("the changes did not come in the order of their sequence numbers")
		}
	})
}

// TestLiveQueryRefusals is story 11 with bad input: what cannot be followed is
// refused with a code, and the connection goes on.
func TestLiveQueryRefusals(t *testing.T) {
	t.Parallel()
	r := newRoom(t, messagesTable)
	c := r.listener(t)
	for _, tc := range []struct {
		sql  string
		opts []link.SubscribeOption
		code link.Code
	}{
		{"SELEC * FROM messages", nil, link.CodeInvalidSQL},
		{"INSERT INTO messages VALUES (1, 'x')", nil, link.CodeInvalidSQL},
		{"SELECT * FROM nothing", nil, link.CodeTableNotFound},
		{"SELECT nothing FROM messages", nil, link.CodeColumnNotFound},
		{"SELECT * FROM messages WHERE id = $1", nil, link.CodeParameterMismatch},
		{"SELECT * FROM messages WHERE id = $1", []link.SubscribeOption{link.Params("x")}, link.CodeTypeMismatch},
		{"SELECT count(*) FROM messages", nil, link.CodeUnsupported},
		{"SELECT * FROM messages ORDER BY id LIMIT 1", nil, link.CodeUnsupported},
		{"SELECT * FROM messages WHERE content > now()::text", nil, link.CodeUnsupported},
		{"SELECT * FROM system.users", nil, ""},
		{"SELECT * FROM messages", []link.SubscribeOption{link.LastRows(-2)}, link.CodeInvalidSQL},
		{"SELECT * FROM messages", []link.SubscribeOption{link.OnSlow("never")}, ""},
	} {
		sub, err := c.Subscribe(harness.Context(t), tc.sql, tc.opts...)
		if err == nil {
			_ = sub.Close()
		}
		if err == nil || tc.code != "" && link.CodeOf(err) != tc.code {
			t.Errorf("%s: %v, want %s", tc.sql, err, tc.code)
		}
	}
	sub := subscribe(t, c, "SELECT * FROM messages")
	nothingMore(t, sub, r.writer, "messages", "'end'")

	for name, h := range map[string]http.Header{
		"bad token":        {"Authorization": {"Bearer nonsense"}},
		"another's name":   {"Authorization": {"Bearer " + harness.Token(t, "ada", "user")}, wire.HeaderUserID: {"bob"}},
		"a foreign page":   {"Origin": {"https://evil.example"}},
		"not local at all": {"X-Forwarded-For": {"203.0.113.7"}, "Authorization": {"Bearer x.y.z"}},
	} {
		if s, err := harness.Open(r.server.URL, h); err == nil {
			_ = s.Close()
			t.Errorf("%s: the server opened a WebSocket", name)
		}
	}
}
