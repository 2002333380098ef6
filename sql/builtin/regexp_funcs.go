package builtin

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func init() {
	o := section{"pattern", Operator}
	match := func(name string, flags string, want bool, doc string) {
		o.def(name+"(text, text) boolean", doc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			re, err := Regexp(a[1].Str(), flags)
			if err != nil {
				return sqltype.Value{}, err
			}
			return sqltype.NewBool(re.MatchString(a[0].Str()) == want), nil
		})
	}
	match("~", "", true, "Tells whether a text matches a regular expression.")
	match("~*", "i", true, "Tells whether a text matches a regular expression, ignoring case.")
	match("!~", "", false, "Tells whether a text does not match a regular expression.")
	match("!~*", "i", false, "Tells whether a text does not match a regular expression, ignoring case.")
	like := func(name string, fold, want bool, doc string) {
		o.def(name+"(text, text) boolean", doc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			m, err := CompileLike(a[1].Str(), `\`, fold)
			if err != nil {
				return sqltype.Value{}, err
			}
			hit, err := m.Match(a[0].Str())
			return sqltype.NewBool(hit == want), err
		})
	}
	like("~~", false, true, "Tells whether a text matches a LIKE pattern.")
	like("~~*", true, true, "Tells whether a text matches a LIKE pattern, ignoring case.")
	like("!~~", false, false, "Tells whether a text does not match a LIKE pattern.")
	like("!~~*", true, false, "Tells whether a text does not match a LIKE pattern, ignoring case.")

	s := section{"pattern", Scalar}
	s.def("regexp_like(text, text) boolean; regexp_like(text, text, text) boolean", "Tells whether a text matches a regular expression.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		re, err := regexpArg(a, 1, 2)
		if err != nil {
			return sqltype.Value{}, err
		}
		return sqltype.NewBool(re.MatchString(a[0].Str())), nil
	})
	s.def("regexp_match(text, text) text[]; regexp_match(text, text, text) text[]", "Gives the groups of the first match of a regular expression.", regexpMatch)
	s.def("regexp_replace(text, text, text) text; regexp_replace(text, text, text, text) text",
		"Replaces the first match of a regular expression, or all with the flag g.", regexpReplace)
	s.def("regexp_count(text, text) int; regexp_count(text, text, int) int; regexp_count(text, text, int, text) int",
		"Counts the matches of a regular expression.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			re, text, _, err := regexpFrom(a, 2, 3)
			if err != nil {
				return sqltype.Value{}, err
			}
			return integer(len(re.FindAllStringIndex(text, -1))), nil
		})
	s.def("regexp_substr(text, text) text; regexp_substr(text, text, int) text; regexp_substr(text, text, int, int) text; regexp_substr(text, text, int, int, text) text; regexp_substr(text, text, int, int, text, int) text",
		"Gives the n-th match of a regular expression, or one of its groups.", regexpSubstr)
	s.def("regexp_instr(text, text) int; regexp_instr(text, text, int) int; regexp_instr(text, text, int, int) int; regexp_instr(text, text, int, int, int) int; regexp_instr(text, text, int, int, int, text) int; regexp_instr(text, text, int, int, int, text, int) int",
		"Gives the place of the n-th match of a regular expression, counted from 1, or 0.", regexpInstr)
	s.def("regexp_split_to_array(text, text) text[]; regexp_split_to_array(text, text, text) text[]", "Splits a text at the matches of a regular expression.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		parts, err := regexpSplit(a)
		if err != nil {
			return sqltype.Value{}, err
		}
		return textArray(parts), nil
	})
	s.def("substring(text, text) text", "Gives what a regular expression matches, or its first group.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		re, err := Regexp(a[1].Str(), "")
		if err != nil {
			return sqltype.Value{}, err
		}
		m := re.FindStringSubmatchIndex(a[0].Str())
		if m == nil {
			return sqltype.NullOf(sqltype.Text), nil
		}
		return group(a[0].Str(), m, min(1, len(m)/2-1)), nil
	})
	s.def("substring(text, text, text) text", "Gives the part of a text that a SIMILAR TO pattern marks between escaped quotes.", substringSimilar)
	s.def("regexp_quote(text) text", "Escapes a text so that a regular expression matches it literally.", text1(regexp.QuoteMeta))
}

// group is a submatch, NULL where it took no part.
func group(s string, m []int, n int) sqltype.Value {
	if n*2+1 >= len(m) || m[2*n] < 0 {
		return sqltype.NullOf(sqltype.Text)
	}
	return sqltype.NewText(s[m[2*n]:m[2*n+1]])
}

// regexpArg compiles the pattern at a place with the flags at another, where
// they are given.
func regexpArg(a []sqltype.Value, pattern, flags int) (*regexp.Regexp, error) {
	f := ""
	if flags < len(a) {
		f = a[flags].Str()
	}
	return Regexp(a[pattern].Str(), f)
}

// regexpFrom is regexpArg for functions with a start, counted in characters;
// text is what follows it, and skipped how many characters lie before.
func regexpFrom(a []sqltype.Value, start, flags int) (re *regexp.Regexp, text string, skipped int, err error) {
	if flags < len(a) && strings.ContainsRune(a[flags].Str(), 'g') {
		return nil, "", 0, invalidArg(`this function does not support the "global" option`)
	}
	if re, err = regexpArg(a, 1, flags); err != nil {
		return nil, "", 0, err
	}
	text = a[0].Str()
	if start < len(a) {
		n := a[start].Int()
		if n < 1 {
			return nil, "", 0, invalidArg(`invalid value for parameter "start": %d`, n)
		}
		skipped = int(n - 1)
		text = text[runeOffset(text, int(min(n-1, int64(len(text))))):]
	}
	return re, text, skipped, nil
}

func regexpMatch(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	if len(a) > 2 && strings.ContainsRune(a[2].Str(), 'g') {
		return sqltype.Value{}, invalidArg(`regexp_match() does not support the "global" option`)
	}
	re, err := regexpArg(a, 1, 2)
	if err != nil {
		return sqltype.Value{}, err
	}
	m := re.FindStringSubmatchIndex(a[0].Str())
	if m == nil {
		return sqltype.NullOf(sqltype.Array), nil
	}
	return matchGroups(a[0].Str(), m), nil
}

// matchGroups is an array of the groups, or of the whole match without any.
func matchGroups(s string, m []int) sqltype.Value {
	if len(m) == 2 {
		return sqltype.NewArray([]sqltype.Value{group(s, m, 0)})
	}
	out := make([]sqltype.Value, 0, len(m)/2-1)
	for i := 1; i < len(m)/2; i++ {
		out = append(out, group(s, m, i))
	}
	return sqltype.NewArray(out)
}

func regexpReplace(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	global := len(a) > 3 && strings.ContainsRune(a[3].Str(), 'g')
	re, err := regexpArg(a, 1, 3)
	if err != nil {
		return sqltype.Value{}, err
	}
	s, repl := a[0].Str(), a[2].Str()
	n := 1
	if global {
		n = -1
	}
	matches := re.FindAllStringSubmatchIndex(s, n)
	if matches == nil {
		return a[0], nil
	}
	var b strings.Builder
	at := 0
	for _, m := range matches {
		b.WriteString(s[at:m[0]])
		// \1 to \9 and \& stand for what was matched.
		for i := 0; i < len(repl); i++ {
			if repl[i] != '\\' || i+1 == len(repl) {
				b.WriteByte(repl[i])
				continue
			}
			i++
			switch c := repl[i]; {
			case c >= '1' && c <= '9':
				b.WriteString(group(s, m, int(c-'0')).Str())
			case c == '&':
				b.WriteString(s[m[0]:m[1]])
			case c == '\\':
				b.WriteByte('\\')
			default:
				b.WriteByte('\\')
				b.WriteByte(c)
			}
		}
		at = m[1]
		if b.Len() > MaxText {
			return sqltype.Value{}, tooLarge()
		}
	}
	b.WriteString(s[at:])
	return sqltype.NewText(b.String()), nil
}

// nthMatch finds the match that the arguments name; m is nil without one.
func nthMatch(a []sqltype.Value, start, nth, flags int) (text string, m []int, skipped int, err error) {
	re, text, skipped, err := regexpFrom(a, start, flags)
	if err != nil {
		return "", nil, 0, err
	}
	n := int64(1)
	if nth < len(a) {
		if n = a[nth].Int(); n < 1 {
			return "", nil, 0, invalidArg(`invalid value for parameter "n": %d`, n)
		}
	}
	all := re.FindAllStringSubmatchIndex(text, int(n))
	if int64(len(all)) < n {
		return text, nil, skipped, nil
	}
	return text, all[n-1], skipped, nil
}

func regexpSubstr(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	text, m, _, err := nthMatch(a, 2, 3, 4)
	if err != nil || m == nil {
		return sqltype.NullOf(sqltype.Text), err
	}
	g := 0
	if len(a) > 5 {
		if g = int(a[5].Int()); g < 0 {
			return sqltype.Value{}, invalidArg(`invalid value for parameter "subexpr": %d`, g)
		}
	}
	return group(text, m, g), nil
}

func regexpInstr(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	text, m, skipped, err := nthMatch(a, 2, 3, 5)
	if err != nil || m == nil {
		return integer(0), err
	}
	g := 0
	if len(a) > 6 {
		if g = int(a[6].Int()); g < 0 {
			return sqltype.Value{}, invalidArg(`invalid value for parameter "subexpr": %d`, g)
		}
	}
	if 2*g+1 >= len(m) || m[2*g] < 0 {
		return integer(0), nil
	}
	at := m[2*g]
	if len(a) > 4 {
		switch a[4].Int() {
		case 0:
		case 1:
			at = m[2*g+1]
		default:
			return sqltype.Value{}, invalidArg(`invalid value for parameter "endoption": %d`, a[4].Int())
		}
	}
	return integer(skipped + utf8.RuneCountInString(text[:at]) + 1), nil
}

func regexpSplit(a []sqltype.Value) ([]string, error) {
	re, err := regexpArg(a, 1, 2)
	if err != nil {
		return nil, err
	}
	s := a[0].Str()
	var out []string
	at := 0
	for _, m := range re.FindAllStringIndex(s, -1) {
		// An empty match at the ends or right behind a match splits nothing.
		if m[0] == m[1] && (m[0] == at || m[0] >= len(s)) {
			continue
		}
		out = append(out, s[at:m[0]])
		at = m[1]
	}
	return append(out, s[at:]), nil
}

// substringSimilar is SUBSTRING(x SIMILAR p ESCAPE e): the pattern has three
// parts divided by e", and the middle one is what is wanted.
func substringSimilar(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	parts := strings.Split(a[1].Str(), a[2].Str()+`"`)
	if len(parts) != 3 || a[2].Str() == "" {
		if len(parts) > 3 {
			return sqltype.Value{}, dberr.New(dberr.InvalidSQL, "SQL regular expression may not contain more than two escape-double-quote separators").WithState("2200C")
		}
		m, err := CompileSimilar(a[1].Str(), a[2].Str())
		if err != nil {
			return sqltype.NullOf(sqltype.Text), err
		}
		if hit, err := m.Match(a[0].Str()); err != nil || !hit {
			return sqltype.NullOf(sqltype.Text), err
		}
		return a[0], nil
	}
	var b strings.Builder
	for i, p := range parts {
		re, err := similarRegexp(p, a[2].Str())
		if err != nil {
			return sqltype.Value{}, err
		}
		body := strings.TrimSuffix(strings.TrimPrefix(re.String(), `(?s)^(?:`), `)$`)
		switch i {
		case 0:
			b.WriteString(`(?s)^(?:` + strings.ReplaceAll(body, ".*", ".*?") + `)`)
		case 1:
			b.WriteString(`(` + body + `)`)
		default:
			b.WriteString(`(?:` + body + `)$`)
		}
	}
	re, err := compileRegexp(b.String())
	if err != nil {
		return sqltype.Value{}, err
	}
	m := re.FindStringSubmatchIndex(a[0].Str())
	if m == nil {
		return sqltype.NullOf(sqltype.Text), nil
	}
	return group(a[0].Str(), m, 1), nil
}
