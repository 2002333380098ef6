package sqltype_test

import (
	"hash/maphash"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// ascending lists values in their order; equal ones share an inner slice.
var ascending = map[string][][]sqltype.Value{
	"numbers": {
		{sqltype.NewDouble(math.Inf(-1))},
		{sqltype.NewBigInt(-5), sqltype.NewInt(sqltype.SmallInt, -5), sqltype.NewDecimal(decimal.New(-50, 1)), sqltype.NewDouble(-5)},
		{sqltype.NewBigInt(0), sqltype.NewDouble(math.Copysign(0, -1)), sqltype.NewDecimal(decimal.New(0, 3))},
		{sqltype.NewDecimal(decimal.New(5, 1)), sqltype.NewDouble(0.5)},
		{sqltype.NewInt(sqltype.Integer, 7)},
		{sqltype.NewDouble(math.Inf(1))},
		{sqltype.NewDouble(math.NaN()), sqltype.NewFloat(sqltype.Float, math.NaN())},
		{sqltype.Null(), sqltype.NullOf(sqltype.Integer)},
	},
	"texts":     {{sqltype.NewText("")}, {sqltype.NewText("A")}, {sqltype.NewText("a")}, {sqltype.NewText("aa")}, {sqltype.NewText("ä")}, {sqltype.Null()}},
	"booleans":  {{sqltype.NewBool(false)}, {sqltype.NewBool(true)}, {sqltype.NullOf(sqltype.Boolean)}},
	"intervals": {{sqltype.NewInterval(sqltype.IntervalValue{Days: -1})}, {sqltype.NewInterval(sqltype.IntervalValue{Days: 1}), sqltype.NewInterval(sqltype.IntervalValue{Micros: 86_400_000_000})}, {sqltype.NewInterval(sqltype.IntervalValue{Months: 1}), sqltype.NewInterval(sqltype.IntervalValue{Days: 30})}},
	"arrays": {
		{sqltype.NewArray(nil)}, {sqltype.NewArray([]sqltype.Value{sqltype.NewBigInt(1)})},
		{sqltype.NewArray([]sqltype.Value{sqltype.NewBigInt(1), sqltype.NewBigInt(0)})}, {sqltype.NewArray([]sqltype.Value{sqltype.NewBigInt(2)})},
		{sqltype.NewArray([]sqltype.Value{sqltype.Null()})},
	},
	"timestamps": {{sqltype.NewInt(sqltype.Timestamp, sqltype.TimestampNegInfinity)}, {sqltype.NewInt(sqltype.Timestamp, 0)}, {sqltype.NewInt(sqltype.Timestamp, sqltype.TimestampInfinity)}},
}

func hash(seed maphash.Seed, v sqltype.Value) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	v.Hash(&h)
	return h.Sum64()
}

func TestCompareAndHash(t *testing.T) {
	seed := maphash.MakeSeed()
	for name, groups := range ascending {
		for i, g := range groups {
			for j, h := range groups {
				for _, a := range g {
					for _, b := range h {
						got, want := sqltype.Compare(a, b), 0
						if i != j {
							want = 1
							if i < j {
								want = -1
							}
						}
						if got != want {
							t.Errorf("%s: %s %s to %s %s: %d, want %d", name, a.Kind(), a.Text(), b.Kind(), b.Text(), got, want)
						}
						if want == 0 && hash(seed, a) != hash(seed, b) {
							t.Errorf("%s: %s %s and %s %s are equal with different hashes", name, a.Kind(), a.Text(), b.Kind(), b.Text())
						}
					}
				}
			}
		}
	}
}

// TestHashesDiffer guards against a hash that says nothing.
func TestHashesDiffer(t *testing.T) {
	seed := maphash.MakeSeed()
	r := rand.New(rand.NewPCG(1, 1))
	seen := map[uint64]bool{}
	for range 1000 {
		seen[hash(seed, sqltype.NewBigInt(r.Int64()))] = true
		seen[hash(seed, sqltype.NewInt(sqltype.Timestamp, r.Int64()))] = true
		seen[hash(seed, sqltype.NewDecimal(decimal.New(r.Int64(), 3)))] = true
	}
	if len(seen) < 2990 {
		t.Errorf("%d different hashes of 3000 values", len(seen))
	}
}

func TestCivil(t *testing.T) {
	for days := int64(sqltype.MinDate); days < sqltype.MaxDate; days += 99_991 {
		y, m, d := sqltype.CivilFromDays(days)
		if sqltype.DaysFromCivil(y, m, d) != days || m < 1 || m > 12 || d < 1 || d > sqltype.DaysInMonth(y, m) {
			t.Fatalf("day %d is %d-%d-%d", days, y, m, d)
		}
	}
	for date, days := range map[[3]int64]int64{{1970, 1, 1}: 0, {2000, 2, 29}: 11016, {0, 12, 31}: -719163, {-4713, 11, 24}: sqltype.MinDate} {
		if got := sqltype.DaysFromCivil(date[0], int(date[1]), int(date[2])); got != days {
			t.Errorf("%v: %d, want %d", date, got, days)
		}
	}
}

func TestRFC3339(t *testing.T) {
	for us, want := range map[int64]string{
		0: "1970-01-01T00:00:00.000000Z", 1_761_051_909_250_000: "2025-10-21T13:05:09.250000Z", -1: "1969-12-31T23:59:59.999999Z",
		sqltype.TimestampInfinity: "infinity",
	} {
		if got := string(sqltype.AppendRFC3339(nil, us)); got != want {
			t.Errorf("%d: %s, want %s", us, got, want)
		}
	}
}

func TestZoneOffset(t *testing.T) {
	loc, ok := sqltype.LoadZone("Europe/Berlin")
	if !ok {
		t.Fatal("no zone")
	}
	for local, want := range map[string]int{
		"2025-01-01 12:00": 3600, "2025-07-01 12:00": 7200, "2025-03-30 01:59": 3600, "2025-03-30 02:30": 3600, "2025-03-30 03:00": 7200,
		"2025-10-26 02:30": 3600, "2025-10-26 01:59": 7200, "2025-10-26 03:00": 3600,
	} {
		v, err := sqltype.Parse(local, sqltype.TTimestamp)
		if err != nil {
			t.Fatal(err)
		}
		if got := sqltype.ZoneOffset(loc, v.Int()); got != want {
			t.Errorf("%s: %d, want %d", local, got, want)
		}
	}
	for _, bad := range []string{"", "Nowhere", "../etc/passwd", "Local", "+99"} {
		if _, ok := sqltype.LoadZone(bad); ok {
			t.Errorf("zone %q is known", bad)
		}
	}
}
