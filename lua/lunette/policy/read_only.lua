-- read_only: only tools that say of themselves that they change nothing. One that says nothing may
-- change things as far as MCP is concerned, and what a server says is only as true as the server.
local lunette = require "lunette"
local options = require "lunette.policy.options"

local function any(globs, text)
  for _, glob in ipairs(globs) do
    if lunette.match(glob, text) then return true end
  end
  return false
end

return options.policy("read_only", {
  trust = options.texts {}, -- tools that only read but don't say so
  upstream = options.texts { "*" }, -- servers that it holds for
}, function(o)
  -- A filter hides, and what is hidden can't be called: neither a tool that no list has shown yet.
  lunette.tools.filter(function(tool)
    if not tool.upstream or not any(o.upstream, tool.upstream) then return true end -- without: the policy's own
    return any(o.trust, tool.name) or (tool.annotations or {}).readOnlyHint == true
  end)
end) --[[@as fun(options?: lunette.policy.read_only)]]
