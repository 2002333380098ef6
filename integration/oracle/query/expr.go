package query

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Generator makes statements over a schema. The same source of randomness
// gives the same statements.
type Generator struct {
	r      *rand.Rand
	schema *Schema
	// names counts aliases, which are unique in a statement.
	names int
	// nested is how many more queries the statement may have inside.
	nested int
	// large counts the uses of tables with many rows.
	large int
	// ctes are the common table expressions in sight.
	ctes []relation
}

// NewGenerator makes a generator.
func NewGenerator(r *rand.Rand, s *Schema) *Generator { return &Generator{r: r, schema: s} }

// field is a column in scope, as text.
type field struct {
	text string
	typ  Type
	// node is the expression that text shows, where it may hold literals:
	// wherever it stands these are the same parameters.
	node *Node
}

// scope is what an expression may refer to.
type scope struct {
	fields []field
	// outer are the columns of the query around.
	outer *scope
	// grouped is the scope below the aggregation, whose columns only
	// aggregates may use; nil where there is no aggregation.
	grouped *scope
	// constant queries have no columns at all.
	wild bool
}

func (g *Generator) chance(percent int) bool { return g.r.IntN(100) < percent }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func (g *Generator) alias(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

// concrete chooses a type of a class.
func (g *Generator) concrete(t Type) Type {
	switch t {
	case Number:
		return pick(g.r, g.schema.dialect.numbers)
	case Comparable:
		return pick(g.r, g.schema.dialect.comparables)
	}
	return t
}

// expr makes an expression of a type.
func (g *Generator) expr(t Type, s *scope, depth int) *Node {
	t = g.concrete(t)
	if s.grouped != nil && g.chance(45) {
		if n := g.aggregate(t, s.grouped, depth-1); n != nil {
			return n
		}
	}
	if depth <= 0 || g.chance(20) {
		return g.leaf(t, s)
	}
	if g.nested > 0 && g.chance(6) {
		g.nested--
		if n := g.subquery(t, s, depth-1); n != nil {
			return n
		}
	}
	return g.fill(t, g.template(t, s.wild), s, depth-1)
}

func (g *Generator) template(t Type, risky bool) string {
	d := g.schema.dialect
	if risky && g.chance(50) && len(wild[t]) > 0 {
		return pick(g.r, wild[t])
	}
	switch n := g.r.IntN(100); {
	case n < 14 || len(d.grammar[t]) == 0:
		return pick(g.r, d.every)
	case n < 20 && t != JSON:
		return pick(g.r, d.everyOrdered)
	case n < 22 && maxable[t]:
		return pick(g.r, everyMaxable)
	}
	return pick(g.r, d.grammar[t])
}

func (g *Generator) leaf(t Type, s *scope) *Node {
	var have []field
	for f := s; f != nil; f = f.outer {
		for _, c := range f.fields {
			if c.typ == t {
				have = append(have, c)
			}
		}
		if len(have) > 0 && g.chance(70) {
			break
		}
	}
	if len(have) > 0 && g.chance(75) {
		f := pick(g.r, have)
		if f.node != nil {
			return expression(t, f.node)
		}
		return expression(t, f.text)
	}
	return literal(g.r, t, s.wild && g.chance(50))
}

// small makes an expression whose values are tame: a literal or the column k.
func (g *Generator) small(t Type, s *scope) *Node {
	if t == Int4 && g.chance(40) {
		for _, c := range s.fields {
			if strings.HasSuffix(c.text, ".k") && c.typ == Int4 {
				return expression(t, c.text)
			}
		}
	}
	if !s.wild && g.chance(40) {
		return g.leaf(t, s)
	}
	return literal(g.r, t, false)
}

// fill replaces a template's places.
func (g *Generator) fill(t Type, template string, s *scope, depth int) *Node {
	n := &Node{Type: t}
	bound := map[string]Type{}
	rest := template
	for rest != "" {
		i := strings.IndexAny(rest, "{«")
		// A brace in quotes is text of an array or of JSON.
		for i >= 0 && rest[i] == '{' && !place(rest[i:]) {
			j := strings.IndexAny(rest[i+1:], "{«")
			if j < 0 {
				i = -1
				break
			}
			i += 1 + j
		}
		if i < 0 {
			n.Parts = append(n.Parts, rest)
			break
		}
		if i > 0 {
			n.Parts = append(n.Parts, rest[:i])
		}
		if rest[i] == '{' {
			end := i + strings.IndexByte(rest[i:], '}')
			n.Parts = append(n.Parts, g.place(t, rest[i+1:end], bound, s, depth))
			rest = rest[end+1:]
			continue
		}
		end := i + strings.Index(rest[i:], "»")
		n.Parts = append(n.Parts, pick(g.r, choices(rest[i+len("«"):end])))
		rest = rest[end+len("»"):]
	}
	return n
}

// choices splits at the bars that stand in no quotes.
func choices(s string) []string {
	var out []string
	from, quoted := 0, false
	for i := range len(s) {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case s[i] == '|' && !quoted:
			out = append(out, s[from:i])
			from = i + 1
		}
	}
	return append(out, s[from:])
}

// place tells a place for an expression from other braces.
func place(s string) bool {
	end := strings.IndexByte(s, '}')
	return end > 0 && end <= 7 && isName(s[1:end]) && (sqlNames[Type(strings.TrimRight(s[1:end], "1s"))] != "" || known[s[1:end]])
}

var known = map[string]bool{"c": true, "x": true, "x1": true, "ds": true, "dts": true, "by_utf": true, "ts": true}

