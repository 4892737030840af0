-- Notes a user of whom a connection is about to lose its slot, for the sweep. The note is made before the
-- slot is lost, so a process that dies afterwards leaves the rest to the sweep.
-- KEYS: the users, a sorted set by the moment of the note. args: userId.
local args = cjson.decode(ARGV[1])
--#include clock.lua

-- As long as a connection that is not closed is remembered (CLOSING_MS in closing.lua).
local NOTES_MS = 3600000

redis.call('ZADD', KEYS[1], now, args.userId)
redis.call('PEXPIRE', KEYS[1], NOTES_MS)
return 1
