-- Membership changes as events, read receipts, messages that a user deleted for themselves.
-- Runs on MySQL 8.4 and MariaDB 10.11.

-- Whom a system message is about. Its sender is who caused it.
ALTER TABLE messages
  ADD target_user_id BIGINT UNSIGNED NULL,
  ADD target_nickname VARCHAR(100) NULL;

-- Counts of who has not read a message run over the members below its seq only, without touching their rows.
ALTER TABLE room_members ADD KEY positions_in_a_room (room_id, last_read_seq);

CREATE TABLE hidden_messages (
  room_id BIGINT UNSIGNED NOT NULL,
  user_id BIGINT UNSIGNED NOT NULL,
  seq BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (room_id, user_id, seq)
) DEFAULT CHARSET = utf8mb4;

-- Changes of members that are committed, and whose consequences outside this database are still to come: taking a removed
-- user out of the room's groups, then publishing the announcement. Usually empty.
CREATE TABLE membership_outbox (
  outbox_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  room_id BIGINT UNSIGNED NOT NULL,
  removed_user_id BIGINT UNSIGNED NULL,
  -- the event to publish, as JSON; a one-to-one room is left without one
  event TEXT NULL,
  created_at DATETIME(3) NOT NULL,
  KEY outbox_of_a_room (room_id, outbox_id)
) DEFAULT CHARSET = utf8mb4;

-- Moves of read positions that are stored and not broadcast yet. A batch takes the rows it is about to broadcast and deletes
-- them afterwards; rows that stay taken belong to a process that died. Usually nearly empty.
CREATE TABLE read_outbox (
  read_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  room_id BIGINT UNSIGNED NOT NULL,
  user_id BIGINT UNSIGNED NOT NULL,
  previous_seq BIGINT UNSIGNED NOT NULL,
  previous_message_id BIGINT UNSIGNED NULL,
  last_seq BIGINT UNSIGNED NOT NULL,
  last_message_id BIGINT UNSIGNED NOT NULL,
  read_at DATETIME(3) NOT NULL,
  taken_by BINARY(16) NULL,
  taken_at DATETIME(3) NOT NULL,
  KEY reads_of_a_batch (taken_by, taken_at),
  KEY reads_of_a_room (room_id, taken_by)
) DEFAULT CHARSET = utf8mb4;
