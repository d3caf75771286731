"""Redis as many hosts share it: where it is, what its keys are, and a worker's turn at one shard.

A shard is the unit of lock, stream and script: its keys have one hash tag, so that one script may
touch them all, in a cluster too. `ledgers.redis`, `locks.RedisLock` and `handoffs.redis_stream`
are views on what stands here.
"""
