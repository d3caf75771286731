-- Claim order ids, which are at home in this shard, for the shard that is about to sell them.
-- KEYS: claims   ARGV: shard, ids   Result: the ids that are another shard's already
local others = {}
for i = 2, #ARGV do
  if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[1]) == 0
    and redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[1] then
    others[#others + 1] = ARGV[i]
  end
end
return others
