package rediskv

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

// What scripts answer.
const (
	statusOK     = "ok"
	statusDone   = "done"   // the batch had been applied before
	statusFenced = "fenced" // another owner has the database
	statusLost   = "lost"   // Redis does not know what it acknowledged
	statusHeld   = "held"   // another owner's lease runs
	statusFormat = "format" // another format
)

//go:embed collect.lua
var collectSource string

//go:embed write.lua
var writeSource string

//go:embed rollback.lua
var rollbackSource string

//go:embed acquire.lua
var acquireSource string

var (
	acquireScript  = redis.NewScript(acquireSource)
	writeScript    = redis.NewScript(collectSource + writeSource)
	rollbackScript = redis.NewScript(rollbackSource)
	collectScript  = redis.NewScript(collectSource + `
		if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return {'fenced'} end
		local n = collect(ARGV[1], KEYS[2], ARGV[3], ARGV[4])
		return {'ok', n, redis.call('ZCARD', KEYS[2])}`)
	renewScript = redis.NewScript(`
		-- KEYS meta, owner; ARGV by, owner's text, lease in ms
		local by, seq = unpack(redis.call('HMGET', KEYS[1], 'by', 'seq'))
		if by ~= ARGV[1] then return {'fenced'} end
		redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
		return {'ok', tonumber(seq)}`)
	fenceScript = redis.NewScript(`
		-- KEYS meta; ARGV by
		local by, seq = unpack(redis.call('HMGET', KEYS[1], 'by', 'seq'))
		if by ~= ARGV[1] then return {'fenced'} end
		return {'ok', tonumber(seq), redis.call('HINCRBY', KEYS[1], 'epoch', 1)}`)
	dropScript = redis.NewScript(`
		-- KEYS meta, registry; ARGV prefix, epoch, partitions
		if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return {'fenced'} end
		for i = 3, #ARGV do
			redis.call('UNLINK', ARGV[1] .. ':d:' .. ARGV[i], ARGV[1] .. ':v:' .. ARGV[i])
			redis.call('ZREMRANGEBYLEX', KEYS[2], '[' .. ARGV[i] .. '\0', '(' .. ARGV[i] .. '\1')
		end
		return {'ok'}`)
	leaveScript = redis.NewScript(`
		-- KEYS meta, owner; ARGV by
		if redis.call('HGET', KEYS[1], 'by') ~= ARGV[1] then return {'fenced'} end
		redis.call('HDEL', KEYS[1], 'by')
		redis.call('DEL', KEYS[2])
		return {'ok'}`)
)
