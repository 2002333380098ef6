package query

import (
	"slices"
	"strings"
	"testing"
)

func tree() *Node {
	return text("SELECT ", expression(Text, "upper(", expression(Text, "s"), ")"), " WHERE ", expression(Bool, expression(Numeric, "d"), " > 0"))
}

func TestInsteadTriesOtherValues(t *testing.T) {
	n := tree()
	before := n.String()
	var tried []string
	n.Instead(false, func(put func() bool) bool {
		for put() {
			tried = append(tried, n.String())
		}
		return true
	})
	for _, want := range []string{
		"SELECT upper(s) WHERE true", "SELECT upper(s) WHERE NULL::boolean", "SELECT upper(NULL::text) WHERE d > 0", "SELECT NULL::text WHERE d > 0",
		"SELECT upper(s) WHERE NULL::numeric > 0",
	} {
		if !slices.Contains(tried, want) {
			t.Errorf("%q was not tried: %q", want, tried)
		}
	}
	if n.String() != before {
		t.Errorf("the tree became %s", n)
	}
	count := 0
	n.Instead(false, func(func() bool) bool { count++; return false })
	if count != 1 {
		t.Errorf("went on %d times after the end", count-1)
	}
}

func TestInsteadLeavesOutWhatIsGuarded(t *testing.T) {
	n := text("SELECT ",
		expression(Int4, "CASE WHEN ", expression(Bool, "b"), " THEN ", expression(Int4, "1 / k"), " END"), ", ",
		expression(Int4, "sum(", expression(Int4, "2 / k"), ")", optional(" FILTER (WHERE ", expression(Bool, "c"), ")")), ", ",
		expression(Bool, expression(Bool, "b"), " OR ", expression(Bool, "4 / k IN (SELECT 1)")), ", ",
		expression(Int4, "3 / k"))
	var tried []string
	n.Instead(true, func(put func() bool) bool {
		for put() {
			tried = append(tried, n.String())
		}
		return true
	})
	free := false
	for _, sql := range tried {
		caseStays, sumStays := strings.Contains(sql, "CASE"), strings.Contains(sql, "sum(")
		orStays := strings.Contains(sql, " OR ")
		if orStays && !strings.Contains(sql, "b OR 4 / k IN (SELECT 1)") || caseStays && !strings.Contains(sql, "CASE WHEN b THEN 1 / k END") || sumStays && !strings.Contains(sql, "sum(2 / k) FILTER (WHERE c)") {
			t.Errorf("%q was tried", sql)
		}
		free = free || !strings.Contains(sql, "3 / k")
	}
	if !free {
		t.Errorf("nothing was put for what is free: %q", tried)
	}
}

func TestWrapStandsAroundExpressions(t *testing.T) {
	n := tree()
	before := n.String()
	var got []string
	n.Wrap(Numeric, "CAST(", " AS numeric(38,0))", func() bool { got = append(got, n.String()); return true })
	if want := []string{"SELECT upper(s) WHERE CAST(d AS numeric(38,0)) > 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n.String() != before {
		t.Errorf("the tree became %s", n)
	}
}

func TestUnlimitedLeavesTheLimitOut(t *testing.T) {
	q := &Query{Root: text("SELECT 1 ORDER BY 1", optional(" LIMIT 3 OFFSET 1"))}
	var got []string
	q.Unlimited(func() { got = append(got, q.Root.String()) })
	if want := []string{"SELECT 1 ORDER BY 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if s := q.Root.String(); s != "SELECT 1 ORDER BY 1 LIMIT 3 OFFSET 1" {
		t.Errorf("the statement became %s", s)
	}
	q = &Query{Root: text("SELECT 1", text(" ORDER BY 1"))}
	q.Unlimited(func() { t.Errorf("%s has no limit", q.Root) })
}
