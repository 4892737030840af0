-- What counts as unread: no system messages, nothing that a user deleted for themselves, and nothing for users who never came.
-- Also one message for a whole invitation, the renaming of a group, and answers that are given again.
-- Runs on MySQL 8.4, 9.7 and MariaDB 10.11.

-- `uncounted`: how many of the room's messages up to this one, and including it, are system messages. A number of unread messages
-- is a difference of `seq` less the difference of this, so it stays a subtraction.
ALTER TABLE messages
  MODIFY type ENUM('TEXT', 'IMAGE', 'SYSTEM_INVITE', 'SYSTEM_LEAVE', 'SYSTEM_KICK', 'SYSTEM_RENAME') NOT NULL,
  ADD uncounted BIGINT UNSIGNED NOT NULL DEFAULT 0,
  -- of an invitation: all of them, as a JSON list of {userId, nickname}; 500 long nicknames take more than the 64 KiB of TEXT
  ADD targets MEDIUMTEXT NULL,
  -- of a renaming: the new name
  ADD room_name VARCHAR(100) NULL;

UPDATE messages m JOIN (
    SELECT message_id, SUM(type LIKE 'SYSTEM%') OVER (PARTITION BY room_id ORDER BY seq) AS uncounted FROM messages
  ) n ON n.message_id = m.message_id
  SET m.uncounted = n.uncounted WHERE n.uncounted > 0;

ALTER TABLE membership_outbox MODIFY event MEDIUMTEXT NULL;

-- `last_uncounted`: that of the last message. `awaited_count`: how many of the members are users who never came.
ALTER TABLE rooms
  ADD last_uncounted BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ADD awaited_count INT UNSIGNED NOT NULL DEFAULT 0;

UPDATE rooms r JOIN messages l ON l.message_id = r.last_message_id SET r.last_uncounted = l.uncounted;

-- `last_read_uncounted`: that of the message at `last_read_seq`. `hidden_unread`: how many of the messages above that the member has deleted
-- for themselves, without system messages.
ALTER TABLE room_members
  ADD last_read_uncounted BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ADD hidden_unread INT UNSIGNED NOT NULL DEFAULT 0;

UPDATE room_members m JOIN messages p ON p.room_id = m.room_id AND p.seq = m.last_read_seq
  SET m.last_read_uncounted = p.uncounted;

UPDATE room_members m JOIN (
    SELECT o.room_id, o.user_id, COUNT(*) AS hidden_unread
      FROM room_members o
      JOIN hidden_messages h ON h.room_id = o.room_id AND h.user_id = o.user_id AND h.seq > o.last_read_seq
      JOIN messages l ON l.room_id = h.room_id AND l.seq = h.seq
     WHERE l.type NOT LIKE 'SYSTEM%' GROUP BY o.room_id, o.user_id
  ) n ON n.room_id = m.room_id AND n.user_id = m.user_id
  SET m.hidden_unread = n.hidden_unread;

-- A user has been here from their first verified token. AWAITED: never yet, but somebody has made them a member. ARRIVING: has come, and
-- memberships from before are being given a position.
ALTER TABLE users ADD presence ENUM('AWAITED', 'ARRIVING', 'PRESENT') NOT NULL DEFAULT 'PRESENT';

-- Until now only those with a nickname or a picture were noted. Who made a room, wrote or read was here, too.
INSERT IGNORE INTO users (user_id, updated_at)
  SELECT creator_id, UTC_TIMESTAMP(3) FROM rooms
  UNION SELECT sender_id, UTC_TIMESTAMP(3) FROM messages
  UNION SELECT user_id, UTC_TIMESTAMP(3) FROM room_members WHERE last_read_seq > joined_seq;

INSERT IGNORE INTO users (user_id, updated_at, presence)
  SELECT DISTINCT user_id, UTC_TIMESTAMP(3), 'AWAITED' FROM room_members;

-- The position of who is awaited lies beyond every message, so that whatever counts positions passes over them.
UPDATE room_members m JOIN users u ON u.user_id = m.user_id
  SET m.last_read_seq = 9007199254740991, m.last_read_message_id = NULL, m.last_read_uncounted = 0, m.hidden_unread = 0
  WHERE u.presence = 'AWAITED';

UPDATE rooms r JOIN (
    SELECT room_id, COUNT(*) AS awaited FROM room_members WHERE last_read_seq = 9007199254740991 GROUP BY room_id
  ) n ON n.room_id = r.room_id
  SET r.awaited_count = n.awaited;

-- Answers to calls with an Idempotency-Key, written in the transaction that makes what they answer, kept for a day.
CREATE TABLE idempotency_keys (
  user_id BIGINT UNSIGNED NOT NULL,
  key_hash BINARY(16) NOT NULL,
  request_hash BINARY(16) NOT NULL,
  answer TEXT NOT NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (user_id, key_hash),
  KEY keys_by_age (created_at)
) DEFAULT CHARSET = utf8mb4;
