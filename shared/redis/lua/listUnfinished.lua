-- Users noted so long ago that the claims of that time have run out.
-- KEYS: the users (noteUnfinished.lua). args: most, how many at most; claimMs.
-- Returns user and moment in turn, the oldest first.
local args = cjson.decode(ARGV[1])
--#include clock.lua

local function noted(from, to)
  return redis.call('ZRANGEBYSCORE', KEYS[1], from, to, 'WITHSCORES', 'LIMIT', 0, args.most)
end

local users = noted('-inf', now - args.claimMs)
-- Notes later than any claim made now are from before the clock was set back.
if #users == 0 then users = noted(string.format('(%.0f', now + args.claimMs), '+inf') end
return users
