-- Values as JSON Schema sees them: their types, when two are equal, how long a text is.
local core = require "lunette.core"
local refs = require "lunette.schema.refs"

local M = {}

local is_array = refs.is_array

local function is_object(v) return type(v) == "table" and not is_array(v) end
local function is_whole(v) return type(v) == "number" and v == math.floor(v) and math.abs(v) ~= math.huge end

M.is_object = is_object

M.types = {
  null = function(v) return v == core.null end,
  boolean = function(v) return type(v) == "boolean" end,
  number = function(v) return type(v) == "number" end,
  integer = is_whole,
  string = function(v) return type(v) == "string" end,
  array = is_array,
  object = is_object,
}

local function equal(a, b)
  if a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" or is_array(a) ~= is_array(b) or #a ~= #b then return false end
  for k, v in pairs(a) do
    if not equal(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end
M.equal = equal

--- In characters.
function M.length(text)
  local _, n = text:gsub("[^\128-\191]", "")
  return n
end

function M.sorted_keys(t)
  local keys = {}
  for k in pairs(t) do
    keys[#keys + 1] = k
  end
  table.sort(keys)
  return keys
end

--- A value for messages, cut where it is long.
function M.describe(v)
  local text = type(v) == "table" and (is_array(v) and "an array" or "an object") or core.encode(v, "value")
  return #text > 60 and text:sub(1, 57):gsub("[\128-\255]*$", "") .. "…" or text
end

return M
