package link

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func rec(t *testing.T, raw string, cols ...Column) *Record {
	t.Helper()
	r := &Record{}
	if _, err := r.load([]byte(raw), cols); err != nil {
		t.Fatal(err)
	}
	return r
}

type level int

type upper string

func (u *upper) UnmarshalText(b []byte) error { *u = upper(strings.ToUpper(string(b))); return nil }

func TestScanValues(t *testing.T) {
	ts := time.Date(2025, 10, 21, 10, 0, 0, 123456000, time.UTC)
	for _, tc := range []struct {
		cell, typ string
		dest      any
		want      any // nil: an error is wanted
	}{
		{`9223372036854775807`, "BIGINT", new(int64), int64(math.MaxInt64)},
		{`"9223372036854775807"`, "BIGINT", new(int64), int64(math.MaxInt64)},
		{`18446744073709551615`, "BIGINT", new(uint64), uint64(math.MaxUint64)},
		{`300`, "INT", new(int8), nil},
		{`-1`, "INT", new(uint), nil},
		{`1.5`, "DOUBLE", new(int), nil},
		{`7`, "INT", new(level), level(7)},
		{`1.5`, "DOUBLE", new(float64), 1.5},
		{`"NaN"`, "DOUBLE", new(string), "NaN"},
		{`"Infinity"`, "DOUBLE", new(float64), math.Inf(1)},
		{`1e400`, "DOUBLE", new(float64), nil},
		{`"12.3400"`, "DECIMAL(10,4)", new(string), "12.3400"},
		{`"12.5"`, "DECIMAL(10,4)", new(float64), 12.5},
		{`true`, "BOOLEAN", new(bool), true},
		{`"a\u00e4\n"`, "TEXT", new(string), "aä\n"},
		{`"abc"`, "TEXT", new(upper), upper("ABC")},
		{`"abc"`, "TEXT", new([]byte), []byte("abc")},
		{`"AAEC"`, "BYTES", new([]byte), []byte{0, 1, 2}},
		{`"2025-10-21T10:00:00.123456Z"`, "TIMESTAMP", new(time.Time), ts},
		{`"2025-10-21"`, "DATE", new(time.Time), time.Date(2025, 10, 21, 0, 0, 0, 0, time.UTC)},
		{`"soon"`, "TIMESTAMP", new(time.Time), nil},
		{`{"a":[1,2]}`, "JSON", new(map[string][]int), map[string][]int{"a": {1, 2}}},
		{`{"a":1}`, "JSON", new(json.RawMessage), json.RawMessage(`{"a":1}`)},
		{`"text"`, "JSON", new(string), `"text"`},
		{`null`, "TEXT", new(string), nil},
		{`null`, "TEXT", new(*string), (*string)(nil)},
		{`5`, "INT", new(any), int64(5)},
		{`null`, "INT", new(any), any(nil)},
		{`5`, "INT", new(chan int), nil},
		{`5`, "INT", 5, nil},
		{`5`, "INT", (*int)(nil), nil},
	} {
		t.Run(fmt.Sprintf("%s %s into %T", tc.typ, tc.cell, tc.dest), func(t *testing.T) {
			err := rec(t, "["+tc.cell+"]", col("c", tc.typ)).Scan(tc.dest)
			if _, isAny := tc.dest.(*any); tc.want == nil && !isAny {
				if err == nil || !strings.HasPrefix(err.Error(), "column c: ") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := reflect.ValueOf(tc.dest).Elem().Interface(); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %#v, want %#v", got, tc.want)
			}
		})
	}
}

func TestScanStruct(t *testing.T) {
	type base struct{ ID int64 }
	type message struct {
		base
		Body    string `kalam:"content"`
		Room    *string
		SentAt  time.Time
		Skipped string `db:"-"`
		private int    //lint:ignore U1000 a scan leaves unexported fields alone
	}
	r := rec(t, `[7,"hi",null,"2025-10-21T10:00:00Z","x",true]`, col("id", "BIGINT"), col("content", "TEXT"),
		col("room", "TEXT"), col("sent_at", "TIMESTAMP"), col("skipped", "TEXT"), col("_deleted", "BOOLEAN"))
	var m message
	if err := r.ScanStruct(&m); err != nil {
		t.Fatal(err)
	}
	if m.ID != 7 || m.Body != "hi" || m.Room != nil || m.SentAt.Hour() != 10 || m.Skipped != "" {
		t.Errorf("%+v", m)
	}
	if err := r.ScanStruct(m); err == nil {
		t.Error("a struct by value was accepted")
	}
	if err := r.Scan(new(int)); err == nil {
		t.Error("one variable for six columns was accepted")
	}
	out, err := json.Marshal(r)
	if err != nil || !strings.HasPrefix(string(out), `{"id":7,"content":"hi","room":null`) {
		t.Errorf("%s, %v", out, err)
	}
}

