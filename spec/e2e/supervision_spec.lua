-- Servers that misbehave, each in one way: whoever called them hears what happened, and the log has the end
-- of what they said on stderr where they died of it; no other server and no other client notices anything; and the next
-- call finds them again.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'
local limit = 200000

-- Clients hear of a hanging server's time limit only when it ends before theirs at the start does.
local impatient = ("timeout = %.1f"):format(0.7 * loop.slow)
local patience = ("lunette.configure { start_timeout = %d }\n"):format(2 * loop.slow)

local function server(name, fields)
  fields = fields or {}
  fields.name, fields.tools = name, fields.tools or tools
  local up = upstream.new(fields)
  up:on("tools/call", function() return '{"content":[]}' end)
  return up
end

local function words(session) session:stderr "first words\nlast words\n" end

-- What the server does with a call, and what its caller then hears (nil: its result, all the same).
-- tail: stderr's end is with it in the log. again: the same process serves the next call.
local in_a_call = {
  { "exits", function(req) req.session:exit(7) end, "exited with status 7", tail = true },
  { "exits well", function(req) req.session:exit(0) end, "exited with status 0", tail = true },
  { "is killed", function(req) loop.after(50, function() loop.uv.kill(req.session.pid, "sigkill") end) end, "killed by signal 9", tail = true },
  { "closes its stdout but lives", function(req) req.session:close_stdout() end, "closed its stdout", tail = true },
  { "writes half a line and exits", function(req)
    req.session:raw('{"jsonrpc":"2.0","id":' .. req.id .. ',"result":{"cont')
    req.session:exit(3)
  end, "exited with status 3", tail = true },
  { "writes half a line and hangs", function(req) req.session:raw '{"jsonrpc":"2.0","id":' end, "no answer to the request in time",
    again = true, mend = "\n" },
  { "hangs", function() end, "no answer to the request in time", again = true },
  { "answers under another id", function(req)
    req.session:send '{"jsonrpc":"2.0","id":4711,"result":{"content":[]}}'
    req.session:send('{"jsonrpc":"2.0","id":"' .. req.id .. '","result":{"content":[]}}')
    req.session:send '{"jsonrpc":"2.0","id":null,"result":{"content":[]}}'
    req.session:send '{"jsonrpc":"2.0","result":{"content":[]}}'
  end, "no answer to the request in time", again = true },
  { "answers with no message", function(req) req:answer '{"jsonrpc":"2.0","id":%ID%,"result":{"content":[}}' end, "no message",
    again = true },
  { "answers under no integer", function(req) req.session:send('{"jsonrpc":"2.0","id":' .. req.id .. '.0,"result":{}}') end,
    "no message", again = true },
  { "answers without saying what", function(req) req:answer '{"jsonrpc":"2.0","id":%ID%}' end, "no message", again = true },
  { "answers with more than the limit", function(req) req:reply('{"content":["' .. ("x"):rep(limit) .. '"]}') end,
    ("more than %d bytes"):format(limit), again = true },
  { "begins an answer that never ends", function(req) req.session:raw('{"jsonrpc":"2.0","id":1,"result":"' .. ("x"):rep(limit)) end,
    ("more than %d bytes"):format(limit), again = true, mend = "\n" },
  { "answers twice", function(req)
    req:reply '{"content":[]}'
    req:reply '{"content":[],"second":true}'
  end, nil, again = true },
  { "writes rubbish first", function(req)
    req.session:raw(("rubbish \255\0 {\n"):rep(2000) .. "[\n{}\n[]\n1\nnull\n\"x\"\n\n\r\n" .. ("["):rep(5000) .. "\n")
    req:reply '{"content":[]}'
  end, nil, again = true },
  { "floods the log", function(req)
    for _ = 1, 200 do req.session:stderr(("flood "):rep(200) .. "\n") end
    req:reply '{"content":[]}'
  end, nil, again = true },
  { "floods its client", function(req)
    for i = 1, 2000 do req:notify("notifications/message", ('{"level":"info","data":%d}'):format(i)) end
    req:reply '{"content":[]}'
  end, nil, again = true },
  { "exits when it has answered", function(req)
    req:reply '{"content":[]}'
    req.session:exit(1)
  end },
}

