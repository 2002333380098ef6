package storage

import (
	"context"

	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/store/object"
)

// lending is a bucket beyond the network: a statement that reads it lends its
// place to others meanwhile.
type lending struct{ object.Bucket }

var (
	_ object.Bucket = lending{}
	_ object.Handle = lendingHandle{}
)

// Open implements object.Bucket.
func (l lending) Open(ctx context.Context, name string) (object.Handle, error) {
	place := slot.Of(ctx)
	place.Lend()
	defer place.Back()
	h, err := l.Bucket.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return lendingHandle{h}, nil
}

type lendingHandle struct{ object.Handle }

// ReadAt implements object.Handle.
func (l lendingHandle) ReadAt(ctx context.Context, p []byte, off int64) error {
	place := slot.Of(ctx)
	place.Lend()
	defer place.Back()
	return l.Handle.ReadAt(ctx, p, off)
}
