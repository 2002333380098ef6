package builtin

import (
	"strings"

	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// maxArray is how many elements a function may make an array grow to.
const maxArray = 1 << 20

func init() {
	s := section{"array", Scalar}
	s.def("array_element(anyarray, int) anyelement", "Gives an element, counted from 1, or NULL outside the array: a[i].", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		l, i := a[0].List(), a[1].Int()
		if i < 1 || i > int64(len(l)) {
			return sqltype.Null(), nil
		}
		return l[i-1], nil
	})
	s.def("array_slice(anyarray, int, int) anyarray", "Gives the elements from one place to another: a[i:j].", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		l := a[0].List()
		lo, hi := max(a[1].Int(), 1), min(a[2].Int(), int64(len(l)))
		if lo > hi {
			return sqltype.NewArray([]sqltype.Value{}), nil
		}
		return sqltype.NewArray(l[lo-1 : hi : hi]), nil
	})
	s.def("array_length(anyarray, int) int; array_upper(anyarray, int) int", "Gives the number of elements in a dimension, which must be 1, or NULL for an empty array.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if a[1].Int() != 1 || len(a[0].List()) == 0 {
			return sqltype.NullOf(sqltype.Integer), nil
		}
		return integer(len(a[0].List())), nil
	})
	s.def("array_lower(anyarray, int) int; array_ndims(anyarray) int", "Gives 1, or NULL for an empty array.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if len(a[0].List()) == 0 || len(a) > 1 && a[1].Int() != 1 {
			return sqltype.NullOf(sqltype.Integer), nil
		}
		return integer(1), nil
	})
	s.def("cardinality(anyarray) int; array_length(anyarray) int", "Counts the elements.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return integer(len(a[0].List())), nil
	})
	s.def("array_append(anyarray, anyelement) anyarray", "Adds an element at the end.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return joinLists(a[0].List(), a[1:2])
	}, lenient)
	s.def("array_prepend(anyelement, anyarray) anyarray", "Adds an element at the beginning.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return joinLists(a[:1], a[1].List())
	}, lenient)
	s.def("array_cat(anyarray, anyarray) anyarray", "Joins two arrays.", catArrays, lenient)
	o := section{"array", Operator}
	o.def("||(anyarray, anyarray) anyarray", "Joins two arrays.", catArrays, lenient)
	o.def("||(anyarray, anyelement) anyarray", "Adds an element at the end.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return joinLists(a[0].List(), a[1:2])
	}, lenient)
	o.def("||(anyelement, anyarray) anyarray", "Adds an element at the beginning.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return joinLists(a[:1], a[1].List())
	}, lenient)
	o.def("@>(anyarray, anyarray) boolean", "Tells whether the first array contains all elements of the second.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(containsAll(a[0].List(), a[1].List())), nil
	})
	o.def("<@(anyarray, anyarray) boolean", "Tells whether the second array contains all elements of the first.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(containsAll(a[1].List(), a[0].List())), nil
	})
	o.def("&&(anyarray, anyarray) boolean", "Tells whether two arrays have an element in common.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		for _, e := range a[0].List() {
			if find(a[1].List(), e, 0) >= 0 && !e.IsNull() {
				return sqltype.NewBool(true), nil
			}
		}
		return sqltype.NewBool(false), nil
	})
	s.def("array_position(anyarray, anyelement) int; array_position(anyarray, anyelement, int) int", "Gives the place of the first element equal to a value, counted from 1, or NULL.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		from := int64(1)
		if len(a) > 2 {
			from = max(a[2].Int(), 1)
		}
		if a[0].IsNull() || from > int64(len(a[0].List())) {
			return sqltype.NullOf(sqltype.Integer), nil
		}
		if i := find(a[0].List(), a[1], int(from-1)); i >= 0 {
			return integer(i + 1), nil
		}
		return sqltype.NullOf(sqltype.Integer), nil
	}, lenient)
	s.def("array_positions(anyarray, anyelement) int[]", "Gives the places of all elements equal to a value.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if a[0].IsNull() {
			return sqltype.NullOf(sqltype.Array), nil
		}
		out := []sqltype.Value{}
		for i, e := range a[0].List() {
			if sqltype.Equal(e, a[1]) {
				out = append(out, integer(i+1))
			}
		}
		return sqltype.NewArray(out), nil
	}, lenient)
	s.def("array_remove(anyarray, anyelement) anyarray", "Removes all elements equal to a value.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return mapArray(a[0], func(e sqltype.Value) (sqltype.Value, bool) { return e, !sqltype.Equal(e, a[1]) })
	}, lenient)
	s.def("array_replace(anyarray, anyelement, anyelement) anyarray", "Replaces all elements equal to a value by another.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return mapArray(a[0], func(e sqltype.Value) (sqltype.Value, bool) {
			if sqltype.Equal(e, a[1]) {
				return a[2], true
			}
			return e, true
		})
	}, lenient)
	s.def("array_reverse(anyarray) anyarray", "Reverses the order of the elements.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		l := a[0].List()
		out := make([]sqltype.Value, len(l))
		for i, e := range l {
			out[len(l)-1-i] = e
		}
		return sqltype.NewArray(out), nil
	})
	s.def("array_contains(anyarray, anyelement) boolean; array_has(anyarray, anyelement) boolean", "Tells whether an array has an element equal to a value.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(find(a[0].List(), a[1], 0) >= 0), nil
	})
	s.def("array_to_string(anyarray, text) text; array_to_string(anyarray, text, text) text", "Joins the texts of the elements with a delimiter, leaving NULL out or writing it as the third argument.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if a[0].IsNull() || a[1].IsNull() {
			return sqltype.NullOf(sqltype.Text), nil
		}
		var b strings.Builder
		first := true
		for _, e := range a[0].List() {
			text := e.Text()
			if e.IsNull() {
				if len(a) < 3 || a[2].IsNull() {
					continue
				}
				text = a[2].Str()
			}
			if !first {
				b.WriteString(a[1].Str())
			}
			first = false
			b.WriteString(text)
			if b.Len() > MaxText {
				return sqltype.Value{}, tooLarge()
			}
		}
		return sqltype.NewText(b.String()), nil
	}, lenient)
	s.def("string_to_array(text, text) text[]; string_to_array(text, text, text) text[]", "Splits a text at a delimiter (NULL: into characters), reading the third argument as NULL.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if a[0].IsNull() {
			return sqltype.NullOf(sqltype.Array), nil
		}
		out := textArray(splitText(a[0].Str(), a[1]))
		if len(a) > 2 && !a[2].IsNull() {
			for i, e := range out.List() {
				if e.Str() == a[2].Str() {
					out.List()[i] = sqltype.NullOf(sqltype.Text)
				}
			}
		}
		return out, nil
	}, lenient)
	s.def("array_fill(anyelement, int) anyarray", "Makes an array of a number of equal elements.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n := a[1].Int()
		if n > maxArray {
			return sqltype.Value{}, tooLarge()
		}
		out := make([]sqltype.Value, max(n, 0))
		for i := range out {
			out[i] = a[0]
		}
		return sqltype.NewArray(out), nil
	})
	s.def("trim_array(anyarray, int) anyarray", "Removes a number of elements from the end.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		l, n := a[0].List(), a[1].Int()
		if n < 0 || n > int64(len(l)) {
			return sqltype.Value{}, invalidArg("number of elements to trim must be between 0 and %d", len(l))
		}
		return sqltype.NewArray(l[:int64(len(l))-n]), nil
	})
}

