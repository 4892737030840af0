-- Who shows what is stored of a stream, and until when nobody else does: two that showed the same messages side by side would show
-- them out of order to somebody who subscribes meanwhile.
-- Runs on MySQL 8.4, 9.7 and MariaDB 10.11.

ALTER TABLE stream_positions
  ADD broadcast_by CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD broadcast_until DATETIME(3) NULL;
