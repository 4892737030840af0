-- Keeps a piece of a frame at its place. The first piece begins the frame again; the same piece again
-- changes nothing.
-- KEYS: the frame, a string. args: offset. ARGV[2]: the bytes, as they are, since JSON can't hold them.
-- Returns 1, or 0 where the bytes before the piece are not there any more.
local args = cjson.decode(ARGV[1])
-- Longer than a frame's pieces are waited for.
local PIECES_MS = 60000

if args.offset == 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', PIECES_MS)
  return 1
end
if redis.call('STRLEN', KEYS[1]) < args.offset then return 0 end
redis.call('SETRANGE', KEYS[1], args.offset, ARGV[2])
redis.call('PEXPIRE', KEYS[1], PIECES_MS)
return 1
