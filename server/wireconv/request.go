package wireconv

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/wire"
)

// Request is the body of an SQL request as the engine takes it.
type Request struct {
	SQL       string
	Params    []sqltype.Value
	Namespace string
	Format    Format
	// SkipDamaged asks to leave out damaged files.
	SkipDamaged bool
}

// ReadRequest reads a body, which must be valid UTF-8. Nothing in the result
// shares its memory.
//
// Errors: INVALID_JSON, INVALID_SQL for an option or a missing statement,
// TYPE_MISMATCH and TOO_LARGE for parameters.
//
// Benchmark: BenchmarkReadRequest.
func ReadRequest(body []byte) (Request, error) {
	req, ok := scanRequest(body)
	if !ok {
		var err error
		if req, err = decodeRequest(body); err != nil {
			return Request{}, err
		}
	}
	if strings.TrimSpace(req.SQL) == "" {
		return Request{}, dberr.New(dberr.InvalidSQL, "The request has no statement.").
			WithHint("%s", bodyHint)
	}
	return req, nil
}

// decodeRequest reads any body.
func decodeRequest(body []byte) (req Request, err error) {
	var in wire.SQLRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return req, invalidJSON(err)
	}
	req = Request{SQL: in.SQL, Namespace: in.NamespaceID}
	if req.Format, err = formatOf(in.Options); err != nil {
		return req, err
	}
	if o := in.Options; o != nil {
		switch o.Damaged {
		case "", "error":
		case "skip":
			req.SkipDamaged = true
		default:
			return req, dberr.Newf(dberr.InvalidSQL, "options.damaged is %q; it must be error or skip.", o.Damaged)
		}
	}
	req.Params, err = Params(in.Params)
	return req, err
}

const bodyHint = `Send a body such as {"sql": "SELECT 1"}.`

// invalidJSON says what is wrong with a body without showing Go's names.
func invalidJSON(err error) error {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return dberr.Newf(dberr.InvalidJSON, "The request's %q has the wrong type: a JSON %s.", wrongType.Field, wrongType.Value)
	case errors.As(err, &wrongType):
		return dberr.Newf(dberr.InvalidJSON, "The request's body is a JSON %s, not an object.", wrongType.Value)
	case errors.As(err, &syntax):
		return dberr.Newf(dberr.InvalidJSON, "The request's body is not valid JSON: %v at byte %d.", syntax, syntax.Offset).WithHint("%s", bodyHint)
	}
	return dberr.New(dberr.InvalidJSON, "The request's body is not valid JSON.").Wrap(err)
}

func formatOf(o *wire.SQLOptions) (f Format, err error) {
	if o == nil {
		return f, nil
	}
	switch o.Rows {
	case "", "object":
	case "array":
		f.Arrays = true
	default:
		return f, dberr.Newf(dberr.InvalidSQL, "options.rows is %q; it must be object or array.", o.Rows)
	}
	switch o.Int64 {
	case "", "number":
	case "string":
		f.Int64Strings = true
	default:
		return f, dberr.Newf(dberr.InvalidSQL, "options.int64 is %q; it must be number or string.", o.Int64)
	}
	return f, nil
}

// scanRequest reads the body that most requests have in a tenth of the time:
// an object of the known keys, each once at most, texts without \u,
// parameters that are simple values. Anything else, and everything that is
// wrong, is not ok and left to decodeRequest.
func scanRequest(body []byte) (req Request, ok bool) {
	s := scanner{rest: body}
	if !s.take('{') {
		return req, false
	}
	var hasSQL, hasParams, hasNamespace, hasOptions bool
	for {
		key, ok := s.text()
		if !ok || !s.take(':') {
			return req, false
		}
		switch string(key) {
		case "sql":
			text, ok := s.text()
			if !ok || hasSQL {
				return req, false
			}
			req.SQL, hasSQL = string(text), true
		case "namespace_id":
			text, ok := s.text()
			if !ok || hasNamespace {
				return req, false
			}
			req.Namespace, hasNamespace = string(text), true
		case "params":
			if hasParams || !s.params(&req.Params) {
				return req, false
			}
			hasParams = true
		case "options":
			if hasOptions || !s.options(&req.Format) {
				return req, false
			}
			hasOptions = true
		default:
			return req, false
		}
		if s.take(',') {
			continue
		}
		return req, s.take('}') && s.end()
	}
}

