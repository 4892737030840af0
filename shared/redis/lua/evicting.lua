-- Part of the scripts that include it, after clock.lua and sessions.lua: how a connection loses its slot.

-- Never gives the connection a slot again.
local function forbid(id)
  -- Longer than a frame of a connection that lost its slot can be under way.
  local ENDED_MS, ENDED_COUNT = 600000, 1000
  redis.call('ZADD', keys.ended, now, id)
  redis.call('ZREMRANGEBYSCORE', keys.ended, '-inf', now - ENDED_MS)
  redis.call('ZREMRANGEBYRANK', keys.ended, 0, -ENDED_COUNT - 1)
  redis.call('PEXPIRE', keys.ended, ENDED_MS)
end
