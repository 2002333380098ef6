package rediskv

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

const (
	// partLen and partSize bound one script of a batch.
	partLen  = 2000
	partSize = 4 << 20
	// collectStep is how many versions are removed at a time.
	collectStep = 500
	// dropStep is how many partitions are dropped at a time.
	dropStep = 500
)

// doubt is a change of which it is not known whether Redis made it.
type doubt struct {
	seq   uint64
	parts [][]any // the steps of a batch; none for a drop
}

// Write implements kv.Backend.
func (b *Backend) Write(ctx context.Context, batch *kv.Batch) error {
	if err := batch.Check(b.opt.MaxBatch); err != nil {
		return err
	}
	return b.change(ctx, func(ctx context.Context) error {
		if batch.Len() == 0 {
			return b.retry(ctx, "written", b.renew)
		}
		return b.apply(ctx, batch)
	})
}

// change runs do as the only writer, after what is in doubt was settled. What
// it has begun it brings to an end, whatever becomes of the caller's context.
func (b *Backend) change(ctx context.Context, do func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !b.calls.Enter() {
		return kv.ErrClosed
	}
	defer b.calls.Leave()
	if err := b.lock(ctx, b.writing); err != nil {
		return err
	}
	defer release(b.writing)
	ctx = context.WithoutCancel(ctx)
	if b.doubt != nil {
		if err := b.settle(ctx); err != nil {
			return err
		}
	}
	return do(ctx)
}

// apply writes a batch as the next one.
func (b *Backend) apply(ctx context.Context, batch *kv.Batch) error {
	seq := b.seq + 1
	parts, fresh := b.steps(batch)
	var status string
	var garbage int64
	err := b.retry(ctx, "written", func(ctx context.Context) (err error) {
		status, garbage, err = b.send(ctx, seq, parts)
		return err
	})
	if err == nil && status != statusOK && status != statusDone {
		err = b.fail(status)
	}
	if err != nil {
		b.doubt = &doubt{seq: seq, parts: parts}
		return err
	}
	b.seq, b.garbage = seq, garbage
	b.mu.Lock()
	b.visible = seq
	b.mu.Unlock()
	for _, p := range fresh {
		if len(b.known) >= maxKnown {
			clear(b.known)
		}
		b.known[p] = struct{}{}
	}
	return nil
}

// steps lays a batch out as the arguments of scripts, four a step, and lists
// the partitions that may be new.
func (b *Backend) steps(batch *kv.Batch) (parts [][]any, fresh []kv.Partition) {
	part := make([]any, 0, min(batch.Len()+1, partLen)*4)
	size := 0
	add := func(kind string, p kv.Partition, key []byte, value any, n int) {
		if len(part) >= partLen*4 || size > partSize {
			parts = append(parts, part)
			part, size = make([]any, 0, partLen*4), 0
		}
		part = append(part, kind, string(p), key, value)
		size += n
	}
	seen := make(map[kv.Partition]struct{})
	var last kv.Partition
	for i := range batch.Len() {
		op := batch.Op(i)
		if op.Kind != kv.OpDelete && op.Partition != last {
			last = op.Partition
			_, known := b.known[last]
			if _, ok := seen[last]; !ok && !known {
				seen[last] = struct{}{}
				fresh = append(fresh, last)
				add(string(kindCreate), last, nil, "", len(last))
			}
		}
		if op.Kind == kv.OpCreatePartition {
			continue
		}
		kind := kindInline
		switch {
		case op.Kind == kv.OpDelete:
			kind = kindDeleted
		case len(op.Value) > inlineValue:
			kind = kindExternal
		}
		key := appendWholeKey(make([]byte, 0, len(op.Key)+2), op.Key)
		add(string(rune(kind)), op.Partition, key, op.Value, len(op.Partition)+len(key)+len(op.Value))
	}
	return append(parts, part), fresh
}

// send has Redis apply a batch. It may be called again with the same batch.
func (b *Backend) send(ctx context.Context, seq uint64, parts [][]any) (status string, garbage int64, err error) {
	keys := []string{b.metaKey(), b.garbageKey(), b.registryKey()}
	version := appendVersion(nil, seq)
	limit := b.needed()
	args := func(i int) []any {
		last := 0
		if i == len(parts)-1 {
			last = 1
		}
		// A batch leaves at most two versions a step to be removed, so removing
		// three keeps ahead.
		return append([]any{b.opt.Prefix, b.epoch, seq, version, limit, len(parts[i])/4*3 + 16, last}, parts[i]...)
	}
	var cmd *redis.Cmd
	if len(parts) == 1 {
		cmd = writeScript.Run(ctx, b.client, keys, args(0)...)
	} else {
		cmds, err := b.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			for i := range parts {
				// The whole script goes along: one that Redis has forgotten would
				// leave out a part of the batch.
				cmd = writeScript.Eval(ctx, p, keys, args(i)...)
			}
			return nil
		})
		if err != nil {
			return "", 0, errors.Join(err, reason(cmds))
		}
	}
	status, answer, err := run(cmd)
	if err == nil && len(answer) > 1 {
		garbage, _ = answer[1].(int64)
	}
	return status, garbage, err
}

