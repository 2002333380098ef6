package oracle

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/integration/oracle/engine"
	"github.com/kalamdb/kalamdb/integration/oracle/query"
)

// The names under which a proven difference is counted.
const (
	// otherPlan: PostgreSQL itself gives KalamDB's answer once its planner
	// works with other settings, so that SQL leaves the answer open.
	otherPlan = "proven: PostgreSQL agrees with another plan"
	// unoptimized: DuckDB itself gives KalamDB's answer once its optimizer
	// changes nothing, so that the fault is the optimizer's.
	unoptimized = "proven: DuckDB agrees without its optimizer"
	// whilePlanning: PostgreSQL computes a constant expression while it plans
	// and fails, before it knows whether any row needs the value.
	whilePlanning = "proven: PostgreSQL fails while planning"
	// notNeeded: one side fails at the value of an expression that the answer
	// does not need. Whichever value stands in its place, that side gives the
	// other's answer; PostgreSQL's manual says in 4.2.14 that what need not be
	// evaluated may be left out or not. KalamDB must not fail so under CASE,
	// coalesce, FILTER, AND and OR, of which the first three do say what is
	// evaluated, and PostgreSQL keeps the order of the others' operands.
	notNeeded     = "proven: PostgreSQL fails at a value that the answer does not need"
	oursNotNeeded = "proven: KalamDB fails at a value that the answer does not need"
	// opaque: PostgreSQL gives KalamDB's answer once it cannot look into one of
	// the conditions, which is cast to text and back: it takes what concerns one
	// table out of them otherwise, and computes that for rows that find no other
	// in a join.
	opaque = "proven: PostgreSQL takes a condition apart"
	// unstable: the floating point numbers that differ are noise: PostgreSQL's
	// own change when another plan adds them up in another order.
	unstable = "proven: PostgreSQL's own numbers change with the plan"
	// tooManyDigits: a number has more digits before its point than a DECIMAL:
	// PostgreSQL gives one in its answer, or fails as KalamDB does when a
	// numeric expression is cast to numeric(38,0); or it gives KalamDB's answer
	// when one is rounded to the 38 digits behind the point that a DECIMAL has.
	tooManyDigits = "proven: DECIMAL has 38 digits"
	// notFinite: KalamDB fails at a DECIMAL that would be NaN or infinite. With
	// NULL in the place of those floating point numbers, both agree.
	notFinite = "proven: DECIMAL is finite"
	// whichOfEqual: of rows that are equal in value and in the order, which a
	// LIMIT keeps is open. Without it both sides give the same rows.
	whichOfEqual = "proven: equal rows at a LIMIT"
	// twoFaults: the statement has two faults. With one piece taken out both
	// sides refuse it as KalamDB did, with another piece taken out both refuse
	// it as the other did.
	twoFaults = "proven: the statement has two faults"
	// twoRows: two rows fail in different ways. Over one row alone both sides
	// refuse the statement as KalamDB did, over another as the other did.
	twoRows = "proven: two rows fail in different ways"
)

// plans are settings that make PostgreSQL compute the same statement in
// another order.
var plans = [][]string{
	{"enable_hashagg = off", "enable_hashjoin = off"},
	{"enable_sort = off", "enable_mergejoin = off", "enable_nestloop = off", "work_mem = '1GB'"},
	{"join_collapse_limit = 1", "from_collapse_limit = 1", "enable_material = off"},
	{"enable_hashjoin = off", "enable_mergejoin = off", "enable_hashagg = off", "enable_incremental_sort = off"},
	{"enable_nestloop = off", "enable_hashagg = off", "enable_memoize = off"},
}

// mostPieces bounds how many pieces are taken out to prove two faults, and
// proofTime how long one proof by pieces takes.
const (
	mostPieces = 150
	proofTime  = time.Minute
)

// timeout is the state of a statement that ran too long.
const timeout = "57014"

