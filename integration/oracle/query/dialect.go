package query

// dialect is what statements are made of: the types, and the templates of
// expressions as grammar.go explains them.
type dialect struct {
	// portable statements spell out what databases have other defaults for,
	// and use no clause that one of them lacks.
	portable bool
	// comparables are the types with an order, numbers the numeric ones,
	// storable those that a column has; a type that stands twice is chosen
	// twice as often.
	comparables, numbers, storable []Type
	// ranges are the types of the key of a RANGE frame with a distance.
	ranges []Type
	// decimal is how a DECIMAL column is declared; "": in several ways.
	decimal string

	grammar             map[Type][]string
	every, everyOrdered []string
	outer               map[Type][]string
	// aggregates by the type that they give; outerAggregates are compared with
	// a tolerance and stand at the top only.
	aggregates      map[Type][]string
	outerAggregates []string
	// numbering are window functions that need a total order; frameable those
	// whose frame decides.
	numbering, frameable []string
	// named are calls over the windows w0 and w1, which builds on w0.
	named []string
}

// postgresql is everything: KalamDB means to be PostgreSQL's.
var postgresql = &dialect{
	comparables:     comparables,
	numbers:         numbers,
	storable:        storable,
	ranges:          []Type{Int4, Int8, Numeric, Float8, Date, Timestamp, Time, Interval},
	grammar:         grammar,
	every:           every,
	everyOrdered:    everyOrdered,
	outer:           outer,
	aggregates:      aggregates,
	outerAggregates: outerAggregates,
	numbering:       []string{"row_number()", "ntile(«1|2|3|7»)", "lag({x})", "lag({x1}, «1|2|0», {x1})", "lead({x1}, 1, {x1})", "lead({x})", "lag({x}, «1|2|3|-1»)"},
	named:           []string{"count(*) OVER w0", "dense_rank() OVER w1", "sum({i4}) OVER (w1 RANGE UNBOUNDED PRECEDING)"},
	frameable:       []string{"count(*)", "count({x})", "sum({i4})", "sum({d})", "avg({i4})", "min({x_o})", "max({x_o})", "bool_or({b})", "sum({f8})", "count({x}) FILTER (WHERE {b})", "avg({d})"},
}

