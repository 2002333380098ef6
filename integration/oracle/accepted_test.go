package oracle

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
)

func TestAcceptedDifferencesAreReadable(t *testing.T) {
	for name, text := range map[string]string{"accepted.txt": acceptedText, "accepted_duckdb.txt": acceptedDuckText} {
		rules, err := parseAccepted(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(rules) == 0 {
			t.Fatalf("%s holds no rules", name)
		}
	}
	for _, bad := range []string{"kind: x", "[a]\nkind: (", "[a]\nwhat: x", "[a]\nkind: x", "[a]\nreason: x"} {
		if _, err := parseAccepted(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestCompare(t *testing.T) {
	rows := func(typ string, values ...string) engine.Result {
		r := engine.Result{Columns: []string{"c"}, Types: []string{typ}, Affected: -1}
		for _, v := range values {
			r.Rows = append(r.Rows, engine.Row{{Text: v, Null: v == "NULL"}})
		}
		return r
	}
	fails := func(state string) engine.Result { return engine.Result{Err: &engine.Error{State: state}} }
	for _, c := range []struct {
		name    string
		a, b    engine.Result
		ordered bool
		want    Kind
	}{
		{"equal", rows("INT", "1", "2"), rows("INT", "1", "2"), true, ""},
		{"multiset", rows("INT", "2", "1", "NULL"), rows("INT", "NULL", "1", "2"), false, ""},
		{"order", rows("INT", "2", "1"), rows("INT", "1", "2"), true, OtherOrder},
		{"value", rows("INT", "2", "1"), rows("INT", "1", "1"), false, OtherRows},
		{"null", rows("TEXT", ""), rows("TEXT", "NULL"), false, OtherRows},
		{"scale", rows("DECIMAL", "1.0"), rows("DECIMAL", "1.00"), false, OtherText},
		{"precision", rows("DECIMAL", "1.0000000000000000000000000000000000001"), rows("DECIMAL", "1.00000000000000000000000000000000000008"), false, OtherPrecision},
		{"precision of a small number", rows("DECIMAL", "0.00000000000000000000000000000000000000"), rows("DECIMAL", "0.0000000000000000000000000000000000000012"), true, OtherPrecision},
		{"fewer digits than there could be", rows("DECIMAL", "1.0000000000000000"), rows("DECIMAL", "1.00000000000000000000000000000000000008"), false, OtherDigits},
		{"digits", rows("DECIMAL", "1.414213562373095"), rows("DECIMAL", "1.4142135623730951"), false, OtherDigits},
		{"float", rows("DOUBLE", "0.30000000000000004"), rows("DOUBLE", "0.3"), true, ""},
		{"float far", rows("DOUBLE", "0.31"), rows("DOUBLE", "0.3"), true, OtherRows},
		{"interval", rows("INTERVAL", "1 day"), rows("INTERVAL", "24:00:00"), false, OtherText},
		{"json", rows("TEXT", `{"a":1,"b":2}`), rows("TEXT", `{"b": 2, "a": 1}`), false, OtherText},
		{"order of equal values", rows("DECIMAL", "1.0", "1.00", "2"), rows("DECIMAL", "1.00", "1.0", "2"), true, ""},
		{"order of other spellings", rows("DECIMAL", "1.0", "1.0", "2"), rows("DECIMAL", "1.00", "1.0", "2"), true, OtherText},
		{"type", rows("INT", "1"), rows("BIGINT", "1"), false, OtherTypes},
		{"count", rows("INT", "1"), rows("INT"), false, OtherCount},
		{"both fail", fails("22012"), fails("22012"), false, ""},
		{"states", fails("22012"), fails("22003"), false, OtherState},
		{"only ours", fails("22012"), rows("INT"), false, OnlyOursFails},
		{"only theirs", rows("INT"), fails("22012"), false, OnlyTheirsFails},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			var got Kind
			if d := Compare(c.a, c.b, c.ordered); d != nil {
				got = d.Kind
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCompareValues(t *testing.T) {
	rows := func(typ string, values ...string) engine.Result {
		r := engine.Result{Columns: []string{"c"}, Types: []string{typ}, Affected: -1}
		for _, v := range values {
			r.Rows = append(r.Rows, engine.Row{{Text: v, Null: v == "NULL"}})
		}
		return r
	}
	for _, c := range []struct {
		name    string
		a, b    engine.Result
		ordered bool
		want    Kind
	}{
		{"other names of types", rows("INT", "1"), rows("INTEGER", "1"), true, ""},
		{"sum", rows("BIGINT", "3"), rows("HUGEINT", "3"), false, ""},
		{"average", rows("DECIMAL", "0.3333333333333333"), rows("DOUBLE", "0.33333333333333331"), false, ""},
		{"spelling", rows("DECIMAL", "1.50"), rows("DECIMAL(18,3)", "1.500"), true, ""},
		{"decimals are exact", rows("DECIMAL", "1.5000000001"), rows("DECIMAL(18,3)", "1.500"), true, OtherRows},
		{"multiset", rows("DOUBLE", "2.5", "NULL", "-0"), rows("DOUBLE", "0.0", "2.5", "NULL"), false, ""},
		{"twice", rows("INT", "1", "1", "2"), rows("INTEGER", "1", "2", "2"), false, OtherRows},
		{"order", rows("INT", "2", "1"), rows("INTEGER", "1", "2"), true, OtherOrder},
		{"text of a number", rows("TEXT", "1"), rows("VARCHAR", "1.0"), false, OtherRows},
		{"text and number", rows("TEXT", "1"), rows("INTEGER", "1"), false, OtherTypes},
		{"nothing but NULL", rows("TEXT", "NULL"), rows("INTEGER", "NULL"), false, ""},
		{"a row more", rows("INT", "1", "1"), rows("INTEGER", "1"), false, OtherCount},
		{"date", rows("DATE", "2020-01-01"), rows("TIMESTAMP", "2020-01-01"), false, OtherTypes},
		{"both fail", engine.Result{Err: &engine.Error{State: "22012"}}, engine.Result{Err: &engine.Error{State: "DUCK"}}, false, ""},
		{"ours fails", engine.Result{Err: &engine.Error{State: "22012"}}, rows("INTEGER"), false, OnlyOursFails},
		{"panic", engine.Result{Err: &engine.Error{State: "PANIC"}}, engine.Result{Err: &engine.Error{State: "DUCK"}}, false, Panic},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			var got Kind
			if d := CompareValues(c.a, c.b, c.ordered); d != nil {
				got = d.Kind
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestUnstableNumbers(t *testing.T) {
	answer := func(id, noise string) engine.Result {
		return engine.Result{Types: []string{"INT", "DOUBLE"}, Rows: []engine.Row{{{Text: id}, {Text: noise}}}}
	}
	d := &Difference{Kind: OtherRows, Ours: answer("1", "2e-9"), Theirs: answer("1", "5e-7")}
	if !provesUnstable(d, []engine.Result{answer("1", "5e-7"), answer("1", "-4e-8")}) {
		t.Error("numbers that change with the plan are no noise")
	}
	if provesUnstable(d, []engine.Result{answer("1", "5e-7")}) {
		t.Error("a number that every plan gives is noise")
	}
	d.Ours = answer("2", "2e-9")
	if provesUnstable(d, []engine.Result{answer("1", "-4e-8")}) {
		t.Error("noise hides the difference beside it")
	}
}
