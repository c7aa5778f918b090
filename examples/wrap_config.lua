-- The servers of a configuration file as Claude Desktop, Cursor or VS Code keep it, behind one policy. Needs
-- Node.js (npx) for the file that is here; for your own:
--   MCP_CONFIG=~/.cursor/mcp.json lunette list examples/wrap_config.lua
-- A file needs no policy at all to be served: lunette run mcp.json
local lunette = require "lunette"

-- A relative path is looked for beside this file first. ${VAR} and ${VAR:-default} in its values are
-- expanded.
lunette.upstreams(lunette.env("MCP_CONFIG", "mcp.json"))

-- With several servers, tools and prompts get their server's name in front: memory_read_graph. Rules are
-- written for those names, or for a server's components as a whole:
lunette.tools.hide { upstream = "memory", name = { "memory_delete_*" } }

-- A line in Lunette's log for every call of whatever server.
lunette.on("tools/call", function(request, forward, ctx)
  local began = lunette.now()
  local result = forward(request)
  lunette.log.info(("%s on %s: %.0f ms%s"):format(request.params.name, ctx.upstream or "this policy",
    (lunette.now() - began) * 1000, result.isError and ", an error" or ""))
  return result
end)
