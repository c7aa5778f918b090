-- src/transport/sse_channel.c: HTTP+SSE as a client, from the start or found out, however its stream
-- is cut, and every way it can end.
local loop = require "spec.support.loop"
local support = require "spec.unit.transport.http_channel_support"

local accepted, chunk, id, json, last_chunk, ping, reply, result, sse_head = support.accepted, support.chunk,
  support.id, support.json, support.last_chunk, support.ping, support.reply, support.result, support.sse_head

local hello = '{"jsonrpc":"2.0","id":1,"method":"initialize"}'
local endpoint = "event: endpoint\ndata: /post?s=1\n\n"

local function message(text)
  return "event: message\ndata: " .. text .. "\n\n"
end

-- A server of one session: its stream is server.stream; POSTs to /post are 202, and requests are
-- answered by the stream with handler(id, request) or a plain result.
local function sse_server(handler, first)
  local server
  server = support.listen(function(request, conn)
    if request.method == "GET" then
      server.stream = conn
      conn:send(sse_head() .. chunk(first or endpoint))
    elseif request.path == "/sse" then
      conn:send(reply(405))
    else
      conn:send(accepted())
      local n = id(request.body)
      if n then server.stream:send(chunk(handler and handler(n, request) or message(result(n)))) end
    end
  end)
  return server
end

local function start(server, options)
  options = options or {}
  options.url = server.url .. "/sse"
  options.sse = options.sse ~= false and 1 or nil
  options.bare = true
  local driver = support.start(options)
  assert.equal("up", driver.first)
  driver:tell "open"
  return driver
end

local function finish(driver)
  driver:tell "close 0"
  driver:tell "pool"
  driver:until_line "closed 0 0 "
  driver:until_line "pool closed"
  driver:ended()
end

