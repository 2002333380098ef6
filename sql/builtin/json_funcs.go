package builtin

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func init() {
	o := section{"json", Operator}
	o.def("->(json, text) json", "Gives a member of an object.", jsonGet(false))
	o.def("->(json, int) json", "Gives an element of an array, counted from 0, or from the end with a negative number.", jsonGet(false))
	o.def("->>(json, text) text", "Gives a member of an object as text.", jsonGet(true))
	o.def("->>(json, int) text", "Gives an element of an array as text.", jsonGet(true))
	o.def("#>(json, text[]) json", "Gives what lies at a path.", jsonPath(false))
	o.def("#>>(json, text[]) text", "Gives what lies at a path as text.", jsonPath(true))
	o.def("@>(json, json) boolean", "Tells whether the first document contains the second.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(docContains(decodeJSON(a[0].Str()), decodeJSON(a[1].Str()), true)), nil
	})
	o.def("<@(json, json) boolean", "Tells whether the second document contains the first.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(docContains(decodeJSON(a[1].Str()), decodeJSON(a[0].Str()), true)), nil
	})
	o.def("?(json, text) boolean", "Tells whether an object has a key, or an array a text.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(hasKey(decodeJSON(a[0].Str()), a[1].Str())), nil
	})
	o.def("?|(json, text[]) boolean", "Tells whether an object has any of the keys.", hasKeys(true))
	o.def("?&(json, text[]) boolean", "Tells whether an object has all of the keys.", hasKeys(false))
	o.def("||(json, json) json", "Joins two documents: objects by their keys, arrays end to end.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return newJSON(joinDocs(decodeJSON(a[0].Str()), decodeJSON(a[1].Str()))), nil
	})
	o.def("-(json, text) json; -(json, int) json; -(json, text[]) json", "Removes a key, an element or several keys.", jsonRemove)
	o.def("#-(json, text[]) json", "Removes what lies at a path.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		v, err := setPath(decodeJSON(a[0].Str()), pathOf(a[1]), func(any, bool) (any, bool) { return nil, false })
		return newJSON(v), err
	})

	s := section{"json", Scalar}
	s.def("json_typeof(json) text; jsonb_typeof(json) text", "Gives the type of a document: object, array, string, number, boolean or null.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewText([]string{"null", "string", "number", "boolean", "array", "object"}[docRank(decodeJSON(a[0].Str()))]), nil
	})
	s.def("json_array_length(json) int; jsonb_array_length(json) int", "Counts the elements of an array.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		l, ok := decodeJSON(a[0].Str()).([]any)
		if !ok {
			return sqltype.Value{}, invalidArg("cannot get array length of a non-array")
		}
		return integer(len(l)), nil
	})
	s.def("json_extract_path(json, variadic text) json; jsonb_extract_path(json, variadic text) json", "Gives what lies at a path.", extractPath(false))
	s.def("json_extract_path_text(json, variadic text) text; jsonb_extract_path_text(json, variadic text) text", "Gives what lies at a path as text.", extractPath(true))
	object, array := "Makes an object of keys and values in turn.", "Makes an array of its arguments."
	buildArray := func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewString(sqltype.JSON, string(appendJSONList(nil, a, ", "))), nil
	}
	toJSON := func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewString(sqltype.JSON, string(AppendJSON(nil, a[0]))), nil
	}
	s.def("json_build_object() json; json_build_object(variadic any) json", object, buildObject, lenient)
	s.def("jsonb_build_object() json; jsonb_build_object(variadic any) json", object, keysInOrder(buildObject), lenient)
	s.def("json_build_array() json; json_build_array(variadic any) json", array, buildArray, lenient)
	s.def("jsonb_build_array() json; jsonb_build_array(variadic any) json", array, keysInOrder(buildArray), lenient)
	s.def("to_json(any) json; array_to_json(anyarray) json", "Turns a value into JSON.", toJSON)
	s.def("row_to_json(record) json; row_to_json(record, text[]) json", "Turns a row into an object, with the names that the text array gives its fields; the row of a table in FROM has those of its columns.", rowToJSON)
	s.def("to_jsonb(any) json", "Turns a value into JSON with its keys in order, as a cast to JSONB does.", keysInOrder(toJSON))
	s.def("jsonb_set(json, text[], json) json; jsonb_set(json, text[], json, boolean) json; json_set(json, text[], json) json", "Replaces what lies at a path, or adds it there.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		create, with := len(a) < 4 || a[3].Bool(), decodeJSON(a[2].Str())
		v, err := setPath(decodeJSON(a[0].Str()), pathOf(a[1]), func(old any, there bool) (any, bool) {
			return with, there || create
		})
		return newJSON(v), err
	})
	s.def("jsonb_insert(json, text[], json) json; jsonb_insert(json, text[], json, boolean) json", "Adds a member to an object, or an element before (true: after) a place of an array.", jsonInsert)
	s.def("jsonb_pretty(json) text; json_pretty(json) text", "Writes a document over several lines.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		var b strings.Builder
		pretty(&b, decodeJSON(a[0].Str()), 0)
		return sqltype.NewText(b.String()), nil
	})
	s.def("json_strip_nulls(json) json; jsonb_strip_nulls(json) json", "Removes all members of objects that are null.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return newJSON(stripNulls(decodeJSON(a[0].Str()))), nil
	})
	s.def("json_valid(text) boolean; is_json(text) boolean", "Tells whether a text is one JSON document.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(sqltype.CheckJSON(a[0].Str()) == nil), nil
	})
	s.def("json_get(json, text) json; json_get(json, int) json", "Gives a member of an object or an element of an array.", jsonGet(false))
	s.def("json_get_text(json, text) text; json_get_text(json, int) text", "Gives a member of an object or an element of an array as text.", jsonGet(true))
}

