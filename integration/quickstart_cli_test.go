package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/integration/harness"
)

// TestQuickstartAtThePrompt is the main job again, typed at kalam-cli's
// prompt in a pseudo-terminal.
func TestQuickstartAtThePrompt(t *testing.T) {
	box := readMailbox(t)
	server := harness.Start(t)
	me, other := box.senders[0], box.senders[1]

	admin := harness.StartClient(t, "-h", server.URL)
	admin.Expect(harness.Prompt)
	for line := range strings.SplitSeq(strings.TrimSpace(schema), ";") {
		if line = strings.Join(strings.Fields(line), " "); line == "" {
			continue
		}
		admin.Type(line + ";\r")
		admin.Expect("created")
		admin.Expect(harness.Prompt)
	}
	if got := admin.Enter("SHOW TABLES IN chat;"); !strings.Contains(got, "messages") || !strings.Contains(got, "archive") || !strings.Contains(got, "typing") {
		t.Errorf("SHOW TABLES shows\n%s", got)
	}
	if got := admin.Enter("DESCRIBE chat.messages;"); !strings.Contains(got, "sent_at") || !strings.Contains(got, "TIMESTAMP") {
		t.Errorf("DESCRIBE shows\n%s", got)
	}
	admin.Type(`\quit` + "\r")
	if code := admin.Wait(); code != 0 {
		t.Errorf("\\quit ended with code %d", code)
	}

	user := func(name string) *harness.Terminal {
		c := harness.StartClient(t, "-h", server.URL, "-u", name, "--token", harness.Token(t, name, "user"), "-n", "chat")
		c.Expect(harness.Prompt)
		return c
	}
	writer, watcher, stranger := user(me), user(me), user(other)

	msgs := box.bySender[me][:20]
	thread := msgs[0].Thread
	watcher.Type("SUBSCRIBE TO messages WHERE thread = '" + thread + "';\r")
	watcher.Expect("Subscribed to")
	inThread := 0
	for _, m := range msgs {
		// A statement over two lines: the second prompt is another one.
		writer.Type("INSERT INTO messages (id, channel, thread, sender, sent_at, subject)\r")
		writer.Type(fmt.Sprintf("VALUES (%d, '%s', '%s', '%s', '%s', 'subject %d');\r",
			m.ID, m.Channel, m.Thread, m.Sender, m.SentAt.Format("2006-01-02 15:04:05"), m.ID))
		writer.Expect("1 row inserted")
		writer.Expect(harness.Prompt)
		if m.Thread == thread {
			inThread++
			watcher.Expect("INSERT")
			watcher.Expect(fmt.Sprintf("id=%d ", m.ID))
		}
	}
	watcher.Type(harness.CtrlC)
	watcher.Expect(harness.Prompt)

	if got := writer.Enter("SELECT count(*) AS n FROM messages;"); !strings.Contains(got, fmt.Sprintf("| %d |", len(msgs))) {
		t.Errorf("the count is\n%s", got)
	}
	if got := watcher.Enter("SELECT count(*) AS n FROM messages WHERE thread = '" + thread + "';"); !strings.Contains(got, fmt.Sprintf(" %d |", inThread)) {
		t.Errorf("the count of the thread is\n%s", got)
	}
	if got := stranger.Enter("SELECT id FROM messages;"); !strings.Contains(got, "(0 rows)") {
		t.Errorf("a stranger sees\n%s", got)
	}
	if got := writer.Enter("SELEC 1;"); !strings.Contains(got, "Did you mean SELECT?") {
		t.Errorf("the error is\n%s", got)
	}
	if got := writer.Enter(`\help`); !strings.Contains(got, `\quit`) || !strings.Contains(got, "SUBSCRIBE TO") {
		t.Errorf("\\help shows\n%s", got)
	}
	writer.Type(harness.CtrlD)
	if code := writer.Wait(); code != 0 {
		t.Errorf("Ctrl+D ended with code %d", code)
	}
}
