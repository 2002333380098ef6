package sysname_test

import (
	"testing"

	"github.com/kalamdb/kalamdb/commons/sysname"
)

func TestReservedNames(t *testing.T) {
	if !sysname.IsReserved("system") || !sysname.IsReserved("information_schema") || sysname.IsReserved("app") {
		t.Error("the reserved namespaces are system and information_schema")
	}
	for _, c := range []string{"_seq", "_updated", "_deleted"} {
		if !sysname.IsSystemColumn(c) {
			t.Errorf("%s is a system column", c)
		}
	}
	if sysname.IsSystemColumn("seq") {
		t.Error("seq is a user's name")
	}
}