// AppendJSON writes a value as JSON: numbers and booleans as such, JSON as it
// is, arrays as arrays, everything else as a string.
func AppendJSON(dst []byte, v sqltype.Value) []byte {
	if v.IsNull() {
		return append(dst, "null"...)
	}
	switch v.Kind() {
	case sqltype.Boolean:
		return strconv.AppendBool(dst, v.Bool())
	case sqltype.SmallInt, sqltype.Integer, sqltype.BigInt, sqltype.Decimal:
		return v.AppendText(dst)
	case sqltype.Float, sqltype.Double:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return append(append(append(dst, '"'), v.Text()...), '"')
		}
		return v.AppendText(dst)
	case sqltype.JSON:
		return append(dst, v.Str()...)
	case sqltype.Array:
		return appendJSONList(dst, v.List(), ",")
	case sqltype.Record:
		dst = append(dst, '{')
		for i, e := range v.List() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `"f`...)
			dst = append(strconv.AppendInt(dst, int64(i+1), 10), `":`...)
			dst = AppendJSON(dst, e)
		}
		return append(dst, '}')
	case sqltype.Timestamp:
		if text := v.Text(); strings.Contains(text, " ") {
			return appendJSONString(dst, strings.Replace(text, " ", "T", 1))
		}
	}
	return appendJSONString(dst, v.Text())
}

// keysInOrder is a function whose result is written as jsonb's are.
func keysInOrder(f Eval) Eval {
	return func(ctx *Context, a []sqltype.Value) (sqltype.Value, error) {
		v, err := f(ctx, a)
		if err != nil || v.IsNull() {
			return v, err
		}
		return newJSON(decodeJSON(v.Str())), nil
	}
}

func appendJSONList(dst []byte, list []sqltype.Value, sep string) []byte {
	dst = append(dst, '[')
	for i, e := range list {
		if i > 0 {
			dst = append(dst, sep...)
		}
		dst = AppendJSON(dst, e)
	}
	return append(dst, ']')
}

func appendJSONString(dst []byte, s string) []byte {
	return append(dst, encodeJSON(s)...)
}

// shownJSON is a found part as JSON, or as text (JSON null being NULL).
func shownJSON(raw json.RawMessage, text bool) sqltype.Value {
	s := strings.TrimSpace(string(raw))
	if !text {
		return sqltype.NewString(sqltype.JSON, s)
	}
	switch {
	case s == "null":
		return sqltype.NullOf(sqltype.Text)
	case s[0] == '"':
		var out string
		if json.Unmarshal(raw, &out) != nil {
			return sqltype.NullOf(sqltype.Text)
		}
		return sqltype.NewText(out)
	}
	return sqltype.NewText(s)
}

// jsonStep takes one step into a document without decoding more of it than
// it must, so that what is found keeps its spelling.
func jsonStep(doc string, key string, index int64, byIndex bool) (json.RawMessage, bool) {
	switch i := strings.IndexAny(doc, "{["); {
	case i < 0 || strings.TrimSpace(doc[:i]) != "":
		return nil, false
	case doc[i] == '{':
		if byIndex {
			return nil, false
		}
		return scanObject(doc, key)
	default:
		if !byIndex {
			return nil, false
		}
		var l []json.RawMessage
		if json.Unmarshal([]byte(doc), &l) != nil {
			return nil, false
		}
		if index < 0 {
			index += int64(len(l))
		}
		if index < 0 || index >= int64(len(l)) {
			return nil, false
		}
		return l[index], true
	}
}

func jsonGet(text bool) Eval {
	kind := sqltype.JSON
	if text {
		kind = sqltype.Text
	}
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		byIndex := a[1].Kind().IsInteger()
		raw, ok := jsonStep(a[0].Str(), a[1].Str(), a[1].Int(), byIndex)
		if !ok {
			return sqltype.NullOf(kind), nil
		}
		return shownJSON(raw, text), nil
	}
}

