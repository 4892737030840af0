-- Part of the scripts that include it, after evicting.lua: which connections the caller must tell and
-- close.
--
-- A claim gives one process `args.claimMs` milliseconds to do that. After that time another process may
-- claim the connection.

-- What the caller is to tell and close: id, reason and queue of each connection, one behind the other.
local toClose = {}

local function handOver(id, reason, queue)
  toClose[#toClose + 1] = id
  toClose[#toClose + 1] = reason
  toClose[#toClose + 1] = queue
end

-- A script's answer, with the connections to tell and close behind it.
local function withToClose(answer)
  for at = 1, #toClose do answer[#answer + 1] = toClose[at] end
  return answer
end

-- Takes the slot from a connection. The caller has the first claim to tell and close it.
local function evict(id, queue, reason)
  local CLOSING_MS = 3600000
  redis.call('HDEL', keys.sessions, id)
  forbid(id)
  redis.call('ZADD', keys.closing, now + args.claimMs, id)
  redis.call('HSET', keys.details, id, reason .. ' ' .. queue)
  redis.call('PEXPIRE', keys.closing, CLOSING_MS)
  redis.call('PEXPIRE', keys.details, CLOSING_MS)
  handOver(id, reason, queue)
end

local function isEvicted(id)
  return redis.call('ZSCORE', keys.ended, id) or redis.call('ZSCORE', keys.closing, id)
end

-- Hands a connection over to the caller. One without details can't be told any more, so it is forgotten.
local function claim(id)
  local text = redis.call('HGET', keys.details, id)
  if not text then
    redis.call('ZREM', keys.closing, id)
    return
  end
  redis.call('ZADD', keys.closing, now + args.claimMs, id)
  handOver(id, string.match(text, '^(%S+) (.*)$'))
end

-- Claims the caller's own connection, if no other process has a claim on it. Returns how the connection
-- stands: `closing` while another process has, else `evicted`.
local function claimOwn(id)
  local claimedUntil = tonumber(redis.call('ZSCORE', keys.closing, id))
  if not claimedUntil then return 'evicted' end
  -- A claim that ends later than any claim made now is from before the clock was set back: it is void.
  if claimedUntil > now and claimedUntil <= now + args.claimMs then return 'closing' end
  claim(id)
  return 'evicted'
end

-- Claims all connections of the user that no process has a claim on, up to a bound: those whose claim has
-- run out, and those whose claim is void.
local function claimAll()
  local CLAIMS_AT_ONCE = 10
  local free = redis.call('ZRANGEBYSCORE', keys.closing, '-inf', now, 'LIMIT', 0, CLAIMS_AT_ONCE)
  for _, id in ipairs(free) do claim(id) end
  local afterAnyClaim = string.format('(%.0f', now + args.claimMs)
  free = redis.call('ZRANGEBYSCORE', keys.closing, afterAnyClaim, '+inf', 'LIMIT', 0, CLAIMS_AT_ONCE)
  for _, id in ipairs(free) do claim(id) end
end
