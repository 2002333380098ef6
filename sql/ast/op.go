package ast

// Op is an operator of a UnaryExpr, BinaryExpr or QuantifiedExpr.
type Op uint8

// The operators, by their spelling.
const (
	OpInvalid      Op = iota
	OpEq              // =
	OpNe              // <>
	OpLt              // <
	OpLe              // <=
	OpGt              // >
	OpGe              // >=
	OpAdd             // + (also unary)
	OpSub             // - (also unary)
	OpMul             // *
	OpDiv             // /
	OpMod             // %
	OpPow             // ^
	OpConcat          // ||
	OpBitAnd          // &
	OpBitOr           // |
	OpBitXor          // #
	OpBitNot          // ~ (unary)
	OpShl             // <<
	OpShr             // >>
	OpJSONGet         // ->
	OpJSONGetText     // ->>
	OpJSONPath        // #>
	OpJSONPathText    // #>>
	OpJSONDelPath     // #-
	OpContains        // @>
	OpContainedBy     // <@
	OpHasKey          // ?
	OpHasAnyKey       // ?|
	OpHasAllKeys      // ?&
	OpOverlap         // &&
	OpMatch           // ~
	OpMatchCI         // ~*
	OpNotMatch        // !~
	OpNotMatchCI      // !~*
	OpStartsWith      // ^@
	OpAbs             // @ (unary)
	OpSqrt            // |/ (unary)
	OpCbrt            // ||/ (unary)
	OpLike            // LIKE, in QuantifiedExpr only
	OpNotLike         // NOT LIKE, in QuantifiedExpr only
	OpILike           // ILIKE, in QuantifiedExpr only
	OpNotILike        // NOT ILIKE, in QuantifiedExpr only
	opCount
)

var opText = [opCount]string{
	OpInvalid: "?!", OpEq: "=", OpNe: "<>", OpLt: "<", OpLe: "<=", OpGt: ">", OpGe: ">=",
	OpAdd: "+", OpSub: "-", OpMul: "*", OpDiv: "/", OpMod: "%", OpPow: "^", OpConcat: "||",
	OpBitAnd: "&", OpBitOr: "|", OpBitXor: "#", OpBitNot: "~", OpShl: "<<", OpShr: ">>",
	OpJSONGet: "->", OpJSONGetText: "->>", OpJSONPath: "#>", OpJSONPathText: "#>>", OpJSONDelPath: "#-",
	OpContains: "@>", OpContainedBy: "<@", OpHasKey: "?", OpHasAnyKey: "?|", OpHasAllKeys: "?&", OpOverlap: "&&",
	OpMatch: "~", OpMatchCI: "~*", OpNotMatch: "!~", OpNotMatchCI: "!~*", OpStartsWith: "^@",
	OpAbs: "@", OpSqrt: "|/", OpCbrt: "||/",
	OpLike: "LIKE", OpNotLike: "NOT LIKE", OpILike: "ILIKE", OpNotILike: "NOT ILIKE",
}

// String is the operator's spelling.
func (o Op) String() string {
	if o < opCount {
		return opText[o]
	}
	return opText[OpInvalid]
}

// IsComparison tells whether the operator is one of = <> < <= > >=.
func (o Op) IsComparison() bool { return o >= OpEq && o <= OpGe }

// Commute is the comparison with its sides exchanged: < becomes >. Other
// operators are returned as they are.
func (o Op) Commute() Op {
	switch o {
	case OpLt:
		return OpGt
	case OpLe:
		return OpGe
	case OpGt:
		return OpLt
	case OpGe:
		return OpLe
	}
	return o
}

// Negate is the comparison or match that is true where this one is false.
// Other operators are returned as they are.
func (o Op) Negate() Op {
	switch o {
	case OpEq:
		return OpNe
	case OpNe:
		return OpEq
	case OpLt:
		return OpGe
	case OpLe:
		return OpGt
	case OpGt:
		return OpLe
	case OpGe:
		return OpLt
	case OpLike:
		return OpNotLike
	case OpNotLike:
		return OpLike
	case OpILike:
		return OpNotILike
	case OpNotILike:
		return OpILike
	}
	return o
}
