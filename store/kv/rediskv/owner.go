package rediskv

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// checkServer refuses a Redis that would not keep what it acknowledges.
func (b *Backend) checkServer(ctx context.Context) error {
	text, err := b.client.Info(ctx).Result()
	if err != nil {
		return err
	}
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[k] = v
		}
	}
	refuse := func(hint, format string, args ...any) error {
		return dberr.Newf(dberr.StorageUnavailable, format, args...).WithHint("%s", hint)
	}
	if info["loading"] == "1" {
		return fmt.Errorf("redis loads its data")
	}
	var major, minor int
	if _, err := fmt.Sscanf(info["redis_version"], "%d.%d", &major, &minor); err == nil && (major < 6 || major == 6 && minor < 2) {
		return refuse("Use Redis 6.2 or newer.", "Redis %s is too old.", info["redis_version"])
	}
	if info["redis_mode"] == "cluster" {
		return refuse("Use a single Redis server.", "Redis Cluster cannot keep the database: a change would span its nodes.")
	}
	if role := info["role"]; role != "" && role != "master" {
		return refuse("Name the primary server in redis_url.", "This Redis server is a replica.")
	}
	if p := info["maxmemory_policy"]; info["maxmemory"] != "0" && p != "" && p != "noeviction" {
		return refuse("Set maxmemory-policy noeviction.", "Redis would throw data away when its memory is full (maxmemory-policy %s).", p)
	}
	aof := info["aof_enabled"] == "1"
	if b.opt.NoSync {
		if !aof {
			b.log.Warn("redis: no append-only file; what was written since the last dump is lost when Redis ends")
		}
		return nil
	}
	const hint = "Set appendonly yes, appendfsync always and no-appendfsync-on-rewrite no in Redis, or sync = false in [store] to accept the loss of the last writes."
	if !aof {
		return refuse(hint, "Redis acknowledges writes that are not on its disk: it keeps no append-only file.")
	}
	for _, c := range []struct{ key, want string }{{"appendfsync", "always"}, {"no-appendfsync-on-rewrite", "no"}} {
		conf, err := b.client.ConfigGet(ctx, c.key).Result()
		if _, answered := err.(redis.Error); err != nil && !answered {
			return err
		}
		have, known := conf[c.key]
		if !known {
			b.log.Warn("redis: does not tell its setting; acknowledged writes survive a power loss only with the needed one", "setting", c.key, "needed", c.want)
			continue
		}
		if have != c.want {
			return refuse(hint, "Redis acknowledges writes that are not on its disk: %s is %s.", c.key, have)
		}
	}
	return nil
}

// acquire takes the database, and waits for the lease of an owner that may
// have crashed.
func (b *Backend) acquire(ctx context.Context, id string) error {
	var status string
	var answer []any
	try := func(ctx context.Context) error {
		asked := time.Since(b.born)
		var err error
		status, answer, err = run(acquireScript.Run(ctx, b.client, []string{b.metaKey(), b.ownerKey()},
			formatVersion, b.by, id, b.owner, b.opt.Lease.Milliseconds()))
		b.leaseUntil.Store(int64(asked + b.opt.Lease))
		return err
	}
	for waited := false; ; waited = true {
		if err := b.retry(ctx, "reached", try); err != nil {
			return err
		}
		if status != statusHeld || waited {
			break
		}
		b.log.Info("redis: the database is taken; waiting for its lease to end", "lease", b.opt.Lease)
		if err := b.waitForOwner(ctx); err != nil {
			return err
		}
	}
	switch status {
	case statusOK:
	case statusHeld:
		_, who, _ := strings.Cut(fmt.Sprint(answer[1]), " ")
		return dberr.Newf(dberr.StorageUnavailable, "The Redis database is in use by another server (%s).", who).
			WithHint("Stop the other server, or give this one its own redis_prefix.")
	case statusFormat:
		return dberr.Newf(dberr.StorageUnavailable, "The data in Redis has format %v, this server knows %s.", answer[1], formatVersion)
	default:
		return dberr.Newf(dberr.Internal, "unexpected answer %q of redis", status)
	}
	b.seq, b.epoch = uint64(answer[1].(int64)), answer[2].(int64)
	b.visible, b.garbage = b.seq, 1 // perhaps; the first pass finds out
	b.acquired.Store(true)
	return nil
}

// waitForOwner waits until the present owner's key is gone, or was renewed.
func (b *Backend) waitForOwner(ctx context.Context) error {
	last := time.Duration(1 << 62)
	for {
		var left time.Duration
		err := b.retry(ctx, "reached", func(ctx context.Context) (err error) {
			left, err = b.client.PTTL(ctx, b.ownerKey()).Result()
			return err
		})
		if err != nil {
			return err
		}
		if left < 0 || left > last {
			return nil
		}
		last = left
		select {
		case <-time.After(min(left+time.Millisecond, 200*time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// checkConnection looks whether a new connection leads to the Redis that knows
// what it acknowledged, before anything is asked of it.
func (b *Backend) checkConnection(ctx context.Context, cn *redis.Conn) error {
	if !b.acquired.Load() {
		return nil
	}
	b.mu.Lock()
	visible := b.visible
	b.mu.Unlock()
	have, err := cn.HMGet(ctx, b.metaKey(), "by", "seq").Result()
	if err != nil {
		return err
	}
	by, _ := have[0].(string)
	text, _ := have[1].(string)
	seq, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil || seq < visible:
		return b.fail(statusLost)
	case by != b.by:
		return b.fail(statusFenced)
	}
	return nil
}

// holdLease makes sure that the database is still ours, which costs nothing
// while the heartbeats come through.
func (b *Backend) holdLease(ctx context.Context) error {
	if int64(time.Since(b.born)) < b.leaseUntil.Load() {
		return nil
	}
	return b.renew(ctx)
}

// renew prolongs the lease.
func (b *Backend) renew(ctx context.Context) error {
	if err := b.lock(ctx, b.renewing); err != nil {
		return err
	}
	defer release(b.renewing)
	asked := time.Since(b.born)
	status, _, err := run(renewScript.Run(ctx, b.client, []string{b.metaKey(), b.ownerKey()},
		b.by, b.owner, b.opt.Lease.Milliseconds()))
	if err != nil {
		return err
	}
	if status != statusOK {
		return b.fail(status)
	}
	b.leaseUntil.Store(int64(asked + b.opt.Lease))
	return nil
}

// heartbeats renews the lease, and removes what nobody sees any more while
// nothing is written.
func (b *Backend) heartbeats() {
	tick := time.NewTicker(b.opt.Lease / 4)
	defer tick.Stop()
	for {
		select {
		case <-b.ended.Done():
			return
		case <-tick.C:
		}
		// An error shows in the calls that need the lease.
		if b.retry(b.ended, "reached", b.renew) != nil {
			continue
		}
		for b.ended.Err() == nil {
			more, err := b.tidy()
			if err != nil || !more {
				break
			}
		}
	}
}

// tidy removes some garbage, unless a writer is at work.
func (b *Backend) tidy() (more bool, err error) {
	select {
	case b.writing <- struct{}{}:
	default:
		return false, nil
	}
	defer release(b.writing)
	if b.garbage == 0 || b.doubt != nil {
		return false, nil
	}
	n, err := b.collect(b.ended)
	return n == collectStep, err
}

// run reads a script's answer: its status, and the whole.
func run(cmd *redis.Cmd) (status string, answer []any, err error) {
	answer, err = cmd.Slice()
	if err != nil {
		return "", nil, err
	}
	if len(answer) > 0 {
		status, _ = answer[0].(string)
	}
	return status, answer, nil
}
