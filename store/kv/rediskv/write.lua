-- Applies a part of a batch. The last part makes the batch's number known; all
-- parts run in one MULTI, so that nobody sees less.
-- KEYS meta, gc, registry
-- ARGV prefix, epoch, number, version, limit and max of collect, last (1 or 0),
--      then kind, partition, key, value for each step
local prefix, number, version = ARGV[1], tonumber(ARGV[3]), ARGV[4]
local epoch, seq = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'seq'))
if epoch ~= ARGV[2] then return {'fenced'} end
seq = tonumber(seq)
if seq == number then return {'done', redis.call('ZCARD', KEYS[2])} end
if seq ~= number - 1 then return {'lost'} end
-- The first write of the script is one that a full Redis refuses.
redis.call('HSET', KEYS[1], 'seq', ARGV[7] == '1' and number or seq)

for i = 8, #ARGV, 4 do
  local kind, partition, key, value = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if kind == 'c' then
    if redis.call('ZLEXCOUNT', KEYS[3], '[' .. partition .. '\0', '(' .. partition .. '\1') == 0 then
      redis.call('ZADD', KEYS[3], 0, partition .. '\0' .. version)
    end
  else
    local data, values = prefix .. ':d:' .. partition, prefix .. ':v:' .. partition
    local whole = key .. version
    local stop = '(' .. string.sub(key, 1, -2) .. '\2'
    local old = redis.call('ZRANGEBYLEX', data, '[' .. key, stop, 'LIMIT', 0, 1)[1]
    if old and string.sub(old, 1, #whole) == whole then
      -- An earlier step of this batch: it is replaced at once.
      redis.call('ZREM', data, old)
      redis.call('HDEL', values, whole)
      redis.call('ZREM', KEYS[2], partition .. '\0' .. whole .. 'd')
      old = redis.call('ZRANGEBYLEX', data, '[' .. key, stop, 'LIMIT', 0, 1)[1]
    end
    local was
    if old then
      was = string.sub(old, #whole + 1, #whole + 1)
      if was ~= 'd' then
        redis.call('ZADD', KEYS[2], number, partition .. '\0' .. string.sub(old, 1, #whole) .. was)
      end
    end
    if kind == 'p' then
      redis.call('ZADD', data, 0, whole .. 'p' .. value)
    elseif kind == 'x' then
      redis.call('ZADD', data, 0, whole .. 'x')
      redis.call('HSET', values, whole, value)
    elseif old and was ~= 'd' then
      redis.call('ZADD', data, 0, whole .. 'd')
      redis.call('ZADD', KEYS[2], number, partition .. '\0' .. whole .. 'd')
    end
  end
end
collect(prefix, KEYS[2], ARGV[5], ARGV[6])
return {'ok', redis.call('ZCARD', KEYS[2])}
