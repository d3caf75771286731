-- Put a frame of commands on the stream, and wake a worker unless one is at work: who gives the lock
-- back looks at the stream again.
-- KEYS: meta, lock, wake, commands
-- ARGV: ledger, floor, frames_max, count, lane, frame, offset_ms, body,
--       again ('1': it may be there already, because the reply to the first time was not asked for)
-- Result: 'appended', 'other' if this is not the ledger that the sender knows, 'older' if it came back
--         older than somebody has seen it, or 'full'
if (redis.call('HGET', KEYS[1], 'ledger') or '') ~= ARGV[1] then return 'other' end
if is_older(KEYS[1], tonumber(ARGV[2])) then return 'older' end
if redis.call('XLEN', KEYS[4]) >= tonumber(ARGV[3]) then return 'full' end
if ARGV[9] == '1' then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[4], '-', '+')) do
    if entry[2][4] == ARGV[5] and entry[2][6] == ARGV[6] then return 'appended' end
  end
end
redis.call('XADD', KEYS[4], '*', 'count', ARGV[4], 'lane', ARGV[5], 'frame', ARGV[6],
  'offset_ms', ARGV[7], 'body', ARGV[8])
if redis.call('EXISTS', KEYS[2]) == 0 then wake(KEYS[3]) end
return 'appended'
