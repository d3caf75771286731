"""Redis mode as its operators see it: several hosts, several shards, every kind of Redis."""
