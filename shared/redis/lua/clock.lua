-- Part of the scripts that include it: `now`, the moment of this call in milliseconds since 1970.
-- It is Redis's own clock, so processes whose clocks differ agree on it. A test hands in a moment instead,
-- as `args.now`; production never does.
local now = args.now
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
