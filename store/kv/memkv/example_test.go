package memkv_test

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

func Example() {
	db := memkv.New(memkv.Options{})
	defer db.Close()

	var batch kv.Batch
	batch.Put("fruit", []byte("apple"), []byte("red"))
	batch.Put("fruit", []byte("banana"), []byte("yellow"))
	if err := db.Write(context.Background(), &batch); err != nil {
		fmt.Println(err)
		return
	}

	snap, err := db.Snapshot()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snap.Release()
	it := snap.Scan("fruit", kv.Range{Reverse: true})
	defer it.Close()
	for it.Next() {
		value, err := it.Value()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s is %s\n", it.Key(), value)
	}
	if err := it.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// banana is yellow
	// apple is red
}
