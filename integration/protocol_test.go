package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
	"github.com/kalamdb/kalamdb/link/protocoltest"
)

// TestProtocol plays the client's part of every conversation of link's tests
// to a server, which must say its part.
func TestProtocol(t *testing.T) {
	all, err := protocoltest.Load(filepath.Join(harness.Root(), "link", "testdata", "protocol"))
	if err != nil {
		t.Fatal(err)
	}
	server := harness.Shared(t)
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			ns := server.Namespace(t)
			admin := server.Admin(t, link.WithNamespace(ns))
			harness.Exec(t, admin, c.Prepare)
			s := &said{
				t: t, server: server, namespace: ns, vars: protocoltest.Variables{"$ns": ns},
				user: server.As(t, "ada", link.WithNamespace(ns)),
			}
			for i, step := range c.Steps {
				if err := s.step(step); err != nil {
					t.Fatalf("step %d: %v", i+1, err)
				}
			}
		})
	}
}

// said is a client that says what a conversation says.
type said struct {
	t         *testing.T
	server    *harness.Server
	namespace string
	vars      protocoltest.Variables
	user      *link.Client
	socket    *harness.Socket
	answer    *http.Response
	body      []byte
}

func (s *said) step(step protocoltest.Step) error {
	switch {
	case step.SQL != "":
		sql := step.SQL
		for name, v := range s.vars {
			if text, ok := v.(string); ok {
				sql = strings.ReplaceAll(sql, "'"+name+"'", "'"+text+"'")
			}
		}
		harness.Exec(s.t, s.user, sql)
	case step.Client != nil:
		if s.socket == nil {
			s.socket = s.server.Socket(s.t, "ada")
		}
		b, err := s.vars.Fill(step.Client)
		if err != nil {
			return err
		}
		return s.socket.Frame(harness.OpText, b)
	case step.Server != nil:
		b, err := s.socket.ReadText(harness.Limit)
		if err != nil {
			return err
		}
		return s.vars.Match(step.Server, b)
	case step.Cut:
		_ = s.socket.Close()
		s.socket = nil
	case step.Request != nil:
		return s.ask(step.Request)
	case step.Response != nil:
		if s.answer.StatusCode != step.Response.Status {
			return fmt.Errorf("the status is %s: %s", s.answer.Status, s.body)
		}
		for k, v := range step.Response.Headers {
			if got := s.answer.Header.Get(k); got != v {
				return fmt.Errorf("the header %s is %q", k, got)
			}
		}
		return s.vars.Match(step.Response.Body, s.body)
	}
	return nil // what a client makes of it is nothing to the server
}

func (s *said) ask(r *protocoltest.Request) error {
	body, err := s.vars.Fill(r.Body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(s.t.Context(), r.Method, s.server.URL+r.Path, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	for k, v := range r.Headers {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if text, err = s.vars.Fill(text); err != nil {
			return err
		}
		if err := json.Unmarshal(text, &v); err != nil {
			return err
		}
		req.Header.Set(k, v)
	}
	req.Header.Set("Authorization", "Bearer "+harness.Token(s.t, "ada", "user"))
	if s.answer, err = http.DefaultClient.Do(req); err != nil {
		return err
	}
	defer s.answer.Body.Close()
	s.body, err = io.ReadAll(s.answer.Body)
	return err
}
