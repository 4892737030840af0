-- A connection gives back a subscription id of a destination.
-- KEYS: the destination's ids (takeId.lua). args: connectionId, id.
local args = cjson.decode(ARGV[1])
return redis.call('SREM', KEYS[1], args.connectionId .. ' ' .. args.id)
