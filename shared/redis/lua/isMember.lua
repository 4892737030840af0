-- KEYS: a room's members, a set. args: userId.
-- Returns 1 for a member, 0 for none, -1 where the room's members are not known.
local args = cjson.decode(ARGV[1])
if redis.call('SISMEMBER', KEYS[1], args.userId) == 1 then return 1 end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return -1
