-- Sends one request over and over, and counts the answers by status: a sale is a 201, a refusal a 409,
-- a look a 200; whatever else comes is a fault, however fast it came.
-- In, from the environment: WRK_METHOD, and for a POST WRK_BODY. An event `a:b:n` in the body stands
-- for one of the events a-0 to a-(n-1), in turn, and for `b` at every 100th request (b may be empty).
-- WRK_KEYS=random sends a random Idempotency-Key with each. Out: a line of JSON for gauges.py.

wrk.method = os.getenv("WRK_METHOD") or "POST"
wrk.body = os.getenv("WRK_BODY")
wrk.headers["Content-Type"] = wrk.body and "application/json"

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

-- Of one thread; global, or thread:get would not find them.
sold, refused, looked, faulty = 0, 0, 0, 0

function response(status)
  if status == 201 then
    sold = sold + 1
  elseif status == 409 then
    refused = refused + 1
  elseif status == 200 then
    looked = looked + 1
  else
    faulty = faulty + 1
  end
end

local asked, before, after = 0, nil, nil
local crowd, rare, events = (wrk.body or ""):match('"event":"([^:"]*):([^:"]*):(%d+)"')
local random_keys = os.getenv("WRK_KEYS") == "random"

-- Requests are put together once: only what differs is put in each time.
function init()
  if crowd then
    local _, start = wrk.body:find('"event":"', 1, true)
    local stop = wrk.body:find('"', start + 1, true)
    before, after = wrk.body:sub(1, start), wrk.body:sub(stop)
  end
  if random_keys then
    math.randomseed(os.time())
  end
end

local function key()
  return string.format("%08x-%04x-4%03x-9%03x-%06x%06x",
    math.random(0, 0x7fffffff), math.random(0, 0xffff), math.random(0, 0xfff),
    math.random(0, 0xfff), math.random(0, 0xffffff), math.random(0, 0xffffff))
end

local formatted = {}

local function varied()
  asked = asked + 1
  local event = crowd .. "-" .. asked % tonumber(events)
  if rare ~= "" and asked % 100 == 0 then
    event = rare
  end
  formatted[event] = formatted[event] or wrk.format(nil, nil, nil, before .. event .. after)
  return formatted[event]
end

if random_keys then
  function request()
    wrk.headers["Idempotency-Key"] = key()
    return wrk.format()
  end
elseif crowd then
  request = varied
end

function done(summary, latency)
  local sums = { sold = 0, refused = 0, looked = 0, faulty = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(sums) do
      sums[name] = sums[name] + thread:get(name)
    end
  end
  local errors = summary.errors
  io.write(string.format(
    '{"seconds": %f, "sales": %d, "refusals": %d, "looks": %d, "errors": %d,'
      .. ' "p50_ms": %f, "p99_ms": %f, "p999_ms": %f}\n',
    summary.duration / 1e6, sums.sold, sums.refused, sums.looked,
    sums.faulty + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3))
end
