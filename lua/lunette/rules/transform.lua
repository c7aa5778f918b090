-- Transforms of a tool's arguments and calls. A rule is checked where it is written; when the tool is known
-- it is applied to the tool's schema and gives a layer, which maps the arguments of a call from the names
-- it presents to those it found. The layers of one tool are its chain, in the order written; what a call does
-- with them is in running/calls.lua.
local core = require "lunette.core"
local check = require "lunette.base.check"
local json_text = require "lunette.base.json_text"
local schema_edit = require "lunette.schema.edit"
local schema_lists = require "lunette.schema.lists"
local schema_read = require "lunette.schema.read"
local schema_validate = require "lunette.schema.validate"

local M = {}

-- --- declaring -----------------------------------------------------------------------------------

-- The options of an argument: a tool's has a schema, a prompt's is a text.
local options = {
  tools = {
    name = 1,
    title = 1,
    description = 1,
    default = 1,
    hide = 1,
    required = 1,
    schema = 1,
    type = 1,
    examples = 1,
  },
  prompts = { name = 1, title = 1, description = 1, default = 1, hide = 1, required = 1 },
}

local function encode(what, value)
  local ok, text = pcall(core.encode, value, what)
  if ok then return text end
  check.fail("%s", (tostring(text):gsub("^" .. core.where():gsub("%p", "%%%0") .. ": ", "")))
end

-- A text's JSON; false stays what it is.
local function text_or_false(what, value)
  if value == nil or value == false then return value end
  return encode(what, check.type(what, value, "string"))
end

local function default_of(what, a, value, verb)
  if type(value) == "function" then
    a.compute = value
  elseif value ~= nil then
    if verb == "prompts" then check.type(what, value, "string") end
    a.default = encode(what, value)
    a.empty = type(value) == "table" and next(value) == nil and not getmetatable(value)
  end
end

local function examples_of(what, value)
  local list = {}
  for i, example in ipairs(check.list(what, value)) do
    list[i] = example
  end
  return encode(what, setmetatable(list, core.array_mt))
end

-- What is wrong with a default (JSON) under a schema, or under one within it; nil: nothing, or it can't be told.
local function misfit(schema, default, inner)
  local fits = schema_validate.new(schema, true)
  local wrong = fits and fits(core.decode(default), "it", inner)
  return wrong and wrong[1]
end

-- A default has to be one that a client could send.
local function check_default(what, a)
  if not a.default then return end
  local schema, kind = a.schema and core.decode(a.schema), a.type and core.decode(a.type)
  local is = kind or (json_text.is_map(schema) and schema.type)
  if a.empty and is == "array" then
    a.default, a.empty = "[]", nil
  end
  local of = { schema = schema, type = kind and { type = kind } }
  for _, which in ipairs { "schema", "type" } do
    local why = of[which] ~= nil and misfit(of[which], a.default)
    if why then check.fail("%s.default doesn't fit the argument's %s: %s", what, which, why) end
  end
end

local function argument(what, given, verb)
  check.type(what, given, "table")
  check.options(what, given, options[verb])
  local a = { hide = check.type(what .. ".hide", given.hide, "boolean", true) or false }
  a.required = check.type(what .. ".required", given.required, "boolean", true)
  if given.name ~= nil then a.name = check.text(what .. ".name", given.name) end
  a.title = text_or_false(what .. ".title", given.title)
  a.description = text_or_false(what .. ".description", given.description)
  local default = given.default
  -- What clients are shown as the default of an argument has to be what they get.
  if default == nil and not a.required and type(given.schema) == "table" and given.schema.default ~= core.null then
    default = given.schema.default
  end
  default_of(what .. ".default", a, default, verb)
  if given.schema ~= nil then
    if type(given.schema) ~= "boolean" then check.type(what .. ".schema", given.schema, "table") end
    a.schema = encode(what .. ".schema", schema_lists.mark(given.schema))
  end
  if given.type ~= nil then a.type = encode(what .. ".type", given.type) end
  if given.examples ~= nil then a.examples = examples_of(what .. ".examples", given.examples) end
  if a.hide and a.required then check.fail("%s: an argument can't be hidden and required", what) end
  if a.required and given.default ~= nil then
    check.fail("%s: an argument that is required is always sent and can't have a default", what)
  end
  check_default(what, a)
  return a
end

