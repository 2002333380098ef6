package link

import (
	"database/sql/driver"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"time"
)

// timeFormat is RFC 3339 with the microseconds that TIMESTAMP has.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

func encodeParams(params []any) ([]json.RawMessage, error) {
	if len(params) == 0 {
		return nil, nil
	}
	out := make([]json.RawMessage, len(params))
	for i, p := range params {
		raw, err := encodeParam(p)
		if err != nil {
			return nil, fmt.Errorf("parameter $%d: %w", i+1, err)
		}
		out[i] = raw
	}
	return out, nil
}

// encodeParam turns a Go value into what the protocol knows: text, number,
// boolean or null. Integers keep all their digits; times are sent in UTC; bytes
// as base64; maps, slices and structs as JSON text.
func encodeParam(p any) (json.RawMessage, error) {
	switch v := p.(type) {
	case nil:
		return json.RawMessage("null"), nil
	case bool:
		return strconv.AppendBool(nil, v), nil
	case string:
		return json.Marshal(v)
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(nil, v, 10), nil
	case float64:
		return encodeFloat(v, 64)
	case float32:
		return encodeFloat(float64(v), 32)
	case time.Time:
		return json.Marshal(v.UTC().Format(timeFormat))
	case []byte:
		if v == nil {
			return json.RawMessage("null"), nil
		}
		return json.Marshal(base64.StdEncoding.EncodeToString(v))
	case json.RawMessage:
		if !json.Valid(v) {
			return nil, fmt.Errorf("the json.RawMessage is not valid JSON")
		}
		return json.Marshal(string(v))
	case json.Number:
		if _, err := strconv.ParseFloat(v.String(), 64); err != nil {
			return nil, fmt.Errorf("%q is not a number", v.String())
		}
		return json.RawMessage(v.String()), nil
	case *big.Int:
		if v == nil {
			return json.RawMessage("null"), nil
		}
		return json.RawMessage(v.String()), nil
	}
	rv := reflect.ValueOf(p)
	if rv.Kind() == reflect.Pointer && rv.IsNil() {
		return json.RawMessage("null"), nil
	}
	if v, ok := p.(driver.Valuer); ok {
		inner, err := v.Value()
		if err != nil {
			return nil, err
		}
		if _, again := inner.(driver.Valuer); again {
			return nil, fmt.Errorf("%T gives another driver.Valuer", p)
		}
		return encodeParam(inner)
	}
	if m, ok := p.(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return nil, err
		}
		return json.Marshal(string(text))
	}
	switch rv.Kind() {
	case reflect.Pointer:
		return encodeParam(rv.Elem().Interface())
	case reflect.Bool:
		return strconv.AppendBool(nil, rv.Bool()), nil
	case reflect.String:
		return json.Marshal(rv.String())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(nil, rv.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(nil, rv.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		return encodeFloat(rv.Float(), rv.Type().Bits())
	case reflect.Map, reflect.Slice, reflect.Array, reflect.Struct:
		text, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		return json.Marshal(string(text))
	}
	return nil, fmt.Errorf("a value of type %T cannot be sent", p)
}

// encodeFloat keeps a fraction or exponent in the text, so that 2.0 stays a
// float on the server; what JSON cannot write goes as PostgreSQL's text.
func encodeFloat(f float64, bits int) (json.RawMessage, error) {
	switch {
	case math.IsNaN(f):
		return json.RawMessage(`"NaN"`), nil
	case math.IsInf(f, 1):
		return json.RawMessage(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return json.RawMessage(`"-Infinity"`), nil
	}
	b := strconv.AppendFloat(nil, f, 'g', -1, bits)
	for _, c := range b {
		if c == '.' || c == 'e' {
			return b, nil
		}
	}
	return append(b, '.', '0'), nil
}
