/**
 * Lua scripts of the sessions and of the limits. Every key of a user holds the id in `{}`, so one script may use them all on a cluster.
 * The time is Redis's own, so processes whose clocks differ agree; where that clock is set back nothing waits for the time in between.
 *
 * Five keys hold a user's sessions, always handed over in this order:
 * - `sessions`, a hash: connection id to `ORDER DEVICE QUEUE` (see `PARSE`);
 * - `closing`, a sorted set: connections that lost their place and are not known to be closed yet, by the moment at which the next process may take that on;
 * - `details`, a hash: what that process needs to know of them, `REASON QUEUE`;
 * - `ended`, a sorted set: connections that may not come back, by the moment of their end;
 * - `logouts`, a hash: device, or nothing for all, to the moment of its logout.
 *
 * A sixth belongs to registering: `returns`, a hash of what sessions looked like that the limit has ended, to the first and the last such moment.
 */

/** How long a process has to tell and close a connection before another one may try. */
const CLAIM_MS = 5_000;
const CLAIMS_AT_ONCE = 10;
/** Longer than a frame of an ended connection can be under way. */
const ENDED_MS = 600_000;
const ENDED_COUNT = 1_000;
const CLOSING_MS = 3_600_000;
/** A connection without a frame for so long is no longer counted, and counted anew at its next frame. */
const SESSIONS_MS = 7 * 86_400_000;
/** One that is so much older when it registers came while Redis was away; below that no other clock than Redis's matters. */
const LATE_MS = 1_000;
const LOGOUT_MS = 86_400_000;
/** So much functions' clocks may differ before a connection made after a logout is taken for one from before. */
const CLOCKS_MS = 100;
/** Whoever looks like a session that was ended so recently is taken for that one, come back by itself. */
const RETURN_MS = 60_000;
/** Sessions without a device's name that come within this time after the first one was ended are others: no client comes back so soon. */
const OTHERS_MS = 1_000;
const LIKENESSES = 100;

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/** One entry of the hash `sessions`. DEVICE is `-` where there is none, and may have a likeness behind a `;`, or `!` for one whose user asked for it; QUEUE comes last, as it may hold spaces. */
const PARSE = `
local function parse(text)
  local order, device, queue = string.match(text, '^(%d+) (%S+) (.*)$')
  local name, likeness = string.match(device, '^([^;]*);?(.*)$')
  return { order = tonumber(order), device = name, likeness = likeness, queue = queue }
end
local function put(id, s)
  local device = s.device
  if s.likeness ~= '' then device = device .. ';' .. s.likeness end
  redis.call('HSET', KEYS[1], id, string.format('%.0f %s %s', s.order, device, s.queue))
  redis.call('PEXPIRE', KEYS[1], ${SESSIONS_MS})
end`;

/** Ends a session: it loses its place at once, and the caller has the first claim to tell and close it. */
const END = `
local function forbid(id)
  redis.call('ZADD', KEYS[4], now, id)
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - ${ENDED_MS})
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -${ENDED_COUNT + 1})
  redis.call('PEXPIRE', KEYS[4], ${ENDED_MS})
end
local function tell(id, reason, queue)
  for _, part in ipairs({ id, reason, queue }) do answer[#answer + 1] = part end
end
local function finish(id, s, reason)
  redis.call('HDEL', KEYS[1], id)
  forbid(id)
  redis.call('ZADD', KEYS[2], now + ${CLAIM_MS}, id)
  redis.call('HSET', KEYS[3], id, reason .. ' ' .. s.queue)
  redis.call('PEXPIRE', KEYS[2], ${CLOSING_MS})
  redis.call('PEXPIRE', KEYS[3], ${CLOSING_MS})
  tell(id, reason, s.queue)
end
local function isEnded(id)
  return redis.call('ZSCORE', KEYS[4], id) or redis.call('ZSCORE', KEYS[2], id)
end`;

/** Takes on connections that still have to be told and closed, and that nobody is at. */
const CLAIM = `
local function claim(id)
  local text = redis.call('HGET', KEYS[3], id)
  if not text then redis.call('ZREM', KEYS[2], id) return end
  redis.call('ZADD', KEYS[2], now + ${CLAIM_MS}, id)
  local reason, queue = string.match(text, '^(%S+) (.*)$')
  tell(id, reason, queue)
end
local function isFree(id)
  local from = tonumber(redis.call('ZSCORE', KEYS[2], id) or now + 1)
  return from <= now or from > now + ${CLAIM_MS}
end
local function claimAll()
  local waiting = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ${CLAIMS_AT_ONCE})
  for _, id in ipairs(waiting) do claim(id) end
  waiting = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. (now + ${CLAIM_MS}), '+inf', 'LIMIT', 0, ${CLAIMS_AT_ONCE})
  for _, id in ipairs(waiting) do claim(id) end
end`;

/**
 * An exact sliding window: a list of the moments that were let through. One more passes when fewer than `limit` of them lie within the window, both ends
 * included; else the answer is how many seconds are left until one would pass, rounded up. Moments of a clock that was set back since keep their distances.
 */
