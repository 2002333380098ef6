//go:build cgo

package oracle

import (
	"testing"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
	"github.com/kalamdb/kalamdb/integration/oracle/query"
)

// TestTPCHAgreesWithDuckDB runs the 22 queries over the same rows on both
// sides.
func TestTPCHAgreesWithDuckDB(t *testing.T) {
	ours, theirs := kalam(t), duck(t)
	fillTPCH(t, ours, theirs)
	compareTPCH(t, ours, theirs, CompareValues)
}

// duck opens DuckDB for a test.
func duck(t *testing.T) *engine.Duck {
	t.Helper()
	d, err := engine.OpenDuck(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// mostUncompared is which share of the statements DuckDB may refuse alone, in
// percent.
const mostUncompared = 10

func TestQueriesAgreeWithDuckDB(t *testing.T) {
	s, err := newSession(kalam(t), duck(t), acceptedDuckText)
	if err != nil {
		t.Fatal(err)
	}
	s.compare, s.partial = CompareValues, true
	t.Cleanup(func() { s.finish(t) })
	// A fifth of the statements: PostgreSQL is the reference.
	for done := 0; done < *queries/5; done += perRound {
		if err := s.round(t.Context(), *seed+uint64(done), query.NewPortableSchema); err != nil {
			t.Fatal(err)
		}
		text, _ := s.summary()
		s.write(t, text)
		if *most > 0 && len(s.seen) >= *most {
			break
		}
	}
	if _, n := byCount(s.tally.uncompared); 100*n > mostUncompared*s.tally.statements {
		t.Errorf("DuckDB refused %d of %d statements alone, more than %d %%", n, s.tally.statements, mostUncompared)
	}
}
