-- The sweep has looked after a user: forgets the user where nothing is left, else puts them behind the
-- others.
-- KEYS: the users (noteUnfinished.lua). args: userId; noted, the moment as it was listed; isDone.
-- Returns 0, changing nothing, where the user was noted again since they were listed.
local args = cjson.decode(ARGV[1])
--#include clock.lua

local noted = tonumber(redis.call('ZSCORE', KEYS[1], args.userId))
if noted ~= args.noted then return 0 end
if args.isDone then
  redis.call('ZREM', KEYS[1], args.userId)
else
  redis.call('ZADD', KEYS[1], now, args.userId)
end
return 1
