package oracle

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
	"github.com/kalamdb/kalamdb/integration/oracle/query"
)

// session is two databases side by side. Every statement goes to both.
type session struct {
	ours   *engine.Kalam
	theirs engine.Database
	// compare is how answers are compared.
	compare func(ours, theirs engine.Result, ordered bool) *Difference
	// partial: the other side refuses some of what KalamDB does, which then is
	// not compared.
	partial bool
	rules   []rule
	// spaces counts the namespaces made.
	spaces int
	// home is the namespace of the round.
	home int
	// deadline ends the shrinking of the difference at hand.
	deadline time.Time
	// slow is the statement that took longest.
	slowest time.Duration
	slow    string
	// seen counts the differences by signature; only the first few of one are
	// shrunk.
	seen  map[string]*finding
	order []string
	tally tally
}

// finding is a difference that occurred, perhaps often.
type finding struct {
	signature string
	count     int
	scripts   []string
}

// shrinkTime is how long one difference may be made smaller.
const shrinkTime = 15 * time.Second

func newSession(ours *engine.Kalam, theirs engine.Database, acceptedText string) (*session, error) {
	rules, err := parseAccepted(acceptedText)
	if err != nil {
		return nil, err
	}
	return &session{ours: ours, theirs: theirs, compare: Compare, rules: rules, seen: map[string]*finding{},
		tally: tally{states: map[string]int{}, uncompared: map[string]int{}, accepted: map[string]int{}, examples: map[string][]string{}}}, nil
}

// enter makes a new namespace on both sides and the tables in it. A difference
// while filling the tables is returned as such.
func (s *session) enter(ctx context.Context, tables []*query.Table) (leave func() error, sql string, d *Difference, err error) {
	s.spaces++
	name := fmt.Sprintf("o%d", s.spaces)
	for _, db := range []engine.Database{s.ours, s.theirs} {
		if err := db.Use(ctx, name); err != nil {
			return nil, "", nil, fmt.Errorf("make namespace in %s: %w", db.Name(), err)
		}
	}
	leave = func() error {
		for _, db := range []engine.Database{s.ours, s.theirs} {
			if err := db.Drop(ctx, name); err != nil {
				return fmt.Errorf("drop namespace in %s: %w", db.Name(), err)
			}
		}
		return nil
	}
	for _, t := range tables {
		for _, sql := range t.Create() {
			d := s.both(ctx, sql, true)
			if d != nil && d.Kind != OtherCount {
				return leave, sql, d, nil
			}
		}
	}
	return leave, "", nil, nil
}

