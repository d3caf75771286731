-- Put a frame of commands on the stream, and wake a worker unless one is at work: who gives the lock
-- back looks at the stream again. Only if it is newer than all that this lane put there before: so it
-- is safe to send twice, even if the frame was settled between; and what comes late from a connection
-- that its lane gave up changes nothing any more, once the same commands were sent through a new one.
-- KEYS: meta, lock, wake, commands, lane
-- ARGV: ledger, marks (`missing`), frames_max, keep_ms (of what is known of the lane), count, name (of the lane's
--       connection), frame, offset_ms, body
-- Result: 'appended', now or before; 'other' if this is not the ledger that the sender knows, 'older'
--         if it came back older than somebody has seen it, or 'full'
local known = redis.call('HMGET', KEYS[1], 'ledger', 'older', 'epoch', 'committed')
if (known[1] or '') ~= ARGV[1] then return 'other' end
if missing(KEYS[1], ARGV[2], known[2], known[3], known[4]) then return 'older' end
if tonumber(redis.call('GET', KEYS[5]) or 0) >= tonumber(ARGV[7]) then return 'appended' end
if redis.call('XLEN', KEYS[4]) >= tonumber(ARGV[3]) then return 'full' end
in_memory(function()
  redis.call('XADD', KEYS[4], '*', 'count', ARGV[5], 'lane', ARGV[6], 'frame', ARGV[7],
    'offset_ms', ARGV[8], 'body', ARGV[9])
  redis.call('SET', KEYS[5], ARGV[7], 'PX', ARGV[4])
end)
if redis.call('EXISTS', KEYS[2]) == 0 then wake(KEYS[3]) end
return 'appended'
