-- Beginnings and ends: whoever goes, by whatever death, takes no one along and leaves nothing behind;
-- and a policy changes while it runs. That no process stays is also checked after every other test.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'

local function server(args)
  local up = upstream.new { tools = tools, args = args }
  up:on("tools/call", function(req) req:reply '{"content":[]}' end)
  return up
end

describe("standard streams", function()
  after_each(lunette.finish)

  local ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
  local answer = '{"jsonrpc":"2.0","id":1,"result":{}}\n'

  it("carry the protocol alone, whatever a policy's child processes read and write", function()
    local policy = lunette.policy [[lunette.tools.add { name = "leak", inputSchema = { type = "object" },
      handler = function() os.execute "echo leak; cat" return "done" end }]]
    local p = lunette.spawn { "run", policy }
    p:write('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
      .. '"clientInfo":{"name":"x","version":"1"}}}\n{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    assert.equal("1", json.at(p:line(), "id"))
    p:write '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"leak"}}\n'
    p:write('{"jsonrpc":"2.0","id":3,"method":"ping"}\n')
    local ids = { json.at(p:line(), "id"), json.at(p:line(), "id") }
    table.sort(ids)
    assert.same({ "2", "3" }, ids)
    p:close_stdin()
    p:wait_exit()
    assert.is_nil(p.out:all():find("\nleak", 1, true), p.out:all())
    assert.is_nil(p:maybe_line(0))
    assert.truthy(p.err:all():find("leak\n", 1, true), p.err:all())
  end)

  it("may be files, and a last message may lack the end of its line", function()
    local policy = lunette.policy 'lunette.tools.add { name = "a", inputSchema = { type = "object" }, handler = function() end }'
    local result = lunette.cli({ "run", policy }, { stdin = ping })
    assert.equal(answer, result.stdout)
    local dir = loop.tempdir()
    local function run(text)
      local file = assert(io.open(dir .. "/in", "w"))
      file:write(text)
      file:close()
      local shell = process.run { command = "sh", args = { "-c", '"$0" run "$1" <"$2"/in >"$2"/out', lunette.binary, policy, dir } }
      assert.equal(0, shell.code, shell.stderr)
      file = assert(io.open(dir .. "/out"))
      local out = file:read "*a"
      file:close()
      return out
    end
    assert.equal(answer, run(ping))
    assert.equal(answer, run(ping .. "\n"))
  end)
end)

describe("the end of", function()
  after_each(lunette.finish)

  it("a client on stdio ends Lunette and its children, quickly and in order", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server())
    client:initialize()
    local code = client:close(3000)
    assert.equal(0, code)
    loop.wait(function() return up.sessions[1].gone end, "the child's end")
    assert.is_true(up.sessions[1].eof, "its stdin is closed first")
    assert.is_nil(up.sessions[1].term, "one that ends by itself gets no signal")
  end)

  it("a client on stdio before it said anything", function()
    local up = server()
    local client = lunette.stdio { policy = lunette.bare(up) }
    assert.equal(0, (client:close(3000)))
    assert.equal(0, #up.sessions)
  end)

  it("a client on stdio lets what is in flight finish", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server())
    client:initialize()
    up:on("tools/call", function(req) loop.after(200, function() req:reply '{"content":[],"late":true}' end) end)
    local call = client:start("tools/call", '{"name":"work"}')
    up:wait "tools/call"
    client.process:kill "sigterm"
    assert.equal('{"content":[],"late":true}', json.at(call:wait(), "result"))
    assert.equal(0, (client.process:wait_exit()))
  end)

  for _, signal in ipairs { "sigterm", "sigint" } do
    it("Lunette by " .. signal .. " is clean", function()
      local up = server()
      local host = lunette.http { policy = lunette.bare(up) }
      local client = host.client()
      client:initialize()
      client:listen()
      client:result("tools/call", '{"name":"work"}')
      host.process:kill(signal)
      assert.equal(0, (host.process:wait_exit(6000)))
      loop.wait(function() return up.sessions[1].gone end, "the child's end")
    end)
  end

  it("Lunette by a second SIGINT is at once", function()
    local up = server()
    up:on("tools/call", function() end)
    local host = lunette.http { policy = lunette.bare(up) }
    local client = host.client()
    client:initialize()
    client:start("tools/call", '{"name":"work"}')
    up:wait "tools/call"
    host.process.expect_failure = true
    host.process:kill "sigint"
    loop.sleep(100)
    host.process:kill "sigint"
    host.process:wait_exit(2000)
  end)

  it("Lunette by SIGKILL leaves no child, nor a child's child", function()
    local up = server { "--grandchild", "--ignore-eof", "--ignore-term" }
    local client = lunette.between({ "stdio", "stdio" }, up)
    client:initialize()
    local session = up:session()
    client.process.expect_failure = true
    client.process:kill "sigkill"
    client.process:wait_exit()
    loop.wait(function() return not process.alive(session.pid) and not process.alive(session.hello.grandchild) end,
      "child and grandchild to be ended", 9000)
  end)

  it("a child that heeds neither its stdin nor TERM comes by KILL, its own children's too", function()
    local up = server { "--grandchild", "--ignore-eof", "--ignore-term" }
    local client = lunette.between({ "stdio", "stdio" }, up)
    client:initialize()
    local session = up:session()
    assert.equal(0, (client:close(12000)))
    assert.is_true(session.eof)
    assert.is_true(session.term)
    loop.wait(function() return not process.alive(session.pid) and not process.alive(session.hello.grandchild) end, "nobody left", 3000)
  end)

  it("a child is reaped", function()
    local client, up = lunette.between({ "http", "stdio" }, server())
    client:initialize()
    for i = 1, 5 do
      up.sessions[i]:exit(i)
      loop.wait(function() return up.sessions[i].gone end, "the child's end")
      loop.wait(function()
        return json.at(client:request("tools/call", '{"name":"work"}'), "result") and up.sessions[i + 1]
      end, "the child to be back")
    end
    assert.equal(6, #up.sessions)
  end)

  it("a child leaves no zombie", function()
    local client, up, host = lunette.between({ "http", "stdio" }, server())
    client:initialize()
    up.sessions[1]:exit(0)
    loop.wait(function()
      local _, zombies = process.children(host.process.pid)
      return up.sessions[1].gone and zombies == 0
    end, "the child to be reaped")
  end)

  it("a session that is idle for its time ends it and its child", function()
    local client, up = lunette.between({ "http", "stdio" }, server(), { policy = "lunette.configure { session_timeout = 0.3 }" })
    client:initialize()
    client:result("tools/call", '{"name":"work"}')
    -- Sessions are looked at every now and then only.
    loop.wait(function() return up.sessions[1].gone end, "the child's end", 20000)
    assert.equal(404, client:post('{"jsonrpc":"2.0","id":1,"method":"ping"}').status)
  end)

  it("sessions beyond the limit are refused, those there are go on", function()
    local client, _, host = lunette.between({ "http", "stdio" }, server(), { policy = "lunette.configure { max_sessions = 2 }" })
    client:initialize()
    local second = host.client()
    second:initialize()
    local init = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
      .. '"clientInfo":{"name":"x","version":"1"}}}'
    local status = host.client():post(init).status
    assert.is_true(status == 503 or status == 429, "status " .. status)
    client:result("tools/call", '{"name":"work"}')
    second:close()
    assert.equal(200, host.client():post(init).status)
  end)
end)

describe("a child", function()
  after_each(lunette.finish)

  it("gets the command line, environment and directory that the policy gives", function()
    local up = server()
    local command = up:command()
    local policy = ("lunette.upstream('up', { command = 'luajit', args = { %q, %q, 'a b', '', '$HOME' }, "
      .. "env = { SPEC_GIVEN = 'x y' }, cwd = '/tmp' })"):format(command[2], command[3])
    local client = lunette.stdio { policy = policy }
    client:initialize()
    local hello = up:session().hello
    assert.equal("/tmp", hello.cwd)
    assert.equal("x y", hello.env.SPEC_GIVEN)
    assert.same({ command[3], "a b", "", "$HOME" }, hello.args)
  end)

  it("has its stderr in the log, under its name", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server())
    client:initialize()
    up:session():stderr "first line\nsecond "
    up:session():stderr "line\n"
    client.process:wait_stderr "second line"
    for line in client.process.err:all():gmatch "[^\n]+" do
      if line:find "first line" then assert.truthy(line:find("up", 1, true)) end
    end
    assert.equal(0, #client.inbox)
  end)

  it("that writes nonsense to stdout harms nobody", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server())
    client:initialize()
    up:session():raw "{\"half\":\n[]\n\"x\"\n{\"jsonrpc\":\"2.0\"}\n\255\254\0\nthe end of it\n"
    client.process:wait_stderr "the end of it"
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"work"}'))
    assert.equal(0, #client.inbox)
  end)

  it("that prints words to stdout while it works harms nobody", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server())
    client:initialize()
    up:on("tools/call", function(req)
      req.session:raw "Downloading the model\n\n   \n100%\n"
      req:reply '{"content":[]}'
    end)
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"work"}'))
  end)

  it("that closes its stdout is as good as dead, and started again", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server())
    client:initialize()
    up:on("tools/call", function(req) req.session:close_stdout() end)
    local err = client:failure("tools/call", '{"name":"work"}')
    assert.equal(-32603, err.code)
    up:on("tools/call", function(req) req:reply '{"content":[],"again":true}' end)
    loop.wait(function() return json.at(client:request("tools/call", '{"name":"work"}'), "result") end, "the server to be back")
  end)

  it("is started only when a client is there, once for one client", function()
    local up = server()
    local host = lunette.http { policy = lunette.bare(up) }
    loop.sleep(50)
    assert.equal(0, #up.sessions)
    host.client():initialize()
    assert.equal(1, #up.sessions)
  end)

  it("that dies at its start is told of at once, with its last words in the log", function()
    local client = lunette.stdio { policy = "lunette.upstream('bad', { command = 'sh', args = { '-c', 'echo no such luck >&2; exit 3' } })" }
    local started = loop.uv.hrtime()
    local err = client:failure("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
    assert.is_true((loop.uv.hrtime() - started) / 1e9 < 2 * loop.slow)
    assert.equal('Server "bad": the server exited with status 3', err.message)
    assert.truthy(client.process.err:all():find("no such luck", 1, true))
  end)
end)

describe("a reload", function()
  after_each(lunette.finish)

  local function needs_reload()
    local reason = lunette.lacks_reload()
    if reason then pending(reason) end
  end

  local function running(text)
    needs_reload()
    local up = server()
    local path = lunette.policy(lunette.bare(up) .. "\n" .. text)
    local host = lunette.http { targets = { path } }
    local client = host.client()
    client:initialize()
    client:listen()
    local function write(new) lunette.policy(lunette.bare(up) .. "\n" .. new, path) end
    return client, up, host, write
  end

  local function names(client) return json.names(json.at(client:result("tools/list", "{}"), "tools")) end

  it("takes effect when the file changes, and clients hear of it", function()
    local client, up, _, write = running ""
    assert.same({ "work" }, names(client))
    write 'lunette.tools.rename { work = "labour" }'
    client:expect "notifications/tools/list_changed"
    assert.same({ "labour" }, names(client))
    client:result("tools/call", '{"name":"labour"}')
    assert.equal(1, #up.sessions, "an unchanged server keeps its session")
  end)

  it("happens on SIGHUP too", function()
    needs_reload()
    local up = server()
    local path = lunette.policy(lunette.bare(up))
    local host = lunette.http { targets = { path }, flags = { "--no-watch" } }
    local client = host.client()
    client:initialize()
    client:listen()
    assert.same({ "work" }, names(client))
    lunette.policy(lunette.bare(up) .. '\nlunette.tools.rename { work = "labour" }', path)
    assert.is_nil(client:maybe("notifications/tools/list_changed", 300))
    host.process:kill "sighup"
    client:expect "notifications/tools/list_changed"
    assert.same({ "labour" }, names(client))
  end)

  it("that fails leaves the old policy in force and says why", function()
    local client, _, host, write = running 'lunette.tools.rename { work = "labour" }'
    assert.same({ "labour" }, names(client))
    write "\nthis is not Lua"
    host.process:wait_stderr "policy"
    loop.wait(function() return host.process.err:all():find "%.lua:4" or host.process.err:all():find "%.lua:3" end, "file and line")
    assert.same({ "labour" }, names(client))
    client:result("tools/call", '{"name":"labour"}')
    write 'lunette.tools.rename { work = "toil" }'
    client:expect "notifications/tools/list_changed"
    assert.same({ "toil" }, names(client))
  end)

  it("that never ends loading holds nobody up for long", function()
    local client, _, host, write = running 'lunette.tools.rename { work = "labour" }'
    write "\nwhile true do end"
    host.process:wait_stderr("ran for more than 1 s while the policy loads", 15000)
    assert.same({ "labour" }, names(client))
  end)

  it("changes nothing for what is in flight", function()
    local client, up, _, write = running [[lunette.on("tools/call", function(request, forward)
      local result = forward(request)
      result.policy = "old"
      return result end)]]
    assert.same({ "work" }, names(client))
    local held
    up:on("tools/call", function(req) held = req end)
    local call = client:start("tools/call", '{"name":"work"}')
    loop.wait(function() return held end, "the call")
    write [[lunette.tools.add { name = "mark", inputSchema = { type = "object" }, handler = function() return "new" end }]]
    client:expect "notifications/tools/list_changed"
    held:reply '{"content":[]}'
    assert.equal('"old"', json.at(call:wait(), "result", "policy"))
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"work"}'))
  end)

  it("tells nobody when nothing changed for them", function()
    local client, _, host, write = running "-- one"
    names(client)
    write "-- two"
    host.process:wait_stderr "reload"
    assert.is_nil(client:maybe("notifications/tools/list_changed", 200))
  end)

  it("starts new servers and ends removed ones", function()
    needs_reload()
    local a, b = server(), server()
    a.name, b.name = "a", "b"
    local path = lunette.policy(lunette.bare(a))
    local host = lunette.http { targets = { path } }
    local client = host.client()
    client:initialize()
    client:listen()
    client:result("tools/call", '{"name":"work"}')
    lunette.policy(lunette.bare(b), path)
    b:session(1)
    loop.wait(function() return a.sessions[1].gone end, "the removed server's end")
    client:result("tools/call", '{"name":"work"}')
    assert.equal(1, b:count "tools/call")
  end)

  it("loses no call, a hundred times over", function()
    local client, _, _, write = running "-- 0"
    for i = 1, 20 do
      write(("lunette.tools.transform('work', { description = '%d' })"):format(i))
      for _ = 1, 5 do client:result("tools/call", '{"name":"work"}') end
    end
  end)
end)

describe("Lunette", function()
  after_each(lunette.finish)

  it("says that its port is taken, and exits 1", function()
    local taken = http.listen(function() end)
    local result = lunette.cli { "run", lunette.policy "", "--http", "127.0.0.1:" .. taken.port }
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find(tostring(taken.port), 1, true))
    assert.equal("", result.stdout)
  end)

  it("is back at its descriptors and about its memory after many sessions", function()
    local up = upstream.new({ tools = tools }):http()
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    local host = lunette.http { policy = lunette.bare(up) }
    local function round(n)
      for _ = 1, n do
        local client = host.client()
        client:initialize()
        client:result("tools/call", '{"name":"work"}')
        client:close()
      end
    end
    round(20)
    loop.sleep(100)
    local descriptors, rss = process.descriptors(host.process.pid), process.rss(host.process.pid)
    round(150)
    loop.sleep(100)
    assert.is_true(process.descriptors(host.process.pid) <= descriptors + 8,
      ("%d descriptors, then %d"):format(descriptors, process.descriptors(host.process.pid)))
    if not lunette.sanitized then
      assert.is_true(process.rss(host.process.pid) < rss + 4096, ("%d kB, then %d"):format(rss, process.rss(host.process.pid)))
    end
  end)
end)
