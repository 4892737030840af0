-- Gives a connection its slot among its user's sessions, and evicts those for whom there is none left.
-- KEYS: the user's five (sessions.lua), returns (returning.lua).
-- args: connectionId; order, absent for none yet; age, for how many ms it has been connected; device and
--   likeness, absent for none; takesOver; queue, its subscription id on the session queue, empty for none;
--   limit, 0 for none; asked, the ids of other sessions that the socket service was asked for; gone, those
--   of them that it does not know; evictsUnasked, to evict also sessions that it was not asked for;
--   claimMs, lateMs, returnMs, othersMs, clocksMs.
-- Returns `ask` and the ids to ask the socket service for first, nothing being changed. Else the standing
-- (`live`, or as claimOwn says), the order, how many slots were freed because their connections were gone,
-- 1 if this connection had no slot before, and what to tell and close.
local args = cjson.decode(ARGV[1])
--#include clock.lua
--#include sessions.lua
--#include evicting.lua
--#include closing.lua
--#include returning.lua

local id = args.connectionId
if isEvicted(id) then return withToClose({ claimOwn(id), 0, 0, 0 }) end

local function setOf(list)
  local set = {}
  for _, entry in ipairs(list) do set[entry] = true end
  return set
end

-- The sessions as they are: this connection's own, those of others, those that are gone.
local own, others, gone, unasked, newest = nil, {}, {}, {}, 0
local wasAsked, isGone = setOf(args.asked), setOf(args.gone)
local all = redis.call('HGETALL', keys.sessions)
for at = 1, #all, 2 do
  local session = parseSession(all[at + 1])
  session.id = all[at]
  newest = math.max(newest, session.order)
  if session.id == id then
    own = session
  elseif isGone[session.id] then
    gone[#gone + 1] = session.id
  else
    others[#others + 1] = session
    if not wasAsked[session.id] then unasked[#unasked + 1] = session.id end
  end
end

-- This connection's place in the order of connecting. One that connected long ago and is counted only now
-- came while Redis was away: it stands among those of its time. Below `lateMs` no other clock than Redis's
-- matters.
local function orderOfMine()
  if own then return own.order end
  if args.order then return args.order end
  if args.age >= args.lateMs then return math.max(1, now - args.age) end
  return math.max(now, newest + 1)
end

local me = {
  id = id,
  order = orderOfMine(),
  device = args.device or NO_DEVICE,
  likeness = not args.takesOver and args.likeness or '',
  takesOver = args.takesOver,
  queue = args.queue,
}
if own and me.queue == '' then me.queue = own.queue end

-- Sessions of the same device replace each other: only the one that connected last stays.
local replaced, rivals, isReplaced = {}, {}, false
for _, session in ipairs(others) do
  if me.device == NO_DEVICE or session.device ~= me.device then
    rivals[#rivals + 1] = session
  elseif session.order < me.order then
    replaced[#replaced + 1] = session
  else
    rivals[#rivals + 1] = session
    isReplaced = true
  end
end
if not isReplaced then rivals[#rivals + 1] = me end
table.sort(rivals, function(a, b) return a.order < b.order or (a.order == b.order and a.id < b.id) end)
local over = 0
if args.limit > 0 then over = math.max(0, #rivals - args.limit) end

-- No session is evicted while one that is gone may hold a slot.
local evictsAny = over > 0 or #replaced > 0 or isReplaced
if evictsAny and #unasked > 0 and not args.evictsUnasked then
  table.insert(unasked, 1, 'ask')
  return unasked
end

for _, goneId in ipairs(gone) do redis.call('HDEL', keys.sessions, goneId) end
putSession(id, me)

local standing = 'live'
local function lose(session, reason)
  if session == me then standing = 'evicted' end
  if reason == 'SESSION_LIMIT' then noteReturn(session) end
  evict(session.id, session.queue, reason)
end

for _, session in ipairs(replaced) do lose(session, 'DEVICE_RECONNECTED') end
if isReplaced then lose(me, 'DEVICE_RECONNECTED') end

-- A client that the limit has evicted and that comes back by itself evicts no other; else two devices too
-- many would evict each other for ever.
local isNew = not own and not args.order
if over > 0 and isNew and not isReplaced and comesBack(me) then
  lose(me, 'SESSION_LIMIT')
  over = over - 1
end
for _, session in ipairs(rivals) do
  if over > 0 and not (session == me and standing == 'evicted') then
    lose(session, 'SESSION_LIMIT')
    over = over - 1
  end
end

-- A connection that opened before its user's logout and registers after it. A logout from before the clock
-- was set back counts as made now. Functions' clocks may differ by `clocksMs`.
local logouts = redis.call('HMGET', keys.logouts, '', me.device)
local loggedOutAt = math.min(now, math.max(tonumber(logouts[1] or 0), tonumber(logouts[2] or 0)))
local connectedAt = args.order or now - args.age
local wasLoggedOut = connectedAt < loggedOutAt - args.clocksMs
if standing == 'live' and not own and wasLoggedOut then lose(me, 'LOGGED_OUT') end

claimAll()
return withToClose({ standing, string.format('%.0f', me.order), #gone, own and 0 or 1 })
