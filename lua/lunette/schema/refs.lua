-- What a JSON Schema consists of and where its references lead, for validate.lua. A resource is a schema
-- with its $id and what is in it; all are found in one walk. References stay inside: nothing is ever fetched, and
-- one that leads outside makes the schema unusable rather than permissive, as the MCP specification wants it.
local core = require "lunette.core"
local regex = require "lunette.schema.regex"

local M = {}

local DEPTH = 200 -- schemas in one another
local SCHEMAS = 20000 -- in a schema

--- Ends the work: what can't be checked at all.
function M.unusable(why, ...) error({ unusable = why:format(...) }, 0) end

local unusable = M.unusable

function M.is_array(v) return type(v) == "table" and (getmetatable(v) == core.array_mt or v[1] ~= nil) end

local is_array = M.is_array

-- Where schemas are in a schema.
local places = {}
for word in ([[additionalProperties unevaluatedProperties propertyNames items unevaluatedItems contains not if then else
  additionalItems contentSchema]]):gmatch "%S+" do
  places[word] = "one"
end
for word in ("allOf anyOf oneOf prefixItems"):gmatch "%S+" do
  places[word] = "list"
end
for word in ("properties patternProperties dependentSchemas dependencies $defs definitions"):gmatch "%S+" do
  places[word] = "map"
end

-- A URI reference as seen from a base, in the forms that schemas use.
local function resolve(base, reference)
  if reference:find "^%a[%w+.-]*:" then return reference end
  if reference == "" then return base end
  reference = reference:gsub("^%./", "")
  local scheme, authority, path = base:match "^(%a[%w+.-]*:)(/?/?[^/?#]*)([^?#]*)"
  if not scheme then return reference end
  if reference:sub(1, 2) == "//" then return scheme .. reference end
  if reference:sub(1, 1) == "/" then return scheme .. authority .. reference end
  return scheme .. authority .. (path:match "^(.*/)" or "/") .. reference
end

local function register(self, schema, resource)
  resource.schema, resource.anchors, resource.dynamic = schema, {}, {}
  self.resources[resource.base] = self.resources[resource.base] or resource
  return resource
end

--- A pattern's function; false for what is not supported.
function M.regex_of(self, pattern)
  if self.patterns[pattern] == nil then
    local found, why = regex.compile(pattern)
    self.patterns[pattern], self.odd[pattern] = found or false, why
  end
  return self.patterns[pattern]
end

local function walk(self, schema, resource, depth)
  if type(schema) ~= "table" or is_array(schema) then return end
  self.n = self.n + 1
  if self.n > SCHEMAS or depth > DEPTH then unusable "the schema is too big" end
  if self.of[schema] then return end
  local id = schema["$id"]
  if type(id) == "string" and not (self.old and schema["$ref"] ~= nil) then
    local whole, fragment = id:match "^([^#]*)#?(.*)$"
    if whole ~= "" and depth > 0 then
      resource = register(self, schema, { base = resolve(resource.base, whole) })
    elseif fragment ~= "" then
      resource.anchors[fragment] = schema
    end
  end
  self.of[schema] = resource
  local anchor, dynamic = schema["$anchor"], schema["$dynamicAnchor"]
  if type(anchor) == "string" then resource.anchors[anchor] = schema end
  if type(dynamic) == "string" then
    resource.anchors[dynamic], resource.dynamic[dynamic] = schema, schema
  end
  if schema["$recursiveAnchor"] == true then resource.dynamic[""] = schema end
  if type(schema.pattern) == "string" and not M.regex_of(self, schema.pattern) then
    self.unchecked[#self.unchecked + 1] = ("the pattern %s (%s)"):format(schema.pattern, self.odd[schema.pattern])
  end
  self.unevaluated = self.unevaluated or schema.unevaluatedProperties ~= nil or schema.unevaluatedItems ~= nil
  for word, value in pairs(schema) do
    local place = type(value) == "table" and places[word]
    if place == "one" and not is_array(value) then walk(self, value, resource, depth + 1) end
    if place == "map" or (place == "list" or place == "one") and is_array(value) then
      for _, inner in pairs(value) do
        walk(self, inner, resource, depth + 1)
      end
    end
  end
end

local function unescaped(token)
  token = token:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  return (token:gsub("~1", "/"):gsub("~0", "~"))
end

-- What a JSON pointer leads to. Resources on the way are where it goes on from.
local function follow(self, resource, pointer)
  local at = resource.schema
  for token in pointer:gmatch "/([^/]*)" do
    token = unescaped(token)
    if type(at) ~= "table" then return nil end
    at = at[is_array(at) and (tonumber(token) or -1) + 1 or token]
    if at == nil then return nil end
    resource = type(at) == "table" and self.of[at] or resource
  end
  walk(self, at, resource, 1) -- it may stand where no schema was expected
  return at
end

--- The schema that a reference in `schema` means, the fragment and the resource.
function M.target(self, schema, reference)
  local resource = self.of[schema]
  local whole, fragment = reference:match "^([^#]*)#?(.*)$"
  if whole ~= "" then resource = self.resources[resolve(resource.base, whole)] end
  local found
  if resource and (fragment == "" or fragment:sub(1, 1) == "/") then
    found = follow(self, resource, fragment)
  elseif resource then
    found = resource.anchors[unescaped(fragment)]
  end
  if found == nil then unusable("it refers to %s, which is not in it, and nothing is fetched", reference) end
  return found, fragment, resource
end

--- What is known of a schema: `of` (the resource of each schema in it), `patterns`, `unchecked`, `unevaluated` (that
-- word is in it), `old` (the dialect is older than 2019-09).
function M.index(schema, old)
  local self = { resources = {}, of = {}, patterns = {}, odd = {}, unchecked = {}, n = 0, old = old }
  local id = type(schema) == "table" and type(schema["$id"]) == "string" and schema["$id"]:match "^[^#]*" or ""
  walk(self, schema, register(self, schema, { base = id }), 0)
  return self
end

return M
