package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/config"
)

// What asking a server is bounded by.
const (
	askTimeout = 30 * time.Second
	maxAnswer  = 256 << 20
)

// asker asks the server that the configuration describes, as an administrator:
// who can read its secret is one.
type asker struct {
	client *http.Client
	url    string
	token  string
}

func newAsker(loaded *config.Loaded) (*asker, error) {
	client, base, err := local(loaded.Server)
	if err != nil {
		return nil, err
	}
	secret, err := auth.Secret(loaded.Auth, loaded.Data.Dir)
	if err != nil {
		return nil, err
	}
	token, err := auth.Issue(loaded.Auth, secret, "system", ident.RoleAdmin, time.Now(), time.Minute)
	if err != nil {
		return nil, err
	}
	return &asker{client: client, url: base + wire.PathSQL, token: token}, nil
}

// rows runs a statement and reads its rows.
func (a *asker) rows(ctx context.Context, sql string, into any) error {
	body, err := json.Marshal(map[string]string{"sql": sql})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+a.token)
	res, err := a.client.Do(r)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	defer res.Body.Close()
	var out struct {
		Error   *struct{ Message string } `json:"error"`
		Results []struct {
			Rows json.RawMessage `json:"rows"`
		} `json:"results"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&out); err != nil {
		return fmt.Errorf("what answers at %s is no kalamdb-server (status %s)", a.url, res.Status)
	}
	switch {
	case out.Error != nil:
		return fmt.Errorf("%s", out.Error.Message)
	case len(out.Results) != 1:
		return fmt.Errorf("the server answers %s", res.Status)
	}
	return json.Unmarshal(out.Results[0].Rows, into)
}

// askInspect fills a report with what a running server says.
func (c *commands) askInspect(ctx context.Context, loaded *config.Loaded, r *inspectReport) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	a, err := newAsker(loaded)
	if err != nil {
		return err
	}
	if err := a.rows(ctx, `SELECT n.schema_name AS name,
			(SELECT count(*) FROM information_schema.tables t WHERE t.table_schema = n.schema_name AND t.table_type <> 'VIEW') AS tables,
			(SELECT count(*) FROM information_schema.tables t WHERE t.table_schema = n.schema_name AND t.table_type = 'VIEW') AS views
		FROM information_schema.schemata n WHERE n.schema_name NOT IN ('system', 'information_schema') ORDER BY 1`, &r.Namespaces); err != nil {
		return err
	}
	if err := a.rows(ctx, `SELECT namespace, table_name, table_type, table_id, schema_version, coalesce(storage_id, '') AS storage_id
		FROM system.tables WHERE namespace NOT IN ('system', 'information_schema') ORDER BY 1, 2`, &r.Tables); err != nil {
		return err
	}
	for i := range r.Tables {
		t := &r.Tables[i]
		var stats []struct {
			Buffered  int64   `json:"buffered_rows"`
			Total     int64   `json:"total_rows"`
			Bytes     int64   `json:"storage_bytes"`
			Files     int64   `json:"files"`
			LastFlush *string `json:"last_flush"`
		}
		if err := a.rows(ctx, fmt.Sprintf("SHOW TABLE STATS %s.%s", quoted(t.Namespace), quoted(t.Name)), &stats); err != nil || len(stats) == 0 {
			continue // it was dropped meanwhile
		}
		t.Hot, t.Rows, t.Bytes, t.Files = stats[0].Buffered, stats[0].Total, stats[0].Bytes, stats[0].Files
		if stats[0].LastFlush != nil {
			t.LastFlush = *stats[0].LastFlush
		}
	}
	if err := a.rows(ctx, "SELECT storage_id, storage_type, uri FROM system.storages ORDER BY 1", &r.Storages); err != nil {
		return err
	}
	return a.rows(ctx, "SELECT user_id, username, true AS registered FROM system.users ORDER BY 1", &r.Users)
}

// quoted is a name as an identifier.
func quoted(name string) string {
	var b bytes.Buffer
	b.WriteByte('"')
	for i := range len(name) {
		if name[i] == '"' {
			b.WriteByte('"')
		}
		b.WriteByte(name[i])
	}
	b.WriteByte('"')
	return b.String()
}
