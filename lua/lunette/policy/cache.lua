-- cache: answers a call that was made before, with the same arguments, from memory. Only for tools that say that
-- they only read, or that the policy names. Failed results are not kept.
local lunette = require "lunette"
local options = require "lunette.policy.options"

local function only_reads(tool) return (tool.annotations or {}).readOnlyHint == true end

return options.policy("cache", {
  list = "tools",
  tools = options.selector { where = only_reads },
  seconds = options.number(60, 0.001),
  max_bytes = options.count(1024 * 1024), -- of a result that is kept
  -- Who shares answers. What one may see another may not, so "all" is right only where servers answer
  -- everybody alike.
  by = options.by "session",
}, function(o)
  local space = options.space "cache"
  lunette.on("tools/call", o.tools, function(request, forward, ctx)
    if request.params.task then return forward(request) end -- a task is nobody else's answer
    -- Members are sorted, so equal arguments have equal texts.
    local asked = { o.by(ctx), ctx.upstream or lunette.null, request.params.name, request.params.arguments }
    local key = space .. lunette.json.encode(asked)
    local kept = lunette.shared.get(key)
    if kept then return lunette.json.decode(kept) end
    local result = forward(request)
    if not result.isError then
      local text = lunette.json.encode(result)
      -- A memory that is full (64 MiB) is no reason to fail.
      if #text <= o.max_bytes then pcall(lunette.shared.set, key, text, o.seconds) end
    end
    return result
  end)
end) --[[@as fun(options?: lunette.policy.cache|string)]]