func walkPath(doc string, path []sqltype.Value) (json.RawMessage, bool) {
	cur := json.RawMessage(doc)
	for _, p := range path {
		if p.IsNull() {
			return nil, false
		}
		s := strings.TrimSpace(string(cur))
		byIndex, index := false, int64(0)
		if strings.HasPrefix(s, "[") {
			n, err := strconv.ParseInt(p.Str(), 10, 32)
			if err != nil {
				return nil, false
			}
			byIndex, index = true, n
		}
		next, ok := jsonStep(s, p.Str(), index, byIndex)
		if !ok {
			return nil, false
		}
		cur = next
	}
	return cur, true
}

func jsonPath(text bool) Eval {
	extract := extractPath(text)
	return func(ctx *Context, a []sqltype.Value) (sqltype.Value, error) {
		return extract(ctx, append([]sqltype.Value{a[0]}, a[1].List()...))
	}
}

func extractPath(text bool) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		raw, ok := walkPath(a[0].Str(), a[1:])
		if !ok {
			if text {
				return sqltype.NullOf(sqltype.Text), nil
			}
			return sqltype.NullOf(sqltype.JSON), nil
		}
		return shownJSON(raw, text), nil
	}
}

// docContains is jsonb's containment: objects by members, arrays as sets; an
// array at the top contains a primitive.
func docContains(a, b any, top bool) bool {
	switch y := b.(type) {
	case map[string]any:
		x, ok := a.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range y {
			if w, there := x[k]; !there || !docContains(w, v, false) {
				return false
			}
		}
		return true
	case []any:
		x, ok := a.([]any)
		if !ok {
			return false
		}
		for _, v := range y {
			if !slices.ContainsFunc(x, func(w any) bool { return docContains(w, v, false) }) {
				return false
			}
		}
		return true
	}
	if x, ok := a.([]any); ok && top {
		return slices.ContainsFunc(x, func(w any) bool { return docRank(w) < 4 && compareDocs(w, b) == 0 })
	}
	return docRank(a) == docRank(b) && compareDocs(a, b) == 0
}

func hasKey(doc any, key string) bool {
	switch x := doc.(type) {
	case map[string]any:
		_, ok := x[key]
		return ok
	case []any:
		return slices.ContainsFunc(x, func(e any) bool { s, ok := e.(string); return ok && s == key })
	case string:
		return x == key
	}
	return false
}

func hasKeys(anyOf bool) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		doc := decodeJSON(a[0].Str())
		for _, k := range a[1].List() {
			if !k.IsNull() && hasKey(doc, k.Str()) == anyOf {
				return sqltype.NewBool(anyOf), nil
			}
		}
		return sqltype.NewBool(!anyOf), nil
	}
}

func joinDocs(a, b any) any {
	x, ok1 := a.(map[string]any)
	y, ok2 := b.(map[string]any)
	if ok1 && ok2 {
		for k, v := range y {
			x[k] = v
		}
		return x
	}
	list := func(v any) []any {
		if l, ok := v.([]any); ok {
			return l
		}
		return []any{v}
	}
	return append(list(a), list(b)...)
}

func jsonRemove(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	doc := decodeJSON(a[0].Str())
	if docRank(doc) < 4 {
		return sqltype.Value{}, invalidArg("cannot delete from scalar")
	}
	drop := func(key string) {
		switch x := doc.(type) {
		case map[string]any:
			delete(x, key)
		case []any:
			doc = slices.DeleteFunc(x, func(e any) bool { s, ok := e.(string); return ok && s == key })
		}
	}
	switch a[1].Kind() {
	case sqltype.Text:
		drop(a[1].Str())
	case sqltype.Array:
		for _, k := range a[1].List() {
			if !k.IsNull() {
				drop(k.Str())
			}
		}
	default:
		x, ok := doc.([]any)
		if !ok {
			return sqltype.Value{}, invalidArg("cannot delete from object using integer index")
		}
		i := a[1].Int()
		if i < 0 {
			i += int64(len(x))
		}
		if i >= 0 && i < int64(len(x)) {
			doc = slices.Delete(x, int(i), int(i)+1)
		}
	}
	return newJSON(doc), nil
}

func pathOf(v sqltype.Value) []string {
	out := make([]string, len(v.List()))
	for i, e := range v.List() {
		out[i] = e.Str()
	}
	return out
}

