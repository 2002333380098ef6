package builtin

import (
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// Match is a function chosen for a call.
type Match struct {
	Fn *Function
	// Args are the types to which the call's arguments are to be converted,
	// one for each argument. An argument that is of this kind already (or
	// whose place takes Any) stays as it is.
	Args []sqltype.Type
	// Result is the call's type.
	Result sqltype.Type
}

// Resolve chooses the function for a call by PostgreSQL's rules: the exact
// signature, else the one that needs the fewest and most natural implicit
// casts, where an argument of Unknown type (a text literal, NULL or a
// parameter) fits everything. The error is FUNCTION_NOT_FOUND and names the
// argument types.
func Resolve(name string, args []sqltype.Type) (Match, error) {
	fs := registry[name]
	if len(fs) == 0 {
		return Match{}, notFound(name, args, nil)
	}
	m, n := choose(fs, args)
	switch n {
	case 1:
		return m, nil
	case 0:
		return Match{}, notFound(name, args, fs)
	}
	return Match{}, dberr.Newf(dberr.FunctionNotFound, "function %s is not unique", callText(name, args)).
		WithState("42725").WithHint("Add explicit casts so that one candidate function fits best.")
}

// ResolveOperator chooses an operator; args has one type (prefix) or two.
func ResolveOperator(name string, args []sqltype.Type) (Match, error) {
	fs := registry[name]
	ops := make([]*Function, 0, len(fs))
	for _, f := range fs {
		if f.Kind == Operator && len(f.Args) == len(args) {
			ops = append(ops, f)
		}
	}
	m, n := choose(ops, args)
	if n == 1 {
		return m, nil
	}
	return Match{}, OperatorNotFound(name, args, n > 1)
}

// OperatorNotFound is the error for an operator that does not take these
// types; ambiguous says that several do.
func OperatorNotFound(name string, args []sqltype.Type, ambiguous bool) error {
	text := name + " " + args[0].PostgresName()
	if len(args) == 2 {
		text = args[0].PostgresName() + " " + name + " " + args[1].PostgresName()
	}
	if ambiguous {
		return dberr.Newf(dberr.FunctionNotFound, "operator is not unique: %s", text).
			WithState("42725").WithHint("Add explicit type casts.")
	}
	return dberr.Newf(dberr.FunctionNotFound, "operator does not exist: %s", text).
		WithHint("No operator matches the given name and argument types. You might need to add explicit type casts.")
}

func callText(name string, args []sqltype.Type) string {
	var b strings.Builder
	b.WriteString(name)
	b.WriteByte('(')
	for i, a := range args {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.PostgresName())
	}
	b.WriteByte(')')
	return b.String()
}

func notFound(name string, args []sqltype.Type, fs []*Function) error {
	if (name == "greatest" || name == "least") && len(args) > 1 {
		return dberr.Newf(dberr.TypeMismatch, "%s types %s and %s cannot be matched", strings.ToUpper(name), args[0].PostgresName(), args[len(args)-1].PostgresName())
	}
	e := dberr.Newf(dberr.FunctionNotFound, "function %s does not exist", callText(name, args))
	if len(fs) == 0 {
		if ours := elsewhere[name]; ours != "" {
			return e.WithHint("Use %s.", ours)
		}
		if near := nearest(name); near != "" {
			return e.WithHint("Did you mean %s?", near)
		}
		return e
	}
	var sigs []string
	for _, f := range fs {
		if len(sigs) == 4 {
			sigs = append(sigs, "…")
			break
		}
		sigs = append(sigs, f.Signature())
	}
	return e.WithHint("It takes: %s. You might need to add explicit type casts.", strings.Join(sigs, "; "))
}

// nearest is the registered function whose name differs least, "" when none
// is near.
func nearest(name string) string {
	best, bestDist := "", 3
	for _, f := range Functions() {
		if f.Kind == Operator || len(name) < 4 {
			continue
		}
		if d := editDistance(name, f.Name, 1, 1, 1); d < bestDist {
			best, bestDist = f.Name, d
		}
	}
	return best
}