describe("a server that, in a call,", function()
  local bad, good, host, caller, other

  setup(function()
    bad, good = server("bad", { args = { "--ignore-eof" } }), server "good"
    host = lunette.http { policy = ("lunette.configure { max_message_bytes = %d }\nlunette.upstream('bad', %s)\n"):format(limit,
      bad:lua(impatient)) .. lunette.bare(good) }
    caller, other = host.client(), host.client()
    for _, client in ipairs { caller, other } do client:initialize() end
    caller:listen()
    -- Whose process is whose.
    for _, client in ipairs { caller, other } do client:result("tools/call", '{"name":"bad_work"}') end
  end)
  teardown(lunette.finish)

  for _, case in ipairs(in_a_call) do
    it(case[1], function()
      local sessions, misbehaving = #bad.sessions, nil
      bad:on("tools/call", function(req)
        if req:at("arguments", "well") then return '{"content":[],"well":true}' end
        misbehaving = req.session
        words(req.session)
        case[2](req)
      end)
      local waiting = other:start("tools/call", '{"name":"good_work"}')
      local call = caller:start("tools/call", '{"name":"bad_work"}')
      assert.equal('{"content":[],"well":true}', other:result("tools/call", '{"name":"bad_work","arguments":{"well":1}}'))
      assert.equal('{"content":[]}', caller:result("tools/call", '{"name":"good_work"}'))
      waiting:wait()
      local raw = call:wait()
      if case[3] then
        local err = json.value(raw, "error") or error(raw)
        assert.equal(-32603, err.code)
        assert.truthy(err.message:find('Server "bad": ', 1, true), err.message)
        assert.truthy(err.message:find(case[3], 1, true), err.message)
        assert.falsy(case.hangs and err.message:find("refused", 1, true), err.message)
        assert.falsy(err.message:find("words", 1, true), err.message)
        if case.tail then host.process:wait_stderr(err.message:match '": (.*)$' .. "; the end of its stderr:\\nfirst words\\nlast words") end
      else
        assert.equal('{"content":[]}', json.at(raw, "result"), raw)
      end
      -- The next call is served: by the same process when it lives, else by another.
      if case.mend then misbehaving:raw(case.mend) end
      if case[1]:find "has answered" then
        -- Until Lunette has seen its end: what is sent to it in between is lost.
        loop.wait(function() return misbehaving.gone end, "its end")
        host.process:wait_stderr "exited with status 1"
      end
      assert.equal('{"content":[],"well":true}', caller:result("tools/call", '{"name":"bad_work","arguments":{"well":1}}'))
      assert.equal(case.again and sessions or sessions + 1, #bad.sessions)
      caller.inbox = {}
    end)
  end
end)

-- What the server does as soon as it runs (start), or with initialize or tools/list, and what the client of that one
-- server hears of it.
local function at_its_start(fn) return function(up) up.on_session = fn end end
local function with_method(method, fn)
  return function(up)
    up:on(method, function(req)
      words(req.session)
      fn(req)
    end)
  end
end

local at_first = {
  { "exits at once", at_its_start(function(session)
    words(session)
    session:exit(5)
  end), "exited with status 5", tail = true },
  { "exits when asked to initialize", with_method("initialize", function(req) req.session:exit(6) end), "exited with status 6", tail = true },
  { "closes its stdout", with_method("initialize", function(req) req.session:close_stdout() end), "closed its stdout", tail = true,
    args = { "--ignore-eof" } },
  { "never answers initialize", with_method("initialize", function() end), "no answer to initialize in time", hangs = true },
  { "answers initialize with rubbish", with_method("initialize", function(req) req:answer '{"id":%ID%,"result":' end), "no message" },
  { "refuses initialize", with_method("initialize", function(req) req:fail(-32000, 'no "way"') end), 'refused initialize: no "way"',
    others = "refused initialize (error -32000)" },
  { "answers with another version", with_method("initialize", function(req)
    req:reply '{"protocolVersion":"1999-12-31","capabilities":{},"serverInfo":{"name":"s","version":"1"}}'
  end), "protocol version" },
  { "answers with no version", with_method("initialize", function(req) req:reply "{}" end), "protocol version" },
}

local in_a_list = {
  { "exits", with_method("tools/list", function(req) req.session:exit(8) end), "exited with status 8", tail = true },
  { "exits with much to say", with_method("tools/list", function(req)
    req.session:stderr(("what is missing in its setup\n"):rep(20) .. "first words\nlast words\n")
    req.session:exit(8)
  end), "exited with status 8", tail = true },
  { "hangs", with_method("tools/list", function() end), "no answer to the request in time", hangs = true },
  { "answers no list", with_method("tools/list", function(req) req:reply '{"tools":{}}' end), "its list is unusable" },
  { "answers rubbish", with_method("tools/list", function(req) req:answer '{"jsonrpc":"2.0","id":%ID%,"result":' end), "no message" },
  { "refuses", with_method("tools/list", function(req) req:fail(-32000, "not \"now\"") end), 'not "now"' },
}

-- What happened, and to which server, said once.
local function assert_blames(message, what)
  local _, times = message:gsub('Server "bad": ', "")
  assert.equal(1, times, message)
  assert.truthy(message:find(what, 1, true), message)
end

local function status_of(host, path)
  local response = http.request { port = host.port, path = path }
  return response.status, response.body
end

describe("a server that, at its start,", function()
  after_each(lunette.finish)

  for _, case in ipairs(at_first) do
    it(case[1], function()
      local bad, good = server("bad", { args = case.args }), server "good"
      case[2](bad)
      -- Alone: its client's initialize fails with what happened.
      local alone = lunette.stdio { policy = patience .. ("lunette.upstream('bad', %s)"):format(bad:lua(case.hangs and impatient)) }
      local err = alone:failure("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
      assert.equal(-32603, err.code)
      assert_blames(err.message, case[3])
      assert.falsy(err.message:find("words", 1, true), err.message)
      if case.tail then
        alone.process:wait_stderr(err.message:match '": (.*)$' .. "; the end of its stderr:\\n")
        alone.process:wait_stderr "first words\\nlast words"
      end
      -- Beside another: the other is served, and /readyz says what is wrong with which.
      local host = lunette.http { policy = patience .. ("lunette.upstream('bad', %s)\n"):format(bad:lua(case.hangs and impatient)) .. lunette.bare(good) }
      assert.equal(200, (status_of(host, "/readyz")))
      local client = host.client()
      client:initialize()
      assert.same({ "good_work" }, json.names(json.at(client:result("tools/list", "{}"), "tools")))
      client:result("tools/call", '{"name":"good_work"}')
      local unknown = client:failure("tools/call", '{"name":"bad_work"}')
      assert.equal(-32602, unknown.code)
      assert.truthy(unknown.message:find('Unknown tool: bad_work; server "bad" is down: ', 1, true), unknown.message)
      assert.truthy(unknown.message:find(case.others or case[3], 1, true), unknown.message)
      local status, body = status_of(host, "/readyz")
      assert.equal(503, status)
      assert.equal("down", json.value(body, "servers", "bad", "state"))
      assert.truthy(json.value(body, "servers", "bad", "error"):find(case.others or case[3], 1, true), body)
      assert.equal("up", json.value(body, "servers", "good", "state"))
      assert.equal(200, (status_of(host, "/healthz")))
      -- It is mended: /readyz finds out though nobody calls it, and tells the clients.
      bad.on_session = nil
      bad.handlers.initialize, bad.handlers["tools/list"] = nil, nil
      client:listen()
      loop.wait(function()
        loop.sleep(20)
        return (status_of(host, "/readyz")) == 200
      end, "it to be ready", 10000)
      client:expect "notifications/tools/list_changed"
      assert.same({ "bad_work", "good_work" }, json.names(json.at(client:result("tools/list", "{}"), "tools")))
      client:result("tools/call", '{"name":"bad_work"}')
    end)
  end
end)

describe("a server that, in a list,", function()
  after_each(lunette.finish)

  for _, case in ipairs(in_a_list) do
    it(case[1], function()
      local bad, good = server "bad", server "good"
      case[2](bad)
      local alone = lunette.stdio { policy = patience .. ("lunette.upstream('bad', %s)"):format(bad:lua(case.hangs and impatient)) }
      alone:initialize()
      local err = alone:failure("tools/list", "{}")
      assert.equal(-32603, err.code)
      assert_blames(err.message, case[3])
      assert.falsy(err.message:find("words", 1, true), err.message)
      if case.tail then
        alone.process:wait_stderr(err.message:match '": (.*)$' .. "; the end of its stderr:\\n")
        alone.process:wait_stderr "first words\\nlast words"
      end
      local client = lunette.stdio { policy = patience .. ("lunette.upstream('bad', %s)\n"):format(bad:lua(case.hangs and impatient)) .. lunette.bare(good) }
      client:initialize()
      assert.same({ "good_work" }, json.names(json.at(client:result("tools/list", "{}"), "tools")))
      -- Nobody waits for that list again, nor is the server tried again, to call another.
      local began, tried = loop.uv.hrtime(), bad:count "tools/list"
      for _ = 1, 5 do client:result("tools/call", '{"name":"good_work"}') end
      assert.is_true((loop.uv.hrtime() - began) / 1e6 < 400 * loop.slow)
      assert.equal(tried, bad:count "tools/list")
      -- No empty list was kept for it: asked again it is listed.
      bad.handlers["tools/list"] = nil
      local shown = json.names(json.at(client:result("tools/list", "{}"), "tools"))
      assert.same({ "bad_work", "good_work" }, shown, client.process.err:all())
    end)
  end
end)

describe("the state of servers", function()
  after_each(lunette.finish)

  local function state(host, name)
    local status, body = status_of(host, "/readyz")
    return json.value(body, "servers", name, "state"), status, body
  end

  it("is told by /readyz as it is: not yet asked for, starting, up, stopped", function()
    local up, held = server("up"), nil
    up:on("initialize", function(req) held = req end)
    local host = lunette.http { policy = "lunette.configure { start_timeout = 0.1 }\n" .. lunette.bare(up) }
    local first, ready = state(host, "up")
    assert.same({ "unknown", 200 }, { first, ready })
    local client = host.client()
    client:start("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
    loop.wait(function() return state(host, "up") == "starting" end, "its start to be late")
    assert.equal(503, (select(2, state(host, "up"))))
    loop.wait(function() return held end, "initialize")
    up.handlers.initialize = nil
    held:reply '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}'
    loop.wait(function() return state(host, "up") == "up" end, "it to be up")
    assert.equal(200, (select(2, state(host, "up"))))
    loop.wait(function() return client.session end, "the client's session")
    client.version = "2025-11-25"
    assert.equal(200, client:close())
    local user = host.client()
    user:initialize()
    user:result("tools/call", '{"name":"work"}')
    -- One that worked is started again when it is needed: no reason to send nobody.
    for _, session in ipairs(up.sessions) do session:exit(3) end
    loop.wait(function() return state(host, "up") ~= "up" end, "its end to be known")
    local now, status, body = state(host, "up")
    assert.same({ "stopped", 200 }, { now, status })
    assert.truthy(json.value(body, "servers", "up", "error"):find("exited with status 3", 1, true))
    user:result("tools/call", '{"name":"work"}')
    assert.equal("up", (state(host, "up")))
  end)

  for _, mode in ipairs { "client", "shared", "request" } do
    it("is looked at by /readyz while it is down, at no one's cost, in mode " .. mode, function()
      local port, up = http.free_port(), server "up"
      local host = lunette.http { policy = ("lunette.upstream('up', { url = 'http://127.0.0.1:%d/mcp', session = '%s' })\n"):format(port, mode)
        .. lunette.bare(server "good") }
      local client = host.client()
      client:initialize()
      client:listen()
      local now, status, body = state(host, "up")
      assert.same({ "down", 503 }, { now, status })
      assert.truthy(json.value(body, "servers", "up", "error"):find(tostring(port), 1, true), body)
      up:http(port)
      loop.wait(function()
        loop.sleep(20)
        return select(2, state(host, "up")) == 200
      end, "it to be ready", 10000)
      client:expect "notifications/tools/list_changed"
      assert.equal(0, up:count "tools/list")
      if mode ~= "shared" then loop.wait(function() return up.sessions[1].deleted end, "the session to be ended") end
      client:result("tools/call", '{"name":"up_work"}')
      assert.equal(mode == "shared" and 1 or 2, up:count "initialize" - (mode == "request" and 1 or 0))
    end)
  end

  it("is not one client's doing while others work with it", function()
    local up = server "up"
    local host = lunette.http { policy = lunette.bare(up) }
    local clients = {}
    for i = 1, 3 do
      clients[i] = host.client()
      clients[i]:initialize()
      clients[i]:result("tools/call", '{"name":"work"}')
    end
    up:on("tools/call", function(req)
      if req:at("arguments", "die") then req.session:exit(1) else req:reply '{"content":[]}' end
    end)
    for _ = 1, 6 do
      assert.equal(-32603, clients[1]:failure("tools/call", '{"name":"work","arguments":{"die":1}}').code)
      assert.equal("up", (state(host, "up")))
      clients[2]:result("tools/call", '{"name":"work"}')
      local new = host.client()
      new:initialize()
      new:result("tools/call", '{"name":"work"}')
    end
    assert.equal(1, clients[3] and up.sessions[3]:count "tools/call")
  end)
end)

describe("a server that never reads", function()
  after_each(lunette.finish)

  it("is a matter of its own client's, bounded in memory, and told of", function()
    local bad, good = server("bad", { args = { "--ignore-eof" } }), server "good"
    local host = lunette.http { policy = patience .. ("lunette.upstream('bad', %s)\n"):format(bad:lua("timeout = " .. 3 * loop.slow)) .. lunette.bare(good) }
    local client, other = host.client(), host.client()
    client:initialize()
    other:initialize()
    client:result("tools/call", '{"name":"bad_work"}')
    local deaf = bad.sessions[1]
    deaf:stop_reading()
    deaf:stderr "deaf now\n"
    host.process:wait_stderr "deaf now"
    local before, body = process.rss(host.process.pid), ("x"):rep(3900000)
    local calls = {}
    for i = 1, 24 do calls[i] = client:start("tools/call", ('{"name":"bad_work","arguments":{"x":"%s"}}'):format(body)) end
    other:result("tools/call", '{"name":"bad_work"}')
    other:result("tools/call", '{"name":"good_work"}')
    client:result("tools/call", '{"name":"good_work"}')
    local slow, late = 0, 0
    for _, call in ipairs(calls) do
      local message = json.value(call:wait(20000), "error", "message")
      if message:find("reads too slowly", 1, true) then slow = slow + 1 end
      if message:find("in time", 1, true) then late = late + 1 end
    end
    assert.equal(24, slow + late)
    assert.is_true(slow > 0 and late > 0, ("%d slow, %d late"):format(slow, late))
    if not lunette.sanitized then assert.is_true(process.rss(host.process.pid) - before < 110 * 1024) end
  end)
end)

describe("a server that floods", function()
  after_each(lunette.finish)

  for name, flood in pairs {
    ["its stdout with lines that are no messages"] = "exec yes",
    ["its stderr"] = "exec yes >&2",
  } do
    it(name .. " takes neither the others' time nor the log", function()
      local good = server "good"
      local host = lunette.http { policy = ("lunette.upstream('bad', { command = 'sh', args = { '-c', '%s' } })\n"):format(flood)
        .. "lunette.configure { start_timeout = 0.2 }\n" .. lunette.bare(good) }
      local client = host.client()
      client:initialize()
      for _ = 1, 10 do client:result("tools/call", '{"name":"good_work"}') end
      loop.wait(function() return host.process.err:all():find "lines .*were left out" end, "the count", 30000)
      assert.is_true(#host.process.err:all() < 500000)
    end)
  end
end)

describe("lunette list", function()
  after_each(lunette.finish)

  local function listed(bad)
    local good = server "good"
    local result = lunette.cli { "list", lunette.policy(("lunette.upstream('bad', %s)\n"):format(bad:lua()) .. lunette.bare(good)) }
    assert.equal(1, result.code)
    assert.truthy(result.stdout:find("good_work", 1, true))
    return result.stderr
  end

  it("tries a dead server once, and tells of it once", function()
    local bad = server "bad"
    bad.on_session = function(session)
      words(session)
      session:exit(4)
    end
    local stderr = listed(bad)
    assert.equal(1, #bad.sessions)
    local _, times = stderr:gsub("exited with status 4", "")
    assert.equal(1, times, stderr)
  end)

  it("shows what a server said when it refused, not its escapes", function()
    local bad = server "bad"
    bad:on("initialize", function(req) req:answer [[{"jsonrpc":"2.0","id":%ID%,"error":{"code":-1,"message":"say \"please\" \u00e9\/\ud83c\udf19"}}]] end)
    assert.truthy(listed(bad):find('refused initialize: say "please" é/🌙\n', 1, true))
    assert.equal(1, bad:count "initialize")
  end)

  it("shows the end of what a server said when it died, however much it was", function()
    local bad = server "bad"
    bad.on_session = function(session)
      session:stderr(("é"):rep(400) .. "\n" .. ("one of many lines\n"):rep(500) .. ("word "):rep(190) .. "the very last words\n")
      session:exit(4)
    end
    assert.truthy(listed(bad):find("the end of its stderr:\none of many lines\n.*word the very last words\n"))
  end)
end)
