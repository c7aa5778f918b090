-- cache: answers a call that was made before, with the same arguments, from memory. Only for tools that say that
-- they only read, or that the policy names. Failed results are not kept.
--
-- Who gets an answer: those who count as the same (`by`) and whose call would be the same at the server, under the
-- server's own name and with all that other handlers and transforms put in. So it stands behind all of these, wherever
-- it is written: one before them would not know what they add for whom.
local lunette = require "lunette"
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
  hooks.on_last("tools/call", o.tools, function(request, forward, ctx)
    if request.params.task then return forward(request) end -- a task is nobody else's answer
    -- Members are sorted, so equal arguments have equal texts.
    local asked = { o.by(ctx), ctx.upstream or lunette.null, ctx.native_name, request.params.arguments }
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
