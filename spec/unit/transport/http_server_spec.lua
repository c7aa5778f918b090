-- The HTTP server from outside: a driver program with the server in it, raw bytes to and from it.
local loop = require "spec.support.loop"
local support = require "spec.unit.transport.http_server_support"

local get, post = support.get, support.post

describe("the HTTP server", function()
  setup(support.build)
  teardown(support.remove)
  after_each(loop.finish)

  local function date_off(raw)
    local text, n = raw:gsub("Date: %a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT\r\n", "", 1)
    assert.equal(1, n)
    return text
  end

  describe("replies", function()
    it("with a head and a body, byte by byte as they should be", function()
      local d = support.start()
      local c = d:connect():send(get "/plain")
      local r = c:response()
      assert.equal("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 45",
        (date_off(r.raw .. "\r\n"):gsub("\r\n$", "")))
      assert.equal(support.plain_body, r.body)
      d:wait "done /plain whole"
      assert.equal("", c.bytes.data)
      d:close()
    end)

    it("with the present date", function()
      local d = support.start()
      local c = d:connect()
      local before = os.time()
      local date = c:send(get "/plain"):response().headers.date
      local after = os.time()
      local fits
      for t = before, after do fits = fits or date == os.date("!%a, %d %b %Y %H:%M:%S GMT", t) end
      assert.is_true(fits, date)
      loop.sleep(1050)
      assert.not_equal(date, c:send(get "/plain"):response().headers.date)
      d:close()
    end)

    it("with the owner's headers, and a body of many parts", function()
      local d = support.start()
      local c = d:connect()
      local r = c:send(post("/echo", "hello")):response()
      assert.equal("POST", r.headers["x-method"])
      assert.equal("/echo", r.headers["x-target"])
      assert.equal("hello", r.body)
      r = c:send(get "/parts"):response()
      local expected = {}
      for i = 0, 199 do expected[i + 1] = ("%03d"):format(i) end
      assert.equal(table.concat(expected), r.body)
      d:close()
    end)

    it("without a body where there is none or must be none", function()
      local d = support.start()
      local c = d:connect()
      local r = c:send(get "/echo"):response()
      assert.equal("0", r.headers["content-length"])
      assert.is_nil(r.headers["content-type"])
      for _, status in ipairs { 204, 304 } do
        r = c:send(get("/status?" .. status)):response()
        assert.equal(status, r.status)
        assert.is_nil(r.headers["content-length"])
      end
      assert.equal("HTTP/1.1 404 Not Found", c:send(get "/nowhere"):response().start)
      r = c:send("HEAD /plain HTTP/1.1\r\nHost: a\r\n\r\n"):response(nil, "HEAD")
      assert.equal("45", r.headers["content-length"])
      -- Had HEAD's reply a body, the next would begin with it.
      assert.equal(support.plain_body, c:send(get "/plain"):response().body)
      d:close()
    end)

    it("from timers and tasks as well", function()
      local d = support.start()
      local c = d:connect()
      for _, path in ipairs { "/slow?20", "/task", "/plain", "/task" } do
        assert.equal(support.plain_body, c:send(get(path)):response().body)
      end
      local stats = d:stats()
      assert.equal(4, stats.requests)
      assert.equal(4, stats.done)
      assert.equal(0, stats.gone)
      d:close()
    end)

    it("refuses what can't be said, and lets another reply be made", function()
      local d = support.start()
      local r = d:connect():send(get "/wrong"):response()
      assert.equal(support.plain_body, r.body)
      assert.is_nil(r.headers["x-forged"])
      assert.same({ "request GET /wrong", "reply /wrong EINVALID", "reply /wrong EINVALID",
        "reply /wrong EINVALID", "send before start EINVALID", "reply /wrong ECLOSED",
        "start after reply ECLOSED" }, d:wait "done /wrong whole")
      d:close()
    end)

    it("large ones to slow readers, and done only then", function()
      local d = support.start()
      local n = 20 * 1024 * 1024
      local c = d:connect()
      c.tcp:read_stop()
      c:send(get("/big?" .. n) .. get "/plain")
      assert.equal("request GET /big", d:line())
      assert.is_nil(d.process:maybe_line(100))
      assert.equal(1, d:stats().requests)
      local pieces, last = {}, ""
      c.tcp:read_start(function(_, chunk)
        pieces[#pieces + 1] = chunk
        last = (last .. (chunk or "")):sub(-#support.plain_body)
      end)
      loop.wait(function() return last == support.plain_body end, "the second reply", 20000)
      local all = table.concat(pieces)
      local at = select(2, all:find("\r\n\r\n", 1, true))
      local sample = support.pattern(100000)
      assert.is_true(all:sub(at + 1, at + 100000) == sample)
      assert.equal("HTTP/1.1 200 OK", all:sub(at + n + 1, at + n + 15))
      assert.same({}, d:wait "done /big whole")
      d:close()
    end)
  end)

  describe("connections", function()
    it("are kept by 1.1 unless told not to, and by 1.0 when told to", function()
      local d = support.start()
      local c = d:connect()
      for _ = 1, 5 do assert.is_nil(c:send(get "/plain"):response().headers.connection) end
      assert.equal("close", c:send(get("/plain", "Connection: close")):response().headers.connection)
      c:wait_end()
      c = d:connect()
      for _ = 1, 2 do
        c:send "GET /plain HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        assert.equal("keep-alive", c:response().headers.connection)
      end
      assert.equal("close", c:send("GET /plain HTTP/1.0\r\n\r\n"):response().headers.connection)
      c:wait_end()
      d:close()
    end)

    it("serve pipelined requests in their order", function()
      local d = support.start()
      local c = d:connect()
      local paths, bytes = { "/slow?30", "/plain", "/echo", "/task", "/big?1000", "/slow?5", "/sse?2" }, {}
      for i, path in ipairs(paths) do bytes[i] = get(path) end
      c:send(table.concat(bytes) .. post("/echo", "the last"))
      for _, path in ipairs(paths) do
        local r = c:response()
        assert.equal(200, r.status)
        if path:find "plain" or path:find "slow" or path:find "task" then
          assert.equal(support.plain_body, r.body)
        elseif path:find "big" then
          assert.equal(support.pattern(1000), r.body)
        end
      end
      assert.equal("the last", c:response().body)
      d:close()
    end)

    it("serve many pipelined requests with bounded memory", function()
      local d = support.start { quiet = 1 }
      local c = d:connect()
      local one = post("/task", ("x"):rep(1000))
      c:send(one:rep(2000))
      for _ = 1, 2000 do assert.equal(200, c:response().status) end
      local stats = d:stats()
      assert.equal(2000, stats.done)
      assert.equal(0, stats.gone)
      d:close()
    end)

    it("don't read on without bound while a request is open", function()
      local d = support.start()
      local c = d:connect()
      c:send(get "/slow?400")
      local total, sent = 32 * 1024 * 1024, 0
      local block = ("x"):rep(1024 * 1024)
      c:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n")
      while sent < total do
        c.tcp:write(block)
        sent = sent + #block
      end
      loop.sleep(200)
      local stats = d:stats()
      assert.equal(0, stats.done)
      -- What neither the driver nor the kernel took is still with us.
      assert.is_true(c.tcp:get_write_queue_size() > 8 * 1024 * 1024)
      if not support.sanitized then assert.is_true(stats.heap < 4 * 1024 * 1024) end
      assert.equal(support.plain_body, c:response().body)
      assert.is_true(c:response(20000).body == ("x"):rep(4000000))
      assert.is_true(c:response().status >= 400)
      c:close()
      d:close()
    end)

    it("take requests in whatever pieces they come", function()
      local d = support.start()
      local bytes = post("/echo", "some body", "X-A: b") .. get("/plain", "Accept: */*")
        .. "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
        .. get "/task"
      for _, step in ipairs { 1, 2, 3, 7, 50, #bytes } do
        local c = d:connect():send(bytes, step)
        assert.equal("some body", c:response().body)
        assert.equal(support.plain_body, c:response().body)
        assert.equal("hello world", c:response().body)
        assert.equal(support.plain_body, c:response().body)
        c:close()
      end
      d:close()
    end)

    it("take large bodies, of known and of unknown length", function()
      local d = support.start()
      local c = d:connect()
      local body = support.pattern(3 * 1024 * 1024)
      assert.is_true(c:send(post("/echo", body)):response(20000).body == body)
      local chunks = { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" }
      for i = 1, #body, 100000 do
        local piece = body:sub(i, i + 99999)
        chunks[#chunks + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
      end
      chunks[#chunks + 1] = "0\r\n\r\n"
      assert.is_true(c:send(table.concat(chunks)):response(20000).body == body)
      d:close()
    end)

    it("say that a body may come to those who ask", function()
      local d = support.start { max_body = 1000 }
      local c = d:connect()
      c:send "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
      loop.wait(function() return c.bytes.data == "HTTP/1.1 100 Continue\r\n\r\n" end, "100 Continue")
      c:send "hello"
      assert.equal("hello", c:response().body)
      -- Not when the body is there already, nor when it is too large.
      c:send(post("/echo", "hello", "Expect: 100-continue"))
      local r = c:response()
      assert.same({}, r.interim)
      assert.equal("hello", r.body)
      c:send "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n"
      r = c:response()
      assert.same({}, r.interim)
      assert.equal(413, r.status)
      c:wait_end()
      d:close()
    end)
  end)

  describe("notices", function()
    it("that the peer of an open request has gone", function()
      local d = support.start()
      for _, how in ipairs { "close", "reset", "shutdown" } do
        for _, path in ipairs { "/never", "/sse-hold", "/slow?60000" } do
          local c = d:connect():send(get(path))
          local name = path:match "^[^?]+"
          d:wait("request GET " .. name)
          c[how](c)
          assert.same({}, d:wait("done " .. name .. " gone", 1000))
          c:close()
        end
      end
      -- With the next request's beginning behind it, too.
      local c = d:connect():send(get "/never" .. get "/plain" .. "GET /pl")
      d:wait "request GET /never"
      loop.sleep(20)
      c:close()
      assert.same({}, d:wait("done /never gone", 1000))
      d:connections(0)
      d:close()
    end)

    it("and answers one that has only ended its own side when the answer is at hand", function()
      local d = support.start()
      local c = d:connect():send(get "/plain" .. get "/big?1000000"):shutdown()
      assert.equal(support.plain_body, c:response().body)
      assert.is_true(c:response().body == support.pattern(1000000))
      c:wait_end()
      d:connections(0)
      d:close()
    end)

    it("a connection that ends between and within requests", function()
      local d = support.start()
      d:connect():close()
      d:connect():send("GET /pl"):close()
      d:connect():send(post("/echo", "hello"):sub(1, -3)):shutdown():wait_end()
      d:connections(0)
      assert.equal(0, d:stats().requests)
      d:close()
    end)
  end)

  describe("ends", function()
    it("requests that the owner aborts", function()
      local d = support.start()
      for _, path in ipairs { "/abort", "/abort-later" } do
        local c = d:connect():send(get(path) .. get "/plain")
        c:wait_end()
        assert.equal("", c.bytes:all())
        assert.same({ "request GET " .. path }, d:wait("done " .. path .. " gone"))
      end
      d:close()
    end)

    it("itself: every request gets its done, nothing is left", function()
      local d = support.start()
      local held = {}
      for i, bytes in ipairs { "", "GET /plain HT", get "/never", get "/sse-hold", get "/slow?60000",
        get "/big?20000000", post("/echo", "hello"):sub(1, -2), get "/never" .. get "/plain" } do
        held[i] = d:connect()
        if i == 6 then held[i].tcp:read_stop() end
        held[i]:send(bytes)
      end
      loop.wait(function() return d:stats().requests == 5 end, "the requests")
      local lines = d:close()
      table.sort(lines)
      assert.same({ "done /big gone", "done /never gone", "done /never gone", "done /slow gone",
        "done /sse-hold gone" }, lines)
    end)

    it("itself from inside a request", function()
      local d = support.start()
      local other = d:connect():send(get "/never")
      d:wait "request GET /never"
      d:connect():send(get "/close")
      d:ended()
      other:wait_end()

      d = support.start()
      d:connect():send(get "/reply-and-close" .. get "/plain")
      local lines = d:ended()
      assert.same({ "request GET /reply-and-close", "done /reply-and-close whole" }, lines)
    end)

    it("itself from inside done", function()
      local d = support.start()
      d:connect():send(get "/close-in-done" .. get "/plain")
      assert.same({ "request GET /close-in-done", "done /close-in-done whole" }, d:ended())

      d = support.start()
      local other = d:connect()
      other:send(get "/plain"):response()
      local c = d:connect():send(get "/drain-in-done" .. get "/plain")
      assert.equal(support.plain_body, c:response().body)
      c:wait_end()
      other:wait_end()
      assert.equal("", c.bytes.data)
      d:connections(0)
      d:close()
    end)

    it("softly: what is open is finished, what is idle is closed", function()
      local d = support.start()
      local idle, kept, open, half, sse = d:connect(), d:connect(), d:connect(), d:connect(), d:connect()
      kept:send(get "/plain"):response()
      open:send(get "/slow?200")
      half:send "GET /plain HTTP/1.1\r\n"
      sse:send(get "/sse-hold")
      sse:events(sse:head())
      loop.wait(function() return d:stats().connections == 5 end, "five connections")
      loop.sleep(50)
      d:tell "drain"
      d:wait "draining"
      idle:wait_end(1000)
      kept:wait_end(1000)
      assert.is_nil(kept.bytes.error)
      local refused = loop.uv.new_tcp()
      local err
      refused:connect("127.0.0.1", d.port, function(e) err = e or "no error" end)
      loop.wait(function() return err end, "a refusal")
      refused:close()
      assert.equal("ECONNREFUSED", err)
      half:send "Host: a\r\n\r\n"
      assert.equal("close", half:response().headers.connection)
      local r = open:response()
      assert.equal(support.plain_body, r.body)
      assert.equal("close", r.headers.connection)
      open:wait_end()
      half:wait_end()
      d:tell "say still here"
      d:wait "said OK"
      d:tell "end"
      d:wait "done /sse-hold whole"
      sse:wait_end()
      for _, c in ipairs { open, half, sse } do c:close() end
      d:connections(0)
      d:close()
    end)
  end)

  -- Many connections that do what comes to their minds, with the same result each time or none:
  -- what is answered is answered right and in order, and nothing is left of the rest.
  it("bears a crowd", function()
    local seed = tonumber(os.getenv "LUNETTE_SPEC_SEED") or os.time()
    math.randomseed(seed)
    local kinds = {
      { get "/plain", support.plain_body },
      { get "/task", support.plain_body },
      { get "/slow?7", support.plain_body },
      { post("/echo", "hello"), "hello" },
      { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde" },
      { get "/big?300000", support.pattern(300000) },
      { get "/sse?2", 'id: 0\ndata: {"n":0}\n\nid: 1\ndata: {"n":1}\n\n' },
      { get "/sse-slow?1", 'id: 0\ndata: {"n":0}\n\n' },
      { get "/flood?60", ("data: " .. support.pattern(16384) .. "\n\n"):rep(60) },
      { get "/never" }, { get "/abort" }, { get "/abort-later" }, { "GET / HTTP/1.1\r\n\r\n" }, { "junk\r\n\r\n" },
    }
    for round = 1, 3 do
      local d = support.start { quiet = 1, idle_timeout = 2000 }
      local crowd = {}
      for i = 1, 60 do
        local bytes, expected, sound = {}, {}, true
        for k = 1, math.random(5) do
          local kind = kinds[math.random(sound and math.random(3) > 1 and 9 or #kinds)]
          bytes[k] = kind[1]
          sound = sound and kind[2] ~= nil
          if sound then expected[#expected + 1] = kind[2] end
          -- An abort takes with it what was still queued for a reader.
          if kind[1]:find "abort" then expected = {} end
        end
        crowd[i] = { conn = d:connect(), bytes = table.concat(bytes), expected = expected, at = 1,
          patient = math.random(3) > 1 }
      end
      local busy = true
      while busy do
        busy = false
        for _, one in ipairs(crowd) do
          if one.at <= #one.bytes and not one.left and math.random(2) == 1 then
            local n = math.random(math.random(4) == 1 and 400 or 40)
            one.conn:send(one.bytes:sub(one.at, one.at + n - 1))
            one.at = one.at + n
          end
          if not one.patient and math.random(12) == 1 then
            one.left = true
            one.conn[math.random(2) == 1 and "reset" or "close"](one.conn)
          end
          busy = busy or (one.at <= #one.bytes and not one.left)
        end
        loop.uv.run "nowait"
      end
      for _, one in ipairs(crowd) do
        for k = 1, one.patient and #one.expected or 0 do
          local ok, r = pcall(one.conn.response, one.conn, 20000)
          assert.is_true(ok and r.body == one.expected[k], ("seed %d, round %d: %s"):format(seed, round, ok and "" or r))
        end
      end
      if round == 2 then
        d:tell "drain"
        for _, one in ipairs(crowd) do one.conn:close() end
        d:connections(0)
      end
      d:close()
      loop.finish()
    end
  end)

  it("needs little for a thousand idle connections", function()
    if support.sanitized then return pending "the sanitizer's allocator keeps no such count" end
    local d = support.start { quiet = 1 }
    local first = d:connect()
    first:send(get "/plain"):response()
    local before = d:stats()
    local conns = {}
    for i = 1, 1000 do
      conns[i] = d:connect()
      conns[i]:send(post("/echo", ("x"):rep(2000), "X-Long: " .. ("y"):rep(3000)))
    end
    for i = 1, 1000 do assert.equal(2000, #conns[i]:response().body) end
    local after = d:stats()
    assert.equal(1001, after.connections)
    assert.equal(1001, after.done)
    local each = (after.heap - before.heap) / 1000
    assert.is_true(each < 4096, ("%d bytes each"):format(each))
    -- Blocks alive belong to the pool of parsers, not to connections.
    assert.is_true(after.live - before.live <= 1)
    d:close()
  end)
end)
