//go:build cgo

package oracle

import (
	"testing"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
)

// TestTPCHAgreesWithDuckDB runs the 22 queries over the same rows on both
// sides.
func TestTPCHAgreesWithDuckDB(t *testing.T) {
	ours := kalam(t)
	theirs, err := engine.OpenDuck(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := theirs.Close(); err != nil {
			t.Error(err)
		}
	}()
	fillTPCH(t, ours, theirs)
	compareTPCH(t, ours, theirs, CompareValues)
}
