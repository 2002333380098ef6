package builtin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/big"
	"sort"
	"strings"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// CompareJSON orders two valid documents by content as PostgreSQL's jsonb:
// Object > Array > Boolean > Number > String > Null, then by size, then by
// members. Spaces, the order of keys and the spelling of numbers do not count.
func CompareJSON(a, b string) int {
	if a == b {
		return 0
	}
	return compareDocs(decodeJSON(a), decodeJSON(b))
}

// decodeJSON reads a valid document; numbers keep their text.
func decodeJSON(s string) any {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

func docRank(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case string:
		return 1
	case json.Number:
		return 2
	case bool:
		return 3
	case []any:
		return 4
	}
	return 5
}

func compareDocs(a, b any) int {
	if c := cmp.Compare(docRank(a), docRank(b)); c != 0 {
		return c
	}
	switch x := a.(type) {
	case string:
		return strings.Compare(x, b.(string))
	case json.Number:
		return compareJSONNumbers(string(x), string(b.(json.Number)))
	case bool:
		y := b.(bool)
		switch {
		case x == y:
			return 0
		case y:
			return -1
		}
		return 1
	case []any:
		y := b.([]any)
		if c := cmp.Compare(len(x), len(y)); c != 0 {
			return c
		}
		for i := range x {
			if c := compareDocs(x[i], y[i]); c != 0 {
				return c
			}
		}
	case map[string]any:
		y := b.(map[string]any)
		if c := cmp.Compare(len(x), len(y)); c != 0 {
			return c
		}
		xk, yk := sortedKeys(x), sortedKeys(y)
		for i := range xk {
			if c := compareKeys(xk[i], yk[i]); c != 0 {
				return c
			}
			if c := compareDocs(x[xk[i]], y[yk[i]]); c != 0 {
				return c
			}
		}
	}
	return 0
}

// compareJSONNumbers compares by value. Exponents beyond what a number of
// sensible size has are compared as floats, so that 1e999999999 costs nothing.
func compareJSONNumbers(a, b string) int {
	if a == b {
		return 0
	}
	if len(a) < 40 && len(b) < 40 && !strings.ContainsAny(a+b, "eE") {
		x, ok1 := new(big.Rat).SetString(a)
		y, ok2 := new(big.Rat).SetString(b)
		if ok1 && ok2 {
			return x.Cmp(y)
		}
	}
	x, _ := json.Number(a).Float64()
	y, _ := json.Number(b).Float64()
	return cmp.Compare(x, y)
}

// compareKeys orders keys as jsonb stores them: shorter ones first.
func compareKeys(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return compareKeys(keys[i], keys[j]) < 0 })
	return keys
}

// newJSON is a document as jsonb's functions write it: keys in order, a space
// behind each colon and comma, numbers without exponents.
func newJSON(v any) sqltype.Value { return sqltype.NewString(sqltype.JSON, string(appendDoc(nil, v))) }

func appendDoc(dst []byte, v any) []byte {
	switch x := v.(type) {
	case map[string]any:
		dst = append(dst, '{')
		for i, k := range sortedKeys(x) {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(appendJSONString(dst, k), ": "...)
			dst = appendDoc(dst, x[k])
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, e := range x {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendDoc(dst, e)
		}
		return append(dst, ']')
	case json.Number:
		if strings.ContainsAny(string(x), "eE") {
			if d, err := decimal.Parse(string(x)); err == nil {
				return d.Append(dst)
			}
		}
	}
	return append(dst, encodeJSON(v)...)
}

// encodeJSON writes a document without spaces and without HTML escapes.
func encodeJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return "null"
	}
	return strings.TrimSuffix(b.String(), "\n")
}
