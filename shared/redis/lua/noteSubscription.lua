-- Notes a subscription that a connection has made.
-- KEYS: the user's `ended` (sessions.lua); the connection's subscriptions, a sorted set of `LANE WIRE` by
--   the moment of the note. args: connectionId, lane, wire.
-- Returns 1, or 0 where the connection is gone or has lost its slot.
local args = cjson.decode(ARGV[1])
--#include clock.lua

-- Longer than a SUBSCRIBE and the answer to it can be under way. After that the connection's state knows
-- the subscription.
local NOTES_MS = 600000

if redis.call('ZSCORE', KEYS[1], args.connectionId) then return 0 end
redis.call('ZADD', KEYS[2], now, args.lane .. ' ' .. args.wire)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - NOTES_MS)
redis.call('PEXPIRE', KEYS[2], NOTES_MS)
return 1
