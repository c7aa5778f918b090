-- cache: answers a call that was made before, with the same arguments, from memory. Only for tools that say that
-- they only read, or that the policy names. Failed results are not kept.
--
-- Who gets an answer: those who count as the same (`by`) and whose call would be the same at the server, under the
-- server's own name and with all that other handlers and transforms put in. So it stands behind all of these, wherever
-- it is written: one before them would not know what they add for whom.
--
-- Equal calls at once are one: the others wait for the first, and get what it gets. When its client gives up it goes on
-- for them; when it ends without an answer all the same, the next of them asks anew.
local core = require "lunette.core"
local lunette = require "lunette"
local contexts = require "lunette.running.ctx"
local hooks = require "lunette.running.hooks"
local options = require "lunette.policy.options"

local function only_reads(tool) return (tool.annotations or {}).readOnlyHint == true end

return options.policy("cache", {
  list = "tools",
  tools = options.selector { where = only_reads },
  seconds = options.number(60, 0.001),
  max_bytes = options.count(1024 * 1024), -- of a result that is kept
  -- Who shares answers. What one may see another may not, so "all" is right only where servers answer
  -- everybody alike.
  by = options.by("session", true),
}, function(o)
  local space = options.space "cache"
  -- By key, while its call is under way: { ctx = of the handler that asks, and once that has its answer: done = true,
  -- text = the result, or failed = the error }. Weak, as a handler that is cancelled can't take its own away.
  local flights = setmetatable({}, { __mode = "v" })

  -- Equal arguments have equal texts, as members are sorted; but for integers beyond 2^53, of which some would be one.
  local function key_of(request, ctx)
    local asked = { o.by(ctx), ctx.upstream or lunette.null, ctx.native_name, request.params.arguments }
    local raw = core.arguments() or ""
    return space .. lunette.json.encode(asked) .. (raw:find(("%d"):rep(16)) and raw or "")
  end

  -- What is known, or what the call that is under way gives; else nothing, and the caller is to ask.
  local function known(key)
    while true do
      local kept, flight = lunette.shared.get(key), flights[key]
      if kept then return lunette.json.decode(kept) end
      if not flight then return nil end
      contexts.follow(flight.ctx)
      if flight.failed then error(flight.failed, 0) end
      if flight.done then return lunette.json.decode(flight.text) end
      if flights[key] == flight then flights[key] = nil end
    end
  end

  local function ask(request, forward, ctx, key)
    local flight = { ctx = ctx }
    flights[key] = flight
    local ok, result = pcall(forward, request)
    flights[key], flight.done = nil, true
    if not ok then
      flight.failed = result
      error(result, 0)
    end
    flight.text = lunette.json.encode(result)
    -- A memory that is full (64 MiB) is no reason to fail.
    if not result.isError and #flight.text <= o.max_bytes then
      pcall(lunette.shared.set, key, flight.text, o.seconds)
    end
    return result
  end

  hooks.on_last("tools/call", o.tools, function(request, forward, ctx)
    if request.params.task then return forward(request) end -- a task is nobody else's answer
    local key = key_of(request, ctx)
    return known(key) or ask(request, forward, ctx, key)
  end)
end) --[[@as fun(options?: lunette.policy.cache|string)]]
