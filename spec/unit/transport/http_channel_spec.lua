-- One session over Streamable HTTP against a server that sends exactly the bytes it is told:
-- requests, replies of every kind, the session and its end.
local loop = require "spec.support.loop"
local support = require "spec.unit.transport.http_channel_support"

local accepted, id, json, ping, reply, result = support.accepted, support.id, support.json, support.ping,
  support.reply, support.result

-- What every server does with what isn't the matter of a test.
local function answer(request, conn)
  if request.method == "DELETE" then
    conn:send(reply(200))
  elseif request.method == "GET" then
    conn:send(reply(405))
  elseif id(request.body) then
    conn:send(json(result(id(request.body))))
  else
    conn:send(accepted())
  end
end

local function start(server, options)
  options = options or {}
  options.url = options.url or (server.url .. "/mcp")
  return support.start(options)
end

-- initialize with this session id, then initialized.
local function handshake(driver, server, listen)
  driver:tell("send 0 i1 " .. '{"jsonrpc":"2.0","id":1,"method":"initialize"}')
  driver:expect("message 0 1 " .. result(1))
  driver:tell("initialized 0 " .. (listen and 1 or 0) .. " 2025-11-25")
  driver:tell 'send 0 n {"jsonrpc":"2.0","method":"notifications/initialized"}'
  server.wait_request(2)
end

local function session_server(handler, session)
  return support.listen(function(request, conn, n)
    if n == 1 then
      conn:send(json(result(1), "Mcp-Session-Id: " .. (session or "s-1")))
    elseif n == 2 then
      conn:send(accepted())
    else
      handler(request, conn, n)
    end
  end)
end

