-- Sessions of Streamable HTTP and restarts: a client goes on with its session id in the next process, without
-- initialize (the official SDKs never send it again). What comes back, what doesn't, and which ids are good for nothing.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"
local again = require "spec.support.restart"

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'

local who = again.who
local start = again.start
local restart = again.restart
local call = again.call
local send = again.send
local line = again.line
local ping = again.ping
local gone = again.gone
local assert_gone = again.assert_gone
local open = again.open

describe("a session", function()
  after_each(lunette.finish)

  for _, signal in ipairs { "sigterm", "sigkill" } do
    it("goes on after " .. signal .. ", with the same name, client, capabilities and version", function()
      local host = start(who)
      local client = open(host, { version = "2025-06-18", capabilities = '{"sampling":{},"roots":{"listChanged":true}}',
        info = '{"name":"caller","version":"1.0","title":"A caller"}' })
      local before = call(client, "who")
      assert.matches('^%["%x+","caller",{"roots":{"listChanged":true},"sampling":{}},"2025%-06%-18","http",1%]$', before)
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
