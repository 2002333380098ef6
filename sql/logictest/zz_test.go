package logictest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/sql"
)

func TestZZ(t *testing.T) {
	text, _ := os.ReadFile("/tmp/sqlfix.sql")
	db := NewDB(sql.Options{})
	for q := range strings.SplitSeq(string(text), ";\n") {
		if strings.TrimSpace(q) == "" {
			continue
		}
		r, err := db.Exec(context.Background(), q)
		if err != nil {
			fmt.Println("--", strings.TrimSpace(q), "\nERROR", err)
			continue
		}
		fmt.Println("--", strings.TrimSpace(q), r.Affected)
		fmt.Print(show(r))
	}
}
