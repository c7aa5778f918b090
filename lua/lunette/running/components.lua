-- A policy's own tools, resources, resource templates and prompts: checked when they are added, run
-- by main.lua.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"
local schema_lists = require "lunette.schema.lists"

local M = {}

-- What a definition may have, by kind. "string" and so on are types; "schema", "list" and "object"
-- are tables of that shape.
local common = { title = "string", description = "string", icons = "list", _meta = "object" }

local function fields(own)
  for name, type_name in pairs(common) do
    own[name] = type_name
  end
  return own
end

local shapes = {
  tools = fields {
    name = "string",
    inputSchema = "schema",
    outputSchema = "schema",
    annotations = "object",
    execution = "object",
    handler = "function",
  },
  resources = fields {
    uri = "string",
    name = "string",
    mimeType = "string",
    size = "number",
    annotations = "object",
    read = "function",
  },
  resource_templates = fields {
    uriTemplate = "string",
    name = "string",
    mimeType = "string",
    annotations = "object",
    read = "function",
  },
  prompts = fields { name = "string", arguments = "list", get = "function" },
}

local handlers = { tools = "handler", resources = "read", resource_templates = "read", prompts = "get" }

local function check_field(what, key, value, wanted)
  what = what .. "." .. key
  if wanted == "function" then return check.callable(what, value) end
  if wanted == "string" or wanted == "number" then return check.type(what, value, wanted) end
  check.type(what, value, "table")
  if wanted == "list" then
    if next(value) ~= nil and #value == 0 then check.fail("%s must be a list", what) end
    schema_lists.mark_array(value)
  elseif wanted == "schema" then
    schema_lists.mark(value)
  elseif #value > 0 then
    check.fail("%s must be an object, not a list", what)
  end
  return value
end

local function check_schema(what, schema)
  if schema.type ~= "object" then
    check.fail('%s.type must be "object", not %s', what, check.describe(schema.type))
  end
end

local function check_template(what, template)
  local function bad(why) check.fail("%s: uriTemplate %s: %s", what, template, why) end
  if #template > 4096 then check.fail("%s: uriTemplate has more than 4096 bytes", what) end
  if template:gsub("{[^{}]*}", ""):find "[{}]" then bad "a brace without its partner" end
  for inside in template:gmatch "{([^{}]*)}" do
    local list = inside:gsub("^[%+#%./;%?&]", "")
    for name in (list .. ","):gmatch "([^,]*)," do
      if not (name:find "^[%w_%.%%]+%*?$" or name:find "^[%w_%.%%]+:%d+$") then
        bad(("{%s} is no list of variables"):format(inside))
      end
    end
  end
end

local function check_prompt_arguments(what, arguments)
  for i, argument in ipairs(arguments) do
    local which = ("%s.arguments[%d]"):format(what, i)
    check.type(which, argument, "table")
    check.options(which, argument, { name = 1, title = 1, description = 1, required = 1 })
    check.text(which .. ".name", argument.name)
    if argument.required ~= nil then check.type(which .. ".required", argument.required, "boolean") end
  end
end

--- lunette.KIND.add(definition)
function M.add(kind, definition)
  local what = ("lunette.%s.add"):format(kind.verb)
  check.loading(what)
  check.type(what .. "'s argument", definition, "table")
  local shape, handler = shapes[kind.verb], handlers[kind.verb]
  check.options(what, definition, shape)
  local own = {}
  for key, value in pairs(definition) do
    check_field(what, key, value, shape[key])
    if key ~= handler then own[key] = value end
  end
  check.text(what .. ": " .. kind.key, own[kind.key])
  check.text(what .. ": name", own.name)
  if definition[handler] == nil then check.fail("%s: %s needs a function %s", what, own.name, handler) end
  if kind.verb == "tools" then
    own.inputSchema = own.inputSchema or { type = "object" }
    check_schema(what .. ".inputSchema", own.inputSchema)
    if own.outputSchema then check_schema(what .. ".outputSchema", own.outputSchema) end
  elseif kind.verb == "prompts" and own.arguments then
    check_prompt_arguments(what, own.arguments)
  elseif kind.verb == "resource_templates" then
    check_template(what, own.uriTemplate)
  end
  local key = own[kind.key]
  for _, other in ipairs(state.components) do
    if other.kind == kind.kind and other.key == key then
      check.fail("%s: a %s %s is added already at %s", what, kind.thing, key, other.where)
    end
  end
  local ok, why = pcall(core.encode, own, what)
  if not ok then check.fail("%s", (tostring(why):gsub("^" .. core.where():gsub("%p", "%%%0") .. ": ", ""))) end
  state.components[#state.components + 1] = {
    kind = kind.kind,
    verb = kind.verb,
    where = core.where(),
    position = state.next_position(),
    key = key,
    definition = own,
    fn = definition[handler],
    ready = state.ready,
  }
end

return M
