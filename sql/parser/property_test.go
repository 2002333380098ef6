package parser

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/sql/ast"
)

// TestSplicedStatements parses statements made of pieces of others. Most are
// wrong; those that are not must survive printing.
func TestSplicedStatements(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var pool [][]string
	add := func(sql string) {
		var words []string
		l := NewLexer(sql)
		for tok := l.Next(); tok.Kind != EOF; tok = l.Next() {
			words = append(words, tok.Text(sql))
		}
		pool = append(pool, words)
	}
	for _, c := range statementCases {
		add(c.sql)
	}
	for _, c := range expressionCases {
		add("SELECT " + c.sql + " FROM t")
	}
	cut := func(words []string) (from, to int) {
		from = rng.IntN(len(words))
		return from, from + rng.IntN(min(8, len(words)-from)+1)
	}
	valid := 0
	for range 150_000 {
		words := pool[rng.IntN(len(pool))]
		for range 1 + rng.IntN(2) {
			other := pool[rng.IntN(len(pool))]
			from, to := cut(words)
			a, b := cut(other)
			words = append(append(append([]string(nil), words[:from]...), other[a:b]...), words[to:]...)
			if len(words) == 0 {
				words = []string{"x"}
			}
		}
		sql := strings.Join(words, " ")
		stmt, err := Parse(sql)
		if err != nil {
			continue
		}
		valid++
		checkRoundTrip(t, sql, stmt)
	}
	if valid < 10_000 {
		t.Fatalf("only %d of the statements were valid", valid)
	}
}

// exprMaker makes random trees.
type exprMaker struct{ *rand.Rand }

func (m exprMaker) expr(depth int) ast.Expr {
	if depth <= 0 {
		return m.leaf()
	}
	d := depth - 1
	switch m.IntN(16) {
	case 0:
		return &ast.AndExpr{Args: m.list(d, 2)}
	case 1:
		return &ast.OrExpr{Args: m.list(d, 2)}
	case 2:
		return &ast.NotExpr{X: m.expr(d)}
	case 3, 4:
		ops := []ast.Op{
			ast.OpEq, ast.OpLt, ast.OpGe, ast.OpNe, ast.OpAdd, ast.OpSub, ast.OpMul, ast.OpMod, ast.OpPow,
			ast.OpConcat, ast.OpJSONGet, ast.OpMatch, ast.OpBitXor, ast.OpShl, ast.OpHasKey,
		}
		return &ast.BinaryExpr{Op: ops[m.IntN(len(ops))], L: m.expr(d), R: m.expr(d)}
	case 5:
		ops := []ast.Op{ast.OpSub, ast.OpAdd, ast.OpBitNot, ast.OpAbs, ast.OpSqrt}
		return &ast.UnaryExpr{Op: ops[m.IntN(len(ops))], X: m.expr(d)}
	case 6:
		return &ast.IsExpr{Kind: ast.IsKind(m.IntN(4)), Not: m.flip(), X: m.expr(d)}
	case 7:
		return &ast.DistinctExpr{Not: m.flip(), L: m.expr(d), R: m.expr(d)}
	case 8:
		x := &ast.LikeExpr{Kind: ast.LikeKind(m.IntN(3)), Not: m.flip(), X: m.expr(d), Pattern: m.expr(d)}
		if m.flip() {
			x.Escape = m.expr(d)
		}
		return x
	case 9:
		return &ast.BetweenExpr{Not: m.flip(), Symmetric: m.flip(), X: m.expr(d), Lo: m.expr(d), Hi: m.expr(d)}
	case 10:
		return &ast.InExpr{Not: m.flip(), X: m.expr(d), List: m.list(d, 1)}
	case 11:
		ops := []ast.Op{ast.OpEq, ast.OpGt, ast.OpAdd, ast.OpLike, ast.OpNotILike}
		return &ast.QuantifiedExpr{Op: ops[m.IntN(len(ops))], All: m.flip(), X: m.expr(d), Array: m.expr(d)}
	case 12:
		x := &ast.CaseExpr{Whens: []ast.When{{Cond: m.expr(d), Result: m.expr(d)}}}
		if m.flip() {
			x.Operand = m.expr(d)
		}
		return x
	case 13:
		return &ast.AtTimeZoneExpr{X: m.expr(d), Zone: m.expr(d)}
	case 14:
		if m.flip() {
			return &ast.CollateExpr{X: m.expr(d), Collation: "C"}
		}
		return &ast.IndexExpr{X: m.expr(d), Index: m.expr(d)}
	}
	if m.flip() {
		return &ast.CastExpr{X: m.expr(d), Type: ast.TypeName{Name: "int", Dims: m.IntN(2)}}
	}
	return &ast.FuncCall{Name: []string{"f", "position", "substring", "exists", "left"}[m.IntN(5)], Args: m.list(d, 1)}
}

func (m exprMaker) flip() bool { return m.IntN(2) == 0 }

func (m exprMaker) list(depth, least int) []ast.Expr {
	list := make([]ast.Expr, least+m.IntN(2))
	for i := range list {
		list[i] = m.expr(depth)
	}
	return list
}

