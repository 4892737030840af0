-- Part of the scripts that include it, after clock.lua: an exact sliding window.

-- Lets one more pass at `key`, a list of the moments that passed, if fewer than `limit` of them lie within
-- the last `windowMs` milliseconds, both ends included. Returns 0 where it passes, else the seconds until
-- one would, rounded up.
local function pass(key, limit, windowMs)
  local last = tonumber(redis.call('LINDEX', key, -1))
  if last and last > now then
    -- The clock was set back. The moments move back with it and keep their distances.
    local moments = redis.call('LRANGE', key, 0, -1)
    redis.call('DEL', key)
    for _, moment in ipairs(moments) do
      redis.call('RPUSH', key, string.format('%.0f', moment - last + now))
    end
    redis.call('PEXPIRE', key, windowMs + 1000)
  end
  local first = tonumber(redis.call('LINDEX', key, 0))
  while first and first + windowMs < now do
    redis.call('LPOP', key)
    first = tonumber(redis.call('LINDEX', key, 0))
  end
  local count = redis.call('LLEN', key)
  if count >= limit then
    -- The limit may have been lowered: only the youngest `limit` moments are in the way.
    local leaves = tonumber(redis.call('LINDEX', key, count - limit)) + windowMs + 1
    return math.ceil((leaves - now) / 1000)
  end
  redis.call('RPUSH', key, string.format('%.0f', now))
  redis.call('PEXPIRE', key, windowMs + 1000)
  return 0
end
