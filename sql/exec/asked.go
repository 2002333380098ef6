package exec

import (
	"slices"

	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// asked picks the rows for which what is around a subquery asks for its value:
// those for which a condition is true, or all without one.
type asked struct {
	when *expr.Eval
	// batch is the batch at work with those rows alone.
	batch vector.Batch
}

func newAsked(when *expr.Program) asked {
	if when == nil {
		return asked{}
	}
	return asked{when: when.NewEval()}
}

// of is a batch with the rows that ask alone, valid until the next call.
func (a *asked) of(r *run, b *vector.Batch) (*vector.Batch, error) {
	if a.when == nil {
		return b, nil
	}
	sel, err := a.when.Filter(r.ectx, b)
	if err != nil {
		return nil, err
	}
	a.batch = *b
	a.batch.Sel = sel
	return &a.batch, nil
}

// has tells whether the row at a position of the last batch asks.
func (a *asked) has(row int) bool {
	if a.when == nil {
		return true
	}
	_, found := slices.BinarySearch(a.batch.Sel, int32(row))
	return found
}
