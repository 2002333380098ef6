package builtin

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// normalForms are Unicode's normal forms by their names in SQL.
var normalForms = map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}

// IsNormalForm tells whether a word names one of Unicode's normal forms, as the
// second argument of normalize does without quotes.
func IsNormalForm(word string) bool {
	_, ok := normalForms[strings.ToUpper(word)]
	return ok
}

// normalForm is the form that the arguments ask for, NFC without a second one.
func normalForm(a []sqltype.Value) (norm.Form, error) {
	if len(a) < 2 {
		return norm.NFC, nil
	}
	f, ok := normalForms[strings.ToUpper(a[1].Str())]
	if !ok {
		return f, invalidArg("invalid normalization form: %s", a[1].Str())
	}
	return f, nil
}

func init() {
	s := section{"string", Scalar}
	s.def("normalize(text) text; normalize(text, text) text", "Converts to a Unicode normal form: NFC, NFD, NFKC or NFKD.",
		func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			f, err := normalForm(a)
			if err != nil {
				return sqltype.Value{}, err
			}
			return sqltype.NewText(f.String(a[0].Str())), nil
		})
	s.def("is_normalized(text) boolean; is_normalized(text, text) boolean", "Tells whether a text is in a Unicode normal form: IS NORMALIZED.",
		func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			f, err := normalForm(a)
			if err != nil {
				return sqltype.Value{}, err
			}
			return sqltype.NewBool(f.IsNormalString(a[0].Str())), nil
		})
}