func textArray(parts []string) sqltype.Value {
	out := make([]sqltype.Value, len(parts))
	for i, p := range parts {
		out[i] = sqltype.NewText(p)
	}
	return sqltype.NewArray(out)
}

// splitText splits at a delimiter; NULL stands for every character.
func splitText(s string, sep sqltype.Value) []string {
	switch {
	case s == "":
		return nil
	case sep.IsNull():
		return strings.Split(s, "")
	case sep.Str() == "":
		return []string{s}
	}
	return strings.Split(s, sep.Str())
}

func catArrays(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	switch {
	case a[0].IsNull():
		return a[1], nil
	case a[1].IsNull():
		return a[0], nil
	}
	return joinLists(a[0].List(), a[1].List())
}

func joinLists(a, b []sqltype.Value) (sqltype.Value, error) {
	if len(a)+len(b) > maxArray {
		return sqltype.Value{}, tooLarge()
	}
	out := make([]sqltype.Value, 0, len(a)+len(b))
	return sqltype.NewArray(append(append(out, a...), b...)), nil
}

func mapArray(a sqltype.Value, f func(sqltype.Value) (v sqltype.Value, keep bool)) (sqltype.Value, error) {
	if a.IsNull() {
		return a, nil
	}
	out := make([]sqltype.Value, 0, len(a.List()))
	for _, e := range a.List() {
		if v, keep := f(e); keep {
			out = append(out, v)
		}
	}
	return sqltype.NewArray(out), nil
}

// find is the index of the first element from a place on that equals v, or -1.
func find(l []sqltype.Value, v sqltype.Value, from int) int {
	for i := from; i < len(l); i++ {
		if sqltype.Equal(l[i], v) {
			return i
		}
	}
	return -1
}

func containsAll(l, sub []sqltype.Value) bool {
	for _, e := range sub {
		if e.IsNull() || find(l, e, 0) < 0 {
			return false
		}
	}
	return true
}