// choose narrows the candidates as PostgreSQL's func_select_candidate does and
// gives the match and how many candidates were left.
func choose(fs []*Function, args []sqltype.Type) (Match, int) {
	var cands []Match
	for _, f := range fs {
		m, ok := fit(f, args)
		if !ok {
			continue
		}
		exact := true
		for i, a := range args {
			exact = exact && sameKind(a, m.Args[i])
		}
		if exact {
			return m, 1
		}
		cands = append(cands, m)
	}
	if len(cands) < 2 {
		return first(cands)
	}
	// One known and one unknown operand: assume that they are of one type.
	if len(args) == 2 && (args[0].Kind == sqltype.Unknown) != (args[1].Kind == sqltype.Unknown) {
		known := args[0]
		if known.Kind == sqltype.Unknown {
			known = args[1]
		}
		for _, m := range cands {
			if sameKind(m.Args[0], known) && sameKind(m.Args[1], known) && m.Fn.Kind == Operator {
				return m, 1
			}
		}
	}
	cands = keepBest(cands, func(m Match) (n int) {
		for i, a := range args {
			if a.Kind != sqltype.Unknown && sameKind(a, m.Args[i]) {
				n++
			}
		}
		return n
	})
	cands = keepBest(cands, func(m Match) (n int) {
		for i, a := range args {
			if a.Kind != sqltype.Unknown && (sameKind(a, m.Args[i]) || preferred(m.Args[i].Kind)) {
				n++
			}
		}
		return n
	})
	if len(cands) < 2 {
		return first(cands)
	}
	return chooseUnknown(cands, args)
}

// chooseUnknown decides between candidates by the categories that they take
// at the places of unknown arguments: text where any takes text, else the
// category that all agree on, and its preferred type.
func chooseUnknown(cands []Match, args []sqltype.Type) (Match, int) {
	for i, a := range args {
		if a.Kind != sqltype.Unknown {
			continue
		}
		cat, agree, text := category(cands[0].Args[i].Kind), true, false
		for _, m := range cands {
			c := category(m.Args[i].Kind)
			text = text || c == catString
			agree = agree && c == cat
		}
		if text {
			cat = catString
		} else if !agree {
			continue
		}
		var kept []Match
		hasPreferred := false
		for _, m := range cands {
			if category(m.Args[i].Kind) == cat {
				kept = append(kept, m)
				hasPreferred = hasPreferred || preferred(m.Args[i].Kind)
			}
		}
		if hasPreferred {
			kept = keepBest(kept, func(m Match) int {
				if preferred(m.Args[i].Kind) {
					return 1
				}
				return 0
			})
		}
		if len(kept) > 0 {
			cands = kept
		}
	}
	if len(cands) < 2 {
		return first(cands)
	}
	// A candidate that names its types goes before one that takes any.
	cands = keepBest(cands, func(m Match) (n int) {
		for _, a := range m.Fn.Args {
			if a.Kind < AnyElement {
				n++
			}
		}
		return n - len(m.Fn.Args)
	})
	if len(cands) < 2 {
		return first(cands)
	}
	// All known arguments of one type: assume it for the unknown ones too.
	known := sqltype.TUnknown
	for _, a := range args {
		switch {
		case a.Kind == sqltype.Unknown:
		case known.Kind == sqltype.Unknown:
			known = a
		case !sameKind(known, a):
			return cands[0], len(cands)
		}
	}
	if known.Kind != sqltype.Unknown {
		n, at := 0, 0
		for k, m := range cands {
			ok := true
			for i := range args {
				_, found := FindCast(known, m.Args[i], Implicit)
				ok = ok && found
			}
			if ok {
				n, at = n+1, k
			}
		}
		if n == 1 {
			return cands[at], 1
		}
	}
	return cands[0], len(cands)
}

func first(cands []Match) (Match, int) {
	if len(cands) == 0 {
		return Match{}, 0
	}
	return cands[0], len(cands)
}

func keepBest(cands []Match, score func(Match) int) []Match {
	best := -1
	var kept []Match
	for _, m := range cands {
		switch s := score(m); {
		case s > best:
			best, kept = s, append(kept[:0:0], m)
		case s == best:
			kept = append(kept, m)
		}
	}
	return kept
}

