-- The common part of all loads. Go puts it before the load's own script, which defines prepare().
-- Options are NAME=VALUE after the URL.

options = {}

local threads = {}

-- setup runs in the main state, once for each thread.
function setup(thread)
  table.insert(threads, thread)
  thread:set("number", #threads)
end

-- init runs in each thread. With the options expect or header, every answer is checked; that slows
-- wrk down, so only unmeasured loads use them. With the option answers, the thread stops after that
-- many.
function init(args)
  for _, arg in ipairs(args) do
    local name, value = arg:match("^(%w+)=(.*)$")
    options[name] = value
  end
  wrong = 0
  if options.expect or options.header then
    function response(_, headers, body)
      local good = not options.expect or body:find(options.expect, 1, true)
      if not good or options.header and not headers[options.header] then
        wrong = wrong + 1
        sample = body
      end
      if options.answers then
        options.answers = options.answers - 1
        if options.answers == 0 then wrk.thread:stop() end
      end
    end
  end
  if options.caller then
    wrk.headers["X-Api-Key"] = content(options.caller)
  end
  prepare()
end

-- prepare is overridden by loads other than a plain GET.
function prepare() end

function content(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- done runs in the main state. Times are in microseconds.
function done(summary, latency, _)
  local wrong = 0
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("wrong")
    if thread:get("sample") then
      print("unexpected answer: " .. thread:get("sample"):sub(1, 200))
    end
  end
  local errors = summary.errors
  print(string.format(
    "figures requests=%d duration=%d p50=%d p99=%d connect=%d read=%d write=%d timeout=%d status=%d wrong=%d",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status, wrong))
end
