-- retry: calls again after an error, where that can do no harm: tools that say that they only read, or that a
-- second call changes nothing more. A failed result (isError) is an answer and is not asked for again.
local lunette = require "lunette"
local options = require "lunette.policy.options"

local function harmless(tool)
  local annotations = tool.annotations or {}
  return annotations.readOnlyHint == true or annotations.idempotentHint == true
end

-- Lost connections and time-outs, and what servers call an internal error.
local passing = { [-32603] = true, [-32000] = true, [-32001] = true }

return options.policy("retry", {
  list = "tools",
  tools = options.selector { where = harmless }, -- naming them says that they are harmless
  attempts = options.count(3, 2), -- all together
  delay = options.number(0.2), -- seconds before the second; doubles from there
  longest = options.number(60), -- seconds after which no further attempt begins
}, function(o)
  lunette.on("tools/call", o.tools, function(request, forward, ctx)
    local give_up, delay = lunette.now() + o.longest, o.delay
    for attempt = 1, o.attempts do
      local ok, result = pcall(forward, request)
      if ok then return result end
      local passes = type(result) == "table" and passing[result.code]
      if attempt == o.attempts or not passes or lunette.now() + delay > give_up then error(result, 0) end
      lunette.log.warn(("%s: attempt %d failed: %s"):format(request.params.name, attempt, result.message))
      lunette.sleep(delay)
      delay = delay * 2
    end
  end)
end) --[[@as fun(options?: lunette.policy.retry|string)]]
