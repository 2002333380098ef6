package vector

import (
	"testing"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func TestFromRow(t *testing.T) {
	row := sqltype.Row{
		sqltype.NewBigInt(7), sqltype.NewText("one"), sqltype.NewBool(true), sqltype.NewDouble(1.5), sqltype.NewText(""),
		sqltype.NewDecimal(decimal.New(123, 2)), sqltype.NewInterval(sqltype.IntervalValue{Days: 3}),
		sqltype.NewArray([]sqltype.Value{sqltype.NewBigInt(1)}), sqltype.NewInt(sqltype.Date, 9), sqltype.NewText("zwei"),
	}
	types := []sqltype.Type{
		sqltype.TBigInt, sqltype.TText, sqltype.TBoolean, sqltype.TDouble, sqltype.TText, sqltype.TDecimal,
		sqltype.TInterval, sqltype.ArrayOf(sqltype.TBigInt), sqltype.TDate, sqltype.TText,
	}
	nulls := make(sqltype.Row, len(row))
	for _, r := range []sqltype.Row{row, nulls} {
		b := FromRow(types, r)
		if b.Rows() != 1 || len(b.Cols) != len(types) {
			t.Fatalf("a batch of %d rows and %d columns", b.Rows(), len(b.Cols))
		}
		got := make(sqltype.Row, len(types))
		b.ReadRow(0, got)
		for i := range r {
			if !sqltype.Equal(got[i], r[i]) || b.Cols[i].Type != types[i] {
				t.Errorf("column %d is %v, want %v", i, got[i].Text(), r[i].Text())
			}
		}
	}
	if b := FromRow([]sqltype.Type{sqltype.TUnknown}, sqltype.Row{{}}); !b.Cols[0].IsNull(0) {
		t.Error("an untyped NULL is not NULL")
	}
}
