-- A catalogue that a small local model can hold in its head: few tools, short names, a sentence each, no more
-- arguments than it needs, and answers that fit.
--   lunette list examples/small_model.lua --raw --json | wc -c
--   lunette list examples/small_model.lua --json | wc -c
local lunette = require "lunette"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

lunette.upstream("notes", {
  command = lunette.env("LUNETTE", "/proc/self/exe"),
  args = { "run", here .. "notes.lua", "--log-level", "warn" },
  session = "shared",
})

-- Only these. Everything that a later version of the server adds stays out.
lunette.tools.only("search_notes", "add_note")
lunette.resources.hide "*"
lunette.resource_templates.hide "*"
lunette.prompts.hide "*"

-- One argument where there were two: `limit` is not shown, and what the server gets is 3.
lunette.tools.transform("search_notes", {
  name = "find",
  description = "Find notes by a word.",
  arguments = {
    query = { name = "word", description = false, schema = { type = "string" } },
    limit = { hide = true, default = 3 },
  },
})
lunette.tools.transform("add_note", { name = "note", description = "Write a note." })

-- What a small model doesn't look at is left out for all that is left.
lunette.tools.transform("*", { title = false, annotations = false, icons = false, outputSchema = false, _meta = false })

-- An answer longer than this would push the question out of its context.
require "lunette.policy.truncate" { bytes = 600 }

-- Small models misspell. What is nearly right is put right instead of being refused.
lunette.on("tools/call", "note", function(request, forward)
  local arguments = request.params.arguments
  for wrong, right in pairs { title = "name", content = "text", body = "text" } do
    if arguments[right] == nil and arguments[wrong] ~= nil then
      arguments[right], arguments[wrong] = arguments[wrong], nil
    end
  end
  return forward(request)
end)