// scanner reads simple JSON. After a method that fails it is of no use.
type scanner struct{ rest []byte }

func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\r' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

// take takes a character that must be next but for white space.
func (s *scanner) take(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) end() bool {
	s.space()
	return len(s.rest) == 0
}

// text takes a string without \u.
func (s *scanner) text() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	for i, c := range s.rest {
		switch {
		case c == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text, true
		case c == '\\':
			return s.escaped(i)
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// escaped goes on with a string whose first escape is at i.
func (s *scanner) escaped(i int) ([]byte, bool) {
	text := append(make([]byte, 0, 2*i+64), s.rest[:i]...)
	for ; i < len(s.rest); i++ {
		c := s.rest[i]
		switch {
		case c == '"':
			s.rest = s.rest[i+1:]
			return text, true
		case c < ' ':
			return nil, false
		case c == '\\':
			i++
			if i == len(s.rest) {
				return nil, false
			}
			if c = unescaped[s.rest[i]]; c == 0 {
				return nil, false
			}
		}
		text = append(text, c)
	}
	return nil, false
}

// unescaped is what stands behind a backslash for a character; 0: nothing, or
// more than one.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f'}

// options takes the options that are known.
func (s *scanner) options(f *Format) bool {
	if !s.take('{') {
		return false
	}
	var o wire.SQLOptions
	for {
		key, ok := s.text()
		if !ok || !s.take(':') {
			return false
		}
		value, ok := s.text()
		switch {
		case !ok:
			return false
		case string(key) == "rows" && o.Rows == "":
			o.Rows = string(value)
		case string(key) == "int64" && o.Int64 == "":
			o.Int64 = string(value)
		default:
			return false
		}
		if s.take(',') {
			continue
		}
		var err error
		*f, err = formatOf(&o)
		return err == nil && s.take('}')
	}
}

// params takes an array of simple values.
func (s *scanner) params(out *[]sqltype.Value) bool {
	if !s.take('[') {
		return false
	}
	if s.take(']') {
		return true
	}
	list := make([]sqltype.Value, 0, min(1+bytes.Count(s.rest, []byte{','}), 64))
	for len(list) < MaxParams {
		v, ok := s.value()
		if !ok {
			return false
		}
		list = append(list, v)
		if s.take(']') {
			*out = list
			return true
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}

func (s *scanner) value() (sqltype.Value, bool) {
	s.space()
	if len(s.rest) == 0 {
		return sqltype.Value{}, false
	}
	switch s.rest[0] {
	case '"':
		text, ok := s.text()
		return sqltype.NewText(string(text)), ok
	case '{', '[':
		return sqltype.Value{}, false
	}
	n := 0
	for n < len(s.rest) && s.rest[n] != ',' && s.rest[n] != ']' && s.rest[n] > ' ' {
		n++
	}
	word := s.rest[:n]
	s.rest = s.rest[n:]
	if n == 0 {
		return sqltype.Value{}, false
	}
	if i, ok := digits(word); ok {
		return sqltype.NewBigInt(i), true
	}
	return param(word)
}

// digits reads a whole number of few enough digits to be surely a BIGINT.
func digits(word []byte) (n int64, ok bool) {
	negative := len(word) > 0 && word[0] == '-'
	if negative {
		word = word[1:]
	}
	if len(word) == 0 || len(word) > 18 || word[0] == '0' && (len(word) > 1 || negative) {
		return 0, false
	}
	for _, c := range word {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}
