-- Subscribers who take several frames in one WebSocket message are in groups of their own, and so their ids are noted apart.
-- Runs on MySQL 8.4 and MariaDB 10.11.

ALTER TABLE subscription_ids
  ADD packed TINYINT NOT NULL DEFAULT 0,
  DROP PRIMARY KEY,
  ADD PRIMARY KEY (destination, subscription_id, packed);
