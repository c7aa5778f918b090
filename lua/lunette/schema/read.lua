-- What a tool's inputSchema says of its arguments, and where: see edit.lua for places.
local core = require "lunette.core"
local check = require "lunette.base.check"
local json_text = require "lunette.base.json_text"

local M = {}

local is_list, is_map = json_text.is_list, json_text.is_map

-- --- pointers ----------------------------------------------------------------------------------

function M.escape(token) return (tostring(token):gsub("~", "~0"):gsub("/", "~1")) end

function M.tokens_of(pointer)
  local tokens = {}
  for token in pointer:gmatch "/([^/]*)" do
    tokens[#tokens + 1] = token:gsub("~1", "/"):gsub("~0", "~")
  end
  return tokens
end

local function step(value, token)
  if is_list(value) then return value[(tonumber(token) or -1) + 1] end
  if type(value) == "table" then return value[token] end
end

local function unescape_uri(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

function M.escape_uri(text)
  return (text:gsub("[^%w%-%._~/!%$&'%(%)%*%+,;=:@]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- A local reference's pointer in the document, or nil when it leads elsewhere or nowhere.
function M.resolve(doc, ref)
  if type(ref) ~= "string" then return nil end
  local id = doc.root["$id"]
  id = type(id) == "string" and id:match "^[^#]+"
  if id and (ref == id or ref:sub(1, #id + 1) == id .. "#") then ref = "#" .. ref:sub(#id + 2) end
  if ref:sub(1, 1) ~= "#" then return nil end
  local fragment = unescape_uri(ref:sub(2))
  if fragment == "" then return "" end
  if fragment:sub(1, 1) ~= "/" then return doc.anchors[fragment] end
  local value, pointer = doc.root, ""
  for _, token in ipairs(M.tokens_of(fragment)) do
    value = step(value, token)
    if value == nil then return nil end
    pointer = pointer .. "/" .. M.escape(token)
  end
  return pointer
end

function M.at_pointer(root, pointer)
  local value = root
  for _, token in ipairs(M.tokens_of(pointer)) do
    value = step(value, token)
  end
  return value
end

function M.text_at(text, pointer)
  for _, token in ipairs(M.tokens_of(pointer)) do
    local found
    for i, span in ipairs(core.spans(text)) do
      if span.name == token or (not span.name and tostring(i - 1) == token) then found = text:sub(span.at, span.to) end
    end
    text = found
  end
  return text
end

-- --- where schemas are in schemas --------------------------------------------------------------

-- "one": the value is a schema; "list": a list of them (or one); "map": by name.
local inside = {}
M.inside = inside
for shape, names in pairs {
  one = [[additionalProperties unevaluatedProperties additionalItems unevaluatedItems contains propertyNames
    not if then else contentSchema]],
  list = "allOf anyOf oneOf prefixItems items",
  map = "properties patternProperties $defs definitions dependentSchemas dependencies",
} do
  for name in names:gmatch "%S+" do
    inside[name] = shape
  end
end

-- Those that speak of the same arguments object; of allOf all must hold.
local same = { "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies" }

-- A subschema with an $id of its own is a document of its own: its references are not ours.
function M.is_foreign(schema, pointer)
  local id = schema["$id"]
  return pointer ~= "" and type(id) == "string" and id:sub(1, 1) ~= "#"
end

local function note_anchors(doc, value, pointer)
  if type(value) ~= "table" then return end
  if is_map(value) then
    for _, key in ipairs { "$anchor", "$dynamicAnchor" } do
      if type(value[key]) == "string" then doc.anchors[value[key]] = pointer end
    end
    local id = value["$id"]
    if type(id) == "string" and id:find "^#." then doc.anchors[id:sub(2)] = pointer end
    if M.is_foreign(value, pointer) then return end
    for key, sub in pairs(value) do
      note_anchors(doc, sub, pointer .. "/" .. M.escape(key))
    end
  else
    for i, sub in ipairs(value) do
      note_anchors(doc, sub, pointer .. "/" .. (i - 1))
    end
  end
end

local function add_place(doc, pointer, must)
  local schema = M.at_pointer(doc.root, pointer)
  local place = doc.places[pointer]
  if not is_map(schema) or (place and (place.must or not must)) then return end
  if not place then
    place = { pointer = pointer, schema = schema }
    doc.places[pointer] = place
    doc.order[#doc.order + 1] = place
  end
  place.must = must
  if not M.is_foreign(schema, pointer) then
    for _, key in ipairs { "$ref", "$dynamicRef", "$recursiveRef" } do
      local target = M.resolve(doc, schema[key])
      if target then add_place(doc, target, must) end
    end
  end
  for _, key in ipairs(same) do
    local sub, base = schema[key], pointer .. "/" .. M.escape(key)
    if inside[key] == "one" then
      if sub ~= nil then add_place(doc, base, false) end
    elseif is_list(sub) then
      for i = 1, #sub do
        add_place(doc, base .. "/" .. (i - 1), must and key == "allOf")
      end
    elseif is_map(sub) and inside[key] == "map" then
      for _, name in ipairs(check.sorted(sub)) do
        if is_map(sub[name]) then add_place(doc, base .. "/" .. M.escape(name), false) end
      end
    end
  end
end

--- A schema as a document in which references can be resolved.
function M.document(root)
  local doc = { root = root, anchors = {} }
  note_anchors(doc, root, "")
  return doc
end

--- What a schema (its text) says of its arguments:
-- { text =, root =, places =, order =, names = { in order }, arguments = { name = { pointer =, schema = } },
--   required = { name = true } }
function M.read(text)
  local doc = M.document(core.decode(text))
  doc.text, doc.places, doc.order, doc.names, doc.arguments, doc.required = text, {}, {}, {}, {}, {}
  add_place(doc, "", true)
  for _, place in ipairs(doc.order) do
    if is_map(place.schema.properties) then
      -- In the order written, which a table has not.
      for _, span in ipairs(core.spans(M.text_at(text, place.pointer .. "/properties"))) do
        local name = span.name
        if not doc.arguments[name] then
          doc.arguments[name] = { pointer = place.pointer, schema = place.schema.properties[name] }
          doc.names[#doc.names + 1] = name
        end
      end
    end
    if place.must and is_list(place.schema.required) then
      for _, name in ipairs(place.schema.required) do
        doc.required[name] = true
      end
    end
  end
  return doc
end

return M
