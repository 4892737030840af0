-- Part of register.lua, after sessions.lua: which new connection is one that the limit has just evicted and
-- that came straight back by itself.
--
-- KEYS[6], `returns`, is a hash: what a session looks like -> `FIRST LAST`, the moments of the first and
-- the last eviction of a session that looks so. A pause longer than `args.returnMs` begins a new series.
local returnsKey = KEYS[6]
local LOOKS = 100

-- What a session looks like when it comes back: its device, else its likeness; empty where it has neither.
local function lookOf(session)
  if session.device ~= NO_DEVICE then return session.device end
  return session.likeness
end

-- The first moment of the series that goes on; nothing where there is none.
local function evictedSince(look)
  local first, last = string.match(redis.call('HGET', returnsKey, look) or '', '^(%d+) (%d+)$')
  if first and now - last <= args.returnMs then return first end
end

-- A device's name is proof enough. Sessions that merely look alike and come within `args.othersMs` after
-- the first eviction are others: no client comes back so soon.
local function comesBack(session)
  if session.takesOver then return false end
  local first = evictedSince(lookOf(session))
  if not first then return false end
  return session.device ~= NO_DEVICE or now - first >= args.othersMs
end

local function noteReturn(session)
  local look = lookOf(session)
  if look == '' then return end
  local first = evictedSince(look) or now
  if redis.call('HLEN', returnsKey) >= LOOKS then redis.call('DEL', returnsKey) end
  redis.call('HSET', returnsKey, look, string.format('%.0f %.0f', first, now))
  redis.call('PEXPIRE', returnsKey, args.returnMs)
end