func timedOut(r engine.Result) bool { return r.Err != nil && r.Err.State == timeout }

// dataError tells whether an error is one of values, which arise when a
// statement runs: classes 22 and 54, and date_bin's refusal of months.
func dataError(e *engine.Error) bool {
	return e != nil && (strings.HasPrefix(e.State, "22") || strings.HasPrefix(e.State, "54") ||
		strings.HasPrefix(e.Message, "timestamps cannot be binned into intervals"))
}

// optimizing is a database whose optimizer can be left out: DuckDB.
type optimizing interface {
	ExecPlain(ctx context.Context, sql string) engine.Result
}

// prove looks for a proof that a difference is PostgreSQL's freedom and not a
// fault. It gives the proof's name, "" without one. The statement may be
// repeated on both sides at will.
func (s *session) prove(ctx context.Context, q *query.Query, d *Difference) string {
	if duck, ok := s.theirs.(optimizing); ok && d.Kind != Panic {
		if s.compare(d.Ours, duck.ExecPlain(ctx, q.Root.String()), q.Ordered) == nil {
			return unoptimized
		}
		return ""
	}
	pg, ok := s.theirs.(*engine.Postgres)
	if !ok || d.Kind == Panic || d.Kind == OtherTypes {
		return ""
	}
	sql := q.Root.String()
	if (d.Kind == OnlyTheirsFails || d.Kind == OtherState && d.Ours.Err.State == timeout) && dataError(d.Theirs.Err) && provesNotNeeded(ctx, s.theirs, q, d.Ours, false) {
		return notNeeded
	}
	if d.Kind == OnlyOursFails && dataError(d.Ours.Err) && provesNotNeeded(ctx, s.ours, q, d.Theirs, true) {
		return oursNotNeeded
	}
	if d.Kind == OtherState && d.Ours.Err.State != timeout {
		switch {
		case dataError(d.Ours.Err) && dataError(d.Theirs.Err) && q.Of != nil && s.provesTwoRows(ctx, q, d):
			return twoRows
		case s.provesTwoFaults(ctx, q.Root, d):
			return twoFaults
		}
	}
	if (d.Kind == OnlyTheirsFails || d.Kind == OtherState && dataError(d.Ours.Err)) && dataError(d.Theirs.Err) {
		if r := pg.Exec(ctx, "EXPLAIN "+sql); r.Err != nil && r.Err.State == d.Theirs.Err.State {
			return whilePlanning
		}
	}
	if d.Kind != OtherState || dataError(d.Ours.Err) && dataError(d.Theirs.Err) {
		var others []engine.Result
		for _, settings := range plans {
			other := pg.ExecPlanned(ctx, settings, sql)
			if timedOut(other) {
				continue
			}
			if compare(d.Ours, other, q.Ordered) == "" {
				return otherPlan
			}
			others = append(others, other)
		}
		if s.provesOpaque(ctx, q, d) {
			return opaque
		}
		if (d.Kind == OtherRows || d.Kind == OtherDigits) && provesUnstable(d, others) {
			return unstable
		}
	}
	if d.Kind == OtherText && q.Ordered && s.provesWhichOfEqual(ctx, q) {
		return whichOfEqual
	}
	if (d.Kind == OnlyOursFails || d.Kind == OtherState && dataError(d.Theirs.Err)) && d.Ours.Err.State == "22003" && strings.Contains(d.Ours.Err.Message, "numeric field overflow") && s.provesTooManyDigits(ctx, q, d) {
		return tooManyDigits
	}
	if (d.Kind == OtherRows || d.Kind == OtherText) && s.provesRounded(ctx, q, d) {
		return tooManyDigits
	}
	if (d.Kind == OnlyOursFails || d.Kind == OtherState) && strings.Contains(d.Ours.Err.Message, "numeric field overflow") && s.provesNotFinite(ctx, q, d) {
		return notFinite
	}
	return ""
}

