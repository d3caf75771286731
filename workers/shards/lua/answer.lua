-- Send answers that no commit sends, and take their frames off the stream; or change nothing, if a
-- newer holder of the lock has read the same frames by now.
-- KEYS: meta, commands, then the answers stream of each frame
-- ARGV: token, through, keep_ms, confirms ('1': with what was written before them, which is safe by now),
--       then for each answer: index in KEYS, frame, body
-- Result: 'done' or 'fenced'
if tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) ~= tonumber(ARGV[1]) then return 'fenced' end
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'confirmed', redis.call('HGET', KEYS[1], 'changed') or '0') end
part(KEYS[2], ARGV[2], 5, #ARGV, ARGV[3], redis.call('HGET', KEYS[1], 'confirmed') or '0')
return 'done'
