-- Sessions of Streamable HTTP and restarts: a client goes on with its session id in the next process, without
-- initialize (the official SDKs never send it again). What comes back, what doesn't, and which ids are good for nothing.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local uv = loop.uv
local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'

-- Tells who it thinks is calling, and how often it was greeted.
local who = [[
lunette.on("initialize", function(request, forward, ctx)
  local result = forward(request)
  ctx.session.state.greeted = (ctx.session.state.greeted or 0) + 1
  return result end)
lunette.tools.add { name = "who", inputSchema = { type = "object" }, handler = function(args, ctx)
  local s = ctx.session
  return lunette.json.encode { s.id, s.client.name, s.capabilities, s.protocol_version, s.transport, s.state.greeted or 0 } end }
]]

local function start(policy, options)
  options = options or {}
  return lunette.http { policy = policy, port = options.port, env = options.env, flags = options.flags }
end

-- Ends it, by a signal that gives it time or by one that doesn't, and starts it anew on the same port.
local function restart(host, policy, signal, options)
  options = options or {}
  host.process.expect_failure = signal == "sigkill"
  host.process:kill(signal or "sigterm")
  host.process:wait_exit()
  return start(policy, { port = host.port, env = options.env, flags = options.flags })
end

local function call(client, name, arguments)
  local raw = client:result("tools/call", ('{"name":%q,"arguments":%s}'):format(name, arguments or "{}"))
  return json.value(raw, "content", 1, "text")
end

