-- rate_limit: so many calls in so many seconds. A bucket of `burst` calls that fills up evenly; it lies in
-- lunette.shared, so a reload does not refill it.
local lunette = require "lunette"
local options = require "lunette.policy.options"

return options.policy("rate_limit", {
  tools = options.selector "*",
  calls = options.count(options.REQUIRED),
  per = options.number(60, 0.01), -- seconds
  burst = options.count(), -- calls at once; `calls` unless given
  by = options.by "session", -- who has a bucket of their own
}, function(o)
  local space, rate = options.space "rate_limit", o.calls / o.per
  local burst = o.burst or o.calls

  -- Seconds until there is room, 0 when there is. Nothing here waits, so nobody comes in between.
  local function take(key)
    local now = lunette.now()
    local bucket = lunette.shared.get(key) or { left = burst, at = now }
    local left = math.min(burst, bucket.left + math.max(0, now - bucket.at) * rate)
    if left < 1 then return (1 - left) / rate end
    -- A full bucket says as much as none.
    lunette.shared.set(key, { left = left - 1, at = now }, burst / rate + 1)
    return 0
  end

  lunette.on("tools/call", o.tools, function(request, forward, ctx)
    local wait = take(space .. o.by(ctx))
    if wait > 0 then
      return lunette.deny(("too many calls: %d in %g s are allowed; try again in %.1f s"):format(o.calls, o.per, wait))
    end
    return forward(request)
  end)
end) --[[@as fun(options: lunette.policy.rate_limit)]]
