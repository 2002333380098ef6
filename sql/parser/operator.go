package parser

import (
	"strings"

	"github.com/kalamdb/kalamdb/sql/ast"
)

// operator reads the longest operator, as PostgreSQL does: it ends before a
// comment, and an operator of several characters does not end in + or - unless
// it has one of ~ ! @ # % ^ & | ? in it.
func (l *Lexer) operator(start int) Token {
	sql, i := l.sql, start+1
	if i >= len(sql) || class[sql[i]] != clOp {
		t := l.token(Operator, start, i)
		t.Op = singleOp[sql[start]]
		if t.Op == ast.OpInvalid {
			return l.unknownOperator(start, i)
		}
		return t
	}
	special := isSpecialOp(sql[start])
	for i < len(sql) && class[sql[i]] == clOp {
		c := sql[i]
		if i+1 < len(sql) && (c == '-' && sql[i+1] == '-' || c == '/' && sql[i+1] == '*') {
			break
		}
		special = special || isSpecialOp(c)
		i++
	}
	for !special && i > start+1 && (sql[i-1] == '+' || sql[i-1] == '-') && sql[start:i] != "->" {
		i--
	}
	text := sql[start:i]
	if text == "=>" {
		return l.token(Arrow, start, i)
	}
	op := ast.OpInvalid
	if len(text) == 1 {
		op = singleOp[text[0]]
	} else {
		op = longOp(text)
	}
	if op == ast.OpInvalid {
		return l.unknownOperator(start, i)
	}
	t := l.token(Operator, start, i)
	t.Op = op
	return t
}

func (l *Lexer) unknownOperator(start, end int) Token {
	text := l.sql[start:end]
	switch text {
	case "==":
		return l.fail(start, end, "Use = to compare.", "syntax error at or near %s", nearText(text))
	case "!":
		return l.fail(start, end, "Use NOT to negate a condition.", "syntax error at or near %s", nearText(text))
	case "<=>":
		return l.fail(start, end, "Use IS NOT DISTINCT FROM to compare values that may be NULL.", "syntax error at or near %s", nearText(text))
	}
	return l.fail(start, end, "", "unknown operator %s", nearText(text))
}

func isSpecialOp(c byte) bool { return strings.IndexByte("~!@#%^&|?", c) >= 0 }

var singleOp = [256]ast.Op{
	'=': ast.OpEq, '<': ast.OpLt, '>': ast.OpGt, '+': ast.OpAdd, '-': ast.OpSub, '*': ast.OpMul,
	'/': ast.OpDiv, '%': ast.OpMod, '^': ast.OpPow, '&': ast.OpBitAnd, '|': ast.OpBitOr,
	'#': ast.OpBitXor, '~': ast.OpMatch, '?': ast.OpHasKey, '@': ast.OpAbs,
}

// longOp maps an operator of several characters. LIKE's operator forms carry
// the QuantifiedExpr operators; the parser makes LikeExprs of them.
func longOp(s string) ast.Op {
	switch s {
	case "<>", "!=":
		return ast.OpNe
	case "<=":
		return ast.OpLe
	case ">=":
		return ast.OpGe
	case "||":
		return ast.OpConcat
	case "<<":
		return ast.OpShl
	case ">>":
		return ast.OpShr
	case "->":
		return ast.OpJSONGet
	case "->>":
		return ast.OpJSONGetText
	case "#>":
		return ast.OpJSONPath
	case "#>>":
		return ast.OpJSONPathText
	case "#-":
		return ast.OpJSONDelPath
	case "@>":
		return ast.OpContains
	case "<@":
		return ast.OpContainedBy
	case "?|":
		return ast.OpHasAnyKey
	case "?&":
		return ast.OpHasAllKeys
	case "&&":
		return ast.OpOverlap
	case "~*":
		return ast.OpMatchCI
	case "!~":
		return ast.OpNotMatch
	case "!~*":
		return ast.OpNotMatchCI
	case "^@":
		return ast.OpStartsWith
	case "|/":
		return ast.OpSqrt
	case "||/":
		return ast.OpCbrt
	case "~~":
		return ast.OpLike
	case "!~~":
		return ast.OpNotLike
	case "~~*":
		return ast.OpILike
	case "!~~*":
		return ast.OpNotILike
	}
	return ast.OpInvalid
}
