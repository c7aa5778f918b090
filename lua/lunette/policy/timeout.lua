-- timeout: a call that takes longer is called off: the server is told so, handlers further in end, and the model
-- reads that it took too long. A server's own `timeout` is for all of its requests and an error; this is for tools.
local lunette = require "lunette"
local options = require "lunette.policy.options"

return options.policy("timeout", {
  tools = options.selector "*",
  seconds = options.number(options.REQUIRED, 0.001),
  say = options.text "try something that is quicker", -- for the model, after what happened
}, function(o)
  lunette.on("tools/call", o.tools, function(request, forward)
    local ok, result = pcall(forward, request, { timeout = o.seconds })
    if ok then return result end
    -- What forward says when the time is up; an error of the server's passes as it came.
    local late = type(result) == "table" and result.code == -32001 and result.message:find "^No answer within"
    if not late then error(result, 0) end
    return lunette.deny(("%s was called off after %g s; %s"):format(request.params.name, o.seconds, o.say))
  end)
end) --[[@as fun(options: lunette.policy.timeout)]]
