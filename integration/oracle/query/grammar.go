package query

// The grammar of expressions: for every type the templates that give it.
//
//	{i4}      an expression of the type
//	{x1}      one of a type chosen once for the template; equal names, equal types
//	{n}       one of any numeric type
//	{c}       an expression of the type that the template gives
//	«a|b»     one of the texts
//
// Templates in wild fail on many values; those in outer give floating point
// numbers whose last digits depend on the C library, or JSON whose spaces differ,
// and so stand at the top of a select list only, where that is tolerated.

var grammar = map[Type][]string{
	Bool: {
		"({x1} «=|<>|<|<=|>|>=» {x1})", "({x1} «=|<>|<|<=|>|>=» {x1})", "({n} «=|<>|!=|<|<=|>|>=» {n})",
		"({b} AND {b})", "({b} AND {b})", "({b} OR {b})", "({b} OR {b})", "(NOT {b})",
		"({x} IS NULL)", "({x} IS NOT NULL)", "({b} IS «TRUE|FALSE|UNKNOWN|NOT TRUE|NOT FALSE|NOT UNKNOWN»)",
		"({x1} IS «|NOT »DISTINCT FROM {x1})", "({x1} «|NOT »BETWEEN «|SYMMETRIC »{x1} AND {x1})",
		"({x1} «|NOT »IN ({x1}, {x1}, {x1}))", "({i4} «|NOT »IN (1, 2, 3, NULL))", "({t} «|NOT »IN ('a', 'b', 'abc'))",
		"({t} «LIKE|NOT LIKE|ILIKE|NOT ILIKE» «'a%'|'%b%'|'_b_'|'%'|''|'%\\%'|'H%o%'|'a\\_b'|'日%'|'%ä%'»)",
		"({t} LIKE {t} ESCAPE '!')",
		"({t} «~|~*|!~|!~*» «'^a'|'b$'|'[a-c]+'|'^[A-Z]'|'\\d'|'(a|b)c'|'x.y'|'^$'|'\\s'|'^[[:digit:]]'»)",
		"({t} «|NOT »SIMILAR TO «'a%'|'(a|b)%'|'_bc'|'%[0-9]%'|'a+b'»)",
		"starts_with({t}, {t})", "(({i4}, {t}) «=|<>|<|>=» ({i4}, {t}))", "(ROW({i4}, {i4}) IS «|NOT »DISTINCT FROM ROW({i4}, {i4}))",
		"(({i4}, {i4}) IN ((1, 2), ({i4}, {i4})))",
		"({x1} «=|<>|<|>=» «ANY|ALL|SOME» (ARRAY[{x1}, {x1}]))", "(({dt}, {dt}) OVERLAPS ({dt}, {dt}))",
		"CAST(«'true'|'f'|'yes'|'0'|'on'» AS boolean)", "CAST({i4} AS boolean)",
		"({dt} «<|>=» {ts})", "(({i4} IS NULL) = ({b}))", "({b} «=|<>|<» {b})",
		"({i4} = ANY ('{1,2,NULL}'::int[]))", "isfinite({ts})", "(ARRAY[{i4}, {i4}] @> ARRAY[{i4}])", "(ARRAY[{i4}, {i4}] = ARRAY[{i4}, {i4}])",
		"(ARRAY[{i4}, {i4}] && ARRAY[{i4}, 1])", "('{\"a\": {\"b\": 1}}'::jsonb @> «'{\"a\": {}}'|'{\"a\": 1}'»::jsonb)", "('{\"a\": 1}'::jsonb ? {t})",
		"({t} ^@ {t})", "({t} «LIKE|NOT LIKE|ILIKE|~» «ANY|ALL» (ARRAY['a%', '%b', {t}]))", "({i4} «=|<» «ANY|ALL» (ARRAY(SELECT c0 FROM (VALUES ({i4}), ({i4})) AS v0(c0))))", "({dt} BETWEEN {dt} AND {dt})", "(({dt}, {iv}) OVERLAPS ({dt}, {iv}))", "(NULL IN ({i4}, 1))", "({i4} BETWEEN {n} AND {n})",
	},
	Int2: {"CAST({i4s} AS smallint)", "CAST({b} AS integer)::smallint", "(- {i2s})", "abs({i2s})", "({i2s} «+|-|*» {i2s})", "({i2s} & {i2s})", "({i2s} # {i2s})"},
	Int4: {
		"({i4} «+|-» {i4})", "({i4} «+|-» {i4})", "({i4s} * {i4s})", "({i4} «/|%» nullif({i4}, 0))", "(- {i4})", "(+ {i4})", "abs({i4})", "({i2} «+|-» {i4})",
		"({i4} «&|#» {i4})", "({i4} | {i4})", "(~ {i4})", "({i4} >> «1|3|31|33»)", "({i4s} << «0|2|5|20»)",
		"«length|char_length|character_length|octet_length|bit_length|ascii»({t})", "position({t} IN {t})", "strpos({t}, {t})",
		"mod({i4}, nullif({i4}, 0))", "gcd({i4}, {i4})", "lcm({i4s}, {i4s})", "({dt} - {dt})", "CAST({b} AS integer)", "CAST({i2} AS integer)",
		"CAST({i4s}::bigint AS integer)", "CAST({ds} AS integer)", "CAST({f8s} AS integer)", "CAST(«'12'|' 7 '|'-3'|'0'» AS integer)",
		"width_bucket({d}, 0, 100, 5)", "cardinality(ARRAY[{i4}, {i4}])", "array_length(ARRAY[{t}, {t}], «1|2»)", "array_position(ARRAY[{i4}, {i4}], {i4})",
		"num_nulls({x}, {x}, {i4})", "num_nonnulls({x}, {x})", "length({by})", "octet_length({by})", "(ARRAY[{i4}, {i4}])[«1|2|3»]",
		"scale({d})", "min_scale({d})", "json_array_length('[1,2,{\"a\":3}]'::json)", "jsonb_array_length('[]'::jsonb)", "array_ndims(ARRAY[{i4}])", "array_upper(ARRAY[1,2,{i4}], 1)",
		"regexp_count({t}, «'a'|'[a-c]'|'.'»)", "regexp_instr({t}, «'b'|'[A-Z]'»)", "bit_count({by})::integer", "get_byte('\\xabcd'::bytea, 1)", "sign({i4})::integer",
		"date_part('year', {ts})::integer", "extract(«dow|doy|isodow|day|week» FROM {dt})::integer",
	},
	Int8: {
		"({i8} «+|-» {i8})", "({i8s} * {i8s})", "({i8} «/|%» nullif({i8}, 0))", "({i8} + {i4})", "({i4} - {i8})", "(- {i8})", "abs({i8})",
		"({i8} & {i8})", "({i8} | {i4})", "(~ {i8})", "CAST({i4} AS bigint)", "CAST({f8s} AS bigint)", "CAST({ds} AS bigint)", "CAST(«'99'|'-5'» AS bigint)",
		"mod({i8}, nullif({i8}, 0))", "gcd({i8}, {i8})", "({i8} >> «1|40»)", "({i8s} << «3|30»)", "(SELECT count(*) FROM (VALUES ({i4}), ({i4})) AS v0(c0) WHERE c0 > 0)",
	},
	Float4: {"({f4} «+|-|*» {f4})", "(- {f4})", "abs({f4})", "CAST({i4} AS real)", "CAST({f8s} AS real)", "CAST({ds} AS real)", "CAST(«'1.5'|'-2e3'|'0.1'» AS real)"},
	Float8: {
		"({f8} «+|-» {f8})", "({f8s} * {f8s})", "({f8} / nullif({f8s}, 0))", "(- {f8})", "«abs|floor|ceil|ceiling|round|trunc|sign»({f8})", "({f4} + {f8})", "({i4} * {f8s})",
		"({ds} + {f8s})", "CAST({i4} AS double precision)", "CAST({ds} AS double precision)", "CAST({f4} AS double precision)", "CAST(«'1.5'|'-2e3'|' 7 '|'1e-5'» AS double precision)",
		"date_part(«'year'|'month'|'day'|'hour'|'minute'|'epoch'|'dow'|'quarter'», {ts})", "date_part(«'day'|'hour'|'epoch'», {iv})", "power({f8s}, 2)", "({f8s} ^ 2)", "mod({i4}, 7)::double precision", "sqrt(4.0::double precision)", "pi()",
		"trunc({f8})", "sign({i4})", "radians(180.0::double precision)", "degrees(0)",
	},
	Numeric: {
		"({d} «+|-» {d})", "({d} «+|-» {d})", "({ds} * {ds})", "({d} / nullif({ds}, 0))", "({ds} % nullif({ds}, 0))", "(- {d})", "(+ {d})", "«abs|floor|ceil|round|trunc|sign»({d})",
		"round({d}, «0|1|2|5|-1»)", "trunc({d}, «0|1|2|-1»)", "mod({ds}, nullif({ds}, 0))", "div({ds}, nullif({ds}, 0))",
		"extract(«year|month|day|hour|minute|second|epoch|dow|isodow|doy|quarter|week|isoyear|century|decade|millennium|milliseconds|microseconds|julian» FROM {ts})",
		"extract(«year|month|day|epoch|dow|doy|quarter|week» FROM {dt})", "extract(«hour|minute|second|epoch» FROM {tm})", "extract(«year|month|day|hour|minute|second|epoch» FROM {iv})",
		"({i4} + {d})", "({ds} * {i4s})", "({i8} - {d})", "({d} / «2|3|7|10»)", "({i4} / «2.0|3.0|7.00»)", "CAST({i4} AS numeric)", "CAST({i4s} AS numeric(12,3))", "CAST({ds} AS numeric(20,«0|1|2|4»))",
		"CAST({f8s} AS numeric)", "CAST({f4s} AS numeric)", "CAST(«'1.50'|'-2e3'|' 7 '|'1e-5'|'.5'|'0012.10'» AS numeric)", "trim_scale({d})", "factorial(«0|1|5|20»)", "sqrt(abs({ds}))", "power({ds}, «2|3|0|-1»)",
		"gcd({d}, {d})", "(@ {d})", "({ds} ^ 2)", "round({f8s}::numeric, «1|2»)", "sqrt(«2.0|4|10.25»)",
	},
	Text: {
		"({t} || {t})", "({t} || {t})", "({t} || {i4})", "({d} || {t})", "«upper|lower|initcap|trim|btrim|ltrim|rtrim|reverse|md5|quote_literal|quote_ident»({t})",
		"trim(«both|leading|trailing» «'a'|'abc'|' '» FROM {t})", "«btrim|ltrim|rtrim»({t}, «'a'|'ab '»)", "substring({t} FROM «1|2|-1|0» FOR «0|1|3»)", "substring({t} FROM «2|10»)",
		"substr({t}, «1|2|0|-2», «2|5»)", "substr({t}, 2)", "«left|right»({t}, «0|1|2|-1|-2|10»)", "«lpad|rpad»({t}, «0|3|8»)", "«lpad|rpad»({t}, «2|7», «'xy'|''|'ä'»)", "repeat({t}, «0|1|3|-1»)",
		"replace({t}, {t}, {t})", "translate({t}, «'abc'|'aé'», «'xy'|'xyz'|''»)", "split_part({t}, ',', «1|2|5|-1»)", "split_part({t}, 'b', 1)", "concat({x}, {t}, {x})", "concat_ws(«'-'|NULL|''», {t}, {i4}, {t})",
		"overlay({t} placing {t} FROM «1|2|4» FOR «0|1|2»)", "overlay({t} placing 'Z' FROM «1|3»)", "CAST({x} AS text)", "CAST({x} AS text)", "CAST({n} AS varchar(3))", "CAST({t} AS varchar(«1|2|20»))", "rtrim({t}::char(3)::text)", "to_char({ts} AT TIME ZONE 'UTC', 'HH24 TZ')",
		"to_char({ts}, «'YYYY-MM-DD'|'HH24:MI:SS'|'HH12:MI AM'|'Mon DD, YYYY'|'Day D DDD'|'Month'|'FMMonth FMDD'|'IYYY-IW'|'Q'|'MS US'|'DY dy Dy'|'YY Y,YYY'|'J'|'\"at\" HH24'|'DDth'|'SSSS'|'TZH:TZM'»)",
		"to_char({d}, «'999.99'|'0000'|'FM990.00'|'S99'|'9,999'|'99V99'|'9.999999EEEE'|'MI99'|'FM999'|'999PR'»)", "to_char({i4}, «'999'|'0000'|'FM9999'|'S9999'|'9,999'|'RN'|'FMRN'|'999th'»)", "to_char({dt}, «'YYYY/MM'|'Dy'»)", "to_char({iv}, 'HH24:MI:SS')", "to_char({f8}, 'FM9990.000')",
		"chr(65 + abs({i4s}) % 26)", "quote_nullable({t})", "regexp_replace({t}, «'[a-c]'|'b+'|'(.)(.)'|'^'|'\\s+'», «'X'|''|'\\2\\1'|'<\\&>'», «'g'|''|'i'|'gi'»)", "regexp_replace({t}, 'a', 'b')", "to_hex({i4})", "to_hex({i8})", "encode({by}, «'hex'|'base64'|'escape'»)",
		"format('%s-%s', {x}, {t})", "format('%I %L', {t}, {t})", "format('%5s|%-5s|', {i4}, {t})", "format('%2$s%1$s%%', {t}, {i4})", "array_to_string(ARRAY[{t}, {t}], ',')", "array_to_string(ARRAY[{i4}, {i4}], '-', '*')",
		"(string_to_array({t}, ','))[1]", "substring({t} FROM «'b.'|'(a)(b)'|'[0-9]+'|'^.'»)", "(regexp_match({t}, «'(a)(b)?'|'[a-z]+'»))[1]", "md5({by})", "encode(sha256({by}), 'hex')",
		"('{\"a\": {\"b\": \"c\"}, \"n\": 1.50}'::json ->> «'a'|'n'|'zz'»)", "('{\"a\": {\"b\": \"c\"}}'::json #>> «'{a,b}'|'{a}'|'{x,y}'»)", "('[1, \"x\", null]'::json ->> «0|1|2|-1|9»)", "json_typeof({j})", "({j} ->> «'a'|'k'»)", "(({j} -> 'a') ->> 'b')", "({j} #>> '{b,0}')", "CAST({j} AS text)",
		"(ARRAY[{t}, {t}] || ({t})::text)::text", "array_append(ARRAY[{i4}], {i4})::text", "array_remove(ARRAY[{i4}, 1, 2], 1)::text", "array_cat(ARRAY[{i4}], ARRAY[1])::text", "array_replace(ARRAY[{i4},1], 1, 9)::text", "array_prepend({i4}, ARRAY[{i4}])::text", "string_to_array({t}, «','|''|NULL»)::text", "regexp_split_to_array({t}, «',|b'|'\\s'»)::text", "(SELECT m[1] FROM regexp_matches({t}, «'([a-z])([0-9])?'|'(,)'») AS r0(m))",
		"({t} COLLATE \"C\")", "regexp_substr({t}, '[a-z]+')", "(SELECT string_agg(c0, ',' ORDER BY c0) FROM (VALUES ({t}), ({t})) AS v0(c0))", "pg_typeof({i4})::text", "convert_from({by_utf}, 'UTF8')", "({t} || NULL)", "concat('')", "ltrim(to_char({i4s}, '999'))", "age({dt}, {dt})::text", "ARRAY(SELECT c0 FROM (VALUES ({i4}), ({i4}), (2)) AS v0(c0) ORDER BY 1 «|DESC|NULLS FIRST»)::text", "array_to_string((ARRAY[{i4}, {i4}, 7])[«1:2|2:3|:1|2:»], ',', 'N')", "to_char({i8}, «'9,999,999'|'FM0000'|'S9'»)", "array_positions(ARRAY[{i4}, 1, 2], 1)::text",
	},
	Date: {
		"({dt} «+|-» {i4s})", "CAST({ts} AS date)", "make_date(2000 + abs({i4s}) % 30, 1 + abs({i4s}) % 12, 1 + abs({i4s}) % 28)", "to_date(«'2020-05-17'|'2024-02-29'», 'YYYY-MM-DD')", "to_date('17 Jan 2021', 'DD Mon YYYY')",
		"CAST(«'2020-01-05'|'20200105'|'Jan 5, 2020'|'2020-1-5'» AS date)", "date_trunc('month', {dt})::date", "({i4s} + {dt})", "({dt} + {iv})::date",
	},
	Time: {
		"({tm} «+|-» {iv})", "CAST({ts} AS time)", "make_time(abs({i4s}) % 24, abs({i4s}) % 60, 1.5)", "CAST(«'04:05'|'04:05:06.789'|'04:05 PM'|'040506'» AS time)", "CAST({iv} AS time)",
	},
	Timestamp: {
		"({ts} «+|-» {iv})", "({dt} «+|-» {iv})", "({dt} + {tm})", "date_trunc(«'year'|'quarter'|'month'|'week'|'day'|'hour'|'minute'|'second'|'decade'|'century'|'millennium'|'milliseconds'», {ts})", "CAST({dt} AS timestamp)",
		"make_timestamp(2020, 1 + abs({i4s}) % 12, 1, abs({i4s}) % 24, 5, 6.5)", "date_bin(«'15 minutes'|'1 day'|'2 hours 30 minutes'», {ts}, timestamp '2001-01-01')", "CAST(to_timestamp({i4s}) AS timestamp)", "CAST(to_timestamp('2020-05-17 10:20:30', 'YYYY-MM-DD HH24:MI:SS') AS timestamp)", "CAST(to_timestamp('05/17/20 PM 3', 'MM/DD/YY AM HH12') AS timestamp)", "CAST(«'2020-01-05 10:00'|'2020-01-05T10:00:00.123456'|'2020-01-05'|'Jan 5 2020 3:04 PM'» AS timestamp)",
		"CAST(({ts} AT TIME ZONE 'UTC') AS timestamp)",
	},
	Interval: {
		"({ts} - {ts})", "({iv} «+|-» {iv})", "({iv} * «2|-1|0.5|1.5»)", "(3 * {iv})", "({iv} / «2|4|0.5»)", "(- {iv})", "age({ts}, {ts})", "make_interval(days => {i4s}, hours => {i4s})", "make_interval({i4s}, {i4s}, 0, {i4s})", "«justify_days|justify_hours|justify_interval»({iv})", "({tm} - {tm})", "CAST({tm} AS interval)",
		"date_trunc(«'hour'|'day'|'month'|'year'», {iv})", "CAST(«'1 year 2 months'|'P1DT2H'|'1-2'|'3 4:05:06'|'1 week'|'2.5 hours'|'1 day ago'|'-1:30'|'1.5 days'» AS interval)", "interval «'1' day|'2' hour|'1-2' year to month|'3 04:05' day to minute»", "({dt}::timestamp - {ts})",
	},
	UUID:  {"CAST(«'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'|'{a0eebc999c0b4ef8bb6d6bb9bd380a11}'» AS uuid)", "CAST(md5({t}) AS uuid)"},
	Bytes: {"({by} || {by})", "sha256({by})", "decode(«'00ff'|'abcd'», 'hex')", "decode('YWJj', 'base64')", "substring({by} FROM 1 FOR 2)", "convert_to({t}, 'UTF8')", "set_byte('\\xabcd'::bytea, 0, 7)", "overlay({by} placing '\\x00'::bytea FROM 1)", "sha512({by})", "reverse({t})::bytea", "trim('\\x00'::bytea FROM {by})"},
	JSON:  {"({j} -> «'a'|'b'»)", "({j} -> 0)", "to_json({i4})", "({j} #> '{a,b}')"},
}

