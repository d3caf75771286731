-- See whether this is the ledger that the caller knows, and has all that the caller has seen of it.
-- KEYS: meta
-- ARGV: ledger (that the caller knows, or ''), marks (`missing`)
-- Result: {ledger, confirmed (a mark), token of a batch that is missing, or ''}
local known = redis.call('HMGET', KEYS[1], 'ledger', 'confirmed', 'older', 'epoch', 'committed')
local ledger, lost = known[1] or '', nil
if ARGV[1] == '' or ARGV[1] == ledger then
  lost = missing(KEYS[1], ARGV[2], known[3], known[4], known[5])
end
return { ledger, known[2] or '0', lost or '' }
