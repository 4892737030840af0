-- A connection that lost its slot has been told and closed.
-- KEYS: the user's five (sessions.lua). args: connectionId. Returns 1 for the first to say so, else 0.
local args = cjson.decode(ARGV[1])
--#include sessions.lua

redis.call('ZREM', keys.closing, args.connectionId)
return redis.call('HDEL', keys.details, args.connectionId)
