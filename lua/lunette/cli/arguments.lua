-- key=value words as the arguments of a tool or prompt. Values stay the bytes that were written: 1.0 or
-- a long integer is sent as it stands.
local json = require "lunette.base.raw_json"
local text = require "lunette.cli.text"

local M = {}

local DEPTH = 8

local function resolve(root, reference)
  local at = root
  for step in reference:gmatch "/([^/]*)" do
    step = step:gsub("~1", "/"):gsub("~0", "~")
    at = type(at) == "table" and at[step] or nil
  end
  return reference:find "^#/" and at or nil
end

local function all_strings(list)
  for _, value in ipairs(list) do
    if type(value) ~= "string" then return false end
  end
  return #list > 0
end

-- Whether a schema lets a string through; nil when it doesn't say.
local function takes_string(schema, root, depth)
  if type(schema) ~= "table" or depth > DEPTH then return nil end
  if type(schema.type) == "string" then return schema.type == "string" end
  if type(schema.type) == "table" then
    for _, one in ipairs(schema.type) do
      if one == "string" then return true end
    end
    return false
  end
  if type(schema.const) == "string" then return true end
  if type(schema.enum) == "table" then return all_strings(schema.enum) end
  if type(schema["$ref"]) == "string" then return takes_string(resolve(root, schema["$ref"]), root, depth + 1) end
  for _, word in ipairs { "anyOf", "oneOf", "allOf" } do
    for _, part in ipairs(type(schema[word]) == "table" and schema[word] or {}) do
      if takes_string(part, root, depth + 1) then return true end
    end
  end
  return nil
end

--- Divides "key=value" (or "key:=json"): { key =, value =, json = true for := }, or nil and why.
function M.pair(word)
  local key, value = word:match "^(.-):=(.*)$"
  local plain_key, plain_value = word:match "^(.-)=(.*)$"
  if not plain_key then return nil, ("%s: arguments are written key=value"):format(word) end
  local is_json = key ~= nil and #key < #plain_key
  if not is_json then
    key, value = plain_key, plain_value
  end
  if key == "" then return nil, ("%s: there is no name before the ="):format(word) end
  if not text.is_utf8(word) then return nil, ("%s: arguments must be UTF-8"):format(text.clean(word)) end
  if is_json then
    local kind, why = json.type(value)
    if not kind then return nil, ("%s: the value after := must be JSON: %s"):format(word, why) end
  end
  return { key = key, value = value, json = is_json }
end

--- All words as pairs; nil and why.
function M.pairs(words)
  local list, seen = {}, {}
  for i, word in ipairs(words) do
    local pair, why = M.pair(word)
    if not pair then return nil, why end
    if seen[pair.key] then return nil, ("%s is given twice"):format(pair.key) end
    seen[pair.key] = true
    list[i] = pair
  end
  return list
end

--- The value of a pair as JSON. schema: the tool's inputSchema as a table, or nil when it is not known: a
-- value that is JSON and no string is that, unless the schema says that this member is a string.
function M.value(pair, schema)
  if pair.json then return pair.value end
  local kind = json.type(pair.value)
  if not kind or kind == "string" then return json.quote(pair.value) end
  local properties = type(schema) == "table" and type(schema.properties) == "table" and schema.properties or {}
  if takes_string(properties[pair.key], schema, 0) then return json.quote(pair.value) end
  return pair.value
end

--- The arguments object. base: the raw object of --args, or nil; a pair may not name one of its members.
function M.object(list, schema, base)
  local out = {}
  for _, member in ipairs(json.members(base)) do
    out[#out + 1] = json.quote(member.name) .. ":" .. member.value
  end
  for _, pair in ipairs(list) do
    out[#out + 1] = json.quote(pair.key) .. ":" .. M.value(pair, schema)
  end
  return "{" .. table.concat(out, ",") .. "}"
end

--- The same for prompts, whose arguments are strings.
function M.strings(list)
  local out = {}
  for i, pair in ipairs(list) do
    out[i] = json.quote(pair.key) .. ":" .. (pair.json and pair.value or json.quote(pair.value))
  end
  return "{" .. table.concat(out, ",") .. "}"
end

return M
