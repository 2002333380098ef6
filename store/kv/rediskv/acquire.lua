-- Takes the database, unless another owner's lease runs.
-- KEYS meta, owner; ARGV format, by, owner's identity, owner's text, lease in ms
local cur = redis.call('GET', KEYS[2])
local id = ARGV[3] .. ' '
if cur and string.sub(cur, 1, #id) ~= id then
  return {'held', cur}
end
local format = redis.call('HGET', KEYS[1], 'format')
if format and format ~= ARGV[1] then
  return {'format', format}
end
if not format then
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'seq', 0, 'epoch', 0)
end
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
redis.call('HSET', KEYS[1], 'by', ARGV[2])
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
return {'ok', tonumber(redis.call('HGET', KEYS[1], 'seq')), epoch}
