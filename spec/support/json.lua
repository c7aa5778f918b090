-- JSON as bytes: finds the raw text of members and elements, so that specs can compare what
-- was sent with what arrived to the byte. It trusts its input to be valid JSON.
local cjson = require "cjson"

local M = { decode = cjson.decode, encode = cjson.encode, null = cjson.null }

local function skip_space(s, i)
  return s:find("[^ \t\r\n]", i) or #s + 1
end

local function skip_string(s, i)
  i = i + 1
  while true do
    local at = s:find('["\\]', i) or error("unterminated string: " .. s)
    if s:byte(at) == 34 then return at + 1 end
    i = at + 2
  end
end

-- The position after the value that starts at i.
local function skip_value(s, i)
  local c = s:sub(i, i)
  if c == '"' then return skip_string(s, i) end
  if c ~= "{" and c ~= "[" then return s:find("[,%]} \t\r\n]", i) or #s + 1 end
  local depth = 0
  while true do
    i = s:find('["{}%[%]]', i) or error("unbalanced: " .. s)
    c = s:sub(i, i)
    if c == '"' then
      i = skip_string(s, i)
    else
      depth = depth + ((c == "{" or c == "[") and 1 or -1)
      i = i + 1
      if depth == 0 then return i end
    end
  end
end

--- Members of an object, in order: { {key=, value=, from=, to=} … } with raw values, where they
--- stand in the text, and keys as written.
function M.members(raw)
  local list, i = {}, skip_space(raw, 1)
  assert(raw:sub(i, i) == "{", "not an object: " .. raw)
  i = skip_space(raw, i + 1)
  while raw:sub(i, i) ~= "}" do
    local key_end = skip_string(raw, i)
    local key = raw:sub(i + 1, key_end - 2)
    local value_at = skip_space(raw, skip_space(raw, key_end) + 1)
    local value_end = skip_value(raw, value_at)
    list[#list + 1] = { key = key, value = raw:sub(value_at, value_end - 1), from = value_at, to = value_end - 1 }
    i = skip_space(raw, value_end)
    if raw:sub(i, i) == "," then i = skip_space(raw, i + 1) end
  end
  return list
end

--- Raw elements of an array.
function M.elements(raw)
  local list, i = {}, skip_space(raw, 1)
  assert(raw:sub(i, i) == "[", "not an array: " .. raw)
  i = skip_space(raw, i + 1)
  while raw:sub(i, i) ~= "]" do
    local value_end = skip_value(raw, i)
    list[#list + 1] = raw:sub(i, value_end - 1)
    i = skip_space(raw, value_end)
    if raw:sub(i, i) == "," then i = skip_space(raw, i + 1) end
  end
  return list
end

--- The raw value at a path of member names and (from 1) element numbers; nil when absent.
function M.at(raw, ...)
  for i = 1, select("#", ...) do
    local step, found = select(i, ...), nil
    if type(step) == "number" then
      found = M.elements(raw)[step]
    else
      for _, member in ipairs(M.members(raw)) do
        if member.key == step then found = member.value end
      end
    end
    if not found then return nil end
    raw = found
  end
  return raw
end

--- The same text with the value of one member of the outermost object replaced.
function M.with(raw, name, value)
  for _, member in ipairs(M.members(raw)) do
    if member.key == name then return raw:sub(1, member.from - 1) .. value .. raw:sub(member.to + 1) end
  end
  error("no member " .. name .. " in " .. raw, 2)
end

--- A Lua string from a raw JSON string; nil for nil.
function M.text(raw)
  return raw and M.decode("[" .. raw .. "]")[1]
end

--- A Lua string as a raw JSON string.
function M.quote(text)
  return (M.encode(text):gsub("\\/", "/"))
end

--- The decoded value at a path.
function M.value(raw, ...)
  local found = M.at(raw, ...)
  return found and M.decode("[" .. found .. "]")[1]
end

--- The names in a raw array of objects that have one (`name`, or the member asked for).
function M.names(raw, member)
  local list = {}
  for _, element in ipairs(M.elements(raw)) do list[#list + 1] = M.value(element, member or "name") end
  return list
end

return M
