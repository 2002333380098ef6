package builtin

import (
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// lengthKernel is length() over texts.
func lengthKernel(_ *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error {
	v := args[0]
	for _, i := range sel {
		p := v.Index(int(i))
		out.Ints[i] = int64(utf8.RuneCount(v.Data[v.Offsets[p]:v.Offsets[p+1]]))
	}
	return nil
}

// dateTruncKernel is date_trunc(unit, timestamp). Units that are a fixed
// number of microseconds need no calendar.
func dateTruncKernel(_ *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error {
	unit, t := args[0], args[1]
	size := int64(0)
	if unit.Const {
		size = fixedUnits[unitName(unit.Str(0))]
	}
	for _, i := range sel {
		us := t.Ints[t.Index(int(i))]
		switch {
		case infiniteTimestamp(us):
		case size > 0:
			_, r := sqltype.FloorDiv(us, size)
			us -= r
		default:
			var err error
			if us, err = truncTo(unit.Str(unit.Index(int(i))), us); err != nil {
				return err
			}
		}
		if us < sqltype.MinTimestamp && us != sqltype.TimestampNegInfinity {
			return timestampRange()
		}
		out.Ints[i] = us
	}
	return nil
}

var fixedUnits = map[string]int64{
	"microseconds": 1, "milliseconds": 1000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": microsPerDay,
}
