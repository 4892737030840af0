-- Claims what is left to tell and close of a user.
-- KEYS: the user's five (sessions.lua). args: claimMs.
-- Returns how many connections are not closed yet, then those that no other process has a claim on.
local args = cjson.decode(ARGV[1])
--#include clock.lua
--#include sessions.lua
--#include evicting.lua
--#include closing.lua

claimAll()
return withToClose({ redis.call('ZCARD', keys.closing) })
