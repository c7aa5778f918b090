-- Random JSON Schemas of tools, transforms of their arguments, and arguments that may fit: the same for the same seed.
-- Schemas and values are Lua tables; M.encode makes JSON of them, an empty table being an object.
local M = {}

local R = {}
R.__index = R

--- A source of chance.
function M.random(seed)
  return setmetatable({ state = seed % 2147483647 + 1 }, R)
end

--- A whole number from 1 to n.
function R:int(n)
  self.state = self.state * 16807 % 2147483647
  return self.state % n + 1
end

function R:one_in(n)
  return self:int(n) == 1
end

function R:pick(list)
  return list[self:int(#list)]
end

function M.encode(value)
  if type(value) == "string" then return '"' .. value .. '"' end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  if #value > 0 then
    for i, element in ipairs(value) do parts[i] = M.encode(element) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, member in pairs(value) do parts[#parts + 1] = '"' .. key .. '":' .. M.encode(member) end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

--- The value as Lua text.
function M.lua(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for key, member in pairs(value) do
    parts[#parts + 1] = ("[%s] = %s"):format(type(key) == "string" and ("%q"):format(key) or key, M.lua(member))
  end
  table.sort(parts)
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- --- schemas -------------------------------------------------------------------------------------------

local words = { "ab", "cd", "efg" }

local leaves = {
  function() return { type = "string" } end,
  function() return { type = "string", minLength = 2 } end,
  function(r) return { enum = { r:pick(words), 1, 2 } } end,
  function() return { type = "integer", minimum = 0, maximum = 3 } end,
  function() return { type = "boolean" } end,
  function(r) return { const = r:pick(words) } end,
  function() return { type = { "integer", "string" } } end,
  function() return { ["$ref"] = "#/$defs/short" } end,
  function() return { type = "array", items = { ["$ref"] = "#/$defs/short" } } end,
  function() return { type = "object", properties = { a = { type = "string" } }, required = { "a" } } end,
  function() return { anyOf = { { type = "integer" }, { const = "ab" } } } end,
  function() return { ["$ref"] = "#/$defs/node" } end,
  function() return { ["$ref"] = "#word" } end,
  function() return { ["$ref"] = "#either" } end,
  function() return { type = "array", items = { ["$ref"] = "#/definitions/few/items" } } end,
  function() return { type = "object", properties = { a = { ["$ref"] = "#word" }, b = { ["$ref"] = "#" } } } end,
}

-- What references of the leaves mean, whether or not there are any.
local function definitions(s)
  s["$defs"] = {
    short = { type = "string", maxLength = 3 },
    node = { type = "object", properties = { a = { ["$ref"] = "#/$defs/short" }, next = { ["$ref"] = "#/$defs/node" } } },
    word = { ["$anchor"] = "word", enum = words },
    either = { ["$dynamicAnchor"] = "either", anyOf = { { ["$ref"] = "#word" }, { ["$ref"] = "#/$defs/short" } } },
  }
  s.definitions = { few = { type = "array", items = { ["$ref"] = "#/$defs/either" } } }
  return s
end

-- One name, or two that differ.
local function one_or_two(r, first, names)
  local second = r:pick(names)
  return second == first and { first } or { first, second }
end

local function some(r, names)
  local list = {}
  for _, name in ipairs(names) do
    if r:one_in(2) then list[#list + 1] = name end
  end
  if #list == 0 then list[1] = r:pick(names) end
  return list
end

-- What may be said about an object besides its properties.
local clauses = {
  function(r, s, names) s.dependentRequired = { [r:pick(names)] = some(r, names) } end,
  function(r, s, names) s.dependentSchemas = { [r:pick(names)] = { required = some(r, names) } } end,
  function(r, s, names) s.allOf = { { required = { r:pick(names) } }, { properties = { [r:pick(names)] = r:pick(leaves)(r) } } } end,
  function(r, s, names) s.anyOf = { { required = some(r, names) }, { required = some(r, names) } } end,
  function(r, s, names)
    local name = r:pick(names)
    s.properties[name] = { enum = { "ab", "cd" } }
    s.oneOf = { { properties = { [name] = { const = "ab" } }, required = { name } },
      { properties = { [name] = { const = "cd" } }, required = one_or_two(r, name, names) } }
  end,
  function(r, s, names)
    s["if"] = { properties = { [r:pick(names)] = { const = "ab" } } }
    s["then"] = { required = { r:pick(names) } }
    if r:one_in(2) then s["else"] = { required = { r:pick(names) } } end
  end,
  function(r, s, names) s["not"] = { required = one_or_two(r, r:pick(names), names) } end,
  function(r, s) s.minProperties = r:int(2) end,
  function(r, s) s.maxProperties = r:int(3) + 1 end,
  function(r, s) s.patternProperties = { [r:pick { "^p", "[p-r]", "x$" }] = r:pick(leaves)(r) } end,
  function(r, s, names)
    s.oneOf = { { patternProperties = { [r:pick { "^p", "[qr]" }] = { type = "string" } } }, { minProperties = r:int(3) },
      { propertyNames = { ["not"] = { const = r:pick(names) } } } }
  end,
  function(_, s, names) s.propertyNames = { enum = names } end,
  function(_, s) s.propertyNames = { maxLength = 20 } end,
  function(r, s) s.additionalProperties = r:one_in(2) and { type = "string" } or false end,
  function(_, s) s.unevaluatedProperties = false end,
  function(r, s, names) s.properties.z = { ["$ref"] = "#/properties/" .. r:pick(names) } end,
  function(r, s, names)
    s.properties[r:pick(names)] = { ["$defs"] = { mine = { type = "string" } }, anyOf = { { ["$ref"] = "#/$defs/node" }, { minLength = 1 } } }
    s.properties.z = { ["$ref"] = "#/properties/" .. r:pick(names) .. "/$defs/mine" }
  end,
}

--- A schema of a tool's arguments, and their names.
function M.schema(r)
  local names, s = {}, definitions { type = "object", properties = {} }
  for i = 1, 1 + r:int(3) do
    local name = ("pqrst"):sub(i, i) .. (r:one_in(5) and "-x" or "")
    names[i] = name
    s.properties[name] = r:pick(leaves)(r)
  end
  if r:one_in(2) then s.required = some(r, names) end
  for _ = 1, r:int(3) - 1 do r:pick(clauses)(r, s, names) end
  if r:one_in(6) then
    -- The same by way of a definition. What is additional beside a reference are all of them: no default would fit.
    local inner = {}
    s.additionalProperties = nil
    for _, key in ipairs { "properties", "required", "allOf", "anyOf" } do inner[key], s[key] = s[key], nil end
    s["$defs"].arguments = inner
    s["$ref"] = "#/$defs/arguments"
  end
  -- What leads nowhere in the server's own schema stays so.
  local properties = s.properties or s["$defs"].arguments.properties
  if #M.dangling(s) > 0 then properties.z = nil end
  return s, names
end

-- --- values --------------------------------------------------------------------------------------------

local function anchored(value, name)
  if type(value) ~= "table" then return nil end
  if value["$anchor"] == name or value["$dynamicAnchor"] == name then return value end
  for _, sub in pairs(value) do
    local found = anchored(sub, name)
    if found then return found end
  end
end

--- What a reference in a schema means, or nil. Of those by fragment only.
function M.target(root, ref)
  local fragment = ref:match "^#(.*)$"
  if fragment ~= "" and fragment:sub(1, 1) ~= "/" then return anchored(root, fragment) end
  local at = root
  for token in fragment:gmatch "/([^/]*)" do
    token = token:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end):gsub("~1", "/"):gsub("~0", "~")
    if type(at) ~= "table" then return nil end
    if at[token] ~= nil then at = at[token] else at = at[(tonumber(token) or -1) + 1] end
  end
  return at
end

--- The references in a schema that lead nowhere.
function M.dangling(root, value, found)
  found = found or {}
  for key, sub in pairs(value or root) do
    if (key == "$ref" or key == "$dynamicRef") and type(sub) == "string" then
      if M.target(root, sub) == nil then found[#found + 1] = sub end
    elseif type(sub) == "table" then
      M.dangling(root, sub, found)
    end
  end
  return found
end

local function resolve(root, schema)
  for _ = 1, 5 do
    local ref = type(schema) == "table" and (schema["$ref"] or schema["$dynamicRef"])
    if not ref then return schema end
    schema = M.target(root, ref)
  end
  return {}
end

--- A value that has good chances with a schema.
function M.value(r, root, schema)
  schema = resolve(root, schema)
  if type(schema) ~= "table" then return r:pick(words) end
  if schema.const ~= nil then return schema.const end
  if schema.enum then return r:pick(schema.enum) end
  if schema.anyOf then return M.value(r, root, r:pick(schema.anyOf)) end
  local kind = type(schema.type) == "table" and r:pick(schema.type) or schema.type
  if kind == "integer" then return r:int(4) - 1 end
  if kind == "boolean" then return r:one_in(2) end
  if kind == "array" then return { r:pick(words) } end
  if kind == "object" then return { a = r:pick(words) } end
  return r:pick(words)
end

-- The properties that a schema names for its own object, wherever it does.
local function properties_of(root, schema, found, depth)
  if type(schema) ~= "table" or depth > 4 then return found end
  schema = resolve(root, schema)
  for name, property in pairs(type(schema) == "table" and schema.properties or {}) do
    found[name] = found[name] or {}
    table.insert(found[name], property)
  end
  for _, key in ipairs { "allOf", "anyOf", "oneOf" } do
    for _, sub in ipairs(type(schema) == "table" and schema[key] or {}) do properties_of(root, sub, found, depth + 1) end
  end
  return found
end

--- Arguments that may fit a schema.
function M.arguments(r, schema)
  local all, names, out = properties_of(schema, schema, {}, 0), {}, {}
  if schema["$ref"] then properties_of(schema, { ["$ref"] = schema["$ref"] }, all, 0) end
  for name in pairs(all) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if not r:one_in(3) then out[name] = M.value(r, schema, r:pick(all[name])) end
  end
  if r:one_in(5) then out.other = r:pick(words) end
  return out
end

-- --- transforms ----------------------------------------------------------------------------------------

-- An argument's own schema, said anew as a document of its own: by a definition that may have the name of one of the
-- tool's.
local function said_anew(r, own)
  local holder, name = r:pick { "$defs", "definitions" }, r:pick { "mine", "node", "few", "other" }
  if M.encode(own):find("/" .. name, 1, true) or M.encode(own):find('"#"', 1, true) then name = "other" end
  local anew = { [holder] = { [name] = own } }
  local how = r:int(3)
  if how == 1 then
    anew["$ref"] = ("#/%s/%s"):format(holder, name)
  elseif how == 2 then
    anew["$ref"], anew[holder][name] = "#mine", { ["$anchor"] = "mine", allOf = { own } }
  else
    anew.allOf = { { ["$ref"] = "#/allOf/1" }, own }
  end
  return anew
end

--- What a transform may say of these arguments of a schema: { name = { … } … } with values that their own schema
-- takes.
function M.transform(r, schema, names)
  local said, free = {}, { "u", "v", "w", names[1], names[#names] }
  local properties, s = properties_of(schema, schema, {}, 0), schema.properties and schema
  for _, name in ipairs(names) do
    local a = {}
    if r:one_in(3) then a.name = r:pick(free) end
    if r:one_in(3) and properties[name] and #properties[name] == 1 then a.default = M.value(r, schema, properties[name][1]) end
    if r:one_in(3) then a.hide = true end
    if r:one_in(4) and not a.hide and a.default == nil then a.required = true end
    if r:one_in(4) then a.description = "D" end
    local own = s and s.properties[name]
    local is_plain = own and #(properties[name] or {}) == 1 and not M.encode(own):find('"#', 1, true)
    if is_plain and r:one_in(3) then a.schema = said_anew(r, own) end
    if next(a) then said[name] = a end
  end
  return said
end

return M
