-- HTTP+SSE, the transport of 2024-11-05, to clients: at /sse and /messages.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"
local open = require("spec.support.sse").open

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'

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
