package sqldriver_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/link"
	_ "github.com/kalamdb/kalamdb/link/sqldriver"
)

func open(t *testing.T, suffix string) (*sql.DB, *http.Header) {
	t.Helper()
	var header http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, `{"status":"healthy","version":"1","api_version":"v1"}`)
			return
		}
		header = r.Header.Clone()
		var req wire.SQLRequest
		json.NewDecoder(r.Body).Decode(&req)
		switch {
		case strings.HasPrefix(req.SQL, "SELECT $1"):
			fmt.Fprintf(w, `{"status":"success","results":[{"columns":["v"],"schema":[{"name":"v","type":"BIGINT"}],"rows":[[%s]],"row_count":1}]}`, req.Params[0])
		case strings.HasPrefix(req.SQL, "SELECT two"):
			io.WriteString(w, `{"status":"success","results":[{"columns":["a"],"schema":[{"name":"a","type":"INT"}],"rows":[[1],[2]],"row_count":2},
				{"columns":["b","c"],"schema":[{"name":"b","type":"TEXT"},{"name":"c","type":"TIMESTAMP"}],"rows":[["x",null]],"row_count":1}]}`)
		case strings.HasPrefix(req.SQL, "SELECT all"):
			io.WriteString(w, `{"status":"success","results":[{"columns":["i","f","d","t","b","j","ts","by","n"],
				"schema":[{"name":"i","type":"BIGINT"},{"name":"f","type":"DOUBLE"},{"name":"d","type":"DECIMAL(5,2)"},{"name":"t","type":"TEXT"},{"name":"b","type":"BOOLEAN"},{"name":"j","type":"JSON"},{"name":"ts","type":"TIMESTAMP"},{"name":"by","type":"BYTES"},{"name":"n","type":"TEXT"}],
				"rows":[[9007199254740993,1.5,"1.50","text",true,{"a":1},"2025-10-21T10:00:00.000001Z","AAE=",null]],"row_count":1}]}`)
		case strings.HasPrefix(req.SQL, "SELECT breaks"):
			io.WriteString(w, `{"results":[{"columns":["a"],"rows":[[1]]}],"status":"error","error":{"code":"TIMEOUT","message":"too long"}}`)
		case strings.HasPrefix(req.SQL, "INSERT"):
			io.WriteString(w, `{"status":"success","results":[{"columns":[],"row_count":3,"message":"3 rows inserted"}]}`)
		default:
			w.WriteHeader(404)
			io.WriteString(w, `{"status":"error","results":[],"error":{"code":"TABLE_NOT_FOUND","sqlstate":"42P01","message":"no such table"}}`)
		}
	}))
	t.Cleanup(srv.Close)
	db, err := sql.Open("kalamdb", "kalamdb://ada@"+strings.TrimPrefix(srv.URL, "http://")+suffix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, &header
}

func TestQueries(t *testing.T) {
	db, header := open(t, "/chat?token=tok&timeout=5s")
	var n int64
	if err := db.QueryRow("SELECT $1", int64(1)<<53+1).Scan(&n); err != nil || n != 1<<53+1 {
		t.Errorf("%d, %v", n, err)
	}
	if h := *header; h.Get("X-USER-ID") != "ada" || h.Get("X-NAMESPACE") != "chat" || h.Get("Authorization") != "Bearer tok" {
		t.Errorf("headers %v", h)
	}
	st, err := db.Prepare("SELECT $1")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.QueryRow(uint32(7)).Scan(&n); err != nil || n != 7 {
		t.Errorf("%d, %v", n, err)
	}
	res, err := db.Exec("INSERT INTO t VALUES ($1)", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if k, _ := res.RowsAffected(); k != 3 {
		t.Errorf("%d rows", k)
	}
	if _, err := res.LastInsertId(); err == nil {
		t.Error("there is a last insert id")
	}
	if err := db.Ping(); CodeNot(err, link.CodeTableNotFound) {
		t.Errorf("ping runs SELECT 1, which this server does not know: %v", err)
	}
}

// CodeNot tells whether the error has another code.
func CodeNot(err error, c link.Code) bool { return link.CodeOf(err) != c }

func TestValues(t *testing.T) {
	db, _ := open(t, "")
	var (
		i    int64
		f    float64
		d, s string
		b    bool
		j    json.RawMessage
		ts   time.Time
		by   []byte
		n    sql.NullString
	)
	rows, err := db.Query("SELECT all")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types, _ := rows.ColumnTypes()
	if types[2].DatabaseTypeName() != "DECIMAL(5,2)" {
		t.Errorf("type %s", types[2].DatabaseTypeName())
	}
	rows.Next()
	if err := rows.Scan(&i, &f, &d, &s, &b, &j, &ts, &by, &n); err != nil {
		t.Fatal(err)
	}
	if i != 9007199254740993 || f != 1.5 || d != "1.50" || s != "text" || !b || string(j) != `{"a":1}` || ts.Nanosecond() != 1000 || len(by) != 2 || n.Valid {
		t.Error(i, f, d, s, b, string(j), ts, by, n)
	}
}

func TestSeveralResults(t *testing.T) {
	db, _ := open(t, "")
	rows, err := db.Query("SELECT two")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	if n != 2 || !rows.NextResultSet() {
		t.Fatalf("%d rows, %v", n, rows.Err())
	}
	cols, _ := rows.Columns()
	rows.Next()
	var b string
	var c sql.NullTime
	if err := rows.Scan(&b, &c); err != nil || len(cols) != 2 || b != "x" || c.Valid {
		t.Errorf("%v %q %v %v", cols, b, c, err)
	}
	if rows.Next() || rows.NextResultSet() || rows.Err() != nil {
		t.Errorf("there is more: %v", rows.Err())
	}
}

func TestErrors(t *testing.T) {
	db, _ := open(t, "")
	_, err := db.Query("SELECT * FROM missing")
	var le *link.Error
	if !errors.As(err, &le) || le.SQLState != "42P01" {
		t.Errorf("error %v", err)
	}
	rows, err := db.Query("SELECT breaks")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
	}
	if link.CodeOf(rows.Err()) != link.CodeTimeout {
		t.Errorf("error in the middle: %v", rows.Err())
	}
	rows.Close()
	if _, err := db.Begin(); err == nil {
		t.Error("a transaction began")
	}
	if _, err := db.Exec("INSERT", sql.Named("a", 1)); err == nil {
		t.Error("a named parameter was accepted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.ExecContext(ctx, "INSERT"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, dsn := range []string{"postgres://h", "kalamdb://u:secret@h", "kalamdb://h?timeout=soon", "kalamdb://h?tls=maybe", "kalamdb://h?x=1", "kalamdb://", "kalamdb://h:p:q"} {
		db, err := sql.Open("kalamdb", dsn)
		if err == nil {
			db.Close()
			t.Errorf("%s was accepted", dsn)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}
