package sql_test

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/logictest"
)

func ExampleCompiler_Prepare() {
	ctx := context.Background()
	db := logictest.NewDB(sql.Options{}) // any binder.Catalog and exec.Snapshot will do
	for _, stmt := range []string{
		"CREATE TABLE msg (id BIGINT PRIMARY KEY, room TEXT)",
		"INSERT INTO msg VALUES (1, 'go'), (2, 'rust'), (3, 'go')",
	} {
		if _, err := db.Exec(ctx, stmt); err != nil {
			fmt.Println(err)
			return
		}
	}
	p, err := db.Compiler.Prepare(ctx, sql.Request{
		Text:      "SELECT id, upper(room) AS room FROM msg WHERE room = $1 ORDER BY id DESC",
		Namespace: "main", Catalog: db,
		Params: []sqltype.Value{sqltype.NewText("go")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	rows, err := p.Query(ctx, db.Environment())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rows.Close()
	for {
		b, err := rows.Next(ctx)
		if b == nil || err != nil {
			break
		}
		for i := range b.Rows() {
			fmt.Println(p.Columns()[0].Name, b.Cols[0].Value(b.Row(i)).Text(), p.Columns()[1].Name, b.Cols[1].Value(b.Row(i)).Text())
		}
	}
	// Output:
	// id 3 room GO
	// id 1 room GO
}