describe("HTTP+SSE", function()
  setup(support.build)
  teardown(support.remove)
  after_each(loop.finish)

  it("is ready once the endpoint is known, and all comes by the stream", function()
    local server = sse_server()
    local driver = start(server, { header = "X-Key: k" })
    driver:expect "ready 0"
    driver:tell("send 0 i1 " .. hello)
    driver:expect("message 0 0 " .. result(1))
    driver:tell "initialized 0 1 2024-11-05"
    driver:tell 'send 0 n {"jsonrpc":"2.0","method":"notifications/initialized"}'
    driver:tell("send 0 r2 " .. ping(2))
    driver:expect("message 0 0 " .. result(2))
    local host = ("Host: 127.0.0.1:%d\r\nAccept-Encoding: identity\r\nX-Key: k\r\nUser-Agent: lunette/VERSION\r\n"):format(server.port)
    local function raw(n) return (server.requests[n].raw:gsub("lunette/[%d.]+", "lunette/VERSION")) end
    assert.equal("GET /sse HTTP/1.1\r\n" .. host .. "Accept: text/event-stream", raw(1))
    assert.equal("POST /post?s=1 HTTP/1.1\r\n" .. host .. "Content-Type: application/json\r\n"
      .. "Accept: application/json, text/event-stream\r\nContent-Length: " .. #hello, raw(2))
    assert.equal(hello, server.requests[2].body)
    assert.truthy(raw(4):find("MCP-Protocol-Version: 2024-11-05", 1, true))
    finish(driver)
    assert.equal(4, #server.requests, "no listening GET, no DELETE")
  end)

  it("reads its stream the same however it is cut", function()
    local text = ": hi\r\n\r\nevent: noise\r\ndata: 1\r\n\r\n" .. "data: " .. ping(9) .. "\n\n" .. "event: endpoint\r\ndata: /post?s=1\r\n\r\n"
      .. "event: endpoint\ndata: /elsewhere\n\nevent: noise\ndata: {}\n\nevent: message\ndata:\n\n"
      .. message('{"a":"\195\188"}') .. "data: {\"b\":\ndata: 2}\n\nid: 7\nretry: 5\n" .. message(ping(3))
    for _, step in ipairs { 1, 2, 3, 7, 64, #text } do
      local server
      server = support.listen(function(request, conn)
        if request.method ~= "GET" then return conn:send(accepted()) end
        server.stream = conn
        conn:send(sse_head())
        for i = 1, #text, step do conn:send(chunk(text:sub(i, i + step - 1))) end
      end)
      local driver = start(server)
      driver:expect "ready 0"
      driver:expect 'message 0 0 {"a":"\195\188"}'
      driver:expect 'message 0 0 {"b":\\n2}'
      driver:expect("message 0 0 " .. ping(3))
      driver:tell("send 0 i1 " .. hello)
      assert.equal("/post?s=1", server.wait_request(2).path)
      finish(driver)
    end
  end)

  it("is found out when initialize is refused, and the same bytes go to the endpoint", function()
    for _, refusal in ipairs { reply(405), reply(404, "text/html", "<h1>no</h1>"), reply(400, "application/json", '{"error":{}}') } do
      local server
      server = support.listen(function(request, conn)
        if request.method == "GET" then
          server.stream = conn
          conn:send(sse_head() .. chunk(endpoint))
        elseif request.path == "/sse" then
          conn:send(refusal)
        else
          conn:send(accepted())
          server.stream:send(chunk(message(result(id(request.body)))))
        end
      end)
      local driver = start(server, { sse = false })
      driver:expect "ready 0"
      driver:tell("send 0 i1 " .. hello)
      driver:expect("message 0 0 " .. result(1))
      assert.equal(hello, server.requests[1].body)
      assert.equal(hello, server.requests[3].body)
      assert.equal("/post?s=1", server.requests[3].path)
      driver:tell("send 0 r2 " .. ping(2))
      driver:expect("message 0 0 " .. result(2))
      finish(driver)
    end
  end)

  it("is not found where there is none: what was said first is told, once", function()
    local answers = {
      [reply(404)] = "failed 0 1 EPROTOCOL 404 the server has nothing at this URL (404)",
      [reply(400, "text/plain", "bad day")] = "failed 0 1 EPROTOCOL 400 the server answered 400 Bad Request: bad day",
      [reply(400, "application/json", '{"id":1,"error":{}}')] = 'message 0 1 {"id":1,"error":{}}',
    }
    local gets = { reply(405), reply(200, "application/json", "{}"), sse_head() .. last_chunk, sse_head() .. chunk "data: x\n\n" .. last_chunk }
    local elsewhere = sse_head() .. chunk "event: endpoint\ndata: http://evil.example/\n\n"
    -- This one has it, and that is what is wrong there.
    local not_followed = "failed 0 1 EPROTOCOL 0 the server's endpoint is on another origin, which is not followed"
    for refusal, first in pairs(answers) do
      for _, get in ipairs { elsewhere, unpack(gets) } do
        local told = get == elsewhere and not_followed or first
        local server = support.listen(function(request, conn) conn:send(request.method == "GET" and get or refusal) end)
        local driver = start(server, { sse = false })
        driver:expect "ready 0"
        driver:tell("send 0 i1 " .. hello)
        driver:expect(told)
        driver:quiet(20)
        assert.equal(2, #server.requests)
        finish(driver)
      end
    end
  end)

  it("is looked for behind no other answer, nor for another request", function()
    for _, status in ipairs { 401, 403, 406, 410, 500, 503 } do
      local server = support.listen(function(_, conn) conn:send(reply(status)) end)
      local driver = start(server, { sse = false })
      driver:expect "ready 0"
      driver:tell("send 0 i1 " .. hello)
      assert.truthy(driver:line():find("failed 0 1 %u+ " .. status))
      assert.equal(1, #server.requests)
      finish(driver)
    end
    local server = support.listen(function(_, conn, n) conn:send(n == 1 and json(result(1)) or reply(404)) end)
    local driver = start(server, { sse = false })
    driver:expect "ready 0"
    driver:tell("send 0 i1 " .. hello)
    driver:expect("message 0 1 " .. result(1))
    driver:tell("send 0 r2 " .. ping(2))
    assert.truthy(driver:line():find "failed 0 2 EPROTOCOL 404")
    assert.equal(2, #server.requests)
    finish(driver)
  end)

  it("may be closed, or its initialize given up, while that is being found out", function()
    for _, order in ipairs { "close 0", "abandon 0 1" } do
      local server
      server = support.listen(function(request, conn)
        if request.method == "GET" then
          server.stream = conn
          conn:send(sse_head())
        else
          conn:send(reply(405))
        end
      end)
      local driver = start(server, { sse = false })
      driver:expect "ready 0"
      driver:tell("send 0 i1 " .. hello)
      loop.wait(function() return server.stream end, "the GET")
      driver:tell(order)
      loop.sleep(20)
      if order ~= "close 0" then
        server.stream:send(chunk(endpoint))
        driver:quiet(30)
        finish(driver)
      else
        driver:tell "pool"
        driver:until_line "closed 0 0 "
        driver:until_line "pool closed"
        driver:ended()
      end
    end
  end)

  it("ends with its stream, and says why", function()
    local ends = {
      { function(s) s:send(last_chunk) end, "ECLOSED", "the server ended its event stream" },
      { function(s) s:close() end, "ECLOSED", "the server closed the connection before the end of its response" },
      { function(s) s:send(chunk("data: " .. ("x"):rep(70000) .. "\n\n")) end, "ELIMIT",
        "an event of the server's is larger than 65536 bytes (max_message_bytes)" },
    }
    for _, case in ipairs(ends) do
      local server = sse_server()
      local driver = start(server, { max_message = 65536 })
      driver:expect "ready 0"
      driver:tell("send 0 r2 " .. ping(2))
      driver:expect("message 0 0 " .. result(2))
      case[1](server.stream)
      local line = driver:line()
      assert.truthy(line:find("^closed 0 %-%d+ "), line)
      assert.truthy(line:find(case[3], 1, true), line)
      driver:tell "pool"
      driver:until_line "pool closed"
      driver:ended()
    end
  end)

  it("doesn't begin where the answer is none, or where no endpoint of its origin comes", function()
    local cases = {
      [reply(404)] = "nothing at this URL (404)",
      [reply(401)] = "401",
      [reply(200, "text/html", "<p>")] = "not an event stream",
      [sse_head() .. chunk "event: endpoint\ndata: https://127.0.0.1/x\n\n"] = "another origin",
      [sse_head() .. chunk "event: endpoint\ndata: http://[/\n\n"] = "holds no URL",
      [sse_head() .. chunk "event: endpoint\ndata:\n\n"] = "holds no URL",
      [sse_head() .. chunk "event: ping\ndata: x\n\n" .. last_chunk] = "ended its event stream",
    }
    for answer, words in pairs(cases) do
      local server = support.listen(function(_, conn) conn:send(answer) end)
      local driver = start(server)
      local line = driver:line()
      assert.truthy(line:find "^closed 0 %-%d+ " and line:find(words, 1, true), line)
      driver:tell "pool"
      driver:until_line "pool closed"
      driver:ended()
    end
  end)

  it("doesn't begin where nobody is", function()
    local server = support.listen(function() end)
    server.close()
    local driver = start(server)
    assert.truthy(driver:line():find("^closed 0 %-%d+ can't reach http://127.0.0.1"))
    driver:tell "pool"
    driver:until_line "pool closed"
    driver:ended()
  end)

  it("fails the message that is refused, and goes on", function()
    local statuses = { [404] = "ENOTFOUND", [500] = "EPROTOCOL", [400] = "EPROTOCOL" }
    for status, err in pairs(statuses) do
      local server
      server = sse_server()
      local refuse
      local inner = server
      server = support.listen(function(request, conn)
        if request.method == "GET" then
          inner.stream = conn
          conn:send(sse_head() .. chunk(endpoint))
        elseif refuse then
          conn:send(reply(status, "application/json", '{"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"m"}}'))
        else
          conn:send(accepted())
          inner.stream:send(chunk(message(result(id(request.body)))))
        end
      end)
      local driver = start(server)
      driver:expect "ready 0"
      refuse = true
      driver:tell("send 0 r3 " .. ping(3))
      assert.truthy(driver:line():find(("^failed 0 3 %s %d "):format(err, status)))
      driver:tell 'send 0 n {"jsonrpc":"2.0","method":"x"}'
      assert.truthy(driver:line():find("^failed 0 0 %u+ " .. status))
      refuse = false
      driver:tell("send 0 r4 " .. ping(4))
      driver:expect("message 0 0 " .. result(4))
      finish(driver)
    end
  end)

  it("stops reading its stream while paused", function()
    local server = sse_server()
    local driver = start(server)
    driver:expect "ready 0"
    driver:tell "pause 0"
    driver:tell("send 0 r2 " .. ping(2))
    server.wait_request(2)
    driver:quiet(50)
    driver:tell "resume 0"
    driver:expect("message 0 0 " .. result(2))
    finish(driver)
  end)

  it("says its last words before it ends the stream", function()
    local server
    local order = {}
    server = support.listen(function(request, conn)
      if request.method == "GET" then
        conn.on_gone = function() order[#order + 1] = "gone" end
        conn:send(sse_head() .. chunk(endpoint))
      else
        loop.after(30, function()
          order[#order + 1] = request.body
          conn:send(accepted())
        end)
      end
    end)
    local driver = start(server)
    driver:expect "ready 0"
    driver:tell("send 0 r2 " .. ping(2))
    driver:tell 'send 0 n {"last":1}'
    finish(driver)
    loop.wait(function() return order[#order] == "gone" end, "the end of the stream")
    -- Each goes over a connection of its own: which comes first is not said.
    assert.truthy(table.concat(order, "\n"):find('{"last":1}\n', 1, true), table.concat(order, "\n"))
  end)

  it("may be closed from inside a message", function()
    local server = sse_server()
    local driver = start(server)
    driver:expect "ready 0"
    driver:tell "close-inside"
    driver:tell("send 0 r2 " .. ping(2))
    driver:expect("message 0 0 " .. result(2))
    driver:expect "closed 0 0 closed"
    driver:tell "pool"
    driver:until_line "pool closed"
    driver:ended()
  end)

  it("follows a redirect of its stream on the same origin, and resolves the endpoint there", function()
    local server
    server = support.listen(function(request, conn)
      if request.path == "/sse" then
        conn:send(reply(307, nil, "", "Location: /v2/sse"))
      elseif request.method == "GET" then
        server.stream = conn
        conn:send(sse_head() .. chunk "event: endpoint\ndata: post\n\n")
      else
        conn:send(accepted())
        server.stream:send(chunk(message(result(id(request.body)))))
      end
    end)
    local driver = start(server)
    driver:expect "ready 0"
    driver:tell("send 0 r2 " .. ping(2))
    driver:expect("message 0 0 " .. result(2))
    assert.equal("/v2/post", server.requests[3].path)
    finish(driver)
  end)
end)
