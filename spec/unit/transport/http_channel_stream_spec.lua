-- Event streams of one session: replies in events, streams that break off and are resumed, the
-- listening stream, back-pressure.
local loop = require "spec.support.loop"
local support = require "spec.unit.transport.http_channel_support"

local accepted, chunk, id, json, last_chunk, ping, reply, result, sse_head = support.accepted, support.chunk,
  support.id, support.json, support.last_chunk, support.ping, support.reply, support.result, support.sse_head

local function start(server, options)
  options = options or {}
  options.url = server.url .. "/mcp"
  return support.start(options)
end

-- Answers initialize and initialized; the rest is the handler's, with n counting from 1 again.
local function session_server(handler)
  return support.listen(function(request, conn, n)
    if n == 1 then
      conn:send(json(result(1), "Mcp-Session-Id: s-1"))
    elseif n == 2 then
      conn:send(accepted())
    elseif request.method == "DELETE" then
      conn:send(reply(200))
    else
      handler(request, conn, n - 2)
    end
  end)
end

local function handshake(driver, listen)
  driver:tell("send 0 i1 " .. '{"jsonrpc":"2.0","id":1,"method":"initialize"}')
  driver:expect("message 0 1 " .. result(1))
  driver:tell("initialized 0 " .. (listen and 1 or 0) .. " 2025-06-18")
  driver:tell 'send 0 n {"jsonrpc":"2.0","method":"notifications/initialized"}'
end

local function note(n)
  return ('{"jsonrpc":"2.0","method":"x","params":{"n":%d}}'):format(n)
end