describe("the HTTP channel", function()
  setup(support.build)
  teardown(support.remove)
  after_each(loop.finish)

  describe("sends", function()
    it("a request of exactly these bytes", function()
      local server = support.listen(answer)
      local driver = start(server, { header = { "X-Key:  a b ", "Authorization: Bearer t" } })
      driver:tell("send 0 r7 " .. ping(7))
      driver:expect("message 0 7 " .. result(7))
      local request = server.requests[1]
      assert.equal(("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept-Encoding: identity\r\nX-Key: a b\r\n"):format(server.port)
        .. "Authorization: Bearer t\r\nUser-Agent: lunette/VERSION\r\nContent-Type: application/json\r\n"
        .. "Accept: application/json, text/event-stream\r\nContent-Length: 40",
        (request.raw:gsub("lunette/[%d.]+", "lunette/VERSION")))
      assert.equal(ping(7), request.body)
      driver:finish()
      assert.equal(1, #server.requests)
      assert.equal(1, #server.connections)
    end)

    it("a URL without a path to /", function()
      local server = support.listen(answer)
      local driver = start(server, { url = server.url .. "?a=b" })
      driver:tell("send 0 r1 " .. ping(1))
      driver:expect("message 0 1 " .. result(1))
      assert.equal("POST /?a=b HTTP/1.1", server.requests[1].start)
      driver:finish()
    end)

    it("many requests on one connection, one after the other", function()
      local server = support.listen(answer)
      local driver = start(server)
      for i = 1, 20 do
        driver:tell(("send 0 r%d %s"):format(i, ping(i)))
        driver:expect(("message 0 %d %s"):format(i, result(i)))
      end
      driver:finish()
      assert.equal(1, #server.connections)
    end)

    it("requests in parallel, each reply to its own tag", function()
      local waiting = {}
      local server = support.listen(function(request, conn) waiting[#waiting + 1] = { request, conn } end)
      local driver = start(server)
      for i = 1, 8 do driver:tell(("send 0 r%d %s"):format(i, ping(i))) end
      server.wait_request(8)
      for i = 8, 1, -1 do waiting[i][2]:send(json(result(id(waiting[i][1].body)))) end
      local seen = {}
      for _ = 1, 8 do
        local tag, text = driver:line():match "^message 0 (%d+) (.*)$"
        assert.equal(result(tag), text)
        seen[tonumber(tag)] = true
      end
      assert.equal(8, #seen)
      driver:finish()
      assert.equal(8, #server.connections)
    end)

    it("no more requests at once than it may, the rest in their order", function()
      local waiting = {}
      local server = support.listen(function(request, conn) waiting[#waiting + 1] = { request, conn } end)
      local driver = start(server, { max_open = 2 })
      for i = 1, 6 do driver:tell(("send 0 r%d %s"):format(i, ping(i))) end
      for i = 1, 6 do
        local entry = loop.wait(function() return waiting[i] end, "request " .. i)
        if i == 1 then
          loop.wait(function() return waiting[2] end, "request 2")
          loop.sleep(50)
          assert.equal(2, #waiting)
        end
        local n = id(entry[1].body)
        if i > 2 then assert.equal(tostring(i), n) end
        entry[2]:send(json(result(n)))
        driver:expect(("message 0 %s %s"):format(n, result(n)))
      end
      driver:finish()
      assert.equal(2, #server.connections)
    end)

    it("an answer while as many requests as may wait for it", function()
      local held = {}
      local server = support.listen(function(request, conn)
        if id(request.body) and request.body:find "method" then
          held[#held + 1] = { request, conn }
        else
          conn:send(accepted())
          for _, entry in ipairs(held) do entry[2]:send(json(result(id(entry[1].body)))) end
        end
      end)
      local driver = start(server, { max_open = 2 })
      for i = 1, 2 do driver:tell(("send 0 r%d %s"):format(i, ping(i))) end
      server.wait_request(2)
      driver:tell 'send 0 a {"jsonrpc":"2.0","id":5,"result":{}}'
      local lines = { driver:line(), driver:line() }
      table.sort(lines)
      assert.same({ "message 0 1 " .. result(1), "message 0 2 " .. result(2) }, lines)
      driver:finish()
    end)

    it("another request while as many streams as may wait are open", function()
      local server = support.listen(function(request, conn, n)
        if n <= 2 then
          conn:send(support.sse_head() .. support.chunk ": hello\n\n")
        else
          conn:send(json(result(id(request.body))))
        end
      end)
      local driver = start(server, { max_open = 2 })
      for i = 1, 2 do driver:tell(("send 0 r%d %s"):format(i, ping(i))) end
      server.wait_request(2)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect("message 0 3 " .. result(3))
      driver:finish()
    end)

    it("says when to stop, and when to go on", function()
      local server = support.listen(answer)
      local driver = start(server, { max_open = 4 })
      driver:tell "burst 0 300 10"
      driver:expect "burst 0 full=45 first=256 refused=0"
      local n, drained = 0, nil
      while n < 300 or not drained do
        local line = driver:line()
        if line == "drain 0" then
          assert.is_nil(drained)
          drained = n
        else
          assert.equal("failed 0", line:sub(1, 8)) -- the bodies of a burst are no JSON
          n = n + 1
        end
      end
      driver:finish()
    end)

    it("no more than it can keep", function()
      local server = support.listen(function() end)
      local driver = start(server, { max_open = 1 })
      driver:tell "burst 0 5000 10"
      driver:expect "burst 0 full=3841 first=256 refused=904"
      server.wait_request(1)
      driver:finish()
      assert.equal(1, #server.requests)
    end)

    it("big messages whole, in both directions", function()
      local big = ("0123456789abcdef"):rep(80000) -- more than any socket takes at once
      local server = support.listen(function(request, conn)
        assert.equal(#request.body, tonumber(request.headers["content-length"]))
        conn:send(json(request.body))
      end)
      local driver = start(server, { max_message = 2 * #big })
      local body = '{"id":1,"result":"' .. big .. '"}'
      driver:tell("send 0 r1 " .. body)
      driver:expect "send 0 EFULL" -- it waits for its connection
      driver:expect "drain 0"
      driver:expect(("message 0 1 long %d %s"):format(#body, support.sum(body)), 10000)
      assert.equal(body, server.requests[1].body)
      driver:finish()
    end)
  end)

  describe("takes as a reply", function()
    local function exchange(bytes, expected, options)
      local server = support.listen(function(_, conn) conn:send(bytes) end)
      local driver = start(server, options)
      driver:tell("send 0 r3 " .. ping(3))
      for _, line in ipairs(type(expected) == "table" and expected or { expected }) do driver:expect(line) end
      driver:finish()
      return server
    end
    local whole = '{"jsonrpc":"2.0","id":3,"result":{"a":[1,2]}}'

    it("JSON with parameters in its type and any case", function()
      exchange("HTTP/1.1 200 OK\r\ncontent-TYPE: Application/JSON; charset=utf-8\r\ncontent-length: " .. #whole
        .. "\r\n\r\n" .. whole, "message 0 3 " .. whole)
    end)

    it("JSON in chunks", function()
      exchange("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. support.chunk(whole:sub(1, 7)) .. support.chunk(whole:sub(8)) .. support.last_chunk, "message 0 3 " .. whole)
    end)

    it("JSON until the connection ends", function()
      local server = support.listen(function(_, conn)
        conn:send("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" .. whole)
        conn:shutdown()
      end)
      local driver = start(server)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect("message 0 3 " .. whole)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect("message 0 3 " .. whole)
      driver:finish()
      assert.equal(2, #server.connections)
    end)

    it("the error of a 4xx as the owner's to read", function()
      local error_body = '{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"no"}}'
      exchange(reply(400, "application/json", error_body), "message 0 3 " .. error_body)
      exchange(reply(404, "application/json", error_body), "message 0 3 " .. error_body)
    end)

    it("a 4xx with other JSON as a failure all the same", function()
      exchange(reply(400, "application/json", '{"detail":"nope"}'), { 'message 0 3 {"detail":"nope"}',
        "failed 0 3 EPROTOCOL 400 the server answered 400 Bad Request" })
    end)

    it("JSON that isn't the response as a failure", function()
      exchange(json '{"x":1}', { 'message 0 3 {"x":1}',
        "failed 0 3 EPROTOCOL 200 the server answered with something that is not the response" })
    end)

    for _, case in ipairs {
      { "401", reply(401, "application/json", '{"error":"who"}'),
        'EREFUSED 401 the server wants authorization (401): give it an Authorization header: {"error":"who"}' },
      { "403", reply(403, "text/plain", "go\r\n\27[31maway"), "EREFUSED 403 the server forbids this (403): go ?[31maway" },
      { "404 without a session", reply(404, "text/html", "<h1>"), "EPROTOCOL 404 the server has nothing at this URL (404): <h1>" },
      { "405", reply(405), "EPROTOCOL 405 the server takes no such request at this URL (405)" },
      { "500 with JSON", reply(500, "application/json", '{"error":{}}'),
        'EPROTOCOL 500 the server answered 500 Internal Server Error: {"error":{}}' },
      { "503", reply(503), "EBUSY 503 the server is not available now (503)" },
      { "202 to a request", reply(202), "EPROTOCOL 202 the server took the request but gave no response" },
      { "204 to a request", "HTTP/1.1 204 No Content\r\n\r\n", "EPROTOCOL 204 the server took the request but gave no response" },
      { "an empty 200", reply(200, "application/json"), "EPROTOCOL 200 the server took the request but gave no response" },
      { "HTML", reply(200, "text/html", "<html>"), "EPROTOCOL 200 the server's response is neither JSON nor an event stream" },
      { "no type", reply(200, nil, "{}"), "EPROTOCOL 200 the server's response is neither JSON nor an event stream" },
      { "gzip", reply(200, "application/json", "\31\139", "Content-Encoding: gzip"),
        "EPROTOCOL 200 the server's response is compressed, which was not asked for" },
    } do
      it(case[1] .. " as a failure", function()
        exchange(case[2], "failed 0 3 " .. case[3])
      end)
    end

    it("garbage as a failure, once, and goes on", function()
      local n = 0
      local server = support.listen(function(request, conn)
        n = n + 1
        conn:send(n == 1 and "SSH-2.0-OpenSSH_9.2\r\n\r\n" or json(result(id(request.body))))
      end)
      local driver = start(server)
      driver:tell("send 0 r3 " .. ping(3))
      assert.matches("^failed 0 3 EPROTOCOL 0 ", driver:line())
      driver:tell("send 0 r4 " .. ping(4))
      driver:expect("message 0 4 " .. result(4))
      driver:finish()
      assert.equal(2, #server.connections)
    end)

    it("nothing that comes after a response", function()
      local server = support.listen(function(request, conn)
        conn:send(json(result(id(request.body))) .. json '{"forged":true}')
      end)
      local driver = start(server)
      for i = 1, 3 do
        driver:tell(("send 0 r%d %s"):format(i, ping(i)))
        driver:expect(("message 0 %d %s"):format(i, result(i)))
      end
      driver:finish()
      assert.equal(3, #server.connections)
    end)

    it("nothing that comes unasked between responses", function()
      local server = support.listen(function(request, conn)
        conn:send(json(result(id(request.body))))
        loop.after(30, function() conn:send(json '{"forged":true}') end)
      end)
      local driver = start(server)
      for i = 1, 2 do
        driver:tell(("send 0 r%d %s"):format(i, ping(i)))
        driver:expect(("message 0 %d %s"):format(i, result(i)))
        driver:quiet(80)
      end
      driver:finish()
      assert.equal(2, #server.connections)
    end)

    it("nothing larger than the limit, announced or not", function()
      local body = '{"id":3,"result":"' .. ("x"):rep(2000) .. '"}'
      local why = "failed 0 3 ELIMIT 200 the response is larger than 1000 bytes"
      exchange(json(body), why, { max_message = 1000 })
      exchange("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999999\r\n\r\n", why,
        { max_message = 1000 })
      exchange("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. support.chunk(body), why, { max_message = 1000 })
    end)

    it("exactly as much as the limit", function()
      local body = '{"id":3,"result":"' .. ("x"):rep(980) .. '"}'
      assert.equal(1000, #body)
      exchange(json(body), "message 0 3 " .. body, { max_message = 1000 })
    end)

    it("an error page that never ends", function()
      local server = support.listen(function(_, conn)
        conn:send "HTTP/1.1 500 X\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
        conn:send(support.chunk "oh no")
      end)
      local driver = start(server)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect "failed 0 3 EPROTOCOL 500 the server answered 500 Internal Server Error: oh no"
      driver:finish()
    end)

    it("a cut one as a failure", function()
      local server = support.listen(function(_, conn)
        conn:send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
        conn:shutdown()
      end)
      local driver = start(server)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect "failed 0 3 ECLOSED 200 the server closed the connection before the end of its response"
      driver:finish()
    end)

    it("any bytes cut anywhere", function()
      local bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n" .. support.chunk(whole:sub(1, 20)) .. support.chunk(whole:sub(21))
        .. support.last_chunk
      local pending
      local server = support.listen(function(_, conn) pending = conn end)
      local driver = start(server)
      for step = 1, 40, 3 do
        pending = nil
        driver:tell("send 0 r3 " .. ping(3))
        loop.wait(function() return pending end, "a request")
        for i = 1, #bytes, step do
          pending:send(bytes:sub(i, i + step - 1))
          if step < 5 and i % 20 == 1 then support.turn() end
        end
        driver:expect("message 0 3 " .. whole)
      end
      driver:finish()
    end)
  end)

  describe("keeps a session", function()
    it("with its id and version from the handshake on, and ends it", function()
      local server = session_server(answer)
      local driver = start(server)
      handshake(driver, server)
      driver:tell("send 0 r2 " .. ping(2))
      driver:expect("message 0 2 " .. result(2))
      driver:finish()
      local seen = {}
      for i, request in ipairs(server.requests) do
        seen[i] = { request.method, request.headers["mcp-session-id"] or "", request.headers["mcp-protocol-version"] or "" }
      end
      assert.same({ { "POST", "", "" }, { "POST", "s-1", "2025-11-25" }, { "POST", "s-1", "2025-11-25" },
        { "DELETE", "s-1", "2025-11-25" } }, seen)
      assert.equal("DELETE /mcp HTTP/1.1", server.requests[4].start)
      assert.is_nil(server.requests[4].headers["content-type"])
    end)

    it("taken from the response to initialize only", function()
      local server = session_server(function(request, conn)
        if request.method == "DELETE" then
          conn:send(reply(405))
        else
          conn:send(json(result(id(request.body)), "Mcp-Session-Id: other", "Set-Cookie: a=b"))
        end
      end)
      local driver = start(server)
      handshake(driver, server)
      for i = 2, 3 do
        driver:tell(("send 0 r%d %s"):format(i, ping(i)))
        driver:expect(("message 0 %d %s"):format(i, result(i)))
      end
      assert.equal("s-1", server.requests[4].headers["mcp-session-id"])
      assert.is_nil(server.requests[4].headers.cookie)
      driver:finish()
    end)

    it("from an event stream too", function()
      local server = support.listen(function(request, conn, n)
        if n > 1 then return answer(request, conn) end
        conn:send(support.sse_head "Mcp-Session-Id: s-9" .. support.chunk("data: " .. result(1) .. "\n\n") .. support.last_chunk)
      end)
      local driver = start(server)
      handshake(driver, server)
      assert.equal("s-9", server.requests[2].headers["mcp-session-id"])
      driver:finish()
    end)

    for _, case in ipairs {
      { "a blank", "Mcp-Session-Id: a b" }, { "a byte beyond ASCII", "Mcp-Session-Id: a\195\164" },
      { "nothing in it", "Mcp-Session-Id: " }, { "too much in it", "Mcp-Session-Id: " .. ("x"):rep(1025) },
      { "a second one", "Mcp-Session-Id: a\r\nMcp-Session-Id: a" },
    } do
      it("but no id with " .. case[1], function()
        local server = support.listen(function(_, conn) conn:send(json(result(1), case[2])) end)
        local driver = start(server)
        driver:tell "send 0 i1 {}"
        driver:expect "failed 0 1 EPROTOCOL 200 the server gave a session id that is none"
        driver:finish()
        assert.equal(1, #server.requests)
      end)
    end

    it("until the server knows it no more", function()
      local server = session_server(function(request, conn)
        conn:send(reply(404, "application/json", '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"x"}}'))
        assert.equal("POST", request.method)
      end)
      local driver = start(server)
      handshake(driver, server)
      driver:tell("send 0 r2 " .. ping(2))
      assert.matches("^failed 0 2 ENOTFOUND 404 the server knows this session no more %(404%)", driver:line())
      driver:finish()
      assert.equal(3, #server.requests) -- and no DELETE
    end)

    it("and begins another on the same channel", function()
      local server = support.listen(function(request, conn, n)
        if n == 1 or n == 4 then
          conn:send(json(result(1), "Mcp-Session-Id: s-" .. n))
        elseif n == 3 then
          conn:send(reply(404))
        else
          answer(request, conn)
        end
      end)
      local driver = start(server)
      handshake(driver, server)
      driver:tell("send 0 r2 " .. ping(2))
      assert.matches("^failed 0 2 ENOTFOUND 404 ", driver:line())
      driver:tell "send 0 i1 {}"
      driver:expect("message 0 1 " .. result(1))
      driver:tell("send 0 r2 " .. ping(2))
      driver:expect("message 0 2 " .. result(2))
      assert.is_nil(server.requests[4].headers["mcp-session-id"])
      assert.is_nil(server.requests[4].headers["mcp-protocol-version"])
      assert.equal("s-4", server.requests[5].headers["mcp-session-id"])
      driver:finish()
    end)

    it("and sends nothing else before initialized was taken", function()
      local held
      local server = support.listen(function(request, conn, n)
        if n == 2 then held = conn else answer(request, conn) end
      end)
      local driver = start(server)
      handshake(driver, server)
      for i = 2, 4 do driver:tell(("send 0 r%d %s"):format(i, ping(i))) end
      loop.sleep(50)
      assert.equal(2, #server.requests)
      held:send(accepted())
      for i = 2, 4 do server.wait_request(i) end
      driver:until_line "message 0 4 "
      driver:finish()
    end)

    it("one of several on a pool", function()
      local n = 0
      local server = support.listen(function(request, conn)
        if request.body:find "initialize" then
          n = n + 1
          conn:send(json(result(1), "Mcp-Session-Id: s-" .. n))
        else
          answer(request, conn)
        end
      end)
      local driver = start(server)
      driver:tell "open"
      driver:expect "ready 1"
      for k = 0, 1 do
        driver:tell(("send %d i1 {\"id\":1,\"method\":\"initialize\"}"):format(k))
        driver:expect(("message %d 1 %s"):format(k, result(1)))
      end
      for k = 1, 0, -1 do
        driver:tell(("send %d r2 %s"):format(k, ping(2)))
        driver:expect(("message %d 2 %s"):format(k, result(2)))
      end
      assert.equal("s-2", server.requests[3].headers["mcp-session-id"])
      assert.equal("s-1", server.requests[4].headers["mcp-session-id"])
      assert.equal(1, #server.connections)
      driver:tell "close 1"
      driver:expect "closed 1 0 closed"
      driver:tell("send 0 r2 " .. ping(2))
      driver:expect("message 0 2 " .. result(2))
      driver:finish()
    end)
  end)

  describe("follows a redirect", function()
    local function redirecting(status, to, n_max)
      local server
      server = support.listen(function(request, conn, n)
        if n <= (n_max or 1) then
          conn:send(reply(status, "text/html", "moved", "Location: " .. to:gsub("ORIGIN", server.url)))
        else
          answer(request, conn)
        end
      end)
      return server
    end

    for _, case in ipairs {
      { 307, "/mcp/", "/mcp/" }, { 308, "ORIGIN/other?x=1", "/other?x=1" }, { 307, "deep/../est", "/est" },
      { 307, "?q", "/mcp?q" },
    } do
      it(case[1] .. " to " .. case[2], function()
        local server = redirecting(case[1], case[2])
        local driver = start(server)
        driver:tell("send 0 r3 " .. ping(3))
        driver:expect("message 0 3 " .. result(3))
        assert.equal("POST " .. case[3] .. " HTTP/1.1", server.requests[2].start)
        assert.equal(ping(3), server.requests[2].body)
        assert.equal(server.requests[1].raw:match "\r\n(.*)", server.requests[2].raw:match "\r\n(.*)")
        driver:finish()
        assert.equal(1, #server.connections)
      end)
    end

    it("five times, not six", function()
      for n, expected in pairs { [5] = "message 0 3 " .. result(3),
        [6] = "failed 0 3 EPROTOCOL 307 the server redirects again and again" } do
        local server = redirecting(307, "/again", n)
        local driver = start(server)
        driver:tell("send 0 r3 " .. ping(3))
        driver:expect(expected)
        driver:finish()
      end
    end)

    for _, case in ipairs {
      { 307, "http://127.0.0.2:1/mcp", "another origin, which is not followed: http://127.0.0.2:1/mcp" },
      { 307, "//example.com/x", "another origin, which is not followed: http://example.com/x" },
      { 302, "/mcp/", "with 302, which would make a GET of the POST; its URL may have to end in /mcp/" },
      { 301, "/m", "with 301, which would make a GET of the POST; its URL may have to end in /m" },
      { 308, "ftp://x/", "without saying where to" }, { 308, "http://u:p@h/", "without saying where to" },
    } do
      it(("not %d to %s"):format(case[1], case[2]), function()
        local server = redirecting(case[1], case[2])
        local driver = start(server)
        driver:tell("send 0 r3 " .. ping(3))
        driver:expect(("failed 0 3 EPROTOCOL %d the server redirects %s%s"):format(case[1],
          case[3]:find "^another" and "to " or "", case[3]))
        driver:finish()
        assert.equal(1, #server.requests)
      end)
    end
  end)

  describe("tells a lost", function()
    it("notification or response without a tag", function()
      local server = support.listen(function(_, conn) conn:send(reply(400, "text/plain", "no session")) end)
      local driver = start(server)
      driver:tell 'send 0 n {"method":"notifications/cancelled"}'
      driver:expect "failed 0 0 EPROTOCOL 400 the server answered 400 Bad Request: no session"
      driver:tell 'send 0 a {"id":1,"result":{}}'
      driver:expect "failed 0 0 EPROTOCOL 400 the server answered 400 Bad Request: no session"
      driver:finish()
    end)

    it("acknowledgement, and lets others go on", function()
      local server = support.listen(function(request, conn)
        if not request.body:find "stuck" then conn:send(accepted()) end
      end)
      local driver = start(server, { connect_timeout = 100 })
      for _ = 1, 16 do driver:tell 'send 0 n {"method":"stuck"}' end
      driver:tell 'send 0 a {"id":1,"result":{}}'
      for _ = 1, 16 do
        driver:expect "failed 0 0 ETIMEOUT 0 the server didn't say in time that it has the message"
      end
      assert.equal('{"id":1,"result":{}}', server.wait_request(17).body)
      driver:finish()
    end)

    it("server", function()
      local server = support.listen(answer)
      local port = server.port
      server.close()
      loop.sleep(5)
      local driver = support.start { url = ("http://127.0.0.1:%d/mcp"):format(port) }
      for i = 1, 3 do driver:tell(("send 0 r%d %s"):format(i, ping(i))) end
      local lines = driver:until_line "failed 0 3"
      assert.equal(2, #lines)
      assert.matches(("^failed 0 1 ECONNECT 0 can't reach http://127%%.0%%.0%%.1:%d: "):format(port), lines[1])
      driver:finish()
    end)
  end)

  it("says nothing of a notification's body", function()
    local server = support.listen(function(_, conn, n)
      conn:send(n == 1 and json '{"ok":true}' or n == 2 and reply(200) or "HTTP/1.1 204 X\r\n\r\n")
    end)
    local driver = start(server)
    for _ = 1, 3 do driver:tell 'send 0 n {"method":"x"}' end
    server.wait_request(3)
    driver:quiet(50)
    driver:finish()
  end)

  describe("gives up", function()
    it("a request nobody waits for, sent or not", function()
      local server = support.listen(function() end)
      local driver = start(server, { max_open = 1 })
      driver:tell("send 0 r1 " .. ping(1))
      driver:tell("send 0 r2 " .. ping(2))
      server.wait_request(1)
      driver:tell "abandon 0 2"
      driver:tell "abandon 0 1"
      server.connections[1]:wait_end()
      driver:quiet(50)
      assert.equal(1, #server.requests)
      driver:finish()
    end)

    it("no connection when the response comes in time after all", function()
      local server = support.listen(function(request, conn)
        loop.after(60, function() conn:send(json(result(id(request.body)))) end)
      end)
      local driver = start(server)
      driver:tell("send 0 r1 " .. ping(1))
      server.wait_request(1)
      driver:tell "abandon 0 1"
      driver:quiet(150)
      driver:tell("send 0 r2 " .. ping(2))
      driver:expect("message 0 2 " .. result(2))
      assert.equal(1, #server.connections)
      driver:finish()
    end)
  end)

  describe("closes", function()
    it("without a word when there is no session", function()
      local server = support.listen(answer)
      local driver = start(server)
      driver:tell "close 0"
      driver:expect "closed 0 0 closed"
      driver:tell "pool"
      driver:expect "pool closed"
      driver:ended()
      assert.equal(0, #server.connections)
    end)

    it("before it was ready", function()
      local driver = support.start { url = "http://127.0.0.1:1/", bare = true }
      driver:tell "open\nclose 0\npool"
      driver:expect "closed 0 0 closed"
      driver:expect "pool closed"
      driver:ended()
    end)

    it("with requests under way, of which nothing is told", function()
      local server = support.listen(function() end)
      local driver = start(server, { max_open = 2 })
      for i = 1, 4 do driver:tell(("send 0 r%d %s"):format(i, ping(i))) end
      server.wait_request(2)
      driver:tell "close 0"
      driver:expect "closed 0 0 closed"
      driver:tell "pool"
      driver:expect "pool closed"
      driver:ended()
    end)

    it("from inside a message, and from inside a failure", function()
      for _, bytes in ipairs { json(result(1)), reply(500),
        support.sse_head() .. support.chunk("data: 1\n\ndata: 2\n\n") } do
        local server = support.listen(function(_, conn) conn:send(bytes) end)
        local driver = start(server)
        driver:tell "close-inside"
        driver:tell("send 0 r1 " .. ping(1))
        local line = driver:line()
        assert.truthy(line:find "^message 0 1 " or line:find "^failed 0 1 ")
        driver:expect "closed 0 0 closed"
        driver:tell "pool"
        driver:expect "pool closed"
        driver:ended()
      end
    end)

    it("after its last answers went out", function()
      local server = session_server(function(request, conn)
        if request.method == "DELETE" then
          conn:send(reply(200))
        else
          loop.after(60, function() conn:send(accepted()) end)
        end
      end)
      local driver = start(server)
      handshake(driver, server)
      driver:tell 'send 0 n {"method":"notifications/cancelled"}'
      driver:tell "close 0"
      driver:expect "closed 0 0 closed"
      assert.equal("DELETE", server.requests[4].method)
      driver:tell "pool"
      driver:expect "pool closed"
      driver:ended()
    end)

    it("in bounded time when the server doesn't answer DELETE", function()
      local server = session_server(function() end)
      local driver = start(server)
      handshake(driver, server)
      local started = loop.uv.hrtime()
      driver:tell "close 0"
      driver:expect "closed 0 0 closed"
      local ms = (loop.uv.hrtime() - started) / 1e6
      assert.truthy(ms > 900 and ms < 2000 * loop.slow)
      driver:tell "pool"
      driver:expect "pool closed"
      driver:ended()
    end)

    it("in any order with its pool", function()
      local server = session_server(answer)
      local driver = start(server)
      handshake(driver, server)
      driver:tell "pool"
      driver:quiet(30)
      driver:tell "close 0"
      driver:expect "closed 0 0 closed"
      driver:expect "pool closed"
      driver:ended()
      assert.equal("DELETE", server.requests[3].method)
    end)

    it("when its master goes", function()
      local server = session_server(answer)
      local driver = start(server)
      handshake(driver, server)
      driver.process:close_stdin()
      driver:expect "closed 0 0 closed"
      driver:expect "pool closed"
      driver:ended()
    end)
  end)

  it("costs two allocations for a call on a warm connection", function()
    if support.sanitized then pending "the sanitizer's allocator can't be counted" return end
    local server = support.listen(answer)
    local driver = start(server)
    for i = 1, 3 do
      driver:tell(("cost 0 r%d %s"):format(i, ping(i)))
      local cost = tonumber(driver:line():match "^cost (%d+)$")
      driver:expect(("message 0 %d %s"):format(i, result(i)))
      if i > 1 then assert.truthy(cost <= 2, cost .. " allocations") end
    end
    driver:finish()
  end)

  it("refuses headers that aren't the user's to set, or would be two", function()
    for header, why in pairs {
      ["X-A: b\r\nX-C: d"] = "a header's value holds a control character", ["X-A"] = "a header is not of the form 'Name: value'",
      ["X A: b"] = "a header is not of the form 'Name: value'", [": b"] = "a header is not of the form 'Name: value'",
      ["content-LENGTH: 1"] = "a header is one of those that Lunette sets itself",
      ["Mcp-Session-Id: x"] = "a header is one of those that Lunette sets itself",
      ["Host: x"] = "a header is one of those that Lunette sets itself",
    } do
      local driver = support.start { url = "http://127.0.0.1:1/", header = header, bare = true }
      assert.equal("refused " .. why, driver.first)
      driver:ended()
    end
  end)
end)
