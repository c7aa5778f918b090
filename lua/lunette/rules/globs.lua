-- What can be said of globs without a name to try them on: whether one takes in all that another does, and
-- whether two have anything in common. Where it is not worth knowing exactly the answer is the careful one:
-- "not all of it", "maybe something".
local core = require "lunette.core"

local M = {}

-- A glob as its items: { star = true }, { any = true }, { char = c } or { set = text }.
local function items_of(glob)
  local items, at = {}, 1
  while at <= #glob do
    local c = glob:sub(at, at)
    local set = c == "[" and glob:match("^%[[!^]?\\?.[^%]]*%]", at)
    if c == "*" then
      if not (items[#items] or {}).star then items[#items + 1] = { star = true } end
    elseif c == "?" then
      items[#items + 1] = { any = true }
    elseif set then
      items[#items + 1] = { set = set }
      at = at + #set - 1
    elseif c == "\\" and at < #glob then
      at = at + 1
      items[#items + 1] = { char = glob:sub(at, at) }
    else
      items[#items + 1] = { char = c }
    end
    at = at + 1
  end
  return items
end

-- Walks two lists of items; one(x, y) compares two that are no stars. small_star: what a star of the second may
-- do: be taken by a star of the first only, or stand for anything itself.
local function walk(a, b, one, small_star)
  local seen = {}
  local function go(i, j)
    local key = i * 4096 + j
    if seen[key] ~= nil then return seen[key] end
    seen[key] = false
    local x, y, yes = a[i], b[j], false
    if not x and not y then
      yes = true
    elseif x and x.star then
      yes = go(i + 1, j) or (y ~= nil and go(i, j + 1))
    elseif y and y.star then
      yes = small_star and (go(i, j + 1) or (x ~= nil and go(i + 1, j))) or false
    elseif x and y then
      yes = one(x, y) and go(i + 1, j + 1)
    end
    seen[key] = yes
    return yes
  end
  return go(1, 1)
end

local function takes_in(x, y)
  if x.any then return true end
  if x.char then return x.char == y.char end
  if y.char then return core.glob(x.set, y.char) end
  return x.set == y.set
end

local function may_meet(x, y)
  if x.any or y.any or (x.set and y.set) then return true end
  return takes_in(x, y) or takes_in(y, x)
end

--- True when all that `small` matches is matched by `big` too.
function M.covers(big, small)
  if #big > 1000 or #small > 1000 then return false end
  return walk(items_of(big), items_of(small), takes_in, false)
end

--- False when nothing can match both.
function M.meet(a, b)
  if #a > 1000 or #b > 1000 then return true end
  return walk(items_of(a), items_of(b), may_meet, true)
end

--- The name as a glob that matches it alone.
function M.literal(name) return (name:gsub("[%*%?%[\\]", "\\%0")) end

--- The one name that a glob can match, or nil.
function M.name(glob)
  local name = {}
  for i, item in ipairs(items_of(glob)) do
    if not item.char then return nil end
    name[i] = item.char
  end
  return table.concat(name)
end

return M
