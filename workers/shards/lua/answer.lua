-- Send answers that no commit sends, and take their frames off the stream; or change nothing, if a
-- newer holder of the lock has read the same frames by now.
-- KEYS: meta, commands, then the answers stream of each frame
-- ARGV: token, through, keep_ms, then for each answer: index in KEYS, frame, body
-- Result: 'done' or 'fenced'
if tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) ~= tonumber(ARGV[1]) then return 'fenced' end
part(KEYS[1], KEYS[2], ARGV[2], 4, #ARGV, ARGV[3])
return 'done'
