package link_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/kalamdb/kalamdb/link"
)

func exampleServer() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, `{"status":"healthy","version":"1.0","api_version":"v1"}`)
			return
		}
		io.WriteString(w, `{"status":"success","results":[{"columns":["id","content"],
			"schema":[{"name":"id","type":"BIGINT"},{"name":"content","type":"TEXT"}],
			"rows":[[1,"hi"],[2,"there"]],"row_count":2}]}`)
	}))
}

func ExampleConnect() {
	srv := exampleServer()
	defer srv.Close()
	ctx := context.Background()

	db, err := link.Connect(ctx, srv.URL, link.WithUser("ada"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	type Message struct {
		ID      int64
		Content string
	}
	rows, err := db.Query(ctx, "SELECT id, content FROM chat.messages WHERE room = $1", "go")
	if err != nil {
		var e *link.Error
		if errors.As(err, &e) && e.Code == link.CodeTableNotFound {
			fmt.Println("create the table first:", e.Message)
		}
		return
	}
	for m, err := range link.All[Message](rows) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.ID, m.Content)
	}
	// Output:
	// 1 hi
	// 2 there
}

func ExampleClient_QueryRow() {
	srv := exampleServer()
	defer srv.Close()
	db, err := link.New(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	var id int64
	var content string
	err = db.QueryRow(context.Background(), "SELECT id, content FROM chat.messages LIMIT 1").Scan(&id, &content)
	fmt.Println(id, content, err)
	// Output: 1 hi <nil>
}

func ExampleClient_Subscribe() {
	var db *link.Client // from link.Connect
	watch := func(ctx context.Context) error {
		sub, err := db.Subscribe(ctx, "SELECT * FROM chat.messages WHERE room = $1", link.Params("go"), link.LastRows(50))
		if err != nil {
			return err
		}
		defer sub.Close()
		for ev, err := range sub.Events(ctx) {
			if err != nil {
				return err
			}
			switch ev.Kind {
			case link.EventInitial, link.EventInsert:
				id, _ := ev.Row.Get("id")
				fmt.Println("+", id)
			case link.EventReconnecting:
				fmt.Println("the connection was lost:", ev.Err)
			}
		}
		return nil
	}
	_ = watch
}
