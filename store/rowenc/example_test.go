package rowenc_test

import (
	"fmt"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/rowenc"
)

func Example() {
	v1, err := rowenc.NewLayout(1, []rowenc.Column{{ID: 1, Type: sqltype.TBigInt}, {ID: 2, Type: sqltype.TText}})
	if err != nil {
		fmt.Println(err)
		return
	}
	row, err := v1.Append(nil, rowenc.Header{Seq: 7}, []sqltype.Value{sqltype.NewBigInt(1), sqltype.NewText("hello")})
	if err != nil {
		fmt.Println(err)
		return
	}

	// Later, with a column 3 that this row does not have.
	d := rowenc.NewDecoder(rowenc.OneLayout(v1), []rowenc.Want{
		{Column: rowenc.Column{ID: 2, Type: sqltype.TText}},
		{Column: rowenc.Column{ID: 3, Type: sqltype.TInteger}, Default: sqltype.NewInt(sqltype.Integer, 5)},
	})
	values, err := d.Values(nil, row)
	fmt.Println(rowenc.Row(row).Seq(), values[0].Text(), values[1].Text(), err)
	// Output: 7 hello 5 <nil>
}
