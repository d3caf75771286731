-- Put a frame of commands on the stream, and wake a worker unless one is at work: who gives the lock
-- back looks at the stream again.
-- KEYS: meta, lock, wake, commands   ARGV: ledger, count, lane, frame, offset_ms, body
-- Result: now_ms, or 'other' if this is not the ledger that the sender knows
if (redis.call('HGET', KEYS[1], 'ledger') or '') ~= ARGV[1] then return 'other' end
redis.call('XADD', KEYS[4], '*', 'count', ARGV[2], 'lane', ARGV[3], 'frame', ARGV[4],
  'offset_ms', ARGV[5], 'body', ARGV[6])
if redis.call('EXISTS', KEYS[2]) == 0 then wake(KEYS[3]) end
return now_ms()
