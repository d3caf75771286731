-- One sale, whole: a key known already gets its order, else stock and ticket numbers are taken and
-- the order and its journal entry written. Nothing comes between the first line and the last.
-- KEYS: the order by its purchase's key, the event's counts (a hash), the event's journal (a list).
-- ARGV: how many tickets, and the order without their numbers, which stand before it when it is kept.
-- Returns {"sold", first number}, {"replayed", order}, {"sold-out", remaining} or {"unknown-event"}.

local earlier = redis.call('GET', KEYS[1])
if earlier then
  return {'replayed', earlier}
end
local counts = redis.call('HMGET', KEYS[2], 'capacity', 'sold')
if not counts[1] then
  return {'unknown-event'}
end
local quantity, sold = tonumber(ARGV[1]), tonumber(counts[2])
local remaining = tonumber(counts[1]) - sold
if quantity > remaining then
  return {'sold-out', remaining}
end
redis.call('HINCRBY', KEYS[2], 'sold', quantity)
redis.call('SET', KEYS[1], (sold + 1) .. ' ' .. ARGV[2])
redis.call('RPUSH', KEYS[3], (sold + 1) .. ' ' .. quantity .. ' ' .. KEYS[1])
return {'sold', sold + 1}
