-- inject: arguments that the policy knows better than the model: who asks, for which tenant, with what key. They
-- go out of the tools' schemas, and whatever a client sends under their names is replaced.
local lunette = require "lunette"
local options = require "lunette.policy.options"

-- What { header = "x-user" } and so on are, as function(ctx).
local sources = {
  header = function(name) return function(ctx) return ctx.headers[name:lower()] end end,
  client = function(name) return function(ctx) return ctx.session.client[name] end end,
  claim = function(name) return function(ctx) return ctx.principal.claims[name] end end,
  env = function(name)
    local value = lunette.env(name) -- an error now when it is not set
    return function() return value end
  end,
}

local function source(what, value)
  if type(value) == "function" then return { get = value } end
  if type(value) ~= "table" then return { get = function() return value end } end
  local kind, name = next(value)
  if not sources[kind] or next(value, kind) ~= nil then
    options.fail("%s must be { header = }, { client = }, { claim = } or { env = }, a value or a function(ctx)", what)
  end
  return { get = sources[kind](options.text()(what .. "." .. kind, name)), from = kind .. " " .. name }
end

-- A tool that no list has shown has no schema here: better one argument too many than one of the client's. The
-- policy's own tools, which have no upstream, can ask the ctx themselves.
local function has(argument)
  return function(tool)
    local schema = tool.inputSchema
    return tool.upstream and (not schema or (schema.properties or {})[argument] ~= nil)
  end
end

local function without(tool, argument)
  local schema = tool.inputSchema
  schema.properties[argument] = nil
  for i = #(schema.required or {}), 1, -1 do
    if schema.required[i] == argument then table.remove(schema.required, i) end
  end
  if schema.required and #schema.required == 0 then schema.required = nil end
  return tool
end

return options.policy("inject", {
  tools = options.selector "*", -- of these, those that have the argument
  arguments = options.map(options.REQUIRED, source),
}, function(o)
  for argument, from in pairs(o.arguments) do
    local nothing = ("lunette.policy.inject: no tool has an argument %s"):format(argument)
    local which = options.narrow(o.tools, has(argument), nothing)
    lunette.on("tools/call", which, function(request, forward, ctx)
      local value = from.get(ctx)
      if value == nil then return lunette.deny(("this needs %s"):format(from.from or argument)) end
      request.params.arguments[argument] = value
      return forward(request)
    end)
    lunette.tools.transform(which, function(tool) return without(tool, argument) end)
  end
end) --[[@as fun(options: lunette.policy.inject)]]
