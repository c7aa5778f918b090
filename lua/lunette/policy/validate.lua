-- validate: arguments and structured results are held against the schemas that clients are shown. A model that
-- gets a name wrong reads what would be right, and a server need not be trusted to look; what a server answers
-- against its own word reaches nobody. Schemas are JSON Schema (lunette/schema/validate.lua).
local lunette = require "lunette"
local options = require "lunette.policy.options"
local on_results = require "lunette.policy.results"
local schema_validate = require "lunette.schema.validate"

local KEPT = 1000 -- schemas

return options.policy("validate", {
  list = "tools",
  tools = options.selector "*",
  arguments = options.flag(true),
  results = options.flag(true), -- the structuredContent of tools with an outputSchema
}, function(o)
  local checks, n = {}, 0 -- by the schema's text

  local function check_of(schema, name)
    local text = lunette.json.encode(schema)
    if not checks[text] then
      if n == KEPT then checks, n = {}, 0 end
      local check, rest = schema_validate.new(schema)
      checks[text], n = check or function() return nil, rest end, n + 1
      for _, what in ipairs(check and rest or {}) do
        lunette.log.warn(("validate: %s: not checked: %s"):format(name, what))
      end
    end
    return checks[text]
  end

  -- nil when it fits. What can't be told is refused: the specification wants no schema silently taken for granted.
  local function misfit(schema, value, what, name)
    local wrong, why = check_of(schema, name)(value, what)
    if why then return ("%s: the schema of its %s can't be used: %s"):format(name, what, why) end
    return wrong and ("%s: wrong %s: %s"):format(name, what, table.concat(wrong, "; "))
  end

  -- A `where` has Lunette look definitions up.
  local which = options.narrow(o.tools, function() return true end)

  on_results(which, function(request, ctx)
    local tool, name = ctx.definition, request.params.name
    if not tool then
      return nil, lunette.deny(name .. ": no list shows it, so nothing is known of its arguments")
    end
    local refused = o.arguments and misfit(tool.inputSchema, request.params.arguments, "arguments", name)
    if refused then return nil, lunette.deny(refused) end
    return function(result)
      if not o.results or not tool.outputSchema or result.isError then return result end
      if result.structuredContent == nil then
        refused = name .. ": the server's answer lacks the structuredContent that its outputSchema promises"
      else
        refused = misfit(tool.outputSchema, result.structuredContent, "structuredContent", name)
      end
      if not refused then return result end
      lunette.log.warn("validate: " .. refused)
      return lunette.deny(refused)
    end
  end)
end) --[[@as fun(options?: lunette.policy.validate|string)]]
