-- When the bus took the event that was stored last: it tells a log that went back, whose numbers were given a second time.
-- Runs on MySQL 8.4, 9.7 and MariaDB 10.11.

ALTER TABLE stream_positions ADD stored_on DATETIME(3) NULL;