-- The answer to a request on a connection of its own, with these header lines more (nil: none) and another id.
local function send(client, method, body, id, more)
  local session, version = client.session, client.version
  client.session = id or session
  local headers = client:headers(method)
  client.session, client.version = session, version
  for _, line in ipairs(more or {}) do headers[#headers + 1] = line end
  return http.request { port = client.port, method = method, path = "/mcp", headers = headers, body = body }
end

local function line(id, method, params)
  return ('{"jsonrpc":"2.0",%s"method":"%s"%s}'):format(id and ('"id":%s,'):format(id) or "", method, params and ',"params":' .. params or "")
end

local ping = line(1, "ping")
local gone = '{"jsonrpc":"2.0","error":{"code":-32600,"message":"There is no such session"}}'

local function assert_gone(client, id)
  for _, method in ipairs { "POST", "GET", "DELETE" } do
    local answer = send(client, method, method == "POST" and ping or nil, id)
    assert.equal(404, answer.status)
    assert.equal(gone, answer.body)
  end
  assert.equal(404, send(client, "POST", line(nil, "notifications/initialized"), id).status)
  assert.equal(404, send(client, "POST", '{"jsonrpc":"2.0","id":5,"result":{}}', id).status)
end

-- A client with its session.
local function open(host, options)
  local client = host.client()
  client:initialize(options)
  return client
end

describe("a session", function()
  after_each(lunette.finish)

  for _, signal in ipairs { "sigterm", "sigkill" } do
    it("goes on after " .. signal .. ", with the same name, client, capabilities and version", function()
      local host = start(who)
      local client = open(host, { version = "2025-06-18", capabilities = '{"sampling":{},"roots":{"listChanged":true}}',
        info = '{"name":"caller","version":"1.0","title":"A caller"}' })
      local before = call(client, "who")
      assert.equal(('["%s","caller",{"roots":{"listChanged":true},"sampling":{}},"2025-06-18","http",1]'):format(client.session:sub(1, 16)), before)
      for _ = 1, 3 do
        host = restart(host, who, signal)
        assert.equal(before, call(client, "who"))
        assert.equal(before, call(client, "who"))
      end
      assert.equal(200, client:close())
      assert_gone(client)
    end)
  end

  it("that goes on leaves the count of requests under way at what it is", function()
    local host = start(who)
    local client = open(host)
    host = restart(host, who)
    call(client, "who")
    local metrics = http.request({ port = host.port, path = "/metrics" }).body
    assert.equal("0", metrics:match "\nlunette_requests_in_flight (%d+)")
  end)

  it("goes on whatever the client sends first, in the order it came", function()
    local up = upstream.new { tools = tools }
    up:on("tools/call", function() return '{"content":[{"type":"text","text":"done"}]}' end)
    up:http()
    local policy = lunette.bare(up)
    local host = start(policy)
    local firsts = {
      { "POST", ping, 200 },
      { "POST", line(nil, "notifications/initialized"), 202 },
      { "POST", line(nil, "notifications/cancelled", '{"requestId":7}'), 202 },
      { "POST", line(nil, "notifications/roots/list_changed"), 202 },
      { "POST", '{"jsonrpc":"2.0","id":5,"result":{}}', 202 },
      { "POST", '{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"no"}}', 202 },
      { "POST", "[" .. ping .. "," .. line(nil, "notifications/initialized") .. "]", 200, version = "2025-03-26" },
      { "POST", line(9, "tools/list", "{}"), 200 },
      { "POST", line(0, "initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}'), 400 },
      { "POST", "{", 400 },
      { "DELETE", nil, 200, over = true },
    }
    local clients = {}
    for i, first in ipairs(firsts) do clients[i] = open(host, { version = first.version }) end
    host = restart(host, policy, "sigkill")
    for i, first in ipairs(firsts) do
      local answer = send(clients[i], first[1], first[2])
      assert.equal(first[3], answer.status, first[2])
      if first.over then
        assert_gone(clients[i])
      else
        assert.equal("done", call(clients[i], "work"))
      end
    end
    assert.equal(200, open(host):close())
  end)

  it("is not asked for twice: who comes meanwhile waits, and each gets its answer", function()
    local policy = [[
      local shared = lunette.shared
      lunette.on("initialize", function(request, forward, ctx)
        local n = shared.incr "hellos"
        if n > 0 and lunette.env("WAITS", "") ~= "" then lunette.sleep(0.4) end
        ctx.session.state.ready = true
        return forward(request) end)
      lunette.on("notifications/initialized", function(n, forward, ctx) shared.incr "initialized" return forward(n) end)
      lunette.tools.add { name = "say", inputSchema = { type = "object" }, handler = function(args, ctx)
        return args.n .. " " .. tostring(ctx.session.state.ready) .. " " .. shared.get "hellos" .. " " .. shared.get "initialized" end }
    ]]
    local host = start(policy)
    local client = open(host)
    host = restart(host, policy, "sigkill", { env = { WAITS = "1" } })
    local calls = {}
    for i = 1, 20 do calls[i] = client:start("tools/call", ('{"name":"say","arguments":{"n":%d}}'):format(i)) end
    -- One that gives up, and one that listens.
    local impatient = http.connect(host.port)
    impatient:send(http.format { method = "POST", path = "/mcp", headers = client:headers "POST", body = line(99, "tools/call", '{"name":"say"}') })
    loop.sleep(20)
    impatient:reset()
    assert.equal(200, client:listen().status)
    for i = 1, 20 do
      assert.equal(i .. " true 1 1", json.value(calls[i]:wait(), "result", "content", 1, "text"))
    end
    assert.equal("21 true 1 1", call(client, "say", '{"n":21}'))
  end)

  it("lets a drain finish what waits for it", function()
    local policy = [[lunette.on("initialize", function(request, forward)
        if lunette.env("WAITS", "") ~= "" then lunette.log.warn "greeted" lunette.sleep(0.3) end
        return forward(request) end)
      lunette.tools.add { name = "say", inputSchema = { type = "object" }, handler = function() return "said" end }]]
    local host = start(policy)
    local client = open(host)
    host = restart(host, policy, "sigkill", { env = { WAITS = "1" } })
    local said = client:start("tools/call", '{"name":"say"}')
    host.process:wait_stderr "greeted"
    host.process:kill "sigterm"
    assert.equal("said", json.value(said:wait(), "result", "content", 1, "text"))
    assert.equal(0, (host.process:wait_exit()))
  end)

  it("that waits ends with the process", function()
    local policy = [[lunette.configure { drain_timeout = 0.05 }
      lunette.on("initialize", function(request, forward)
        if lunette.env("WAITS", "") ~= "" then lunette.log.warn "greeted" lunette.sleep(30) end
        return forward(request) end)]]
    local host = start(policy)
    local client = open(host)
    host = restart(host, policy, "sigkill", { env = { WAITS = "1" } })
    local pinged = client:start "ping"
    host.process:wait_stderr "greeted"
    host.process:kill "sigterm"
    assert.equal(0, (host.process:wait_exit()))
    loop.wait(function() return pinged.refused end, "an end of the request")
    start(policy, { port = host.port })
    client.idle = {}
    assert.truthy(client:request("ping"):find('"result":{}', 1, true))
  end)

  it("takes too long to come back, is said so, and may be asked for again", function()
    local policy = [[lunette.configure { request_timeout = 0.2 }
      local n = 0
      lunette.on("initialize", function(request, forward)
        n = n + 1
        if n == 1 and lunette.env("WAITS", "") ~= "" then lunette.sleep(30) end
        return forward(request) end)]]
    local host = start(policy)
    local client = open(host)
    restart(host, policy, "sigkill", { env = { WAITS = "1" } })
    local answer = send(client, "POST", ping)
    assert.equal(503, answer.status)
    assert.equal("10", answer.headers["retry-after"])
    assert.equal(200, send(client, "POST", ping).status)
  end)

  it("is the policy's to refuse, for as long as it does", function()
    local policy = who .. [[
      lunette.on("initialize", function(request, forward)
        if lunette.shared.get "open" or lunette.env("CLOSED", "") == "" then return forward(request) end
        if request.params.clientInfo.name == "early" then lunette.error(-32000, "not you") end
        forward(request)
        return lunette.deny "not you either" end)
      lunette.tools.add { name = "open", inputSchema = { type = "object" }, handler = function() lunette.shared.set("open", true) return "" end }]]
    local host = start(policy)
    local early, late = open(host, { info = '{"name":"early","version":"1"}' }), open(host, { info = '{"name":"late","version":"1"}' })
    local other = open(host)
    host = restart(host, policy, "sigkill", { env = { CLOSED = "1" } })
    for _, client in ipairs { early, late, other } do
      for _ = 1, 2 do
        local answer = send(client, "POST", ping)
        assert.equal(404, answer.status)
        assert.equal(gone, answer.body)
      end
    end
    host.process:wait_stderr "a session of another process can't go on: not you"
    restart(host, policy, "sigkill")
    call(other, "open")
    for _, client in ipairs { early, late } do assert.equal(1, json.value(call(client, "who"), 6)) end
  end)

  it("goes on while its server is down, and reaches it when it is back", function()
    local up = upstream.new { tools = tools }
    up:on("tools/call", function() return '{"content":[{"type":"text","text":"done"}]}' end)
    up:http()
    local policy = lunette.bare(up)
    local host = start(policy)
    local client = open(host)
    assert.equal("done", call(client, "work"))
    local port = up.server.port
    up.server:close()
    restart(host, policy, "sigkill")
    assert.equal(-32603, client:failure("tools/call", '{"name":"work"}').code)
    up:forget()
    up:http(port)
    assert.equal("done", call(client, "work"))
  end)

  for _, mode in ipairs { "client", "shared", "request" } do
    it("opens sessions with servers when it needs them, session = " .. mode, function()
      local ups = {}
      for i, name in ipairs { "one", "two" } do
        ups[i] = upstream.new { tools = tools, name = name }
        ups[i]:on("tools/call", function(req)
          req:progress '"progress":1'
          req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(answer)
            req:reply(('{"content":[{"type":"text","text":"%s: %s"}]}'):format(name, json.value(answer.result, "model")))
          end)
        end)
      end
      ups[1]:http()
      local policy = ("lunette.upstream('one', %s)\nlunette.upstream('two', %s)\nlunette.sampling(function(r, forward) return forward(r) end)"):format(
        ups[1]:lua(("session = %q"):format(mode)), ups[2]:lua(("session = %q"):format(mode)))
      local host = start(policy)
      local client = open(host, { capabilities = '{"sampling":{}}' })
      local lists = client:result("tools/list", "{}")
      restart(host, policy, "sigkill")
      for _, up in ipairs(ups) do up:forget() end
      for round = 1, 2 do
        for _, name in ipairs { "one", "two" } do
          local started = client:start("tools/call", ('{"name":"%s_work","_meta":{"progressToken":%d}}'):format(name, round))
          assert.equal(round, json.value(client:expect("notifications/progress").params, "progressToken"))
          local question = client:expect "sampling/createMessage"
          client:answer(question, ('{"role":"assistant","model":"%s %d","content":{"type":"text","text":""}}'):format(name, round))
          assert.equal(("%s: %s %d"):format(name, name, round), json.value(started:wait(), "result", "content", 1, "text"))
        end
      end
      assert.equal(lists, client:result("tools/list", "{}"))
    end)
  end

  it("counts among max_sessions", function()
    local policy = "lunette.configure { max_sessions = 2 }\n" .. who
    local host = start(policy)
    local a, b = open(host), open(host)
    host = restart(host, policy, "sigkill")
    local new = open(host)
    assert.equal(1, json.value(call(a, "who"), 6))
    local answer = send(b, "POST", ping)
    assert.equal(503, answer.status)
    assert.equal("10", answer.headers["retry-after"])
    assert.equal(200, new:close())
    assert.equal(1, json.value(call(b, "who"), 6))
  end)

  it("ends for good: by DELETE, by its time, and by DELETE before it came back", function()
    local policy = "lunette.configure { session_timeout = 0.3 }\n" .. who
    local host = start(policy)
    local same = open(host)
    assert.equal(200, same:close())
    assert_gone(same)
    local late = open(host)
    loop.wait(function()
      loop.sleep(50)
      return http.request({ port = host.port, path = "/metrics" }).body:find "\nlunette_sessions 0\n"
    end, "it to be idle for too long", 15000)
    assert_gone(late)
    local deleted, idle, never = open(host), open(host), open(host)
    host = restart(host, policy, "sigkill")
    assert.equal(200, send(never, "DELETE").status)
    assert_gone(never)
    assert.equal(1, json.value(call(deleted, "who"), 6))
    assert.equal(200, deleted:close())
    assert_gone(deleted)
    assert.equal(1, json.value(call(idle, "who"), 6))
    loop.wait(function()
      loop.sleep(50)
      return http.request({ port = host.port, path = "/metrics" }).body:find "\nlunette_sessions 0\n"
    end, "it to be idle for too long", 15000)
    assert_gone(idle)
  end)

  it("can't be had by an id that says nothing", function()
    local host = start(who)
    local client = open(host)
    local id = client.session
    assert.truthy(id:match "^[\33-\126]+$")
    host = restart(host, who, "sigkill")
    for _, other in ipairs { "", "a", ("a"):rep(32), id .. "A", id:sub(1, -2), id:sub(2), id .. "=", ("A"):rep(#id), ("A"):rep(5000) } do
      if other ~= "" then assert_gone(client, other) end
    end
    for at = 1, #id, 7 do
      local other = id:sub(1, at - 1) .. (id:sub(at, at) == "B" and "C" or "B") .. id:sub(at + 1)
      assert.equal(gone, send(client, "POST", ping, other).body)
    end
    assert.equal(1, json.value(call(client, "who"), 6))
    -- Nor can HTTP+SSE have it.
    assert.equal(404, http.request({ port = host.port, method = "POST", path = "/messages?sessionId=" .. id,
      headers = { "Content-Type: application/json" }, body = ping }).status)
  end)

  it("does not come back for what is no message", function()
    local host = start(who)
    local client = open(host)
    host = restart(host, who, "sigterm")
    for _, body in ipairs { "{", "[", "[{]", "[1" } do assert.equal(400, send(client, "POST", body).status) end
    local metrics = http.request { port = host.port, path = "/metrics" }.body
    assert.truthy(metrics:find("\nlunette_sessions 0\n", 1, true), metrics)
    assert.equal(1, json.value(call(client, "who"), 6))
  end)

  it("of a client that says much of itself is remembered by what matters, and of one that says too much not at all", function()
    local host = start(who)
    local icon = ('{"src":"data:%s"}'):format(("x"):rep(4000))
    local talker = open(host, { info = ('{"name":"talker","version":"1","icons":[%s]}'):format(icon), capabilities = '{"sampling":{}}' })
    local flood = open(host, { capabilities = ('{"experimental":{"a":{"b":"%s"}}}'):format(("x"):rep(4000)) })
    local most = open(host, { capabilities = ('{"experimental":{"a":{"b":"%s"}}}'):format(("x"):rep(1900)) })
    assert.equal(1, json.value(call(flood, "who"), 6))
    assert.is_true(#most.session < 2816 and #flood.session == 32)
    restart(host, who, "sigkill")
    assert.truthy(call(talker, "who"):find('"talker",{"sampling":{}},"2025-11-25"', 1, true))
    assert.equal(("x"):rep(1900), json.value(call(most, "who"), 3, "experimental", "a", "b"))
    assert_gone(flood)
  end)
end)

describe("a stream", function()
  after_each(lunette.finish)

  local function get(client, last_id)
    local headers = client:headers "GET"
    if last_id then headers[#headers + 1] = "Last-Event-ID: " .. last_id end
    local conn = http.connect(client.port)
    conn:send(http.format { method = "GET", path = "/mcp", headers = headers })
    local head = conn:head()
    return head.status, head.status == 200 and conn:events(head) or nil
  end

  it("that listened begins anew, and tells the client to look at its lists", function()
    local policy = who .. 'lunette.prompts.add { name = "p", get = function() return "x" end }'
    local host = start(policy)
    local client = open(host)
    local _, first = get(client)
    local prime = first:event()
    assert.equal("", prime.data)
    for _, last_id in ipairs { false, prime.id } do
      host = restart(host, policy, "sigkill")
      local status, stream = get(client, last_id or nil)
      assert.equal(200, status)
      local heard = {}
      for i = 1, 3 do heard[i] = stream:event().data end
      table.sort(heard)
      assert.same({ "", '{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}',
        '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}' }, heard)
      assert.is_nil(stream:maybe(30))
      stream.conn:close()
    end
  end)

  it("of a request that was lost says so, and then is over", function()
    local up = upstream.new { tools = tools }
    local held
    up:on("tools/call", function(req) held = req end)
    up:http()
    local policy = lunette.bare(up)
    local host = start(policy)
    local client = open(host)
    -- Two events of a call with this id, which is then lost.
    local function lose(id)
      held = nil
      local conn = http.connect(host.port)
      conn:send(http.format { method = "POST", path = "/mcp", headers = client:headers "POST",
        body = line(id, "tools/call", '{"name":"work","_meta":{"progressToken":1}}') })
      loop.wait(function() return held end, "the call")
      held:progress '"progress":1'
      local stream = conn:events(conn:head())
      return { stream:event(), stream:event() }
    end
    local numbered, named = lose "70", lose '"a"'
    restart(host, policy, "sigkill")
    for _, event in ipairs(numbered) do
      local status, stream = get(client, event.id)
      assert.equal(200, status)
      local told = stream:event()
      assert.equal('{"jsonrpc":"2.0","id":70,"error":{"code":-32603,"message":'
        .. '"Lunette was restarted meanwhile; whether this was carried out is not known"}}', told.data)
      assert.is_nil(stream:event())
      assert.is_true(stream.complete())
      assert.equal(405, (get(client, told.id)))
    end
    for _, event in ipairs(named) do assert.equal(405, (get(client, event.id))) end
    assert.equal(400, (get(client, "nonsense")))
    up:on("tools/call", function() return '{"content":[{"type":"text","text":"done"}]}' end)
    assert.equal("done", call(client, "work"))
  end)
end)

describe("the end of a process", function()
  after_each(lunette.finish)

  it("leaves clients that listen their streams until all is answered", function()
    local up = upstream.new { tools = tools }
    local held
    up:on("tools/call", function(req) held = req end)
    local host = start(lunette.bare(up))
    local client, idle = open(host), open(host)
    assert.equal(200, client:listen().status)
    assert.equal(200, idle:listen().status)
    local called = client:start("tools/call", '{"name":"work"}')
    loop.wait(function() return held end, "the call")
    host.process:kill "sigterm"
    host.process:wait_stderr "finishing what is in flight"
    held.session:notify "notifications/tools/list_changed"
    assert.equal("get", client:expect("notifications/tools/list_changed").stream)
    assert.is_false(idle.get.bytes.ended)
    held:reply '{"content":[]}'
    assert.equal('{"content":[]}', json.at(called:wait(), "result"))
    assert.equal(0, (host.process:wait_exit()))
    for _, c in ipairs { client, idle } do
      loop.wait(function() return c.get.bytes.ended end, "the stream's end")
      assert.equal("0\r\n\r\n", c.get.bytes:all():sub(-5))
    end
  end)
end)

describe("many sessions", function()
  after_each(lunette.finish)

  it("come back at once, each to its own client, whom servers ask the right things", function()
    local n = lunette.sanitized and 60 or 200
    local policy = who .. [[
      lunette.tools.add { name = "ask", inputSchema = { type = "object" }, handler = function(args, ctx)
        return ctx:sample({ messages = {}, maxTokens = tonumber(args.n) }).content.text end }]]
    local host = start(policy)
    local clients = {}
    for i = 1, n do
      clients[i] = open(host, { info = ('{"name":"client%d","version":"%d"}'):format(i, i),
        capabilities = ('{"sampling":{},"experimental":{"n":{"is":%d}}}'):format(i), version = i % 3 == 0 and "2025-06-18" or nil })
      for _, conn in ipairs(clients[i].idle) do conn:close() end
      clients[i].idle = {}
    end
    host = restart(host, policy, "sigkill")
    local calls = {}
    for round = 1, 2 do
      for i = 1, n do
        calls[#calls + 1] = { i, clients[i]:start("tools/call", '{"name":"who"}') }
        if round == 1 then clients[i].asked = clients[i]:start("tools/call", ('{"name":"ask","arguments":{"n":%d}}'):format(i)) end
      end
    end
    for i = 1, n do
      local question = clients[i]:expect("sampling/createMessage", 20000)
      assert.equal(i, json.value(question.params, "maxTokens"))
      clients[i]:answer(question, ('{"role":"assistant","model":"m","content":{"type":"text","text":"from %d"}}'):format(i))
    end
    for i = 1, n do
      assert.equal("from " .. i, json.value(clients[i].asked:wait(20000), "result", "content", 1, "text"))
    end
    for _, made in ipairs(calls) do
      local i, started = unpack(made)
      local said = json.value(started:wait(20000), "result", "content", 1, "text")
      assert.equal(clients[i].session:sub(1, 16), json.value(said, 1))
      assert.equal("client" .. i, json.value(said, 2))
      assert.equal(i, json.value(said, 3, "experimental", "n", "is"))
      assert.equal(i % 3 == 0 and "2025-06-18" or "2025-11-25", json.value(said, 4))
      assert.equal(1, json.value(said, 6))
    end
    local metrics = http.request({ port = host.port, path = "/metrics" }).body
    assert.truthy(metrics:find("\nlunette_sessions " .. n .. "\n", 1, true))
    for i = 1, n do assert.equal(200, clients[i]:close()) end
  end)
end)

describe("the key", function()
  after_each(lunette.finish)

  local function stat(path)
    local s = uv.fs_stat(path)
    return s and ("%o %d"):format(s.mode % 512, s.size)
  end

  it("is made when HTTP is served, for nobody else to read, and only then", function()
    local key = process.state_home() .. "/lunette/session.key"
    local policy = lunette.policy(who)
    for _, args in ipairs { { "version" }, { "help" }, { "check", policy }, { "list", policy }, { "call", policy, "who" } } do
      assert.equal(0, lunette.cli(args).code)
    end
    local stdio = lunette.stdio { policy = who }
    stdio:initialize()
    stdio:close()
    assert.is_nil(uv.fs_stat(process.state_home()))
    local host = start(who)
    assert.equal("600 32", stat(key))
    assert.equal("700 4096", (stat(process.state_home() .. "/lunette"):gsub(" %d+", " 4096")))
    local made = loop.read_file(key)
    restart(host, who)
    assert.equal(made, loop.read_file(key))
  end)

  it("is what an id is good for: with another one it isn't", function()
    local host = start(who)
    local client = open(host)
    host = restart(host, who, "sigterm", { env = { XDG_STATE_HOME = loop.tempdir() } })
    assert_gone(client)
    host = restart(host, who)
    assert.equal(1, json.value(call(client, "who"), 6))
    os.remove(process.state_home() .. "/lunette/session.key")
    restart(host, who)
    assert_gone(client)
  end)

  it("lies where the policy says, and several that share it take each other's clients over", function()
    local path = loop.tempdir() .. "/shared.key"
    local policy = ("lunette.configure { session_key_file = %q }\n"):format(path) .. who
    local hosts = { start(policy), start(policy) }
    assert.equal("600 32", stat(path))
    assert.is_nil(uv.fs_stat(process.state_home()))
    local client = open(hosts[1])
    for i = 1, 6 do
      client.port, client.idle = hosts[i % 2 + 1].port, {}
      assert.equal(1, json.value(call(client, "who"), 6))
    end
    local elsewhere = loop.tempdir()
    loop.write_file(elsewhere .. "/mine.key", ("k"):rep(32))
    uv.fs_chmod(elsewhere .. "/mine.key", 384)
    start('lunette.configure { session_key_file = "~/mine.key" }', { env = { HOME = elsewhere } })
    assert.equal(("k"):rep(32), loop.read_file(elsewhere .. "/mine.key"))
    for text, why in pairs { ["1"] = "must be a string", ['""'] = "must be the name of a file", ['"a\\0b"'] = "must be the name of a file" } do
      local result = lunette.cli { "check", lunette.policy("lunette.configure { session_key_file = " .. text .. " }") }
      assert.equal(1, result.code)
      assert.truthy(result.stderr:find("policy%d+%.lua:1: ") and result.stderr:find("session_key_file " .. why, 1, true), result.stderr)
    end
  end)

  it("is one for two that start at the same time", function()
    local policy = lunette.policy(who)
    for _ = 1, 3 do
      os.remove(process.state_home() .. "/lunette/session.key")
      local ports = { http.free_port(), http.free_port() }
      for i, port in ipairs(ports) do
        ports[i] = { port = port, process = lunette.spawn { "run", policy, "--http", "127.0.0.1:" .. port } }
      end
      for _, host in ipairs(ports) do
        host.process:wait_stderr "listening"
        host.client = function() return require("spec.support.client").http(host.port) end
      end
      local client = open(ports[1])
      client.port, client.idle = ports[2].port, {}
      assert.equal(1, json.value(call(client, "who"), 6))
    end
  end)

  it("is in memory only, and the log says why, where a file can't be trusted or made", function()
    local key = process.state_home() .. "/lunette/session.key"
    local function log_of(options, policy)
      local host = start(policy or who, options)
      local client = open(host)
      assert.equal(1, json.value(call(client, "who"), 6))
      host.process:kill "sigterm"
      host.process:wait_exit()
      local log = host.process.err:all()
      local _, n = log:gsub("will not survive", "")
      return log:match "[^\n]*will not survive[^\n]*", n
    end
    assert.is_nil(log_of())
    for mode, name in pairs { [420] = "644", [416] = "640" } do
      uv.fs_chmod(key, mode)
      local said, n = log_of()
      assert.equal(1, n)
      assert.truthy(said:find("warn http: sessions will not survive a restart: " .. key .. " can be used by others (its mode is " .. name, 1, true), said)
    end
    uv.fs_chmod(key, 384)
    loop.write_file(key, "short")
    assert.truthy(log_of():find("warn http: .* must hold 32 random bytes, not 5"))
    assert.equal("short", loop.read_file(key))
    os.remove(key)
    uv.fs_mkdir(key, 448)
    assert.truthy(log_of():find "warn http: .* is not a regular file")
    assert.truthy(log_of({ env = { XDG_STATE_HOME = false, HOME = false } }):find "info http: .* neither XDG_STATE_HOME nor HOME says where")
    assert.truthy(log_of({ env = { XDG_STATE_HOME = "/proc/nowhere" } }):find "info http: .*/proc/nowhere/lunette/session.key can't be made")
    local given = "lunette.configure { session_key_file = '/proc/nowhere/key' }\n" .. who
    assert.truthy(log_of({}, given):find "warn http: .*/proc/nowhere/key can't be made")
  end)
end)

describe("the official client", function()
  after_each(lunette.finish)

  it("goes on after restarts in the middle of its work, and knows of nothing", function()
    local host = start(peers.survivable)
    peers.survive(host.url, function(signal)
      host.process:wait_stderr "at work"
      host = restart(host, peers.survivable, signal)
    end)
  end)
end)
