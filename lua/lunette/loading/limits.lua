-- What a policy may not do, since it would do it to the proxy with all its clients: take its limits off, end
-- the process, read or write the streams that carry the protocol. Loaded for what it changes; it returns nothing.
local core = require "lunette.core"
local check = require "lunette.base.check"

-- The limit is a hook, which does not run inside a message handler. So once the time is up no handler is called.
local raw_xpcall = xpcall
function xpcall(fn, handler, ...) -- luacheck: ignore 121
  return raw_xpcall(fn, function(...)
    if core.expired() then return (...) end
    return handler(...)
  end, ...)
end

-- Compiled code can't be stopped: only the setting `jit` allows it.
function jit.on() -- luacheck: ignore 122
  check.fail "jit.on would take the time limit off handlers; lunette.configure { jit = true } does so openly"
end

-- The hook is the time limit's, and the registry has what all handlers depend on.
for _, name in ipairs { "sethook", "getregistry", "debug" } do
  debug[name] = function() -- luacheck: ignore 122
    check.fail("debug.%s is not for policies", name)
  end
end

-- All texts share one metatable, and so do all numbers, functions and so on.
local set = debug.setmetatable
function debug.setmetatable(value, ...) -- luacheck: ignore 122
  if type(value) ~= "table" and type(value) ~= "userdata" then
    check.fail("debug.setmetatable of a %s would change every other, Lunette's own among them", type(value))
  end
  return set(value, ...)
end

-- The upvalues of Lunette's own functions and of C functions would lead there too.
local getinfo = debug.getinfo
for _, name in ipairs { "getupvalue", "setupvalue", "upvalueid", "upvaluejoin" } do
  local raw = debug[name]
  debug[name] = function(...) -- luacheck: ignore 122
    for i = 1, select("#", ...) do
      local fn = select(i, ...)
      local info = type(fn) == "function" and getinfo(fn, "S")
      if info and (info.what == "C" or info.source:find "^=lunette/") then
        check.fail("debug.%s is for a policy's own functions only", name)
      end
    end
    return raw(...)
  end
end

-- It would end the process without draining.
function os.exit() -- luacheck: ignore
  check.fail "os.exit would end the proxy with all its clients"
end

-- The locale is the whole process's: it changes how numbers are written.
local setlocale = os.setlocale
function os.setlocale(locale, ...) -- luacheck: ignore
  if locale ~= nil then check.fail "os.setlocale would change how all of the proxy writes numbers" end
  return setlocale(locale, ...)
end

-- What is opened is not handed on to programs that are started later: "e" in libc's fopen and popen.
for _, name in ipairs { "open", "popen" } do
  local raw = io[name]
  io[name] = function(path, mode) -- luacheck: ignore 122
    if mode == nil then mode = "r" end
    return raw(path, type(mode) == "string" and (mode:gsub("^%a", "%0e")) or mode)
  end
end

-- stdin has the client's messages.
local lines = io.lines
function io.lines(name, ...) -- luacheck: ignore
  if name == nil then check.fail "io.lines without a file would read what clients send" end
  return lines(name, ...)
end
function io.read() -- luacheck: ignore
  check.fail "io.read would read what clients send; open a file and read from that"
end
io.stdin = assert(io.open "/dev/null") -- luacheck: ignore
io.input(io.stdin)
