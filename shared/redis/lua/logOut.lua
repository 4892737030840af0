-- Evicts a user's sessions, or those of one device. A connection that opened before and registers only
-- later is evicted then.
-- KEYS: the user's five (sessions.lua). args: device, absent for all; claimMs.
-- Returns what to tell and close: with the sessions all that lost their slot before and are not closed yet,
-- even those that another process has a claim on, since the caller wants to hear that everything is done.
local args = cjson.decode(ARGV[1])
--#include clock.lua
--#include sessions.lua
--#include evicting.lua
--#include closing.lua

local LOGOUT_MS = 86400000

local before = redis.call('ZRANGE', keys.closing, 0, -1)
redis.call('HSET', keys.logouts, args.device or '', string.format('%.0f', now))
redis.call('PEXPIRE', keys.logouts, LOGOUT_MS)
local all = redis.call('HGETALL', keys.sessions)
for at = 1, #all, 2 do
  local session = parseSession(all[at + 1])
  if not args.device or session.device == args.device then evict(all[at], session.queue, 'LOGGED_OUT') end
end
for _, id in ipairs(before) do claim(id) end
return toClose
