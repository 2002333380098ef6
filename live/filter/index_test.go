package filter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func visited(x *Index[string], before, after sqltype.Row) []string {
	var out []string
	x.Visit(before, after, func(g string) { out = append(out, g) })
	slices.Sort(out)
	return out
}

func eq(ordinal int, v sqltype.Value) Equality { return Equality{Ordinal: ordinal, Value: v} }

func TestIndexFindsByValue(t *testing.T) {
	dec, err := decimal.Parse("7.00")
	if err != nil {
		t.Fatal(err)
	}
	var x Index[string]
	x.Add(nil, "all")
	x.Add([]Equality{eq(1, sqltype.NewText("a"))}, "room a")
	x.Add([]Equality{eq(1, sqltype.NewText("b"))}, "room b")
	x.Add([]Equality{eq(1, sqltype.NewText("a")), eq(0, sqltype.NewBigInt(7))}, "room a and id 7")
	x.Add([]Equality{eq(0, sqltype.NewDecimal(dec))}, "id 7.00")
	x.Add([]Equality{eq(0, sqltype.NewBigInt(7)), eq(0, sqltype.NewBigInt(8))}, "id 7 and id 8")
	x.Add([]Equality{eq(9, sqltype.NewText("a"))}, "a column that rows do not have")
	x.Add([]Equality{eq(1, sqltype.Null())}, "null is no equality")

	row := func(id int64, room sqltype.Value) sqltype.Row { return sqltype.Row{sqltype.NewBigInt(id), room} }
	a, b := sqltype.NewText("a"), sqltype.NewText("b")
	for _, c := range []struct {
		name          string
		before, after sqltype.Row
		want          []string
	}{
		{"insert", nil, row(1, a), []string{"all", "null is no equality", "room a"}},
		{"two columns and numbers of other kinds", nil, row(7, a), []string{"all", "id 7 and id 8", "id 7.00", "null is no equality", "room a", "room a and id 7"}},
		{"moved from a to b", row(1, a), row(1, b), []string{"all", "null is no equality", "room a", "room b"}},
		{"stayed, once only", row(1, a), row(1, a), []string{"all", "null is no equality", "room a"}},
		{"null matches nothing", nil, row(1, sqltype.Null()), []string{"all", "null is no equality"}},
		{"from null", row(1, sqltype.Null()), row(1, b), []string{"all", "null is no equality", "room b"}},
		{"short row", nil, sqltype.Row{}, []string{"all", "null is no equality"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := visited(&x, c.before, c.after); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestIndexAgainstAsking adds and removes random filters and holds the index
// against asking each filter.
func TestIndexAgainstAsking(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var x Index[string]
	filters := make(map[string][]Equality)
	value := func() sqltype.Value {
		switch rng.IntN(6) {
		case 0:
			return sqltype.NewDouble(float64(rng.IntN(4)))
		case 1:
			return sqltype.Null()
		default:
			return sqltype.NewBigInt(int64(rng.IntN(4)))
		}
	}
	row := func() sqltype.Row {
		if rng.IntN(4) == 0 {
			return nil
		}
		return sqltype.Row{value(), value(), value()}
	}
	holds := func(eqs []Equality, r sqltype.Row) bool {
		for _, e := range eqs {
			if r == nil || r[e.Ordinal].IsNull() || !e.Value.IsNull() && !sqltype.Equal(r[e.Ordinal], e.Value) {
				return false
			}
		}
		return r != nil
	}
	for i := range 20_000 {
		switch rng.IntN(4) {
		case 0:
			name := fmt.Sprint(i)
			var eqs []Equality
			for range rng.IntN(4) {
				eqs = append(eqs, eq(rng.IntN(3), value()))
			}
			filters[name] = eqs
			x.Add(eqs, name)
		case 1:
			for name, eqs := range filters {
				x.Remove(eqs, name)
				delete(filters, name)
				break
			}
		default:
			before, after := row(), row()
			got := visited(&x, before, after)
			if len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Fatalf("a filter was visited twice: %q", got)
			}
			for name, eqs := range filters {
				if (holds(eqs, before) || holds(eqs, after)) && !slices.Contains(got, name) {
					t.Fatalf("filter %v was not visited for %v -> %v", eqs, before, after)
				}
			}
		}
	}
	for name, eqs := range filters {
		x.Remove(eqs, name)
	}
	if len(x.plain) != 0 || len(x.sets) != 0 {
		t.Errorf("an emptied index keeps %d filters and %d sets", len(x.plain), len(x.sets))
	}
	x.Remove([]Equality{eq(0, sqltype.NewBigInt(1))}, "unknown")
}

func BenchmarkIndexMiss(b *testing.B) {
	for _, n := range []int{0, 1, 1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var x Index[int]
			for i := range n {
				x.Add([]Equality{eq(1, sqltype.NewText(fmt.Sprint("room ", i)))}, i)
			}
			row := sqltype.Row{sqltype.NewBigInt(1), sqltype.NewText("another room"), sqltype.NewText("hello")}
			found := 0
			b.ReportAllocs()
			for b.Loop() {
				x.Visit(nil, row, func(int) { found++ })
			}
			if found > 0 {
				b.Fatal("found something")
			}
		})
	}
}
