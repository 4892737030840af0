-- Part of the scripts that include it, after clock.lua and sessions.lua: how a connection loses its slot.

-- Longer than a frame of a connection that lost its slot can be under way.
local ENDED_MS = 600000
local ENDED_COUNT = 1000

-- Never gives the connection a slot again.
local function forbid(id)
  redis.call('ZADD', endedKey, now, id)
  redis.call('ZREMRANGEBYSCORE', endedKey, '-inf', now - ENDED_MS)
  redis.call('ZREMRANGEBYRANK', endedKey, 0, -ENDED_COUNT - 1)
  redis.call('PEXPIRE', endedKey, ENDED_MS)
end