// sameKind ignores modifiers.
func sameKind(a, b sqltype.Type) bool {
	return a.Kind == b.Kind && (a.Kind != sqltype.Array || a.Elem == b.Elem)
}

// fit tells whether the arguments can be given to f, and as which types.
func fit(f *Function, args []sqltype.Type) (Match, bool) {
	switch {
	case f.Variadic && len(args) < len(f.Args), !f.Variadic && len(args) != len(f.Args):
		return Match{}, false
	}
	m := Match{Fn: f, Args: make([]sqltype.Type, len(args)), Result: f.Result}
	elem, poly := sqltype.TUnknown, false
	for i := range args {
		d := f.Args[min(i, len(f.Args)-1)]
		switch d.Kind {
		case AnyElement:
			poly = true
			var ok bool
			if elem, ok = CommonType(elem, args[i]); !ok {
				return Match{}, false
			}
		case AnyArray:
			poly = true
			switch args[i].Kind {
			case sqltype.Unknown:
			case sqltype.Array:
				var ok bool
				if elem, ok = CommonType(elem, args[i].ElemType()); !ok {
					return Match{}, false
				}
			default:
				return Match{}, false
			}
		}
	}
	if poly && elem.Kind == sqltype.Unknown {
		elem = sqltype.TText
	}
	for i, a := range args {
		d := f.Args[min(i, len(f.Args)-1)]
		switch d.Kind {
		case Any:
			m.Args[i] = a
			if a.Kind == sqltype.Unknown {
				m.Args[i] = sqltype.TText
			}
			continue
		case AnyElement:
			d = elem
		case AnyArray:
			d = sqltype.ArrayOf(elem)
		}
		if _, ok := FindCast(a, d, Implicit); !ok {
			return Match{}, false
		}
		m.Args[i] = d
	}
	switch f.Result.Kind {
	case AnyElement:
		m.Result = elem
	case AnyArray:
		m.Result = sqltype.ArrayOf(elem)
	}
	return m, true
}

type typeCategory uint8

const (
	catUser typeCategory = iota
	catBoolean
	catNumeric
	catString
	catDateTime
	catTimespan
	catArray
	catAny
)

func category(k sqltype.Kind) typeCategory {
	switch k {
	case sqltype.Boolean:
		return catBoolean
	case sqltype.SmallInt, sqltype.Integer, sqltype.BigInt, sqltype.Float, sqltype.Double, sqltype.Decimal:
		return catNumeric
	case sqltype.Text, sqltype.Unknown:
		return catString
	case sqltype.Date, sqltype.Time, sqltype.Timestamp:
		return catDateTime
	case sqltype.Interval:
		return catTimespan
	case sqltype.Array, AnyArray:
		return catArray
	case AnyElement, Any:
		return catAny
	}
	return catUser
}

func preferred(k sqltype.Kind) bool {
	switch k {
	case sqltype.Boolean, sqltype.Double, sqltype.Text, sqltype.Timestamp, sqltype.Interval:
		return true
	}
	return false
}

// CommonType is the type that CASE, COALESCE, IN, UNION and comparisons bring
// two types to: the one to which the other has an implicit cast. Unknown
// gives way to everything. Modifiers stay when both have the same.
func CommonType(a, b sqltype.Type) (sqltype.Type, bool) {
	switch {
	case a == b, b.Kind == sqltype.Unknown:
		return a, true
	case a.Kind == sqltype.Unknown:
		return b, true
	case a.Kind == sqltype.Array && b.Kind == sqltype.Array:
		e, ok := CommonType(a.ElemType(), b.ElemType())
		return sqltype.ArrayOf(e), ok
	case a.Kind == b.Kind:
		return sqltype.Type{Kind: a.Kind}, true
	}
	if _, ok := FindCast(a, b, Implicit); ok {
		return sqltype.Type{Kind: b.Kind, Elem: b.Elem}, true
	}
	if _, ok := FindCast(b, a, Implicit); ok {
		return sqltype.Type{Kind: a.Kind, Elem: a.Elem}, true
	}
	return sqltype.TUnknown, false
}