func isName(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != ""
}

func (g *Generator) place(t Type, name string, bound map[string]Type, s *scope, depth int) *Node {
	switch name {
	case "c":
		return g.expr(t, s, depth)
	case "by_utf":
		return expression(Bytes, "convert_to(", g.expr(Text, s, depth-1), ", 'UTF8')")
	case "x1":
		if bound[name] == None {
			bound[name] = g.concrete(Comparable)
		}
		return g.expr(bound[name], s, depth)
	}
	if Type(name) == Comparable || sqlNames[Type(name)] != "" {
		return g.expr(Type(name), s, depth)
	}
	return g.small(Type(strings.TrimSuffix(name, "s")), s)
}

// aggregates by result type; the places refer to the rows aggregated.
var aggregates = map[Type][]string{
	Int8:    {"count(*)", "count({x})", "count(DISTINCT {x})", "count({b})", "sum({i4})", "sum({i2})", "regr_count({f8}, {f8})", "sum(DISTINCT {i4})"},
	Numeric: {"sum({d})", "avg({i4})", "avg({d})", "sum({i8})", "avg({i8})", "sum(DISTINCT {d})", "avg(DISTINCT {i4})", "min({d})", "max({d})", "variance({i4})", "stddev({i4})", "stddev_pop({i4})", "var_samp({d})", "var_pop({d})", "stddev({d})", "mode() WITHIN GROUP (ORDER BY {d})"},
	Float8:  {"sum({f8})", "avg({f8})", "min({f8})", "max({f8})", "percentile_cont(«0|0.25|0.5|0.9|1») WITHIN GROUP (ORDER BY {f8})", "percentile_cont(0.5) WITHIN GROUP (ORDER BY {i4} «|DESC»)"},
	Float4:  {"min({f4})", "max({f4})"},
	Int4:    {"min({i4})", "max({i4})", "bit_and({i4})", "bit_or({i4})", "bit_xor({i4})", "percentile_disc(«0|0.3|0.5|1») WITHIN GROUP (ORDER BY {i4})", "mode() WITHIN GROUP (ORDER BY {i4})", "cardinality(array_agg({x} ORDER BY 1))", "grouping_of_nothing"},
	Int2:    {"min({i2})", "max({i2})", "bit_or({i2})"},
	Bool:    {"bool_and({b})", "bool_or({b})", "every({b})"},
	Text:    {"min({t})", "max({t})", "string_agg({t}, ',' ORDER BY 1)", "string_agg(DISTINCT {t}, '')", "array_agg({i4} ORDER BY 1)::text", "array_agg(DISTINCT {i4})::text", "array_to_string(array_agg(DISTINCT {t}::text), '|')", "percentile_disc(0.5) WITHIN GROUP (ORDER BY {t})", "mode() WITHIN GROUP (ORDER BY {t}::text)"},
	Date:    {"min({dt})", "max({dt})"}, Time: {"min({tm})", "max({tm})"}, Timestamp: {"min({ts})", "max({ts})"}, Interval: {"sum({iv})", "avg({iv})", "min({iv})", "max({iv})"},
}

// outerAggregates are compared with a tolerance and stand at the top only.
var outerAggregates = []string{"stddev({f8})", "variance({f8})", "stddev_pop({f8})", "var_pop({f8})", "corr({f8}, {f8})", "covar_pop({f8}, {f8})", "covar_samp({f8}, {f8})", "regr_slope({f8}, {f8})", "regr_intercept({f8}, {f8})", "regr_r2({f8}, {f8})", "regr_avgx({f8}, {f8})", "regr_sxx({f8}, {f8})"}

// aggregate makes an aggregate call, nil where none gives the type.
func (g *Generator) aggregate(t Type, s *scope, depth int) *Node {
	inner := *s
	inner.outer = nil
	switch all := g.schema.dialect.aggregates[t]; {
	case len(all) == 0:
		return nil
	default:
		return g.call(t, pick(g.r, all), &inner, min(depth, 2))
	}
}

// call fills an aggregate's template; "ORDER BY 1" there stands for the order
// by the argument itself.
func (g *Generator) call(t Type, template string, s *scope, depth int) *Node {
	switch {
	case template == "grouping_of_nothing":
		template = "count(*)::integer"
	case strings.Contains(template, "string_agg({t}, ',' ORDER BY 1)"):
		arg := g.expr(Text, s, depth)
		return expression(t, "string_agg(", arg, ", ',' ORDER BY ", arg, ")", g.filter(s))
	case strings.Contains(template, "array_agg({x} ORDER BY 1)"):
		arg := g.expr(Comparable, s, depth)
		return expression(t, "coalesce(cardinality(array_agg(", arg, " ORDER BY ", arg, ")", g.filter(s), "), 0)")
	case strings.Contains(template, "array_agg({i4} ORDER BY 1)"):
		arg := g.expr(Int4, s, depth)
		return expression(t, "CAST(array_agg(", arg, " ORDER BY ", arg, " DESC NULLS LAST)", g.filter(s), " AS text)")
	}
	n := g.fill(t, template, s, depth)
	if !strings.Contains(template, "::") && !strings.HasPrefix(template, "array_to") && !strings.HasPrefix(template, "cardinality") {
		n.Parts = append(n.Parts, g.filter(s))
	}
	return n
}

func (g *Generator) filter(s *scope) *Node {
	if !g.chance(20) {
		return text("")
	}
	return optional(" FILTER (WHERE ", g.expr(Bool, s, 1), ")")
}
