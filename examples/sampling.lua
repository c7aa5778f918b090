-- A server that asks the client's model for help, and a policy that answers where the client has none.
--   lunette call examples/sampling.lua headline text="The lamp at the door needs a bulb."
-- The command line has no model, so the policy answers. A client that has one is asked itself.
local lunette = require "lunette"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

lunette.upstream("editor", {
  command = lunette.env("LUNETTE", "/proc/self/exe"),
  args = { "run", here .. "sampling_server.lua", "--log-level", "warn" },
})

-- In place of a model. With a key for one, this would be a request to it.
local function answer(text)
  return (text:match "[^.!?]+" or text):gsub("^%l", string.upper) .. "!"
end

-- Because there is this handler, the server hears that sampling can be had, whatever the client said.
lunette.sampling(function(request, forward, ctx)
  if ctx.session.capabilities.sampling then return forward(request) end
  local asked = request.params.messages[1].content.text
  return {
    role = "assistant",
    model = "sampling.lua",
    content = { type = "text", text = answer(asked) },
    stopReason = "endTurn",
  }
end)
