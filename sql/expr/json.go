package expr

import "github.com/kalamdb/kalamdb/sql/builtin"

// compareJSON orders two documents by content, as PostgreSQL's jsonb.
func compareJSON(a, b string) int { return builtin.CompareJSON(a, b) }
