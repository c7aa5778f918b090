-- concurrency: so many calls at once. Further ones wait their time, then are refused.
local lunette = require "lunette"
local options = require "lunette.policy.options"

return options.policy("concurrency", {
  tools = options.selector "*",
  calls = options.count(options.REQUIRED),
  wait = options.number(0), -- seconds that a call may wait for its turn
  by = options.by "all", -- whose calls are counted together
  -- A handler that is cancelled just ends. A call whose client says so gives its place back at once, one whose
  -- client is gone after this many seconds.
  longest = options.number(120, 0.01),
}, function(o)
  local holders = {} -- by key: { [place] = true }; place: { session =, id =, till = }

  local function free(places)
    local now, n = lunette.now(), 0
    for place in pairs(places) do
      if place.till < now then places[place] = nil else n = n + 1 end
    end
    return n < o.calls
  end

  lunette.on("notifications/cancelled", function(notification, forward, ctx)
    for _, places in pairs(holders) do
      for place in pairs(places) do
        if place.session == ctx.session.id and place.id == notification.params.requestId then places[place] = nil end
      end
    end
    return forward(notification)
  end)

  lunette.on("tools/call", o.tools, function(request, forward, ctx)
    local key, give_up = o.by(ctx), lunette.now() + o.wait
    while holders[key] and not free(holders[key]) do
      if lunette.now() >= give_up then
        return lunette.deny(("too much at once: %d calls are under way; try again later"):format(o.calls))
      end
      lunette.sleep(0.01)
    end
    local place = { session = ctx.session.id, id = ctx.request_id, till = lunette.now() + o.longest }
    holders[key] = holders[key] or {}
    holders[key][place] = true
    local ok, result = pcall(forward, request)
    local places = holders[key]
    places[place] = nil
    if next(places) == nil then holders[key] = nil end
    if not ok then error(result, 0) end
    return result
  end)
end) --[[@as fun(options: lunette.policy.concurrency)]]
