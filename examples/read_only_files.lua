-- The reference server for files, without the tools that write. Needs Node.js (npx).
--   lunette list examples/read_only_files.lua
--   FILES=/srv lunette run examples/read_only_files.lua
local lunette = require "lunette"

-- The folder it may look into; without a default, lunette.env would end loading with an error that names
-- the variable.
local folder = lunette.env("FILES", ".")

lunette.upstream("files", {
  command = "npx",
  args = { "-y", "@modelcontextprotocol/server-filesystem", folder },
})

-- By name: these write.
lunette.tools.hide("write_*", "edit_*", "create_*", "move_*", "delete_*")

-- And by what tools say of themselves, for those that a later version may add. A tool that says nothing may
-- write as far as MCP is concerned, so only an explicit "read only" passes.
lunette.tools.filter(function(tool)
  return (tool.annotations or {}).readOnlyHint == true
end)

-- Long descriptions cost the model context: the first sentence is enough.
lunette.tools.transform("*", function(tool)
  local first = (tool.description or ""):match "^.-%.%f[%s]"
  if first then tool.description = first end
  return tool
end)

-- Dot files hold secrets: not even their names pass. Rules about arguments are handlers.
lunette.on("tools/call", "*", function(request, forward)
  local arguments = request.params.arguments
  for _, path in ipairs { arguments.path or "", unpack(arguments.paths or {}) } do
    if ("/" .. path):find "/%.[^./]" then return lunette.deny("hidden files are not shown: " .. path) end
  end
  return forward(request)
end)
