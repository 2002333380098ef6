package live_test

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/live/filter"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// inRoom is what the engine compiles of "SELECT body … WHERE room = 'go'".
type inRoom struct{}

func (inRoom) Match(row sqltype.Row) (bool, error) { return row[0].Str() == "go", nil }

func (inRoom) Project(row, dst sqltype.Row) error {
	dst[0] = row[1]
	return nil
}

// A subscription is registered, started at the sequence number of a snapshot,
// and then read.
func Example() {
	hub := live.NewHub(live.Options{})
	defer hub.Close()

	s, err := hub.Register(live.Spec{
		ID: "live-1", User: "ann", Query: "SELECT body FROM app.messages WHERE room = 'go'",
		Plan: &live.Plan{
			Table: &ddl.Table{
				ID: 1, Namespace: "app", Name: "messages", Type: ident.UserTable, SchemaVersion: 1,
				Columns: []ddl.Column{{Name: "room", Type: sqltype.TText}, {Name: "body", Type: sqltype.TText}},
			},
			Columns:       []live.Column{{Name: "body", Type: sqltype.TText}},
			FilterKey:     "room = 'go'",
			ProjectionKey: "body",
			Equal:         []filter.Equality{{Ordinal: 0, Value: sqltype.NewText("go")}},
			NewEval:       func() filter.Evaluator { return inRoom{} },
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	if err := s.Start(live.Start{Seq: 41}); err != nil {
		fmt.Println(err)
		return
	}

	row := func(room, body string) sqltype.Row {
		return sqltype.Row{sqltype.NewText(room), sqltype.NewText(body)}
	}
	hub.Publish([]*change.Event{
		{Seq: 42, Op: change.Insert, Table: 1, User: "ann", New: row("go", "hello")},
		{Seq: 43, Op: change.Insert, Table: 1, User: "ann", New: row("sql", "not here")},
		{Seq: 44, Op: change.Insert, Table: 1, User: "bob", New: row("go", "not hers")},
	})
	hub.Publish([]*change.Event{
		{Seq: 45, Op: change.Update, Table: 1, User: "ann", Old: row("go", "hello"), OldSeq: 42, New: row("sql", "hello")},
	})
	for range 2 {
		m, err := s.Next(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.Seq, m.Kind, m.Rows[0][0].Str())
	}
	// Output:
	// 42 insert hello
	// 45 delete hello
}
