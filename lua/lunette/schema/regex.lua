-- Regular expressions as JSON Schema has them: ECMAScript's, with the u flag, over characters. Only the question
-- whether a text matches somewhere; so groups capture nothing, and what needs captures, and looking behind, and
-- classes of Unicode, is told as not supported.
--
-- A pattern becomes a tree of functions (at, next): try to match at a position, and go on with next where that
-- succeeded. Steps are counted, for patterns can take for ever.
local M = {}

local STEPS = 200000
local DEPTH = 100 -- groups in groups

-- --- texts and classes ------------------------------------------------------------------------------

-- Code points; a byte that belongs to none stands for itself.
local function code_points(text)
  local list, n, i = {}, 0, 1
  while i <= #text do
    local c = text:byte(i)
    local more = c >= 0xF0 and 3 or c >= 0xE0 and 2 or c >= 0xC0 and 1 or 0
    local point = more == 0 and c or c % 2 ^ (6 - more)
    for k = 1, more do
      point = point * 64 + (text:byte(i + k) or 0) % 64
    end
    n = n + 1
    list[n] = point
    i = i + more + 1
  end
  return list, n
end

M.code_points = code_points

local function one(c) return { { c, c } } end

local digits = { { 48, 57 } }
local words = { { 48, 57 }, { 65, 90 }, { 95, 95 }, { 97, 122 } }
local spaces = { { 9, 13 }, { 32, 32 }, { 0xA0, 0xA0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200A }, { 0x2028, 0x2029 },
  { 0x202F, 0x202F }, { 0x205F, 0x205F }, { 0x3000, 0x3000 }, { 0xFEFF, 0xFEFF } }
local ends = { { 10, 10 }, { 13, 13 }, { 0x2028, 0x2029 } }

