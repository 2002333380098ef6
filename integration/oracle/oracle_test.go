package oracle

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
	"github.com/kalamdb/kalamdb/integration/oracle/query"
)

var (
	queries = flag.Int("queries", 2000, "how many random statements to compare")
	seed    = flag.Uint64("seed", 1, "seed of the random statements")
	report  = flag.String("report", "", "file to write the differences to, by frequency")
	only    = flag.Int("statement", -1, "compare only that statement of the seed; -1: all")
	most    = flag.Int("findings", 0, "stop after that many different findings; 0: never")
)

// postgres starts a server for a test and connects to it.
func postgres(t *testing.T) *engine.Postgres {
	t.Helper()
	server, err := engine.StartPostgres(t.Context())
	if errors.Is(err, engine.ErrNoPostgres) {
		t.Skipf("skipped the comparison with PostgreSQL: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := server.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func kalam(t *testing.T) *engine.Kalam {
	t.Helper()
	k, err := engine.OpenKalam(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// perRound is how many statements run over one schema.
const perRound = 50

func TestQueriesAgreeWithPostgres(t *testing.T) {
	s, err := newSession(kalam(t), postgres(t), acceptedText)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.finish(t) })
	for done := 0; done < *queries; done += perRound {
		if err := s.round(context.Background(), *seed+uint64(done), newSchema); err != nil {
			t.Fatal(err)
		}
		text, _ := s.summary()
		s.write(t, text)
		if *most > 0 && len(s.seen) >= *most {
			break
		}
	}
}

func newSchema(r *rand.Rand) *query.Schema { return query.NewSchema(r, r.IntN(10) == 0) }

// manyRows are more than a batch holds.
const manyRows = 2500

// round makes a schema and compares queries over it.
func (s *session) round(ctx context.Context, seed uint64, schemaOf func(*rand.Rand) *query.Schema) error {
	r := rand.New(rand.NewPCG(seed, 0))
	schema := schemaOf(r)
	if r.IntN(20) == 0 {
		schema.Tables[0].Large(manyRows)
	}
	leave, sql, d, err := s.enter(ctx, schema.Tables)
	if err != nil {
		return err
	}
	if d != nil {
		s.record(d, sql, s.script(nil, []string{sql}, d, fmt.Sprintf("seed %d", seed)))
		return leave()
	}
	s.home = s.spaces
	for i := range perRound {
		if *only >= 0 && i != *only {
			continue
		}
		g := query.NewGenerator(rand.New(rand.NewPCG(seed, uint64(i)+1)), schema)
		if _, err := s.check(ctx, g.Query(), schema.Tables, fmt.Sprintf("seed %d statement %d", seed, i)); err != nil {
			return err
		}
	}
	return leave()
}

// finish reports what was found.
func (s *session) finish(t *testing.T) {
	t.Helper()
	text, total := s.summary()
	s.write(t, text+s.tally.scripts())
	t.Logf("slowest: %s", s.slow)
	t.Logf("seeds from %d: %s; unexplained %d", *seed, &s.tally, total)
	if total > 0 {
		t.Errorf("%d statements differ in %d ways:\n%s", total, len(s.seen), text)
	}
}

// summary lists the differences, the most frequent first.
func (s *session) summary() (text string, total int) {
	order := append([]string(nil), s.order...)
	sort.SliceStable(order, func(i, j int) bool { return s.seen[order[i]].count > s.seen[order[j]].count })
	var b strings.Builder
	for _, sig := range order {
		f := s.seen[sig]
		total += f.count
		fmt.Fprintf(&b, "## %d× %s\n```sql\n%s```\n", f.count, f.signature, strings.Join(f.scripts, "\n"))
	}
	return b.String(), total
}

// write keeps the report file up to date, so that it can be read meanwhile.
func (s *session) write(t *testing.T, text string) {
	t.Helper()
	if *report == "" {
		return
	}
	if err := os.WriteFile(*report, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}
