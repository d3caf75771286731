-- Take the lock and read the frames that wait, in one step.
-- KEYS: meta, lock, wanted, commands
-- ARGV: owner, ttl_ms, commands_max, anyway ('1': take the lock even if nothing waits)
-- Result: {'held', ms until it expires} somebody else has it
--         {'idle', ledger, committed, now_ms}  nothing waits, the lock is not taken
--         {'mine', ledger, committed, now_ms, token, entries}  entries: up to commands_max commands,
--                                      but one frame at least
-- Who asks again after a lost reply gets the lock again, with a newer token.
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[2])
  if ARGV[4] == '1' then redis.call('SET', KEYS[3], 1, 'PX', math.max(left, 1) + 1000) end
  return { 'held', left }
end
local known = redis.call('HMGET', KEYS[1], 'ledger', 'committed')
local ledger, committed = known[1] or '', known[2] or '0'
local most = tonumber(ARGV[3])
local taken = most > 0 and read(KEYS[4], most) or {}
if #taken == 0 and ARGV[4] ~= '1' then return { 'idle', ledger, committed, now_ms() } end
return { 'mine', ledger, committed, now_ms(), hold(KEYS[1], KEYS[2], ARGV[1], ARGV[2]), taken }
