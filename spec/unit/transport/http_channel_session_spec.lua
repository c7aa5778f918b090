-- The session of the HTTP channel: how it is kept, redirected, lost, given up and closed, against a server that sends
-- exactly the bytes it is told.
local loop = require "spec.support.loop"
local support = require "spec.unit.transport.http_channel_support"

local accepted, id, json, ping, reply, result = support.accepted, support.id, support.json, support.ping,
  support.reply, support.result

local answer, start = support.answer, support.start_at

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
      { 307, "//example.com/x?token=abc", "another origin, which is not followed: http://example.com/x" },
      { 302, "/mcp/", "in a way that would make a GET of the POST; its URL may have to be another: /mcp/" },
      { 301, "/m", "in a way that would make a GET of the POST; its URL may have to be another: /m" },
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
