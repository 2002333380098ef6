package parser

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/kalamdb/kalamdb/sql/ast"
)

var posType = reflect.TypeFor[ast.Pos]()

// diffTrees finds the first difference of two trees other than places; empty
// when there is none.
func diffTrees(a, b any) string {
	return diffValues("", reflect.ValueOf(a), reflect.ValueOf(b))
}

func diffValues(path string, a, b reflect.Value) string {
	if a.IsValid() != b.IsValid() {
		return path + ": one is missing"
	}
	if !a.IsValid() || a.Type() == posType && b.Type() == posType {
		return ""
	}
	if a.Type() != b.Type() {
		return fmt.Sprintf("%s: %s against %s", path, a.Type(), b.Type())
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return path + ": one is nil"
			}
			return ""
		}
		return diffValues(path, a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if d := diffValues(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Slice:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d against %d items", path, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if d := diffValues(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
		return ""
	}
	if !a.Equal(b) {
		return fmt.Sprintf("%s: %v against %v", path, a, b)
	}
	return ""
}

// checkRoundTrip holds that a tree's text parses to the same tree, and prints
// the same again.
func checkRoundTrip(t *testing.T, sql string, stmt ast.Statement) {
	t.Helper()
	text := ast.SQL(stmt)
	again, err := Parse(text)
	if err != nil {
		t.Fatalf("%q\nprints as %q,\nwhich does not parse: %v", sql, text, err)
	}
	if d := diffTrees(stmt, again); d != "" {
		t.Fatalf("%q\nprints as %q,\nwhich is another tree: %s", sql, text, d)
	}
	if second := ast.SQL(again); second != text {
		t.Fatalf("%q\nprints as %q,\nthen as %q", sql, text, second)
	}
}
