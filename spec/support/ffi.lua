-- The C half seen from Lua: declares what a header under src/ declares and loads the library
-- that the build made for the specs. The C preprocessor does the reading, with LN_FFI set so
-- that headers leave out what LuaJIT's parser doesn't know.
local ffi = require "ffi"

local M = {}

local root = os.getenv "LUNETTE_ROOT" or "."

-- busted forgets the modules of a spec file when it ends, LuaJIT never forgets a declaration: what was
-- declared is remembered where both can see it.
local registry = debug.getregistry()
registry["lunette.declared"] = registry["lunette.declared"] or {}
local declared = registry["lunette.declared"]

-- Each header is preprocessed with everything it includes; what an earlier one already
-- declared is dropped by line marker, since ffi.cdef refuses a second declaration.
local function preprocess(header)
  local command = ("LD_PRELOAD= ${CC:-cc} -E -DLN_FFI -I%s/src -x c %s/src/%s"):format(root, root, header)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  assert(pipe:close(), "can't preprocess " .. header)
  return text
end

--- Declares everything in src/HEADER and what it includes (e.g. "json/json.h").
function M.include(header)
  local out, current, fresh = {}, nil, {}
  for line in preprocess(header):gmatch "[^\n]+" do
    local file = line:match '^# %d+ "(.-)"'
    if file then
      current = file
    elseif current and current:find "/src/" and not declared[current] then
      fresh[current] = true
      out[#out + 1] = line
    end
  end
  for file in pairs(fresh) do declared[file] = true end
  -- Functions that a header has whole are not in the library.
  ffi.cdef((table.concat(out, "\n"):gsub("static inline [^;{]*%b{}", "")))
  return M.lib
end

local library = os.getenv "LUNETTE_LIB" or (root .. "/build/liblunette_spec.so")
M.lib = ffi.load(library)
M.ffi = ffi

--- C of a spec's own (what LuaJIT can't do: macros, callbacks that give structs), compiled against that library. source:
-- a path under spec/.
function M.driver(source)
  local path = os.tmpname()
  local sanitize = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) and "-fsanitize=address,undefined" or ""
  local command = ("LD_PRELOAD= ${CC:-cc} -std=gnu11 -shared -fPIC -g -O1 %s -Wall -Wextra -Werror -D_GNU_SOURCE -I%s/src "
    .. "%s/spec/%s -o %s '%s' -Wl,-rpath,'%s'"):format(sanitize, root, root, source, path, library,
    library:match "^(.*)/[^/]*$" or ".")
  assert(os.execute(command) == 0, command)
  local driver = ffi.load(path)
  os.remove(path)
  return driver
end

--- A Lua string as an ln_str; the second value keeps the bytes alive and must be held.
function M.str(s)
  local bytes = ffi.new("char[?]", #s + 1, s)
  return ffi.new("struct ln_str", bytes, #s), bytes
end

--- An ln_str as a Lua string; nil when absent.
function M.tostring(s)
  if s.p == nil then return nil end
  return ffi.string(s.p, s.n)
end

return M
