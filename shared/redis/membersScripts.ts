/**
 * Lua scripts of the members cache. Both keys of a room hold its id in `{}`, so they share a cluster slot.
 * A set filled from what was read before a change must never survive that change; so each drop raises the
 * version, and a fill of an older version does nothing.
 */

/** KEYS: members. ARGV: user id. Returns 1 member, 0 no member, -1 unknown. */
export const IS_MEMBER = `
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return 1 end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return -1`;

/** KEYS: members, version. ARGV: version read before, seconds to live, user ids… */
export const PUT_MEMBERS = `
if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
for first = 3, #ARGV, 1000 do
  redis.call('SADD', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1`;

/** KEYS: members, version. ARGV: seconds for which a version must be remembered. */
export const DROP_MEMBERS = `
redis.call('DEL', KEYS[1])
redis.call('INCR', KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1`;
