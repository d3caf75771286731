-- Posts one purchase over and over. Counts the answers by status: a sale is a 201, nothing else is.
-- In: the body in the environment's WRK_BODY. Out: one line of JSON after wrk's own, for gauges.py.

wrk.method = "POST"
wrk.body = os.getenv("WRK_BODY")
wrk.headers["Content-Type"] = "application/json"

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

sold, refused = 0, 0 -- of one thread; global, or thread:get would not find them

function response(status)
  if status == 201 then
    sold = sold + 1
  else
    refused = refused + 1
  end
end

function done(summary, latency)
  local sales, refusals = 0, 0
  for _, thread in ipairs(threads) do
    sales = sales + thread:get("sold")
    refusals = refusals + thread:get("refused")
  end
  local errors = summary.errors
  io.write(string.format(
    '{"seconds": %f, "sales": %d, "refusals": %d, "errors": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.duration / 1e6, sales, refusals,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
