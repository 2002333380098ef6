package wire_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// decode reads a message strictly: a field that the type does not know is an
// error, so the documented examples and the types cannot drift apart.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewBufferString(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestHTTPAnswers(t *testing.T) {
	ok := decode[wire.SQLResponse](t, `{"status":"success","took_ms":1.42,"results":[
		{"columns":["id","content"],"schema":[{"name":"id","type":"BIGINT"},{"name":"content","type":"TEXT"}],
		 "rows":[{"id":9223372036854775807,"content":"hi"}],"row_count":1},
		{"columns":[],"row_count":3,"message":"3 rows inserted"}]}`)
	if len(ok.Results) != 2 || ok.Results[0].Schema[0].Type != "BIGINT" || ok.Results[1].RowCount != 3 {
		t.Errorf("%+v", ok)
	}
	if got := string(ok.Results[0].Rows[0]); got != `{"id":9223372036854775807,"content":"hi"}` {
		t.Errorf("the row lost digits or order: %s", got)
	}
	failed := decode[wire.SQLResponse](t, `{"status":"error","took_ms":0.4,"results":[],
		"error":{"code":"TABLE_NOT_FOUND","sqlstate":"42P01","message":"m","details":"SELECT * FROM app.x","statement":2,"line":1,"column":15}}`)
	if failed.Error == nil || failed.Error.Statement != 2 || failed.Error.Column != 15 {
		t.Errorf("%+v", failed.Error)
	}
}

func TestClientMessages(t *testing.T) {
	m := decode[wire.ClientMessage](t, `{"subscriptions":[{"id":"s1","sql":"SELECT 1","params":["a",1],
		"options":{"last_rows":50,"from_seq":123,"int64":"string","buffer":1000,"on_slow":"resync"}}]}`)
	s := m.Subscriptions[0]
	if s.ID != "s1" || *s.Options.LastRows != 50 || *s.Options.FromSeq != 123 || s.Options.OnSlow != wire.OnSlowResync {
		t.Errorf("%+v", s)
	}
	if m := decode[wire.ClientMessage](t, `{"type":"unsubscribe","subscription_id":"s1"}`); m.SubscriptionID != "s1" {
		t.Errorf("%+v", m)
	}
}

func TestServerMessages(t *testing.T) {
	for _, text := range []string{
		`{"type":"subscription_ack","subscription_id":"s1","live_id":"x","last_rows":50,"seq":4711,"schema":[{"name":"a","type":"INT"}]}`,
		`{"type":"initial_data","subscription_id":"s1","rows":[{"a":1}],"count":1,"seq":4711,"last":true}`,
		`{"type":"change","subscription_id":"s1","change_type":"update","rows":[{"a":2}],"old_values":[{"a":1}],"seq":4712,"timestamp":"2025-10-21T00:00:00Z"}`,
		`{"type":"error","subscription_id":"s1","code":"TABLE_NOT_FOUND","message":"m"}`,
		`{"type":"closed","subscription_id":"s1","reason":"killed"}`,
	} {
		m := decode[wire.ServerMessage](t, text)
		back, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if again := decode[wire.ServerMessage](t, string(back)); again.Type != m.Type || again.Seq != m.Seq || len(again.Rows) != len(m.Rows) {
			t.Errorf("%s became %s", text, back)
		}
	}
}
