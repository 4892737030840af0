-- Part of the scripts that include it: the sessions of one user.
--
-- Five keys hold them, in this order. Each holds the user's id in `{}`, so a cluster keeps them on one
-- node.
-- - `sessions`, a hash: connection id -> `ORDER DEVICE QUEUE` of each connection that has a slot.
-- - `closing`, a sorted set: connections that lost their slot and are not known to be closed yet. The score
--   is the moment at which the claim to tell and close the connection runs out.
-- - `details`, a hash: connection id -> `REASON QUEUE`, what the process that closes the connection must
--   know.
-- - `ended`, a sorted set: connections that never get a slot again, by the moment at which they lost
--   theirs.
-- - `logouts`, a hash: device -> the moment of its last logout. The empty name stands for all devices.
local keys = { sessions = KEYS[1], closing = KEYS[2], details = KEYS[3], ended = KEYS[4], logouts = KEYS[5] }

-- A connection without a frame for this long is no longer counted. Its next frame registers it again.
local SESSIONS_MS = 7 * 86400000

-- DEVICE of an entry where the client named none.
local NO_DEVICE = '-'
-- LIKENESS of an entry whose user asked for the slot. No likeness is written so.
local TAKES_OVER = '!'

-- Reads an entry of the hash `sessions`. DEVICE may have a likeness behind a `;`. QUEUE comes last, because
-- a subscription id may hold spaces.
local function parseSession(text)
  local order, look, queue = string.match(text, '^(%d+) (%S+) (.*)$')
  local device, likeness = string.match(look, '^([^;]*);?(.*)$')
  local session = { order = tonumber(order), device = device, likeness = likeness, queue = queue }
  if likeness == TAKES_OVER then session.takesOver, session.likeness = true, '' end
  return session
end

local function putSession(id, session)
  local look = session.device
  if session.takesOver then look = look .. ';' .. TAKES_OVER
  elseif session.likeness ~= '' then look = look .. ';' .. session.likeness end
  redis.call('HSET', keys.sessions, id, string.format('%.0f %s %s', session.order, look, session.queue))
  redis.call('PEXPIRE', keys.sessions, SESSIONS_MS)
end
