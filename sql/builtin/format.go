package builtin

import (
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// format is PostgreSQL's format(): %s, %I, %L and %%, each with an argument's
// position (n$), the flag - and a width, which may be * for an argument.
func format(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	if a[0].IsNull() {
		return sqltype.NullOf(sqltype.Text), nil
	}
	f := formatter{tmpl: a[0].Str(), args: a[1:]}
	for f.i < len(f.tmpl) {
		at := strings.IndexByte(f.tmpl[f.i:], '%')
		if at < 0 {
			f.out.WriteString(f.tmpl[f.i:])
			break
		}
		f.out.WriteString(f.tmpl[f.i : f.i+at])
		f.i += at + 1
		if err := f.directive(); err != nil {
			return sqltype.Value{}, err
		}
		if f.out.Len() > MaxText {
			return sqltype.Value{}, tooLarge()
		}
	}
	return sqltype.NewText(f.out.String()), nil
}

type formatter struct {
	tmpl string
	args []sqltype.Value
	i    int
	next int
	out  strings.Builder
}

func (f *formatter) number() int {
	n := 0
	for f.i < len(f.tmpl) && f.tmpl[f.i] >= '0' && f.tmpl[f.i] <= '9' {
		n = min(n*10+int(f.tmpl[f.i]-'0'), 1<<30)
		f.i++
	}
	return n
}

func (f *formatter) arg(pos int) (sqltype.Value, error) {
	if pos == 0 {
		f.next++
		pos = f.next
	} else {
		f.next = pos
	}
	if pos < 1 || pos > len(f.args) {
		return sqltype.Value{}, invalidArg("too few arguments for format()")
	}
	return f.args[pos-1], nil
}

func (f *formatter) directive() error {
	if f.i < len(f.tmpl) && f.tmpl[f.i] == '%' {
		f.out.WriteByte('%')
		f.i++
		return nil
	}
	pos, width, leftAlign := 0, 0, false
	start := f.i
	if n := f.number(); f.i > start && f.i < len(f.tmpl) && f.tmpl[f.i] == '$' {
		if n == 0 {
			return invalidArg("format specifies argument 0, but arguments are numbered from 1")
		}
		pos = n
		f.i++
	} else {
		f.i = start
	}
	for f.i < len(f.tmpl) && f.tmpl[f.i] == '-' {
		leftAlign = true
		f.i++
	}
	if f.i < len(f.tmpl) && f.tmpl[f.i] == '*' {
		f.i++
		at := 0
		begin := f.i
		if n := f.number(); f.i > begin && f.i < len(f.tmpl) && f.tmpl[f.i] == '$' {
			at = n
			f.i++
		} else {
			f.i = begin
		}
		w, err := f.arg(at)
		if err != nil {
			return err
		}
		if !w.IsNull() && w.Kind().IsInteger() {
			width = int(min(max(w.Int(), -1<<30), 1<<30))
		}
		if width < 0 {
			width, leftAlign = -width, true
		}
	} else {
		width = f.number()
	}
	if f.i >= len(f.tmpl) {
		return invalidArg("unterminated format() type specifier").(*dberr.Error).WithHint(`For a single "%%" use "%%%%".`)
	}
	verb := f.tmpl[f.i]
	f.i++
	if verb != 's' && verb != 'I' && verb != 'L' {
		return invalidArg("unrecognized format() type specifier %q", string(verb)).(*dberr.Error).WithHint(`For a single "%%" use "%%%%".`)
	}
	v, err := f.arg(pos)
	if err != nil {
		return err
	}
	text := shown(v)
	switch verb {
	case 'I':
		if v.IsNull() {
			return dberr.New(dberr.TypeMismatch, "null values cannot be formatted as an SQL identifier").WithState("22004")
		}
		text = quoteIdent(text)
	case 'L':
		if text = quoteLiteral(text); v.IsNull() {
			text = "NULL"
		}
	}
	fill := width - utf8.RuneCountInString(text)
	if fill > MaxText {
		return tooLarge()
	}
	fill = max(fill, 0)
	if leftAlign {
		f.out.WriteString(text + strings.Repeat(" ", fill))
	} else {
		f.out.WriteString(strings.Repeat(" ", fill) + text)
	}
	return nil
}
