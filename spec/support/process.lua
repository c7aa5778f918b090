-- Processes of a spec: started with pipes, read all the time, ended at the latest by `finish`.
-- Each carries a mark in its environment that its children inherit, so that whatever survives
-- a test is found in /proc whoever started it.
local loop = require "spec.support.loop"

local uv = loop.uv
local M = {}

-- Lunette passes few variables on to servers. LC_* are among them, and none of that name means anything.
M.mark = ("LC_LUNETTE_SPEC_MARK=%d-%d"):format(uv.os_getpid(), uv.hrtime() % 1000000000)

local Process = {}
Process.__index = Process

local homes, home = 0, nil

--- Where programs keep their state, XDG_STATE_HOME: the same for all of a test, and gone after it. Never the
--- developer's own.
function M.state_home()
  if not home then
    homes = homes + 1
    home = ("%s/lunette-spec-state-%d-%d"):format(os.getenv "TMPDIR" or "/tmp", uv.os_getpid(), homes)
    local path = home
    loop.cleanup(function()
      home = nil
      if uv.fs_stat(path) then os.execute(("rm -rf -- '%s'"):format(path)) end
    end)
  end
  return home
end

-- Our own environment with `extra` over it (false removes).
local function environment(extra)
  local map, list = uv.os_environ(), { M.mark }
  map.XDG_STATE_HOME = M.state_home()
  for k, v in pairs(extra or {}) do map[k] = v end
  for k, v in pairs(map) do
    if v then list[#list + 1] = k .. "=" .. tostring(v) end
  end
  return list
end

--- Starts options.command with options.args; env is added to ours, cwd, `detached` for a group
--- of its own. Raises when it can't be started.
function M.spawn(options)
  local stdin, stdout, stderr = uv.new_pipe(), uv.new_pipe(), uv.new_pipe()
  local self = setmetatable({ stdin = stdin, name = options.name or options.command }, Process)
  local handle, pid = uv.spawn(options.command, {
    args = options.args,
    env = environment(options.env),
    cwd = options.cwd,
    detached = options.detached,
    stdio = { stdin, stdout, stderr },
  }, loop.guard(function(code, signal)
    self.code, self.signal = code, signal
    loop.close(self.handle)
  end))
  if not handle then error(("can't start %s: %s"):format(options.command, pid), 2) end
  self.handle, self.pid = handle, pid
  self.out, self.err, self.stderr = loop.collect(stdout), loop.collect(stderr), stderr
  loop.note(function()
    return ("--- %s (pid %d, %s), stderr:\n%s"):format(self.name, pid,
      self.code and ("exit %d signal %d"):format(self.code, self.signal) or "running", self.err:all())
  end)
  loop.cleanup(function()
    if not self.code then
      self:kill "sigkill"
      loop.wait(function() return self.code end, self.name .. " to be reaped")
    end
    for _, pipe in ipairs { stdin, stdout, stderr } do loop.close(pipe) end
  end)
  return self
end

--- Writes bytes to its stdin; with `step`, that many at a time, each in a write of its own that
--- is done before the next.
function Process:write(bytes, step)
  if not step then
    self.stdin:write(bytes)
    return self
  end
  for i = 1, #bytes, step do
    local done = false
    self.stdin:write(bytes:sub(i, i + step - 1), loop.guard(function() done = true end))
    loop.wait(function() return done end, "a write to " .. self.name)
  end
  return self
end

function Process:close_stdin()
  loop.close(self.stdin)
end

--- The next line of stdout without its end.
function Process:line(ms)
  return loop.wait(function()
    local line = self.out:take_until "\n"
    if not line and (self.out.ended and self.code) then
      error(("%s ended (exit %d, signal %d) while a line was waited for\n%s"):format(
        self.name, self.code, self.signal, self.err:all()), 0)
    end
    return line
  end, "a line of " .. self.name, ms)
end

--- The next line if one comes within `ms`.
function Process:maybe_line(ms)
  return loop.within(ms, function() return self.out:take_until "\n" end)
end

--- Waits for the end; returns exit code and signal. Its pipes are read to their ends (unless a
--- grandchild holds them).
function Process:wait_exit(ms)
  loop.wait(function() return self.code end, self.name .. " to exit", ms)
  loop.within(500, function() return self.out.ended and self.err.ended end)
  return self.code, self.signal
end

--- Waits until stderr holds `text` (plain).
function Process:wait_stderr(text, ms)
  return loop.wait(function() return self.err:all():find(text, 1, true) end,
    ("%q on stderr of %s"):format(text, self.name), ms)
end

--- Nobody reads its stderr any more; until it is heard again.
function Process:deaf()
  self.stderr:read_stop()
end

function Process:hear()
  local before = self.err
  local after = loop.collect(self.stderr)
  self.err = { all = function() return before:all() .. after:all() end }
end

--- What it complained of on stderr: all but that its loop was late, which a busy machine does to any.
function Process:complaints()
  return (self.err:all():gsub("[^\n]* warn loop: nobody [^\n]*\n", ""))
end

function Process:kill(signal)
  if not self.code then self.handle:kill(signal or "sigterm") end
end

--- Runs a command to its end; { code, signal, stdout, stderr, ms }.
function M.run(options)
  local started = uv.hrtime()
  local self = M.spawn(options)
  if options.stdin then self:write(options.stdin) end
  if not options.keep_stdin then self.stdin:shutdown(function() self:close_stdin() end) end
  self:wait_exit(options.timeout or 20000)
  return { code = self.code, signal = self.signal, stdout = self.out:all(), stderr = self.err:all(),
    ms = (uv.hrtime() - started) / 1e6 }
end

-- --- what /proc knows ------------------------------------------------------------------------

local function slurp(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

--- Milliseconds of CPU time that the process's first thread has had.
function M.cpu_ms(pid)
  return tonumber(slurp(("/proc/%d/schedstat"):format(pid)):match "^%d+") / 1e6
end

--- True while a process with that pid exists and isn't a zombie.
function M.alive(pid)
  local stat = slurp(("/proc/%d/stat"):format(pid))
  local state = stat and stat:match "^%d+ %b() (%S)"
  return state ~= nil and state ~= "Z" and state ~= "X"
end

local function pids()
  local list = {}
  local dir = uv.fs_scandir "/proc"
  while dir do
    local name = uv.fs_scandir_next(dir)
    if not name then break end
    if name:match "^%d+$" then list[#list + 1] = tonumber(name) end
  end
  return list
end

--- Pids and command lines of all live processes that inherited our mark. (A zombie has no
--- environment left: look for those with `children` while the parent lives.)
function M.marked()
  local found = {}
  for _, pid in ipairs(pids()) do
    local environ = slurp(("/proc/%d/environ"):format(pid))
    if environ and environ:find(M.mark, 1, true) then
      local command = (slurp(("/proc/%d/cmdline"):format(pid)) or ""):gsub("%z", " ")
      found[#found + 1] = { pid = pid, command = command }
    end
  end
  return found
end

--- Pids whose parent is `parent`, and how many of those are zombies.
function M.children(parent)
  local found, zombies = {}, 0
  for _, pid in ipairs(pids()) do
    local stat = slurp(("/proc/%d/stat"):format(pid))
    local state, ppid = (stat or ""):match "^%d+ %b() (%S) (%d+)"
    if tonumber(ppid) == parent then
      found[#found + 1] = pid
      if state == "Z" then zombies = zombies + 1 end
    end
  end
  return found, zombies
end

--- Resident kilobytes.
function M.rss(pid)
  return tonumber((slurp(("/proc/%d/status"):format(pid)) or ""):match "VmRSS:%s+(%d+)")
end

--- Open descriptors.
function M.descriptors(pid)
  local n, dir = 0, uv.fs_scandir(("/proc/%d/fd"):format(pid))
  while dir and uv.fs_scandir_next(dir) do n = n + 1 end
  return n
end

--- Waits until nothing that carries the mark is left; raises with a list otherwise, after
--- having killed it.
function M.assert_none_left(ms)
  local tick = uv.new_timer() -- nobody tells the loop of processes that are not its own
  tick:start(10, 10, function() end)
  local gone = loop.within(ms or 6000, function() return #M.marked() == 0 end)
  tick:close()
  if gone then return end
  local lines = {}
  for _, p in ipairs(M.marked()) do
    lines[#lines + 1] = ("  %d %s"):format(p.pid, p.command)
    uv.kill(p.pid, "sigkill")
  end
  error("processes left behind:\n" .. table.concat(lines, "\n"), 2)
end

return M
