-- A frame of a connection, counted against its kind's limit.
-- KEYS: the user's five (sessions.lua), the moments of the kind.
-- args: connectionId; queue, its subscription id on the session queue, empty for none, absent where it is
--   not known; limit, 0 for none; windowMs; claimMs.
-- Returns the standing, the order, the seconds to wait, then what to tell and close. The standing is `live`,
-- `unknown` (it must register), or as claimOwn says.
local args = cjson.decode(ARGV[1])
--#include clock.lua
--#include sessions.lua
--#include slidingWindow.lua

local id = args.connectionId
local standing, order, retryAfter = 'unknown', 0, 0
local text = redis.call('HGET', keys.sessions, id)
if text then
  local own = parseSession(text)
  local queue = args.queue or own.queue
  if own.queue ~= queue or redis.call('PTTL', keys.sessions) < SESSIONS_MS / 2 then
    own.queue = queue
    putSession(id, own)
  end
  standing, order = 'live', string.format('%.0f', own.order)
end

-- The usual frame ends here: its connection has a slot, and none of its user's is to be closed. This script
-- runs for every frame, and making the functions below would cost such a frame more than its JSON does.
local isAnyClosing = redis.call('EXISTS', keys.closing) == 1
if text and not isAnyClosing then
  if args.limit > 0 then retryAfter = pass(KEYS[6], args.limit, args.windowMs) end
  return { standing, order, retryAfter }
end

--#include evicting.lua
--#include closing.lua

if not text and isEvicted(id) then return withToClose({ claimOwn(id), 0, 0 }) end
if args.limit > 0 then retryAfter = pass(KEYS[6], args.limit, args.windowMs) end
if isAnyClosing then claimAll() end
return withToClose({ standing, order, retryAfter })