local function negated(ranges)
  local out, from = {}, 0
  for _, range in ipairs(ranges) do
    if range[1] > from then out[#out + 1] = { from, range[1] - 1 } end
    from = math.max(from, range[2] + 1)
  end
  out[#out + 1] = { from, 0x10FFFF }
  return out
end

local function has(ranges, c)
  for i = 1, #ranges do
    local range = ranges[i]
    if c >= range[1] and c <= range[2] then return true end
  end
  return false
end

local sets = { d = digits, D = negated(digits), w = words, W = negated(words), s = spaces, S = negated(spaces) }
local controls = { t = 9, n = 10, v = 11, f = 12, r = 13 }

-- --- reading a pattern --------------------------------------------------------------------------------

local Reader = {}
Reader.__index = Reader

function Reader.fail(_, why, ...) error({ unsupported = why:format(...) }, 0) end

function Reader:peek() return self.text:sub(self.at, self.at) end

function Reader:take(pattern)
  local found = self.text:match("^" .. pattern, self.at)
  if found then self.at = self.at + #found end
  return found
end

-- A whole character.
function Reader:character()
  local text = self:take "[%z\1-\127\194-\244][\128-\191]*" or self:take "."
  if not text then self:fail "it ends too early" end
  return (code_points(text))[1]
end

function Reader:hex(pattern)
  local text = self:take(pattern)
  return text and tonumber(text:match "%x+", 16)
end

local function joined(high, low) return 0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00) end

function Reader:unicode()
  local point = self:hex "{%x+}" or self:hex "%x%x%x%x"
  if not point then self:fail "\\u without a number" end
  if point >= 0xD800 and point <= 0xDBFF then
    local before = self.at
    local low = self:take "\\u" and self:hex "%x%x%x%x"
    if low and low >= 0xDC00 and low <= 0xDFFF then return joined(point, low) end
    self.at = before
  end
  return point
end

-- What follows a backslash, in a class or not: ranges, or nil when it is something else.
function Reader:escape()
  local c = self:take "."
  if not c then self:fail "it ends with a backslash" end
  if sets[c] then return sets[c], true end
  if controls[c] then return one(controls[c]) end
  if c == "u" then return one(self:unicode()) end
  if c == "x" then return one(self:hex "%x%x" or self:fail "\\x without a number") end
  if c == "c" then return one((self:take "%a" or self:fail "\\c without a letter"):byte() % 32) end
  if c == "0" and not self.text:find("^%d", self.at) then return one(0) end
  if c == "p" or c == "P" then self:fail("\\%s{…}: classes of Unicode", c) end
  if c == "k" or c:find "%d" then self:fail("\\%s: what a group matched before", c) end
  if c:find "%a" then self:fail("\\%s is no escape", c) end
  self.at = self.at - 1
  return one(self:character())
end

-- Ranges, and whether they are more than one character.
function Reader:class_atom()
  if not self:take "\\" then return one(self:character()), false end
  if self:take "b" then return one(8), false end
  return self:escape()
end

function Reader:class()
  local ranges, inverted = {}, self:take "%^" ~= nil
  while not self:take "%]" do
    local set, class = self:class_atom()
    if not class and self.text:find("^%-[^%]]", self.at) then
      self:take "%-"
      local last, is_class = self:class_atom()
      if is_class or last[1][1] < set[1][1] then self:fail "a range that is none" end
      set = { { set[1][1], last[1][1] } }
    end
    for _, range in ipairs(set) do
      ranges[#ranges + 1] = range
    end
  end
  table.sort(ranges, function(a, b) return a[1] < b[1] end)
  return inverted and negated(ranges) or ranges
end

function Reader:group()
  self.depth = self.depth + 1
  if self.depth > DEPTH then self:fail "groups in too many groups" end
  local kind = "group"
  if self:take "%?" then
    if self:take "=" then
      kind = "ahead"
    elseif self:take "!" then
      kind = "not_ahead"
    elseif self:take "<[=!]" then
      self:fail "(?<…): looking behind"
    elseif not self:take ":" and not self:take "<[%w_$]+>" then
      self:fail "(? with something unknown"
    end
  end
  local inner = self:alternatives()
  if not self:take "%)" then self:fail "a group without its end" end
  self.depth = self.depth - 1
  if kind == "group" then return inner.kind == "sequence" and #inner == 1 and inner[1] or inner end
  return { kind = kind, inner }
end

function Reader:atom()
  local c = self:peek()
  if self:take "%(" then return self:group() end
  if self:take "%[" then return { kind = "set", ranges = self:class() } end
  if self:take "%." then return { kind = "set", ranges = negated(ends) } end
  if self:take "%^" then return { kind = "first" } end
  if self:take "%$" then return { kind = "last" } end
  if self:take "\\" then
    if self:take "b" then return { kind = "border", wanted = true } end
    if self:take "B" then return { kind = "border", wanted = false } end
    return { kind = "set", ranges = (self:escape()) }
  end
  if c == "*" or c == "+" or c == "?" then self:fail "nothing to repeat" end
  return { kind = "set", ranges = one(self:character()) }
end

function Reader:quantifier()
  if self:take "%*" then return 0, math.huge end
  if self:take "%+" then return 1, math.huge end
  if self:take "%?" then return 0, 1 end
  local least, comma, most = self.text:match("^{(%d+)(,?)(%d*)}", self.at)
  if not least then return nil end
  self:take "{[%d,]+}"
  least, most = tonumber(least), most ~= "" and tonumber(most) or comma ~= "" and math.huge or tonumber(least)
  if least > most then self:fail "a number of times that is none" end
  return least, most
end

function Reader:sequence()
  local list = {}
  while self.at <= #self.text and not self.text:find("^[|)]", self.at) do
    local node = self:atom()
    local least, most = self:quantifier()
    if least then
      node = { kind = "repeated", least = least, most = most, lazy = self:take "%?" ~= nil, node }
    end
    list[#list + 1] = node
  end
  return { kind = "sequence", unpack(list) }
end

function Reader:alternatives()
  local list = { self:sequence() }
  while self:take "|" do
    list[#list + 1] = self:sequence()
  end
  return #list == 1 and list[1] or { kind = "either", unpack(list) }
end

-- --- matching -----------------------------------------------------------------------------------------

-- Each makes a function (at, next) of a node. `m` is the matching under way: points, n, steps.
local build
local builders = {}

local function step(m)
  m.steps = m.steps + 1
  if m.steps > STEPS then error({ endless = true }, 0) end
end

function builders.set(node, m)
  local ranges = node.ranges
  return function(at, next)
    step(m)
    return at <= m.n and has(ranges, m.points[at]) and next(at + 1)
  end
end

function builders.first() return function(at, next) return at == 1 and next(at) end end
function builders.last(_, m) return function(at, next) return at == m.n + 1 and next(at) end end

function builders.border(node, m)
  local function word(at) return at >= 1 and at <= m.n and has(words, m.points[at]) end
  return function(at, next) return (word(at - 1) ~= word(at)) == node.wanted and next(at) end
end

local function yes() return true end

function builders.ahead(node, m)
  local inner = build(node[1], m)
  return function(at, next) return inner(at, yes) and next(at) end
end

function builders.not_ahead(node, m)
  local inner = build(node[1], m)
  return function(at, next) return not inner(at, yes) and next(at) end
end

function builders.sequence(node, m)
  local whole = function(at, next) return next(at) end
  for i = #node, 1, -1 do
    local first, rest = build(node[i], m), whole
    if i == #node then
      whole = first
    else
      whole = function(at, next) return first(at, function(to) return rest(to, next) end) end
    end
  end
  return whole
end

function builders.either(node, m)
  local list = {}
  for i = 1, #node do
    list[i] = build(node[i], m)
  end
  return function(at, next)
    for i = 1, #list do
      if list[i](at, next) then return true end
    end
    return false
  end
end

-- Of one character each time: no function for each.
local function repeated_set(node, m)
  local ranges = node[1].ranges
  return function(at, next)
    local count, most = 0, math.min(node.most, m.n - at + 1)
    local function another()
      step(m)
      if count >= most or not has(ranges, m.points[at + count]) then return false end
      count = count + 1
      return true
    end
    while count < node.least do
      if not another() then return false end
    end
    if node.lazy then
      repeat
        if next(at + count) then return true end
      until not another()
      return false
    end
    while another() do end
    for n = count, node.least, -1 do
      if next(at + n) then return true end
    end
    return false
  end
end

function builders.repeated(node, m)
  if node[1].kind == "set" then return repeated_set(node, m) end
  local inner = build(node[1], m)
  return function(from, next)
    local function go(at, count)
      step(m)
      local function again()
        return count < node.most and inner(at, function(to)
          -- A turn that took nothing leads nowhere but to the next one like it.
          return (to > at or count < node.least) and go(to, count + 1)
        end)
      end
      if count < node.least then return again() end
      if node.lazy then return next(at) or again() end
      return again() or next(at)
    end
    return go(from, 0)
  end
end

function build(node, m) return builders[node.kind](node, m) end

-- --- the module -----------------------------------------------------------------------------------------

--- A function(text) that tells whether the pattern is found in it, or nil and why when it takes too long; or nil
-- and what of the pattern is not supported.
function M.compile(pattern)
  local reader = setmetatable({ text = pattern, at = 1, depth = 0 }, Reader)
  local m = {}
  local ok, found = pcall(function()
    local node = reader:alternatives()
    if reader.at <= #pattern then reader:fail "a ) too many" end
    return build(node, m)
  end)
  if not ok then return nil, type(found) == "table" and found.unsupported or tostring(found) end
  return function(text)
    m.points, m.n = code_points(text)
    m.steps = 0
    local fine, result = pcall(function()
      for at = 1, m.n + 1 do
        if found(at, yes) then return true end
      end
      return false
    end)
    m.points = nil
    if not fine then return nil, "it takes too long to match" end
    return result
  end
end

return M
