-- A first policy: one server, and what is done to it. scripts/run builds Lunette and shows this file at
-- work; by hand:
--   lunette list examples/quickstart.lua --raw        what the server offers
--   lunette list examples/quickstart.lua              what a client sees
--   lunette list examples/quickstart.lua --explain    why
--   lunette run examples/quickstart.lua               serve it over stdio (--http :8080 over HTTP)
local lunette = require "lunette"

-- The folder of this file, so that it works from anywhere.
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

-- The server. It could be any: { command = "npx", args = { "-y", "some-server" } }, or { url = "https://…" }.
-- Here it is a second Lunette that serves notes.lua, so that nothing else needs to be there;
-- /proc/self/exe is the program that runs this policy.
lunette.upstream("notes", {
  command = lunette.env("LUNETTE", "/proc/self/exe"),
  args = { "run", here .. "notes.lua", "--log-level", "warn" },
  -- By default each client gets a server process of its own. The notes are for all to see: one for everybody.
  session = "shared",
})

-- Take a tool away, by name or glob. A hidden tool can't be called either.
lunette.tools.hide "wipe"

-- Or let code decide: all tools that say of themselves that they destroy something.
lunette.tools.filter(function(tool)
  return not (tool.annotations or {}).destructiveHint
end)

-- A shorter name. From here on, rules and handlers know it by that.
lunette.tools.rename { search_notes = "search" }

-- What the model reads about a tool is worth a good sentence.
lunette.tools.transform("add_note", {
  description = "Write a note. Secrets are refused.",
})

-- A handler sees the calls of a tool: it may read and edit them, forward them or not, and read and edit what
-- comes back. It can wait as long as it likes: nobody else is held up.
lunette.on("tools/call", "add_note", function(request, forward, ctx)
  local arguments = request.params.arguments
  if tostring(arguments.text):lower():find("password", 1, true) then
    lunette.log.info("refused a note with a secret in it, from", ctx.session.client.name)
    return lunette.deny "notes are no place for passwords"
  end
  if arguments.name then arguments.name = tostring(arguments.name):lower() end
  return forward(request)
end)

-- A tool of the policy's own stands beside those of the server.
lunette.tools.add {
  name = "now",
  description = "The time, in UTC.",
  inputSchema = { type = "object" },
  annotations = { readOnlyHint = true },
  handler = function() return os.date "!%Y-%m-%d %H:%M:%S UTC" end,
}
