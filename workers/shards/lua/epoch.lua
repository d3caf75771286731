-- Begin an epoch, unless the last one was begun on this very run of this server. That is done on each new
-- connection before anything could be committed through it. So whatever a server lost, when it restarted or
-- took over, lies beyond the end of an epoch, and no later batch can be taken for it (as in KIP-101).
-- KEYS: meta
-- ARGV: run (what this run of this server calls itself), epoch (a name that nothing had before)
local known = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'committed')
if known[1] ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'ended:' .. (known[2] or ''), known[3] or '0', 'run', ARGV[1], 'epoch', ARGV[2])
end