const TAKE = `
local function take(key, limit, window)
  local last = tonumber(redis.call('LINDEX', key, -1))
  if last and last > now then
    local all = redis.call('LRANGE', key, 0, -1)
    redis.call('DEL', key)
    for _, moment in ipairs(all) do redis.call('RPUSH', key, string.format('%.0f', moment - last + now)) end
    redis.call('PEXPIRE', key, window + 1000)
  end
  local first = tonumber(redis.call('LINDEX', key, 0))
  while first and first + window < now do
    redis.call('LPOP', key)
    first = tonumber(redis.call('LINDEX', key, 0))
  end
  local count = redis.call('LLEN', key)
  if count >= limit then
    local leaves = tonumber(redis.call('LINDEX', key, count - limit)) + window + 1
    return math.ceil((leaves - now) / 1000)
  end
  redis.call('RPUSH', key, string.format('%.0f', now))
  redis.call('PEXPIRE', key, window + 1000)
  return 0
end`;

/** KEYS: moments. ARGV: limit, window in ms. Returns 0 for let through, or the seconds until one would be. */
export const TAKE_ONE = `${NOW}${TAKE}
return take(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]))`;

/**
 * A frame of a connection, and one of the limit's kind if there is a limit. KEYS: the user's five, moments.
 * ARGV: connection id; 1 and the session queue's subscription id, or 0 and nothing where it is not known; limit (0 none); window in ms.
 * Returns live, unknown, ended, or closing where another process is about to tell and close it; its order; seconds to wait; then id, reason and queue of each connection
 * to be told and closed.
 */
export const ADMIT = `${NOW}${PARSE}
local answer = { 'unknown', 0, 0 }${END}${CLAIM}${TAKE}
local id, knowsQueue, queue, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local text = redis.call('HGET', KEYS[1], id)
if text then
  local own = parse(text)
  if knowsQueue == '0' then queue = own.queue end
  if own.queue ~= queue or redis.call('PTTL', KEYS[1]) < ${SESSIONS_MS / 2} then
    own.queue = queue
    put(id, own)
  end
  answer[1], answer[2] = 'live', string.format('%.0f', own.order)
elseif isEnded(id) then
  answer[1] = 'evicted'
  if redis.call('ZSCORE', KEYS[2], id) then
    if isFree(id) then claim(id) else answer[1] = 'closing' end
  end
  return answer
end
if limit > 0 then answer[3] = take(KEYS[6], limit, tonumber(ARGV[5])) end
if redis.call('EXISTS', KEYS[2]) == 1 then claimAll() end
return answer`;

/**
 * Gives a connection its place. KEYS: the user's five, returns. ARGV: connection id, order (0 for none yet), how long ago it connected in ms, device with its likeness, session queue's
 * subscription id, limit (0 none), 1 to end others without asking, how many were asked for, those, and which of them are gone.
 * Returns `ask` and the ids that must be asked for first, nothing being changed; or live, ended, or closing where another process is about to tell and close it, order, how many were gone, 1 if it had no place before, and whom to tell and close.
 */
