package oracle

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/integration/oracle/engine"
)

// Kind says in which way two answers differ.
type Kind string

// The kinds of differences. "Ours" is KalamDB, "theirs" the other side.
const (
	// OnlyOursFails and OnlyTheirsFails: one gives an answer, the other an error.
	OnlyOursFails   Kind = "only KalamDB fails"
	OnlyTheirsFails Kind = "only the other fails"
	// OtherState: both fail, with different SQLSTATEs.
	OtherState Kind = "other SQLSTATE"
	// OtherTypes: the columns are of other types, the values are equal.
	OtherTypes Kind = "other types"
	// OtherCount: other numbers of rows or of columns, or of changed rows.
	OtherCount Kind = "other count"
	// OtherRows: other values.
	OtherRows Kind = "other rows"
	// OtherText: values that are equal, written differently (1.0 and 1.00).
	OtherText Kind = "other text"
	// OtherPrecision: DECIMALs that PostgreSQL gives with more than the 38
	// digits that there are here, and that agree in those.
	OtherPrecision Kind = "38 digits only"
	// OtherDigits: numbers that differ behind their fifteenth digit only.
	OtherDigits Kind = "other digits"
	// OtherOrder: the same rows in another order.
	OtherOrder Kind = "other order"
	// Panic: KalamDB panicked.
	Panic Kind = "panic"
)

// Difference is how two answers to one statement differ.
type Difference struct {
	Kind         Kind
	Ours, Theirs engine.Result
}

// tolerance is the relative difference that floating point numbers may have:
// sums run in any order, and functions come from different libraries.
const tolerance = 1e-9

// Compare compares two answers. Rows are compared as multisets unless their
// order is fixed. nil: they agree.
func Compare(ours, theirs engine.Result, ordered bool) *Difference {
	kind := compare(ours, theirs, ordered)
	if kind == "" {
		return nil
	}
	return &Difference{Kind: kind, Ours: ours, Theirs: theirs}
}

func compare(ours, theirs engine.Result, ordered bool) Kind {
	switch {
	case ours.Err != nil && ours.Err.State == "PANIC":
		return Panic
	case ours.Err != nil && theirs.Err != nil:
		if ours.Err.State == theirs.Err.State {
			return ""
		}
		return OtherState
	case ours.Err != nil:
		return OnlyOursFails
	case theirs.Err != nil:
		return OnlyTheirsFails
	case len(ours.Rows) != len(theirs.Rows) || len(ours.Types) != len(theirs.Types):
		return OtherCount
	case len(ours.Types) == 0 && ours.Affected != theirs.Affected && theirs.Affected >= 0:
		return OtherCount
	}
	if k := compareRows(ours, theirs, ordered); k != "" {
		return k
	}
	for i := range ours.Types {
		if ours.Types[i] != theirs.Types[i] {
			return OtherTypes
		}
	}
	return ""
}

func compareRows(ours, theirs engine.Result, ordered bool) Kind {
	a, b := ours.Rows, theirs.Rows
	if ordered {
		switch {
		case sameRows(a, b, theirs.Types, exactly):
			return ""
		case sameRows(a, b, theirs.Types, limited):
			return OtherPrecision
		case sameRows(a, b, theirs.Types, loosely):
			if sameRows(written(a), written(b), theirs.Types, exactly) {
				return "" // 1.0 and 1.00 are equal: either may come first
			}
			return OtherText
		}
	}
	a, b = sorted(a, theirs.Types), sorted(b, theirs.Types)
	switch {
	case sameRows(a, b, theirs.Types, exactly):
		if ordered {
			return OtherOrder
		}
		return ""
	case sameRows(a, b, theirs.Types, limited):
		return OtherPrecision
	case sameRows(a, b, theirs.Types, loosely):
		if ordered {
			return OtherOrder
		}
		return OtherText
	case sameRows(a, b, theirs.Types, roughly):
		return OtherDigits
	case len(a) <= mostMatched && matched(a, b, theirs.Types, exactly):
		return ""
	case len(a) <= mostMatched && matched(a, b, theirs.Types, limited):
		return OtherPrecision
	case len(a) <= mostMatched && matched(a, b, theirs.Types, roughly):
		return OtherDigits
	}
	return OtherRows
}

// matched pairs rows one by one, for numbers that rounding put in another
// place of the order.
func matched(a, b []engine.Row, types []string, same sameness) bool {
	used := make([]bool, len(b))
next:
	for _, row := range a {
		for i := range b {
			if !used[i] && sameRow(row, b[i], types, same) {
				used[i] = true
				continue next
			}
		}
		return false
	}
	return true
}

type sameness func(a, b engine.Cell, typ string) bool

func sameRows(a, b []engine.Row, types []string, same sameness) bool {
	for i := range a {
		if !sameRow(a[i], b[i], types, same) {
			return false
		}
	}
	return true
}

