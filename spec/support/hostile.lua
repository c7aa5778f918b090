-- What the specs of hostile policies share: limits, a tool that is fine whatever happens, and what the log says.
local assert = require "luassert"

local json = require "spec.support.json"
local loop = require "spec.support.loop"

local M = {}

M.LIMITS = "lunette.configure { hook_timeout = 0.2, memory_limit = 48 * 1024 * 1024 }"
M.GOOD = "lunette.tools.add { name = 'good', inputSchema = { type = 'object' }, handler = function() return 'fine' end }"

function M.tool(name, body)
  return ("lunette.tools.add { name = %q, inputSchema = { type = 'object' }, handler = function(args, ctx) %s end }")
    :format(name, body)
end

function M.call(name) return ('{"name":%q,"arguments":{}}'):format(name) end

function M.fine(client)
  assert.equal("fine", json.value(client:result("tools/call", M.call "good"), "content", 1, "text"))
end

--- The log's last line that says `what`, without the escapes of line breaks. It comes another way than what
-- clients are answered.
function M.logged(p, what)
  loop.within(2000, function() return p.err:all():find(what, 1, true) end)
  local found
  for line in p.err:all():gmatch "[^\n]+" do
    if line:find(what, 1, true) then found = line:gsub("\\n", "\n"):gsub("\\t", "\t") end
  end
  return found
end

return M
