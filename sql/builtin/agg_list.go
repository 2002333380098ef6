package builtin

import (
	"errors"
	"hash/maphash"
	"math"
	"math/bits"
	"sort"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func init() {
	join := func(kind sqltype.Kind) func(AggSpec) AggState {
		return func(AggSpec) AggState { return stringAgg(kind) }
	}
	aggregate("string_agg(text, text) text", "Joins the texts that are not NULL, with a delimiter between them.", join(sqltype.Text))
	aggregate("string_agg(bytes, bytes) bytes", "Joins the byte strings that are not NULL, with a delimiter between them.", join(sqltype.Bytes))
	aggregate("array_agg(anyelement) anyarray", "Collects all values, NULL too, in an array.", func(AggSpec) AggState {
		return listAgg(func(_ *valueList, a []sqltype.Value) (sqltype.Value, error) { return a[0].Clone(), nil },
			func(l *valueList) (sqltype.Value, error) { return sqltype.NewArray(l.values), nil }, sqltype.Array)
	})
	toJSON := func(_ *valueList, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewString(sqltype.JSON, string(AppendJSON(nil, a[0]))), nil
	}
	// The json forms write what comes as it comes, the jsonb forms bring it
	// into jsonb's order.
	lists := func(l *valueList) (sqltype.Value, error) {
		return sqltype.NewString(sqltype.JSON, string(appendJSONList(nil, l.values, ", "))), nil
	}
	member := func(_ *valueList, a []sqltype.Value) (sqltype.Value, error) {
		if a[0].IsNull() {
			return sqltype.Value{}, invalidArg("field name must not be null")
		}
		m := append(appendJSONString(nil, castText(a[0])), " : "...)
		return sqltype.NewText(string(AppendJSON(m, a[1]))), nil
	}
	members := func(l *valueList) (sqltype.Value, error) {
		dst := []byte("{ ")
		for i, m := range l.values {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(dst, m.Str()...)
		}
		return sqltype.NewString(sqltype.JSON, string(append(dst, " }"...))), nil
	}
	sorted := func(f func(*valueList) (sqltype.Value, error)) func(*valueList) (sqltype.Value, error) {
		return func(l *valueList) (sqltype.Value, error) {
			v, err := f(l)
			if err != nil {
				return v, err
			}
			return newJSON(decodeJSON(v.Str())), nil
		}
	}
	list, object := "Collects all values, NULL too, in a JSON array.", "Collects keys and values in a JSON object."
	aggregate("json_agg(any) json", list, func(AggSpec) AggState { return listAgg(toJSON, lists, sqltype.JSON) })
	aggregate("jsonb_agg(any) json", list, func(AggSpec) AggState { return listAgg(toJSON, sorted(lists), sqltype.JSON) })
	aggregate("json_object_agg(any, any) json", object, func(AggSpec) AggState { return listAgg(member, members, sqltype.JSON) })
	aggregate("jsonb_object_agg(any, any) json", object, func(AggSpec) AggState { return listAgg(member, sorted(members), sqltype.JSON) })

	fraction := "Gives the value below which a fraction of the ordered values lies"
	aggregate("percentile_cont(double, double) double", fraction+", interpolating between two.", percentile(interpolateFloat), ordered)
	aggregate("percentile_cont(double, interval) interval", fraction+", interpolating between two.", percentile(interpolateInterval), ordered)
	aggregate("percentile_disc(double, anyelement) anyelement", fraction+", taking one of them.", percentile(nil), ordered)
	fractions := "Gives for each of several fractions the value below which it of the ordered values lies"
	aggregate("percentile_cont(double[], double) double[]", fractions+", interpolating between two.", percentile(interpolateFloat), ordered)
	aggregate("percentile_cont(double[], interval) interval[]", fractions+", interpolating between two.", percentile(interpolateInterval), ordered)
	aggregate("percentile_disc(double[], anyelement) anyarray", fractions+", taking one of them.", percentile(nil), ordered)
	aggregate("mode(anyelement) anyelement", "Gives the value that is there most often.", func(AggSpec) AggState { return modeAgg() }, ordered)
	aggregate("median(double) double", "Gives the middle one of the values.", func(s AggSpec) AggState {
		return listAgg(keepNumber, func(l *valueList) (sqltype.Value, error) {
			return percentileOf(l, 0.5, false, interpolateFloat)
		}, sqltype.Double)
	})
	aggregate("approx_percentile_cont(double, double) double", "Gives about the value below which a fraction of the values lies.", func(AggSpec) AggState {
		return listAgg(func(l *valueList, a []sqltype.Value) (sqltype.Value, error) {
			if a[1].IsNull() {
				return sqltype.Value{}, errSkip
			}
			l.arg = a[1]
			return keepNumber(l, a)
		}, func(l *valueList) (sqltype.Value, error) {
			p, err := checkFraction(l.arg)
			if err != nil {
				return p, err
			}
			return percentileOf(l, p.Float(), false, interpolateFloat)
		}, sqltype.Double)
	})
	aggregate("approx_distinct(any) bigint", "Counts the different values, to about 2 per cent (HyperLogLog).", func(AggSpec) AggState {
		return &rowAgg[hyperLogLog]{
			strict: true,
			add: func(g *hyperLogLog, a []sqltype.Value) error {
				g.add(a[0])
				return nil
			},
			merge: func(into, from *hyperLogLog) error {
				into.merge(from)
				return nil
			},
			result: func(g *hyperLogLog) (sqltype.Value, error) { return sqltype.NewBigInt(g.estimate()), nil },
			size:   func(g *hyperLogLog) int { return len(g.reg) },
		}
	})
}

type joined struct {
	buf  []byte
	some bool
	// first is the delimiter of the first row, which only a merge needs.
	first string
}

func stringAgg(kind sqltype.Kind) AggState {
	add := func(g *joined, text, sep string) error {
		if g.some {
			g.buf = append(g.buf, sep...)
		} else {
			g.first = string([]byte(sep))
		}
		g.some = true
		if len(g.buf)+len(text) > MaxText {
			return tooLarge()
		}
		g.buf = append(g.buf, text...)
		return nil
	}
	return &rowAgg[joined]{
		add: func(g *joined, a []sqltype.Value) error {
			if a[0].IsNull() {
				return nil
			}
			return add(g, a[0].Str(), a[1].Str())
		},
		merge: func(into, from *joined) error {
			if !from.some {
				return nil
			}
			return add(into, string(from.buf), from.first)
		},
		result: func(g *joined) (sqltype.Value, error) {
			if !g.some {
				return sqltype.NullOf(kind), nil
			}
			return sqltype.NewString(kind, string(g.buf)), nil
		},
		size: func(g *joined) int { return cap(g.buf) },
	}
}

// valueList is a group's collected values.
type valueList struct {
	values []sqltype.Value
	bytes  int
	// arg is the direct argument of an ordered aggregate.
	arg    sqltype.Value
	sorted bool
}

// errSkip tells listAgg to leave a row out.
var errSkip = errors.New("row left out")

// listAgg collects what take makes of each row and computes the result at the
// end; an empty group's is NULL.
func listAgg(take func(l *valueList, args []sqltype.Value) (sqltype.Value, error), finish func(l *valueList) (sqltype.Value, error), kind sqltype.Kind) AggState {
	return &rowAgg[valueList]{
		add: func(g *valueList, a []sqltype.Value) error {
			v, err := take(g, a)
			if err != nil {
				if err == errSkip {
					return nil
				}
				return err
			}
			g.bytes += v.Size()
			g.values = append(g.values, v)
			g.sorted = false
			return nil
		},
		merge: func(into, from *valueList) error {
			into.values = append(into.values, from.values...)
			into.bytes += from.bytes
			into.sorted = false
			if into.arg.IsNull() {
				into.arg = from.arg
			}
			return nil
		},
		result: func(g *valueList) (sqltype.Value, error) {
			if len(g.values) == 0 {
				return sqltype.NullOf(kind), nil
			}
			return finish(g)
		},
		size: func(g *valueList) int { return g.bytes },
	}
}

func keepNumber(_ *valueList, a []sqltype.Value) (sqltype.Value, error) {
	if a[0].IsNull() {
		return sqltype.Value{}, errSkip
	}
	return a[0], nil
}

func checkFraction(v sqltype.Value) (sqltype.Value, error) {
	if p := v.Float(); !(p >= 0 && p <= 1) {
		return v, dberr.Newf(dberr.ValueOutOfRange, "percentile value %s is not between 0 and 1", v.Text())
	}
	return v, nil
}

type interpolate func(a, b sqltype.Value, f float64) (sqltype.Value, error)

func interpolateFloat(a, b sqltype.Value, f float64) (sqltype.Value, error) {
	x, y := a.Float(), b.Float()
	return sqltype.NewDouble(x + f*(y-x)), nil
}

func interpolateInterval(a, b sqltype.Value, f float64) (sqltype.Value, error) {
	n, err := negInterval(a.Interval())
	if err != nil {
		return a, err
	}
	d, err := sumIntervals(b.Interval(), n)
	if err != nil {
		return a, err
	}
	if d, err = scaleInterval(d.Interval(), f); err != nil {
		return a, err
	}
	return sumIntervals(a.Interval(), d.Interval())
}

// percentile is percentile_cont (with an interpolation) and percentile_disc.
func percentile(between interpolate) func(AggSpec) AggState {
	return func(spec AggSpec) AggState {
		return listAgg(func(l *valueList, a []sqltype.Value) (sqltype.Value, error) {
			if len(l.values) == 0 {
				l.arg = a[0].Clone()
			}
			if a[1].IsNull() {
				return sqltype.Value{}, errSkip
			}
			return a[1].Clone(), nil
		}, func(l *valueList) (sqltype.Value, error) {
			at := func(p sqltype.Value) (sqltype.Value, error) {
				if p.IsNull() {
					return p, nil
				}
				if p, err := checkFraction(p); err != nil {
					return p, err
				}
				return percentileOf(l, p.Float(), spec.Descending, between)
			}
			if l.arg.Kind() != sqltype.Array || l.arg.IsNull() {
				v, err := at(l.arg)
				if v.IsNull() {
					v = sqltype.NullOf(spec.Result.Kind)
				}
				return v, err
			}
			out := make([]sqltype.Value, len(l.arg.List()))
			for i, p := range l.arg.List() {
				var err error
				if out[i], err = at(p); err != nil {
					return sqltype.Value{}, err
				}
			}
			return sqltype.NewArray(out), nil
		}, spec.Result.Kind)
	}
}

func percentileOf(l *valueList, p float64, descending bool, between interpolate) (sqltype.Value, error) {
	v := l.values
	if !l.sorted {
		sort.SliceStable(v, func(i, j int) bool {
			if descending {
				i, j = j, i
			}
			return sqltype.Compare(v[i], v[j]) < 0
		})
		l.sorted = true
	}
	if between == nil {
		at := int(math.Ceil(p*float64(len(v)))) - 1
		return v[max(at, 0)], nil
	}
	pos := p * float64(len(v)-1)
	lo, hi := int(math.Floor(pos)), int(math.Ceil(pos))
	if lo == hi {
		return v[lo], nil
	}
	return between(v[lo], v[hi], pos-float64(lo))
}

func modeAgg() AggState {
	return listAgg(func(_ *valueList, a []sqltype.Value) (sqltype.Value, error) {
		if a[0].IsNull() {
			return sqltype.Value{}, errSkip
		}
		return a[0].Clone(), nil
	}, func(l *valueList) (sqltype.Value, error) {
		v := l.values
		sort.SliceStable(v, func(i, j int) bool { return sqltype.Compare(v[i], v[j]) < 0 })
		best, bestRun, run := v[0], 0, 0
		for i := range v {
			if i > 0 && sqltype.Equal(v[i], v[i-1]) {
				run++
			} else {
				run = 1
			}
			if run > bestRun {
				best, bestRun = v[i], run
			}
		}
		return best, nil
	}, sqltype.Unknown)
}

// hyperLogLog counts distinct values in 4096 registers.
type hyperLogLog struct{ reg []uint8 }

const hllBits = 12

var hllSeed = maphash.MakeSeed()

func (h *hyperLogLog) add(v sqltype.Value) {
	if h.reg == nil {
		h.reg = make([]uint8, 1<<hllBits)
	}
	var mh maphash.Hash
	mh.SetSeed(hllSeed)
	v.Hash(&mh)
	x := mh.Sum64()
	rank := uint8(bits.LeadingZeros64(x<<hllBits|1<<(hllBits-1))) + 1
	if i := x >> (64 - hllBits); rank > h.reg[i] {
		h.reg[i] = rank
	}
}

func (h *hyperLogLog) merge(o *hyperLogLog) {
	if o.reg == nil {
		return
	}
	if h.reg == nil {
		h.reg = o.reg
		return
	}
	for i, r := range o.reg {
		h.reg[i] = max(h.reg[i], r)
	}
}

func (h *hyperLogLog) estimate() int64 {
	if h.reg == nil {
		return 0
	}
	m := float64(len(h.reg))
	sum, zeros := 0.0, 0
	for _, r := range h.reg {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			zeros++
		}
	}
	e := 0.7213 / (1 + 1.079/m) * m * m / sum
	if e <= 2.5*m && zeros > 0 {
		e = m * math.Log(m/float64(zeros)) // few values: count empty registers
	}
	return int64(math.Round(e))
}
