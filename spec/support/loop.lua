-- The event loop of the end-to-end specs. A spec reads top to bottom: whatever must be waited
-- for is waited for with `wait`, which turns libuv's loop until a condition holds, so callbacks
-- only ever collect. Whatever a spec opens is registered here and closed by `finish`.
local uv = require "luv"

local ffi = require "ffi"

-- A peer that goes away in the middle of a write must fail that write, not end the specs: luv leaves SIGPIPE
-- as it is. (libuv gives children the default again.)
ffi.cdef "void (*signal(int, void (*)(int)))(int);"
ffi.C.signal(13, ffi.cast("void (*)(int)", 1))

local M = { uv = uv }

--- Everything waits this many times longer (a sanitizer build, a loaded machine).
M.slow = tonumber(os.getenv "LUNETTE_SPEC_SLOW" or "1")

local cleanups, notes, failure = {}, {}, nil

--- Wraps a libuv callback: luv ends the process when one raises, here the error is kept and
--- raised by the wait that is turning the loop.
function M.guard(fn)
  return function(...)
    local ok, err = xpcall(fn, debug.traceback, ...)
    if not ok then failure = failure or err end
  end
end

--- What is printed with a time-out: functions that return a string (a process's stderr…).
function M.note(fn)
  notes[#notes + 1] = fn
end

function M.notes()
  local out = {}
  for _, fn in ipairs(notes) do
    local ok, text = pcall(fn)
    if ok and text and text ~= "" then out[#out + 1] = text end
  end
  return table.concat(out, "\n")
end

--- Runs `fn` at the end of the test, last registered first.
function M.cleanup(fn)
  cleanups[#cleanups + 1] = fn
end

local function turn(predicate, ms)
  local timer, expired = uv.new_timer(), false
  timer:start(math.ceil(ms * M.slow), 0, function() expired = true end)
  local value = predicate()
  while not value and not expired and not failure do
    uv.run "once"
    value = predicate()
  end
  timer:close()
  if failure then
    local err = failure
    failure = nil
    error(err, 0)
  end
  return value
end

--- Turns the loop until predicate() is truthy and returns that; raises after `ms` (5 s).
function M.wait(predicate, what, ms)
  ms = ms or 5000
  local value = turn(predicate, ms)
  if value then return value end
  error(("timed out after %d ms waiting for %s\n%s"):format(ms * M.slow, what or "a condition", M.notes()), 2)
end

--- As wait, but returns nil instead of raising: for "this does not happen".
function M.within(ms, predicate)
  return turn(predicate, ms)
end

--- Turns the loop for that long.
function M.sleep(ms)
  turn(function() return false end, ms / M.slow)
end

--- Calls `fn` once, from the loop, after that long; for scripted peers.
function M.after(ms, fn)
  local timer = uv.new_timer()
  timer:start(ms, 0, M.guard(function()
    timer:close()
    fn()
  end))
  M.cleanup(function() M.close(timer) end)
end

--- Closes a handle unless it is closed already.
function M.close(handle)
  if handle and not handle:is_closing() then handle:close() end
end

--- Ends what the test opened. Raises the first error after everything was tried.
function M.finish()
  local first
  for i = #cleanups, 1, -1 do
    local ok, err = xpcall(cleanups[i], debug.traceback)
    if not ok then first = first or err end
  end
  cleanups, notes = {}, {}
  turn(function() return false end, 1)
  if first then error(first, 0) end
end

-- A growing run of bytes that is read from the front.
local Bytes = {}
Bytes.__index = Bytes

function M.bytes()
  return setmetatable({ data = "", total = {}, ended = false }, Bytes)
end

function Bytes:add(chunk)
  self.data = self.data .. chunk
  self.total[#self.total + 1] = chunk
end

--- Everything that ever arrived.
function Bytes:all()
  return table.concat(self.total)
end

--- n bytes off the front, or nil when there are fewer.
function Bytes:take(n)
  if #self.data < n then return nil end
  local head = self.data:sub(1, n)
  self.data = self.data:sub(n + 1)
  return head
end

--- What stands before the first `mark` (plain), which goes too; nil when there is none yet.
function Bytes:take_until(mark)
  local from, to = self.data:find(mark, 1, true)
  if not from then return nil end
  local head = self.data:sub(1, from - 1)
  self.data = self.data:sub(to + 1)
  return head
end

--- Reads a stream into a new Bytes until it ends.
function M.collect(stream, on_data)
  local bytes = M.bytes()
  stream:read_start(M.guard(function(err, chunk)
    if chunk then
      bytes:add(chunk)
    else
      bytes.ended, bytes.error = true, err
    end
    if on_data then on_data(chunk) end
  end))
  return bytes
end

--- A directory that is gone, with all in it, at the end of the test.
function M.tempdir()
  local path = assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/lunette-spec-XXXXXX"))
  M.cleanup(function() os.execute(("rm -rf -- '%s'"):format(path)) end)
  return path
end

function M.write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

function M.read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

return M
