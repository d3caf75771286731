-- Begin an epoch, as the first thing on each connection through which batches may be committed. So whatever
-- the server lost before, when it restarted, was restored or took over from another one, lies beyond the end
-- of an epoch, and no later batch can be taken for it (as with leader epochs in Kafka's KIP-101).
-- An epoch in which nothing was changed needs no end: nobody has seen anything in it that is here.
-- KEYS: meta   ARGV: epoch (a name that nothing had before)
local known = redis.call('HMGET', KEYS[1], 'epoch', 'changed', 'committed')
local last = known[1] or ''
if last == '' or string.match(known[2] or '', ' (%w*)$') == last then
  redis.call('HSET', KEYS[1], 'ended:' .. last, known[3] or '0')
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
