/**
 * Keeps a piece of a frame at its place. KEYS: the frame. ARGV: offset, bytes, milliseconds to live. The first piece begins anew; the same again changes nothing. Returns
 * 1, or 0 where what stands before it is not there any more.
 */
export const KEEP_PIECE = `
local offset = tonumber(ARGV[1])
if offset == 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
if redis.call('STRLEN', KEYS[1]) < offset then return 0 end
redis.call('SETRANGE', KEYS[1], offset, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`;
