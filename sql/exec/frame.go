package exec

import (
	"context"
	"sort"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
)

// windowFrame is a frame, compiled. In RANGE mode with an offset, key gives
// the order key in the type in which it is compared, and low and high the end
// of the frame from that row's key (column 0).
type windowFrame struct {
	mode       ast.FrameMode
	start, end ast.BoundKind
	exclude    ast.FrameExclude
	// startOff and endOff are the offsets.
	startOff, endOff *expr.Program
	key              *expr.Program
	low, high        *expr.Program
}

// frames finds the frames of a partition's rows.
type frames struct {
	p        *partition
	f        *windowFrame
	startOff int64
	endOff   int64
	offs     [2]sqltype.Value
	keys     []sqltype.Value
	// from and to bound the rows whose key is not NULL.
	from, to int
	desc     bool
}

func (p *partition) frames(ctx context.Context, f *windowFunc) (*frames, error) {
	fr := &frames{p: p, f: &f.frame}
	for i, prog := range []*expr.Program{f.frame.startOff, f.frame.endOff} {
		if prog == nil {
			continue
		}
		v, err := prog.EvalRow(p.r.ectx, nil)
		if err != nil {
			return nil, err
		}
		if v.IsNull() {
			return nil, dberr.New(dberr.ValueOutOfRange, "frame offset must not be null").WithState("22013")
		}
		zero := sqltype.NewInt(v.Kind(), 0)
		switch v.Kind().Physical() {
		case sqltype.PhysInterval:
			zero = sqltype.NewInterval(sqltype.IntervalValue{})
		case sqltype.PhysInt:
		default:
			zero = sqltype.NewBigInt(0)
		}
		if sqltype.Compare(v, zero) < 0 {
			return nil, dberr.New(dberr.ValueOutOfRange, "frame offset must not be negative").WithState("22013")
		}
		fr.offs[i] = v
		if f.frame.mode != ast.FrameRange {
			n := min(v.Int(), int64(len(p.rows))+1)
			if i == 0 {
				fr.startOff = n
			} else {
				fr.endOff = n
			}
		}
	}
	if f.frame.key == nil {
		return fr, nil
	}
	k := p.n.order[0]
	fr.desc = k.desc
	fr.keys = make([]sqltype.Value, len(p.rows))
	for i := range p.rows {
		if i%windowStep == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		v, err := f.frame.key.EvalRow(p.r.ectx, sqltype.Row{p.value(i, k.col)})
		if err != nil {
			return nil, err
		}
		fr.keys[i] = v
	}
	for fr.from < len(p.rows) && fr.keys[fr.from].IsNull() {
		fr.from++
	}
	fr.to = len(p.rows)
	for fr.to > fr.from && fr.keys[fr.to-1].IsNull() {
		fr.to--
	}
	return fr, nil
}

// of is the frame of the i-th row: from from to before to.
func (fr *frames) of(i int) (from, to int, err error) {
	if from, err = fr.end(i, fr.f.start, false); err != nil {
		return 0, 0, err
	}
	if to, err = fr.end(i, fr.f.end, true); err != nil {
		return 0, 0, err
	}
	return from, max(from, to), nil
}

// end is where the frame of row i starts, or with last, where it has ended.
func (fr *frames) end(i int, kind ast.BoundKind, last bool) (int, error) {
	n := len(fr.p.rows)
	switch kind {
	case ast.UnboundedPreceding:
		return 0, nil
	case ast.UnboundedFollowing:
		return n, nil
	}
	off := fr.startOff
	if last {
		off = fr.endOff
	}
	if kind == ast.OffsetPreceding {
		off = -off
	}
	if kind == ast.CurrentRow {
		off = 0
	}
	g := fr.p.peer[i]
	switch fr.f.mode {
	case ast.FrameRows:
		at := i + int(off)
		if last {
			at++
		}
		return min(max(at, 0), n), nil
	case ast.FrameGroups:
		at := g + int(off)
		if last {
			at++
		}
		return fr.p.peers[min(max(at, 0), len(fr.p.peers)-1)], nil
	}
	if kind == ast.CurrentRow || fr.keys[i].IsNull() {
		if last {
			return fr.p.peers[g+1], nil
		}
		return fr.p.peers[g], nil
	}
	return fr.rangeEnd(i, last)
}

// rangeEnd searches the rows whose key is within the offset of row i's.
func (fr *frames) rangeEnd(i int, last bool) (int, error) {
	prog, off := fr.f.low, fr.offs[0]
	if last {
		prog, off = fr.f.high, fr.offs[1]
	}
	bound, err := prog.EvalRow(fr.p.r.ectx, sqltype.Row{fr.keys[i], off})
	if err != nil {
		return 0, err
	}
	return fr.from + sort.Search(fr.to-fr.from, func(k int) bool {
		c := sqltype.Compare(fr.keys[fr.from+k], bound)
		if fr.desc {
			c = -c
		}
		if last {
			return c > 0
		}
		return c >= 0
	}), nil
}

// excluded tells whether EXCLUDE takes row k out of row i's frame.
func (fr *frames) excluded(i, k int) bool {
	switch fr.f.exclude {
	case ast.ExcludeCurrentRow:
		return i == k
	case ast.ExcludeGroup:
		return fr.p.peer[i] == fr.p.peer[k]
	case ast.ExcludeTies:
		return i != k && fr.p.peer[i] == fr.p.peer[k]
	}
	return false
}
