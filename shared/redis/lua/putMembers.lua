-- Remembers a room's members as they were read from MySQL. A set that was read before a change must never
-- survive that change: each drop raises the version, and a fill of an older version does nothing.
-- KEYS: a room's members, the version. args: version, as it was before they were read; userIds.
-- Returns 1 where they are remembered, else 0.
local args = cjson.decode(ARGV[1])
local MEMBERS_SECONDS = 300
-- Lua's stack does not hold the ids of a large room at once.
local AT_ONCE = 1000

if (redis.call('GET', KEYS[2]) or '0') ~= args.version then return 0 end
redis.call('DEL', KEYS[1])
for first = 1, #args.userIds, AT_ONCE do
  local last = math.min(first + AT_ONCE - 1, #args.userIds)
  redis.call('SADD', KEYS[1], unpack(args.userIds, first, last))
end
redis.call('EXPIRE', KEYS[1], MEMBERS_SECONDS)
return 1
