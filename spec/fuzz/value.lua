-- The policy that value.c runs. Its one tool takes bytes, makes a JSON text of them, decodes it, edits
-- the table and merges it back; then it demands:
--   nothing edited: not one byte differs;
--   the merged text is JSON, and its value is the edited table's;
--   a member or element whose value nobody changed has the source's bytes (but see `moved`);
--   members that stay are in the source's order, new ones follow, sorted;
--   what was looked at for it is linear in what came in and goes out.
-- Bytes that start with 250 stand for a long array and what is done to all of it; of the rest, which bytes
-- stay is not asked there.
local lunette = require "lunette"

local core = require "lunette.core"

lunette.configure { jit = true }

local array_mt, null = core.array_mt, core.null

-- --- bytes as decisions -------------------------------------------------------------------------

local bytes, at

local function pick(n)
  at = at + 1
  return (bytes:byte(at) or 0) % n
end

local spaces = { "", "", "", " ", "\n", "\t ", "\r\n  " }
local function space() return spaces[pick(#spaces) + 1] end

local names = { "a", "b", "c", "name", "arguments", "x\\u0061", "xa", "", "\\ud800", "\\/", "/", "long name", "1", "é" }
local scalars = {
  "null", "true", "false", "0", "1", "1.0", "-0", "1e2", "100", "12345678901234567890", "0.1", "-1.5E-3",
  '""', '"a"', '"\\u0061"', '"\\ud83d\\ude00"', '"😀"', '"\\ud800"', '"a\\/b"', '"\\n\\""', "123456789.123456789",
  "9007199254740993", '"1"', "0.000001", "1E+2",
}

local text_of

local function object(depth)
  local parts, n = {}, pick(5)
  if pick(24) == 0 then n = n + 30 end
  for i = 1, n do
    local name = n > 20 and i % 27 ~= 0 and "m" .. i or names[pick(#names) + 1]
    parts[i] = space() .. '"' .. name .. '"' .. space() .. ":" .. space() .. text_of(depth + 1) .. space()
  end
  return "{" .. (n == 0 and space() or "") .. table.concat(parts, ",") .. "}"
end

local function array(depth)
  local parts, n = {}, pick(5)
  for i = 1, n do
    parts[i] = space() .. text_of(depth + 1) .. space()
  end
  return "[" .. (n == 0 and space() or "") .. table.concat(parts, ",") .. "]"
end

function text_of(depth)
  local kind = depth > 6 and 0 or pick(5)
  if kind >= 3 and pick(3) > 0 then return object(depth) end
  if kind >= 3 then return array(depth) end
  return scalars[pick(#scalars) + 1]
end

-- --- edits --------------------------------------------------------------------------------------

local function value_of()
  local kind = pick(9)
  if kind == 0 then return {} end
  if kind == 1 then return setmetatable({}, array_mt) end
  if kind == 2 then return null end
  if kind == 3 then return { b = 1, a = { 1, 2, { x = true } } } end
  if kind == 4 then return { "one", "two" } end
  return core.decode(scalars[pick(12) + 1])
end

local function is_array(t) return getmetatable(t) == array_mt or #t > 0 end

local function random_key(t)
  local keys = {}
  for k in pairs(t) do
    keys[#keys + 1] = k
  end
  table.sort(keys)
  return keys[pick(math.max(#keys, 1)) + 1]
end

-- Arrays in which elements may have changed their places: when a table that was moved is put where it belongs
-- now, which of two equal scalars beside it stayed nobody can tell (1.0 and 1 are one number in Lua).
local moved = setmetatable({}, { __mode = "k" })

local function edit_array(t)
  local kind, n = pick(5), #t
  for i = 1, kind ~= 2 and n or 0 do
    moved[t] = moved[t] or type(t[i]) == "table"
  end
  if kind == 0 then
    table.insert(t, pick(n + 1) + 1, value_of())
  elseif kind == 1 and n > 0 then
    table.remove(t, pick(n) + 1)
  elseif kind == 2 and n > 0 then
    t[pick(n) + 1] = value_of()
  elseif kind == 3 then
    for _ = 1, math.min(pick(3), n) do
      table.remove(t, 1)
    end
  elseif n > 1 then
    local i, j = pick(n) + 1, pick(n) + 1
    t[i], t[j] = t[j], t[i]
  end
end

local function edit_object(t)
  local key = random_key(t)
  local kind = pick(4)
  if kind == 0 or key == nil then
    t[({ "new", "a", "zz", "0" })[pick(4) + 1]] = value_of()
  elseif kind == 1 then
    t[key] = nil
  else
    t[key] = value_of()
  end
end

local function edit(t)
  for _ = 1, pick(4) do
    local key = random_key(t)
    if key ~= nil and type(t[key]) == "table" then t = t[key] end
  end
  if is_array(t) then edit_array(t) else edit_object(t) end
end

-- --- demands ------------------------------------------------------------------------------------

local function same(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) ~= "table" then return a == b end
  -- An empty table without the mark is whatever it replaced.
  if next(a) == nil and next(b) == nil then
    return getmetatable(a) ~= array_mt or getmetatable(b) == array_mt
  end
  if is_array(a) ~= is_array(b) then return false end
  for k, v in pairs(a) do
    if b[k] == nil or not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

local function strictly_same(a, b) return same(a, b) and same(b, a) end

-- Two equal elements that changed places leave the value as it was, but not the white space around them.
local function has_moved(value)
  if type(value) ~= "table" then return false end
  local yes = moved[value]
  for _, v in pairs(value) do
    yes = yes or has_moved(v)
  end
  return yes
end

-- { {key, raw}… } of an object, or an array (key: its number), in order; twins: the last.
local function parts_of(text) return core.parts(text) end

local check

-- Sources with twins in them give the bytes of the last.
local function check_object(source, before, result, after)
  local old, new = parts_of(source), parts_of(result)
  local raw, place = {}, {}
  for i, part in ipairs(old) do
    raw[part[1]], place[part[1]] = part[2], i
  end
  local last, added = 0, nil
  for _, part in ipairs(new) do
    local key = part[1]
    if before[key] ~= nil then
      assert(not added, "a member of the source after a new one")
      assert(place[key] > last, "order")
      last = place[key]
      check(raw[key], before[key], part[2], after[key])
    else
      assert(added == nil or added < key, "new members unsorted")
      added = key
    end
  end
end

function check(source, before, result, after)
  if source == result then return end
  if strictly_same(before, after) and not has_moved(after) then
    error("bytes of what nobody changed: " .. source .. " became " .. result)
  end
  if type(before) ~= "table" or type(after) ~= "table" then return end
  local list = getmetatable(before) == array_mt
  if list and moved[after] then return end
  if list and #before == #after then
    local old, new = parts_of(source), parts_of(result)
    for i = 1, #old do
      check(old[i][2], before[i], new[i][2], after[i])
    end
  elseif not list and not is_array(after) and getmetatable(after) ~= array_mt then
    check_object(source, before, result, after)
  end
end

-- core.merge, which must not look at more than so much for each byte.
local function merge(source, value, optional)
  local result, edits, steps = core.merge(source, value, optional)
  local most = 40000 + 6 * #source + 4 * #result
  assert(steps <= most, ("%d steps for %d bytes that became %d"):format(steps, #source, #result))
  return result, edits
end

-- --- long arrays --------------------------------------------------------------------------------

local elements = {
  function(i) return i .. "" end,
  function(i) return i .. ".0" end,
  function(i) return i % 3 .. "" end,
  function() return "1" end,
  function(i) return '"' .. i .. '"' end,
  function(i) return '{"n":' .. i .. ',"m":[1.0,{}]}' end,
  function(i) return "[" .. i % 4 .. ",[],[" .. i .. "]]" end,
  function(i) return i % 500 == 1 and "[" .. ("[0],"):rep(500) .. "1.0]" or "{}" end,
}

local function copy(value)
  if type(value) ~= "table" then return value end
  local made = setmetatable({}, getmetatable(value))
  for k, v in pairs(value) do
    made[k] = copy(v)
  end
  return made
end

local function map(list, f)
  local made = setmetatable({}, array_mt)
  for i = 1, #list do
    local value = f(list[i], i)
    if value ~= nil then made[#made + 1] = value end
  end
  return made
end

-- Each gives the list that comes of a list; `by` is a small number.
local remakes = {
  function(list, by) return map(list, function(value, i) return i % (by + 2) == 0 and value or nil end) end,
  function(list, by) return map(list, function(value, i) return i > by * #list / 8 and value or nil end) end,
  function(list) return map(list, function(_, i) return list[#list + 1 - i] end) end,
  function(list) return map(list, copy) end,
  function(list, by) return map(list, function(value, i) return i % (by + 2) == 0 and i or value end) end,
  function(list, by) return map(list, function() return list[by + 1] end) end,
  function(list)
    local made = map(list, function(value) return value end)
    local random = 1
    for i = #made, 2, -1 do
      random = random * 16807 % 2147483647
      made[i], made[random % i + 1] = made[random % i + 1], made[i]
    end
    return made
  end,
  function(list)
    local made = setmetatable({}, array_mt)
    for i = 1, #list do
      made[2 * i - 1], made[2 * i] = list[i], list[i]
    end
    return made
  end,
  function(list, by)
    local made = map(list, function(value) return value end)
    for _ = 0, by do
      table.insert(made, 1, value_of())
    end
    return made
  end,
  function(list)
    return map(list, function(value) return type(value) == "table" and (value.m or value[#value]) or value end)
  end,
  function(list)
    return map(list, function(value)
      for k in pairs(type(value) == "table" and value or {}) do
        value[k] = nil
      end
      return value
    end)
  end,
}

local function attempt_long()
  at = 1
  local kind = pick(#elements) + 1
  local parts, element = {}, elements[kind]
  for i = 1, 2 ^ pick(kind == #elements and 9 or 16) + pick(256) do
    parts[i] = element(i)
  end
  local source = '{"list":[' .. table.concat(parts, ",") .. "]}"
  local after = core.decode(source)
  assert(merge(source, after) == source, "nothing was edited")
  for _ = 0, pick(2) do
    if #after.list < 50000 then after.list = remakes[pick(#remakes) + 1](after.list, pick(6)) end
  end
  local fits, result = pcall(merge, source, after)
  if not fits then return assert(result:find("more than 16777216 bytes", 1, true), result) end
  assert(same(after, core.decode(result)), "the value of a long array")
  assert(merge(result, after) == result, "merging twice")
end

local function attempt(hex)
  bytes, at = hex:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end), 0
  if bytes:byte(1) == 250 then return attempt_long() end
  local source = object(0)
  local before, after = core.decode(source), core.decode(source)
  local unchanged, edits = merge(source, after)
  assert(unchanged == source and edits == 0, "nothing was edited")
  for _ = 0, pick(3) do
    edit(after)
  end
  if pick(2) == 0 then after.optional = {} end
  local result = merge(source, after, "optional")
  if after.optional and next(after.optional) == nil and before.optional == nil then after.optional = nil end
  local value = core.decode(result)
  assert(same(after, value), "the value: " .. source .. " became " .. result)
  check(source, before, result, after)
  assert(merge(result, after) == result, "merging twice")
end

lunette.tools.add {
  name = "try",
  inputSchema = { type = "object" },
  handler = function(args)
    attempt(args.hex)
    return "fine"
  end,
}