func (m exprMaker) leaf() ast.Expr {
	switch m.IntN(6) {
	case 0:
		return &ast.IntLit{Value: m.Int64N(100)}
	case 1:
		return &ast.StringLit{Value: "it's"}
	case 2:
		return &ast.NullLit{}
	case 3:
		return &ast.Param{Index: 1 + m.IntN(3)}
	case 4:
		return &ast.TypedLit{Type: ast.TypeName{Name: "interval", Fields: "day"}, Value: "1"}
	}
	return &ast.ColumnRef{Name: []string{"a", "select", "Ä b", "unbounded", "time"}[m.IntN(5)]}
}

// TestRandomExpressions holds that parentheses are printed where they must be.
func TestRandomExpressions(t *testing.T) {
	m := exprMaker{rand.New(rand.NewPCG(3, 4))}
	for range 20_000 {
		x := m.expr(4)
		text := ast.SQL(x)
		y, err := ParseExpr(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if d := diffTrees(x, y); d != "" {
			t.Fatalf("%s is another tree: %s", text, d)
		}
	}
}

// TestNamesSurviveQuoting uses every keyword, quoted where ast says so, in all
// places where a name may stand.
func TestNamesSurviveQuoting(t *testing.T) {
	names := []string{"a", "A", "a b", `a"b`, "1a", "ä", "$", "a$1", ""}
	for _, k := range Keywords() {
		names = append(names, strings.ToLower(k.Word))
		if q := ast.QuoteIdent(strings.ToLower(k.Word)); k.Category >= FuncOrType && q[0] != '"' {
			t.Errorf("%s is reserved and not quoted", k.Word)
		}
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		q, call := ast.QuoteIdent(name), ast.QuoteIdent(name)
		switch name {
		case "exists", "interval", "try_cast", "values":
			call = `"` + name + `"`
		}
		for _, pattern := range []string{
			"SELECT @ AS @, @.@, f(@), %(1) FROM @.@ AS @ WHERE @ = 1 ORDER BY @",
			"WITH @ AS (SELECT 1) SELECT sum(a) OVER @, sum(a) OVER (@ ORDER BY b) FROM @ WINDOW @ AS (PARTITION BY c)",
			"SELECT sum(a) OVER (ROWS BETWEEN @ PRECEDING AND CURRENT ROW) FROM @ AS @(@) GROUP BY @, %(2)",
			"UPDATE @ AS @ SET @ = 1, (@, @) = (1, 2) WHERE @ IS NULL RETURNING @",
			"INSERT INTO @.@ (@, @) VALUES (@) ON CONFLICT (@) DO NOTHING",
			"SELECT 1 FROM @ JOIN @ USING (@) JOIN %(1) AS @ ON TRUE",
			"CREATE TABLE @ (@ int, PRIMARY KEY (@)) WITH (@ = 1)",
			"ALTER TABLE @ ADD COLUMN @ @, DROP COLUMN @, RENAME COLUMN @ TO @",
			"SHOW TABLES IN @", "USE NAMESPACE @", "DESCRIBE TABLE @", "DROP VIEW @.@, @", "FLUSH ALL TABLES IN @",
			"CREATE NAMESPACE @ WITH OPTIONS (@ = 1)", "BACKUP DATABASE @ TO 'x'", "SUBSCRIBE TO SELECT * FROM @ OPTIONS (@ = 1)",
		} {
			sql := strings.NewReplacer("@", q, "%", call).Replace(pattern)
			stmt, err := Parse(sql)
			if err != nil {
				if name == "type" && strings.Contains(err.Error(), "unknown table type") {
					continue // WITH (type = …) is the table's type.
				}
				t.Errorf("%s: %v", sql, err)
				continue
			}
			checkRoundTrip(t, sql, stmt)
		}
	}
}

var nodeType = reflect.TypeFor[ast.Node]()

// TestInspectVisitsAll compares Inspect with what reflection finds.
func TestInspectVisitsAll(t *testing.T) {
	for _, c := range statementCases {
		stmt, err := Parse(c.sql)
		if err != nil {
			continue
		}
		visited := map[any]bool{}
		ast.Inspect(stmt, func(n ast.Node) bool {
			if visited[n] {
				t.Errorf("%s: %T is visited twice", c.sql, n)
			}
			visited[n] = true
			return true
		})
		var check func(v reflect.Value)
		check = func(v reflect.Value) {
			switch v.Kind() {
			case reflect.Interface, reflect.Pointer:
				if v.IsNil() {
					return
				}
				if v.Kind() == reflect.Pointer && v.Type().Implements(nodeType) && !visited[v.Interface()] {
					t.Errorf("%s: %s is not visited", c.sql, v.Type())
				}
				check(v.Elem())
			case reflect.Struct:
				if v.Type() == reflect.TypeFor[ast.Option]() {
					return
				}
				for i := range v.NumField() {
					check(v.Field(i))
				}
			case reflect.Slice:
				for i := range v.Len() {
					check(v.Index(i))
				}
			}
		}
		check(reflect.ValueOf(&stmt).Elem())
	}
}

func TestInspectExprStaysInItsQuery(t *testing.T) {
	x, err := ParseExpr("sum(a) + (SELECT sum(b) FROM t) + count(c) FILTER (WHERE d)")
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	ast.InspectExpr(x, func(x ast.Expr) bool {
		if c, ok := x.(*ast.ColumnRef); ok {
			columns = append(columns, c.Name)
		}
		return true
	})
	if got := strings.Join(columns, " "); got != "a c d" {
		t.Fatal(got)
	}
}
