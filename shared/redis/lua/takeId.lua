-- A connection takes a subscription id of a destination. The ids of connections that have no slot any more
-- don't count, and are dropped on the way.
-- KEYS: the user's sessions (sessions.lua); the destination's ids, a set of `CONNECTION ID`.
-- args: connectionId, id, limit. Returns 1, or 0 where the limit of different ids is reached.
local args = cjson.decode(ARGV[1])
-- As long as a session without a frame is counted (SESSIONS_MS in sessions.lua).
local IDS_MS = 7 * 86400000

local isTaken, count = {}, 0
for _, entry in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  local owner, id = string.match(entry, '^(%S+) (.*)$')
  if owner ~= args.connectionId and redis.call('HEXISTS', KEYS[1], owner) == 0 then
    redis.call('SREM', KEYS[2], entry)
  elseif not isTaken[id] then
    isTaken[id] = true
    count = count + 1
  end
end
if not isTaken[args.id] and count >= args.limit then return 0 end
redis.call('SADD', KEYS[2], args.connectionId .. ' ' .. args.id)
redis.call('PEXPIRE', KEYS[2], IDS_MS)
return 1