// reason is why Redis has discarded a transaction: what it said to the first
// command that it refused.
func reason(cmds []redis.Cmder) error {
	for _, c := range cmds {
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}

// needed is the batch up to which every reader sees: what was replaced by then
// may go.
func (b *Backend) needed() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.points.Oldest(b.visible)
}

// settle finds out how far Redis came, and takes the change in doubt back. The
// new epoch keeps what may still be on its way from ever being applied.
func (b *Backend) settle(ctx context.Context) error {
	var status string
	var answer []any
	err := b.retry(ctx, "written", func(ctx context.Context) (err error) {
		status, answer, err = run(fenceScript.Run(ctx, b.client, []string{b.metaKey()}, b.by))
		return err
	})
	if err != nil {
		return err
	}
	if status != statusOK {
		return b.fail(status)
	}
	seq := uint64(answer[1].(int64))
	b.epoch = answer[2].(int64)
	d := b.doubt
	if seq < b.seq || seq > d.seq {
		return b.fail(statusLost)
	}
	for _, part := range d.parts {
		args := []any{b.opt.Prefix, b.epoch, d.seq, appendVersion(nil, d.seq)}
		for step := range slices.Chunk(part, 4) {
			args = append(args, step[:3]...)
		}
		err := b.retry(ctx, "written", func(ctx context.Context) (err error) {
			status, _, err = run(rollbackScript.Run(ctx, b.client,
				[]string{b.metaKey(), b.garbageKey(), b.registryKey()}, args...))
			return err
		})
		if err != nil {
			return err
		}
		if status != statusOK {
			return b.fail(status)
		}
	}
	b.seq, b.doubt = seq, nil
	return nil
}

// DropPartitions implements kv.Backend.
func (b *Backend) DropPartitions(ctx context.Context, prefix kv.Partition) error {
	if !prefix.Valid() {
		return dberr.Newf(dberr.Internal, "invalid prefix of partitions %q", string(prefix))
	}
	return b.change(ctx, func(ctx context.Context) error {
		s, err := b.Snapshot()
		if err != nil {
			return err
		}
		defer s.Release()
		var names []kv.Partition
		for p, err := range s.Partitions(prefix) {
			if err != nil {
				return err
			}
			if names = append(names, p); len(names) == dropStep {
				if err := b.drop(ctx, names); err != nil {
					return err
				}
				names = names[:0]
			}
		}
		return b.drop(ctx, names)
	})
}

// DropPartition implements kv.Backend.
func (b *Backend) DropPartition(ctx context.Context, name kv.Partition) error {
	if !name.Valid() {
		return dberr.Newf(dberr.Internal, "invalid partition name %q", string(name))
	}
	return b.change(ctx, func(ctx context.Context) error { return b.drop(ctx, []kv.Partition{name}) })
}

// drop removes partitions, each in one step. Redis frees their memory beside
// its other work.
func (b *Backend) drop(ctx context.Context, names []kv.Partition) error {
	if len(names) == 0 {
		return nil
	}
	args := []any{b.opt.Prefix, b.epoch}
	for _, p := range names {
		delete(b.known, p)
		args = append(args, string(p))
	}
	var status string
	err := b.retry(ctx, "written", func(ctx context.Context) (err error) {
		status, _, err = run(dropScript.Run(ctx, b.client, []string{b.metaKey(), b.registryKey()}, args...))
		return err
	})
	if err == nil && status != statusOK {
		err = b.fail(status)
	}
	if err != nil {
		b.doubt = &doubt{seq: b.seq}
	}
	return err
}

// Compact implements kv.Backend: it removes all versions that nobody sees.
func (b *Backend) Compact(ctx context.Context) error {
	for {
		var n int64
		err := b.change(ctx, func(wctx context.Context) (err error) {
			n, err = b.collect(wctx)
			return err
		})
		if err != nil || n < collectStep {
			return err
		}
	}
}

// collect removes up to collectStep versions that nobody sees.
func (b *Backend) collect(ctx context.Context) (n int64, err error) {
	limit := b.needed()
	var status string
	var answer []any
	err = b.retry(ctx, "written", func(ctx context.Context) (err error) {
		status, answer, err = run(collectScript.Run(ctx, b.client, []string{b.metaKey(), b.garbageKey()},
			b.opt.Prefix, b.epoch, limit, collectStep))
		return err
	})
	switch {
	case err != nil:
		if !errors.Is(err, kv.ErrClosed) && b.doubt == nil {
			b.doubt = &doubt{seq: b.seq}
		}
		return 0, err
	case status != statusOK:
		return 0, b.fail(status)
	}
	n, _ = answer[1].(int64)
	b.garbage, _ = answer[2].(int64)
	return n, nil
}
