-- Warnings of globals that a policy writes, nearly always a forgotten `local`: every handler of every client
-- shares them. They are found in the bytecode of each file as it is loaded, so that code that never runs is
-- checked too, and running costs nothing. _G.x = … is not warned of.
local check = require "lunette.base.check"
local util = require "jit.util"

local M = {}

-- The opcode of writing a global, which differs between versions of LuaJIT: one of these functions has it.
local function opcodes(fn)
  local set = {}
  for pc = 1, util.funcinfo(fn).bytecodes - 1 do
    set[bit.band(util.funcbc(fn, pc), 0xff)] = true
  end
  return set
end

local GSET
do
  local without = opcodes(assert(loadstring "local x = 1"))
  for op in pairs(opcodes(assert(loadstring "x = 1"))) do
    if not without[op] then GSET = op end
  end
end

local function each_write(fn, found)
  local info = util.funcinfo(fn)
  for pc = 1, info.bytecodes - 1 do
    local ins = util.funcbc(fn, pc)
    if bit.band(ins, 0xff) == GSET then
      found(util.funck(fn, -1 - bit.rshift(ins, 16)), util.funcinfo(fn, pc).currentline)
    end
  end
  for i = -1, -info.gcconsts, -1 do
    local constant = util.funck(fn, i)
    if type(constant) == "proto" then each_write(constant, found) end
  end
end

local warned = {}

local function warn(name, path, line)
  if warned[name] then return end
  warned[name] = true
  local text = "writes the global %s, which all handlers share; make it local (or write _G.%s, if it is meant)"
  check.warn(("%s:%d"):format(path, line), text:format(name, name))
end

--- Called by C with every file that was loaded for a policy, before it runs.
function M.scan(fn, path)
  each_write(fn, function(name, line) warn(name, path, line) end)
end

-- Chunks made while handlers run (loadstring, load) may have another environment: they are checked when they write.
local getinfo = debug.getinfo
setmetatable(_G, {
  __newindex = function(t, name, value)
    rawset(t, name, value)
    local info = not warned[name] and getinfo(2, "fSl")
    if not info or info.what == "C" then return end
    each_write(info.func, function(written, line)
      local named = info.source:find "^[@=]" and info.source:sub(2) or info.short_src
      if written == name and line == info.currentline then warn(name, named, line) end
    end)
  end,
})

return M
