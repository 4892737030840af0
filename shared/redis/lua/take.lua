-- Counts something that is no frame against its kind's limit.
-- KEYS: the moments of the kind. args: limit, windowMs.
-- Returns 0 where it passes, else the seconds until one would.
local args = cjson.decode(ARGV[1])
--#include clock.lua
--#include slidingWindow.lua

return pass(KEYS[1], args.limit, args.windowMs)
