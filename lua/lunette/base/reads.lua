-- What the rules of a list read of the request that it is made for: the list holds for requests of which that is the
-- same (src/proxy/lists/view.h). Rules get an empty table as ctx.headers, which notes each name that it is asked for;
-- who goes through it with pairs, next or table.foreach gets all headers, and is taken to have read all of them.
local check = require "lunette.base.check"

local M = {}

-- More names than these are as good as all.
local MAX_NAMES = 32

local pairs, next, rawget = pairs, next, rawget

-- The list being made: its table, all headers once one was read, the names that were read and how many, and whether
-- all were. Between lists `current` is a table that nobody has.
local nothing = {}
local current, fetch, headers, names, n, all = nothing, nil, nil, nil, 0, false

local function whole()
  if not headers then headers = fetch() end
  return headers
end

local mt = { __name = "headers" }

function mt.__index(self, name)
  if self ~= current then
    check.fail "ctx.headers belongs to a request that is over; a rule reads those of the ctx that it is given"
  end
  -- What can't be a header's name is none's.
  if type(name) ~= "string" or name:find "%z" then return nil end
  if not names[name] then
    names[name], n = true, n + 1
    all = all or n > MAX_NAMES
  end
  return whole()[name]
end

-- As in a handler's ctx: for whoever reads it later.
function mt.__newindex(self, name, value)
  if self == current then whole()[name] = value end
end

--- The ctx.headers of a list that begins to be made; get() gives all headers.
function M.begin(get)
  -- The key makes whoever copies or encodes it raw fail rather than find nothing.
  current, fetch, headers, names, n, all = setmetatable({ [nothing] = true }, mt), get, nil, {}, 0, false
  return current
end

--- The list is made. Returns what was read of headers, for C: nil, the names (each with a NUL behind it), or true: all.
function M.finish()
  local read, list = all or nil, {}
  if not all and n > 0 then
    for name in pairs(names) do
      list[#list + 1] = name .. "\0"
    end
    table.sort(list)
    read = table.concat(list)
  end
  current, fetch, headers, names = nothing, nil, nil, nil
  return read
end

-- The table, or in place of rules' ctx.headers all of them.
local function seen_through(t)
  if t ~= current then return t end
  all = true
  return whole()
end

--- The value, or in place of rules' ctx.headers all of them.
M.whole = seen_through
--- Lua's own, for what runs with every message.
M.rawget = rawget

-- luacheck: push ignore 121 122 143
function _G.pairs(t)
  if t == current then return pairs(seen_through(t)) end
  return pairs(t)
end

function _G.next(t, key)
  if t == current then return next(seen_through(t), key) end
  return next(t, key)
end

function _G.rawget(t, key)
  if t == current then return t[key] end
  return rawget(t, key)
end

local foreach = table.foreach
function table.foreach(t, fn) return foreach(seen_through(t), fn) end
-- luacheck: pop

return M
