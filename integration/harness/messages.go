package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Message is one row of the message data: what somebody wrote in a thread.
type Message struct {
	ID      int64     `json:"id"`
	Channel string    `json:"channel"`
	Thread  string    `json:"thread"`
	Sender  string    `json:"sender"`
	SentAt  time.Time `json:"sent_at"`
	Subject string    `json:"subject"`
	Body    string    `json:"body"`
}

// Messages reads the mailing-list messages that lie beside the repository,
// or, where they are missing, makes a set of the same shape: 3,825 messages
// of 708 senders in 94 channels and 1,791 threads.
func Messages(t testing.TB) []Message {
	t.Helper()
	f, err := os.Open(filepath.Join(Root(), "..", "shared", "data", "messages.ndjson"))
	if os.IsNotExist(err) {
		t.Log("the message file is missing; using generated messages")
		return generate()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []Message
	in := bufio.NewScanner(f)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var m Message
		if err := json.Unmarshal(in.Bytes(), &m); err != nil {
			t.Fatalf("message %d: %v", len(out)+1, err)
		}
		out = append(out, m)
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func generate() []Message {
	const messages, senders, channels, threads = 3825, 708, 94, 1791
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the server said 'hello' — naïve users; wrote \"quotes\", 日本語 and 🙂 lines\nwith breaks -- and comments $1 %d _x_ \\n end")
	out := make([]Message, messages)
	at := time.Date(2001, 3, 1, 8, 0, 0, 0, time.UTC)
	for i := range out {
		// The first rounds name every sender, channel and thread once.
		thread := i % threads
		sender := i % senders
		if i >= threads {
			thread, sender = rng.IntN(threads), int(float64(senders)*rng.Float64()*rng.Float64())
		}
		at = at.Add(time.Duration(rng.IntN(3600)) * time.Second)
		var body strings.Builder
		for range 20 + rng.IntN(200) {
			body.WriteString(words[rng.IntN(len(words))])
			body.WriteByte(' ')
		}
		out[i] = Message{
			ID: int64(i + 1), Channel: fmt.Sprintf("channel-%02d", thread%channels), Thread: fmt.Sprintf("t%04d", thread),
			Sender: fmt.Sprintf("user%03d", sender), SentAt: at, Subject: fmt.Sprintf("Re: subject %d", thread), Body: body.String(),
		}
	}
	return out
}
