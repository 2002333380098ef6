package repl

import (
	"context"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

// maxNames bounds how many columns are read for completion.
const maxNames = 20000

// refreshNames asks for the names on the server to be read again; it does not
// wait.
func (a *App) refreshNames() {
	select {
	case a.refresh <- struct{}{}:
	default:
	}
}

// keepNames reads the names whenever it is asked to, until the context ends.
// Names are a convenience: what goes wrong here is not told.
func (a *App) keepNames(ctx context.Context, client func() *link.Client) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.refresh:
		}
		qctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		a.readNames(qctx, client())
		cancel()
	}
}

func (a *App) readNames(ctx context.Context, c *link.Client) {
	type column struct {
		Schema string `kalam:"table_schema"`
		Table  string `kalam:"table_name"`
		Column string `kalam:"column_name"`
	}
	seen := map[string]bool{}
	var namespaces []string
	tables, columns := map[string][]string{}, map[string][]string{}
	add := func(ns, table string) {
		if !seen[ns] {
			seen[ns] = true
			namespaces = append(namespaces, ns)
		}
		if key := ns + "." + table; table != "" && !seen[key] {
			seen[key] = true
			tables[ns] = append(tables[ns], table)
		}
	}
	if rows, err := c.Query(ctx, "SHOW NAMESPACES"); err == nil {
		for rows.Next() {
			if name, ok := rows.Record().Get("name"); ok {
				if s, ok := name.(string); ok {
					add(s, "")
				}
			}
		}
		rows.Close()
	}
	rows, err := c.Query(ctx, "SELECT table_schema, table_name, column_name FROM information_schema.columns")
	if err == nil {
		n := 0
		for col, err := range link.All[column](rows) {
			if err != nil {
				break
			}
			add(col.Schema, col.Table)
			key := strings.ToLower(col.Schema + "." + col.Table)
			columns[key] = append(columns[key], col.Column)
			if n++; n >= maxNames {
				break
			}
		}
	} else if rows, err := c.Query(ctx, "SHOW TABLES"); err == nil {
		for rows.Next() {
			ns, _ := rows.Record().Get("namespace")
			table, _ := rows.Record().Get("table_name")
			n, _ := ns.(string)
			t, _ := table.(string)
			add(n, t)
		}
		rows.Close()
	}
	a.names.Set(namespaces, tables, columns)
}
