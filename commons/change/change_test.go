package change_test

import (
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
)

func TestOperationsHaveTheirNamesOnTheWire(t *testing.T) {
	for op, want := range map[change.Op]string{change.Insert: "insert", change.Update: "update", change.Delete: "delete", 0: "none"} {
		if got := op.String(); got != want {
			t.Errorf("operation %d is %q, want %q", op, got, want)
		}
	}
}