func TestParams(t *testing.T) {
	n := 5
	for _, tc := range []struct {
		in   any
		want string // "" means an error
	}{
		{nil, "null"}, {true, "true"}, {"a\"b", `"a\"b"`}, {int64(math.MaxInt64), "9223372036854775807"},
		{uint64(math.MaxUint64), "18446744073709551615"}, {2.0, "2.0"}, {1e30, "1e+30"}, {float32(0.1), "0.1"},
		{math.NaN(), `"NaN"`}, {math.Inf(-1), `"-Infinity"`},
		{time.Date(2025, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600)), `"2025-01-02T02:04:05.000006Z"`},
		{[]byte{0, 1, 2}, `"AAEC"`}, {[]byte(nil), "null"}, {&n, "5"}, {(*int)(nil), "null"}, {level(3), "3"},
		{json.RawMessage(`{"a":1}`), `"{\"a\":1}"`}, {json.RawMessage(`{`), ""}, {map[string]int{"a": 1}, `"{\"a\":1}"`},
		{json.Number("1.50"), "1.50"}, {json.Number("x"), ""}, {big.NewInt(1).Lsh(big.NewInt(1), 70), "1180591620717411303424"},
		{make(chan int), ""}, {func() {}, ""},
	} {
		got, err := encodeParam(tc.in)
		if (err != nil) != (tc.want == "") || string(got) != tc.want {
			t.Errorf("%T %v gives %s, %v; want %s", tc.in, tc.in, got, err, tc.want)
		}
	}
}

func TestScannerAtEveryBoundary(t *testing.T) {
	text := `{"a":"x\\\"y","b":[{"c":[1,2.5,-3e4]},"}]",null],"d":true , "e" : "é\ud83d\ude00" }`
	for name, r := range map[string]io.Reader{
		"a byte at a time":   iotest.OneByteReader(strings.NewReader(text)),
		"with the end":       iotest.DataErrReader(strings.NewReader(text)),
		"half of it":         iotest.HalfReader(strings.NewReader(text)),
		"empty reads before": io.MultiReader(strings.NewReader(""), strings.NewReader(text)),
	} {
		s := newScanner(r, -1)
		s.buf = make([]byte, 0, 4)
		got, err := s.value()
		if err != nil || string(got) != strings.TrimSpace(text) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// FuzzSplitRow holds splitRow against encoding/json: what it takes for a row is
// what that reads as one, cell by cell.
func FuzzSplitRow(f *testing.F) {
	for _, seed := range []string{
		`[1,"a",null]`, `{"a":1,"b":{"c":[]}}`, `[]`, `{}`, `[`, `{"a"}`, `["\`, `[[[[`, `{"a\u0000":"\\"}`, `[1,]`, `null`,
		`[01]`, `[-]`, `[1.]`, `[1e]`, `[-0.5E+3,0]`, "[\"a\nb\"]", "[\"\x00\"]", `["\x"]`, `["\u12g4"]`, `[truefalse]`, `[tru`, `{"a":1,}`, `{1:2}`,
		"{\"a\x01\":1}", `[[01]]`, `[{"a":tru}]`, `[1}`, `[1]2`, " [1]", "[\"\xff\"]", `[NaN]`, `[+1]`, `[0x1]`, "[1\v]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var names []string
		cells, n, err := splitRow(raw, nil, func(_ int, name []byte) error {
			n, err := unquote(name)
			names = append(names, n)
			return err
		})
		row := len(raw) > 0 && (raw[0] == '[' || raw[0] == '{')
		if err != nil {
			if row && json.Valid(raw) && !strings.Contains(err.Error(), "too deep") {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		if !row || !json.Valid(raw[:n]) {
			t.Fatalf("%q: taken for a row of %d bytes", raw, n)
		}
		if raw[0] == '[' {
			var arr []json.RawMessage
			if err := json.Unmarshal(raw[:n], &arr); err != nil || len(arr) != len(cells) {
				t.Fatalf("%q: %d cells, want %d (%v)", raw, len(cells), len(arr), err)
			}
			for i := range arr {
				if !bytes.Equal(bytes.TrimSpace(arr[i]), cells[i]) {
					t.Fatalf("%q: cell %d is %q, want %q", raw, i, cells[i], arr[i])
				}
			}
		} else if len(names) != len(cells) {
			t.Fatalf("%q: %d names for %d cells", raw, len(names), len(cells))
		}
		for i, c := range cells {
			decodeCell(c, []string{"TEXT", "BIGINT", "TIMESTAMP", "BYTES", "JSON", "DOUBLE"}[i%6])
		}
	})
}

func BenchmarkRows(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"status":"success","results":[{"columns":["id","user","text","at","score","ok"],"schema":[{"name":"id","type":"BIGINT"},{"name":"user","type":"TEXT"},{"name":"text","type":"TEXT"},{"name":"at","type":"TIMESTAMP"},{"name":"score","type":"DOUBLE"},{"name":"ok","type":"BOOLEAN"}],"rows":[`)
	const n = 1000
	for i := range n {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `[%d,"user-%d","some words of a message %d","2025-10-21T10:00:00.%06dZ",%d.5,true]`, i, i%50, i, i, i)
	}
	body.WriteString(`],"row_count":1000}]}`)
	text := body.String()
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		r := &Rows{ctx: b.Context(), sc: newScanner(strings.NewReader(text), -1), done: func() {}}
		r.sc.expect('{')
		for {
			ok, _ := r.sc.next('}', true)
			if !ok || r.outerKey() != nil || r.inResults {
				break
			}
			r.sc.expect(',')
		}
		r.sc.next(']', true)
		if err := r.beginResult(); err != nil {
			b.Fatal(err)
		}
		var id int64
		var user, msg string
		var at time.Time
		var score float64
		var ok bool
		rows := 0
		for r.Next() {
			if err := r.Scan(&id, &user, &msg, &at, &score, &ok); err != nil {
				b.Fatal(err)
			}
			rows++
		}
		if rows != n {
			b.Fatalf("%d rows", rows)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func col(name, typ string) Column { return Column{Name: name, Type: typ} }
