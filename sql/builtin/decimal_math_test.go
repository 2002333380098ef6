package builtin_test

import (
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/builtin"
)

// callDecimals calls a function with DECIMALs.
func callDecimals(t *testing.T, name string, args []string) (sqltype.Value, error) {
	t.Helper()
	var types []sqltype.Type
	var values []sqltype.Value
	for _, a := range args {
		d, err := decimal.Parse(a)
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, sqltype.TDecimal)
		values = append(values, sqltype.NewDecimal(d))
	}
	m, err := builtin.Resolve(name, types)
	if err != nil {
		t.Fatal(err)
	}
	return m.Fn.Eval(nil, values)
}

// The expected numbers are PostgreSQL 15's.
func TestExponentialFunctionsOfDecimal(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"exp", []string{"0"}, "1.0000000000000000"},
		{"exp", []string{"-3.75"}, "0.02351774585600911"},
		{"exp", []string{"37.5"}, "19321599304402836.2"},
		{"ln", []string{"1"}, "0.0000000000000000"},
		{"ln", []string{"0.001"}, "-6.9077552789821371"},
		{"ln", []string{"1.000001"}, "0.0000009999995000003333"},
		{"ln", []string{"0.99999999"}, "-0.000000010000000050000000"},
		{"ln", []string{"123456789012345"}, "32.446912324232287"},
		{"ln", []string{"1e-20"}, "-46.05170185988091368036"},
		{"log", []string{"99.99"}, "1.9999565683801925"},
		{"log10", []string{"1000"}, "3.0000000000000000"},
		{"log", []string{"0.10", "7"}, "-0.8450980400142568"},
		{"log", []string{"45.6789", "0.333"}, "-0.2877334862858653"},
		{"power", []string{"0", "0"}, "1.0000000000000000"},
		{"power", []string{"0", "0.5"}, "0.0000000000000000"},
		{"power", []string{"-7.10", "3"}, "-357.9110000000000000"},
		{"power", []string{"0.001", "3"}, "0.0000000010000000"},
		{"power", []string{"12.345", "-2"}, "0.0065617217695454"},
		{"power", []string{"1.000001", "10"}, "1.0000100000450001"},
		{"power", []string{"99.99", "-0.25"}, "0.3162356722051313"},
		{"power", []string{"45.6789", "10"}, "39550900004091146.8574663574285595"},
		{"power", []string{"86.1234567", "0.333"}, "4.4095619024973298"},
		{"power", []string{"8.0", "1.5"}, "22.627416997969521"},
		{"sqrt", []string{"0"}, "0.000000000000000"},
		{"sqrt", []string{"2"}, "1.414213562373095"},
		{"sqrt", []string{"45.6789"}, "6.758616722377442"},
		{"sqrt", []string{"0.000000000001"}, "0.000001000000000000000"},
		// Of more digits than there are, the last are rounded away.
		{"power", []string{"123456789012345", "2"}, "15241578753238669120562399025.000000000"},
		{"power", []string{"0.000000000001", "-3"}, "1000000000000000000000000000000000000.0"},
		{"exp", []string{"-200"}, "0.00000000000000000000000000000000000000"},
	} {
		v, err := callDecimals(t, c.name, c.args)
		if err != nil || v.Text() != c.want {
			t.Errorf("%s%v: got %s, %v; want %s", c.name, c.args, v.Text(), err, c.want)
		}
	}
}

func TestExponentialFunctionsRefuse(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		state string
	}{
		{"ln", []string{"0"}, "2201E"},
		{"log", []string{"-1"}, "2201E"},
		{"log", []string{"2", "0"}, "2201E"},
		{"log", []string{"1", "5"}, "22012"},
		{"power", []string{"0", "-1"}, "2201F"},
		{"power", []string{"-2", "0.5"}, "2201F"},
		{"power", []string{"1000", "13"}, "22003"},
		{"power", []string{"1.5", "1000000000"}, "22003"},
		{"exp", []string{"1000"}, "22003"},
		{"exp", []string{"99999999999999999999999999999999999999"}, "22003"},
		{"sqrt", []string{"-1"}, "2201F"},
	} {
		v, err := callDecimals(t, c.name, c.args)
		if err == nil {
			t.Errorf("%s%v gave %s", c.name, c.args, v.Text())
			continue
		}
		if d, ok := dberr.As(err); !ok || d.State() != c.state {
			t.Errorf("%s%v: %v, want %s", c.name, c.args, err, c.state)
		}
	}
}
