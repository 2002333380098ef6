-- Removes what a batch of unknown fate may have left.
-- KEYS meta, gc, registry; ARGV prefix, epoch, number, version, then kind,
-- partition, key for each step
local prefix, number, version = ARGV[1], ARGV[3], ARGV[4]
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then return {'fenced'} end
for i = 5, #ARGV, 3 do
  local kind, partition, whole = ARGV[i], ARGV[i + 1], ARGV[i + 2] .. version
  if kind == 'c' then
    redis.call('ZREM', KEYS[3], partition .. '\0' .. version)
  else
    redis.call('ZREMRANGEBYLEX', prefix .. ':d:' .. partition, '[' .. whole, '(' .. whole .. '\255')
    redis.call('HDEL', prefix .. ':v:' .. partition, whole)
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], number, number)
return {'ok'}
