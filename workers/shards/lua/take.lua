-- Take the lock and read the frames that wait, in one step.
-- KEYS: meta, lock, wanted, commands
-- ARGV: owner, ttl_ms, commands_max, anyway ('1': take the lock even if nothing waits),
--       ledger (that the worker knows, or ''), marks (`missing`)
-- Result: {'other', ledger}             it is not the ledger that the worker knows
--         {'older', ledger, token}      it came back older: the batch of this token is missing
--         {'held', ledger, confirmed}   somebody else has the lock
--         {'idle', ledger, confirmed, now_ms}  nothing waits, the lock is not taken
--         {'mine', ledger, confirmed, now_ms, token, entries}  entries: up to commands_max commands,
--                                       but one frame at least; confirmed: a mark
-- Who asks again after a lost reply gets the lock again, with a newer token.
local known = redis.call('HMGET', KEYS[1], 'ledger', 'confirmed', 'older', 'epoch', 'committed')
local ledger, confirmed = known[1] or '', known[2] or '0'
if ARGV[5] ~= '' and ARGV[5] ~= ledger then return { 'other', ledger } end
local lost = missing(KEYS[1], ARGV[6], known[3], known[4], known[5])
if lost then return { 'older', ledger, lost } end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then
  if ARGV[4] == '1' then
    redis.call('SET', KEYS[3], 1, 'PX', math.max(redis.call('PTTL', KEYS[2]), 1) + 1000)
  end
  return { 'held', ledger, confirmed }
end
local most = tonumber(ARGV[3])
local taken = most > 0 and read(KEYS[4], most) or {}
if #taken == 0 and ARGV[4] ~= '1' then return { 'idle', ledger, confirmed, now_ms() } end
return { 'mine', ledger, confirmed, now_ms(), hold(KEYS[1], KEYS[2], ARGV[1], ARGV[2]), taken }
