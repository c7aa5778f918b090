-- Complaints about what a policy wrote: every one starts with the policy's own file and line and
-- says what would be right.
local core = require "lunette.core"
local state = require "lunette.base.state"

local M = {}

--- The caller's FILE:LINE; "command line" when no policy calls.
function M.where()
  local where = core.where()
  return where == "?" and "command line" or where
end

--- Raises a message with the caller's FILE:LINE in front, if a policy calls.
function M.fail(format, ...)
  local text = select("#", ...) > 0 and format:format(...) or format
  local where = core.where()
  error(where == "?" and text or where .. ": " .. text, 0)
end

--- Logs a warning of what is probably a mistake, at FILE:LINE, and counts it.
function M.warn(where, text)
  state.warnings = state.warnings + 1
  core.log("warn", "policy " .. where, text)
end

--- Raises unless the policy is still loading.
function M.loading(what)
  if state.closed then M.fail("%s only works while the policy loads, not from a handler", what) end
end

-- Edit distance with neighbours swapped counting once, as typing errors go.
local function distance(a, b)
  local before, last = {}, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local d = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        d = math.min(d, before[j - 2] + 1)
      end
      row[j] = d
    end
    before, last = last, row
  end
  return last[#b]
end

-- Whether word may be short for name, as "cmd" and "desc" are.
local function shortens(word, name)
  if #word < 3 or #word >= #name or #name > 3 * #word or word:sub(1, 1) ~= name:sub(1, 1) then return false end
  local at = 0
  for c in word:gmatch "." do
    at = name:find(c, at + 1, true)
    if not at then return false end
  end
  return true
end

--- ", did you mean …?" for the nearest of the names, or "" when none is near.
function M.suggest(word, names)
  -- One error in a short word, two in a longer one: what differs in more is another word. Of two letters one is half.
  local best, best_distance = nil, math.min(2, math.max(1, math.floor(#word / 3))) + 1
  for _, name in ipairs(names) do
    if #word <= 4 and shortens(word:lower(), name:lower()) then return ("; did you mean %s?"):format(name) end
  end
  for _, name in ipairs(names) do
    local a, b = word:lower(), name:lower()
    local d = math.abs(#a - #b) < best_distance and distance(a, b) or best_distance
    local short = math.min(#a, #b) < 3 and d > 0 and a:sub(1, 1) ~= b:sub(1, 1)
    if d < best_distance and not short then
      best, best_distance = name, d
    end
  end
  return best and ("; did you mean %s?"):format(best) or ""
end

--- Makes asking a table for what it lacks an error. hints: what to do instead, by name.
function M.closed(what, t, hints)
  return setmetatable(t, {
    __index = function(_, name)
      local hint = hints and hints[name] or M.suggest(tostring(name), M.sorted(t))
      M.fail("%s has no %s%s", what, tostring(name), hint)
    end,
  })
end

local sealed = {} -- the names of the module's tables, by the table

--- A table with the members in it and no others: assigning is an error, as is asking for what it lacks. What it
--- holds is reached by one more look-up, in the interpreter itself.
function M.sealed(what, members, hints)
  local t = setmetatable({}, {
    __index = M.closed(what, members, hints),
    __newindex = function(_, name)
      name = tostring(name)
      M.fail("%s is closed: %s.%s can't be assigned to", what, what, name)
    end,
    __tostring = function() return what end,
  })
  sealed[t] = what
  return t
end

--- Raises when an argument of a function is the table that the function is in: it was called with a colon.
function M.dotted(what, value)
  local of = value ~= nil and sealed[value]
  if not of then return end
  local name = what:match "^[%w_.]+"
  if name:match "^(.*)%." == of then M.fail("%s is called with a dot, not a colon: %s(…)", name, name) end
end

-- The keys of a table, in the order of their texts.
local function sorted(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  return names
end
M.sorted = sorted

local MOST_NAMES = 12 -- that a message tells

--- Raises when options has a key that known (a set) lacks.
function M.options(what, options, known)
  for _, key in ipairs(sorted(options)) do
    if type(key) ~= "string" then M.fail("%s: [%s] is not an option", what, tostring(key)) end
    if known[key] == nil then
      local names = sorted(known)
      local hint = M.suggest(key, names)
      if hint == "" and #names <= MOST_NAMES then hint = "; there are " .. table.concat(names, ", ") end
      M.fail("%s: unknown option %s%s", what, key, hint)
    end
  end
end

--- What a value is, for messages: "a table", "nil", "the number 5".
function M.describe(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
  return value == nil and "nothing" or "a " .. type(value)
end

--- Raises unless the value has the type ("string", …); nil passes when optional.
function M.type(what, value, wanted, optional)
  if optional and value == nil then return value end
  local wrong = type(value) ~= wanted
  if wrong or wanted == "table" then M.dotted(what, value) end
  if wrong then
    M.fail("%s must be a %s, not %s", what, wanted, M.describe(value))
  end
  return value
end

--- Raises unless the value is a list; an empty one is marked as such.
function M.list(what, value)
  M.type(what, value, "table")
  if next(value) == nil then return setmetatable(value, core.array_mt) end
  if #value == 0 then M.fail("%s must be a list", what) end
  return value
end

--- Raises unless the value is a string with something in it and no control characters.
function M.text(what, value)
  M.type(what, value, "string")
  if value == "" then M.fail("%s must not be empty", what) end
  if value:find "%c" then M.fail("%s must not have control characters in it", what) end
  return value
end

--- Raises unless the value is a function (or can be called); else_what: what would do as well.
function M.callable(what, value, else_what)
  local mt = getmetatable(value)
  M.dotted(what, value)
  if type(value) ~= "function" and not (type(mt) == "table" and mt.__call) then
    M.fail("%s must be %sa function, not %s", what, else_what and else_what .. " or " or "", M.describe(value))
  end
  return value
end

local forward_options = { timeout = true }

--- forward's { timeout = seconds }: the seconds, or nil.
function M.forward_options(options)
  if options == nil then return nil end
  M.type("forward's second argument", options, "table")
  M.options("forward", options, forward_options)
  local seconds = M.type("forward: timeout", options.timeout, "number", true)
  if seconds and not (seconds > 0 and seconds <= 86400) then
    M.fail("forward: timeout must be above 0 and at most 86400 seconds, not %s", seconds)
  end
  return seconds
end

--- True when a function takes at least n parameters (or any number).
function M.takes(fn, n)
  if type(fn) ~= "function" then return true end
  local info = debug.getinfo(fn, "u")
  return info.isvararg or (info.nparams or 0) >= n
end

return M