// every is for each type: what takes any type and gives it back.
var every = []string{
	"CASE WHEN {b} THEN {c} ELSE {c} END", "CASE WHEN {b} THEN {c} END", "CASE WHEN {b} THEN {c} WHEN {b} THEN {c} ELSE {c} END", "CASE {x1} WHEN {x1} THEN {c} WHEN {x1} THEN {c} ELSE {c} END",
	"coalesce({c}, {c})", "coalesce({c}, {c}, {c})", "(SELECT {c})",
}

// everyOrdered is for the types with an order.
var everyOrdered = []string{"nullif({c}, {c})", "greatest({c}, {c})", "least({c}, {c}, {c})", "(ARRAY[{c}, {c}])[1]"}

// everyMaxable is for the types with max.
var everyMaxable = []string{"(SELECT max(c0) FROM (VALUES ({c}), ({c})) AS v0(c0))", "(SELECT min(c0) FROM (VALUES ({c}), ({c})) AS v0(c0))"}

// outer stand at the top of a select list.
var outer = map[Type][]string{
	Float8: {
		"sqrt(abs({f8s}))", "cbrt({f8s})", "exp({f8s} / 100)", "ln(abs({f8s}) + 1)", "log(abs({f8s}) + 1)", "log10(abs({f8s}) + 1)", "«sin|cos|tan|atan|sinh|cosh|tanh|asinh|radians|degrees|cot»({f8s} / 100 + 0.5)", "«asin|acos|atanh»(0.5::double precision)", "atan2({f8s}, {f8s})",
		"power(abs({f8s}), 0.5)", "«sind|cosd|tand»({i4s})", "(|/ abs({f8s}))", "(||/ {f8s})", "acosh(1.5::double precision)",
	},
	Text:    {"json_build_object('a', {i4}, 'b', {t})::text", "json_build_array({i4}, {t}, {d})::text", "to_json({t}::text)::text", "row_to_json(ROW({i4}, {t}))::text", "jsonb_build_object('z', {i4}, 'a', {t})::text", "to_jsonb({i4})::text", "(CAST({j} AS jsonb))::text", "jsonb_set('{\"a\":1}'::jsonb, '{a}', '2')::text", "('{\"a\":1,\"b\":2}'::jsonb - 'a')::text", "('{\"a\":1}'::jsonb || '{\"b\":2}'::jsonb)::text"},
	Numeric: {"exp({ds} / 100)", "ln(abs({ds}) + 1)", "log(abs({ds}) + 1)", "log(2.0, abs({ds}) + 1)", "power(abs({ds}) + 1, 0.5)", "sqrt(abs({ds}) + 0.5)", "(2.0 ^ 0.5)"},
}

