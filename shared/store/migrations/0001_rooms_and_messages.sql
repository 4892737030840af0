-- Rooms, members, messages, and how far each partition of the stream has been stored and shown.
-- Runs on MySQL 8.4 and MariaDB 10.11.

CREATE TABLE users (
  user_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  nickname VARCHAR(100) NULL,
  profile_image_url VARCHAR(2048) NULL,
  updated_at DATETIME(3) NOT NULL
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE rooms (
  room_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  type ENUM('ONE_TO_ONE', 'GROUP') NOT NULL,
  name VARCHAR(100) NULL,
  image_url VARCHAR(2048) NULL,
  creator_id BIGINT UNSIGNED NOT NULL,
  -- 'smaller:larger' user id of a one-to-one room, so that two calls at once make one room
  pair_key VARCHAR(41) CHARACTER SET ascii COLLATE ascii_bin NULL,
  member_count INT UNSIGNED NOT NULL,
  last_seq BIGINT UNSIGNED NOT NULL DEFAULT 0,
  last_message_id BIGINT UNSIGNED NULL,
  last_activity_at DATETIME(3) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  UNIQUE KEY one_room_a_pair (pair_key)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE room_members (
  room_id BIGINT UNSIGNED NOT NULL,
  user_id BIGINT UNSIGNED NOT NULL,
  joined_at DATETIME(3) NOT NULL,
  -- the room's last_seq on joining: what stands at or below it is not this member's history
  joined_seq BIGINT UNSIGNED NOT NULL DEFAULT 0,
  last_read_seq BIGINT UNSIGNED NOT NULL DEFAULT 0,
  last_read_message_id BIGINT UNSIGNED NULL,
  PRIMARY KEY (room_id, user_id),
  KEY rooms_of_a_user (user_id, room_id)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE messages (
  message_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  room_id BIGINT UNSIGNED NOT NULL,
  seq BIGINT UNSIGNED NOT NULL,
  sender_id BIGINT UNSIGNED NOT NULL,
  sender_nickname VARCHAR(100) NOT NULL,
  -- as JSON, so that the string "5" and the number 5 stay what they are
  client_message_id VARCHAR(400) NULL,
  dedupe_key BINARY(16) NOT NULL,
  type ENUM('TEXT', 'IMAGE', 'SYSTEM_INVITE', 'SYSTEM_LEAVE', 'SYSTEM_KICK') NOT NULL,
  content TEXT NOT NULL,
  sent_at DATETIME(3) NOT NULL,
  UNIQUE KEY place_in_room (room_id, seq),
  UNIQUE KEY stored_once (room_id, dedupe_key)
) DEFAULT CHARSET = utf8mb4;

-- A hub that was made anew counts from 0 again, so a position belongs to a hub's creation time.
CREATE TABLE stream_positions (
  hub VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  partition_id VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  hub_created_on DATETIME(3) NOT NULL,
  stored_sequence_number BIGINT NOT NULL,
  broadcast_sequence_number BIGINT NOT NULL,
  PRIMARY KEY (hub, partition_id, hub_created_on)
) DEFAULT CHARSET = utf8mb4;

-- The subscription ids in use on each destination, as they stand on the wire: one broadcast call each.
CREATE TABLE subscription_ids (
  destination VARBINARY(40) NOT NULL,
  subscription_id VARBINARY(512) NOT NULL,
  PRIMARY KEY (destination, subscription_id)
) DEFAULT CHARSET = utf8mb4;