--- Checks the option `arguments` of a transform.
function M.arguments(what, given, verb)
  check.type(what, given, "table")
  if #given > 0 then check.fail("%s must be a table by argument's name: { path = { … } }", what) end
  local all, native_of = {}, {}
  for _, name in ipairs(check.sorted(given)) do
    check.text(what .. ": a name", name)
    local a = argument(("%s.%s"):format(what, name), given[name], verb)
    local presented = not a.hide and a.name
    if presented and native_of[presented] then
      check.fail("%s: %s and %s can't both be called %s", what, native_of[presented], name, presented)
    end
    if presented then native_of[presented] = name end
    all[name] = a
  end
  return all
end

-- --- against a schema ------------------------------------------------------------------------------

-- A transform that doesn't fit the schema is a mistake in the policy, not a failure of code: no traceback.
local function inapplicable(format, ...) error({ inapplicable = format:format(...) }, 0) end

local function list(names)
  if #names == 0 then return "none at all" end
  return table.concat(names, ", ", 1, math.min(#names, 12)) .. (#names > 12 and " and others" or "")
end

local function check_names(rule, doc)
  for _, name in ipairs(check.sorted(rule.arguments)) do
    if not doc.arguments[name] then
      local near = check.suggest(name, doc.names)
      inapplicable("it has no argument %s%s", name, near ~= "" and near or ("; it has %s"):format(list(doc.names)))
    end
  end
  local native_of = {}
  for _, name in ipairs(doc.names) do
    local a = rule.arguments[name]
    local presented = not (a and a.hide) and (a and a.name or name)
    if presented and native_of[presented] then
      inapplicable("two arguments would be called %s: %s and %s", presented, native_of[presented], name)
    end
    if presented then native_of[presented] = name end
  end
  return native_of
end

local function is_sent(a) return a and (a.default or a.compute) and true or false end

-- An argument that is hidden without a default must not be one that others depend on.
local function check_dependents(rule, name, place)
  for _, key in ipairs { "dependentRequired", "dependencies" } do
    local by = place.schema[key]
    for _, other in ipairs(type(by) == "table" and check.sorted(by) or {}) do
      local o = rule.arguments[other]
      local never = o and o.hide and not is_sent(o)
      for _, needed in ipairs(not never and type(by[other]) == "table" and by[other] or {}) do
        if needed == name then
          inapplicable("%s can't be hidden without a default: %s needs it", name, other)
        end
      end
    end
  end
end

local function check_required(rule, doc)
  for _, name in ipairs(check.sorted(rule.arguments)) do
    local a = rule.arguments[name]
    local given = is_sent(a)
    if a.hide and not given then
      if doc.required[name] then inapplicable("%s is required and can't be hidden without a default", name) end
      for _, place in ipairs(doc.order) do
        check_dependents(rule, name, place)
      end
    elseif a.required == false and not given and doc.required[name] then
      inapplicable("%s is required by the server and can't be made optional without a default", name)
    end
  end
end

-- {} may be an object or a list: the server's schema knows.
local function default_for(a, native)
  if a.empty and type(native) == "table" and native.type == "array" then return "[]" end
  return a.default
end

-- A default is taken by the argument's own schema, unless the rule gives it another (then it was checked against that).
local function check_defaults(rule, doc)
  for _, name in ipairs(check.sorted(rule.arguments)) do
    local a, native = rule.arguments[name], doc.arguments[name].schema
    local default = not a.schema and not a.type and default_for(a, native)
    local why = default and doc.root and misfit(doc.root, default, native)
    if why then inapplicable("the default of %s doesn't fit its schema: %s", name, why) end
  end
end

-- Arguments with defaults always arrive at the server: not more than it takes.
local function check_max_properties(rule, doc)
  local sent = 0
  for name in pairs(rule.arguments) do
    if is_sent(rule.arguments[name]) then sent = sent + 1 end
  end
  for _, place in ipairs(doc.order) do
    local most = place.must and tonumber(place.schema.maxProperties)
    if most and sent > most then
      inapplicable("%d arguments have defaults, and the server takes no more than %d", sent, most)
    end
  end
end

local function plan_of(rule, doc)
  local plan = {}
  for name, a in pairs(rule.arguments) do
    local native = doc.arguments[name].schema
    local default = default_for(a, native)
    local p = { hide = a.hide, sent = is_sent(a), required = a.required, schema = a.schema, default = default }
    p.set = {}
    if a.name and a.name ~= name and not a.hide then p.new = a.name end
    if default and p.sent then p.value = core.decode(default) end
    for _, key in ipairs { "title", "description", "type" } do
      if a[key] ~= nil then p.set[#p.set + 1] = { key, a[key] } end
    end
    if default and not a.hide then p.set[#p.set + 1] = { "default", default } end
    if a.examples then p.set[#p.set + 1] = { "examples", a.examples } end
    plan[name] = p
  end
  return plan
end

--- A name without upper and lower case: some servers' decoders ignore it.
function M.folded(name) return (name:gsub("\226\132\170", "k"):gsub("\197\191", "s"):lower()) end

-- The layer that maps a call: presented names to the ones before, names that are refused, values that are filled in.
local function mapping(rule, doc, plan, native_of)
  local layer = { rule = rule, native = {}, presented = {}, found = {}, refused = {}, fill = {} }
  for presented, name in pairs(native_of) do
    layer.presented[presented] = true
    if presented ~= name then layer.native[presented] = name end
  end
  for _, name in ipairs(doc.names) do
    local a, p = rule.arguments[name], plan[name]
    layer.found[name] = true
    if p and (p.hide or p.new) then layer.refused[M.folded(name)] = true end
    if is_sent(a) then
      table.insert(layer.fill, {
        name = name,
        key = core.encode(name),
        text = p.default,
        compute = a.compute,
        required = doc.required[name],
        hide = p.hide,
      })
    end
  end
  layer.maps = next(layer.native) ~= nil or next(layer.refused) ~= nil or #layer.fill > 0
  return layer
end

-- The arguments of a prompt's definition, in the shape that schemas are read in.
local function read_prompt(text)
  local doc = { text = text, order = {}, names = {}, arguments = {}, required = {} }
  for _, row in ipairs(core.decode(text)) do
    local name = type(row) == "table" and row.name
    if type(name) == "string" and not doc.arguments[name] then
      doc.names[#doc.names + 1] = name
      doc.arguments[name] = { schema = true }
      doc.required[name] = row.required == true
    end
  end
  return doc
end

local function edit_prompt_argument(text, p)
  if p.hide then return false end
  if p.new then text = json_text.set_member(text, "name", core.encode(p.new)) end
  for _, set in ipairs(p.set) do
    if set[1] ~= "default" then text = json_text.set_member(text, set[1], set[2]) end
  end
  if p.required then return json_text.set_member(text, "required", "true") end
  if p.sent or p.required == false then return json_text.set_member(text, "required", false) end
  return text
end

local function edit_prompt(doc, plan)
  return json_text.edit_items(doc.text, function(_, text)
    local p = json_text.is_object(text) and plan[core.decode(text).name]
    if p then return edit_prompt_argument(text, p) end
  end)
end

-- What differs between tools and prompts: where the arguments are, how they are read, how edited.
local shapes = {
  tools = { member = "inputSchema", is = json_text.is_object, read = schema_read.read, edit = schema_edit.edit },
  prompts = { member = "arguments", is = json_text.is_array, read = read_prompt, edit = edit_prompt },
}

-- What a definition as it is presented says that arguments are when they are left out: for `call`. null says nothing.
local function defaults_in(text)
  local there = json_text.member(text, "inputSchema")
  local schema, defaults = there and core.decode(there), {}
  local properties = json_text.is_map(schema) and schema.properties
  for name, property in pairs(json_text.is_map(properties) and properties or {}) do
    local default = nil
    if json_text.is_map(property) then default = property.default end
    if default ~= nil and default ~= core.null then defaults[name] = core.encode(default) end
  end
  return defaults
end

--- Applies a rule to a definition (its text): returns the definition as it is presented from here on, and the layer
-- for calls (nil: they pass as they are). Raises { inapplicable = why } when it doesn't fit.
function M.apply(rule, text, verb)
  if not rule.arguments then return text, { rule = rule, defaults = defaults_in(text) } end
  local shape = shapes[verb]
  local there = json_text.member(text, shape.member)
  if not there or not shape.is(there) then inapplicable("it has no %s", shape.member) end
  local doc = shape.read(there)
  local native_of = check_names(rule, doc)
  check_required(rule, doc)
  check_defaults(rule, doc)
  check_max_properties(rule, doc)
  local plan = plan_of(rule, doc)
  local edited = shape.edit(doc, plan)
  local layer = mapping(rule, doc, plan, native_of)
  if edited ~= there then text = json_text.set_member(text, shape.member, edited) end
  if rule.call then layer.defaults = defaults_in(text) end
  if not layer.maps and not rule.call then layer = nil end
  return text, layer
end

return M
