-- HTTP+SSE, the transport of 2024-11-05, to servers that speak nothing newer: how they are found out, what they are
-- sent, and what becomes of a lost stream.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"
local open = require("spec.support.sse").open

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'

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
    assert.equal('Server "up": the server answered 500 Internal Server Error', err.message)
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
