-- See whether this is the ledger that the caller knows, and has all that the caller has seen of it.
-- KEYS: meta
-- ARGV: ledger (that the caller knows, or ''), seen (`is_older`)
-- Result: {ledger, committed, confirmed (a mark), older ('older' or '')}
local known = redis.call('HMGET', KEYS[1], 'ledger', 'committed', 'confirmed')
local ledger = known[1] or ''
local other = ARGV[1] ~= '' and ARGV[1] ~= ledger
local older = not other and is_older(KEYS[1], ARGV[2])
return { ledger, known[2] or '0', known[3] or '0', older and 'older' or '' }
