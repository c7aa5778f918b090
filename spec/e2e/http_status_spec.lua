-- Streamable HTTP as the specification's transport chapter has it: statuses, sessions, headers, streams.
-- Numbers at the front of names are those of the protocol checklist.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"echo","inputSchema":{"type":"object"}}]'
local init = '{"jsonrpc":"2.0","id":%s,"method":"initialize","params":{"protocolVersion":"%s","capabilities":{%s},'
  .. '"clientInfo":{"name":"spec","version":"1"}}}'
local ping = '{"jsonrpc":"2.0","id":"p","method":"ping"}'

describe("Streamable HTTP", function()
  local host, up

  setup(function()
    up = upstream.new { tools = tools }
    up:on("tools/call", function(req) up.call(req) end)
    host = lunette.http { policy = lunette.bare(up) }
  end)
  teardown(lunette.finish)
  before_each(function() up.call = function(req) req:reply '{"content":[]}' end end)

  -- A client that is through the handshake.
  local function session(options)
    local c = host.client()
    c:initialize(options)
    return c
  end

  -- One request with exactly the headers given (lines), body optional.
  local function send(method, headers, body, path)
    local lines = { "Host: 127.0.0.1:" .. host.port }
    for _, line in ipairs(headers) do lines[#lines + 1] = line end
    return http.request { port = host.port, method = method, path = path or "/mcp", headers = lines, body = body }
  end

  local accept, content = "Accept: application/json, text/event-stream", "Content-Type: application/json"
  local function of(c) return "Mcp-Session-Id: " .. c.session end

  -- The JSON-RPC error in a body, which says nothing of an id it does not know.
  local function rpc_error(response)
    local body = json.decode(response.body)
    assert.equal("2.0", body.jsonrpc, response.body)
    return body.error
  end

  local function text_of(response)
    if not response.headers["content-type"]:find "event%-stream" then return response.body end
    local parser, found = http.sse_parser(), nil
    parser.feed(response.body)
    for event in parser.take do
      if event.data and event.data ~= "" then found = event.data end
    end
    return found
  end

  describe("POST", function()
    it("24: needs both types in Accept", function()
      for _, value in ipairs { "application/json", "text/event-stream", "text/html", "application/jsonl, text/event-streams" } do
        assert.equal(406, send("POST", { "Accept: " .. value, content }, init:format(1, "2025-11-25", "")).status, value)
      end
      for _, value in ipairs { "text/event-stream,application/json", "Application/JSON;q=0.9, TEXT/Event-Stream ; q=0.1",
        "application/json, text/event-stream, */*;q=0.1" } do
        assert.equal(200, send("POST", { "Accept: " .. value, content }, init:format(1, "2025-11-25", "")).status, value)
      end
    end)

    it("24: takes Accept spread over two header lines", function()
      assert.equal(200, send("POST", { "Accept: application/json", "Accept: text/event-stream", content },
        init:format(1, "2025-11-25", "")).status)
    end)

    it("24: answers by a stream those who would rather have one, all but initialize", function()
      local rather = "Accept: text/event-stream, application/json"
      local opened = send("POST", { rather, content }, init:format(1, "2025-11-25", ""))
      assert.equal("application/json", opened.headers["content-type"])
      local of_it = "Mcp-Session-Id: " .. opened.headers["mcp-session-id"]
      local response = send("POST", { rather, content, of_it }, ping)
      assert.equal("text/event-stream", response.headers["content-type"])
      local events, parser = {}, http.sse_parser()
      parser.feed(response.body)
      for event in parser.take do events[#events + 1] = event end
      assert.equal(2, #events, response.body)
      assert.equal("", events[1].data)
      assert.truthy(events[1].id)
      assert.equal(text_of(send("POST", { accept, content, of_it }, ping)), events[2].data)
      assert.truthy(events[2].id)
    end)

    it("25: needs a JSON body", function()
      for _, value in ipairs { "text/plain", "application/jsonp", "application/x-www-form-urlencoded", "text/plain; x=application/json",
        "multipart/form-data; boundary=x", "application" } do
        assert.equal(415, send("POST", { accept, "Content-Type: " .. value }, init:format(1, "2025-11-25", "")).status, value)
      end
      assert.equal(415, send("POST", { accept }, init:format(1, "2025-11-25", "")).status)
      for _, value in ipairs { "application/json; charset=utf-8", "APPLICATION/JSON", 'application/json;charset="UTF-8"' } do
        assert.equal(200, send("POST", { accept, "Content-Type: " .. value }, init:format(1, "2025-11-25", "")).status, value)
      end
    end)

    it("answers what is not JSON with 400 and -32700", function()
      local c = session()
      for _, body in ipairs { "", "{", "hello", '{"jsonrpc":"2.0","id":1,"method":"ping"', "{'a':1}", '{"a":1,}', "\0" } do
        local response = send("POST", { accept, content, of(c) }, body)
        assert.equal(400, response.status, body)
        assert.equal(-32700, rpc_error(response).code, body)
        assert.is_nil(response.body:find '"id":"')
      end
    end)

    it("answers what is JSON but no message with 400 and -32600", function()
      local c = session()
      for _, body in ipairs { "1", '"x"', "null", "{}", '{"jsonrpc":"2.0"}', '{"jsonrpc":"2.0","id":1}', '{"jsonrpc":"1.0","id":1,"method":"ping"}',
        '{"id":1,"method":"ping"}', '{"jsonrpc":"2.0","id":1,"method":7}', '{"jsonrpc":"2.0","id":1,"method":"ping","params":1}' } do
        local response = send("POST", { accept, content, of(c) }, body)
        assert.equal(400, response.status, body)
        assert.equal(-32600, rpc_error(response).code, body)
      end
    end)

    it("26: accepts notifications and responses with 202 and no body", function()
      local c = session()
      for _, body in ipairs { '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}', '{"jsonrpc":"2.0","method":"notifications/x","params":{}}',
        '{"jsonrpc":"2.0","id":99,"result":{}}', '{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"m"}}' } do
        local response = send("POST", { accept, content, of(c) }, body)
        assert.equal(202, response.status, body)
        assert.equal("", response.body)
      end
    end)

    it("27: needs its session", function()
      local response = send("POST", { accept, content }, ping)
      assert.equal(400, response.status)
      assert.truthy(rpc_error(response).message)
      for _, id in ipairs { "nonsense", "00000000-0000-0000-0000-000000000000", ("x"):rep(1000) } do
        assert.equal(404, send("POST", { accept, content, "Mcp-Session-Id: " .. id }, ping).status, id)
      end
      local c = session()
      assert.equal(404, send("POST", { accept, content, of(c) .. "x" }, ping).status)
      assert.equal(404, send("POST", { accept, content, of(c):sub(1, -2) }, ping).status)
      local other = session()
      for at = 1, #c.session do
        local byte = c.session:sub(at, at) == "A" and "B" or "A"
        local altered = c.session:sub(1, at - 1) .. byte .. c.session:sub(at + 1)
        assert.equal(404, send("POST", { accept, content, "Mcp-Session-Id: " .. altered }, ping).status, at)
      end
      assert.equal(404, send("POST", { accept, content, "Mcp-Session-Id: " .. c.session:sub(1, 16) .. other.session:sub(17) }, ping).status)
      assert.equal(200, send("POST", { accept, content, of(c) }, ping).status)
    end)

    it("27: reads header names without case", function()
      local c = session()
      assert.equal(200, send("POST", { "ACCEPT: application/json, text/event-stream", "content-TYPE: application/json",
        "mcp-session-ID:   " .. c.session .. "  " }, ping).status)
    end)

    it("29: refuses a second initialize in a session", function()
      local c = session()
      local response = send("POST", { accept, content, of(c) }, init:format(2, "2025-11-25", ""))
      assert.equal(400, response.status)
      assert.equal(-32600, rpc_error(response).code)
      assert.equal(200, send("POST", { accept, content, of(c) }, ping).status)
    end)

    it("30: refuses a version header that it does not know", function()
      local c = session()
      for _, version in ipairs { "1999-01-01", "2025-11-26", "x", "latest" } do
        local response = send("POST", { accept, content, of(c), "MCP-Protocol-Version: " .. version }, ping)
        assert.equal(400, response.status, version)
      end
      assert.equal(200, send("POST", { accept, content, of(c) }, ping).status)
      assert.equal(200, send("POST", { accept, content, of(c), "MCP-Protocol-Version: 2025-11-25" }, ping).status)
    end)

    it("gives each session an id of its own in visible ASCII", function()
      local seen = {}
      for i = 1, 5 do
        local response = send("POST", { accept, content }, init:format(i, "2025-11-25", ""))
        local id = response.headers["mcp-session-id"]
        assert.truthy(id:match "^[\33-\126]+$")
        assert.is_nil(seen[id])
        seen[id] = true
        assert.equal(tostring(i), json.at(text_of(response), "id"))
      end
    end)

    it("echoes a version it knows and offers the newest else", function()
      for asked, given in pairs { ["2024-11-05"] = "2024-11-05", ["2025-03-26"] = "2025-03-26", ["2025-06-18"] = "2025-06-18",
        ["2025-11-25"] = "2025-11-25", ["1.0"] = "2025-11-25", ["2099-01-01"] = "2025-11-25", ["2026-07-28"] = "2025-11-25" } do
        local response = send("POST", { accept, content }, init:format(1, asked, ""))
        assert.equal(given, json.value(text_of(response), "result", "protocolVersion"), asked)
      end
    end)

    it("answers ping itself", function()
      local c = session()
      local before = up:count "ping"
      assert.equal('{"jsonrpc":"2.0","id":"p","result":{}}', c:request("ping", nil, '"p"'))
      assert.equal(before, up:count "ping")
    end)

    it("7: refuses null and fractional ids", function()
      local c = session()
      for _, id in ipairs { "null", "1.5", "1e3", "1.0", "true", "[]", "{}" } do
        local response = send("POST", { accept, content, of(c) }, '{"jsonrpc":"2.0","id":' .. id .. ',"method":"ping"}')
        assert.equal(400, response.status, id)
        assert.equal(-32600, rpc_error(response).code, id)
      end
    end)

    it("14: refuses an id that is in flight in this session, not in another", function()
      local held
      up.call = function(req) held = req end
      local a, b = session(), session()
      local call = a:start("tools/call", '{"name":"echo"}', "5")
      loop.wait(function() return held end, "the call")
      local response = send("POST", { accept, content, of(a) }, '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo"}}')
      local refused = response.status == 400 or json.at(text_of(response), "error") ~= nil
      assert.is_true(refused)
      local first = held
      held = nil
      up.call = function(req) req:reply '{"content":[],"b":1}' end
      assert.equal('{"content":[],"b":1}', json.at(b:request("tools/call", '{"name":"echo"}', "5"), "result"))
      first:reply '{"content":[],"a":1}'
      assert.equal('{"content":[],"a":1}', json.at(call:wait(), "result"))
    end)
  end)

  describe("batches", function()
    local batch = '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":"b","method":"tools/call","params":{"name":"echo"}},'
      .. '{"jsonrpc":"2.0","method":"notifications/x"}]'

    it("31: are refused but in 2025-03-26", function()
      for _, version in ipairs { "2024-11-05", "2025-06-18", "2025-11-25" } do
        local response = send("POST", { accept, content, of(session { version = version }) }, batch)
        assert.equal(400, response.status, version)
        assert.equal(-32600, rpc_error(response).code, version)
      end
    end)

    it("31: are answered whole in 2025-03-26", function()
      local c = session { version = "2025-03-26" }
      local response = send("POST", { accept, content, of(c) }, batch)
      assert.equal(200, response.status)
      local answers = {}
      if response.headers["content-type"]:find "event%-stream" then
        local parser = http.sse_parser()
        parser.feed(response.body)
        for event in parser.take do
          if event.data and event.data:sub(1, 1) == "[" then
            for _, raw in ipairs(json.elements(event.data)) do answers[json.at(raw, "id")] = raw end
          elseif event.data and event.data ~= "" then
            answers[json.at(event.data, "id")] = event.data
          end
        end
      else
        for _, raw in ipairs(json.elements(response.body)) do answers[json.at(raw, "id")] = raw end
      end
      assert.equal('{"jsonrpc":"2.0","id":1,"result":{}}', answers["1"])
      assert.equal('{"jsonrpc":"2.0","id":"b","result":{"content":[]}}', answers['"b"'])
    end)

    it("31: of notifications only get 202", function()
      local c = session { version = "2025-03-26" }
      local response = send("POST", { accept, content, of(c) }, '[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","method":"notifications/y"}]')
      assert.equal(202, response.status)
    end)

    it("12, 31: are never empty, nested, over a hundred, or begun with initialize", function()
      local c = session { version = "2025-03-26" }
      local many = {}
      for i = 1, 101 do many[i] = '{"jsonrpc":"2.0","id":' .. i .. ',"method":"ping"}' end
      for _, body in ipairs { "[]", "[" .. table.concat(many, ",") .. "]" } do
        assert.equal(400, send("POST", { accept, content, of(c) }, body).status, body:sub(1, 20))
      end
      local nested = send("POST", { accept, content, of(c) }, "[" .. batch .. "]")
      assert.is_nil(nested.body:find('"result"', 1, true))
      assert.truthy(nested.body:find("-32600", 1, true))
      assert.equal(400, send("POST", { accept, content }, "[" .. init:format(1, "2025-03-26", "") .. "]").status)
      local begun = send("POST", { accept, content, of(c) }, "[" .. init:format(1, "2025-03-26", "") .. "]")
      assert.equal("initialize can't be part of a batch", rpc_error(begun).message)
    end)
  end)

  it("31: batches are refused in the same words over stdio", function()
    for version, words in pairs { ["2025-11-25"] = "Batches are for protocol version 2025-03-26 only",
      ["2025-03-26"] = "Not a batch of 1 to 100 messages" } do
      local client = lunette.stdio { policy = "" }
      client:initialize { version = version }
      client:send "[]"
      loop.wait(function() return client.process.out:all():find('"error"', 1, true) end, "the refusal")
      assert.truthy(client.process.out:all():find(('{"jsonrpc":"2.0","error":{"code":-32600,"message":"%s"}}'):format(words), 1, true))
    end
  end)

  describe("Origin and Host", function()
    it("32: a foreign Origin gets 403, whatever the method", function()
      local c = session()
      for _, origin in ipairs { "http://evil.example", "https://127.0.0.1.evil.example", "http://localhost.evil.example:80", "null",
        "http://evil.example:" .. host.port, "garbage" } do
        for _, method in ipairs { "POST", "GET", "DELETE" } do
          local response = send(method, { accept, content, of(c), "Origin: " .. origin }, method == "POST" and ping or nil)
          assert.equal(403, response.status, method .. " " .. origin)
        end
      end
      assert.equal(200, send("POST", { accept, content, of(c) }, ping).status)
    end)

    it("32: an Origin on this machine passes", function()
      local c = session()
      for _, origin in ipairs { "http://localhost:" .. host.port, "http://127.0.0.1:" .. host.port } do
        assert.equal(200, send("POST", { accept, content, of(c), "Origin: " .. origin }, ping).status, origin)
      end
    end)

    it("32: a foreign Host gets 403 while we listen on loopback", function()
      local c = session()
      for name, status in pairs { ["evil.example"] = 403, ["evil.example:" .. host.port] = 403, ["127.0.0.1.evil.example"] = 403,
        ["localhost:" .. host.port] = 200, ["LOCALHOST"] = 200, ["127.0.0.1:" .. host.port] = 200, ["[::1]:" .. host.port] = 200 } do
        local response = http.request { port = host.port, method = "POST", path = "/mcp", body = ping,
          headers = { "Host: " .. name, accept, content, of(c) } }
        assert.equal(status, response.status, name)
      end
    end)
  end)

  describe("DELETE", function()
    it("28: ends the session, which is 404 from then on", function()
      local c = session()
      local own
      up.call = function(req)
        own = req.session
        req:reply '{"content":[]}'
      end
      c:request("tools/call", '{"name":"echo"}')
      assert.equal(200, c:close())
      assert.equal(404, send("POST", { accept, content, of(c) }, ping).status)
      assert.equal(404, send("GET", { "Accept: text/event-stream", of(c) }).status)
      assert.equal(404, send("DELETE", { of(c) }).status)
      loop.wait(function() return own.gone end, "the session's child to be ended")
    end)

    it("28: needs a session", function()
      assert.equal(400, send("DELETE", {}).status)
      assert.equal(404, send("DELETE", { "Mcp-Session-Id: nonsense" }).status)
    end)

    it("28: ends the session's streams", function()
      local c = session()
      local conn = http.connect(host.port)
      conn:send(http.format { method = "GET", path = "/mcp", headers = c:headers "GET" })
      local stream = conn:events(conn:head())
      c:close()
      repeat until not stream:event() -- the first one only primes it
      assert.is_true(stream.complete())
    end)
  end)

  it("knows its paths and methods", function()
    assert.equal(404, send("GET", { accept }, nil, "/").status)
    assert.equal(404, send("POST", { accept, content }, ping, "/other").status)
    assert.equal(404, send("POST", { accept, content }, ping, "/mcpx").status)
    local response = send("PUT", { accept, content }, ping)
    assert.equal(405, response.status)
    assert.truthy(response.headers.allow:find "POST")
    assert.equal(405, send("PATCH", { accept, content }, ping).status)
    assert.equal(405, send("POST", { accept, content }, ping, "/healthz").status)
  end)

  it("tells its health", function()
    assert.equal(200, send("GET", {}, nil, "/healthz").status)
    assert.equal(200, send("GET", {}, nil, "/readyz").status)
    local metrics = send("GET", {}, nil, "/metrics")
    assert.equal(200, metrics.status)
    assert.truthy(metrics.headers["content-type"]:find "^text/plain")
    local delay = "lunette_loop_delay_seconds"
    assert.truthy(metrics.body:find("\n# HELP " .. delay .. " [^\n]+\n# TYPE " .. delay .. " histogram\n"
      .. delay .. '_bucket{le="0.005"} %d+\n'))
    local last = 0
    for n in metrics.body:gmatch(delay .. "_bucket[^ ]+ (%d+)\n") do
      assert.is_true(tonumber(n) >= last, metrics.body)
      last = tonumber(n)
    end
    assert.equal(last, tonumber(metrics.body:match(delay .. "_count (%d+)\n")))
    assert.truthy(metrics.body:find(delay .. "_sum %d+%.%d+\n"))
  end)

  it("keeps a connection alive, answers pipelined requests in order, and closes when asked", function()
    local c = session()
    local conn = http.connect(host.port)
    local function format(id, extra)
      return http.format { method = "POST", path = "/mcp", body = '{"jsonrpc":"2.0","id":' .. id .. ',"method":"ping"}',
        headers = { "Host: 127.0.0.1:" .. host.port, accept, content, of(c), extra } }
    end
    for i = 1, 3 do
      conn:send(format(i))
      assert.equal('{"jsonrpc":"2.0","id":' .. i .. ',"result":{}}', text_of(conn:response()))
    end
    conn:send(format(4) .. format(5) .. format(6))
    for i = 4, 6 do assert.equal('{"jsonrpc":"2.0","id":' .. i .. ',"result":{}}', text_of(conn:response())) end
    conn:send(format(7, "Connection: close"))
    local response = conn:response()
    assert.equal(200, response.status)
    conn:wait_end()
  end)

  it("answers Expect: 100-continue", function()
    local c = session()
    local conn = http.connect(host.port)
    conn:send(("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n%s\r\n%s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"):format(
      host.port, accept, content, of(c), #ping))
    loop.wait(function() return conn.bytes.data:find("HTTP/1.1 100", 1, true) end, "100 Continue")
    conn:send(ping)
    assert.equal(200, conn:response().status)
  end)

  it("43: gives an older client kinds of content that it knows", function()
    local audio = '{"type":"audio","data":"AAAA","mimeType":"audio/wav"}'
    local link = '{"type":"resource_link","uri":"test://x","name":"x"}'
    up.call = function(req) req:reply('{"content":[{"type":"text","text":"t"},' .. audio .. "," .. link .. "]}") end
    local function kinds(version)
      local raw, list = session({ version = version }):request("tools/call", '{"name":"echo"}'), {}
      for i, block in ipairs(json.elements(json.at(raw, "result", "content"))) do list[i] = json.value(block, "type") end
      return list
    end
    assert.same({ "text", "text", "text" }, kinds "2024-11-05")
    assert.same({ "text", "audio", "text" }, kinds "2025-03-26")
    assert.same({ "text", "audio", "resource_link" }, kinds "2025-06-18")
    assert.same({ "text", "audio", "resource_link" }, kinds "2025-11-25")
  end)
end)
