/**
 * Lua scripts of the sessions and of the limits. Every key of a user holds the id in `{}`, so one script may use them all on a cluster.
 * The time is Redis's own, so processes whose clocks differ agree; where that clock is set back nothing waits for the time in between.
 *
 * Four keys hold a user's sessions:
 * - `sessions`, a hash: connection id to `ORDER SINCE OPEN DEVICE QUEUE` (see `PARSE`);
 * - `closing`, a sorted set: connections that lost their place but are not known to be closed yet, by the moment at which the next process may take that on;
 * - `details`, a hash: what that process needs to know of them, `REASON SINCE OPEN QUEUE`;
 * - `ended`, a sorted set: connections that may not come back, by the moment of their end.
 */

/** How long a process has to tell and close a connection before another one may try. */
const CLAIM_MS = 5_000;
const CLAIMS_AT_ONCE = 10;
/** From the handshake's answer to the open connection. Until then the service says of a connection that it is not there. */
const OPENING_MS = 2_000;
/** A connection that never opened by then never will. */
const OPENED_BY_MS = 10_000;
/** Longer than a frame of an ended connection can be under way. */
const ENDED_MS = 600_000;
const ENDED_COUNT = 1_000;
const CLOSING_MS = 3_600_000;
/** A connection without a frame for so long is no longer counted, and counted anew at its next frame. */
const SESSIONS_MS = 7 * 86_400_000;

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/** One entry of the hash `sessions`. DEVICE is `-` where there is none; QUEUE comes last, as it may hold spaces. */
const PARSE = `
local function parse(text)
  local order, since, open, device, queue = string.match(text, '^(%d+) (%d+) (%d) (%S+) (.*)$')
  return { order = tonumber(order), since = tonumber(since), open = open, device = device, queue = queue }
end
local function put(key, id, s)
  redis.call('HSET', key, id, string.format('%.0f %.0f %s %s %s', s.order, s.since, s.open, s.device, s.queue))
  redis.call('PEXPIRE', key, ${SESSIONS_MS})
end`;

/** Ends a session: it loses its place at once, and the caller has the first claim to tell and close it. */
const END = `
local function forbid(id)
  redis.call('ZADD', KEYS[4], now, id)
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - ${ENDED_MS})
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -${ENDED_COUNT + 1})
  redis.call('PEXPIRE', KEYS[4], ${ENDED_MS})
end
local function tell(id, reason, since, open, queue)
  local opening = '0'
  if open ~= '1' and math.abs(now - since) < ${OPENED_BY_MS} then opening = '1' end
  for _, part in ipairs({ id, reason, opening, queue }) do answer[#answer + 1] = part end
end
local function finish(id, s, reason)
  redis.call('HDEL', KEYS[1], id)
  forbid(id)
  redis.call('ZADD', KEYS[2], now + ${CLAIM_MS}, id)
  redis.call('HSET', KEYS[3], id, string.format('%s %.0f %s %s', reason, s.since, s.open, s.queue))
  redis.call('PEXPIRE', KEYS[2], ${CLOSING_MS})
  redis.call('PEXPIRE', KEYS[3], ${CLOSING_MS})
  tell(id, reason, s.since, s.open, s.queue)
end`;

/** Takes on connections that still have to be told and closed, and that nobody is at. */
const CLAIM = `
local function claim(id)
  local text = redis.call('HGET', KEYS[3], id)
  if not text then redis.call('ZREM', KEYS[2], id) return end
  redis.call('ZADD', KEYS[2], now + ${CLAIM_MS}, id)
  local reason, since, open, queue = string.match(text, '^(%S+) (%d+) (%d) (.*)$')
  tell(id, reason, tonumber(since), open, queue)
end
local function claimAll(own)
  if own then
    local from = tonumber(redis.call('ZSCORE', KEYS[2], own) or now + 1)
    if from <= now or from > now + ${CLAIM_MS} then claim(own) end
  end
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
 * A frame of a connection, and one of the limit's kind if there is a limit. KEYS: sessions, closing, details, ended, moments.
 * ARGV: connection id; 1 and the session queue's subscription id, or 0 and nothing where it is not known; limit (0 none); window in ms.
 * Returns live, unknown or ended; seconds to wait; then id, reason, opening, queue of each connection to be told and closed.
 */
export const ADMIT = `${NOW}${PARSE}
local answer = { '', 0 }${END}${CLAIM}${TAKE}
local id, knowsQueue, queue, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local standing, wait = 'unknown', 0
local text = redis.call('HGET', KEYS[1], id)
if text then
  standing = 'live'
  local own = parse(text)
  if knowsQueue == '0' then queue = own.queue end
  if own.open ~= '1' or own.queue ~= queue or redis.call('PTTL', KEYS[1]) < ${SESSIONS_MS / 2} then
    own.open, own.queue = '1', queue
    put(KEYS[1], id, own)
  end
