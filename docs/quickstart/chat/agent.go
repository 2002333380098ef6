package main

import (
	"context"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

// A Responder answers a question token by token. To put a language model
// behind the chat, write another one.
type Responder interface {
	// Respond gives the answer's tokens as they come; the answer is all of
	// them together. It ends early when the context does.
	Respond(ctx context.Context, question string) iter.Seq2[string, error]
}

// script is a Responder that needs no model: it knows one answer and types it.
type script struct{ pause time.Duration }

// Respond repeats the question and says where the answer goes.
func (s script) Respond(ctx context.Context, question string) iter.Seq2[string, error] {
	answer := "You asked: “" + question + "” I am a script, so I cannot know. But each of these words was a row " +
		"in your own part of a table before you read it, and the whole answer will be one more."
	return func(yield func(string, error) bool) {
		for token := range strings.SplitAfterSeq(answer, " ") {
			select {
			case <-ctx.Done():
				yield("", ctx.Err())
				return
			case <-time.After(s.pause):
			}
			if !yield(token, nil) {
				return
			}
		}
	}
}

// idle is how long an agent waits for a person who neither asks nor has the
// page open, which gets a new token every few minutes.
const idle = 15 * time.Minute

// agents holds one agent for each person who is here.
type agents struct {
	ctx     context.Context
	service *link.Client
	respond Responder
	running sync.WaitGroup

	mu   sync.Mutex
	seen map[string]time.Time // by user, while an agent is there
}

func newAgents(ctx context.Context, service *link.Client, r Responder) *agents {
	return &agents{ctx: ctx, service: service, respond: r, seen: map[string]time.Time{}}
}

// attend sees to it that somebody answers the user.
func (a *agents) attend(user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, there := a.seen[user]
	a.seen[user] = time.Now()
	if there || a.ctx.Err() != nil {
		return
	}
	a.running.Go(func() {
		for {
			if err := a.serve(user); err != nil && a.ctx.Err() == nil {
				slog.Error("the agent lost its live query", "user", user, "err", err)
			}
			if a.leave(user) {
				return
			}
			select {
			case <-a.ctx.Done():
			case <-time.After(time.Second):
			}
		}
	})
}

// leave tells whether the agent may go, and strikes it off the list.
func (a *agents) leave(user string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() == nil && time.Since(a.seen[user]) < idle {
		return false
	}
	delete(a.seen, user)
	return true
}

// wait waits for the agents to end, after their context did.
func (a *agents) wait() { a.running.Wait() }

type message struct {
	ID     int64
	Author string
	Body   string
}

// serve answers the user's questions: those that come, and those that were
// left open when the program ended. It ends when nobody is there.
func (a *agents) serve(user string) error {
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	go func() {
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				a.mu.Lock()
				gone := time.Since(a.seen[user]) >= idle
				a.mu.Unlock()
				if gone {
					cancel()
				}
			}
		}
	}()
	// From here on every statement sees the rows of this user and no others.
	db := a.service.With(link.WithUser(user))
	sub, err := db.Subscribe(ctx, "SELECT * FROM chat.messages WHERE author = 'user'", link.LastRows(20))
	if err != nil {
		return err
	}
	defer sub.Close()
	for event, err := range sub.Events(ctx) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if event.Kind != link.EventInitial && event.Kind != link.EventInsert {
			continue
		}
		var question message
		if err := event.Row.ScanStruct(&question); err != nil {
			return err
		}
		if err := a.answer(ctx, db, question); err != nil {
			return err
		}
	}
	return nil
}

// answer answers a question that has no answer yet: its tokens go to the
// stream table as they come, the whole to the messages.
func (a *agents) answer(ctx context.Context, db *link.Client, question message) error {
	var answers int
	if err := db.QueryRow(ctx, "SELECT count(*) FROM chat.messages WHERE answers = $1", question.ID).Scan(&answers); err != nil || answers > 0 {
		return err
	}
	var whole strings.Builder
	n := 0
	for token, err := range a.respond.Respond(ctx, question.Body) {
		if ctx.Err() != nil {
			return ctx.Err() // the next agent begins anew
		}
		if err != nil {
			slog.Error("the responder failed", "question", question.ID, "err", err)
			whole.WriteString(" … (I lost my thread; please ask again.)")
			break
		}
		if _, err := db.Exec(ctx, "INSERT INTO chat.tokens (answers, n, token) VALUES ($1, $2, $3)", question.ID, n, token); err != nil {
			return err
		}
		whole.WriteString(token)
		n++
	}
	_, err := db.Exec(ctx, "INSERT INTO chat.messages (author, body, answers) VALUES ('agent', $1, $2)", whole.String(), question.ID)
	return err
}
