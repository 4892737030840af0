/**
 * A user's subscription ids on one destination: a set of `CONNECTION ID`. Those of connections that have no place among the user's sessions any more are left out, and dropped.
 * KEYS: the user's sessions, the destination's ids. ARGV: connection, id, limit, milliseconds to live. Returns 1, or 0 where the limit is reached.
 */
export const TAKE_ID = `
local connection, id, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local ids, count = {}, 0
for _, entry in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  local owner, its = string.match(entry, '^(%S+) (.*)$')
  if owner ~= connection and redis.call('HEXISTS', KEYS[1], owner) == 0 then
    redis.call('SREM', KEYS[2], entry)
  elseif not ids[its] then
    ids[its] = true
    count = count + 1
  end
end
if not ids[id] and count >= limit then return 0 end
redis.call('SADD', KEYS[2], connection .. ' ' .. id)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1`;

/** KEYS: the destination's ids. ARGV: connection, id. */
export const LEAVE_ID = `
return redis.call('SREM', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])`;

/** Longer than a SUBSCRIBE and the answer to it can be under way; from then on the connection's state knows the subscription. */
const NOTED_MS = 600_000;

/**
 * Notes a subscription of a connection: a sorted set of `LANE ID`, by the moment. KEYS: the user's ended connections, the connection's subscriptions. ARGV: connection, lane, id. Returns 1, or 0
 * where the connection has gone or ended.
 */
export const NOTE_SUBSCRIPTION = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[2], now, ARGV[2] .. ' ' .. ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ${NOTED_MS})
redis.call('PEXPIRE', KEYS[2], ${NOTED_MS})
return 1`;

/** KEYS: the connection's subscriptions. */
export const NOTED_SUBSCRIPTIONS = `
return redis.call('ZRANGE', KEYS[1], 0, -1)`;
