package core_test

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/store/vector"
)

// printer is a sink that prints what it is given.
type printer struct{}

func (printer) Begin([]sql.ResultColumn) error { return nil }

func (printer) Batch(b *vector.Batch) error {
	row := make(sqltype.Row, len(b.Cols))
	for i := range b.Rows() {
		b.ReadRow(i, row)
		fmt.Println(row[0].Text(), row[1].Text())
	}
	return nil
}

func (printer) End(o core.Outcome) error {
	if o.Message != "" {
		fmt.Println(o.Message)
	}
	return nil
}

func ExampleSession_Execute() {
	ctx := context.Background()
	cfg := config.Default()
	cfg.Store.Backend = config.BackendMemory
	e, err := core.Open(ctx, cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close(ctx)
	s, err := e.Session(core.Principal{User: "ann", Role: ident.RoleAdmin}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	err = s.Execute(ctx, core.Request{SQL: `
		CREATE NAMESPACE app;
		CREATE USER TABLE app.notes (id INT PRIMARY KEY, body TEXT);
		INSERT INTO app.notes VALUES (1, 'milk'), (2, 'bread');
		SELECT id, body FROM app.notes ORDER BY id;
		SELECT * FROM app.nothing`}, printer{})
	fmt.Println(err)
	// Output:
	// Namespace app created
	// Table app.notes created
	// 2 rows inserted
	// 1 milk
	// 2 bread
	// Statement 5 failed: table app.nothing does not exist
}
