package builtin

import (
	"encoding/json"
	"iter"
	"strings"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

type rows = iter.Seq2[sqltype.Row, error]

// table registers a table function; columns are "name type, …".
func table(signatures, columns, doc string, f func(ctx *Context, args []sqltype.Value) rows) {
	section{"table", Table}.def(signatures, doc, nil, func(fn *Function) {
		fn.Rows = f
		for c := range strings.SplitSeq(columns, ", ") {
			name, typ, _ := strings.Cut(c, " ")
			fn.Columns = append(fn.Columns, Column{Name: name, Type: parseType(typ)})
		}
	})
}

// defined registers a table function of JSON objects whose members the
// statement defines as columns.
func defined(signatures, doc string, f func(ctx *Context, args []sqltype.Value) rows) {
	section{"table", Table}.def(signatures, doc, nil, func(fn *Function) {
		fn.Rows, fn.Defined = f, true
		fn.Columns = []Column{{Name: "value", Type: sqltype.TJSON}}
	})
}

func fail(err error) rows {
	return func(yield func(sqltype.Row, error) bool) { yield(nil, err) }
}

func one(v sqltype.Value) sqltype.Row { return sqltype.Row{v} }

func init() {
	series := "Gives the numbers or times from the first to the second, one step apart."
	for _, t := range []string{"int", "bigint"} {
		k := map[string]sqltype.Kind{"int": sqltype.Integer, "bigint": sqltype.BigInt}[t]
		table("generate_series("+t+", "+t+") "+t+"; generate_series("+t+", "+t+", "+t+") "+t, "generate_series "+t, series,
			func(_ *Context, a []sqltype.Value) rows { return intSeries(k, a) })
	}
	table("generate_series(decimal, decimal) decimal; generate_series(decimal, decimal, decimal) decimal", "generate_series decimal", series, decimalSeries)
	table("generate_series(timestamp, timestamp, interval) timestamp", "generate_series timestamp", series, timeSeries)
	table("unnest(anyarray) anyelement", "unnest anyelement", "Gives the elements of an array as rows.", func(_ *Context, a []sqltype.Value) rows {
		return func(yield func(sqltype.Row, error) bool) {
			for _, e := range a[0].List() {
				if !yield(one(e), nil) {
					return
				}
			}
		}
	})
	table("generate_subscripts(anyarray, int) int", "generate_subscripts int", "Gives the places of an array's elements.", func(_ *Context, a []sqltype.Value) rows {
		return intSeries(sqltype.Integer, []sqltype.Value{integer(1), integer(len(a[0].List()))})
	})
	table("json_array_elements(json) json; jsonb_array_elements(json) json", "value json", "Gives the elements of a JSON array as rows.", arrayElements(false))
	table("json_array_elements_text(json) text; jsonb_array_elements_text(json) text", "value text", "Gives the elements of a JSON array as texts.", arrayElements(true))
	table("json_object_keys(json) text; jsonb_object_keys(json) text", "key text", "Gives the keys of a JSON object as rows.", func(_ *Context, a []sqltype.Value) rows {
		return members(a[0], func(k string, _ json.RawMessage) sqltype.Row { return one(sqltype.NewText(k)) })
	})
	table("json_each(json) record; jsonb_each(json) record", "key text, value json", "Gives the members of a JSON object as rows.", func(_ *Context, a []sqltype.Value) rows {
		return members(a[0], func(k string, v json.RawMessage) sqltype.Row {
			return sqltype.Row{sqltype.NewText(k), shownJSON(v, false)}
		})
	})
	table("json_each_text(json) record; jsonb_each_text(json) record", "key text, value text", "Gives the members of a JSON object as rows of texts.", func(_ *Context, a []sqltype.Value) rows {
		return members(a[0], func(k string, v json.RawMessage) sqltype.Row {
			return sqltype.Row{sqltype.NewText(k), shownJSON(v, true)}
		})
	})
	defined("json_to_record(json) record; jsonb_to_record(json) record", "Gives the members of a JSON object as the columns that AS t (name type, …) defines.", objectAsRow)
	defined("json_to_recordset(json) record; jsonb_to_recordset(json) record", "Gives the objects of a JSON array as rows of the columns that AS t (name type, …) defines.", objectsAsRows)
	table("regexp_matches(text, text) text[]; regexp_matches(text, text, text) text[]", "regexp_matches text[]", "Gives the groups of the matches of a regular expression: of all with the flag g, else of the first.", func(_ *Context, a []sqltype.Value) rows {
		re, err := regexpArg(a, 1, 2)
		if err != nil {
			return fail(err)
		}
		n := 1
		if len(a) > 2 && strings.ContainsRune(a[2].Str(), 'g') {
			n = -1
		}
		return func(yield func(sqltype.Row, error) bool) {
			for _, m := range re.FindAllStringSubmatchIndex(a[0].Str(), n) {
				if !yield(one(matchGroups(a[0].Str(), m)), nil) {
					return
				}
			}
		}
	})
	table("regexp_split_to_table(text, text) text; regexp_split_to_table(text, text, text) text", "regexp_split_to_table text", "Splits a text at the matches of a regular expression into rows.", func(_ *Context, a []sqltype.Value) rows {
		parts, err := regexpSplit(a)
		if err != nil {
			return fail(err)
		}
		return texts(parts)
	})
	table("string_to_table(text, text) text", "string_to_table text", "Splits a text at a delimiter into rows.", func(_ *Context, a []sqltype.Value) rows {
		return texts(splitText(a[0].Str(), a[1]))
	})
}

func texts(parts []string) rows {
	return func(yield func(sqltype.Row, error) bool) {
		for _, p := range parts {
			if !yield(one(sqltype.NewText(p)), nil) {
				return
			}
		}
	}
}

func zeroStep() error { return invalidArg("step size cannot equal zero") }

func intSeries(k sqltype.Kind, a []sqltype.Value) rows {
	from, to, step := a[0].Int(), a[1].Int(), int64(1)
	if len(a) > 2 {
		step = a[2].Int()
	}
	if step == 0 {
		return fail(zeroStep())
	}
	return func(yield func(sqltype.Row, error) bool) {
		for n := from; step > 0 && n <= to || step < 0 && n >= to; {
			if !yield(one(sqltype.NewInt(k, n)), nil) {
				return
			}
			next, ok := addInt(n, step)
			if !ok {
				return
			}
			n = next
		}
	}
}

func decimalSeries(_ *Context, a []sqltype.Value) rows {
	n, to, step := a[0].Decimal(), a[1].Decimal(), decimal.New(1, 0)
	if len(a) > 2 {
		step = a[2].Decimal()
	}
	dir := step.Sign()
	if dir == 0 {
		return fail(zeroStep())
	}
	return func(yield func(sqltype.Row, error) bool) {
		for n := n; n.Cmp(to)*dir <= 0; {
			if !yield(one(sqltype.NewDecimal(n)), nil) {
				return
			}
			next, err := n.Add(step)
			if err != nil {
				return
			}
			n = next
		}
	}
}

func timeSeries(_ *Context, a []sqltype.Value) rows {
	from, to, step := a[0].Int(), a[1].Int(), a[2].Interval()
	dir := sqltype.CompareInterval(step, sqltype.IntervalValue{})
	switch {
	case dir == 0:
		return fail(zeroStep())
	case infiniteTimestamp(from) || infiniteTimestamp(to):
		return fail(invalidArg("start and stop of a series cannot be infinite"))
	}
	return func(yield func(sqltype.Row, error) bool) {
		for t := from; dir > 0 && t <= to || dir < 0 && t >= to; {
			if !yield(one(sqltype.NewInt(sqltype.Timestamp, t)), nil) {
				return
			}
			next, err := addInterval(t, step, 1)
			if err != nil {
				yield(nil, err)
				return
			}
			if next.Int() == t {
				return
			}
			t = next.Int()
		}
	}
}

func arrayElements(text bool) func(*Context, []sqltype.Value) rows {
	return func(_ *Context, a []sqltype.Value) rows {
		var l []json.RawMessage
		if s := strings.TrimSpace(a[0].Str()); !strings.HasPrefix(s, "[") || json.Unmarshal([]byte(s), &l) != nil {
			return fail(invalidArg("cannot extract elements from a value that is not an array"))
		}
		return func(yield func(sqltype.Row, error) bool) {
			for _, e := range l {
				if !yield(one(shownJSON(e, text)), nil) {
					return
				}
			}
		}
	}
}

func objectAsRow(_ *Context, a []sqltype.Value) rows {
	if !isObject(a[0].Str()) {
		return fail(invalidArg("cannot make a row of a value that is not an object"))
	}
	return func(yield func(sqltype.Row, error) bool) { yield(one(a[0]), nil) }
}

func objectsAsRows(ctx *Context, a []sqltype.Value) rows {
	return func(yield func(sqltype.Row, error) bool) {
		for row, err := range arrayElements(false)(ctx, a) {
			if err == nil && !isObject(row[0].Str()) {
				row, err = nil, invalidArg("cannot make rows of an array whose elements are not all objects")
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// isObject tells whether a document is an object.
func isObject(doc string) bool {
	i := skipSpace(doc, 0)
	return i < len(doc) && doc[i] == '{'
}

// members walks over an object's members in their order in the text.
func members(v sqltype.Value, f func(k string, v json.RawMessage) sqltype.Row) rows {
	doc := v.Str()
	if !isObject(doc) {
		return fail(invalidArg("cannot deconstruct a value that is not an object"))
	}
	i := skipSpace(doc, 0)
	return func(yield func(sqltype.Row, error) bool) {
		for i := i + 1; ; {
			i = skipSpace(doc, i)
			if i >= len(doc) || doc[i] == '}' {
				return
			}
			if doc[i] == ',' {
				i++
				continue
			}
			end := skipValue(doc, i)
			var key string
			if err := json.Unmarshal([]byte(doc[i:end]), &key); err != nil {
				return
			}
			i = skipSpace(doc, skipSpace(doc, end)+1)
			end = skipValue(doc, i)
			if !yield(f(key, json.RawMessage(doc[i:end])), nil) {
				return
			}
			i = end
		}
	}
}
