-- The number of the event that `stored_on` belongs to: an instance of an earlier version moves the position and not the time.
-- Runs on MySQL 8.4, 9.7 and MariaDB 10.11.

ALTER TABLE stream_positions ADD stored_on_number BIGINT NULL;
