-- Requests over Streamable HTTP and replies of every kind, against a server that sends exactly the bytes it is told.
local loop = require "spec.support.loop"
local support = require "spec.unit.transport.http_channel_support"

local accepted, id, json, ping, reply, result = support.accepted, support.id, support.json, support.ping,
  support.reply, support.result

local answer, start = support.answer, support.start_at

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
      local why = "failed 0 3 ELIMIT 200 the response is larger than 1000 bytes (max_message_bytes)"
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

end)
