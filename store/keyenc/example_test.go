package keyenc_test

import (
	"bytes"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/keyenc"
)

func ExampleAppend() {
	// ORDER BY room, id DESC
	key := func(room string, id int64) []byte {
		k := keyenc.Append(nil, sqltype.NewText(room), keyenc.Asc)
		return keyenc.Append(k, sqltype.NewBigInt(id), keyenc.Desc)
	}
	fmt.Println(bytes.Compare(key("go", 2), key("go", 1)), bytes.Compare(key("go", 2), key("gopher", 9)))
	// Output: -1 -1
}

func ExampleUserPartition() {
	p := keyenc.UserPartition(42, "jo@example.com")
	name, err := keyenc.ParsePartition(p)
	fmt.Printf("%q %d %s %v\n", p, name.Table, name.User, err)
	// Output: "t0000002aujo@example.com\x01" 42 jo@example.com <nil>
}
