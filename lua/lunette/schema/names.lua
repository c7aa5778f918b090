-- What a schema says of members by their names, whether or not it lists them: properties, patternProperties,
-- additionalProperties, propertyNames. And whether a value that is known fits one of its schemas. For edit.lua.
local json_text = require "lunette.base.json_text"
local regex = require "lunette.schema.regex"
local schema_validate = require "lunette.schema.validate"

local M = {}

local is_map = json_text.is_map

local Names = {}
Names.__index = Names

--- For a document as read.lua gave it.
function M.new(doc) return setmetatable({ doc = doc, patterns = {} }, Names) end

--- True when the value can't fit this schema of the document; false when it can or nothing is known.
function Names:rules_out(value, schema)
  if schema == nil or schema == true then return false end
  if schema == false then return true end
  if self.check == nil then self.check = schema_validate.new(self.doc.root, true) or false end
  return self.check and self.check(value, "it", schema) ~= nil
end

--- True when the pattern is found in the name; nil when it can't be told.
function Names:matches(pattern, name)
  local found = self.patterns[pattern]
  if found == nil then
    found = regex.compile(pattern) or false
    self.patterns[pattern] = found
  end
  if not found then return nil end
  return (found(name))
end

--- The schemas that a member of this name must fit in a place, and whether it is one that the place doesn't name.
function Names:said_of(place, name)
  local schema, said = place.schema, {}
  local named = is_map(schema.properties) and schema.properties[name] ~= nil
  if named then said[1] = schema.properties[name] end
  for pattern, sub in pairs(is_map(schema.patternProperties) and schema.patternProperties or {}) do
    local found = self:matches(pattern, name)
    if found then said[#said + 1] = sub end
    named = named or found ~= false -- what can't be told may be named
  end
  if not named then said[#said + 1] = schema.additionalProperties end
  return said, not named
end

--- True when a member of this name with this value (nil: any) can't be there.
function Names:forbids(place, name, value)
  if self:rules_out(name, place.schema.propertyNames) then return true end
  for _, schema in ipairs((self:said_of(place, name))) do
    if schema == false or (value ~= nil and self:rules_out(value, schema)) then return true end
  end
  return false
end

--- A schema (text) of objects that have at most or at least n members (key: "maxProperties" or "minProperties") once
-- those of the names (as JSON) that they lack are filled in. An alternative for each way to lack some.
function M.counted(key, n, names)
  local ways = {}
  for mask = 0, 2 ^ #names - 1 do
    local there, lacking = {}, {}
    for i, name in ipairs(names) do
      local lacks = math.floor(mask / 2 ^ (i - 1)) % 2 == 1
      table.insert(lacks and lacking or there, lacks and ('{"required":[%s]}'):format(name) or name)
    end
    local left = n - #lacking
    if key == "maxProperties" and left >= 0 then
      ways[#ways + 1] = ('{"required":[%s],"maxProperties":%d}'):format(table.concat(there, ","), left)
    elseif key == "minProperties" and #lacking == 0 then
      ways[#ways + 1] = ('{"minProperties":%d}'):format(math.max(0, left))
    elseif key == "minProperties" then
      local none = ('{"not":{"anyOf":[%s]},"minProperties":%d}'):format(table.concat(lacking, ","), math.max(0, left))
      ways[#ways + 1] = none
    end
  end
  return #ways > 0 and '{"anyOf":[' .. table.concat(ways, ",") .. "]}" or "false"
end

return M
