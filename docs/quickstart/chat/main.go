// Command chat is the backend of a chat with an agent: it serves the page,
// signs people in, gives them tokens for the database, and runs the agent. The
// messages themselves never pass through it; the page and the database talk
// directly. README.md explains it step by step.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

//go:embed page
var page embed.FS

// schema is what the chat keeps. Each user has rows of their own in both
// tables. Messages are kept; tokens only have to live for as long as an answer
// is being typed.
const schema = `
CREATE NAMESPACE IF NOT EXISTS chat;
CREATE USER TABLE IF NOT EXISTS chat.messages (
	id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
	author TEXT NOT NULL,
	body TEXT NOT NULL,
	answers BIGINT,
	sent_at TIMESTAMP DEFAULT NOW()
);
CREATE STREAM TABLE IF NOT EXISTS chat.tokens (
	id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
	answers BIGINT NOT NULL,
	n INT NOT NULL,
	token TEXT NOT NULL
) TTL 60s`

func main() {
	listen := flag.String("listen", "localhost:8090", "where the page is served")
	database := flag.String("database", "http://localhost:8080", "the KalamDB server, as this program and the page reach it")
	js := flag.String("js", filepath.Join("link", "js"), "folder of the JavaScript client; `make js` builds it")
	people := flag.String("people", "ada:lovelace,alan:turing", "who may sign in, as name:password,…")
	pause := flag.Duration("pause", 60*time.Millisecond, "how long the agent takes for a token")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, *listen, *database, *js, *people, os.Getenv("KALAMDB_AUTH_JWT_SECRET"), script{pause: *pause})
	if err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, database, js, people, secret string, r Responder) error {
	if secret == "" {
		return errors.New("KALAMDB_AUTH_JWT_SECRET is not set: it must be the database's, which is how it trusts our tokens")
	}
	accounts, err := parseAccounts(people)
	if err != nil {
		return err
	}
	sign := signer(secret)

	// The tables are made as an administrator; the agent may do less: a
	// service may act for users, and nothing else.
	admin, err := link.Connect(ctx, database, link.WithTokenSource(sign.source("chat-setup", "admin")))
	if err != nil {
		return err
	}
	_, err = admin.Batch(ctx, schema)
	_ = admin.Close()
	if err != nil {
		return err
	}
	service, err := link.Connect(ctx, database, link.WithTokenSource(sign.source("chat-agent", "service")))
	if err != nil {
		return err
	}
	defer service.Close()
	agents := newAgents(ctx, service, r)
	defer agents.wait()

	files, err := fs.Sub(page, "page")
	if err != nil {
		return err
	}
	door := &door{accounts: accounts, sign: sign, database: database, enters: agents.attend}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.Handle("GET /kalamdb/", http.StripPrefix("/kalamdb/", http.FileServer(http.Dir(js))))
	mux.HandleFunc("POST /login", door.login)
	mux.HandleFunc("GET /token", door.token)

	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: guarded(mux, database), ReadHeaderTimeout: 10 * time.Second}
	closed := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer closed()
	slog.Info("the chat is open", "url", "http://"+l.Addr().String())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
