-- HTTP+SSE, the transport of 2024-11-05, on both sides: to clients at /sse and /messages, and to
-- servers that speak nothing newer.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'

-- --- a client -------------------------------------------------------------------------------------

local Client = {}
Client.__index = Client

-- Opens the stream and takes its first event. options: path, headers (lines).
local function open(port, options)
  options = options or {}
  local conn = http.connect(port)
  local headers = { "Accept: text/event-stream", unpack(options.headers or {}) }
  conn:send(http.format { port = port, path = options.path or "/sse", headers = headers })
  local head = conn:head()
  assert(head.status == 200, head.start)
  local self = setmetatable({ port = port, conn = conn, head = head, stream = conn:events(head), last = 0,
    headers = options.headers }, Client)
  self.endpoint = self.stream:event()
  return self
end

--- One POST of raw bytes to the endpoint; the whole response.
function Client:post(raw, headers, path)
  return http.request { port = self.port, method = "POST", path = path or self.endpoint.data, body = raw,
    headers = headers or { "Content-Type: application/json", unpack(self.headers or {}) } }
end

function Client:send(raw)
  local response = self:post(raw)
  assert(response.status == 202, response.start .. " for " .. raw .. ": " .. response.body)
  return self
end

function Client:notify(method, params)
  return self:send(('{"jsonrpc":"2.0","method":"%s"%s}'):format(method, params and ',"params":' .. params or ""))
end

function Client:start(method, params)
  self.last = self.last + 1
  self:send(('{"jsonrpc":"2.0","id":%d,"method":"%s"%s}'):format(self.last, method, params and ',"params":' .. params or ""))
  return self.last
end

--- The next message on the stream.
function Client:next(ms)
  local event = self.stream:event(ms)
  assert(event, "the stream ended")
  assert.equal("message", event.event)
  assert.is_nil(event.id)
  return event.data
end

--- The raw result.
function Client:result(method, params)
  local id = self:start(method, params)
  local raw = self:next(10000)
  assert.equal(tostring(id), json.at(raw, "id"), raw)
  return json.at(raw, "result") or error("an error response: " .. raw, 2)
end

function Client:initialize(options)
  options = options or {}
  self.initialized = self:result("initialize", ('{"protocolVersion":"%s","capabilities":%s,"clientInfo":{"name":"spec","version":"1"}}')
    :format(options.version or "2024-11-05", options.capabilities or "{}"))
  self:notify "notifications/initialized"
  return self
end

