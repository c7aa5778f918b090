-- lunette.log.debug, .info, .warn, .error: lines in Lunette's own log, on stderr, with the policy's
-- file and line. Values are put together with spaces, tables as JSON.
local core = require "lunette.core"
local check = require "lunette.base.check"
local state = require "lunette.base.state"

local M = {}

local function to_text(value)
  if type(value) == "string" then return value end
  if type(value) == "table" and not (getmetatable(value) or {}).__tostring then
    local ok, text = pcall(core.encode, value)
    if ok then return text end
  end
  return value == core.null and "null" or tostring(value)
end

local function join(...)
  local parts = {}
  for i = 1, select("#", ...) do
    parts[i] = to_text((select(i, ...)))
  end
  return table.concat(parts, " ")
end

-- A rule of a ready policy has no line of the policy's on the stack: its place is where it was declared.
local function where()
  local place = core.where()
  return place == "?" and state.at or place
end

local function write(level, ...)
  if core.logs(level) then core.log(level, "policy " .. where(), join(...)) end
end

for _, level in ipairs { "debug", "info", "warn", "error" } do
  local what = "lunette.log." .. level
  M[level] = function(...)
    check.dotted(what, (...))
    write(level, ...)
  end
end

-- stdout carries the protocol and nothing else.
print = function(...) write("info", ...) end -- luacheck: ignore 121
io.stdout = io.stderr -- luacheck: ignore 122
io.output(io.stderr)

return M