func sameRow(a, b engine.Row, types []string, same sameness) bool {
	for j := range a {
		if !same(a[j], b[j], types[j]) {
			return false
		}
	}
	return true
}

// exactly allows for nothing but the last digits of floating point numbers.
func exactly(a, b engine.Cell, typ string) bool {
	if a.Null || b.Null {
		return a.Null == b.Null
	}
	if a.Text == b.Text {
		return true
	}
	if strings.HasPrefix(typ, "FLOAT") || strings.HasPrefix(typ, "DOUBLE") {
		return near(a.Text, b.Text, typ)
	}
	return false
}

func near(a, b, typ string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil || math.IsInf(x, 0) != math.IsInf(y, 0) || math.IsNaN(x) != math.IsNaN(y) {
		return false
	}
	limit := tolerance
	if typ == "FLOAT" {
		limit = 1e-5
	}
	d := math.Abs(x - y)
	return d <= limit*math.Max(math.Abs(x), math.Abs(y)) || d < 1e-12
}

// roughly allows for numbers that were computed with less precision.
func roughly(a, b engine.Cell, typ string) bool {
	return loosely(a, b, typ) || !a.Null && !b.Null && typ == "DECIMAL" && near(a.Text, b.Text, typ)
}

// limited allows for a DECIMAL that 38 digits do not hold, or whose operands
// they did not: it has 38 digits of its own or 38 behind the point, and is off
// by a few of its last ones at most.
func limited(a, b engine.Cell, typ string) bool {
	if exactly(a, b, typ) {
		return true
	}
	if a.Null || b.Null || typ != "DECIMAL" {
		return false
	}
	x, okX := new(big.Rat).SetString(a.Text)
	y, okY := new(big.Rat).SetString(b.Text)
	_, fraction, _ := strings.Cut(a.Text, ".")
	digits := len(strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(a.Text), "0"))
	if !okX || !okY || digits < decimal.MaxDigits-1 && len(fraction) < decimal.MaxScale {
		return false
	}
	unit := new(big.Rat).SetFrac(big.NewInt(fewUnits), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(fraction))), nil))
	return x.Sub(x, y).Abs(x).Cmp(unit) <= 0
}

// fewUnits is by how many units of its last digit a number may be off that
// was computed from numbers of 38 digits.
const fewUnits = 10

// loosely compares by meaning, where one value has several texts.
func loosely(a, b engine.Cell, typ string) bool {
	return exactly(a, b, typ) || a.Null == b.Null && normal(a.Text, typ) == normal(b.Text, typ)
}

// normal is one text for all equal values of a type.
func normal(s, typ string) string {
	switch typ {
	case "DECIMAL":
		if r, ok := new(big.Rat).SetString(s); ok {
			return r.RatString()
		}
	case "FLOAT", "DOUBLE":
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return strconv.FormatFloat(f+0, 'e', 6, 64)
		}
	case "INTERVAL":
		if iv, err := sqltype.ParseInterval(s); err == nil {
			days := int64(iv.Months)*30 + int64(iv.Days)
			const day = 24 * 60 * 60 * 1e6
			return fmt.Sprint(new(big.Int).Add(new(big.Int).Mul(big.NewInt(days), big.NewInt(day)), big.NewInt(iv.Micros)))
		}
	}
	if strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
		return normalJSON(s)
	}
	return s
}

// normalJSON is one text for JSON that means the same.
func normalJSON(s string) string {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return s
	}
	out, err := json.Marshal(v)
	if err != nil {
		return s
	}
	return string(out)
}

func sorted(rows []engine.Row, types []string) []engine.Row {
	type keyed struct {
		key string
		row engine.Row
	}
	ks := make([]keyed, len(rows))
	for i, r := range rows {
		var b strings.Builder
		for j, c := range r {
			if c.Null {
				b.WriteString("\x01")
				continue
			}
			b.WriteString("\x02" + normal(c.Text, types[j]))
		}
		ks[i] = keyed{b.String(), r}
	}
	sort.SliceStable(ks, func(i, j int) bool {
		if ks[i].key != ks[j].key {
			return ks[i].key < ks[j].key
		}
		return ks[i].row.String() < ks[j].row.String()
	})
	out := make([]engine.Row, len(rows))
	for i, k := range ks {
		out[i] = k.row
	}
	return out
}

// written are the rows in the order of their texts.
func written(rows []engine.Row) []engine.Row {
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b engine.Row) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// Describe shows an answer, shortened.
func Describe(r engine.Result) string {
	const most = 12
	switch {
	case r.Err != nil:
		return "ERROR " + r.Err.Error()
	case r.Types == nil:
		return fmt.Sprintf("%d rows changed", r.Affected)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d rows (%s)", len(r.Rows), strings.Join(r.Types, ", "))
	for i, row := range r.Rows {
		if i == most {
			b.WriteString("\n…")
			break
		}
		b.WriteString("\n" + row.String())
	}
	return b.String()
}