elseif redis.call('ZSCORE', KEYS[4], id) then
  standing = 'ended'
end
if standing ~= 'ended' and limit > 0 then wait = take(KEYS[5], limit, tonumber(ARGV[5])) end
if redis.call('EXISTS', KEYS[2]) == 1 then claimAll(standing == 'ended' and id or nil) end
answer[1], answer[2] = standing, wait
return answer`;

/**
 * Gives a connection its place. KEYS: sessions, closing, details, ended. ARGV: connection id, order (0 for a new one), device, session queue's subscription id,
 * 1 if it is open, limit (0 none), 1 to evict without asking, how many were asked for, those, and which of them are gone.
 * Returns `ask` and the ids that must be asked for first, nothing being changed; or live or ended, order, how many were gone, and whom to tell and close.
 */
export const REGISTER = `${NOW}${PARSE}
local answer = { 'ended', 0, 0 }${END}${CLAIM}
local id, order, limit, asked = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[6]), tonumber(ARGV[8])
if redis.call('ZSCORE', KEYS[4], id) then
  claimAll(id)
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
  local settled = s.open == '1' or math.abs(now - s.since) > ${OPENING_MS}
  if s.id == id then own = s
  elseif isGone[s.id] and settled then gone[#gone + 1] = s.id
  else
    others[#others + 1] = s
    if settled and not wasAsked[s.id] then ask[#ask + 1] = s.id end
  end
end
if own then order = own.order elseif order == 0 then order = math.max(now, newest + 1) end
local me = { id = id, order = order, since = now, open = ARGV[5], device = ARGV[3], queue = ARGV[4] }
if own and own.open == '1' then me.open = '1' end
if own and me.queue == '' then me.queue = own.queue end

local stay, replaced = { me }, {}
for _, s in ipairs(others) do
  if me.device ~= '-' and s.device == me.device then
    if s.order < me.order then replaced[#replaced + 1] = s else replaced[#replaced + 1] = me end
  else stay[#stay + 1] = s end
end
local over = limit > 0 and #stay > limit
if over and #ask > 1 and ARGV[7] ~= '1' then return ask end

for _, goneId in ipairs(gone) do redis.call('HDEL', KEYS[1], goneId) end
put(KEYS[1], id, me)
local standing = 'live'
for _, s in ipairs(replaced) do
  if s ~= me then finish(s.id, s, 'DEVICE_RECONNECTED')
  elseif standing == 'live' then
    standing = 'ended'
    table.remove(stay, 1)
    finish(id, me, 'DEVICE_RECONNECTED')
  end
end
if limit > 0 and #stay > limit then
  table.sort(stay, function(a, b) return a.order < b.order or (a.order == b.order and a.id < b.id) end)
  for at = 1, #stay - limit do
    if stay[at] == me then standing = 'ended' end
    finish(stay[at].id, stay[at], 'SESSION_LIMIT')
  end
end
claimAll(nil)
answer[1], answer[2], answer[3] = standing, string.format('%.0f', order), #gone
return answer`;

/** The connection is gone. KEYS: sessions, closing, details, ended. ARGV: connection id. Returns 1 if it had a place. */
export const REMOVE = `${NOW}
local answer = {}${END}
forbid(ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])`;

/** An ended connection has been told and closed. KEYS: closing, details. ARGV: connection id. */
export const CLOSED = `
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('HDEL', KEYS[2], ARGV[1])`;

/**
 * Leaves an ended connection to whoever comes next, or takes it on if nobody else has. KEYS: closing. ARGV: connection id, leave or take.
 * Returns 1 if it was taken on.
 */
export const HAND_OVER = `${NOW}
local from = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]))
if not from then return 0 end
if ARGV[2] == 'leave' then
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  return 0
end
if from > now and from <= now + ${CLAIM_MS} then return 0 end
redis.call('ZADD', KEYS[1], now + ${CLAIM_MS}, ARGV[1])
return 1`;

/** Ends a user's sessions, or those of a device. KEYS: sessions, closing, details, ended. ARGV: device or nothing. Returns whom to tell and close. */
export const LOG_OUT = `${NOW}${PARSE}
local answer = {}${END}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local s = parse(all[at + 1])
  if ARGV[1] == '' or s.device == ARGV[1] then finish(all[at], s, 'LOGGED_OUT') end
end
return answer`;
