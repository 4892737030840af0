-- What tells a hub from an earlier one of the same name: of Event Hubs its creation time, of Kafka the topic's id.
-- The version before reads and moves positions by `hub_created_on`, so the column stays until no such version runs any more.
-- Runs on MySQL 8.4, 9.7 and MariaDB 10.11.

ALTER TABLE stream_positions ADD hub_id VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' AFTER partition_id;

UPDATE stream_positions
  SET hub_id = CONCAT(LEFT(DATE_FORMAT(hub_created_on, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z') WHERE hub_created_on IS NOT NULL;

ALTER TABLE stream_positions
  MODIFY hub_created_on DATETIME(3) NULL,
  DROP PRIMARY KEY,
  ADD PRIMARY KEY (hub, partition_id, hub_id);
