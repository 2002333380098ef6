package expr

import (
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/store/vector"
)

func compilePattern(kind ast.LikeKind, text, escape string) (*builtin.Pattern, error) {
	if kind == ast.SimilarTo {
		return builtin.CompileSimilar(text, escape)
	}
	return builtin.CompileLike(text, escape, kind == ast.ILike)
}

// pattern compiles a pattern, or gives the one compiled last when the text is
// the same: a pattern that is a parameter is compiled once an execution.
func (m *scratch) pattern(kind ast.LikeKind, text, escape string) (*builtin.Pattern, error) {
	if p, ok := m.cache.(*builtin.Pattern); ok && m.key == text && m.escape == escape {
		return p, nil
	}
	p, err := compilePattern(kind, text, escape)
	if err != nil {
		return nil, err
	}
	// The text may share memory with a batch that is reused.
	m.cache, m.key, m.escape = p, string([]byte(text)), string([]byte(escape))
	return p, nil
}

// likeNode is LIKE and its relatives.
type likeNode struct {
	x, pattern, escape node
	kind               ast.LikeKind
	not                bool
	// fixed is the compiled constant pattern, if it is one.
	fixed *builtin.Pattern
	slot  int
}

func (c *compiler) like(e *LikeExpr) node {
	n := &likeNode{x: c.node(e.X), pattern: c.node(e.Pattern), kind: e.Kind, not: e.Not, slot: c.slot()}
	escape, constant := "\\", true
	if e.Escape != nil {
		n.escape = c.node(e.Escape)
		k, ok := e.Escape.(*ConstExpr)
		if constant = ok && !k.Value.IsNull(); constant {
			escape = k.Value.Str()
		}
	}
	if k, ok := e.Pattern.(*ConstExpr); ok && constant && !k.Value.IsNull() {
		// A bad pattern is an error of the rows that meet it.
		n.fixed, _ = compilePattern(e.Kind, k.Value.Str(), escape)
	}
	return n
}

func (n *likeNode) one(ev *Eval, x, p, esc sqltype.Value) (sqltype.Value, error) {
	if x.IsNull() || p.IsNull() || esc.IsNull() {
		return sqltype.NullOf(sqltype.Boolean), nil
	}
	c, err := ev.mem[n.slot].pattern(n.kind, p.Str(), esc.Str())
	if err != nil {
		return sqltype.Value{}, err
	}
	return n.test(c, x)
}

// test is the result for a text that is not NULL.
func (n *likeNode) test(p *builtin.Pattern, x sqltype.Value) (sqltype.Value, error) {
	hit, err := p.Match(x.Str())
	return sqltype.NewBool(hit != n.not), err
}

var defaultEscape = sqltype.NewText("\\")

func (n *likeNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	x, err := n.x.row(ev, row)
	if err != nil {
		return x, err
	}
	if n.fixed != nil {
		if x.IsNull() {
			return sqltype.NullOf(sqltype.Boolean), nil
		}
		return n.test(n.fixed, x)
	}
	p, err := n.pattern.row(ev, row)
	if err != nil {
		return p, err
	}
	esc := defaultEscape
	if n.escape != nil {
		if esc, err = n.escape.row(ev, row); err != nil {
			return esc, err
		}
	}
	return n.one(ev, x, p, esc)
}

// prepare evaluates the operands; p is set when one pattern stands for all
// rows.
func (n *likeNode) prepare(ev *Eval, in *vector.Batch, sel []int32) (x, pat, esc *vector.Vector, p *builtin.Pattern, err error) {
	if x, err = n.x.vec(ev, in, sel); err != nil || n.fixed != nil {
		return x, nil, nil, n.fixed, err
	}
	if pat, err = n.pattern.vec(ev, in, sel); err != nil {
		return nil, nil, nil, nil, err
	}
	esc = vector.NewConst(sqltype.TText, defaultEscape, in.Len())
	if n.escape != nil {
		if esc, err = n.escape.vec(ev, in, sel); err != nil {
			return nil, nil, nil, nil, err
		}
	}
	if pat.Const && esc.Const && !pat.IsNull(0) && !esc.IsNull(0) && count(sel, in.Len()) > 0 {
		if x.Const && x.IsNull(0) {
			return x, pat, esc, nil, nil
		}
		// A bad pattern is reported row by row, below.
		p, _ = ev.mem[n.slot].pattern(n.kind, pat.Str(0), esc.Str(0))
	}
	return x, pat, esc, p, nil
}

func (n *likeNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	x, pat, esc, p, err := n.prepare(ev, in, sel)
	if err != nil {
		return nil, err
	}
	m := &ev.mem[n.slot]
	if p == nil {
		return m.collect(ev, sqltype.TBoolean, in.Len(), sel, func(i int) (sqltype.Value, error) {
			return n.one(ev, x.Value(i), pat.Value(i), esc.Value(i))
		})
	}
	match, certain := p.Certain()
	if !certain {
		return m.collect(ev, sqltype.TBoolean, in.Len(), sel, func(i int) (sqltype.Value, error) {
			if x.IsNull(i) {
				return sqltype.NullOf(sqltype.Boolean), nil
			}
			return n.test(p, x.Value(i))
		})
	}
	if x.Const {
		v := sqltype.NullOf(sqltype.Boolean)
		if !x.IsNull(0) {
			v = sqltype.NewBool(match(x.Str(0)) != n.not)
		}
		return vector.NewConst(sqltype.TBoolean, v, in.Len()), nil
	}
	out := m.out(sqltype.TBoolean, in.Len())
	out.Valid = x.Valid
	if sel == nil {
		sel = identity(in.Len())
	}
	for k, i := range sel {
		if err := ev.interrupted(k); err != nil {
			return nil, err
		}
		if x.Valid == nil || x.Valid.Get(int(i)) {
			out.Bools[i] = match(x.Str(int(i))) != n.not
		}
	}
	return out, nil
}

func (n *likeNode) filter(ev *Eval, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	return pickNode(ev, n, n.slot, in, sel, want)
}
