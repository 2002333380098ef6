package oracle

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
	"github.com/kalamdb/kalamdb/integration/oracle/query"
)

// TestRewrittenQueriesAgree compares KalamDB with itself: the same statement
// run again from the plan cache and after the cache was emptied, with
// parameters in the place of literals, on several goroutines, and split by a
// condition into the rows for which it is true, false and unknown.
func TestRewrittenQueriesAgree(t *testing.T) {
	m := &rewriter{one: kalam(t), findings: map[string]int{}}
	var err error
	if m.several, err = engine.OpenKalam(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.several.Close(); err != nil {
			t.Error(err)
		}
	}()
	// An eighth of the statements: each runs five to nine times.
	for done := 0; done < *queries/8; done += perRound {
		m.round(t, *seed+uint64(done))
	}
	t.Logf("%d statements; with parameters %d, of which %d fail at what they need not compute; split %d", m.statements, m.params, m.spared, m.splits)
}

type rewriter struct {
	one, several               *engine.Kalam
	spaces                     int
	statements, params, splits int
	// spared counts statements that with parameters compute what they need not.
	spared int
	// findings counts reports by kind, so that one fault does not fill the
	// log.
	findings map[string]int
}

func (m *rewriter) round(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	schema := query.NewSchema(r, r.IntN(5) == 0)
	if r.IntN(16) == 0 {
		schema.Tables[0].Large(manyRows)
	}
	m.spaces++
	space := fmt.Sprintf("m%d", m.spaces)
	dbs := []*engine.Kalam{m.one, m.several}
	for _, db := range dbs {
		if err := db.Use(t.Context(), space); err != nil {
			t.Fatal(err)
		}
		for _, tab := range schema.Tables {
			for _, sql := range tab.Create() {
				if res := db.Exec(t.Context(), sql); res.Err != nil {
					t.Fatalf("%s: %v", sql, res.Err)
				}
			}
		}
	}
	for i := range perRound {
		g := query.NewGenerator(rand.New(rand.NewPCG(seed, uint64(i)+1)), schema)
		m.check(t, g.Query())
	}
	for _, db := range dbs {
		if err := db.Drop(t.Context(), space); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *rewriter) check(t *testing.T, q *query.Query) {
	ctx := t.Context()
	m.statements++
	sql := q.Root.String()
	first := m.one.Exec(ctx, sql)
	m.same(t, "from the plan cache", q.Ordered, first, m.one.Exec(ctx, sql), sql, sql)
	if m.statements%10 == 0 {
		m.one.Exec(ctx, "CLEAR CACHE")
		m.same(t, "after CLEAR CACHE", q.Ordered, first, m.one.Exec(ctx, sql), sql, sql)
	}
	m.same(t, "on several goroutines", q.Ordered, first, m.several.Exec(ctx, sql), sql, sql)
	if q.Root.Literals() > 0 {
		m.params++
		withParams, withLiterals, params := q.Root.WithParams()
		plain, other := m.one.Exec(ctx, withLiterals), m.one.ExecParams(ctx, withParams, params)
		if plain.Err == nil && dataError(other.Err) && m.needless(t, q, plain) {
			m.spared++
		} else {
			m.same(t, "with parameters", q.Ordered, plain, other, withLiterals, withParams)
		}
	}
	if q.Where != nil && q.Columns != nil && len(q.Where.Parts) == 2 && first.Err == nil {
		m.split(t, q)
	}
}

// needless tells whether a statement with parameters fails at an expression
// that its answer does not need: one that is left out where a literal decides.
// Whichever value stands in the expression's place, it gives the answer.
func (m *rewriter) needless(t *testing.T, q *query.Query, answer engine.Result) bool {
	found, tries := false, mostPieces
	q.Root.Instead(true, func(put func() bool) bool {
		tried := 0
		for tried >= 0 && put() {
			tries--
			withParams, _, params := q.Root.WithParams()
			if tried++; compare(answer, m.one.ExecParams(t.Context(), withParams, params), q.Ordered) != "" {
				tried = -1
			}
		}
		found = tried > 0
		return !found && tries > 0
	})
	return found
}

// split adds up the rows of the three outcomes of a condition.
func (m *rewriter) split(t *testing.T, q *query.Query) {
	base := "SELECT " + q.Columns.String() + " FROM " + q.From.String()
	cond := q.Where.Parts[1].(*query.Node).String()
	all := m.one.Exec(t.Context(), base)
	if all.Err != nil {
		return
	}
	var sum engine.Result
	for _, where := range []string{cond, "NOT " + cond, "(" + cond + ") IS NULL"} {
		part := m.one.Exec(t.Context(), base+" WHERE "+where)
		if part.Err != nil {
			return
		}
		sum.Columns, sum.Types, sum.Affected = part.Columns, part.Types, part.Affected
		sum.Rows = append(sum.Rows, part.Rows...)
	}
	m.splits++
	m.same(t, "split by its condition", false, all, sum, base, cond)
}

func (m *rewriter) same(t *testing.T, what string, ordered bool, a, b engine.Result, left, right string) {
	t.Helper()
	d := Compare(a, b, ordered)
	if d == nil || d.Kind == OtherDigits || d.Kind == OtherText || timedOut(a) || timedOut(b) {
		return
	}
	if d.Kind == OtherState && d.Ours.Err.State[:2] == d.Theirs.Err.State[:2] {
		return // which row fails first is not fixed
	}
	if m.findings[what]++; m.findings[what] > 5 {
		t.Fail()
		return
	}
	t.Errorf("%s: %s\n%s\n%s\n%s\n%s", what, d.Kind, left, right, Describe(a), Describe(b))
}
