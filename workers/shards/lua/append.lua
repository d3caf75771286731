-- Put a frame of commands on the stream, once, and wake a worker unless one is at work: who gives the
-- lock back looks at the stream again. Safe to send twice, also when the frame was settled between.
-- KEYS: meta, lock, wake, commands, lane
-- ARGV: ledger, floor, frames_max, keep_ms (of what is known of the lane), count, lane (its name),
--       frame, offset_ms, body
-- Result: 'appended', now or before, 'other' if this is not the ledger that the sender knows, 'older'
--         if it came back older than somebody has seen it, 'old' if it is not the lane's present name,
--         or 'full'
if (redis.call('HGET', KEYS[1], 'ledger') or '') ~= ARGV[1] then return 'other' end
if is_older(KEYS[1], tonumber(ARGV[2])) then return 'older' end
local name, newest = string.match(redis.call('GET', KEYS[5]) or '', '^(%S+) (%d+)$')
if name ~= ARGV[6] then return 'old' end
if tonumber(newest) >= tonumber(ARGV[7]) then return 'appended' end
if redis.call('XLEN', KEYS[4]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('XADD', KEYS[4], '*', 'count', ARGV[5], 'lane', ARGV[6], 'frame', ARGV[7],
  'offset_ms', ARGV[8], 'body', ARGV[9])
redis.call('SET', KEYS[5], ARGV[6] .. ' ' .. ARGV[7], 'PX', ARGV[4])
if redis.call('EXISTS', KEYS[2]) == 0 then wake(KEYS[3]) end
return 'appended'