export const REGISTER = `${NOW}${PARSE}
local answer = { 'evicted', 0, 0, 0 }${END}${CLAIM}
local id, order, age = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local device, likeness = string.match(ARGV[4], '^([^;]*);?(.*)$')
local limit, asked = tonumber(ARGV[6]), tonumber(ARGV[8])
if isEnded(id) then
  if isFree(id) then claim(id)
  elseif redis.call('ZSCORE', KEYS[2], id) then answer[1] = 'closing' end
  return answer
end
local wasAsked, isGone = {}, {}
for at = 9, 8 + asked do wasAsked[ARGV[at]] = true end
for at = 9 + asked, #ARGV do isGone[ARGV[at]] = true end

local others, gone, ask, newest, own = {}, {}, { 'ask' }, 0, nil
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local s = parse(all[at + 1])
  s.id = all[at]
  newest = math.max(newest, s.order)
  if s.id == id then own = s
  elseif isGone[s.id] then gone[#gone + 1] = s.id
  else
    others[#others + 1] = s
    if not wasAsked[s.id] then ask[#ask + 1] = s.id end
  end
end
local me = { id = id, order = order, device = device, likeness = likeness, queue = ARGV[5] }
if own then
  me.order = own.order
  if me.queue == '' then me.queue = own.queue end
elseif order == 0 and age >= ${LATE_MS} then me.order = math.max(1, now - age)
elseif order == 0 then me.order = math.max(now, newest + 1) end

local stay, leave = { me }, {}
for _, s in ipairs(others) do
  if device == '-' or s.device ~= device then stay[#stay + 1] = s
  elseif s.order < me.order then leave[#leave + 1] = s
  else me.isReplaced = true stay[#stay + 1] = s end
end
if me.isReplaced then table.remove(stay, 1) end
table.sort(stay, function(a, b) return a.order < b.order or (a.order == b.order and a.id < b.id) end)
local over = 0
if limit > 0 then over = math.max(0, #stay - limit) end
if (over > 0 or #leave > 0 or me.isReplaced) and #ask > 1 and ARGV[7] ~= '1' then return ask end

for _, goneId in ipairs(gone) do redis.call('HDEL', KEYS[1], goneId) end
answer[1], answer[2], answer[3], answer[4] = 'live', string.format('%.0f', me.order), #gone, own and 0 or 1
put(id, me)
local function lookOf(s)
  if s.device ~= '-' then return s.device end
  return s.likeness == '!' and '' or s.likeness
end
local function returningSince(look)
  local first, last = string.match(redis.call('HGET', KEYS[6], look) or '', '^(%d+) (%d+)$')
  if first and now - last <= ${RETURN_MS} then return first end
end
local function comesBack(s)
  if s.likeness == '!' then return false end
  local first = returningSince(lookOf(s))
  if not first then return false end
  return s.device ~= '-' or now - first >= ${OTHERS_MS}
end
local function noteReturn(s)
  local look = lookOf(s)
  if look == '' then return end
  local first = returningSince(look) or now
  if redis.call('HLEN', KEYS[6]) >= ${LIKENESSES} then redis.call('DEL', KEYS[6]) end
  redis.call('HSET', KEYS[6], look, string.format('%.0f %.0f', first, now))
  redis.call('PEXPIRE', KEYS[6], ${RETURN_MS})
end
local function lose(s, reason)
  if s == me then answer[1] = 'evicted' end
  if reason == 'SESSION_LIMIT' then noteReturn(s) end
  finish(s.id, s, reason)
end
for _, s in ipairs(leave) do lose(s, 'DEVICE_RECONNECTED') end
if me.isReplaced then lose(me, 'DEVICE_RECONNECTED') end
local out
if over > 0 and not own and order == 0 and not me.isReplaced and comesBack(me) then
  out = me
  over = over - 1
  lose(me, 'SESSION_LIMIT')
end
for _, s in ipairs(stay) do
  if over > 0 and s ~= out then
    over = over - 1
    lose(s, 'SESSION_LIMIT')
  end
end
local left = redis.call('HMGET', KEYS[5], '', device)
-- A mark from before the clock was set back counts as made now.
local loggedOut = math.min(now, math.max(tonumber(left[1] or 0), tonumber(left[2] or 0)))
local connectedAt = order
if order == 0 then connectedAt = now - age end
if answer[1] == 'live' and not own and connectedAt < loggedOut - ${CLOCKS_MS} then lose(me, 'LOGGED_OUT') end
claimAll()
return answer`;

/** The connection is gone. KEYS: the user's five. ARGV: connection id. Returns 1 if it had a place. */
export const REMOVE = `${NOW}
local answer = {}${END}
-- What frees memory comes first: it works also where Redis is full.
local had = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
forbid(ARGV[1])
return had`;

/** An ended connection has been told and closed. KEYS: the user's five. ARGV: connection id. */
export const CLOSED = `
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[3], ARGV[1])`;

/**
 * Ends a user's sessions, or those of a device, also those that register later but connected before. KEYS: the user's five. ARGV: device or nothing. Returns whom to tell and close: with
 * them all that have lost their place before and are not closed, whoever was at them, since the caller wants to hear that it is done.
 */
export const LOG_OUT = `${NOW}${PARSE}
local answer = {}${END}${CLAIM}
local before = redis.call('ZRANGE', KEYS[2], 0, -1)
redis.call('HSET', KEYS[5], ARGV[1], string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[5], ${LOGOUT_MS})
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local s = parse(all[at + 1])
  if ARGV[1] == '' or s.device == ARGV[1] then finish(all[at], s, 'LOGGED_OUT') end
end
for _, id in ipairs(before) do claim(id) end
return answer`;

/** Takes on what is left to be told and closed of a user. KEYS: the user's five. Returns how many there are, and those that nobody is at. */
export const CLAIM_LEFT = `${NOW}
local answer = { 0 }${END}${CLAIM}
claimAll()
answer[1] = redis.call('ZCARD', KEYS[2])
return answer`;

/**
 * Users of whom somebody is about to lose a place: a sorted set of its own, by the moment at which that began. Noted before, so that whoever dies afterwards leaves it to the sweep.
 */
/** KEYS: users. ARGV: user. */
export const NOTE = `${NOW}
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ${CLOSING_MS})
return 1`;

/** Those that were noted so long ago that nobody is at them any more. KEYS: users. ARGV: how many at most. Returns user and moment in turn. */
export const NOTED = `${NOW}
local noted = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ${CLAIM_MS}, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
if #noted == 0 then noted = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. (now + ${CLAIM_MS}), '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[1]) end
return noted`;

/**
 * A user was looked after: forgotten when nothing is left, else put behind the others; nothing is changed if they were noted anew.
 * KEYS: users. ARGV: user, moment, 1 for nothing left.
 */
export const LOOKED_AFTER = `${NOW}
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or -1) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '1' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
-- Never the moment of a note, so that the next call for it finds out whether there was one since.
redis.call('ZADD', KEYS[1], string.format('%.0f.5', now), ARGV[1])
return 1`;
