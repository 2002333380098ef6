package expr

import (
	"sync"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Program is a compiled expression. It is immutable and may be used from
// several goroutines; each evaluates through an Eval of its own.
type Program struct {
	expr  Expr
	root  node
	slots int
	pool  sync.Pool
}

// Compile turns a tree into a Program. Every typed tree compiles.
func Compile(e Expr) *Program {
	c := &compiler{}
	p := &Program{expr: e, root: c.node(Resolve(e))}
	p.slots = c.slots
	p.pool.New = func() any { return p.NewEval() }
	return p
}

// Expr is what was compiled.
func (p *Program) Expr() Expr { return p.expr }

// Type is the result's type.
func (p *Program) Type() sqltype.Type { return Resolve(p.expr).Type() }

// EvalRow evaluates over one row. It may be called from several goroutines; an
// Eval of one's own saves a little.
func (p *Program) EvalRow(ctx *Context, row sqltype.Row) (sqltype.Value, error) {
	ev := p.pool.Get().(*Eval)
	v, err := ev.EvalRow(ctx, row)
	p.pool.Put(ev)
	return v, err
}

// MatchRow tells whether a condition is true for a row; NULL is not true. It
// may be called from several goroutines.
func (p *Program) MatchRow(ctx *Context, row sqltype.Row) (bool, error) {
	ev := p.pool.Get().(*Eval)
	ok, err := ev.MatchRow(ctx, row)
	p.pool.Put(ev)
	return ok, err
}

// Eval is one execution's working memory for a Program. One goroutine uses it
// at a time.
type Eval struct {
	prog *Program
	ctx  *Context
	mem  []scratch
}

// NewEval makes the working memory for one execution.
func (p *Program) NewEval() *Eval { return &Eval{prog: p, mem: make([]scratch, p.slots)} }

// EvalVector computes the expression for the rows that count in the batch. The
// vector stands for in.Len() rows; values at other rows are arbitrary. It may
// be constant, or one of the batch's own columns, and is valid until the next
// call on this Eval.
func (ev *Eval) EvalVector(ctx *Context, in *vector.Batch) (*vector.Vector, error) {
	ev.ctx = ctx
	return ev.prog.root.vec(ev, in, in.Sel)
}

// Filter gives the rows that count and for which the condition is true, in
// ascending order, as a selection for in.Sel: never nil, and valid until the
// next call on this Eval.
func (ev *Eval) Filter(ctx *Context, in *vector.Batch) ([]int32, error) {
	ev.ctx = ctx
	sel := in.Sel
	if sel == nil {
		sel = identity(in.Len())
	}
	out, err := filter(ev, ev.prog.root, in, sel, true)
	if out == nil {
		out = []int32{}
	}
	return out, err
}

// interrupted asks every few rows of a batch whether the statement has ended:
// a batch of long texts may take much longer than others.
func (ev *Eval) interrupted(row int) error {
	if row&31 != 31 || ev.ctx == nil || ev.ctx.Interrupt == nil {
		return nil
	}
	return ev.ctx.Interrupt()
}

// EvalRow computes the expression over a row's values by ordinal. A text
// result may share memory with the row.
func (ev *Eval) EvalRow(ctx *Context, row sqltype.Row) (sqltype.Value, error) {
	ev.ctx = ctx
	return ev.prog.root.row(ev, row)
}

// MatchRow tells whether the condition is true for the row; NULL is not true.
func (ev *Eval) MatchRow(ctx *Context, row sqltype.Row) (bool, error) {
	ev.ctx = ctx
	return match(ev, ev.prog.root, row, true)
}
