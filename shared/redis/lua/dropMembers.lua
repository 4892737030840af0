-- Forgets a room's members, and every fill that was read before (putMembers.lua).
-- KEYS: a room's members, the version.

-- Longer than any fill can take: a fill from before this drop never finds its version again.
local VERSION_SECONDS = 3600

redis.call('DEL', KEYS[1])
redis.call('INCR', KEYS[2])
redis.call('EXPIRE', KEYS[2], VERSION_SECONDS)
return 1
