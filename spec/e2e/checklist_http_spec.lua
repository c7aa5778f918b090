-- Rules of the protocol checklist on Streamable HTTP, each by its number, beyond http_status: bodies that two
-- readers could take differently, headers sent twice, batches of sessions that are over.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local init = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"%s","capabilities":{},'
  .. '"clientInfo":{"name":"spec","version":"1"}}}'
local ping = '{"jsonrpc":"2.0","id":"p","method":"ping"}'
local accept, content = "Accept: application/json, text/event-stream", "Content-Type: application/json"

describe("Streamable HTTP", function()
  local host, up

  setup(function()
    up = upstream.new { tools = '[{"name":"echo","inputSchema":{"type":"object"}}]', resources = "[]", prompts = "[]" }
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    host = lunette.http { policy = lunette.bare(up) }
  end)
  teardown(lunette.finish)

  local function send(method, headers, body, path)
    local lines = { "Host: 127.0.0.1:" .. host.port }
    for _, line in ipairs(headers) do lines[#lines + 1] = line end
    return http.request { port = host.port, method = method, path = path or "/mcp", headers = lines, body = body }
  end

  local function refused(response, status, words)
    assert.equal(status, response.status, response.body)
    local err = json.decode(response.body).error
    assert.equal(-32600, err.code)
    assert.truthy(err.message:find(words, 1, true), err.message)
  end

  local function session(version)
    local c = host.client()
    c:initialize { version = version }
    return c
  end

  it("25: the body says once what it is", function()
    for _, types in ipairs { { content, content }, { content, "Content-Type: text/plain" }, { "Content-Type: text/plain", content } } do
      refused(send("POST", { accept, types[1], types[2] }, init:format "2025-11-25"), 415, "Content-Type is there twice")
    end
  end)

  it("10, 25: the body is UTF-8, in no other words", function()
    for _, charset in ipairs { "utf-16", "iso-8859-1", '"utf-16"', "utf-8; charset=utf-16", "utf-16; charset=utf-8", '""', "us-ascii" } do
      refused(send("POST", { accept, content .. "; charset=" .. charset }, init:format "2025-11-25"), 415, "utf-8")
    end
    for _, charset in ipairs { "utf-8", "UTF-8", '"utf-8"', "utf-8; x=charset", '"Utf-8"; y="; charset=latin1"' } do
      assert.equal(200, send("POST", { accept, content .. ";charset=" .. charset }, init:format "2025-11-25").status, charset)
    end
  end)

  it("25: the body is not compressed, whatever it then says", function()
    local c = session()
    for _, coding in ipairs { "gzip", "deflate", "br", "x", "identity, gzip", "gzip, identity" } do
      local response = send("POST", { accept, content, "Mcp-Session-Id: " .. c.session, "Content-Encoding: " .. coding }, ping)
      refused(response, 415, "Content-Encoding")
      assert.equal("identity", response.headers["accept-encoding"])
    end
    refused(send("POST", { accept, content, "Mcp-Session-Id: " .. c.session, "Content-Encoding: identity",
      "Content-Encoding: gzip" }, ping), 415, "Content-Encoding")
    assert.equal(200, send("POST", { accept, content, "Mcp-Session-Id: " .. c.session, "Content-Encoding: Identity" }, ping).status)
  end)

  it("25: the older transport's POST is held to the same", function()
    local conn = http.connect(host.port)
    conn:send(http.format { path = "/sse", port = host.port, headers = { "Accept: text/event-stream" } })
    local endpoint = conn:events(conn:head()):event().data
    for _, bad in ipairs { { content, "Content-Encoding: gzip" }, { content .. "; charset=utf-16" }, { content, content } } do
      assert.equal(415, send("POST", bad, init:format "2024-11-05", endpoint).status)
    end
    assert.equal(202, send("POST", { content }, init:format "2024-11-05", endpoint).status)
    conn:close()
  end)

  it("27: a session is named once, and a refusal says what is wrong", function()
    local c, other = session(), session()
    for _, method in ipairs { "POST", "GET", "DELETE" } do
      local lines = { method == "GET" and "Accept: text/event-stream" or accept, method == "POST" and content or "X: y" }
      for _, id in ipairs { c.session, other.session } do
        lines[3], lines[4] = "Mcp-Session-Id: " .. c.session, "Mcp-Session-Id: " .. id
        refused(send(method, lines, method == "POST" and ping or nil), 400, "Mcp-Session-Id is there twice")
      end
      refused(send(method, { lines[1], lines[2] }, method == "POST" and ping or nil), 400, "An Mcp-Session-Id header is needed")
    end
    c:result("tools/call", '{"name":"echo"}')
  end)

  it("27, 31: a batch of a session that is over is 404 like any message of it", function()
    local c = session "2025-03-26"
    local lines = { accept, content, "Mcp-Session-Id: " .. c.session }
    assert.equal(200, send("POST", lines, "[" .. ping .. "]").status)
    assert.equal(200, c:close())
    refused(send("POST", lines, "[" .. ping .. "]"), 404, "no such session")
    assert.equal(400, send("POST", { accept, content }, "[" .. ping .. "]").status)
  end)

  it("29: an initialize that names a session is refused whether there is such a session or not", function()
    local c = session()
    for _, id in ipairs { c.session, "gone" } do
      refused(send("POST", { accept, content, "Mcp-Session-Id: " .. id }, init:format "2025-11-25"), 400, "initialized already")
    end
  end)

  it("30: the version header is there once, and is the protocol's, not the session's business alone", function()
    local c = session "2025-06-18"
    local id = "Mcp-Session-Id: " .. c.session
    for _, version in ipairs { "2025-06-18", "2025-11-25", "2025-03-26", "2024-11-05" } do
      assert.equal(200, send("POST", { accept, content, id, "MCP-Protocol-Version: " .. version }, ping).status, version)
    end
    for _, version in ipairs { "2099-01-01", "", "2025-06-18, 2025-06-18", "1" } do
      assert.equal(400, send("POST", { accept, content, id, "MCP-Protocol-Version: " .. version }, ping).status, version)
    end
    assert.equal(400, send("POST", { accept, content, id, "MCP-Protocol-Version: 2025-06-18", "MCP-Protocol-Version: 2025-06-18" },
      ping).status)
    assert.equal(200, send("POST", { accept, content, id }, ping).status)
  end)

  it("31: a batch is answered as one array, whatever its messages are, and never twice", function()
    local c = session "2025-03-26"
    local lines = { accept, content, "Mcp-Session-Id: " .. c.session }
    local call = '{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"echo"}}'
    local response = send("POST", lines, "[" .. call:format "1" .. ',{"jsonrpc":"2.0","method":"notifications/x"},{"bad":1},'
      .. call:format '"1"' .. "," .. call:format "1" .. "]")
    assert.equal(200, response.status)
    local parser, answers = http.sse_parser(), nil
    if response.headers["content-type"]:find "event%-stream" then
      parser.feed(response.body)
      for event in parser.take do
        if event.data and event.data ~= "" then answers = event.data end
      end
    else
      answers = response.body
    end
    local results, errors = 0, 0
    for _, one in ipairs(json.elements(answers)) do
      if json.at(one, "result") then results = results + 1 else errors = errors + 1 end
    end
    assert.same({ 2, 1 }, { results, errors }, answers .. ": an id that is there twice is answered once")
  end)

  it("31: a request whose answer a batch has no room for gets an error, and all are one array still", function()
    local big = upstream.new { tools = '[{"name":"echo","inputSchema":{"type":"object"}}]' }
    big:on("tools/call", function(req)
      req:reply('{"content":[{"type":"text","text":"' .. ("x"):rep(3000) .. '"}]}')
    end)
    local small = lunette.http { policy = "lunette.configure { max_message_bytes = 4096 }\n" .. lunette.bare(big) }
    local c = small.client()
    c:initialize { version = "2025-03-26" }
    local calls = {}
    for i = 1, 4 do calls[i] = ('{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo"}}'):format(i) end
    local response = http.request { port = small.port, method = "POST", path = "/mcp",
      headers = { "Host: 127.0.0.1:" .. small.port, accept, content, "Mcp-Session-Id: " .. c.session },
      body = "[" .. table.concat(calls, ",") .. "]" }
    assert.equal(200, response.status)
    local answers = response.body:match "data: (%b[])" or response.body
    local results, errors = 0, 0
    for _, one in ipairs(json.elements(answers)) do
      if json.at(one, "result") then results = results + 1 else errors = errors + 1 end
    end
    assert.same({ 2, 2 }, { results, errors })
  end)

  it("an empty cursor is the beginning of any list; one that was never given is none", function()
    local c = session()
    for method, member in pairs { ["tools/list"] = "tools", ["resources/list"] = "resources", ["prompts/list"] = "prompts",
      ["resources/templates/list"] = "resourceTemplates" } do
      assert.equal(json.at(c:result(method, "{}"), member), json.at(c:result(method, '{"cursor":""}'), member))
      for _, cursor in ipairs { '"x"', '"from-1"', '"from-0"', '" "', "1", "{}" } do
        assert.equal(-32602, c:failure(method, '{"cursor":' .. cursor .. "}").code, cursor)
      end
    end
  end)

  it("33, 34: a listening stream that is lost loses nothing, and nothing is on two streams", function()
    local c = session()
    c:listen()
    local held
    up:on("tools/call", function(req) held = req end)
    local call = c:start("tools/call", '{"name":"echo","_meta":{"progressToken":1}}')
    loop.wait(function() return held end, "the call")
    held:progress '"progress":1'
    c:expect "notifications/progress"
    held:notify("notifications/message", '{"level":"info","data":"one"}')
    held:notify("notifications/message", '{"level":"info","data":"two"}')
    held:reply '{"content":[]}'
    call:wait()
    local seen = {}
    for _ = 1, 2 do
      local message = c:expect "notifications/message"
      seen[json.value(message.params, "data")] = (seen[json.value(message.params, "data")] or 0) + 1
    end
    assert.same({ one = 1, two = 1 }, seen)
    assert.is_nil(c:maybe("notifications/message", 50))
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
  end)
end)
