-- A handler on every call, that reads and edits it.
local lunette = require "lunette"

lunette.on("tools/call", "echo", function(request, forward)
  request.params.arguments.text = "edited"
  return forward(request)
end)