// wild are templates that fail on some values.
var wild = map[Type][]string{
	Int2:      {"({i2} «+|-|*|/|%» {i2})", "CAST({i4} AS smallint)", "CAST({d} AS smallint)", "CAST({t} AS smallint)", "CAST({f8} AS smallint)", "abs({i2})", "(- {i2})"},
	Int4:      {"({i4} «+|-|*|/|%» {i4})", "({i4} * {i4})", "CAST({i8} AS integer)", "CAST({f8} AS integer)", "CAST({f4} AS integer)", "CAST({d} AS integer)", "CAST({t} AS integer)", "abs({i4})", "(- {i4})", "lcm({i4s}, {i4})", "get_byte({by}, {i4})", "ascii({t})", "mod({i4}, {i4})", "gcd({i4}, {i4})", "({dt} - {dt})"},
	Int8:      {"({i8} «+|-|*|/|%» {i8})", "CAST({f8} AS bigint)", "CAST({d} AS bigint)", "CAST({t} AS bigint)", "({i8} * {i4})", "abs({i8})"},
	Float4:    {"({f4} «+|-|*|/» {f4})", "CAST({f8} AS real)", "CAST({t} AS real)", "CAST({d} AS real)"},
	Float8:    {"({f8} «+|-|*|/» {f8})", "sqrt({f8})", "ln({f8})", "log({f8})", "exp({f8})", "power({f8}, {f8})", "CAST({t} AS double precision)", "asin({f8})", "acosh({f8})", "({f8} / {i4})"},
	Numeric:   {"({d} «+|-|*|/|%» {d})", "CAST({d} AS numeric(5,2))", "CAST({f8} AS numeric)", "CAST({t} AS numeric)", "sqrt({d})", "ln({d})", "power({d}, 3)", "exp({ds})", "factorial({i4s})", "log({ds}, {ds})", "CAST({i8} AS numeric(6,1))", "div({d}, {d})", "mod({d}, {d})"},
	Text:      {"chr({i4})", "repeat({t}, {i4s})", "substring({t} FROM {i4s} FOR {i4s})", "CAST({x} AS text)", "to_char({ts}, {t})", "split_part({t}, {t}, {i4})", "lpad({t}, {i4s}, {t})", "format({t}, {i4})", "encode({by}, {t})", "left({t}, {i4s})"},
	Date:      {"CAST({t} AS date)", "({dt} + {i4})", "make_date({i4}, {i4}, {i4})", "to_date({t}, 'YYYY-MM-DD')", "CAST({ts} AS date)"},
	Time:      {"CAST({t} AS time)", "make_time({i4}, {i4}, {f8})", "({tm} + {iv})"},
	Timestamp: {"CAST({t} AS timestamp)", "({ts} + {iv})", "make_timestamp({i4}, {i4}, {i4}, {i4}, {i4}, {f8})", "date_trunc({t}, {ts})", "({ts} - {iv})", "date_bin({iv}, {ts}, {ts})", "CAST(to_timestamp({f8}) AS timestamp)"},
	Interval:  {"CAST({t} AS interval)", "({iv} * {f8})", "({iv} / {f8})", "({iv} + {iv})", "({ts} - {ts})", "age({ts}, {ts})"},
	Bool:      {"CAST({t} AS boolean)", "({t} ~ {t})", "({t} LIKE {t})", "({t} SIMILAR TO {t})", "({n} = {n})", "({x1} < {x1})", "({dt} < {ts})"},
	UUID:      {"CAST({t} AS uuid)"},
	Bytes:     {"CAST({t} AS bytea)", "decode({t}, 'hex')", "decode({t}, 'base64')", "substring({by} FROM {i4s} FOR {i4s})"},
	JSON:      {"CAST({t} AS json)"},
}

