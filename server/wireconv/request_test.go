package wireconv

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func TestReadRequest(t *testing.T) {
	req, err := ReadRequest([]byte(` {"params" : [1, -20,"a b", null,true , false,1.50,1e3, 12345678901234567890,0,-0] ,"sql":"SELECT 'é'","namespace_id":"app"} ` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range req.Params {
		got = append(got, p.Kind().String()+" "+string(AppendValue(nil, p, Format{})))
	}
	want := `BIGINT 1|BIGINT -20|TEXT "a b"|UNKNOWN null|BOOLEAN true|BOOLEAN false|DECIMAL "1.50"|DOUBLE 1000|DECIMAL "12345678901234567890"|BIGINT 0|BIGINT 0`
	if strings.Join(got, "|") != want || req.SQL != "SELECT 'é'" || req.Namespace != "app" || req.Format != (Format{}) {
		t.Errorf("%+v\n%s\n%s", req, strings.Join(got, "|"), want)
	}
	req, err = ReadRequest([]byte(`{"sql":"SELECT\n1","params":[{"a": [1]},"\u00e9"],"options":{"rows":"array","int64":"string"}}`))
	if err != nil || req.SQL != "SELECT\n1" || req.Params[0].Str() != `{"a":[1]}` || req.Params[1].Str() != "é" ||
		req.Format != (Format{Arrays: true, Int64Strings: true}) {
		t.Errorf("%+v %v", req, err)
	}
	for body, code := range map[string]dberr.Code{
		``: dberr.InvalidJSON, `{`: dberr.InvalidJSON, `[]`: dberr.InvalidJSON, `"x"`: dberr.InvalidJSON,
		`{"sql":"SELECT 1"} x`: dberr.InvalidJSON, `{"sql":"SELECT 1",}`: dberr.InvalidJSON, `{"sql":1}`: dberr.InvalidJSON,
		`{"sql":"SELECT 1","params":[1,]}`: dberr.InvalidJSON, `{"sql":"SELECT 1","params":[01]}`: dberr.InvalidJSON,
		`{"sql":"SELECT 1","params":[-]}`: dberr.InvalidJSON, `{"sql":"SELECT 1","params":[tru]}`: dberr.InvalidJSON,
		`{"sql":"SELECT 1","params":[+1]}`: dberr.InvalidJSON, `{"sql":"SELECT 1","params":[NaN]}`: dberr.InvalidJSON,
		"{\"sql\":\"SELECT\x011\"}": dberr.InvalidJSON, `{"sql":"SELECT 1","params":{}}`: dberr.InvalidJSON,
		`{}`: dberr.InvalidSQL, `{"sql":" \n"}`: dberr.InvalidSQL, `{"sql":"  "}`: dberr.InvalidSQL,
		`{"sql":"SELECT 1","options":{"rows":"list"}}`: dberr.InvalidSQL, `{"sql":"SELECT 1","params":[1e999]}`: dberr.TypeMismatch,
		`{"sql":"SELECT 1","params":[1` + strings.Repeat(",1", MaxParams) + `]}`: dberr.TooLarge,
	} {
		if _, err := ReadRequest([]byte(body)); dberr.CodeOf(err) != code {
			t.Errorf("%.60s: %v", body, err)
		}
	}
}

// FuzzScanRequest holds the scanner of plain bodies against encoding/json:
// what it takes means the same there.
func FuzzScanRequest(f *testing.F) {
	for _, s := range []string{
		`{"sql":"SELECT 1","params":[1,-2,"a",null,true,false,1.5,-0,0,1e3,999999999999999999,9999999999999999999],"namespace_id":"n"}`,
		`{"sql":"a","sql":"b"}`, `{"SQL":"a"}`, `{"sql":"a\n\"\\\/é","params":["\t"]}`, `{"sql":"a\u00e9"}`, `{"sql":"a\`, `{"sql":"a\x"}`,
		`{"sql":"a","options":{"rows":"array","int64":"string"}}`, `{"sql":"a","options":{}}`, `{"sql":"a","options":{"rows":"array","rows":"object"}}`,
		`{"sql":"a","options":{"rows":"list"}}`, `{"sql":"a","params":[]}`, `{"sql":"a","params":null}`,
		`{"sql":"a","params":[[1]]}`, `{ "sql" : "a" , "params" : [ 1 , 2 ] } `, `{"sql":"a","params":[01]}`, `{"sql":"a","params":[1 2]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := scanRequest(body)
		if !ok {
			return
		}
		want, err := decodeRequest(body)
		if err != nil {
			t.Fatalf("%q: scanned to %+v, but %v", body, got, err)
		}
		if len(got.Params) == 0 && len(want.Params) == 0 {
			got.Params, want.Params = nil, nil
		}
		// encoding/json mends texts that are no UTF-8; such bodies are refused before.
		if got.SQL == strings.ToValidUTF8(got.SQL, "") && got.Namespace == strings.ToValidUTF8(got.Namespace, "") && utf8Params(got.Params) && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %+v, want %+v", body, got, want)
		}
	})
}

func utf8Params(params []sqltype.Value) bool {
	for _, p := range params {
		if p.Kind() == sqltype.Text && p.Str() != strings.ToValidUTF8(p.Str(), "") {
			return false
		}
	}
	return true
}

func BenchmarkReadRequest(b *testing.B) {
	for _, bc := range []struct{ name, body string }{
		{"plain", `{"sql":"SELECT id, room, body FROM app.t WHERE id = $1","params":[500]}`},
		{"link", `{"sql":"SELECT id, room, body\nFROM app.t WHERE id = $1","params":[500],"namespace_id":"app","options":{"rows":"array"}}`},
		{"escapes", `{"sql":"SELECT id, room, body\u0020FROM app.t WHERE id = $1","params":[500]}`},
	} {
		b.Run(bc.name, func(b *testing.B) {
			body := []byte(bc.body)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ReadRequest(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