// portable is what DuckDB has too and gives the same values for. It leaves out
// what differs by definition: division of integers and of DECIMALs, texts of
// DOUBLEs and DECIMALs, regular expressions, escapes in LIKE, negative
// positions in texts, row values, arrays, JSON, intervals as values.
var portable = &dialect{
	portable:    true,
	comparables: []Type{Bool, Int2, Int4, Int4, Int8, Float8, Numeric, Numeric, Text, Text, Date, Timestamp},
	numbers:     []Type{Int2, Int4, Int4, Int8, Float8, Numeric},
	storable:    []Type{Bool, Int2, Int4, Int8, Float8, Numeric, Text, Text, Date, Timestamp},
	ranges:      []Type{Int4, Int8, Numeric, Float8, Timestamp},
	decimal:     "numeric(12,3)",
	every:       every,
	everyOrdered: []string{
		"nullif({c}, {c})", "greatest({c}, {c})", "least({c}, {c}, {c})",
	},
	grammar: map[Type][]string{
		Bool: {
			"({x1} «=|<>|<|<=|>|>=» {x1})", "({x1} «=|<>|<|<=|>|>=» {x1})", "({n} «=|<>|!=|<|<=|>|>=» {n})",
			"({b} AND {b})", "({b} AND {b})", "({b} OR {b})", "({b} OR {b})", "(NOT {b})",
			"({x} IS NULL)", "({x} IS NOT NULL)", "({b} IS «TRUE|FALSE|NOT TRUE|NOT FALSE»)",
			"({x1} IS «|NOT »DISTINCT FROM {x1})", "({x1} «|NOT »BETWEEN {x1} AND {x1})",
			"({x1} «|NOT »IN ({x1}, {x1}, {x1}))", "({i4} «|NOT »IN (1, 2, 3, NULL))", "({t} «|NOT »IN ('a', 'b', 'abc'))",
			"({t} «LIKE|NOT LIKE|ILIKE|NOT ILIKE» «'a%'|'%b%'|'_b_'|'%'|''|'H%o%'|'日%'|'%ä%'|'%a'|'a%c'»)",
			"starts_with({t}, {t})", "({dt} «<|>=|=» {ts})", "({b} «=|<>|<» {b})", "({i4} BETWEEN {n} AND {n})", "({dt} BETWEEN {dt} AND {dt})",
		},
		Int2: {"CAST({i4s} AS smallint)", "CAST(CAST({b} AS integer) AS smallint)", "CAST((- {i2s}) AS smallint)", "CAST(abs({i2s}) AS smallint)"},
		Int4: {
			"({i4} «+|-» {i4})", "({i4} «+|-» {i4})", "({i4s} * {i4s})", "({i4} % nullif({i4}, 0))", "(- {i4})", "abs({i4})", "({i2} «+|-» {i4})",
			"({i4} & {i4})", "({i4} | {i4})", "CAST(length({t}) AS integer)", "CAST(position({t} IN {t}) AS integer)", "CAST(strpos({t}, {t}) AS integer)",
			"CAST(({dt} - {dt}) AS integer)", "CAST({b} AS integer)", "CAST({i2} AS integer)", "CAST({i4s}::bigint AS integer)", "CAST({ds} AS integer)",
			"CAST(extract(«year|month|day|hour|minute|dow|isodow|doy|week|quarter» FROM {ts}) AS integer)", "CAST(extract(«year|month|day|dow|doy» FROM {dt}) AS integer)",
		},
		Int8: {
			"({i8} «+|-» {i8})", "({i8s} * {i8s})", "({i8} % nullif({i8}, 0))", "({i8} + {i4})", "({i4} - {i8})", "(- {i8})", "abs({i8})",
			"({i8} & {i8})", "({i8} | {i4})", "CAST({i4} AS bigint)", "CAST({ds} AS bigint)", "(SELECT count(*) FROM (VALUES ({i4}), ({i4})) AS v0(c0) WHERE c0 > 0)",
		},
		Float8: {
			"({f8} «+|-» {f8})", "({f8s} * {f8s})", "({f8} / nullif({f8s}, 0))", "(- {f8})", "«abs|floor|ceil|trunc»({f8})", "CAST(({i4} * {f8s}) AS double precision)",
			"CAST({i4} AS double precision)", "CAST({ds} AS double precision)", "CAST(«'1.5'|'-2e3'|'1e-5'» AS double precision)", "power({f8s}, 2)",
		},
		Numeric: {
			"CAST(({d} «+|-» {d}) AS numeric(18,3))", "CAST(({d} «+|-» {d}) AS numeric(18,3))", "CAST(({ds} * {ds}) AS numeric(18,3))", "CAST((- {d}) AS numeric(18,3))", "CAST(«abs|floor|ceil»({d}) AS numeric(18,3))",
			"CAST(round({d}, «0|1|2») AS numeric(18,3))", "CAST({i4} AS numeric(18,3))", "CAST(({i4} + {d}) AS numeric(18,3))", "CAST({ds} AS numeric(18,«1|2|3»))", "CAST(«'1.50'|'7'|'.5'|'0012.10'» AS numeric(18,3))",
			"CAST(({ds} % nullif({ds}, 0)) AS numeric(18,3))",
		},
		Text: {
			"({t} || {t})", "({t} || {t})", "({t} || CAST({i4} AS text))", "«upper|lower|trim|ltrim|rtrim|reverse|md5»({t})",
			"«ltrim|rtrim»({t}, «'a'|'ab '»)", "substring({t} FROM «1|2» FOR «1|3»)", "substr({t}, «1|2|4»)", "«left|right»({t}, «0|1|2|10»)", "«lpad|rpad»({t}, «0|3|8», «' '|'xy'|'ä'»)", "repeat({t}, «0|1|3»)",
			"replace({t}, «'a'|'bc'», {t})", "translate({t}, 'abc', «'xy'|'xyz'|''»)", "split_part({t}, «','|'b'», «1|2|5»)", "concat({t}, {t})", "concat_ws('-', {t}, {t})",
			"CAST({i4} AS text)", "CAST({i8} AS text)", "CAST({dt} AS text)", "CAST({ts} AS text)", "chr(65 + abs({i4s}) % 26)",
		},
		Date: {
			"({dt} «+|-» CAST({i4s} AS integer))", "CAST({ts} AS date)", "make_date(2000 + abs({i4s}) % 30, 1 + abs({i4s}) % 12, 1 + abs({i4s}) % 28)",
			"CAST(«'2020-01-05'|'2020-1-5'» AS date)", "CAST(date_trunc('«year|quarter|month|week»', {dt}) AS date)", "CAST(({dt} + interval '«1 day|1 month|1 year|36 hours»') AS date)",
		},
		Timestamp: {
			"({ts} «+|-» interval '«1 day|2 hours|1 month|1 year 2 months|90 minutes|0.5 seconds»')", "CAST(({dt} «+|-» interval '«1 day|5 hours|1 month»') AS timestamp)",
			"date_trunc('«year|quarter|month|week|day|hour|minute|second»', {ts})", "CAST({dt} AS timestamp)", "CAST(«'2020-01-05 10:00:00'|'2020-01-05 10:00:00.123456'|'2020-01-05'» AS timestamp)",
		},
	},
	outer: map[Type][]string{
		Float8:  {"sqrt(abs({f8s}))", "cbrt({f8s})", "exp({f8s} / 100)", "ln(abs({f8s}) + 1)", "«sin|cos|tan|atan|radians|degrees»({f8s} / 100 + 0.5)", "atan2({f8s}, {f8s})", "power(abs({f8s}), 0.5)", "({ds} + {f8s})", "sign({f8})"},
		Numeric: {"CAST({ds} AS double precision) / 3", "({ds} * {i4s})", "({d} + 1.5)"},
		Text:    {"CAST({b} AS text)", "({t} || {i4})", "({i4} || {t})"},
	},
	aggregates: map[Type][]string{
		Int8:      {"count(*)", "count({x})", "count(DISTINCT {x})", "count({b})", "CAST(sum({i4}) AS bigint)", "CAST(sum({i2}) AS bigint)", "CAST(sum(DISTINCT {i4}) AS bigint)"},
		Numeric:   {"CAST(sum({d}) AS numeric(18,3))", "CAST(sum(DISTINCT {d}) AS numeric(18,3))", "min({d})", "max({d})"},
		Float8:    {"sum({f8})", "avg({f8})", "min({f8})", "max({f8})"},
		Int4:      {"min({i4})", "max({i4})", "bit_and({i4})", "bit_or({i4})", "bit_xor({i4})", "CAST(count(DISTINCT {t}) AS integer)"},
		Int2:      {"min({i2})", "max({i2})"},
		Bool:      {"bool_and({b})", "bool_or({b})"},
		Text:      {"min({t})", "max({t})", "string_agg({t}, ',' ORDER BY 1)"},
		Date:      {"min({dt})", "max({dt})"},
		Timestamp: {"min({ts})", "max({ts})"},
	},
	outerAggregates: []string{
		"avg({i4})", "avg({d})", "avg(DISTINCT {i4})", "variance({i4})", "stddev({i4})", "stddev_pop({i4})", "stddev({f8})", "variance({f8})", "stddev_pop({f8})", "var_pop({f8})", "var_samp({d})",
		"covar_pop({f8}, {f8})", "covar_samp({f8}, {f8})", "regr_count({f8}, {f8})", "regr_avgx({f8}, {f8})", "percentile_cont(«0|0.25|0.5|1») WITHIN GROUP (ORDER BY {f8})", "percentile_disc(«0|0.3|0.5|1») WITHIN GROUP (ORDER BY {i4})",
	},
	numbering: []string{"row_number()", "ntile(«1|2|3|7»)", "lag({x})", "lag({x1}, «1|2|0», {x1})", "lead({x1}, 1, {x1})", "lead({x})", "lag({x}, «1|2|3»)"},
	// Not (w1 RANGE UNBOUNDED PRECEDING), for which DuckDB forgets w0.
	named:     []string{"count(*) OVER w0", "dense_rank() OVER w1", "sum({i4}) OVER w1"},
	frameable: []string{"count(*)", "count({x})", "sum({i4})", "sum({d})", "avg({i4})", "min({x_o})", "max({x_o})", "bool_or({b})", "sum({f8})", "count({x}) FILTER (WHERE {b})", "avg({d})"},
}
