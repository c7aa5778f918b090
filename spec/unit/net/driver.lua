-- Builds and runs the driver (driver.h) for the specs of net/ and of transport/child.
local M = {}

local root = os.getenv "LUNETTE_ROOT" or "."

--- True when the library has sanitizers in it; their runtime is preloaded into us then.
M.sanitized = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) ~= nil
--- What takes time may take that many times longer.
M.slow = M.sanitized and 4 or 1

local directory

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end
M.output_of = output_of

function M.quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

--- For setup(): builds the driver with the given files ("timer" for driver_timer.c, "stream echo"
--- for two), and links libraries beside Lunette's when it needs them.
function M.build(parts, libraries)
  directory = output_of "mktemp -d ${TMPDIR:-/tmp}/lunette-spec-XXXXXX":match "^(%S+)\n$"
  local library = os.getenv "LUNETTE_LIB" or (root .. "/build/liblunette_spec.so")
  if library:sub(1, 1) ~= "/" then library = output_of "pwd":match "^(.-)\n$" .. "/" .. library end
  local files = parts:gsub("%S+", function(part) return ("%s/spec/unit/net/driver_%s.c"):format(root, part) end)
  local command = ("${CC:-cc} -std=gnu11 -g -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -I%s/src -I%s/spec/unit/net %s "
    .. "%s/spec/unit/net/driver.c %s -o %s/driver '%s' -Wl,-rpath,'%s' %s"):format(
    root, root, M.sanitized and "-fsanitize=address,undefined -fno-sanitize-recover" or "", root, files, directory,
    library, library:match "^(.*)/", libraries or "")
  assert(os.execute(command) == 0, "the driver can't be built")
end

--- For teardown().
function M.remove()
  os.execute("rm -rf -- " .. M.quote(directory))
end

function M.directory()
  return directory
end

--- The driver's path, with what must be in its environment, for a shell. The sanitizers' runtime is
--- linked into it; preloaded it would be in every child it starts.
function M.command()
  return "env -u LD_PRELOAD ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 " .. directory .. "/driver"
end

--- The lines "name value" as a table, with the whole in `text`. A value of several lines is
--- in `text` only.
function M.parse(text)
  local fields = { text = text }
  for name, value in text:gmatch "([%w_]+) ([^\n]*)\n" do fields[name] = fields[name] or value end
  return fields
end

--- Fails unless the scenario ended well, with nothing left over.
function M.check(fields)
  assert(fields.rc == "0" and fields.handles == "0" and fields.freed == "1" and fields.live == "0"
    and fields.errors == "0", "the driver says:\n" .. fields.text)
  return fields
end

--- Runs a scenario; returns its fields. What it writes to stderr is dropped unless asked for.
function M.run(scenario, ...)
  local words = { "timeout 60", M.command(), scenario }
  for _, arg in ipairs { ... } do words[#words + 1] = M.quote(tostring(arg)) end
  return M.check(M.parse(output_of(table.concat(words, " ") .. " 2>" .. directory .. "/stderr; echo rc $?")))
end

--- What the last run wrote to stderr.
function M.stderr()
  local file = assert(io.open(directory .. "/stderr"))
  local text = file:read "*a"
  file:close()
  return text
end

--- Runs a shell command with $D for the driver and $T for its directory; returns its output.
function M.shell(command)
  return output_of(("cd %s; D=%s; T=%s; %s"):format(directory, M.quote(M.command()), directory, command))
end

function M.sleep(seconds)
  os.execute("sleep " .. seconds)
end

--- Whether a process is there and not a zombie.
function M.runs(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if not file then return false end
  local state = (file:read "*l" or ""):match "%) (%a)"
  file:close()
  return state ~= nil and state ~= "Z" and state ~= "X"
end

--- Waits until predicate() holds, at most that many seconds.
function M.wait(predicate, seconds)
  for _ = 1, seconds * 50 do
    if predicate() then return true end
    M.sleep(0.02)
  end
  return predicate()
end

return M
