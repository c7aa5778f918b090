-- What the variables of a URI template (RFC 6570) were in a URI. Which part of the URI each expression stands
-- for is the C half's to say (mcp/template.h); here the parts become values: strings without escapes, lists for
-- what a * explodes, nothing for what is absent.
local core = require "lunette.core"

local M = {}

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- "a,b*,c:3" → { { name = "a" }, { name = "b", explode = true }, { name = "c", prefix = 3 } }
local function read_list(list)
  local specs = {}
  for item in list:gmatch "[^,]+" do
    local name, mark, count = item:match "^([^*:]+)([*:]?)(%d*)$"
    if not name then return nil end
    specs[#specs + 1] = { name = name, explode = mark == "*", prefix = tonumber(count) }
  end
  return specs
end

local function split(text, separator)
  local list = {}
  for item in (text .. separator):gmatch("(.-)%" .. separator) do
    list[#list + 1] = item
  end
  return list
end

-- Values by place: each variable takes one, the last one all that are left.
local function by_place(specs, text, separator, out)
  local values = split(text, separator)
  for i, spec in ipairs(specs) do
    if values[i] == nil then return true end
    if i < #specs then
      out[spec.name] = unescape(values[i])
    elseif spec.explode and separator ~= "," then
      local list = {}
      for k = i, #values do
        list[#list + 1] = unescape(values[k])
      end
      out[spec.name] = list
    else
      if separator == "/" and #values > i then return false end
      out[spec.name] = unescape(table.concat(values, separator, i))
    end
  end
  return true
end

-- Values by name: k=v, in any order. An exploded variable has a list of what bears its name, else a table
-- of what bears no other's.
local function by_name(specs, text, separator, out)
  local known, open = {}, nil
  for _, spec in ipairs(specs) do
    known[spec.name] = spec
    if spec.explode and not open then open = spec end
  end
  for _, pair in ipairs(split(text, separator)) do
    local name, value = pair:match "^([^=]*)=?(.*)$"
    local spec = known[name] or known[unescape(name)]
    if spec and spec.explode then
      out[spec.name] = out[spec.name] or {}
      table.insert(out[spec.name], unescape(value))
    elseif spec then
      if out[spec.name] == nil then out[spec.name] = unescape(value) end
    elseif open and name ~= "" then
      out[open.name] = out[open.name] or {}
      out[open.name][unescape(name)] = unescape(value)
    end
  end
  return true
end

local function characters(text)
  local _, n = text:gsub("[^\128-\191]", "")
  return n
end

local separators = { ["/"] = "/", ["."] = ".", [";"] = ";", ["?"] = "&", ["&"] = "&" }

local function read_part(expr, text, out)
  local op, list = expr:match "^([+#./;?&]?)(.*)$"
  local specs = read_list(list)
  if not specs then return false end
  local sign = op ~= "" and op ~= "+"
  if sign and text == "" then return true end -- absent
  if sign then text = text:sub(2) end
  local separator = separators[op] or ","
  local found = {}
  local read = (op == ";" or op == "?" or op == "&") and by_name or by_place
  if not read(specs, text, separator, found) then return false end
  for _, spec in ipairs(specs) do
    local value, other = found[spec.name], out[spec.name]
    if spec.prefix and type(value) == "string" and characters(value) > spec.prefix then return false end
    -- The same variable twice says the same, or one of them the beginning.
    if value ~= nil and type(other) == "string" and type(value) == "string" then
      if value:sub(1, #other) ~= other and other:sub(1, #value) ~= value then return false end
      if #other > #value then value = other end
    end
    if value ~= nil then out[spec.name] = value end
  end
  return true
end

local function read(template, uri)
  local parts = core.template_split(template, uri)
  local out = parts and {}
  for i = 1, parts and #parts or 0, 2 do
    if not read_part(parts[i], parts[i + 1], out) then return nil end
  end
  return out
end

--- The variables by name, or nil when the URI is none of the template's. One with dot segments is taken for
--- what they make of it, as routing does.
---@param template string
---@param uri string
---@return table<string, string|string[]|table<string, string>>?
function M.variables(template, uri)
  return not core.uri_climbs(uri) and read(template, uri) or read(template, core.uri(uri))
end

--- What a template's expressions are, sorted: two with the same can be made into each other.
function M.expressions(template)
  local list = {}
  for expression in template:gmatch "{[^{}]*}" do
    list[#list + 1] = expression
  end
  table.sort(list)
  return table.concat(list)
end

return M