// setPath replaces what lies at a path by what f gives for it; keep false
// removes it, or leaves it out where it is not there.
func setPath(doc any, path []string, f func(old any, there bool) (v any, keep bool)) (any, error) {
	if len(path) == 0 {
		return doc, nil
	}
	switch x := doc.(type) {
	case map[string]any:
		old, there := x[path[0]]
		if len(path) > 1 {
			if there {
				v, err := setPath(old, path[1:], f)
				if err != nil {
					return nil, err
				}
				x[path[0]] = v
			}
			return x, nil
		}
		if v, keep := f(old, there); keep {
			x[path[0]] = v
		} else {
			delete(x, path[0])
		}
		return x, nil
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil {
			return nil, dberr.Newf(dberr.TypeMismatch, "path element at position 1 is not an integer: %q", path[0]).WithState("22P02")
		}
		if i < 0 {
			i += len(x)
		}
		there := i >= 0 && i < len(x)
		if len(path) > 1 {
			if there {
				if x[i], err = setPath(x[i], path[1:], f); err != nil {
					return nil, err
				}
			}
			return x, nil
		}
		if !there {
			if v, keep := f(nil, false); keep {
				if i < 0 {
					return slices.Insert(x, 0, v), nil
				}
				return append(x, v), nil
			}
			return x, nil
		}
		v, keep := f(x[i], true)
		if !keep {
			return slices.Delete(x, i, i+1), nil
		}
		x[i] = v
		return x, nil
	}
	return nil, invalidArg("cannot set path in scalar")
}

func jsonInsert(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	path, with := pathOf(a[1]), decodeJSON(a[2].Str())
	after := len(a) > 3 && a[3].Bool()
	if len(path) == 0 {
		return a[0], nil
	}
	var fail error
	insert := func(doc any) any {
		last := path[len(path)-1]
		switch x := doc.(type) {
		case map[string]any:
			if _, there := x[last]; there {
				fail = invalidArg("cannot replace existing key")
				return x
			}
			x[last] = with
			return x
		case []any:
			i, err := strconv.Atoi(last)
			if err != nil {
				fail = invalidArg("path element at position %d is not an integer: %q", len(path), last)
				return x
			}
			if i < 0 {
				i += len(x)
			}
			if after {
				i++
			}
			return slices.Insert(x, min(max(i, 0), len(x)), with)
		}
		fail = invalidArg("cannot set path in scalar")
		return doc
	}
	doc := decodeJSON(a[0].Str())
	if len(path) == 1 {
		doc = insert(doc)
		return newJSON(doc), fail
	}
	doc, err := setPath(doc, path[:len(path)-1], func(old any, there bool) (any, bool) {
		if !there {
			return nil, false
		}
		return insert(old), true
	})
	if err == nil {
		err = fail
	}
	return newJSON(doc), err
}

func rowToJSON(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	if len(a) == 1 {
		return sqltype.NewString(sqltype.JSON, string(AppendJSON(nil, a[0]))), nil
	}
	fields, names := a[0].List(), a[1].List()
	if len(fields) != len(names) {
		return sqltype.Value{}, invalidArg("a row of %d fields is given %d names", len(fields), len(names))
	}
	dst := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSONString(dst, name.Str()), ':')
		dst = AppendJSON(dst, fields[i])
		if len(dst) > MaxText {
			return sqltype.Value{}, tooLarge()
		}
	}
	return sqltype.NewString(sqltype.JSON, string(append(dst, '}'))), nil
}

func buildObject(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	if len(a)%2 != 0 {
		return sqltype.Value{}, invalidArg("argument list must have even number of elements").(*dberr.Error).
			WithHint("The arguments of json_build_object() must consist of alternating keys and values.")
	}
	dst := []byte{'{'}
	for i := 0; i < len(a); i += 2 {
		if a[i].IsNull() {
			return sqltype.Value{}, invalidArg("argument %d: key must not be null", i+1)
		}
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(appendJSONString(dst, castText(a[i])), " : "...)
		dst = AppendJSON(dst, a[i+1])
		if len(dst) > MaxText {
			return sqltype.Value{}, tooLarge()
		}
	}
	return sqltype.NewString(sqltype.JSON, string(append(dst, '}'))), nil
}

func pretty(b *strings.Builder, v any, depth int) {
	line := func(n int) { b.WriteString("\n" + strings.Repeat("    ", n)) }
	switch x := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		for i, k := range sortedKeys(x) {
			if i > 0 {
				b.WriteByte(',')
			}
			line(depth + 1)
			b.WriteString(encodeJSON(k) + ": ")
			pretty(b, x[k], depth+1)
		}
		line(depth)
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			line(depth + 1)
			pretty(b, e, depth+1)
		}
		line(depth)
		b.WriteByte(']')
	default:
		b.WriteString(encodeJSON(v))
	}
}

func stripNulls(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			if e == nil {
				delete(x, k)
				continue
			}
			x[k] = stripNulls(e)
		}
	case []any:
		for i, e := range x {
			x[i] = stripNulls(e)
		}
	}
	return v
}