describe("HTTP+SSE for clients", function()
  local host, up

  setup(function()
    up = upstream.new { tools = tools }
    up:on("tools/call", function(req) up.call(req) end)
    host = lunette.http { policy = lunette.bare(up) }
  end)
  teardown(lunette.finish)
  before_each(function() up.call = function(req) req:reply '{"content":[]}' end end)

  local function sessions()
    return tonumber(http.request({ port = host.port, path = "/metrics" }).body:match "lunette_sessions (%d+)")
  end

  it("begins with where to POST, on the same origin", function()
    local c = open(host.port)
    assert.equal("text/event-stream", c.head.headers["content-type"]:match "^[^;]*")
    assert.truthy(c.head.headers["cache-control"]:find "no%-cache" or c.head.headers["cache-control"]:find "no%-store")
    assert.equal("endpoint", c.endpoint.event)
    assert.truthy(c.endpoint.data:match "^/messages%?sessionId=%x+$", c.endpoint.data)
    assert.not_equal(c.endpoint.data, open(host.port).endpoint.data)
  end)

  it("respects the prefix that a reverse proxy has mounted it at", function()
    assert.truthy(open(host.port, { headers = { "X-Forwarded-Prefix: /a/b-1/" } }).endpoint.data:match "^/a/b%-1/messages%?sessionId=")
    for _, bad in ipairs { "//evil.example", "http://evil.example", "/a b", "/a?b", "/", "/a\tb", "/" .. ("x"):rep(300) } do
      assert.truthy(open(host.port, { headers = { "X-Forwarded-Prefix: " .. bad } }).endpoint.data:match "^/messages%?", bad)
    end
  end)

  it("carries a whole session on one stream, POSTs get 202 and nothing else", function()
    local c = open(host.port)
    local response = c:post('{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2024-11-05",'
      .. '"capabilities":{},"clientInfo":{"name":"spec","version":"1"}}}')
    assert.equal(202, response.status)
    assert.equal("", response.body)
    local raw = c:next()
    assert.equal('"i"', json.at(raw, "id"))
    assert.equal('"2024-11-05"', json.at(raw, "result", "protocolVersion"))
    c:notify "notifications/initialized"
    assert.equal("{}", c:result "ping")
    assert.equal('"work"', json.at(c:result("tools/list", "{}"), "tools", 1, "name"))
    assert.equal('{"content":[]}', c:result("tools/call", '{"name":"work"}'))
  end)

  it("keeps the order of what a call causes, and relays questions", function()
    up.call = function(req)
      req:progress '"progress":1'
      req:ask("roots/list", nil, function(answer)
        req:notify("notifications/message", '{"level":"info","data":1.0}')
        req:reply('{"content":[],"answer":' .. answer.result .. "}")
      end)
    end
    local c = open(host.port):initialize { capabilities = '{"roots":{}}' }
    c:start("tools/call", '{"name":"work","_meta":{"progressToken":"t"}}')
    assert.equal('{"progressToken":"t","progress":1}', json.at(c:next(), "params"))
    local question = c:next()
    assert.equal('"roots/list"', json.at(question, "method"))
    c:send(('{"jsonrpc":"2.0","id":%s,"result":{"roots":[]}}'):format(json.at(question, "id")))
    assert.equal('{"level":"info","data":1.0}', json.at(c:next(), "params"))
    assert.equal('{"content":[],"answer":{"roots":[]}}', json.at(c:next(), "result"))
  end)

  it("gives each client its own: a call, its questions and its logs never reach another", function()
    local a, b = open(host.port):initialize(), open(host.port):initialize()
    up.call = function(req)
      req:notify("notifications/message", '{"level":"info","data":' .. req:at("arguments", "n") .. "}")
      req:reply '{"content":[]}'
    end
    a:start("tools/call", '{"name":"work","arguments":{"n":1}}')
    b:start("tools/call", '{"name":"work","arguments":{"n":2}}')
    assert.equal("1", json.at(a:next(), "params", "data"))
    assert.equal("2", json.at(b:next(), "params", "data"))
    a:next()
    b:next()
    assert.is_nil(a.stream:maybe(30))
    assert.is_nil(b.stream:maybe(1))
  end)

  it("knows no session but those that are open", function()
    local c = open(host.port):initialize()
    local body = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
    for _, path in ipairs { "/messages?sessionId=x", "/messages?sessionId=", c.endpoint.data .. "0", c.endpoint.data:sub(1, -2),
      "/messages?sessionId=" .. ("0"):rep(32) } do
      assert.equal(404, c:post(body, nil, path).status, path)
    end
    assert.equal(400, c:post(body, nil, "/messages").status)
    assert.equal(400, c:post(body, nil, "/messages?session=1").status)
    assert.equal(202, c:post(body, nil, (c.endpoint.data:gsub("%?", "?a=1&") .. "&b=2")).status)
    -- Nor one of the other transport, either way.
    local other = host.client()
    other:initialize()
    assert.equal(404, c:post(body, nil, "/messages?sessionId=" .. other.session).status)
    other.session = c.endpoint.data:match "=(.*)"
    assert.equal(404, other:post(body).status)
  end)

  it("answers a bad body with 400 and says so", function()
    local c = open(host.port):initialize()
    for body, code in pairs { ["{"] = -32700, [""] = -32700, ["1"] = -32600, ['{"jsonrpc":"2.0"}'] = -32600, ["[]"] = -32600,
      ['[{"jsonrpc":"2.0","id":1,"method":"ping"}]'] = -32600, ['{"jsonrpc":"2.0","id":null,"method":"ping"}'] = -32600 } do
      local response = c:post(body)
      assert.equal(400, response.status, body)
      assert.equal(code, json.value(response.body, "error", "code"), body)
    end
    assert.equal(415, c:post('{"jsonrpc":"2.0","id":1,"method":"ping"}', { "Content-Type: text/plain" }).status)
    assert.equal("{}", c:result "ping")
  end)

  it("takes a batch where the version has them", function()
    local c = open(host.port):initialize { version = "2025-03-26" }
    c:send '[{"jsonrpc":"2.0","id":8,"method":"ping"},{"jsonrpc":"2.0","id":9,"method":"ping"}]'
    assert.equal('[{"jsonrpc":"2.0","id":8,"result":{}},{"jsonrpc":"2.0","id":9,"result":{}}]', c:next())
  end)

  it("knows its methods and types", function()
    local function status(method, path, headers, body)
      return http.request({ port = host.port, method = method, path = path, headers = headers, body = body })
    end
    local init = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
    local post = status("POST", "/sse", { "Content-Type: application/json", "Accept: application/json, text/event-stream" }, init)
    assert.equal(405, post.status, "a client that tries the newer transport first goes on to GET after 404 or 405")
    assert.equal("GET", post.headers.allow)
    assert.equal(405, status("DELETE", "/sse", {}).status)
    assert.equal(405, status("GET", "/messages?sessionId=1", {}).status)
    assert.equal(406, status("GET", "/sse", { "Accept: application/json" }).status)
  end)

  it("32: holds what browsers send to the same rules", function()
    local function get(...)
      local conn = http.connect(host.port)
      conn:send(http.format { port = host.port, path = "/sse", headers = { "Accept: text/event-stream", ... } })
      local head = conn:head()
      conn:close()
      return head.status
    end
    assert.equal(403, get "Origin: https://evil.example")
    assert.equal(403, get "Host: evil.example")
    assert.equal(200, get "Origin: http://localhost:5173")
    local c = open(host.port)
    local body = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
    assert.equal(403, c:post(body, { "Content-Type: application/json", "Origin: https://evil.example" }).status)
    assert.equal(403, c:post(body, { "Content-Type: application/json", "Host: evil.example:80" }).status)
  end)

  it("ends the session with its stream, and what was under way", function()
    local before = sessions()
    local c = open(host.port):initialize()
    assert.equal(before + 1, sessions())
    local held
    up.call = function(req) held = req end
    c:start("tools/call", '{"name":"work"}')
    loop.wait(function() return held end, "the call")
    c.conn:close()
    loop.wait(function() return held.session.gone end, "the child's end")
    loop.wait(function() return sessions() == before end, "the session's end")
    assert.equal(404, c:post('{"jsonrpc":"2.0","id":1,"method":"ping"}').status)
  end)

  it("refuses a second initialize in a session", function()
    local c = open(host.port):initialize()
    c:start("initialize", '{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
    assert.equal(-32600, json.value(c:next(), "error", "code"))
    assert.equal("{}", c:result "ping")
  end)

  it("holds nobody up who doesn't read, and loses nothing when he does", function()
    local text = ("x"):rep(300000)
    up.call = function(req) req:reply('{"content":[{"type":"text","text":"' .. text .. '"}]}') end
    local slow, quick = open(host.port):initialize(), open(host.port):initialize()
    slow.conn.tcp:read_stop()
    for _ = 1, 40 do slow:start("tools/call", '{"name":"work"}') end
    assert.truthy(quick:result("tools/call", '{"name":"work"}'))
    local rss = process.rss(host.process.pid)
    assert.is_true(lunette.sanitized or rss < 60000, rss .. " kB")
    slow.conn.tcp:read_start(loop.guard(function(_, chunk)
      if chunk then slow.conn.bytes:add(chunk) end
      slow.conn.on_data()
    end))
    local first = slow.last - 39
    for id = first, slow.last do
      local raw = slow:next(10000)
      assert.equal(tostring(id), json.at(raw, "id"))
      assert.equal(text, json.value(raw, "result", "content", 1, "text"))
    end
  end)

  it("tells a policy so", function()
    local policed = lunette.http { policy = lunette.bare(up) .. [[
      lunette.tools.add { name = "way", inputSchema = { type = "object" }, handler = function(_, ctx)
        return ctx.session.transport .. " " .. ctx.headers["x-mine"] end }]] }
    local c = open(policed.port, { headers = { "X-Mine: yes" } }):initialize()
    assert.equal("sse yes", json.value(c:result("tools/call", '{"name":"way"}'), "content", 1, "text"))
  end)

  it("finishes what is under way when Lunette ends", function()
    local other = lunette.http { policy = lunette.bare(up) }
    local c = open(other.port):initialize()
    local held
    up.call = function(req) held = req end
    c:start("tools/call", '{"name":"work"}')
    loop.wait(function() return held end, "the call")
    other.process:kill "sigterm"
    loop.sleep(100)
    held:reply '{"content":[],"late":true}'
    assert.equal('{"content":[],"late":true}', json.at(c:next(), "result"))
    assert.equal(0, (other.process:wait_exit(6000)))
  end)

  it("is back at its descriptors after many sessions that just went away", function()
    local function round(n)
      for _ = 1, n do
        local c = open(host.port):initialize()
        c:result("tools/call", '{"name":"work"}')
        c.conn:close()
      end
    end
    local before = sessions()
    round(3)
    loop.wait(function() return sessions() == before end, "the sessions' ends")
    loop.sleep(50)
    local descriptors = process.descriptors(host.process.pid)
    round(12)
    loop.wait(function() return sessions() == before end, "the sessions' ends")
    loop.wait(function() return process.descriptors(host.process.pid) <= descriptors + 4 end, "their descriptors")
  end)
end)

-- --- servers ----------------------------------------------------------------------------------------

describe("a server that speaks HTTP+SSE", function()
  after_each(lunette.finish)
  local explicit = 'transport = "sse"'

  -- One such server and a client of Lunette's over HTTP (or options.stdio).
  local function between(options, extra, fields)
    options = options or {}
    options.tools = tools
    local up = upstream.new(options):sse()
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    local client, _, host = lunette.between({ fields and fields.client or "http", "http" }, up, { extra = extra,
      policy = fields and fields.policy })
    return client, up, host
  end

  local function starts(up)
    local list = {}
    for i, request in ipairs(up.requests) do list[i] = request.start:gsub(" HTTP/1.1", ""):gsub("=sse%-%d+%-%d+", "=N") end
    return list
  end

  it("is spoken to so when the policy says it", function()
    local client, up = between(nil, explicit .. ', headers = { ["X-Mine"] = "yes" }')
    client:initialize()
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"work","arguments":{"n": 1.0}}'))
    assert.equal('{"n": 1.0}', up:wait("tools/call"):at "arguments")
    assert.equal("GET /sse", starts(up)[1])
    assert.equal("POST /post?sid=N", starts(up)[2])
    for i, request in ipairs(up.requests) do
      assert.equal("yes", request.headers["x-mine"])
      assert.is_nil(request.headers["mcp-session-id"])
      if i > 1 then assert.equal("application/json", request.headers["content-type"]) end
    end
    assert.equal("text/event-stream", up.requests[1].headers.accept)
  end)

  for _, refusal in ipairs { "400 Bad Request", "404 Not Found", "405 Method Not Allowed" } do
    for _, body in ipairs { "", '{"jsonrpc":"2.0","error":{"code":-32000,"message":"no"},"id":null}' } do
      it(("is found out by its %s%s to initialize"):format(refusal, body ~= "" and " (with an error inside)" or ""), function()
        local client, up = between { refusal = refusal, refusal_body = body ~= "" and body or nil }
        client:initialize()
        assert.equal('{"content":[]}', client:result("tools/call", '{"name":"work"}'))
        local list = starts(up)
        assert.same({ "POST /sse", "GET /sse", "POST /post?sid=N" }, { list[1], list[2], list[3] })
        assert.equal(up.requests[1].body, up.requests[3].body, "the same initialize")
        assert.equal(1, up:count "initialize")
        assert.equal(1, #up.sessions)
      end)
    end
  end

  for _, status in ipairs { "401 Unauthorized", "403 Forbidden", "500 Internal Server Error", "406 Not Acceptable" } do
    it("is not looked for behind a " .. status, function()
      local client, up = between { refusal = status }
      local call = client:start("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
      local raw = call:wait()
      assert.truthy(json.value(raw, "error", "message"):find(status:match "%d+"), raw)
      assert.same({ "POST /sse" }, starts(up))
    end)
  end

  it("that is none after all: what it said first is told", function()
    for _, get in ipairs { "404 Not Found", "405 Method Not Allowed", "200 OK" } do
      local up = upstream.new { tools = tools }:http()
      up.on_request = function(request, conn)
        if request.method == "POST" then
          upstream.plain(conn, "400 Bad Request", '{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"first words"}}')
        else
          upstream.plain(conn, get)
        end
        return true
      end
      local client = lunette.between({ "http", "http" }, up)
      local raw = client:request("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
      assert.truthy(json.value(raw, "error", "message"):find("first words", 1, true), raw)
      assert.equal(2, #up.requests, "one POST, one GET")
    end
  end)

  it("that is none after all, without words", function()
    local up = upstream.new { tools = tools }:http()
    up.on_request = function(_, conn)
      upstream.plain(conn, "404 Not Found")
      return true
    end
    local client = lunette.between({ "http", "http" }, up)
    local raw = client:request("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
    assert.truthy(json.value(raw, "error", "message"):find("404", 1, true), raw)
  end)

  it("may name its endpoint in any form that stays on its origin", function()
    for _, form in ipairs { "/post?sid=%s", "post?sid=%s", "../post?sid=%s", "//127.0.0.1:PORT/post?sid=%s", "http://127.0.0.1:PORT/post?sid=%s" } do
      local up = upstream.new { tools = tools }:sse()
      up.options.endpoint = form:gsub("PORT", tostring(up.server.port))
      local client = lunette.between({ "http", "http" }, up, { extra = explicit })
      client:initialize()
      assert.equal("POST /post?sid=N", starts(up)[2], form)
    end
  end)

  it("may not send us elsewhere", function()
    local elsewhere = http.listen(function() error "was asked" end)
    for _, form in ipairs { elsewhere.url .. "/post", "https://127.0.0.1/post", "//evil.example/x", "http://user@127.0.0.1/", "file:///x", "\\x" } do
      local client, up = between({ endpoint = form }, explicit)
      local raw = client:request("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
      assert.truthy(json.value(raw, "error", "message"):find "endpoint", raw)
      assert.equal(0, up:count())
    end
  end)

  it("may not send us elsewhere where it was found out, either, and that is what is told", function()
    local client, up = between { endpoint = "//evil.example/x", refusal = "405 Method Not Allowed" }
    local raw = client:request("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}')
    assert.truthy(json.value(raw, "error", "message"):find("endpoint is on another origin", 1, true), raw)
    assert.equal(0, up:count())
  end)

  it("may be slow with its endpoint, and say other things before and after it", function()
    local client, up = between({ endpoint = "" }, explicit, { policy = "lunette.configure { start_timeout = 20 }" })
    up.on_session = function(session)
      upstream.chunk(session.get, ": hello\n\nevent: ping\ndata: 1\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/early\"}\n\n")
      local text = "event: endpoint\r\ndata: /post?sid=" .. session.id .. "\r\n\r"
      local function piece(i)
        if i > #text then
          upstream.chunk(session.get, "\nevent: endpoint\r\ndata: /other\r\n\r\n")
          return
        end
        upstream.chunk(session.get, text:sub(i, i))
        loop.after(i % 16 == 0 and 2 or 0, function() piece(i + 1) end)
      end
      loop.after(50, function() piece(1) end)
    end
    client:initialize()
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"work"}'))
    for i = 2, #up.requests do assert.equal("POST /post?sid=N", starts(up)[i]) end
  end)

  it("relays what it asks and says during a call, in order and to the client concerned", function()
    local client, up, host = between(nil, explicit)
    local other = host.client()
    client:initialize { capabilities = '{"roots":{}}' }
    other:initialize { capabilities = '{"roots":{}}' }
    up:on("tools/call", function(req)
      req:progress '"progress":1'
      req:ask("roots/list", nil, function(answer)
        req:notify("notifications/message", '{"level":"info","data":1.0}')
        req:reply('{"content":[],"answer":' .. answer.result .. "}")
      end)
    end)
    local call = client:start("tools/call", '{"name":"work","_meta":{"progressToken":"t"}}')
    assert.equal('{"progressToken":"t","progress":1}', client:expect("notifications/progress").params)
    local question = client:expect "roots/list"
    assert.equal(call.id, question.stream, "it belongs to the only call there is")
    client:answer(question, '{"roots":[]}')
    assert.equal('{"level":"info","data":1.0}', client:expect("notifications/message").params)
    assert.equal('{"content":[],"answer":{"roots":[]}}', json.at(call:wait(), "result"))
    assert.equal(0, #other.inbox)
  end)

  it("is told of a cancellation", function()
    local client, up = between(nil, explicit)
    client:initialize()
    up:on("tools/call", function() end)
    client:start("tools/call", '{"name":"work"}', "77")
    local asked = up:wait "tools/call"
    client:notify("notifications/cancelled", '{"requestId":77}')
    assert.equal(asked.id, up:wait("notifications/cancelled"):at "requestId")
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    asked:reply '{"content":[],"late":true}'
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"work"}'))
  end)

  it("whose stream is lost fails what is under way, says so, and is asked anew", function()
    local client, up = between(nil, explicit)
    client:initialize()
    up:on("tools/call", function(req) req.session.get:close() end)
    local err = client:failure("tools/call", '{"name":"work"}')
    assert.equal(-32603, err.code)
    assert.truthy(err.message:find("stream", 1, true) or err.message:find("connection", 1, true), err.message)
    up:on("tools/call", function(req) req:reply '{"content":[],"again":true}' end)
    assert.equal('{"content":[],"again":true}', client:result("tools/call", '{"name":"work"}'))
    assert.equal(2, #up.sessions)
  end)

  it("that refuses a message fails that one", function()
    local client, up = between(nil, explicit)
    client:initialize()
    up.on_request = function(request, conn)
      if not request.body:find("refuse me", 1, true) then return end
      upstream.plain(conn, "500 Internal Server Error", "out of luck")
      return true
    end
    local err = client:failure("tools/call", '{"name":"work","arguments":{"text":"refuse me"}}')
    assert.truthy(err.message:find("500", 1, true) and err.message:find("out of luck", 1, true), err.message)
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"work"}'))
    assert.equal(1, #up.sessions)
  end)

  it("that has forgotten the session gets a new one and the call once more", function()
    local client, up = between(nil, explicit)
    client:initialize()
    up:forget()
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"work"}'))
    assert.equal(2, #up.sessions)
    assert.equal(1, up:count "tools/call")
    loop.wait(function() return up.sessions[1].gone end, "the old stream's end")
  end)

  it("sees its stream end with the client's session", function()
    local client, up = between(nil, explicit)
    client:initialize()
    client:result("tools/call", '{"name":"work"}')
    assert.equal(200, client:close())
    loop.wait(function() return up.sessions[1].gone end, "the end of the stream")
    for _, request in ipairs(up.requests) do assert.not_equal("DELETE", request.method) end
  end)

  it("carries messages of any size, both ways at once", function()
    local client, up = between(nil, explicit)
    client:initialize()
    up:on("tools/call", function(req) req:reply('{"content":[],"back":' .. req:at("arguments", "text") .. "}") end)
    local calls = {}
    for i = 1, 8 do
      local text = '"' .. (("%d"):format(i)):rep(400000) .. '"'
      calls[i] = { text = text, call = client:start("tools/call", '{"name":"work","arguments":{"text":' .. text .. "}}") }
    end
    for _, c in ipairs(calls) do assert.is_true(c.text == json.at(c.call:wait(20000), "result", "back")) end
  end)

  it("serves several servers beside it", function()
    local a, b = upstream.new({ name = "a", tools = tools }):sse(), upstream.new { name = "b", tools = tools }
    for name, up in pairs { a = a, b = b } do up:on("tools/call", function(req) req:reply(('{"content":[],"by":"%s"}'):format(name)) end) end
    local client = lunette.stdio { policy = lunette.bare(a, b) }
    client:initialize()
    assert.equal('"a"', json.at(client:result("tools/call", '{"name":"a_work"}'), "by"))
    assert.equal('"b"', json.at(client:result("tools/call", '{"name":"b_work"}'), "by"))
    assert.equal(0, (client:close()))
    loop.wait(function() return a.sessions[1].gone end, "the stream's end")
  end)

  it("is reached by a Lunette through a Lunette", function()
    local up = upstream.new({ tools = tools }):sse()
    up:on("tools/call", function(req)
      req:progress '"progress":1'
      req:reply '{"content":[]}'
    end)
    local inner = lunette.http { policy = lunette.bare(up) }
    local outer = lunette.http { policy = ('lunette.upstream("in", { url = "http://127.0.0.1:%d/sse", transport = "sse" })'):format(inner.port) }
    local c = open(outer.port):initialize()
    c:start("tools/call", '{"name":"work","_meta":{"progressToken":7}}')
    assert.equal('{"progressToken":7,"progress":1}', json.at(c:next(), "params"))
    assert.equal('{"content":[]}', json.at(c:next(), "result"))
  end)
end)
