-- What a peer or a policy does at the worst moment, or without end, costs only itself: nothing is sent for
-- who has gone, nobody gets what is another's, nothing grows without bound. (Under a sanitizer these are
-- about memory, too.)
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local uv = loop.uv
local tools = '[{"name":"t","inputSchema":{"type":"object"}},{"name":"u","inputSchema":{"type":"object"}}]'

local function metric(host, name)
  local body = http.request { port = host.port, path = "/metrics", headers = { "Host: 127.0.0.1:" .. host.port } }.body
  return tonumber(body:match("\n" .. name .. " (%d+)"))
end

local function policy_of(up, extra, text)
  return ("lunette.upstream(%q, %s)\n%s"):format(up.name or "up", up:lua(extra), text or "")
end

describe("at the worst moment", function()
  after_each(lunette.finish)

  it("a request that was cancelled while lists were fetched is not begun", function()
    local up = upstream.new { tools = tools }
    local list
    up:on("tools/list", function(req) list = req end)
    up:on("tools/call", function() return '{"content":[]}' end)
    for _, hook in ipairs { "", "lunette.on('tools/call', function(r, forward) return forward(r) end)" } do
      list = nil
      local client = lunette.stdio { policy = policy_of(up, nil, "lunette.tools.hide 'u'\n" .. hook) }
      client:initialize()
      local call = client:start("tools/call", '{"name":"t"}')
      loop.wait(function() return list end, "the list")
      client:notify("notifications/cancelled", ('{"requestId":%s}'):format(call.id))
      client:result "ping"
      list:reply(('{"tools":%s}'):format(tools))
      client:result "ping"
      assert.is_nil(call:done(100))
      assert.equal(0, up:count "tools/call")
      client:close()
    end
  end)

  it("a session that ends while lists are fetched starts no server", function()
    local a, b = upstream.new { name = "a", tools = tools }, upstream.new { name = "b", tools = tools }
    local list
    b:on("tools/list", function(req) list = req end)
    local host = lunette.http { policy = policy_of(a, "session = 'shared'") .. policy_of(b, "session = 'request'") }
    local client = host.client()
    client:initialize()
    client:start("tools/call", '{"name":"b_t"}')
    loop.wait(function() return list end, "the list")
    local started = #b.sessions
    assert.equal(200, client:close())
    list:reply(('{"tools":%s}'):format(tools))
    local other = host.client()
    other:initialize()
    other:result("ping")
    loop.sleep(200)
    assert.is_true(#b.sessions <= started + 1)
    assert.equal(0, b:count "tools/call")
    assert.equal(0, metric(host, "lunette_requests_in_flight"))
  end)

  it("a server that forgets its session between the pages of a list is asked anew", function()
    local up = upstream.new { capabilities = '{"tools":{}}' }
    up:on("tools/list", function(req)
      local cursor = req:value "cursor"
      if not cursor then return '{"tools":[{"name":"one","inputSchema":{}}],"nextCursor":"2"}' end
      return '{"tools":[{"name":"two","inputSchema":{}}]}'
    end)
    up:http()
    local client = lunette.stdio { policy = policy_of(up) }
    client:initialize()
    client:result "ping"
    up:forget()
    local list = client:result "tools/list"
    assert.same({ "one", "two" }, { json.value(list, "tools", 1, "name"), json.value(list, "tools", 2, "name") })
  end)

  it("a handler of a server's request may clear that very server", function()
    local up = upstream.new { tools = tools }
    up:on("tools/call", function(req) req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}') end)
    local client = lunette.stdio { policy = ("local up = lunette.upstream('up', %s)\n"):format(up:lua()) .. [[
      lunette.on("sampling/createMessage", function(request, forward) up:clear() return forward(request) end)]] }
    client:initialize { capabilities = '{"sampling":{}}' }
    assert.truthy(client:failure("tools/call", '{"name":"t"}').message:find("cleared", 1, true))
    up:on("tools/call", function() return '{"content":[]}' end)
    client:result("tools/call", '{"name":"t"}')
  end)

  it("a handler may clear its own server before it forwards, and while others wait for it", function()
    local up = upstream.new { tools = tools }
    local held
    up:on("tools/call", function(req)
      if req:value "name" == "u" then
        held = req
      else
        return '{"content":[]}'
      end
    end)
    local client = lunette.stdio { policy = ("local up = lunette.upstream('up', %s)\n"):format(up:lua()) .. [[
      lunette.on("tools/call", "t", function(request, forward) up:clear() return forward(request) end)]] }
    client:initialize()
    local other = client:start("tools/call", '{"name":"u"}')
    loop.wait(function() return held end, "the other call")
    client:result("tools/call", '{"name":"t"}')
    assert.truthy(other:wait():find("cleared", 1, true))
  end)

  it("a second try to initialize knows nothing of the first", function()
    local up = upstream.new { tools = tools }
    local tries = 0
    up:on("initialize", function(req)
      tries = tries + 1
      if tries == 1 then return req:fail(-32603, "not yet") and nil end
      req:reply '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}'
    end)
    local client = lunette.stdio { policy = policy_of(up, nil, [[
      lunette.on("tools/call", function(_, _, ctx) return tostring(ctx.session.client.name) end)]]) }
    local first = '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"first %s","version":"1"}}'
    client:failure("initialize", first:format(("x"):rep(5000)))
    client:result("initialize", '{"protocolVersion":"2025-11-25","capabilities":{}}')
    client:notify "notifications/initialized"
    local text = json.value(client:result("tools/call", '{"name":"who"}'), "content", 1, "text")
    assert.falsy(text:find "x")
  end)

  it("a session that ends while a handler has a notification of its calls leaves nothing behind", function()
    local up = upstream.new { tools = tools }
    up:on("tools/call", function(req)
      req:notify("notifications/message", '{"level":"info","data":"d"}')
      req:reply '{"content":[]}'
    end)
    local host = lunette.http { policy = policy_of(up, nil, [[
      lunette.on("notifications/message", function(n, forward) lunette.sleep(30) forward(n) end)]]) }
    for _ = 1, 5 do
      local client = host.client()
      client:initialize()
      client:start("tools/call", '{"name":"t"}')
      up:session(#up.sessions)
      loop.sleep(30)
      assert.equal(200, client:close())
    end
    assert.equal(0, metric(host, "lunette_requests_in_flight"))
    assert.equal(0, metric(host, "lunette_sessions"))
  end)

  it("what is cancelled on its way back leaves nothing behind", function()
    local a = upstream.new { name = "a", resources = '[{"uri":"x://1","name":"1"}]' }
    local b = upstream.new { name = "b", resources = '[{"uri":"x://1","name":"1"}]' }
    local seen = 0
    for _, up in ipairs { a, b } do
      up:on("resources/read", function() seen = seen + 1 end):on("logging/setLevel", function() seen = seen + 1 end)
    end
    local client = lunette.stdio { policy = lunette.bare(a, b) }
    client:initialize()
    local uri = json.at(client:result "resources/list", "resources", 2, "uri")
    for _, request in ipairs { { "resources/read", ('{"uri":%s}'):format(uri), 1 }, { "logging/setLevel", '{"level":"info"}', 2 } } do
      seen = 0
      local call = client:start(request[1], request[2])
      loop.wait(function() return seen == request[3] end, request[1])
      client:notify("notifications/cancelled", ('{"requestId":%s}'):format(call.id))
      assert.is_nil(call:done(50))
    end
    client:result "ping"
  end)

  it("a handler that forwards something else, then the request itself, gets both", function()
    local up = upstream.new { tools = tools }
    up:on("tools/call", function(req) return ('{"content":[],"_meta":{"got":%s}}'):format(req:at "name") end)
    local client = lunette.stdio { policy = policy_of(up, "prefix = 'p'", [[
      lunette.on("tools/call", "p_t", function(request, forward)
        local other = forward { method = request.method, params = { name = "p_u", arguments = {} } }
        local own = forward(request)
        own._meta.first = other._meta.got
        return own
      end)]]) }
    client:initialize()
    local result = client:result("tools/call", '{"name":"p_t"}')
    assert.same({ got = "t", first = "u" }, json.value(result, "_meta"))
  end)

  it("a call that is cancelled takes along what its handler has called", function()
    local up = upstream.new { tools = tools }
    local inner
    up:on("tools/call", function(req) inner = req end)
    local client = lunette.stdio { policy = policy_of(up, nil, [[
      lunette.on("tools/call", "t", function(request, forward, ctx) return ctx:call_tool("u", {}) end)]]) }
    client:initialize()
    local call = client:start("tools/call", '{"name":"t"}')
    loop.wait(function() return inner end, "the inner call")
    client:notify("notifications/cancelled", ('{"requestId":%s}'):format(call.id))
    local cancelled = up:wait "notifications/cancelled"
    assert.equal(inner.id, cancelled:at "requestId")
  end)

  it("progress of a call that has ended goes nowhere", function()
    local up = upstream.new { tools = tools }
    up:on("tools/call", function() return '{"content":[]}' end)
    local host = lunette.http { policy = policy_of(up, nil, [[
      local late
      lunette.on("tools/call", "t", function(request, forward, ctx) late = ctx return forward(request) end)
      lunette.on("tools/call", "u", function(request, forward) late:progress(1, 2, "late") return forward(request) end)]]) }
    local client = host.client()
    client:initialize()
    client:listen()
    client:result("tools/call", '{"name":"t","_meta":{"progressToken":"p"}}')
    client:request("tools/call", '{"name":"u"}')
    assert.is_nil(client:maybe("notifications/progress", 200))
  end)

  it("a client that stops reading ends by itself, with its servers", function()
    local up = upstream.new { tools = tools }
    up:on("tools/call", function(req)
      for i = 1, 200 do
        req:notify("notifications/message", ('{"level":"info","data":"%s","n":%d}'):format(("x"):rep(1000), i))
      end
      return '{"content":[]}'
    end)
    local policy = lunette.policy(policy_of(up, nil, "lunette.configure { drain_timeout = 0.5 }"))
    local stdin, stdout, stderr = uv.new_pipe(), uv.new_pipe(), uv.new_pipe()
    local code
    local handle, pid = uv.spawn(lunette.binary, { args = { "run", policy }, stdio = { stdin, stdout, stderr } },
      loop.guard(function(exit) code = exit end))
    loop.cleanup(function()
      if not code then handle:kill "sigkill" end
      for _, h in ipairs { handle, stdin, stdout, stderr } do loop.close(h) end
    end)
    local complaints = loop.collect(stderr)
    stdin:write('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
      .. '"clientInfo":{"name":"c","version":"1"}}}\n{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    for i = 2, 40 do stdin:write(('{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"t"}}\n'):format(i)) end
    up:wait "tools/call"
    loop.sleep(300)
    assert.is_true(process.rss(pid) < (lunette.sanitized and 400 or 100) * 1024)
    handle:kill "sigterm"
    loop.wait(function() return code end, "lunette to end", 10000)
    assert.equal(0, code, complaints:all())
  end)
end)

describe("without end", function()
  after_each(lunette.finish)

  it("a server's requests to a client that doesn't listen are answered, in bounds", function()
    local up = upstream.new { tools = tools }
    local answered, errors = 0, 0
    up:on("tools/call", function() return '{"content":[]}' end)
    local host = lunette.http { policy = policy_of(up, nil, "lunette.configure { max_in_flight = 50 }") }
    local client = host.client()
    client:initialize { capabilities = '{"roots":{}}' }
    client:result("tools/call", '{"name":"t"}')
    for _ = 1, 500 do
      up:session():ask("roots/list", nil, function(response)
        answered = answered + 1
        if response.error then errors = errors + 1 end
      end)
    end
    loop.wait(function() return answered >= 450 end, "most of the requests to be answered", 10000)
    assert.equal(answered, errors)
    assert.is_true(answered <= 500)
    -- Who comes to listen gets the rest.
    client:listen()
    for _ = 1, 500 - answered do client:answer(client:expect "roots/list", '{"roots":[]}') end
    loop.wait(function() return answered == 500 end, "all to be answered")
  end)

  it("changed lists are fetched once at a time", function()
    local up = upstream.new { tools = tools }
    local lists = {}
    up:on("tools/list", function(req) lists[#lists + 1] = req end)
    local client = lunette.stdio { policy = policy_of(up) }
    client:initialize()
    local first = client:start "tools/list"
    loop.wait(function() return lists[1] end, "the list")
    lists[1]:reply(('{"tools":%s}'):format(tools))
    first:wait()
    for _ = 1, 300 do up:session():notify "notifications/tools/list_changed" end
    loop.wait(function() return lists[2] end, "the list again")
    client:result "ping"
    loop.sleep(100)
    assert.equal(2, #lists)
    lists[2]:reply(('{"tools":%s}'):format(tools))
    loop.wait(function() return lists[3] end, "the list once more")
    lists[3]:reply '{"tools":[]}'
    client:expect "notifications/tools/list_changed"
    client:result "ping"
    loop.sleep(100)
    assert.equal(3, #lists)
    up:on("tools/list", function() return '{"tools":[]}' end)
    up:session():notify "notifications/tools/list_changed"
    loop.wait(function() return up:count "tools/list" == 4 end, "a later change to count")
    assert.equal("[]", json.at(client:result "tools/list", "tools"))
  end)

  it("a handler that calls what it handles is told so", function()
    local up = upstream.new { tools = tools }
    local client = lunette.stdio { policy = policy_of(up, nil, [[
      lunette.on("tools/call", function(request, forward, ctx) return ctx:call_tool(request.params.name, {}) end)]]) }
    client:initialize()
    local raw = client:request("tools/call", '{"name":"t"}')
    assert.truthy(raw:find "error" or raw:find "isError")
    assert.equal(0, up:count "tools/call")
    client:result "ping"
  end)

  it("notifications in a handler's hands are bounded", function()
    local up = upstream.new { tools = tools }
    local client = lunette.stdio { policy = policy_of(up, nil, [[
      lunette.configure { max_in_flight = 20 }
      lunette.on("notifications/x", function() lunette.sleep(60) end)]]) }
    client:initialize()
    for i = 1, 2000 do client:notify("notifications/x", ('{"n":%d}'):format(i)) end
    client:result "ping"
    assert.truthy(client.process.err:all():find("too many notifications at once", 1, true))
  end)

  it("clients that think up capabilities take no memory for ever", function()
    if lunette.sanitized then return pending "a sanitizer keeps what is freed" end
    local up = upstream.new { tools = tools }
    up:on("tools/call", function() return '{"content":[]}' end)
    up:http()
    local host = lunette.http { policy = policy_of(up, nil, "lunette.configure { max_initialize_bytes = 200000 }") }
    local function round(n)
      for i = 1, n do
        local client = host.client()
        client:initialize { capabilities = ('{"experimental":{"%d-%d":{"x":"%s"}}}'):format(n, i, ("x"):rep(100000)) }
        client:result "tools/list"
        client:close()
      end
    end
    round(120)
    local before = process.rss(host.process.pid)
    round(240)
    assert.is_true(process.rss(host.process.pid) - before < 16 * 1024, "it grew by "
      .. process.rss(host.process.pid) - before .. " KiB")
  end)
end)

describe("what is another's", function()
  after_each(lunette.finish)

  it("is not told to who shares the server: requests", function()
    local up = upstream.new { tools = tools }
    local calls = {}
    up:on("tools/call", function(req) calls[#calls + 1] = req end)
    local host = lunette.http { policy = policy_of(up, "session = 'shared'") }
    local a, b = host.client(), host.client()
    for _, client in ipairs { a, b } do
      client:initialize { capabilities = '{"elicitation":{},"sampling":{}}' }
      client:listen()
    end
    local first = a:start("tools/call", '{"name":"t"}')
    loop.wait(function() return calls[1] end, "the first call")
    local second = b:start("tools/call", '{"name":"u"}')
    loop.wait(function() return calls[2] end, "the second call")
    for _ = 1, 2 do
      local refused
      calls[1]:ask("elicitation/create", '{"message":"for a","requestedSchema":{}}', function(response) refused = response end)
      loop.wait(function() return refused end, "the answer")
      assert.equal(-32601, json.value(refused.error, "code"))
      calls[1]:notify("notifications/message", '{"level":"info","data":"for a"}')
      assert.is_nil(b:maybe("elicitation/create", 50))
      if #calls == 2 then
        assert.is_nil(b:maybe("notifications/message", 50))
        calls[1]:reply '{"content":[]}'
        first:wait()
      end
      calls[3] = false
    end
    calls[2]:reply '{"content":[]}'
    second:wait()
  end)

  it("is told when its server is told by stream whose it is", function()
    local up = upstream.new { tools = tools }
    local calls = {}
    up:on("tools/call", function(req) calls[#calls + 1] = req end)
    up:http()
    local host = lunette.http { policy = policy_of(up, "session = 'shared'") }
    local a, b = host.client(), host.client()
    for _, client in ipairs { a, b } do client:initialize { capabilities = '{"elicitation":{}}' } end
    local first = a:start("tools/call", '{"name":"t"}')
    loop.wait(function() return calls[1] end, "the first call")
    local second = b:start("tools/call", '{"name":"u"}')
    loop.wait(function() return calls[2] end, "the second call")
    local answer
    calls[1]:ask("elicitation/create", '{"message":"for a","requestedSchema":{}}', function(response) answer = response end)
    a:answer(a:expect "elicitation/create", '{"action":"decline"}')
    loop.wait(function() return answer end, "the answer")
    assert.equal('{"action":"decline"}', answer.result)
    assert.is_nil(b:maybe("elicitation/create", 50))
    calls[1]:reply '{"content":[]}'
    calls[2]:reply '{"content":[]}'
    first:wait()
    second:wait()
  end)

  it("is answered for who has gone", function()
    local up = upstream.new { tools = tools }
    local call
    up:on("tools/call", function(req) call = req end)
    up:http()
    local host = lunette.http { policy = policy_of(up, "session = 'shared'") }
    local a = host.client()
    a:initialize { capabilities = '{"elicitation":{}}' }
    a:start("tools/call", '{"name":"t"}')
    loop.wait(function() return call end, "the call")
    local answer
    call:ask("elicitation/create", '{"message":"?","requestedSchema":{}}', function(response) answer = response end)
    a:expect "elicitation/create"
    assert.equal(200, a:close())
    loop.wait(function() return answer end, "an answer for the server")
    assert.truthy(answer.error)
  end)
end)
