package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
	"github.com/kalamdb/kalamdb/integration/oracle/query"
)

// perSequence is how many statements change a table one after the other.
const perSequence = 6

func TestChangesAgreeWithPostgres(t *testing.T) {
	s, err := newSession(kalam(t), postgres(t), acceptedText)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.finish(t) })
	// A quarter of the statements: each is compared by the whole table.
	for done := 0; done < *queries/4; done += perSequence {
		if err := s.sequence(t.Context(), *seed+uint64(done)); err != nil {
			t.Fatal(err)
		}
		text, _ := s.summary()
		s.write(t, text)
	}
}

// sequence changes one table by a few statements and compares after each what
// it answered and what the table holds.
func (s *session) sequence(ctx context.Context, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 1))
	schema := query.NewSchema(r, false)
	target := query.NewTarget(r)
	all := append([]*query.Table{target}, schema.Tables...)
	leave, sql, d, err := s.enter(ctx, all)
	if err != nil {
		return err
	}
	origin := fmt.Sprintf("seed %d", seed)
	if d != nil {
		s.record(d, sql, s.script(nil, []string{sql}, d, origin))
		return leave()
	}
	var before []*query.Node
	for range perSequence {
		g := query.NewGenerator(r, schema)
		n := g.Change(target)
		ours, theirs, d := s.change(ctx, n.String(), target)
		s.tally.count(ours, theirs)
		if d == nil {
			before = append(before, n)
			continue
		}
		name := explain(s.rules, n.String(), d)
		if name == "" {
			name = s.proveChange(ctx, n, d)
		}
		if name != "" {
			s.tally.accept(name, s.script(mentioned(all, []string{n.String()}), []string{n.String()}, d, origin))
			break // the tables may differ from here on
		}
		if err := s.reduce(ctx, all, target, before, n, d, origin); err != nil {
			return err
		}
		break
	}
	return leave()
}

// change runs a statement on both sides and compares answers and tables.
func (s *session) change(ctx context.Context, sql string, target *query.Table) (ours, theirs engine.Result, d *Difference) {
	ours, theirs = s.run(ctx, sql)
	if d := Compare(ours, theirs, false); d != nil {
		return ours, theirs, d
	}
	return ours, theirs, s.both(ctx, target.Contents(), false)
}

// reduce makes a failing sequence smaller and records it.
func (s *session) reduce(ctx context.Context, all []*query.Table, target *query.Table, before []*query.Node, last *query.Node, d *Difference, origin string) error {
	if f := s.known(d); f != nil && len(f.scripts) >= 2 {
		f.count++
		return nil
	}
	home := s.home
	defer func() { s.home = home }()
	var fatal error
	replay := func(tables []*query.Table, before []*query.Node) *Difference {
		leave, _, d, err := s.enter(ctx, tables)
		if err != nil || d != nil {
			fatal = err
			return nil
		}
		for _, n := range before {
			if _, _, d := s.change(ctx, n.String(), target); d != nil {
				fatal = leave()
				return nil
			}
		}
		_, _, out := s.change(ctx, last.String(), target)
		fatal = leave()
		if out != nil && explain(s.rules, last.String(), out) != "" {
			return nil
		}
		return out
	}
	same := func(o *Difference) bool {
		return fatal == nil && o != nil && o.Kind == d.Kind && errorSignature(o) == errorSignature(d)
	}
	for i := len(before) - 1; i >= 0; i-- {
		less := append(append([]*query.Node(nil), before[:i]...), before[i+1:]...)
		if same(replay(all, less)) {
			before = less
		}
	}
	last.Shrink(120, func() bool { return same(replay(all, before)) })
	tables := all
	for i := range tables {
		for part := (len(tables[i].Rows) + 1) / 2; part > 0; part /= 2 {
			for from := 0; from < len(tables[i].Rows); {
				ts := append([]*query.Table(nil), tables...)
				ts[i] = tables[i].Copy(func(n int) bool { return n < from || n >= from+part })
				if same(replay(ts, before)) {
					tables = ts
				} else {
					from += part
				}
			}
		}
	}
	if final := replay(tables, before); final != nil {
		d = final
	}
	var statements []string
	for _, n := range append(before, last) {
		statements = append(statements, n.String())
	}
	s.record(d, last.String(), s.script(mentioned(tables, statements), statements, d, origin))
	if fatal != nil {
		return fatal
	}
	return nil
}
