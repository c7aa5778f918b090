-- What each verb does to an item, by the verb's name: apply.VERB(rule, item, kind, ctx).
local core = require "lunette.core"
local check = require "lunette.base.check"
local items = require "lunette.rules.item"
local transform = require "lunette.rules.transform"

local M = {}

function M.hide(rule, item, kind, ctx)
  for _, s in ipairs(rule.selectors) do
    if items.matches(s, item, kind, ctx) then return items.hide(item, rule, "hide %s", s.text) end
  end
end

function M.only(rule, item, kind, ctx)
  for _, s in ipairs(rule.selectors) do
    if items.matches(s, item, kind, ctx) then return end
  end
  items.hide(item, rule, "only %s", rule.text)
end

function M.filter(rule, item, kind, ctx)
  local keeps = rule.fn(items.value(item, kind), ctx)
  rule.asked, rule.gave = true, rule.gave or keeps ~= nil
  if not keeps then items.hide(item, rule, "%s", rule.text or "filter") end
end

function M.rename(rule, item, kind, ctx)
  local new
  if rule.names then
    local old
    new, old = items.renamed(rule.names, item.name, kind)
    if new then rule.hits[old] = true end
  else
    new = rule.fn(item.name, items.value(item, kind), ctx)
  end
  if new ~= nil then items.set_name(item, kind, rule, new) end
end

local function is_odd(schema) return type(schema) ~= "table" or schema.type ~= "object" end

-- Clients refuse a list with a schema in it that is not an object's, or a tool without inputSchema; what its server
-- gave stays its affair. input, output: whether those were odd (nil: there was none).
local function check_schemas(rule, value, input, output)
  local odd = input == false and is_odd(value.inputSchema) and "inputSchema"
  if value.outputSchema ~= nil and not output and is_odd(value.outputSchema) then odd = "outputSchema" end
  if not odd then return end
  error(("%s: the %s must be the schema of an object: { type = \"object\", … }"):format(rule.where, odd), 0)
end

local function odd_if_there(schema)
  if schema == nil then return nil end
  return is_odd(schema)
end

local function transform_by_function(rule, item, kind, ctx)
  local before, item_value = item.name, items.value(item, kind)
  local input, output = odd_if_there(item_value.inputSchema), odd_if_there(item_value.outputSchema)
  local value = rule.fn(item_value, ctx)
  if type(value) ~= "table" then
    error(("%s: transform must return the %s, not %s"):format(rule.where, kind.thing, check.describe(value)), 0)
  end
  check_schemas(rule, value, input, output)
  local name = value[kind.key]
  item.value = setmetatable(value, { __index = { upstream = item.upstream } })
  item.by, item.edited = rule.where, true
  items.note(item, rule, "transform")
  if name ~= before then items.set_name(item, kind, rule, name) end
end

-- What becomes of a member, by what a transform says of it: false always removes it.
local edits = {}
M.edits = edits

function edits.replace(value, key, new) value[key] = new end

-- Merged into what is there; null removes a member.
function edits.merge(value, key, new)
  if type(value[key]) ~= "table" then value[key] = {} end
  for name, member in pairs(new) do
    if member == core.null then member = nil end
    value[key][name] = member
  end
end

-- FastMCP's tags, where it keeps them.
function edits.tags(value, key, new)
  if type(value[key]) ~= "table" then value[key] = {} end
  local own = type(value[key]._fastmcp) == "table" and "_fastmcp" or "fastmcp"
  if type(value[key][own]) ~= "table" then value[key][own] = {} end
  value[key][own].tags = new
end

-- Another name for what the server calls `native`: what stands before that stays.
local function native_renamed(item, rule)
  local n = #rule.selector.native
  local before = item.name:sub(-n) == rule.selector.native and item.name:sub(1, -n - 1) or ""
  return before .. rule.native_name
end

-- The arguments first: a transform that can't hold changes nothing.
local function transform_calls(rule, item, kind)
  local text, layer = transform.apply(rule, items.text(item, kind), kind.verb)
  item.text, item.value = text, nil
  if layer then
    item.chain = item.chain or {}
    item.chain[#item.chain + 1] = layer
  end
end

local function transform_by_table(rule, item, kind)
  if rule.disabled then return items.hide(item, rule, "transform enabled = false") end
  if rule.enabled and item.hidden then items.show(item, rule, "transform enabled = true") end
  if rule.arguments or rule.call then transform_calls(rule, item, kind) end
  if rule.new_name then items.set_name(item, kind, rule, rule.new_name) end
  if rule.native_name then items.set_name(item, kind, rule, native_renamed(item, rule)) end
  if #rule.edits > 0 then
    local value = items.value(item, kind)
    for _, edit in ipairs(rule.edits) do
      if edit.value == false then
        value[edit.key] = nil
      else
        edit.fn(value, edit.key, edit.value)
      end
    end
    item.by, item.edited = rule.where, true
  end
  if rule.summary ~= "" then items.note(item, rule, "transform %s", rule.summary) end
end

function M.transform(rule, item, kind, ctx)
  if not items.matches(rule.selector, item, kind, ctx) then return end
  if rule.fn then return transform_by_function(rule, item, kind, ctx) end
  transform_by_table(rule, item, kind)
end

return M
