package integration

import (
	"testing"

	"github.com/kalamdb/kalamdb/integration/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
