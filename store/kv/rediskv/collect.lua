-- Removes up to max versions that nobody sees since a batch up to limit. The
-- removal of a deleted key's last version takes all older ones along, so that
-- none of them comes to light.
local function collect(prefix, gc, limit, max)
  local due = redis.call('ZRANGEBYSCORE', gc, '-inf', limit, 'LIMIT', 0, max)
  for _, m in ipairs(due) do
    local zero = string.find(m, '\0', 1, true)
    local partition = string.sub(m, 1, zero - 1)
    local kind = string.sub(m, -1)
    local version = string.sub(m, zero + 1, -2)
    local data, values = prefix .. ':d:' .. partition, prefix .. ':v:' .. partition
    if kind == 'd' then
      local stop = '(' .. string.sub(version, 1, -10) .. '\2'
      for _, old in ipairs(redis.call('ZRANGEBYLEX', data, '[' .. version, stop)) do
        if string.sub(old, #version + 1, #version + 1) == 'x' then
          redis.call('HDEL', values, string.sub(old, 1, #version))
        end
      end
      redis.call('ZREMRANGEBYLEX', data, '[' .. version, stop)
    else
      redis.call('ZREMRANGEBYLEX', data, '[' .. version, '(' .. version .. '\255')
      if kind == 'x' then
        redis.call('HDEL', values, version)
      end
    end
    redis.call('ZREM', gc, m)
  end
  return #due
end
