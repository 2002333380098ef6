package oracle

import (
	"strings"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
)

// class is what the types of two databases have in common: an average is
// DECIMAL here and DOUBLE there, a sum of integers BIGINT or HUGEINT.
type class int

const (
	otherClass class = iota
	exactNumber
	floatNumber
	truth
	text
)

func classOf(typ string) class {
	typ, _, _ = strings.Cut(typ, "(")
	switch typ {
	case "TINYINT", "SMALLINT", "INT", "INTEGER", "UINTEGER", "BIGINT", "HUGEINT", "DECIMAL":
		return exactNumber
	case "FLOAT", "DOUBLE":
		return floatNumber
	case "BOOLEAN":
		return truth
	case "TEXT", "VARCHAR":
		return text
	}
	return otherClass
}

// CompareValues compares two answers by their values alone: numeric types may
// differ, and numbers in their spelling; floating point numbers also in their
// last digits. Both refusing a statement is agreement, whatever the codes.
func CompareValues(ours, theirs engine.Result, ordered bool) *Difference {
	d := &Difference{Ours: ours, Theirs: theirs}
	switch {
	case ours.Err != nil && ours.Err.State == "PANIC":
		d.Kind = Panic
	case ours.Err != nil && theirs.Err != nil:
		return nil
	case ours.Err != nil:
		d.Kind = OnlyOursFails
	case theirs.Err != nil:
		d.Kind = OnlyTheirsFails
	case len(ours.Rows) != len(theirs.Rows) || len(ours.Types) != len(theirs.Types):
		d.Kind = OtherCount
	default:
		d.Kind = compareValues(ours, theirs, ordered)
	}
	if d.Kind == "" {
		return nil
	}
	return d
}

func compareValues(ours, theirs engine.Result, ordered bool) Kind {
	classes := make([]string, len(ours.Types))
	for i := range classes {
		a, b := classOf(ours.Types[i]), classOf(theirs.Types[i])
		switch {
		case a == floatNumber && b == exactNumber || a == exactNumber && b == floatNumber || a == floatNumber && b == floatNumber:
			classes[i] = "DOUBLE"
		case !hasValue(ours.Rows, i) && !hasValue(theirs.Rows, i):
			// A NULL alone is TEXT here and INTEGER there.
		case a != b || a == otherClass && ours.Types[i] != theirs.Types[i]:
			return OtherTypes
		case a == exactNumber:
			classes[i] = "DECIMAL"
		}
	}
	a, b := ours.Rows, theirs.Rows
	if ordered && sameRows(a, b, classes, loosely) {
		return ""
	}
	a, b = sorted(a, classes), sorted(b, classes)
	if sameRows(a, b, classes, loosely) || len(a) <= mostMatched && matched(a, b, classes, loosely) {
		if ordered {
			return OtherOrder
		}
		return ""
	}
	return OtherRows
}

func hasValue(rows []engine.Row, col int) bool {
	for _, r := range rows {
		if !r[col].Null {
			return true
		}
	}
	return false
}

// mostMatched is how many rows are paired one by one at most.
const mostMatched = 200
