-- Give the lock back, if it is this owner's: for its owner, or for the pool of one that died.
-- KEYS: lock, wanted, wake, commands   ARGV: owner
release(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1])
return 'done'
