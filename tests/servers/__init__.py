"""Real Redis and Valkey servers for tests: one, a Cluster, a Sentinel's; and what cuts the wire."""
