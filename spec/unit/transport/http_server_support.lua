-- Builds and runs http_server_driver.c for the specs of the HTTP server, and says what they say
-- often.
local ffi = require "ffi"

local http = require "spec.support.http"
local loop = require "spec.support.loop"
local process = require "spec.support.process"

-- A driver that closes while a spec writes to it must not end the spec's process.
pcall(ffi.cdef, "void (*signal(int signum, void (*handler)(int)))(int);")
ffi.C.signal(13, ffi.cast("void (*)(int)", 1)) -- SIGPIPE, SIG_IGN

local root = os.getenv "LUNETTE_ROOT" or "."
local M = {}

--- True when the library has sanitizers in it, whose allocator keeps other counts. Then their
--- runtime is loaded into us, and into all that we start.
M.sanitized = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) ~= nil

local directory

--- For setup() and teardown() of a spec file. The driver uses the library that the specs use.
function M.build()
  directory = assert(loop.uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/lunette-spec-XXXXXX"))
  local library = os.getenv "LUNETTE_LIB" or (root .. "/build/liblunette_spec.so")
  local command = ("${CC:-cc} -std=gnu11 -g -O1 -D_GNU_SOURCE -I%s/src %s %s/spec/unit/transport/http_server_driver.c "
    .. "-o %s/driver '%s' -Wl,-rpath,'%s' -luv"):format(root, M.sanitized and "-fsanitize=address,undefined" or "",
    root, directory, library, library:match "^(.*)/[^/]*$" or ".")
  assert(os.execute(command) == 0, "the driver can't be built")
end

function M.remove()
  os.execute(("rm -rf -- '%s'"):format(directory))
end

function M.driver()
  return directory .. "/driver"
end

local Driver = {}
Driver.__index = Driver

--- Starts the driver with options by name (max_body, head_timeout, …).
function M.start(options)
  local args = {}
  for name, value in pairs(options or {}) do args[#args + 1] = name .. "=" .. value end
  local self = setmetatable({ process = process.spawn { command = M.driver(), args = args,
    name = "driver", env = { ASAN_OPTIONS = "detect_leaks=1:abort_on_error=1" } } }, Driver)
  local line = self:line()
  self.port = assert(tonumber(line:match "^port (%d+)$"), line)
  return self
end

function Driver:line(ms)
  return self.process:line(ms)
end

--- Lines until one is `text`; fails when that doesn't come.
function Driver:wait(text, ms)
  local seen = {}
  while true do
    local line = self:line(ms)
    if line == text then return seen end
    seen[#seen + 1] = line
  end
end

function Driver:tell(order)
  self.process:write(order .. "\n")
end

--- Its counters, as a table of numbers.
function Driver:stats()
  self:tell "stats"
  while true do
    local line = self:line()
    if line:find "^stats " then
      local stats = {}
      for k, v in line:gmatch "(%w+)=(%d+)" do stats[k] = tonumber(v) end
      return stats
    end
  end
end

--- Waits until that many connections are open.
function Driver:connections(n)
  loop.wait(function()
    local now = self:stats().connections
    if now ~= n then loop.uv.sleep(5) end
    return now == n
  end, n .. " connections")
end

function Driver:connect()
  return http.connect(self.port)
end

--- Waits for its end, which must leave nothing behind; returns the lines before the last.
function Driver:ended(ms)
  local code, signal = self.process:wait_exit(ms)
  local lines = {}
  for line in self.process.out.data:gmatch "[^\n]+" do lines[#lines + 1] = line end
  assert(code == 0 and signal == 0, ("exit %d, signal %d\n%s"):format(code, signal, self.process.err:all()))
  assert(self.process:complaints() == "", self.process.err:all())
  local last = table.remove(lines) or ""
  local requests, done = last:match "^end closed=1 jobs=0 handles=0 live=0 requests=(%d+) done=(%d+) errors=0$"
  assert(requests and requests == done, "not a clean end: " .. last)
  return lines
end

--- Orders it to close and waits for its clean end.
function Driver:close(ms)
  self:tell "close"
  return self:ended(ms)
end

--- The body an error is answered with.
function M.error_body(message)
  return ('{"jsonrpc":"2.0","error":{"code":-32600,"message":"%s"}}'):format(message)
end

M.plain_body = '{"jsonrpc":"2.0","id":1,"result":{"ok":true}}'

--- A request as bytes; extra are whole header lines without their ends.
function M.get(path, ...)
  local lines = { "GET " .. path .. " HTTP/1.1", "Host: a", ... }
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

function M.post(path, body, ...)
  local lines = { "POST " .. path .. " HTTP/1.1", "Host: a", "Content-Length: " .. #body, ... }
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. body
end

--- What the driver's /big sends.
function M.pattern(n)
  local bytes = {}
  for i = 0, n - 1 do bytes[i + 1] = string.char(97 + (math.floor(i / 7) + i % 23) % 26) end
  return table.concat(bytes)
end

return M
