package builtin

import (
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// CastContext is where a conversion stands.
type CastContext uint8

// The places, from the strictest on: what is allowed in one is allowed in all
// later ones.
const (
	// Implicit: anywhere in an expression.
	Implicit CastContext = iota
	// Assignment: INSERT, UPDATE and DEFAULT, to a column's type.
	Assignment
	// Explicit: CAST(x AS t), x::t.
	Explicit
)

// FindCast tells whether a value of one type may be converted to another in a
// place, by PostgreSQL's matrix; volatility is that of the conversion.
func FindCast(from, to sqltype.Type, at CastContext) (v Volatility, ok bool) {
	f, t := from.Kind, to.Kind
	if f == sqltype.Unknown {
		return textVolatility(t), true
	}
	if f == sqltype.Array && t == sqltype.Array {
		return FindCast(from.ElemType(), to.ElemType(), at)
	}
	if f == t {
		return Immutable, true
	}
	if need, listed := castMatrix[[2]sqltype.Kind{f, t}]; listed {
		return Immutable, need <= at
	}
	switch {
	case t == sqltype.Text && f != sqltype.Text:
		return Immutable, at >= Assignment
	case f == sqltype.Text:
		return textVolatility(t), at >= Explicit && t != sqltype.Unknown
	}
	return Immutable, false
}

// textVolatility is Stable where text such as 'now' depends on the clock.
func textVolatility(k sqltype.Kind) Volatility {
	switch k {
	case sqltype.Date, sqltype.Time, sqltype.Timestamp:
		return Stable
	}
	return Immutable
}

var castMatrix = func() map[[2]sqltype.Kind]CastContext {
	m := map[[2]sqltype.Kind]CastContext{}
	numbers := []sqltype.Kind{sqltype.SmallInt, sqltype.Integer, sqltype.BigInt, sqltype.Decimal, sqltype.Float, sqltype.Double}
	for i, a := range numbers {
		for j, b := range numbers {
			switch {
			case i < j:
				m[[2]sqltype.Kind{a, b}] = Implicit
			case i > j:
				m[[2]sqltype.Kind{a, b}] = Assignment
			}
		}
	}
	for _, k := range []sqltype.Kind{sqltype.SmallInt, sqltype.Integer, sqltype.BigInt} {
		m[[2]sqltype.Kind{sqltype.Boolean, k}] = Explicit
		m[[2]sqltype.Kind{k, sqltype.Boolean}] = Explicit
	}
	m[[2]sqltype.Kind{sqltype.Date, sqltype.Timestamp}] = Implicit
	m[[2]sqltype.Kind{sqltype.Timestamp, sqltype.Date}] = Assignment
	m[[2]sqltype.Kind{sqltype.Timestamp, sqltype.Time}] = Assignment
	m[[2]sqltype.Kind{sqltype.Time, sqltype.Interval}] = Implicit
	m[[2]sqltype.Kind{sqltype.Interval, sqltype.Time}] = Assignment
	m[[2]sqltype.Kind{sqltype.UUID, sqltype.Bytes}] = Explicit
	m[[2]sqltype.Kind{sqltype.Bytes, sqltype.UUID}] = Explicit
	return m
}()
