-- A person says yes before anything is written or destroyed. The question reaches the person through the client
-- (elicitation); a client that can't ask gets a refusal.
--   lunette run examples/approval.lua --http :8080
--   lunette call examples/approval.lua wipe            refused: the command line asks nobody
local lunette = require "lunette"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

lunette.upstream("notes", {
  command = lunette.env("LUNETTE", "/proc/self/exe"),
  args = { "run", here .. "notes.lua", "--log-level", "warn" },
  session = "shared",
})

-- For those who read the question: one that a person understands. `nil` and a reason would refuse.
local questions = {
  delete_note = function(arguments) return ("Delete the note %q for good?"):format(tostring(arguments.name)) end,
  wipe = function() return "Delete ALL notes?\nThey can't be had back." end,
}

-- Without `tools` it would be asked for whatever doesn't say that it only reads. `remember` offers not to ask again in
-- this session.
require "lunette.policy.approve" {
  tools = { "add_note", "delete_note", "wipe" },
  remember = true,
  message = function(name, ctx, arguments)
    local question = questions[name]
    if question then return question(arguments) end
    return ("%s wants to call %s with %s"):format(ctx.session.client.name or "A client", name,
      lunette.json.encode(arguments))
  end,
}
