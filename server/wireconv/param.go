package wireconv

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// MaxParams is how many parameters a request may have; PostgreSQL's limit.
const MaxParams = 65535

// Params reads the parameters of a request. The statement decides what their
// types shall be; here they keep all that their JSON says: a string is TEXT, a
// whole number BIGINT, or DECIMAL when it is larger, a number with a fraction
// DECIMAL, one with an exponent DOUBLE, an object or array JSON.
func Params(raw []json.RawMessage) ([]sqltype.Value, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > MaxParams {
		return nil, dberr.Newf(dberr.TooLarge, "The request has %d parameters, at most %d are allowed.", len(raw), MaxParams)
	}
	out := make([]sqltype.Value, len(raw))
	for i, r := range raw {
		v, ok := param(r)
		if !ok {
			return nil, dberr.Newf(dberr.TypeMismatch, "Parameter $%d is not a string, number, boolean or null.", i+1)
		}
		out[i] = v
	}
	return out, nil
}

func param(r json.RawMessage) (sqltype.Value, bool) {
	r = bytes.TrimSpace(r)
	if len(r) == 0 {
		return sqltype.Null(), true
	}
	switch r[0] {
	case 'n':
		return sqltype.Null(), string(r) == "null"
	case 't', 'f':
		return sqltype.NewBool(r[0] == 't'), string(r) == "true" || string(r) == "false"
	case '"':
		var s string
		if err := json.Unmarshal(r, &s); err != nil {
			return sqltype.Value{}, false
		}
		return sqltype.NewText(s), true
	case '{', '[':
		var compact bytes.Buffer
		if err := json.Compact(&compact, r); err != nil {
			return sqltype.Value{}, false
		}
		return sqltype.NewString(sqltype.JSON, compact.String()), true
	}
	return number(string(r))
}

func number(s string) (sqltype.Value, bool) {
	if !json.Valid([]byte(s)) {
		return sqltype.Value{}, false
	}
	if !strings.ContainsAny(s, ".eE") {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return sqltype.NewBigInt(n), true
		}
	}
	if !strings.ContainsAny(s, "eE") {
		if d, err := decimal.Parse(s); err == nil {
			return sqltype.NewDecimal(d), true
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return sqltype.Value{}, false
	}
	return sqltype.NewDouble(f), true
}
