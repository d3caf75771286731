-- Send answers that no commit sends, and take their frames off the stream; or change nothing, if a
-- newer holder of the lock has read the same frames by now.
-- KEYS: meta, commands, then the answers stream of each frame
-- ARGV: token, through, keep_ms, confirms ('1': with what was written before them, which is safe by now),
--       then for each answer: index in KEYS, frame, body
-- Result: {'done', confirmed (a mark)} or {'fenced'}
local known = redis.call('HMGET', KEYS[1], 'fence', 'changed', 'confirmed')
if tonumber(known[1] or 0) ~= tonumber(ARGV[1]) then return { 'fenced' } end
local confirmed = known[3] or '0'
if ARGV[4] == '1' then
  confirmed = known[2] or '0'
  redis.call('HSET', KEYS[1], 'confirmed', confirmed)
end
part(KEYS[2], ARGV[2], 5, #ARGV, ARGV[3], confirmed)
return { 'done', confirmed }