// wrong are expressions that both sides must refuse, for the codes.
var wrong = []string{
	"nosuchfunction({i4})", "nosuchcolumn", "({i4} + {b})", "({t} + {dt})", "upper({i4}, {i4})", "({b} AND {i4})", "CAST({dt} AS integer)", "sum(sum({i4}))", "substr({dt}, {dt})",
	"CAST('x' AS integer)", "CAST('2020-13-01' AS date)", "date '2020-02-30'", "1 / 0", "length({i4})", "coalesce({i4}, {dt})", "CASE WHEN {i4} THEN 1 END", "({i4} || {i4})", "({dt} + {dt})", "NOT {i4}", "nosuchtable.id", "(SELECT 1, 2)", "(VALUES (1), (2))", "({i4}, {i4}) = ({i4}, {i4}, {i4})",
	"({u} = {i4})", "({t} = {i4})", "({i4} LIKE {t})", "- {t}", "abs({t})", "interval 'x'", "uuid 'x'", "'{'::json", "ARRAY[{i4}, {b}]", "32768::smallint", "2147483648::int", "9223372036854775807 + 1", "row_number()", "rank() OVER (ORDER BY sum({i4}))", "greatest({i4}, {b})", "CAST(1 AS nosuchtype)", "{i4} IN (SELECT 1, 2)", "sqrt(-1)", "ln(0)", "chr(-1)", "repeat('a', -1) || nullif(1)", "extract(nosuch FROM {ts})", "date_trunc('nosuch', {ts})", "'a' ~ '('", "{i4} IS TRUE", "max(DISTINCT)", "count()", "lower(DISTINCT {t})", "{t} COLLATE \"nosuch\"", "DEFAULT",
}
