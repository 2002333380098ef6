package builtin

import (
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// option refines a registration.
type option func(*Function)

func lenient(f *Function)  { f.Strict = false }
func stable(f *Function)   { f.Volatility = Stable }
func volatile(f *Function) { f.Volatility = Volatile }
func kernel(k Kernel) option {
	return func(f *Function) { f.Kernel = k }
}

// section registers the functions of one category.
type section struct {
	category string
	kind     Kind
}

// def registers one implementation under the signatures, which are separated
// by "; " and look like lpad(text, int, text) text, or "variadic text" for a
// last argument that repeats.
func (s section) def(signatures, doc string, eval Eval, opts ...option) {
	for sig := range strings.SplitSeq(signatures, "; ") {
		f := parseSignature(sig)
		f.Kind, f.Category, f.Doc, f.Strict, f.Eval = s.kind, s.category, doc, true, eval
		for _, o := range opts {
			o(f)
		}
		register(f)
	}
}

var (
	registry = map[string][]*Function{}
	all      []*Function
)

func register(f *Function) {
	registry[f.Name] = append(registry[f.Name], f)
	all = append(all, f)
}

// parseSignature reads a signature. A mistake is one of this package, found
// when the program starts.
func parseSignature(sig string) *Function {
	open, end := strings.LastIndexByte(sig, '('), strings.LastIndexByte(sig, ')')
	if open < 0 || end < open {
		panic("builtin: bad signature " + sig)
	}
	f := &Function{Name: sig[:open], Result: parseType(strings.TrimSpace(sig[end+1:]))}
	if args := sig[open+1 : end]; args != "" {
		for a := range strings.SplitSeq(args, ", ") {
			if rest, ok := strings.CutPrefix(a, "variadic "); ok {
				f.Variadic, a = true, rest
			}
			f.Args = append(f.Args, parseType(a))
		}
	}
	return f
}

func parseType(name string) sqltype.Type {
	switch name {
	case "anyelement":
		return sqltype.Type{Kind: AnyElement}
	case "anyarray":
		return sqltype.Type{Kind: AnyArray}
	case "any":
		return sqltype.Type{Kind: Any}
	}
	if elem, ok := strings.CutSuffix(name, "[]"); ok {
		return sqltype.ArrayOf(parseType(elem))
	}
	t, ok := sqltype.Named(name)
	if !ok {
		panic("builtin: unknown type " + name)
	}
	return t
}

// TypeName is a type's name in a signature, pseudo-types included.
func TypeName(t sqltype.Type) string {
	switch t.Kind {
	case AnyElement:
		return "ANYELEMENT"
	case AnyArray:
		return "ANYARRAY"
	case Any:
		return "ANY"
	}
	return t.String()
}

// Signature is the function as a reader of the documentation sees it:
// lpad(TEXT, INT, TEXT) → TEXT.
func (f *Function) Signature() string {
	var b strings.Builder
	if f.Kind == Operator {
		if len(f.Args) == 1 {
			return f.Name + " " + TypeName(f.Args[0]) + " → " + TypeName(f.Result)
		}
		return TypeName(f.Args[0]) + " " + f.Name + " " + TypeName(f.Args[1]) + " → " + TypeName(f.Result)
	}
	b.WriteString(f.Name)
	b.WriteByte('(')
	for i, a := range f.Args {
		if i > 0 {
			b.WriteString(", ")
		}
		if f.Variadic && i == len(f.Args)-1 {
			b.WriteString("VARIADIC ")
		}
		b.WriteString(TypeName(a))
	}
	fmt.Fprintf(&b, ") → %s", TypeName(f.Result))
	return b.String()
}

// Functions lists everything that can be called, operators included, sorted
// by kind, name and number of arguments: for documentation, completion and
// information_schema.routines.
var Functions = sync.OnceValue(func() []*Function {
	out := append([]*Function(nil), all...)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		switch {
		case a.Kind != b.Kind:
			return a.Kind < b.Kind
		case a.Name != b.Name:
			return a.Name < b.Name
		}
		return len(a.Args) < len(b.Args)
	})
	return out
})

// Lookup gives every signature of a name (in lower case), whatever its kind.
func Lookup(name string) []*Function { return registry[name] }

// KindOf tells how a name is called: an aggregate, a window function, a table
// function or a scalar one. ok is false for a name that is none.
func KindOf(name string) (k Kind, ok bool) {
	fs := registry[name]
	if len(fs) == 0 {
		return 0, false
	}
	return fs[0].Kind, true
}
