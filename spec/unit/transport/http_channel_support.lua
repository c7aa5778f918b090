-- Builds and runs http_channel_driver.c for the specs of the HTTP client side, and scripts the
-- servers that it meets.
local ffi = require "ffi"

local http = require "spec.support.http"
local loop = require "spec.support.loop"
local process = require "spec.support.process"

-- A driver that closes while a spec writes to it must not end the spec's process.
pcall(ffi.cdef, "void (*signal(int signum, void (*handler)(int)))(int);")
ffi.C.signal(13, ffi.cast("void (*)(int)", 1)) -- SIGPIPE, SIG_IGN

local root = os.getenv "LUNETTE_ROOT" or "."
local M = {}

--- True when the library has sanitizers in it, whose allocator keeps other counts.
M.sanitized = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) ~= nil

local directory

--- For setup() and teardown() of a spec file. The driver uses the library that the specs use.
function M.build()
  directory = assert(loop.uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/lunette-spec-XXXXXX"))
  local library = os.getenv "LUNETTE_LIB" or (root .. "/build/liblunette_spec.so")
  local command = ("${CC:-cc} -std=gnu11 -g -O1 -D_GNU_SOURCE -I%s/src %s %s/spec/unit/transport/http_channel_driver.c "
    .. "-o %s/driver '%s' -Wl,-rpath,'%s' -luv"):format(root, M.sanitized and "-fsanitize=address,undefined" or "",
    root, directory, library, library:match "^(.*)/[^/]*$" or ".")
  assert(os.execute(command) == 0, "the driver can't be built")
end

function M.remove()
  os.execute(("rm -rf -- '%s'"):format(directory))
end

function M.directory()
  return directory
end

-- --- the driver ----------------------------------------------------------------------------

local Driver = {}
Driver.__index = Driver

-- Whatever proxies the environment of the specs names are not ours.
local no_proxies = { http_proxy = false, https_proxy = false, all_proxy = false, no_proxy = false,
  HTTP_PROXY = false, HTTPS_PROXY = false, ALL_PROXY = false, NO_PROXY = false }

--- Starts the driver with options by name (url, max_message, …; header may be a list) and, in
--- options.env, environment. With a channel open unless options.bare.
function M.start(options)
  local args, env = {}, {}
  for name, value in pairs(no_proxies) do env[name] = value end
  for name, value in pairs(options.env or {}) do env[name] = value end
  if M.sanitized then env.ASAN_OPTIONS = "abort_on_error=1:detect_leaks=1" end -- LuaJIT isn't in it
  for name, value in pairs(options) do
    if name == "header" then
      for _, line in ipairs(type(value) == "table" and value or { value }) do args[#args + 1] = "header=" .. line end
    elseif name ~= "env" and name ~= "bare" then
      args[#args + 1] = name .. "=" .. tostring(value)
    end
  end
  local self = setmetatable({ process = process.spawn { command = directory .. "/driver", args = args,
    env = env, name = "driver" } }, Driver)
  self.first = self:line()
  if options.bare then return self end
  assert(self.first == "up", self.first)
  self:tell "open"
  self:expect "ready 0"
  return self
end

function Driver:line(ms)
  return self.process:line(ms)
end

function Driver:tell(order)
  self.process:write(order .. "\n")
end

--- The next line must be exactly this.
function Driver:expect(text, ms)
  local line = self:line(ms)
  if line ~= text then
    error(("the driver said: %s\n             not: %s\n%s"):format(line, text, loop.notes()), 2)
  end
end

--- No line for that long.
function Driver:quiet(ms)
  local line = self.process:maybe_line(ms)
  if line then error("the driver said: " .. line, 2) end
end

--- Lines until one begins with `text`, sorted, without that one.
function Driver:until_line(text, ms)
  local seen = {}
  while true do
    local line = self:line(ms)
    if line:sub(1, #text) == text then
      table.sort(seen)
      return seen, line
    end
    seen[#seen + 1] = line
  end
end

function Driver:stats()
  self:tell "stats"
  local _, line = self:until_line "stats "
  local stats = {}
  for k, v in line:gmatch "(%w+)=(%d+)" do stats[k] = tonumber(v) end
  return stats
end

--- Waits for its end, which must leave nothing behind.
function Driver:ended(ms)
  local code, signal = self.process:wait_exit(ms)
  local last
  for line in self.process.out.data:gmatch "[^\n]+" do last = line end
  assert(code == 0 and signal == 0, ("exit %d, signal %d\n%s"):format(code, signal, self.process.err:all()))
  assert(last == "end pool=1 handles=0 freed=1 live=0 errors=0", "not a clean end: " .. tostring(last))
  assert(self.process:complaints() == (self.stderr or ""), self.process.err:all())
end

--- Closes channel 0 and the pool and waits for the clean end.
function Driver:finish(ms)
  self:tell "close 0"
  self:tell "pool"
  self:until_line("closed 0 0 ", ms)
  self:until_line("pool closed", ms)
  self:ended(ms)
end

--- What is there to do is done, and a moment passes.
function M.turn()
  loop.uv.run "nowait"
  loop.uv.sleep(1)
end

-- --- servers -------------------------------------------------------------------------------

--- A listener that keeps every request in .requests and answers with handler(request, conn, n),
--- n counting from 1.
function M.listen(handler, port)
  local server
  local requests = {}
  server = http.listen(loop.guard(function(request, conn)
    requests[#requests + 1] = request
    request.number = #requests
    handler(request, conn, #requests)
  end), port)
  server.requests = requests
  function server.wait_request(n, ms)
    return loop.wait(function() return requests[n] end, "request " .. n, ms)
  end
  return server
end

--- A response as bytes; extra are whole header lines without their ends.
function M.reply(status, type, body, ...)
  local lines = { ("HTTP/1.1 %d X"):format(status), ... }
  if type then lines[#lines + 1] = "Content-Type: " .. type end
  lines[#lines + 1] = "Content-Length: " .. #(body or "")
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

function M.json(body, ...)
  return M.reply(200, "application/json", body, ...)
end

function M.accepted()
  return M.reply(202)
end

--- The head of a chunked event stream, and a chunk.
function M.sse_head(...)
  local lines = { "HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked", ... }
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

function M.chunk(text)
  return ("%x\r\n%s\r\n"):format(#text, text)
end

M.last_chunk = "0\r\n\r\n"

--- The id of a JSON-RPC text, as its digits.
function M.id(body)
  return body:match '"id":(%d+)'
end

function M.result(id, text)
  return ('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(id, text or "{}")
end

function M.ping(id)
  return ('{"jsonrpc":"2.0","id":%d,"method":"ping"}'):format(id)
end

--- The sum that the driver prints for a long message.
function M.sum(text)
  local h = 1
  for i = 1, #text do h = (h * 31 + text:byte(i)) % 4294967296 end
  return ("%.0f"):format(h)
end

--- What every server does with what isn't the matter of a test.
function M.answer(request, conn)
  if request.method == "DELETE" then
    conn:send(M.reply(200))
  elseif request.method == "GET" then
    conn:send(M.reply(405))
  elseif M.id(request.body) then
    conn:send(M.json(M.result(M.id(request.body))))
  else
    conn:send(M.accepted())
  end
end

--- A driver with a channel to this server.
function M.start_at(server, options)
  options = options or {}
  options.url = options.url or (server.url .. "/mcp")
  return M.start(options)
end

return M
