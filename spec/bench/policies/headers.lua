-- A rule that reads a header, which is the same for all requests here: a comparison, no Lua.
local lunette = require "lunette"

lunette.tools.filter(function(tool, ctx) return tool.name ~= "erase" or ctx.headers["x-role"] == "admin" end)