describe("an event stream", function()
  setup(support.build)
  teardown(support.remove)
  after_each(loop.finish)

  describe("in reply to a request", function()
    it("brings its messages in order, whatever the line ends and however it is cut", function()
      local text = "\239\187\191: hello\r\n\r\nid: 1\r\ndata: \r\n\r\nevent: message\rdata: " .. note(1) .. "\r\rdata:"
        .. note(2) .. "\nid: 2\n\nevent: other\ndata: no\n\ndata: {\ndata:\"a\":1}\n\ndata: " .. result(3) .. "\n\n"
      local function chunks(step)
        local out = {}
        for i = 1, #text, step do out[#out + 1] = chunk(text:sub(i, i + step - 1)) end
        return sse_head() .. table.concat(out) .. last_chunk
      end
      local pending
      local server = support.listen(function(_, conn) pending = conn end)
      local driver = start(server)
      for _, sizes in ipairs { { 1, 7 }, { 2, 50 }, { 5, 1 }, { 1000, 3 }, { 1000, 5000 }, { 13, 5000 } } do
        pending = nil
        driver:tell("send 0 r3 " .. ping(3))
        loop.wait(function() return pending end, "a request")
        local bytes = chunks(sizes[1])
        for i = 1, #bytes, sizes[2] do
          pending:send(bytes:sub(i, i + sizes[2] - 1))
          if i % 40 == 1 then support.turn() end
        end
        driver:expect("message 0 3 " .. note(1))
        driver:expect("message 0 3 " .. note(2))
        driver:expect 'message 0 3 {\\n"a":1}'
        driver:expect("message 0 3 " .. result(3))
      end
      driver:finish()
      assert.equal(1, #server.connections)
    end)

    it("may last until its connection ends", function()
      local server = support.listen(function(_, conn)
        conn:send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\ndata: " .. note(1) .. "\n\n")
        loop.after(20, function()
          conn:send("data: " .. result(3) .. "\n\n")
          conn:close()
        end)
      end)
      local driver = start(server)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect("message 0 3 " .. note(1))
      driver:expect("message 0 3 " .. result(3))
      driver:quiet(50)
      driver:finish()
    end)

    it("is left when it goes on after the response", function()
      local server = support.listen(function(request, conn)
        conn:send(sse_head() .. chunk("data: " .. result(id(request.body)) .. "\n\ndata: " .. note(9) .. "\n\n"))
        loop.after(30, function() conn:send(chunk("data: " .. note(10) .. "\n\n")) end)
      end)
      local driver = start(server)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect("message 0 3 " .. result(3))
      server.connections[1]:wait_end(2000)
      driver:quiet(20)
      driver:finish()
    end)

    it("keeps its connection when it ends a moment after the response", function()
      local server = support.listen(function(request, conn)
        conn:send(sse_head() .. chunk("data: " .. result(id(request.body)) .. "\n\n"))
        loop.after(50, function() conn:send(last_chunk) end)
      end)
      local driver = start(server)
      for i = 1, 3 do
        driver:tell(("send 0 r%d %s"):format(i, ping(i)))
        driver:expect(("message 0 %d %s"):format(i, result(i)))
        driver:quiet(120)
      end
      driver:finish()
      assert.equal(1, #server.connections)
    end)

    it("fails its request when it ends without the response", function()
      for _, ending in ipairs { last_chunk, "", "junk\r\n" } do
        local server = support.listen(function(_, conn)
          conn:send(sse_head() .. chunk("data: " .. note(1) .. "\n\n") .. ending)
          if ending == "" then conn:close() end
        end)
        local driver = start(server)
        driver:tell("send 0 r3 " .. ping(3))
        driver:expect("message 0 3 " .. note(1))
        driver:expect "failed 0 3 ECLOSED 0 the stream ended without the response"
        driver:finish()
        assert.equal(1, #server.requests)
      end
    end)

    it("fails its request over an event that is too large", function()
      local server = support.listen(function(_, conn)
        conn:send(sse_head() .. chunk("id: 1\ndata: " .. note(1) .. "\n\n") .. chunk("data: " .. ("x"):rep(200)))
      end)
      local driver = start(server, { max_message = 100 })
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect("message 0 3 " .. note(1))
      driver:expect "failed 0 3 ELIMIT 0 an event of the server's is larger than 100 bytes (max_message_bytes)"
      driver:finish()
    end)

    it("may be longer in all than one message", function()
      local server = support.listen(function(_, conn)
        conn:send(sse_head())
        for i = 1, 100 do conn:send(chunk("data: " .. note(i) .. "\n\n")) end
        conn:send(chunk("data: " .. result(3) .. "\n\n") .. last_chunk)
      end)
      local driver = start(server, { max_message = 100 })
      driver:tell("send 0 r3 " .. ping(3))
      for i = 1, 100 do driver:expect("message 0 3 " .. note(i)) end
      driver:expect("message 0 3 " .. result(3))
      driver:finish()
    end)
  end)

  describe("is resumed", function()
    it("by GET from its last whole event, after the time the server asked for", function()
      local ended
      local server = session_server(function(_, conn, n)
        if n == 1 then
          conn:send(sse_head() .. chunk("id: e1\nretry: 150\ndata:\n\nid: e2\ndata: " .. note(1) .. "\n\nid: e3\ndata: cut")
            .. last_chunk)
          ended = loop.uv.hrtime()
        else
          assert.truthy((loop.uv.hrtime() - ended) / 1e6 >= 150)
          conn:send(sse_head() .. chunk("id: e3\ndata: " .. note(2) .. "\n\nid: e4\ndata: " .. result(3) .. "\n\n") .. last_chunk)
        end
      end)
      local driver = start(server, { header = "X-Key: k" })
      handshake(driver)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect("message 0 3 " .. note(1))
      driver:expect("message 0 3 " .. note(2))
      driver:expect("message 0 3 " .. result(3))
      assert.equal(("GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept-Encoding: identity\r\nX-Key: k\r\n"):format(server.port)
        .. "User-Agent: lunette/VERSION\r\nAccept: text/event-stream\r\nMcp-Session-Id: s-1\r\n"
        .. "MCP-Protocol-Version: 2025-06-18\r\nLast-Event-ID: e2", (server.requests[4].raw:gsub("lunette/[%d.]+", "lunette/VERSION")))
      assert.equal("", server.requests[4].body)
      driver:finish()
      assert.equal(5, #server.requests)
    end)

    it("with word of it when the server ended it on purpose, and not when it broke", function()
      local server = session_server(function(_, conn, n)
        if n == 1 then
          conn:send(sse_head() .. chunk("id: e1\nretry: 20\ndata:\n\n") .. last_chunk)
        elseif n == 2 then
          conn:send(sse_head() .. chunk("id: e2\nretry: 30\ndata:\n\n"))
          loop.after(10, function() conn:reset() end)
        else
          conn:send(sse_head() .. chunk("data: " .. result(3) .. "\n\n") .. last_chunk)
        end
      end)
      local driver = start(server)
      driver:tell "tell-disconnected"
      handshake(driver)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect "disconnected 0 3 20"
      driver:expect("message 0 3 " .. result(3))
      driver:finish()
    end)

    it("as often as it brings something", function()
      local server = session_server(function(_, conn, n)
        if n < 9 then
          conn:send(sse_head() .. chunk(("retry: 10\nid: e%d\ndata: %s\n\n"):format(n, note(n))) .. last_chunk)
        else
          conn:send(sse_head() .. chunk("data: " .. result(3) .. "\n\n") .. last_chunk)
        end
      end)
      local driver = start(server)
      handshake(driver)
      driver:tell("send 0 r3 " .. ping(3))
      for i = 1, 8 do driver:expect("message 0 3 " .. note(i)) end
      driver:expect("message 0 3 " .. result(3))
      for i = 2, 9 do assert.equal("e" .. i - 1, server.requests[i + 2].headers["last-event-id"]) end
      driver:finish()
    end)

    it("over a connection that broke, too", function()
      local server = session_server(function(_, conn, n)
        if n == 1 then
          conn:send(sse_head() .. chunk("retry: 10\nid: e1\ndata:\n\n"))
          loop.after(10, function() conn:reset() end)
        else
          conn:send(sse_head() .. chunk("data: " .. result(3) .. "\n\n") .. last_chunk)
        end
      end)
      local driver = start(server)
      handshake(driver)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect("message 0 3 " .. result(3))
      assert.equal("e1", server.requests[4].headers["last-event-id"])
      driver:finish()
    end)

    for _, case in ipairs {
      -- The server had the request: no error that would have it sent again to a new session.
      { 404, "ECLOSED 404 the server knows this session no more (404)" },
      { 405, "ECLOSED 405 the server takes no such request at this URL (405)" },
      { 400, "ECLOSED 400 the server answered 400 Bad Request" },
    } do
      it(("not when GET is answered with %d"):format(case[1]), function()
        local server = session_server(function(_, conn, n)
          conn:send(n == 1 and sse_head() .. chunk "retry: 10\nid: e1\ndata:\n\n" .. last_chunk or reply(case[1]))
        end)
        local driver = start(server)
        handshake(driver)
        driver:tell("send 0 r3 " .. ping(3))
        driver:expect("failed 0 3 " .. case[2])
        driver:finish()
      end)
    end

    it("not when GET is answered with something else than events", function()
      local server = session_server(function(_, conn, n)
        conn:send(n == 1 and sse_head() .. chunk "retry: 10\nid: e1\ndata:\n\n" .. last_chunk or json "{}")
      end)
      local driver = start(server)
      handshake(driver)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect "failed 0 3 ECLOSED 200 the server's answer is not an event stream"
      driver:finish()
    end)

    it("not any more once it is abandoned", function()
      local server = session_server(function(_, conn)
        conn:send(sse_head() .. chunk "retry: 60\nid: e1\ndata:\n\n" .. last_chunk)
      end)
      local driver = start(server)
      handshake(driver)
      driver:tell("send 0 r3 " .. ping(3))
      server.wait_request(3)
      loop.sleep(20)
      driver:tell "abandon 0 3"
      driver:quiet(120)
      assert.equal(3, #server.requests)
      driver:finish()
    end)

    it("not for ever without an event", function()
      local server = session_server(function(_, conn, n)
        conn:send(n == 1 and sse_head() .. chunk "retry: 10\nid: e1\ndata: x\n\n" .. last_chunk or sse_head() .. last_chunk)
      end)
      local driver = start(server)
      handshake(driver)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect "message 0 3 x"
      loop.sleep(2500) -- the first retry at once, then after 2, 4, 8 … seconds
      driver:quiet(1)
      assert.equal(5, #server.requests)
      driver:finish()
    end)

    it("with no id that would break the header", function()
      for _, bad in ipairs { "a\1b", ("x"):rep(1025) } do
        local server = session_server(function(_, conn)
          conn:send(sse_head() .. chunk("retry: 10\nid: " .. bad .. "\ndata:\n\n") .. last_chunk)
        end)
        local driver = start(server)
        handshake(driver)
        driver:tell("send 0 r3 " .. ping(3))
        driver:expect "failed 0 3 ECLOSED 0 the stream ended without the response"
        driver:finish()
      end
    end)
  end)

  describe("that listens", function()
    it("is opened after initialized was taken, and again when it ends", function()
      local server = session_server(function(request, conn, n)
        assert.equal("GET", request.method)
        if n == 1 then
          assert.is_nil(request.headers["last-event-id"])
          conn:send(sse_head() .. chunk("retry: 20\nid: g1\ndata: " .. note(1) .. "\n\n") .. last_chunk)
        else
          assert.equal("g1", request.headers["last-event-id"])
          conn:send(sse_head() .. chunk("data: " .. note(2) .. "\n\n"))
        end
      end)
      local driver = start(server)
      handshake(driver, true)
      driver:expect("message 0 0 " .. note(1))
      driver:expect("message 0 0 " .. note(2))
      assert.equal("s-1", server.requests[3].headers["mcp-session-id"])
      assert.equal("text/event-stream", server.requests[3].headers.accept)
      driver:finish()
      assert.equal(5, #server.requests)
    end)

    for _, status in ipairs { 405, 404, 400, 501 } do
      it(("is done without, quietly, after %d"):format(status), function()
        local server = session_server(function(request, conn)
          conn:send(request.method == "GET" and reply(status, "text/plain", "no") or json(result(3)))
        end)
        local driver = start(server)
        handshake(driver, true)
        server.wait_request(3)
        driver:quiet(50)
        driver:tell("send 0 r3 " .. ping(3))
        driver:expect("message 0 3 " .. result(3))
        driver:finish()
        assert.equal(5, #server.requests)
        assert.equal("GET", server.requests[3].method)
      end)
    end

    it("isn't opened when initialized was not taken", function()
      local server = support.listen(function(request, conn, n)
        conn:send(n == 1 and json(result(1)) or request.method == "POST" and reply(400) or sse_head())
      end)
      local driver = start(server)
      handshake(driver, true)
      driver:expect "failed 0 0 EPROTOCOL 400 the server answered 400 Bad Request"
      driver:quiet(50)
      assert.equal(2, #server.requests)
      driver:finish()
    end)

    it("isn't opened unasked", function()
      local server = session_server(function() error "nothing is expected" end)
      local driver = start(server)
      handshake(driver)
      server.wait_request(2)
      driver:quiet(50)
      driver:finish()
      assert.equal(3, #server.requests)
    end)

    it("is tried again after a 503", function()
      local server = session_server(function(_, conn, n)
        conn:send(n == 1 and reply(503) or sse_head() .. chunk("data: " .. note(1) .. "\n\n"))
      end)
      local driver = start(server)
      handshake(driver, true)
      driver:expect("message 0 0 " .. note(1))
      driver:finish()
    end)

    for _, answer in ipairs { "a stream", 405, 503, "nothing" } do
      it(("holds up what is asked until it was answered: %s"):format(answer), function()
        local listening
        local server = session_server(function(request, conn)
          if request.method == "GET" then
            listening = conn
          else
            conn:send(json(result(id(request.body))))
          end
        end)
        local driver = start(server)
        handshake(driver, true)
        for i = 2, 3 do driver:tell(("send 0 r%d %s"):format(i, ping(i))) end
        server.wait_request(3)
        driver:quiet(50)
        assert.equal(3, #server.requests)
        if answer == "a stream" then
          listening:send(sse_head())
        elseif answer == "nothing" then
          listening:close()
        else
          listening:send(reply(answer))
        end
        assert.same({ "message 0 2 " .. result(2) }, (driver:until_line "message 0 3 "))
        driver:finish()
      end)
    end

    it("holds up nothing for long", function()
      local server = session_server(function(request, conn)
        if request.method ~= "GET" then conn:send(json(result(3))) end
      end)
      local driver = start(server)
      handshake(driver, true)
      driver:tell("send 0 r3 " .. ping(3))
      driver:expect("message 0 3 " .. result(3))
      assert.equal("GET", server.requests[3].method)
      driver:finish()
    end)

    it("holds up no last words", function()
      local server = session_server(function(request, conn)
        if request.method ~= "GET" then conn:send(accepted()) end
      end)
      local driver = start(server)
      handshake(driver, true)
      server.wait_request(3)
      driver:tell('send 0 n {"jsonrpc":"2.0","method":"x"}')
      driver:finish()
      assert.equal('{"jsonrpc":"2.0","method":"x"}', server.requests[4].body)
      assert.equal("DELETE", server.requests[5].method)
    end)

    it("is opened again when the server has not yet noticed its end", function()
      local server = session_server(function(_, conn, n)
        if n == 1 then
          conn:send(sse_head() .. chunk("retry: 10\ndata: " .. note(1) .. "\n\n") .. last_chunk)
        else
          conn:send(n == 2 and reply(409) or sse_head() .. chunk("data: " .. note(2) .. "\n\n"))
        end
      end)
      local driver = start(server)
      handshake(driver, true)
      driver:expect("message 0 0 " .. note(1))
      driver:expect("message 0 0 " .. note(2))
      driver:finish()
    end)

    it("tells that the session ended", function()
      local server = session_server(function(_, conn, n)
        conn:send(n == 1 and sse_head() .. chunk("retry: 10\ndata: " .. note(1) .. "\n\n") .. last_chunk or reply(404))
      end)
      local driver = start(server)
      handshake(driver, true)
      driver:expect("message 0 0 " .. note(1))
      driver:expect "failed 0 0 ENOTFOUND 404 the server knows this session no more (404)"
      driver:finish()
      assert.equal(4, #server.requests) -- no DELETE
    end)

    it("goes on without what was too large", function()
      local server = session_server(function(request, conn, n)
        if n == 1 then
          conn:send(sse_head() .. chunk("retry: 10\nid: 1\ndata: " .. note(1) .. "\n\nid: 2\ndata: " .. ("x"):rep(200) .. "\n\n"))
        else
          assert.is_nil(request.headers["last-event-id"])
          conn:send(sse_head() .. chunk("data: " .. note(2) .. "\n\n"))
        end
      end)
      local driver = start(server, { max_message = 100 })
      handshake(driver, true)
      driver:expect("message 0 0 " .. note(1))
      driver:expect("message 0 0 " .. note(2))
      driver.stderr = driver.process.err:all()
      assert.matches("listening stream: an event of the server's is larger than 100 bytes %(max_message_bytes%)\n$", driver.stderr)
      driver:finish()
    end)

    it("takes no place of a request's", function()
      local server = session_server(function(request, conn)
        conn:send(request.method == "GET" and sse_head() .. chunk ": hi\n\n" or json(result(id(request.body))))
      end)
      local driver = start(server, { max_open = 1 })
      handshake(driver, true)
      server.wait_request(3)
      for i = 2, 3 do
        driver:tell(("send 0 r%d %s"):format(i, ping(i)))
        driver:expect(("message 0 %d %s"):format(i, result(i)))
      end
      driver:finish()
      assert.equal(2, #server.connections)
    end)

    it("follows a redirect of its own", function()
      local server = session_server(function(request, conn, n)
        if n == 1 then
          conn:send(reply(302, nil, "", "Location: /events"))
        else
          assert.equal("GET /events HTTP/1.1", request.start)
          conn:send(sse_head() .. chunk("data: " .. note(1) .. "\n\n"))
        end
      end)
      local driver = start(server)
      handshake(driver, true)
      driver:expect("message 0 0 " .. note(1))
      driver:finish()
    end)
  end)

  it("stops when the channel is paused, and loses nothing", function()
    local sent = 0
    local text = '{"method":"x","params":"' .. ("y"):rep(4000) .. '"}'
    local server = session_server(function(_, conn)
      conn:send(sse_head())
      local function more()
        -- What the kernel doesn't take waits in libuv's queue: only so much at a time.
        while sent < 8000 and conn.tcp:get_write_queue_size() < 100000 do
          conn:send(chunk("data: " .. text .. "\n\n"))
          sent = sent + 1
        end
        if sent < 8000 then loop.after(2, more) else conn:send(chunk("data: " .. result(3) .. "\n\n") .. last_chunk) end
      end
      more()
    end)
    local driver = start(server)
    handshake(driver)
    driver:tell("send 0 r3 " .. ping(3))
    local line = ("message 0 3 long %d %s"):format(#text, support.sum(text))
    driver:expect(line)
    driver:tell "pause 0"
    local seen = 1
    while true do
      local more = driver.process:maybe_line(150)
      if not more then break end
      assert.equal(line, more)
      seen = seen + 1
    end
    assert.truthy(seen < 8000, "all came in spite of the pause")
    local stuck = sent
    loop.sleep(100)
    assert.equal(stuck, sent)
    assert.truthy(sent < 8000, "the server could send all")
    assert.truthy(driver:stats().live < 20)
    driver:tell "resume 0"
    while seen < 8000 do
      driver:expect(line)
      seen = seen + 1
    end
    driver:expect("message 0 3 " .. result(3))
    driver:finish()
  end)

  it("stops alone: what the channel sends is still acknowledged", function()
    local server = support.listen(function(_, conn) conn:send(accepted()) end)
    local driver = start(server)
    driver:tell "pause 0"
    for _ = 1, 40 do driver:tell 'send 0 n {"method":"x"}' end -- more than may be under way
    server.wait_request(40)
    driver:quiet(20)
    driver:finish()
    assert.equal(40, #server.requests)
  end)

  it("of another session goes on while one is paused", function()
    local server = support.listen(function(request, conn) conn:send(json(result(id(request.body)))) end)
    local driver = start(server)
    driver:tell "open"
    driver:expect "ready 1"
    driver:tell "pause 0"
    driver:tell("send 0 r5 " .. ping(5))
    driver:tell("send 1 r6 " .. ping(6))
    driver:expect("message 1 6 " .. result(6))
    driver:quiet(50)
    driver:tell "resume 0"
    driver:expect("message 0 5 " .. result(5))
    driver:tell "close 1"
    driver:expect "closed 1 0 closed"
    driver:finish()
  end)
end)
