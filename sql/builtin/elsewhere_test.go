package builtin

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

func TestFunctionsOfOtherDatabases(t *testing.T) {
	for name, ours := range elsewhere {
		if len(Lookup(name)) > 0 {
			t.Errorf("%s is said to be missing, and is not", name)
			continue
		}
		err, ok := dberr.As(notFound(name, nil, nil))
		if !ok || err.Code != dberr.FunctionNotFound || !strings.Contains(err.Hint, ours) {
			t.Errorf("%s: %s, hint %q; want one that names %s", name, err.Code, err.Hint, ours)
		}
		if call, _, ok := strings.Cut(ours, "("); ok && !strings.ContainsAny(call, " ") && call != "CAST" && call != "extract" && call != "coalesce" && len(Lookup(strings.ToLower(call))) == 0 {
			t.Errorf("%s: the hint names %s, which is no function", name, call)
		}
	}
}
