-- A connection is gone: its slot is free, and it never gets one again.
-- KEYS: the user's five (sessions.lua); the connection's subscriptions (noteSubscription.lua). args: connectionId.
-- Returns 1 if it had a slot, else 0, and behind that its subscriptions, the oldest first.
local args = cjson.decode(ARGV[1])
--#include clock.lua
--#include sessions.lua
--#include evicting.lua

-- What frees memory comes first: a Redis that is full still does it.
local hadSlot = redis.call('HDEL', keys.sessions, args.connectionId)
redis.call('ZREM', keys.closing, args.connectionId)
redis.call('HDEL', keys.details, args.connectionId)
forbid(args.connectionId)
local answer = redis.call('ZRANGE', KEYS[6], 0, -1)
table.insert(answer, 1, hadSlot)
return answer
