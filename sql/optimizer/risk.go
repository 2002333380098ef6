package optimizer

import (
	"strings"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// risk is how likely computing something fails because of the values at hand.
// It decides only how a subquery is computed: what is not known fails readily.
type risk uint8

const (
	safe risk = iota
	// rarely: at numbers too large for their type, at most.
	rarely
	// readily: at ordinary values, such as a divisor of 0, a text that is no
	// number, or a second row where one is allowed.
	readily
)

// functionRisks are the functions and operators that do not fail readily, each
// with its risk over operands that do not fail.
var functionRisks = map[string]risk{
	"||": safe, "->": safe, "->>": safe, "&": safe, "|": safe, "#": safe, "=": safe,
	"lower": safe, "upper": safe, "length": safe, "char_length": safe, "octet_length": safe, "concat": safe,
	"trim": safe, "btrim": safe, "ltrim": safe, "rtrim": safe, "left": safe, "right": safe, "replace": safe,
	"strpos": safe, "position": safe, "starts_with": safe, "md5": safe, "now": safe, "greatest": safe, "least": safe,
	"+": rarely, "-": rarely, "*": rarely, "~": rarely, "~*": rarely, "!~": rarely, "!~*": rarely,
	"abs": rarely, "round": rarely, "floor": rarely, "ceil": rarely, "trunc": rarely, "sign": rarely,
	"substr": rarely, "substring": rarely, "date_trunc": rarely, "date_part": rarely, "extract": rarely, "timezone": rarely,
	"to_jsonb": rarely, "to_json": rarely,

	"count": safe, "min": safe, "max": safe, "bool_and": safe, "bool_or": safe, "every": safe,
	"array_agg": safe, "string_agg": safe, "row_number": safe, "rank": safe, "dense_rank": safe,
	"lag": safe, "lead": safe, "first_value": safe, "last_value": safe,
	"sum": rarely, "avg": rarely,
}

func functionRisk(f *builtin.Function) risk {
	if r, ok := functionRisks[f.Name]; ok {
		return r
	}
	return readily
}

// riskOf is the highest risk of expressions.
func riskOf(list ...expr.Expr) risk {
	r := safe
	for _, e := range list {
		expr.Walk(e, func(e expr.Expr) bool {
			r = max(r, ownRisk(e))
			return r < readily
		})
	}
	return r
}

// ownRisk is an expression's risk over operands that do not fail.
func ownRisk(e expr.Expr) risk {
	switch e := e.(type) {
	case *expr.CallExpr:
		if name := e.Fn.Name; (name == "/" || name == "%") && len(e.Args) == 2 && neverZero(e.Args[1]) {
			return rarely
		}
		return functionRisk(e.Fn)
	case *expr.CastExpr:
		return castRisk(e)
	case *expr.LikeExpr:
		if v, ok := expr.AsConst(e.Pattern); !ok || !v.IsNull() && strings.HasSuffix(v.Text(), `\`) || e.Kind == ast.SimilarTo {
			return readily
		}
	}
	return safe
}

// neverZero tells whether a divisor is a constant other than 0, or
// nullif(x, 0).
func neverZero(e expr.Expr) bool {
	switch e := e.(type) {
	case *expr.ConstExpr:
		return e.Value.IsNull() || !isZero(e)
	case *expr.CastExpr:
		return e.X.Type().Kind.IsInteger() && neverZero(e.X) // others may be rounded to 0
	case *expr.CaseExpr:
		if len(e.Whens) != 1 {
			return false
		}
		c, ok := e.Whens[0].Cond.(*expr.CompareExpr)
		return ok && c.Op == ast.OpEq && !c.Distinct && plan.Equal(c.L, e.Else) && isZero(c.R)
	}
	return false
}

func isZero(e expr.Expr) bool {
	if c, ok := e.(*expr.CastExpr); ok {
		return isZero(c.X)
	}
	v, ok := expr.AsConst(e)
	return ok && !v.IsNull() && strings.Trim(v.Text(), "-0.") == ""
}

func castRisk(e *expr.CastExpr) risk {
	from, to := e.X.Type(), e.Type()
	switch {
	case e.Mode == expr.CastTry || from.Kind == to.Kind && from == to:
		return safe
	case to.Kind == sqltype.Text:
		if e.Mode == expr.CastAssign {
			return rarely // longer than VARCHAR(n)
		}
		return safe
	}
	switch from.Kind {
	case sqltype.Boolean, sqltype.SmallInt, sqltype.Integer, sqltype.BigInt, sqltype.Float, sqltype.Double, sqltype.Decimal,
		sqltype.Date, sqltype.Time, sqltype.Timestamp:
		return rarely
	}
	return readily
}

// nodeRisk is the risk of computing a subquery's rows.
func nodeRisk(n plan.Node) risk {
	return nodeRiskIn(n, map[*plan.CTE]bool{})
}

// applyRisk is the risk of computing what an expression takes of a subquery.
func applyRisk(a *plan.Apply) risk {
	if (a.Kind == plan.ApplyScalar || a.Kind == plan.ApplySingle) && !oneRow(a.R) {
		return readily
	}
	r := a.R
	if a.Kind == plan.ApplyExists {
		r = noColumns(r)
	}
	return max(nodeRisk(r), riskOf(a.On...))
}

func nodeRiskIn(n plan.Node, seen map[*plan.CTE]bool) risk {
	r, in := riskOf(plan.Exprs(n)...), n.Inputs()
	switch n := n.(type) {
	case *plan.TableFunc:
		return readily
	case *plan.Aggregate:
		for i := range n.Aggs {
			r = max(r, functionRisk(n.Aggs[i].Fn))
		}
	case *plan.Window:
		for i := range n.Funcs {
			f := &n.Funcs[i]
			if f.Frame.Start.Offset != nil || f.Frame.End.Offset != nil {
				return readily
			}
			r = max(r, functionRisk(f.Fn))
		}
	case *plan.Apply:
		if n.Kind >= plan.ApplySingle {
			r = max(r, applyRisk(n))
			in = in[:1]
		}
	case *plan.Join:
		if n.Kind == plan.Single {
			return readily
		}
	case *plan.CTERef:
		if !n.Working && !seen[n.CTE] {
			seen[n.CTE] = true
			r = max(r, nodeRiskIn(n.CTE.In, seen))
			if n.CTE.Step != nil {
				r = max(r, nodeRiskIn(n.CTE.Step, seen))
			}
		}
	}
	for _, in := range in {
		if r == readily {
			break
		}
		r = max(r, nodeRiskIn(in, seen))
	}
	return r
}
