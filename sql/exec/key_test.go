package exec

import (
	"bytes"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

func randomValue(r *rand.Rand, t sqltype.Type) sqltype.Value {
	if r.IntN(8) == 0 {
		return sqltype.NullOf(t.Kind)
	}
	switch t.Physical() {
	case sqltype.PhysBool:
		return sqltype.NewBool(r.IntN(2) == 0)
	case sqltype.PhysInt:
		return sqltype.NewInt(t.Kind, []int64{0, 1, -1, math.MaxInt64, math.MinInt64, r.Int64N(100) - 50}[r.IntN(6)])
	case sqltype.PhysFloat:
		return sqltype.NewFloat(t.Kind, []float64{0, math.Copysign(0, -1), 1.5, -1.5, math.NaN(), math.Inf(1), math.Inf(-1), r.NormFloat64()}[r.IntN(8)])
	case sqltype.PhysDecimal:
		return sqltype.NewDecimal(decimal.New(r.Int64N(2000)-1000, int32(r.IntN(6))))
	case sqltype.PhysInterval:
		return sqltype.NewInterval(sqltype.IntervalValue{Months: int32(r.IntN(3) - 1), Days: int32(r.IntN(62) - 31), Micros: r.Int64N(3)*86_400_000_000 - 86_400_000_000 + r.Int64N(3)})
	case sqltype.PhysList:
		var list []sqltype.Value
		for range r.IntN(3) {
			list = append(list, randomValue(r, sqltype.TInteger))
		}
		return sqltype.NewArray(list)
	}
	s := []string{"", "a", "ab", "a\x00", "a\x00b", "\x00", "\xff", "b", "ä"}[r.IntN(9)]
	return sqltype.NewString(t.Kind, s)
}

// TestKeysAgreeWithCompare holds the bytes of keys to the order and equality
// of single values.
func TestKeysAgreeWithCompare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range []sqltype.Type{
		sqltype.TBoolean, sqltype.TSmallInt, sqltype.TBigInt, sqltype.TFloat, sqltype.TDouble, sqltype.TDecimal, sqltype.TText, sqltype.TBytes,
		sqltype.TDate, sqltype.TTimestamp, sqltype.TInterval, sqltype.ArrayOf(sqltype.TInteger),
	} {
		for range 4000 {
			a, b := randomValue(r, typ), randomValue(r, typ)
			va, vb := vector.NewConst(typ, a, 1), vector.NewConst(typ, b, 1)
			cmp := sqltype.Compare(a, b)
			if eq := bytes.Equal(appendEqKey(nil, va, 0), appendEqKey(nil, vb, 0)); eq != (cmp == 0) {
				t.Fatalf("%s: keys of %s and %s: equal is %v, compared %d", typ, a.Text(), b.Text(), eq, cmp)
			}
			same := a.IsNull() == b.IsNull() && a.Text() == b.Text()
			if eq := bytes.Equal(appendSameKey(nil, va, 0), appendSameKey(nil, vb, 0)); eq != same {
				t.Fatalf("%s: keys of %s and %s: same is %v", typ, a.Text(), b.Text(), eq)
			}
			for _, desc := range []bool{false, true} {
				for _, first := range []bool{false, true} {
					want := cmp
					switch {
					case a.IsNull() != b.IsNull():
						want = 1
						if a.IsNull() == first {
							want = -1
						}
					case desc:
						want = -cmp
					}
					got := bytes.Compare(appendSortKey(nil, va, 0, desc, first), appendSortKey(nil, vb, 0, desc, first))
					if sign(got) != sign(want) {
						t.Fatalf("%s: %s and %s, desc %v, nulls first %v: %d, want %d", typ, a.Text(), b.Text(), desc, first, got, want)
					}
				}
			}
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestAccount(t *testing.T) {
	a := &account{limit: 100}
	r := reservation{acct: a}
	if err := r.add(60); err != nil {
		t.Fatal(err)
	}
	other := reservation{acct: a}
	if err := other.add(50); err == nil {
		t.Error("past the limit")
	}
	if err := r.set(10); err != nil {
		t.Fatal(err)
	}
	if err := other.add(50); err != nil {
		t.Errorf("within the limit: %v", err)
	}
	r.release()
	r.release()
	other.release()
	if n := a.used.Load(); n != 0 {
		t.Errorf("%d bytes left over", n)
	}
	if n := a.peak.Load(); n != 60 {
		t.Errorf("peak %d, want 60", n)
	}
}

func TestMemoryPool(t *testing.T) {
	pool := NewMemoryPool(3 * loanStep)
	a := &account{limit: 100 * loanStep, pool: pool}
	b := &account{limit: 100 * loanStep, pool: pool}
	if err := a.grow(1); err != nil {
		t.Fatal(err)
	}
	if err := b.grow(2 * loanStep); err != nil {
		t.Fatal(err)
	}
	if err := a.grow(loanStep); dberr.CodeOf(err) != dberr.ResourceExhausted {
		t.Errorf("past the pool's end: %v", err)
	}
	if err := a.grow(loanStep - 1); err != nil {
		t.Errorf("within the loan: %v", err)
	}
	b.end()
	b.end()
	b.shrink(2 * loanStep)
	if st := pool.Stats(); st.Used != loanStep || st.Refused != 1 {
		t.Errorf("%+v", st)
	}
	a.end()
	if st := pool.Stats(); st.Used != 0 {
		t.Errorf("%+v", st)
	}
	// An execution that has given much back does not keep the loan.
	c := &account{limit: 1 << 40, pool: NewMemoryPool(1 << 40)}
	if err := c.grow(100 * loanStep); err != nil {
		t.Fatal(err)
	}
	c.shrink(99 * loanStep)
	if n := c.pool.Stats().Used; n < loanStep || n > 10*loanStep {
		t.Errorf("%d bytes lent for %d", n, loanStep)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				n := int64(i % 5 * loanStep)
				if c.grow(n) == nil {
					c.shrink(n)
				}
			}
		})
	}
	wg.Wait()
	if lent, used := c.lent.Load(), c.used.Load(); used != loanStep || lent < used || c.pool.Stats().Used != lent {
		t.Errorf("used %d, lent %d, of the pool %d", used, lent, c.pool.Stats().Used)
	}
}
