-- Schemas that are written in Lua, where an empty table doesn't say whether it is an object or an array.
local core = require "lunette.core"
local set = require "lunette.base.words"

local M = {}

-- Members of a JSON Schema that are arrays: an empty Lua table there is [].
local names = set "required enum allOf anyOf oneOf prefixItems examples type"

--- An empty table becomes an array.
function M.mark_array(value)
  if type(value) == "table" and next(value) == nil then setmetatable(value, core.array_mt) end
end

--- Empty tables in a schema where JSON Schema wants arrays become arrays.
function M.mark(schema, depth)
  if type(schema) ~= "table" or (depth or 0) > 100 then return schema end
  for key, value in pairs(schema) do
    if names[key] then M.mark_array(value) end
    M.mark(value, (depth or 0) + 1)
  end
  return schema
end

return M
