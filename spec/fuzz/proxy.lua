-- The rules of proxy.c's host, in those of its configurations that have some; the servers are declared before.
local lunette = require "lunette"

lunette.tools.add {
  name = "own",
  inputSchema = { type = "object" },
  handler = function(args, ctx)
    ctx:progress(1, 2)
    if args.ask then return tostring(ctx:sample({ messages = {}, maxTokens = 1 }).model) end
    if args.call then return ctx:call_tool(args.call, args.arguments) end
    return "fine"
  end,
}
lunette.resources.add { uri = "own://x", name = "own", read = function() return "fine" end }
lunette.prompts.add { name = "own", get = function() return "fine" end }
lunette.tools.rename { u = "renamed", a_u = "a_renamed" }
lunette.tools.transform("*t", { arguments = { a = { default = 1 } } })

lunette.on("tools/call", "*t", function(request, forward, ctx)
  ctx:progress(0.5)
  local result = forward(request)
  result.seen = true
  return result
end)

-- It may be held back, until the client has been asked for something else.
lunette.on("sampling/createMessage", function(request, forward, ctx)
  if request.params.maxTokens == 2 then pcall(ctx.list_roots, ctx) end
  return forward(request)
end)

for _, method in ipairs { "notifications/progress", "tasks/*" } do
  lunette.on(method, function(message, forward) return forward(message) end)
end
