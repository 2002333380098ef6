package ident_test

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
)

func TestUserIDs(t *testing.T) {
	good := []string{"jamal", "auth0|5f7c", "a@b.example", "名前", "a b", "../x", strings.Repeat("x", 128)}
	for _, s := range good {
		if id, err := ident.ParseUserID(s); err != nil || string(id) != s {
			t.Errorf("%q: %q, %v", s, id, err)
		}
	}
	bad := map[string]string{
		"empty": "", "too long": strings.Repeat("x", 129), "new line": "a\nb", "NUL": "a\x00b", "C1 control": "a\u0085b", "not UTF-8": "a\xff",
	}
	for name, s := range bad {
		if _, err := ident.ParseUserID(s); dberr.CodeOf(err) != dberr.InvalidSQL {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamesAreLimitedAsInPostgreSQL(t *testing.T) {
	if _, err := ident.ParseTable(strings.Repeat("t", 63)); err != nil {
		t.Error(err)
	}
	if _, err := ident.ParseTable(strings.Repeat("t", 64)); err == nil {
		t.Error("64 bytes were accepted")
	}
	if _, err := ident.ParseNamespace(""); err == nil {
		t.Error("an empty namespace was accepted")
	}
	if _, err := ident.ParseStorage("a\tb"); err == nil {
		t.Error("a tab was accepted")
	}
	if err := ident.CheckColumn("größe"); err != nil {
		t.Error(err)
	}
	if id, err := ident.ParseSession(""); err != nil || id != "" {
		t.Errorf("the default session: %q, %v", id, err)
	}
}

func TestEnumsReadEveryCaseAndNothingElse(t *testing.T) {
	if tt, err := ident.ParseTableType("STREAM"); err != nil || tt != ident.StreamTable || !tt.PerUser() {
		t.Errorf("STREAM: %v, %v", tt, err)
	}
	if _, err := ident.ParseTableType("system"); err == nil {
		t.Error("a user may not create system tables")
	}
	if ident.SharedTable.PerUser() {
		t.Error("shared tables are not per user")
	}
	if a, err := ident.ParseAccess("Restricted"); err != nil || a != ident.RestrictedAccess {
		t.Errorf("Restricted: %v, %v", a, err)
	}
	if _, err := ident.ParseAccess("everybody"); err == nil {
		t.Error("an unknown access was accepted")
	}
}

func TestRoles(t *testing.T) {
	tests := []struct {
		in            string
		want          ident.Role
		admin, others bool
	}{
		{"user", ident.RoleUser, false, false},
		{"Service", ident.RoleService, false, true},
		{"ADMIN", ident.RoleAdmin, true, true},
		{"dba", ident.RoleAdmin, true, true},
	}
	for _, tt := range tests {
		got, err := ident.ParseRole(tt.in)
		if err != nil || got != tt.want || got.IsAdmin() != tt.admin || got.MayActForOthers() != tt.others {
			t.Errorf("%s: %v, %v", tt.in, got, err)
		}
	}
	for _, s := range []string{"system", "", "root"} {
		if _, err := ident.ParseRole(s); err == nil {
			t.Errorf("%q was granted", s)
		}
	}
}
