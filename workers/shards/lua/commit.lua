-- Write one batch, send its answers, take its frames off the stream, and give the lock back or begin
-- the next turn; or change nothing. Durable when the reply comes, where the server syncs each write.
-- Safe to send twice: the second time the token is not newer than the last that committed.
-- KEYS: meta, lock, wanted, wake, commands, events, orders,
--       then journal, tickets, bought of each event, then the answers stream of each frame
-- ARGV: ledger ('' : there is none yet, nor anything to keep; the fence and the answers are written, but
--       nothing counts as committed), token, valid_until_ms, owner, ttl_ms,
--       commands_max (of the next turn; 0: none, a worker is woken for what waits),
--       through, keep_ms, number of events, number of sales, number of cancels, number of answers,
--       marks (`missing`);
--       for each event: id, entries before, tickets before, JSON,
--         number of entries, the entries, number of sales, (entry, quantity) of each,
--         number of counts, (buyer, tickets) of each;
--       for each sale: order id, order; for each cancel: order id, order;
--       for each answer: index in KEYS, frame, body
-- Result: {'done', changed (a mark)}, or {'done', changed, now_ms, token, entries} with the next turn begun
--         as by take.lua; {'other'}, {'older', token of a batch that is missing}, {'fenced'}, {'late'}, or
--         {'broken …'} (a last wall: the ledger is not what the batch was decided on)
local ledger, token = ARGV[1], tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[1], 'ledger', 'fence', 'committed', 'epoch', 'changed', 'older')
if (known[1] or '') ~= ledger then return { 'other' } end
local lost = missing(KEYS[1], ARGV[13], known[6], known[4], known[3])
if lost then return { 'older', lost } end
if tonumber(known[2] or 0) > token or tonumber(known[3] or 0) >= token then return { 'fenced' } end
if now_ms() > tonumber(ARGV[3]) then return { 'late' } end
-- Rights are looked at call by call: one that is missing would stop the script in its middle.
for name in string.gmatch('HSET HDEL RPUSH XADD PEXPIRE XTRIM DEL SET HINCRBY LPUSH', '%u+') do
  if not redis.acl_check_cmd(name, KEYS[1], KEYS[1], KEYS[1], KEYS[1]) then
    return redis.error_reply('NOPERM this user may not run ' .. name)
  end
end
local events, sales, cancels, answers =
  tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])

-- The first pass checks and remembers where each part begins; only the second writes.
local at, places = 14, {}
for event = 1, events do
  local id, journal, tickets = ARGV[at], KEYS[5 + 3 * event], KEYS[6 + 3 * event]
  if redis.call('LLEN', journal) ~= tonumber(ARGV[at + 1]) then return { 'broken journal of ' .. id } end
  if redis.call('LLEN', tickets) ~= tonumber(ARGV[at + 2]) then return { 'broken tickets of ' .. id } end
  local entries = at + 4
  local sold = entries + 1 + tonumber(ARGV[entries])
  local counts = sold + 1 + 2 * tonumber(ARGV[sold])
  places[event] = { at, entries, sold, counts }
  at = counts + 1 + 2 * tonumber(ARGV[counts])
end
local orders, after_orders = at, at + 2 * (sales + cancels)
for i = orders, orders + 2 * sales - 1, 2 do
  if redis.call('HEXISTS', KEYS[7], ARGV[i]) == 1 then return { 'broken order, sold before' } end
end

for event = 1, events do
  local start, entries, sold, counts = unpack(places[event])
  local journal, tickets, bought = KEYS[5 + 3 * event], KEYS[6 + 3 * event], KEYS[7 + 3 * event]
  redis.call('HSET', KEYS[6], ARGV[start], ARGV[start + 3])
  for i = entries + 1, sold - 1, 1000 do -- unpack takes some 8,000 values at most
    redis.call('RPUSH', journal, unpack(ARGV, i, math.min(i + 999, sold - 1)))
  end
  for i = sold + 1, counts - 1, 2 do
    local row = {}
    for number = 1, tonumber(ARGV[i + 1]) do row[number] = ARGV[i] end
    redis.call('RPUSH', tickets, unpack(row)) -- an order has 1,000 tickets at most
  end
  for i = counts + 1, counts + 2 * tonumber(ARGV[counts]), 2 do
    if ARGV[i + 1] == '0' then
      redis.call('HDEL', bought, ARGV[i])
    else
      redis.call('HSET', bought, ARGV[i], ARGV[i + 1])
    end
  end
end
for i = orders, after_orders - 1, 1000 do
  redis.call('HSET', KEYS[7], unpack(ARGV, i, math.min(i + 999, after_orders - 1)))
end
local changed = events > 0 and ARGV[2] .. ' ' .. (known[4] or '') or known[5] or '0'
local far = { 'fence', token, 'changed', changed }
if ledger ~= '' then far[5], far[6] = 'committed', token end
if ARGV[7] ~= '' then far[#far + 1], far[#far + 2] = 'confirmed', changed end
redis.call('HSET', KEYS[1], unpack(far))
if ARGV[7] ~= '' then
  part(KEYS[5], ARGV[7], after_orders, after_orders + 3 * answers - 1, ARGV[8], changed)
end
local most, mine = tonumber(ARGV[6]), redis.call('GET', KEYS[2]) == ARGV[4]
local next_frames = mine and most > 0 and redis.call('EXISTS', KEYS[3]) == 0 and read(KEYS[5], most) or {}
if #next_frames > 0 then
  return { 'done', changed, now_ms(), hold(KEYS[1], KEYS[2], ARGV[4], ARGV[5]), next_frames }
end
release(KEYS[2], KEYS[3], KEYS[4], KEYS[5], ARGV[4])
return { 'done', changed }