// back makes the round's namespace current again.
func (s *session) back(ctx context.Context) error {
	name := fmt.Sprintf("o%d", s.home)
	for _, db := range []engine.Database{s.ours, s.theirs} {
		if err := db.Select(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) both(ctx context.Context, sql string, ordered bool) *Difference {
	ours, theirs := s.run(ctx, sql)
	return s.compare(ours, theirs, ordered)
}

// run gives both answers.
func (s *session) run(ctx context.Context, sql string) (ours, theirs engine.Result) {
	start := time.Now()
	ours = s.ours.Exec(ctx, sql)
	mine := time.Since(start)
	theirs = s.theirs.Exec(ctx, sql)
	if all := time.Since(start); all > s.slowest {
		s.slowest = all
		s.slow = fmt.Sprintf("%v KalamDB, %v %s: %s", mine, all-mine, s.theirs.Name(), sql)
	}
	return ours, theirs
}

// unexplained compares and leaves out what is accepted or proven.
func (s *session) unexplained(ctx context.Context, q *query.Query) *Difference {
	sql := q.Root.String()
	d := s.both(ctx, sql, q.Ordered)
	if d == nil || s.partial && d.Kind == OnlyTheirsFails || explain(s.rules, sql, d) != "" || s.prove(ctx, q, d) != "" {
		return nil
	}
	return d
}

// check runs a query on both sides and records a difference.
func (s *session) check(ctx context.Context, q *query.Query, tables []*query.Table, origin string) (failed bool, err error) {
	sql := q.Root.String()
	ours, theirs := s.run(ctx, sql)
	s.tally.count(ours, theirs)
	d := s.compare(ours, theirs, q.Ordered)
	if d == nil {
		return false, nil
	}
	if s.partial && d.Kind == OnlyTheirsFails {
		s.tally.refuse(theirs.Err, sql)
		return false, nil
	}
	name := explain(s.rules, sql, d)
	if name == "" {
		name = s.prove(ctx, q, d)
	}
	if name != "" {
		s.tally.accept(name, s.script(mentioned(tables, []string{sql}), []string{sql}, d, origin))
		return false, nil
	}
	if f := s.known(d); f != nil && len(f.scripts) >= 2 {
		f.count++
		return true, nil
	}
	s.deadline = time.Now().Add(shrinkTime)
	same := func(other *Difference) bool {
		return time.Now().Before(s.deadline) && other != nil && other.Kind == d.Kind && errorSignature(other) == errorSignature(d)
	}
	q.Root.Shrink(400, func() bool {
		return time.Now().Before(s.deadline) && same(s.unexplained(ctx, q))
	})
	sql = q.Root.String()
	tables, err = s.shrinkTables(ctx, tables, sql, func() bool { return same(s.unexplained(ctx, q)) })
	if err != nil {
		return true, err
	}
	final := d
	leave, _, different, err := s.enter(ctx, tables)
	if err != nil {
		return true, err
	}
	if different == nil {
		if again := s.both(ctx, sql, q.Ordered); again != nil {
			final = again
		}
	}
	if err := leave(); err != nil {
		return true, err
	}
	if err := s.back(ctx); err != nil {
		return true, err
	}
	s.record(final, sql, s.script(tables, []string{sql}, final, origin))
	return true, nil
}

// shrinkTables leaves out tables, rows and columns while the difference stays.
// It works in namespaces of its own.
func (s *session) shrinkTables(ctx context.Context, all []*query.Table, sql string, keep func() bool) ([]*query.Table, error) {
	tables := mentioned(all, []string{sql})
	tries := 60
	try := func(ts []*query.Table) (bool, error) {
		if tries--; tries < 0 || time.Now().After(s.deadline) {
			tries = 0
			return false, nil
		}
		leave, _, d, err := s.enter(ctx, ts)
		if err != nil {
			return false, err
		}
		ok := d == nil && keep()
		return ok, leave()
	}
	for i := range tables {
		change := func(t *query.Table) error {
			ts := append([]*query.Table(nil), tables...)
			ts[i] = t
			ok, err := try(ts)
			if ok {
				tables = ts
			}
			return err
		}
		for part := (len(tables[i].Rows) + 1) / 2; part > 0; part /= 2 {
			for from := 0; from < len(tables[i].Rows) && tries > 0; {
				before := len(tables[i].Rows)
				if err := change(tables[i].Copy(func(n int) bool { return n < from || n >= from+part })); err != nil {
					return nil, err
				}
				if len(tables[i].Rows) == before {
					from += part
				}
			}
		}
		for c := len(tables[i].Columns) - 1; c > 0; c-- {
			if !strings.Contains(sql, tables[i].Columns[c].Name) {
				// A column that the statement does not name can go untried.
				tables[i] = tables[i].Without(c)
			}
		}
	}
	return tables, nil
}

// mentioned are the tables whose names stand in the statements.
func mentioned(all []*query.Table, statements []string) []*query.Table {
	var tables []*query.Table
	for _, t := range all {
		name := regexp.MustCompile(`\b` + t.Name + `\b`)
		if slices.ContainsFunc(statements, name.MatchString) {
			tables = append(tables, t)
		}
	}
	return tables
}

var (
	quotedText = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	numberText = regexp.MustCompile(`-?\d[\d.e+-]*`)
	wordText   = regexp.MustCompile(`[A-Za-z_]+\(|::[a-z ]+|\b(?:LIKE|SIMILAR|BETWEEN|DISTINCT|ANY|ALL|UNION|INTERSECT|EXCEPT|EXISTS|JOIN|LEFT|RIGHT|FULL|NATURAL|USING|LATERAL|ROLLUP|CUBE|SETS|HAVING|FILTER|OVER|ROWS|GROUPS|RANGE|EXCLUDE|OFFSET|LIMIT|RECURSIVE|INSERT|UPDATE|DELETE|CONFLICT|RETURNING|CAST|CASE)\b|\|\||<<|>>|->>?|#>>?|[-+*/%^&|#~]`)
)

func errorSignature(d *Difference) string {
	norm := func(e *engine.Error) string {
		if e == nil {
			return "ok"
		}
		return e.State + " " + numberText.ReplaceAllString(quotedText.ReplaceAllString(e.Message, `""`), "0")
	}
	if d.Kind == OtherState {
		theirs := ""
		if d.Theirs.Err != nil {
			theirs = d.Theirs.Err.State
		}
		return norm(d.Ours.Err) + " / " + theirs
	}
	return norm(d.Ours.Err) + " / " + norm(d.Theirs.Err)
}

// known finds an error that was recorded before; differences of values are
// told apart only after shrinking.
func (s *session) known(d *Difference) *finding {
	if d.Ours.Err == nil && d.Theirs.Err == nil {
		return nil
	}
	return s.seen[string(d.Kind)+": "+errorSignature(d)]
}

func (s *session) record(d *Difference, sql, script string) {
	sig := string(d.Kind) + ": " + errorSignature(d)
	if d.Ours.Err == nil && d.Theirs.Err == nil {
		words := map[string]bool{}
		var list []string
		for _, w := range wordText.FindAllString(quotedText.ReplaceAllString(sql, "''"), -1) {
			if !words[w] {
				words[w] = true
				list = append(list, w)
			}
		}
		sig = string(d.Kind) + ": " + strings.Join(list, " ")
	}
	f := s.seen[sig]
	if f == nil {
		f = &finding{signature: sig}
		s.seen[sig] = f
		s.order = append(s.order, sig)
	}
	f.count++
	if len(f.scripts) < 2 {
		f.scripts = append(f.scripts, script)
	}
}

// script is all that is needed to see a difference by hand.
func (s *session) script(tables []*query.Table, statements []string, d *Difference, origin string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- %s, %s\n", d.Kind, origin)
	for _, t := range tables {
		for _, c := range t.Create() {
			b.WriteString(c + ";\n")
		}
	}
	for _, sql := range statements {
		b.WriteString(sql + ";\n")
	}
	comment := func(who, text string) {
		fmt.Fprintf(&b, "-- %s: %s\n", who, strings.ReplaceAll(text, "\n", "\n--   "))
	}
	comment("KalamDB", Describe(d.Ours))
	comment(s.theirs.Name(), Describe(d.Theirs))
	return b.String()
}
