-- A policy can't take the host down: whatever its code does, wrong or wild, ends as an error to the request it
-- was done for, with file:line in the log, and everybody else is served during and after. What nothing can
-- stop ends the process, which says where.
--
-- Every case is a tool of one policy, a line each, so that its line number is its place. Another client calls
-- while it runs and after. (Out of reach, since they are the process itself: FFI, C modules.)
local hostile = require "spec.support.hostile"
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local LIMITS, GOOD, tool, call, fine, logged = hostile.LIMITS, hostile.GOOD, hostile.tool, hostile.call, hostile.fine,
  hostile.logged
local PATIENT = LIMITS:gsub("0.2", "20")

local STOPPED, MEMORY, STACK = "ran for more than 0.2 s", "not enough memory (lunette.configure { memory_limit = … } is 50.3316 MB)",
  "stack overflow"

-- { what it does, the handler's body, what the log says of it (or one of several; false: the call works) }
local groups = {
  ["does not end"] = {
    { "a loop", "while true do end", STOPPED },
    { "behind pcall", "while true do pcall(function() while true do end end) end", STOPPED },
    { "behind xpcall", "local function x() while true do end end while true do xpcall(x, x) end", STOPPED },
    { "in a coroutine", "while true do coroutine.wrap(function() while true do end end)() end", STOPPED },
    { "in sort's comparator", "table.sort({ 3, 2, 1 }, function() while true do end end)", STOPPED },
    { "in gsub's function", "return (('x'):gsub('.', function() while true do end end))", STOPPED },
    { "in an iterator", "for _ in function() while true do end end do end", STOPPED },
    { "in a metamethod behind pcall", "local t = setmetatable({}, { __index = function() while true do end end }) "
      .. "while true do pcall(function() return t.x end) end", STOPPED },
    { "in __tostring", "local t = setmetatable({}, { __tostring = function(t) return tostring(t) end }) return tostring(t)", STOPPED },
    { "in __tostring of its error", "error(setmetatable({}, { __tostring = function() while true do end end }))", STOPPED },
    { "in a module's loader", "package.preload.endless = function() while true do end end require 'endless'", STOPPED },
    { "in code made at run time", "loadstring 'while true do end' ()", STOPPED },
    { "recursion behind pcall", "local function f() local ok, e = pcall(f) return ok, e end while true do f() end", STOPPED },
  },
  ["takes too much memory"] = {
    { "one long string", "return ('x'):rep(1e9)", MEMORY },
    { "a doubling string", "local s = 'x' while true do s = s .. s end", MEMORY },
    { "tables", "local t = {} while true do t[#t + 1] = {} end", MEMORY },
    { "many strings", "local t = {} for i = 1, 1e9 do t[i] = tostring(i) end", MEMORY },
    { "a long concat", "local t = {} for i = 1, 1e6 do t[i] = ('x'):rep(100) end return table.concat(t)", MEMORY },
    { "in a coroutine", "return coroutine.wrap(function() return ('x'):rep(1e9) end)()", "not enough memory" },
    { "again and again behind pcall", "for _ = 1, 1e3 do pcall(string.rep, 'x', 1e9) end return 'fine'", false },
    { "much garbage is fine", "local n = 0 for i = 1, 2e4 do n = n + #(('x'):rep(1e4) .. i) end return 'fine'", false },
  },
  ["goes too deep"] = {
    { "recursion", "local function f() return 1 + f() end return f()", STACK },
    { "coroutines in coroutines", "local function f() return (coroutine.wrap(function() return (f()) end)()) end return f()", { STACK, MEMORY } },
    { "gsub in gsub", "local function f(s) return (s:gsub('.', f)) end return f 'x'", STACK },
    { "sort in sort", "local function f(a, b) table.sort({ 3, 2, 1 }, f) return a < b end f(1, 2)", STACK },
    { "metamethods", "local t t = setmetatable({}, { __index = function(t, k) return t[k .. 'x'] end }) return t.x", STACK },
    { "coroutines behind pcall", "local function f() local ok, e = pcall(coroutine.wrap(function() return f() end)) return e end "
      .. "f() return 'fine'", false },
    { "a deep result", "local t = {} for i = 1, 1e4 do t = { t } end return { content = {}, structuredContent = { t = t } }", "can't be sent" },
    { "a result that contains itself", "local t = { content = {} } t.structuredContent = t return t", "can't be sent" },
    { "deep JSON", "return lunette.json.decode(('['):rep(1e6))", "nested" },
    { "deep tables as JSON", "local t = {} for i = 1, 1e5 do t = { t } end return lunette.json.encode(t)", "nest" },
    { "deep code", "return assert(loadstring('return ' .. ('('):rep(1e6)))()", "syntax levels" },
    { "a pattern too complex", "return (('a'):rep(3e5):find(('a?'):rep(3e5) .. 'b'))", "too complex" },
  },
  ["fails with"] = {
    { "nil", "error(nil)", "nil" },
    { "nothing", "error()", "nil" },
    { "true", "error(true)", "true" },
    { "a number", "error(12)", "12" },
    { "a table", "error { code = 'E', why = 'so' }", "an error without a message" },
    { "a table with a message", "error { message = 'so it is' }", "so it is" },
    { "a userdata", "error(newproxy())", "userdata" },
    { "a function", "error(print)", "function" },
    { "a coroutine", "error(coroutine.create(print))", "thread" },
    { "a __tostring that throws", "error(setmetatable({}, { __tostring = function() error 'worse' end }))", "worse" },
    { "a __tostring that gives a table", "error(setmetatable({}, { __tostring = function() return {} end }))", "__tostring" },
    { "a metatable that is none", "error(setmetatable({}, { __metatable = 1, __index = error }))", "an error without a message" },
    { "ten megabytes", "error(('x'):rep(1e7))", "bytes in all" },
    { "what a terminal obeys", "error '\\27[31mred\\0zero\\155'", "red" },
    { "an error in a finalizer", "getmetatable(newproxy(true)).__gc = function() error 'final' end collectgarbage() collectgarbage()", "final" },
    { "a library function", "string.rep()", "bad argument" },
  },
  ["waits where it can't:"] = {
    { "in sort", "table.sort({ 1, 2 }, function() lunette.sleep(0) end)", "can be called inside table.sort, string.gsub, require" },
    { "in gsub", "return (('x'):gsub('.', function() return ctx:call_tool 'good' end))", "can be called inside table.sort, string.gsub, require" },
    { "in require", "package.preload.waits = function() lunette.sleep(0) end require 'waits'", "can be called inside table.sort, string.gsub, require" },
    { "in a coroutine", "return coroutine.wrap(function() return ctx:call_tool 'good' end)()", "which a coroutine made by the handler can't do" },
    { "by coroutine.yield", "coroutine.yield()", "coroutine.yield can't be called by a handler itself" },
  },
  ["returns"] = {
    { "nothing", "", "returned nothing" },
    { "true", "return true", "returned a boolean, not a result" },
    { "a function", "return print", "returned a function, not a result" },
    { "a userdata", "return newproxy()", "returned a userdata, not a result" },
    { "a coroutine", "return coroutine.create(print)", "returned a thread, not a result" },
    { "null", "return lunette.null", "returned a userdata, not a result" },
    { "a list of numbers", "return { 1, 2 }", "content[1] is a number" },
    { "content that is no list", "return { content = 'x' }", "content is a string, not a list" },
    { "keys of two kinds", "return { content = {}, structuredContent = { 1, x = 2 } }", "can't be sent" },
    { "a number that is none", "return { content = {}, structuredContent = { n = 0 / 0 } }", "can't be sent" },
    { "a function inside", "return { content = {}, structuredContent = { f = print } }", "can't be sent" },
    { "more than a message may have", "return ('x'):rep(2e7)", { "can't be sent", MEMORY } },
    { "a table with a metatable that throws", "return setmetatable({}, { __index = function() error 'looked' end })", "looked" },
  },
  ["does what it may not:"] = {
    { "os.exit", "os.exit(0)", "os.exit would end the proxy" },
    { "os.exit behind pcall", "pcall(os.exit, 0) return 'fine'", false },
    { "io.read", "return io.read '*l'", "io.read would read what clients send" },
    { "io.lines", "for l in io.lines() do return l end", "io.lines without a file" },
    { "io.stdin", "return io.stdin:read '*l' or 'fine'", false },
    { "io.write", "io.write 'no frame\\n' io.stdout:write 'nor this\\n' print 'nor that' return 'fine'", false },
    { "io.stdout:close", "pcall(io.stdout.close, io.stdout) pcall(io.close) return 'fine'", false },
    { "debug.setmetatable of a text", "debug.setmetatable('', nil)", "debug.setmetatable of a string would change every other" },
    { "debug.setmetatable of a table", "debug.setmetatable({}, {}) return 'fine'", false },
    { "debug.sethook", "debug.sethook()", "debug.sethook is not for policies" },
    { "jit.on", "jit.on()", "jit.on would take the time limit off" },
    { "os.setlocale", "os.setlocale 'de_DE.UTF-8'", "os.setlocale would change" },
    { "declaring late", "lunette.on('ping', print)", "only works while the policy loads" },
    { "stopping the collector", "collectgarbage 'stop' return 'fine'", false },
  },
}

local function says(line, what)
  for _, text in ipairs(type(what) == "table" and what or { what }) do
    if line:find(text, 1, true) then return true end
  end
  return false
end

for limits, kinds in pairs {
  [LIMITS] = { "does not end", "fails with", "waits where it can't:", "returns", "does what it may not:" },
  [PATIENT] = { "takes too much memory", "goes too deep" },
} do
  describe("a policy that", function()
    teardown(lunette.finish)

    local host, bad, other, cases, lines = nil, nil, nil, {}, { limits .. GOOD }
    for _, kind in ipairs(kinds) do
      for _, case in ipairs(groups[kind]) do
        lines[#lines + 1] = tool("t" .. #lines + 1, case[2])
        cases[#cases + 1] = { name = kind .. " " .. case[1], line = #lines, says = case[3] }
      end
    end

    setup(function()
      host = lunette.http { policy = table.concat(lines, "\n") }
      bad, other = host.client(), host.client()
      bad:initialize()
      other:initialize()
    end)

    for _, case in ipairs(cases) do
      it(case.name, function()
        local one = bad:start("tools/call", call("t" .. case.line))
        local during = other:start("tools/call", call "good")
        local answer = one:wait(30000)
        assert.equal('"fine"', json.at(during:wait(), "result", "content", 1, "text"))
        fine(other)
        if not case.says then
          assert.equal('"fine"', json.at(answer, "result", "content", 1, "text"), answer)
          return
        end
        assert.equal('{"code":-32603,"message":"policy error"}', json.at(answer, "error"), answer)
        local line = logged(host.process, (".lua:%d"):format(case.line)) or host.process.err:all()
        assert.truthy(says(line, case.says), line)
        assert.is_true(#line <= 4096)
        assert.is_nil(line:find "[%z\1-\8\11-\31\127]")
      end)
    end

    it("has cost nobody else anything", function()
      assert.is_nil(host.process.code)
      assert.is_true(lunette.sanitized or process.rss(host.process.pid) < 160 * 1024)
      local metrics = http.request { port = host.port, path = "/metrics", headers = { "Host: 127.0.0.1:" .. host.port } }.body
      assert.truthy(metrics:find("lunette_requests_in_flight 0\n", 1, true), metrics)
    end)
  end)
end

describe("what nothing can stop", function()
  after_each(lunette.finish)

  local cases = {
    { "a pattern", "('a'):rep(300):find(('a-'):rep(30) .. 'b')" },
    { "a pipe that nobody writes to", "io.open('FIFO'):read '*a'" },
    { "a finalizer", "getmetatable(newproxy(true)).__gc = function() while true do end end collectgarbage() collectgarbage()" },
  }
  for _, case in ipairs(cases) do
    it("ends the process, which says where: " .. case[1], function()
      local up = upstream.new { tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }
      local fifo = loop.tempdir() .. "/fifo"
      assert(os.execute("mkfifo " .. fifo) == 0)
      local host = lunette.http { policy = "lunette.configure { hook_timeout = 0.1, watchdog = 0.3 }" .. lunette.bare(up)
        .. "\nlunette.on('tools/call', 'work', function()\n" .. case[2]:gsub("FIFO", fifo) .. "\nreturn 'never' end)" }
      host.process.expect_failure = true
      local client = host.client()
      client:initialize()
      client:result("tools/list", "{}")
      local pid = up:session().pid
      client:start("tools/call", call "work")
      host.process:wait_exit(10000)
      assert.equal(3, host.process.code)
      assert.equal(0, host.process.signal)
      local line = logged(host.process, "watchdog")
      assert.truthy(line and line:find "policy%d+%.lua:3: can't be stopped", host.process.err:all())
      loop.wait(function() return not process.alive(pid) end, "the server's end", 5000)
    end)
  end

  it("is ended with all that it waits for", function()
    local file = loop.tempdir() .. "/pids"
    -- The first heeds no TERM, the second is its child; `finish` sees to it that none is left.
    local command = ("trap : TERM; echo $$ > %s; sleep 1000; sleep 1000; sleep 1000"):format(file)
    local host = lunette.http { policy = "lunette.configure { hook_timeout = 0.1, watchdog = 0.3 }\n"
      .. tool("slow", ("return io.popen(%q):read '*a'"):format(command)) }
    host.process.expect_failure = true
    local client = host.client()
    client:initialize()
    client:start("tools/call", call "slow")
    host.process:wait_exit(10000)
    assert.equal(3, host.process.code)
    local pid = assert(tonumber(io.open(file):read "*a"))
    loop.wait(function() return not process.alive(pid) end, "the command's end", 5000)
  end)

  it("ends the process also when its policy is closed", function()
    local result = lunette.cli { "check", lunette.policy("lunette.configure { watchdog = 0.3 } _G.kept = newproxy(true)\n"
      .. "getmetatable(kept).__gc = function() while true do end end") }
    assert.equal(3, result.code)
    assert.truthy(result.stderr:find("watchdog: a policy: can't be stopped", 1, true), result.stderr)
  end)

  it("is told of when it held everybody up", function()
    local host = lunette.http { policy = "lunette.configure { hook_timeout = 60 }" .. GOOD
      .. tool("slow", "local to = os.clock() + 0.6 while os.clock() < to do end return 'fine'") }
    local client = host.client()
    client:initialize()
    client:result("tools/call", call "slow")
    client:result "ping"
    assert.truthy(host.process.err:all():find "warn loop: nobody else was served for %d+%.%d+ s, %d+%.%d+ s of it by this: [^\n]*tools/call\n",
      host.process.err:all())
  end)

  -- Signals that the policy has C handle by sleeping (as many seconds as their number): the loop stands
  -- still, and no Lua runs.
  local SLEEPS = [[
    local ffi = require "ffi"
    ffi.cdef "typedef void (*handler)(int); handler signal(int, handler); unsigned sleep(unsigned);"
    for _, signum in ipairs { 3, 12 } do ffi.C.signal(signum, ffi.cast("handler", ffi.C.sleep)) end]]

  it("ends the process also when it is the loop that stands still", function()
    local host = lunette.http { policy = "lunette.configure { hook_timeout = 0.1, watchdog = 0.3 }" .. GOOD .. SLEEPS }
    host.process.expect_failure = true
    host.client():initialize()
    host.process:kill "sigusr2"
    host.process:wait_exit(10000)
    assert.equal(3, host.process.code)
    local line = logged(host.process, "watchdog")
    assert.truthy(line and line:find "has held everybody up for %d s: ending the process", host.process.err:all())
  end)

  it("is no loop that stands still for less than a policy may, or for ever where a policy may", function()
    for _, settings in ipairs { "watchdog = 15", "watchdog = 0" } do
      local host = lunette.http { policy = "lunette.configure { hook_timeout = 0.1, " .. settings .. " }" .. GOOD .. SLEEPS }
      local client = host.client()
      client:initialize()
      host.process:kill "sigquit"
      client:result "ping"
    end
  end)

  it("is not what was only halted for a while", function()
    local host = lunette.http { policy = "lunette.configure { hook_timeout = 0, watchdog = 0.2 }" .. GOOD
      .. tool("slow", "local to = os.clock() + 0.1 while os.clock() < to do end return 'fine'") }
    local client = host.client()
    client:initialize()
    for _ = 1, 3 do
      local one = client:start("tools/call", call "slow")
      host.process:kill "sigstop"
      loop.sleep(600)
      host.process:kill "sigcont"
      assert.equal('"fine"', json.at(one:wait(), "result", "content", 1, "text"))
    end
  end)
end)

describe("a global that is written", function()
  after_each(lunette.finish)

  it("is told of once, with its place, wherever it is written", function()
    local dir = loop.tempdir()
    loop.write_file(dir .. "/words.lua", "local M = {}\nfunction M.f()\n  inside = 1\nend\nreturn M")
    local path = lunette.policy(GOOD .. "\ncount = 0\nlocal words = require 'words'\n"
      .. "lunette.tools.add { name = 'n', inputSchema = { type = 'object' }, handler = function()\n"
      .. "  count = count + 1\n  local mine = count\n  late = mine\n  _G.meant = 1\n  return 'fine'\nend }\n"
      .. "local function never()\n  type = 'x'\nend\nlocal unused = never", dir .. "/policy.lua")
    local host = lunette.http { targets = { path } }
    local client = host.client()
    client:initialize()
    for _ = 1, 3 do client:result("tools/call", call "n") end
    local log = host.process.err:all()
    for name, place in pairs { count = "policy.lua:2", inside = "words.lua:3", late = "policy.lua:7", type = "policy.lua:12" } do
      local _, times = log:gsub("writes the global " .. name .. ",", "")
      assert.equal(1, times, log)
      assert.truthy(log:find(place .. ": writes the global " .. name, 1, true), log)
    end
    assert.is_nil(log:find("meant,", 1, true))
  end)

  it("by code that is made at run time is told of, too, but not what goes to a table of its own", function()
    local host = lunette.http { policy = tool("n", [[
      for i = 1, 2 do
        loadstring("\n\nmade = " .. i, "=made.lua")()
        load(function(n) n, i = i and "loaded = 1", nil return n end)()
        assert(load("text = 1", "@text.lua"))()
        loadstring "_G.meant = 1" ()
        rawset(_G, "also_meant", 1)
        setfenv(loadstring "own = 1", {})()
        assert(load("given = 1", "given", "t", {}))()
        setfenv(loadstring "through = 1", setmetatable({}, { __index = _G, __newindex = _G }))()
      end
      return "fine"]]) }
    local client = host.client()
    client:initialize()
    for _ = 1, 2 do client:result("tools/call", call "n") end
    local log = host.process.err:all()
    for name, place in pairs { made = "made.lua:3", loaded = "(load):1", text = "text.lua:1", through = '[string "through = 1"]:1' } do
      local _, times = log:gsub("writes the global " .. name .. ",", "")
      assert.equal(1, times, name .. log)
      assert.truthy(log:gsub('\\"', '"'):find(place .. ": writes the global " .. name, 1, true), place .. log)
    end
    for _, name in ipairs { "meant", "also_meant", "own", "given" } do
      assert.is_nil(log:find("the global " .. name .. ",", 1, true), log)
    end
    assert.equal("fine", json.value(client:result("tools/call", call "n"), "content", 1, "text"))
  end)
end)
