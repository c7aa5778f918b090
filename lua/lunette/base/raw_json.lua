-- JSON for the command line: what is printed or sent is cut out of, or put together from, the bytes as
-- they are, so that numbers, order and escapes stay. cjson decodes what is only looked at.
local M = {}

local DEPTH = 200

local closers = { ["{"] = "}", ["["] = "]" }
local words = { t = { "true", "boolean" }, f = { "false", "boolean" }, n = { "null", "null" } }

local function skip_space(text, at) return text:find("[^ \t\r\n]", at) or #text + 1 end

-- A string that begins at `at`: the position after it.
local function skip_string(text, at)
  at = at + 1
  while true do
    at = text:find('[%z\1-\31"\\]', at)
    local c = at and text:sub(at, at)
    if c == '"' then return at + 1 end
    if c ~= "\\" then return nil, at and "a control character in a string" or "a string without an end" end
    if text:find('^["\\/bfnrt]', at + 1) then
      at = at + 2
    elseif text:find("^u%x%x%x%x", at + 1) then
      at = at + 6
    else
      return nil, "an unknown escape in a string"
    end
  end
end

local function skip_number(text, at)
  local stop = text:match("^%-?[1-9]%d*()", at) or text:match("^%-?0()", at)
  if not stop then return nil, "a number that is none" end
  stop = text:match("^%.%d+()", stop) or stop
  stop = text:match("^[eE][+-]?%d+()", stop) or stop
  if text:find("^[%w%.+-]", stop) then return nil, "a number that is none" end
  return stop, "number"
end

local skip_value

-- The members of the object, or elements of the array, that begins at `at`. each(first, last, name_first,
-- name_last) is called with where each value and its name stand.
local function skip_inside(text, at, depth, each)
  local object, close = text:sub(at, at) == "{", closers[text:sub(at, at)]
  if depth > DEPTH then return nil, "nested too deep" end
  at = skip_space(text, at + 1)
  if text:sub(at, at) == close then return at + 1, object and "object" or "array" end
  while true do
    local name_first, name_last, why
    if object then
      if text:sub(at, at) ~= '"' then return nil, "a member without a name in quotes" end
      name_first = at
      at, why = skip_string(text, at)
      if not at then return nil, why end
      name_last = at - 1
      at = skip_space(text, at)
      if text:sub(at, at) ~= ":" then return nil, "a member without a colon" end
      at = skip_space(text, at + 1)
    end
    local first = at
    at, why = skip_value(text, at, depth)
    if not at then return nil, why end
    if each then each(first, at - 1, name_first, name_last) end
    at = skip_space(text, at)
    local c = text:sub(at, at)
    if c == close then return at + 1, object and "object" or "array" end
    if c ~= "," then return nil, ("no %s at the end"):format(close) end
    at = skip_space(text, at + 1)
  end
end

-- The value that begins at `at`: the position after it and its type, or nil and what is wrong.
function skip_value(text, at, depth)
  local c = text:sub(at, at)
  if c == '"' then
    local stop, why = skip_string(text, at)
    return stop, why or "string"
  end
  if closers[c] then return skip_inside(text, at, depth + 1) end
  if words[c] then
    local word = words[c][1]
    if text:sub(at, at + #word - 1) == word and not text:find("^[%w_]", at + #word) then
      return at + #word, words[c][2]
    end
  elseif c:find "[-%d]" then
    return skip_number(text, at)
  end
  return nil, c == "" and "nothing there" or ("no value begins with %q"):format(c)
end

--- The type of a JSON text ("object", "array", "string", "number", "boolean", "null"), or nil and
-- what keeps it from being JSON.
function M.type(text)
  local stop, kind = skip_value(text, skip_space(text, 1), 0)
  if not stop then return nil, kind end
  if skip_space(text, stop) <= #text then return nil, "more text after the value" end
  return kind
end

local function each(text, fn)
  local at = skip_space(text, 1)
  if not closers[text:sub(at, at)] then return end
  skip_inside(text, at, 1, fn)
end

--- The members of an object in their order: { { name = "…", value = "raw JSON" }, … }. Empty for anything else.
function M.members(text)
  local list = {}
  if not text or text:sub(skip_space(text, 1), skip_space(text, 1)) ~= "{" then return list end
  each(text, function(first, last, name_first, name_last)
    list[#list + 1] = { name = M.decode(text:sub(name_first, name_last)), value = text:sub(first, last) }
  end)
  return list
end

--- The raw value of the member at a path of names, or nil.
function M.member(text, ...)
  for i = 1, select("#", ...) do
    local name, found = (select(i, ...)), nil
    for _, member in ipairs(M.members(text)) do
      if member.name == name then found = found or member.value end
    end
    if not found then return nil end
    text = found
  end
  return text
end

--- The raw elements of an array, in order. Empty for anything else.
function M.elements(text)
  local list = {}
  if not text or text:sub(skip_space(text, 1), skip_space(text, 1)) ~= "[" then return list end
  each(text, function(first, last) list[#list + 1] = text:sub(first, last) end)
  return list
end

local cjson

--- The value of a text that is JSON. Objects and arrays are plain tables, null is M.null.
function M.decode(text)
  if not cjson then
    cjson = require("cjson").new()
    M.null = cjson.null
  end
  -- cjson wants an object or array at the top.
  return cjson.decode("[" .. text .. "]")[1]
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

--- A text as a JSON string.
function M.quote(text)
  return '"' .. text:gsub('[%z\1-\31"\\\127]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

return M
