-- A server process that has no will of its own: it hands every byte of its stdin to the spec
-- that wrote its script, through a socket, and does what the spec tells it. So the script of a
-- stdio server, misbehaving or not, stands in the spec as plain closures, next to what it asserts.
--
--   luajit child.lua SOCKET [--ignore-term] [--ignore-eof] [--grandchild]
--
-- Frames both ways: one letter, the length as eight hex digits, the bytes. From here: h hello
-- (JSON), d bytes of stdin, z end of stdin, t a TERM came. To here: d bytes for stdout, e for
-- stderr, c close stdout, x exit (code as text), s read stdin no more. The socket's end means exit 0.
local ffi = require "ffi"
local uv = require "luv"
local cjson = require "cjson"

ffi.cdef "int close(int fd);"

local options = {}
for i = 2, #arg do options[arg[i]] = true end

local socket, stdin, stdout = uv.new_pipe(), uv.new_pipe(), uv.new_pipe()
local function frame(kind, data) socket:write(("%s%08x%s"):format(kind, #data, data)) end

local grandchild
if options["--grandchild"] then
  -- Something of ours that outlives us unless somebody ends the whole group.
  local _, pid = uv.spawn("sleep", { args = { "600" }, stdio = {} }, function() end)
  grandchild = pid
end

local acts = {
  d = function(data) stdout:write(data) end,
  e = function(data) io.stderr:write(data) io.stderr:flush() end,
  -- libuv leaves descriptors 0 to 2 open.
  c = function() stdout:close(function() ffi.C.close(1) end) end,
  x = function(code) os.exit(tonumber(code)) end,
  s = function() stdin:read_stop() end,
}

local function listen()
  local rest = ""
  socket:read_start(function(_, chunk)
    if not chunk then os.exit(0) end
    rest = rest .. chunk
    while #rest >= 9 do
      local size = tonumber(rest:sub(2, 9), 16)
      if #rest < 9 + size then break end
      local kind, data = rest:sub(1, 1), rest:sub(10, 9 + size)
      rest = rest:sub(10 + size)
      acts[kind](data)
    end
  end)
end

local term = uv.new_signal()
term:start("sigterm", function()
  frame("t", "")
  if not options["--ignore-term"] then os.exit(143) end
end)

socket:connect(arg[1], function(err)
  if err then
    io.stderr:write("no spec at ", arg[1], "\n")
    os.exit(70)
  end
  frame("h", cjson.encode { pid = uv.os_getpid(), ppid = uv.os_getppid(), cwd = uv.cwd(),
    env = uv.os_environ(), grandchild = grandchild, args = { unpack(arg) } })
  listen()
  stdout:open(1)
  stdin:open(0)
  stdin:read_start(function(_, chunk)
    if chunk then
      frame("d", chunk)
    else
      frame("z", "")
      -- Servers end with their stdin; the spec may want one that doesn't.
      if not options["--ignore-eof"] then socket:shutdown(function() os.exit(0) end) end
    end
  end)
end)
uv.run()