// provesOpaque hides one condition after the other from PostgreSQL's planner.
func (s *session) provesOpaque(ctx context.Context, q *query.Query, d *Difference) bool {
	proven, tries := false, mostPieces
	q.Root.Wrap(query.Bool, "CAST(CAST(", " AS text) AS boolean)", func() bool {
		proven = compare(d.Ours, s.theirs.Exec(ctx, q.Root.String()), q.Ordered) == ""
		tries--
		return !proven && tries > 0
	})
	return proven
}

// provesWhichOfEqual compares the statement without its limit.
func (s *session) provesWhichOfEqual(ctx context.Context, q *query.Query) bool {
	proven := false
	q.Unlimited(func() {
		sql := q.Root.String()
		proven = compare(s.ours.Exec(ctx, sql), s.theirs.Exec(ctx, sql), true) == ""
	})
	return proven
}

// provesTooManyDigits looks for a number that no DECIMAL holds, in PostgreSQL's
// answer and in the statement.
func (s *session) provesTooManyDigits(ctx context.Context, q *query.Query, d *Difference) bool {
	for _, row := range d.Theirs.Rows {
		for i, c := range row {
			whole, _, _ := strings.Cut(strings.TrimPrefix(c.Text, "-"), ".")
			if d.Theirs.Types[i] == "DECIMAL" && len(whole) > decimal.MaxDigits {
				return true
			}
		}
	}
	proven, tries := false, mostPieces
	q.Root.Wrap(query.Numeric, "CAST(", " AS numeric(38,0))", func() bool {
		r := s.theirs.Exec(ctx, q.Root.String())
		proven = r.Err != nil && r.Err.State == "22003" && strings.Contains(r.Err.Message, "numeric field overflow")
		tries--
		return !proven && tries > 0
	})
	return proven
}

// provesRounded gives PostgreSQL's numbers the scale that a DECIMAL has at
// most.
func (s *session) provesRounded(ctx context.Context, q *query.Query, d *Difference) bool {
	proven, tries := false, mostPieces
	q.Root.Wrap(query.Numeric, "CAST(", fmt.Sprintf(" AS numeric(1000,%d))", decimal.MaxScale), func() bool {
		proven = compare(d.Ours, s.theirs.Exec(ctx, q.Root.String()), q.Ordered) == ""
		tries--
		return !proven && tries > 0
	})
	return proven
}

// provesNotFinite puts NULL in the place of floating point numbers that are
// NaN or infinite.
func (s *session) provesNotFinite(ctx context.Context, q *query.Query, d *Difference) bool {
	proven, tries := false, mostPieces
	for _, t := range []query.Type{query.Float8, query.Float4} {
		q.Root.Wrap(t, "nullif(nullif(nullif(", ", 'NaN'), 'Infinity'), '-Infinity')", func() bool {
			sql := q.Root.String()
			a := s.ours.Exec(ctx, sql)
			proven = (a.Err == nil || a.Err.State != d.Ours.Err.State) && compare(a, s.theirs.Exec(ctx, sql), q.Ordered) == ""
			tries--
			return !proven && tries > 0
		})
		if proven {
			return true
		}
	}
	return false
}

// provesNotNeeded puts other values in the place of each expression, or of
// those that are free. All of them must make the side that failed give the
// other's answer, or run into the time limit, as there is nothing to compare
// with then.
func provesNotNeeded(ctx context.Context, failed engine.Database, q *query.Query, answer engine.Result, free bool) bool {
	proven, tries, end := false, mostPieces, time.Now().Add(proofTime)
	q.Root.Instead(free, func(put func() bool) bool {
		tried := 0
		for tried >= 0 && put() {
			tries--
			r := failed.Exec(ctx, q.Root.String())
			if tried++; !timedOut(r) && compare(answer, r, q.Ordered) != "" {
				tried = -1
			}
		}
		proven = tried > 0
		return !proven && tries > 0 && time.Now().Before(end)
	})
	return proven
}

