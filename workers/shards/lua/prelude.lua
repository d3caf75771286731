-- What several scripts share; it stands before each of them.

-- Write what only the living need into memory alone: not to the disk, nor to replicas. It is lost when
-- the server restarts or another one takes over; that breaks whatever waits here, and who waits asks again.
local function in_memory(write)
  redis.set_repl(redis.REPL_NONE)
  write()
  redis.set_repl(redis.REPL_ALL)
end

-- Wake one worker that waits for work or for the lock. One element is enough: who wakes looks at all.
local function wake(list)
  if redis.call('LLEN', list) == 0 then
    in_memory(function() redis.call('LPUSH', list, 1) end)
  end
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Return the token of a batch that the caller, or anybody before, has seen and that is missing here: the
-- ledger came back older. Once found, that is for everybody, and whoever is at work is fenced.
-- marks: '<token> <epoch>' of batches that the caller has seen, with commas between; '': any ledger will do.
--        What was seen in an epoch that is over must be among the batches with which it ended; an epoch
--        that never ended here was lost with all its batches.
-- older, current, committed: fields of meta as they are now.
local function missing(meta, marks, older, current, committed)
  if marks == '' then return nil end
  if older then return older end
  local looked = false
  for token, epoch in string.gmatch(marks, '(%d+) (%w*)') do
    local reached = epoch == (current or '') and committed or redis.call('HGET', meta, 'ended:' .. epoch)
    if tonumber(reached or 0) < tonumber(token) then
      redis.call('HSET', meta, 'older', token)
      redis.call('HINCRBY', meta, 'fence', 1)
      return token
    end
    looked = true
  end
  if not looked then error('no marks: ' .. marks) end
  return nil
end

-- Read the frames that wait, up to so many commands, but one frame at least.
local function read(commands, most)
  local taken, count = {}, 0
  for _, entry in ipairs(redis.call('XRANGE', commands, '-', '+', 'COUNT', 64)) do
    local size = tonumber(entry[2][2]) or 1 -- `count` is the first field
    if #taken > 0 and count + size > most then break end
    taken[#taken + 1], count = entry, count + size
  end
  return taken
end

-- Have the lock, and a new fencing token: what was sent under an older one can no longer commit.
local function hold(meta, lock, owner, ttl_ms)
  redis.call('SET', lock, owner, 'PX', ttl_ms)
  return redis.call('HINCRBY', meta, 'fence', 1)
end

-- Send the answers, and take their frames off the stream.
-- answers: ARGV from `first` on, (index in KEYS, frame, body) for each frame; through: the last frame's id;
-- confirmed: the mark of the newest batch that is confirmed with them.
local function part(commands, through, first, last, keep_ms, confirmed)
  in_memory(function()
    for i = first, last, 3 do
      local stream = KEYS[tonumber(ARGV[i])]
      -- A stream that is none shall stop nobody else: its lane asks again, under another name.
      redis.pcall('XADD', stream, 'MAXLEN', 64, '*', 'frame', ARGV[i + 1], 'body', ARGV[i + 2],
        'confirmed', confirmed)
      redis.pcall('PEXPIRE', stream, keep_ms)
    end
  end)
  if through ~= '' then
    local time, sequence = string.match(through, '(%d+)-(%d+)')
    redis.call('XTRIM', commands, 'MINID', string.format('%s-%d', time, sequence + 1))
  end
end

-- Give the lock back, if it is still this owner's, and wake who may want it.
local function release(lock, wanted, list, commands, owner)
  if redis.call('GET', lock) ~= owner then return end
  redis.call('DEL', lock)
  if redis.call('DEL', wanted) == 1 or redis.call('XLEN', commands) > 0 then wake(list) end
end
