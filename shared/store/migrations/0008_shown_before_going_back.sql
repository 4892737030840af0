-- Where a log went back, events are read again that were stored and shown before: messages up to this one are not shown again.
-- Runs on MySQL 8.4, 9.7 and MariaDB 10.11.

ALTER TABLE stream_positions ADD shown_message_id BIGINT UNSIGNED NULL;