// provesUnstable leaves out the columns of floating point numbers in which
// PostgreSQL's answers with several plans differ.
func provesUnstable(d *Difference, others []engine.Result) bool {
	blank := map[int]bool{}
	for c, typ := range d.Theirs.Types {
		if typ != "DOUBLE" && typ != "FLOAT" {
			continue
		}
		only := func(r engine.Result) engine.Result { return columns(r, func(i int) bool { return i == c }) }
		for _, other := range others {
			if other.Err == nil && len(other.Types) == len(d.Theirs.Types) && compare(only(other), only(d.Theirs), false) == OtherRows {
				blank[c] = true
			}
		}
	}
	rest := func(r engine.Result) engine.Result { return columns(r, func(i int) bool { return !blank[i] }) }
	return len(blank) > 0 && compare(rest(d.Ours), rest(d.Theirs), false) == ""
}

// columns is an answer with the columns to keep, its other values NULL.
func columns(r engine.Result, keep func(int) bool) engine.Result {
	out := engine.Result{Columns: r.Columns, Types: r.Types, Affected: r.Affected}
	for _, row := range r.Rows {
		part := make(engine.Row, len(row))
		for i, c := range row {
			if part[i] = (engine.Cell{Null: true}); keep(i) {
				part[i] = c
			}
		}
		out.Rows = append(out.Rows, part)
	}
	return out
}

// proveChange is prove for a statement that changes a table, which both sides
// may hold differently from then on.
func (s *session) proveChange(ctx context.Context, n *query.Node, d *Difference) string {
	switch {
	case d.Kind == OtherState && s.provesTwoFaults(ctx, n, d):
		return twoFaults
	case d.Kind == OnlyTheirsFails && dataError(d.Theirs.Err):
		if r := s.theirs.Exec(ctx, "EXPLAIN "+n.String()); r.Err != nil && r.Err.State == d.Theirs.Err.State {
			return whilePlanning
		}
	}
	return ""
}

// provesTwoRows runs a statement over each row of its table.
func (s *session) provesTwoRows(ctx context.Context, q *query.Query, d *Difference) bool {
	ours, theirs := false, false
	ids := q.Of.IDs()
	for _, id := range ids[:min(len(ids), mostPieces)] {
		one := q.Root.String() + " WHERE " + q.Key + " = " + id
		a, b := s.ours.Exec(ctx, one), s.theirs.Exec(ctx, one)
		if a.Err == nil || b.Err == nil || a.Err.State != b.Err.State {
			continue
		}
		ours = ours || a.Err.State == d.Ours.Err.State
		theirs = theirs || a.Err.State == d.Theirs.Err.State
		if ours && theirs {
			return true
		}
	}
	return false
}

// provesTwoFaults takes pieces out of a statement that the two sides refuse
// for different reasons.
func (s *session) provesTwoFaults(ctx context.Context, root *query.Node, d *Difference) bool {
	ours, theirs := false, false
	tries, end := mostPieces, time.Now().Add(proofTime)
	root.Without(func() bool {
		sql := root.String()
		a, b := s.ours.Exec(ctx, sql), s.theirs.Exec(ctx, sql)
		if (a.Err == nil) != (b.Err == nil) && isChange(sql) {
			return false // the tables differ from here on
		}
		if a.Err != nil && b.Err != nil && a.Err.State == b.Err.State {
			ours = ours || a.Err.State == d.Ours.Err.State
			theirs = theirs || a.Err.State == d.Theirs.Err.State
		}
		tries--
		return tries > 0 && time.Now().Before(end) && !(ours && theirs)
	})
	return ours && theirs
}

func isChange(sql string) bool {
	return strings.HasPrefix(sql, "INSERT") || strings.HasPrefix(sql, "UPDATE") || strings.HasPrefix(sql, "DELETE") || strings.Contains(sql, " AS (DELETE FROM ")
}
