-- KEYS: a connection's subscriptions (noteSubscription.lua). Returns them, the oldest first.
return redis.call('ZRANGE', KEYS[1], 0, -1)
