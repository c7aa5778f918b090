-- What the HTTP server turns away: with an answer that arrives, then the connection's end.
local loop = require "spec.support.loop"
local process = require "spec.support.process"
local support = require "spec.unit.transport.http_server_support"

local get, post = support.get, support.post

describe("the HTTP server refuses", function()
  setup(support.build)
  teardown(support.remove)
  after_each(loop.finish)

  -- Sends bytes, expects one answer of that status and the end of the connection.
  local function refused(d, bytes, status, or_status)
    local c = d:connect():send(bytes)
    local r = c:response()
    if r.status ~= or_status then assert.equal(status, r.status, bytes) end
    assert.equal("application/json", r.headers["content-type"])
    assert.equal("close", r.headers.connection)
    assert.equal(#r.body, tonumber(r.headers["content-length"]))
    local message = r.body:match '^{"jsonrpc":"2.0","error":{"code":%-32600,"message":"([^"\\%c]+)"}}$'
    assert.is_string(message, r.body)
    c:wait_end(1000)
    assert.equal("", c.bytes.data)
    assert.is_nil(c.bytes.error)
    c:close()
    return message
  end

  it("what two readers could take for different things", function()
    local d = support.start()
    local host = "POST /echo HTTP/1.1\r\nHost: a\r\n"
    for _, lines in ipairs {
      "Content-Length: 5\r\nContent-Length: 5",
      "Content-Length: 5\r\nContent-Length: 6",
      "Content-Length: 5, 5",
      "Content-Length: +5",
      "Content-Length: 0x5",
      "Content-Length: -1",
      "Content-Length: 5\r\nTransfer-Encoding: chunked",
      "Transfer-Encoding: chunked\r\nContent-Length: 5",
      "Transfer-Encoding: chunked, chunked",
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
      "Transfer-Encoding : chunked",
      " Transfer-Encoding: chunked",
      "Transfer-Encoding:\r\n chunked",
      "Transfer-Encoding: \11chunked",
      "X: a\rb",
      "X: a\nTransfer-Encoding: chunked",
      "X: a\0b",
      "Host: b",
      "No colon",
    } do
      refused(d, host .. lines .. "\r\n\r\nhelloGET /never HTTP/1.1\r\nHost: a\r\n\r\n", 400,
        lines:find "^Transfer" and 501)
    end
    refused(d, "GET /plain HTTP/1.1\r\n\r\n", 400)
    refused(d, "GET  /plain HTTP/1.1\r\nHost: a\r\n\r\n", 400)
    refused(d, "GET /plain HTTP/1.1\nHost: a\n\n", 400)
    refused(d, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)
    local chunked = host .. "Transfer-Encoding: chunked\r\n\r\n"
    for _, chunk in ipairs { "5 \r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "\r\n", "g\r\n",
      "5\nhello\n0\n\n", "5\r\nhello0\r\n\r\n", "ffffffffffffffff5\r\n", "-1\r\n" } do
      local c = d:connect():send(chunked .. chunk)
      local r = c:response()
      assert.is_true(r.status == 400 or r.status == 413, chunk)
      c:wait_end(1000)
    end
    local stats = d:stats()
    assert.equal(0, stats.requests)
    d:close()
  end)

  it("what it doesn't know", function()
    local d = support.start()
    refused(d, "GET /plain HTTP/2.0\r\nHost: a\r\n\r\n", 505)
    refused(d, post("/echo", "", "Transfer-Encoding: gzip"):gsub("Content%-Length: 0\r\n", ""), 501)
    refused(d, "\22\3\1\2\0\1\0\1", 400)
    d:close()
  end)

  it("what is too large", function()
    local d = support.start { max_head = 1000, max_body = 2000 }
    assert.equal(200, d:connect():send(get("/plain", "X: " .. ("y"):rep(800))):response().status)
    refused(d, get("/plain", "X: " .. ("y"):rep(1000)), 431)
    refused(d, get("/plain", "X: " .. ("y"):rep(1000)):sub(1, 1020), 431)
    refused(d, get("/" .. ("y"):rep(1000)), 414)
    assert.equal(2000, #d:connect():send(post("/echo", ("y"):rep(2000))):response().body)
    refused(d, post("/echo", ("y"):rep(2001)), 413)
    -- Before the body is there, and however it comes.
    refused(d, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413)
    refused(d, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d1\r\n" .. ("y"):rep(2001), 413)
    local many = ("3e8\r\n" .. ("y"):rep(1000) .. "\r\n"):rep(3)
    refused(d, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" .. many, 413)
    assert.equal(2, d:stats().requests)
    d:close()
  end)

  it("and lets the peer see why, even in the middle of an upload", function()
    local d = support.start { max_body = 1000 }
    local c = d:connect()
    c:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
    local written, failed = 0, nil
    for _ = 1, 20 do
      c.tcp:write(("x"):rep(1000000), function(err) written, failed = written + 1, failed or err end)
    end
    assert.equal(413, c:response(10000).status)
    c:wait_end()
    assert.is_nil(c.bytes.error)
    -- Nothing of it met a closed door, where it would have been answered with a reset.
    loop.wait(function() return written == 20 end, "the upload")
    assert.is_nil(failed)
    d:close()
  end)

  it("what takes too long", function()
    local d = support.start { head_timeout = 100, idle_timeout = 10000 }
    local message
    for _, bytes in ipairs { "G", "GET /plain HTTP/1.1\r\nHost: a\r\n", post("/echo", "hello"):sub(1, -2) } do
      local started = loop.uv.hrtime()
      local now = refused(d, bytes, 408)
      message = message or now
      assert.equal(message, now)
      local ms = (loop.uv.hrtime() - started) / 1e6
      assert.is_true(ms >= 99, ms)
    end
    -- A byte now and then is no excuse: the time is that of the whole request.
    local c = d:connect()
    local bytes, started = get("/plain", "X: " .. ("y"):rep(100)), loop.uv.hrtime()
    for i = 1, #bytes do
      c:send(bytes:sub(i, i))
      loop.sleep(10)
      if c.bytes.data ~= "" then break end
    end
    assert.equal(408, c:response().status)
    assert.is_true((loop.uv.hrtime() - started) / 1e6 < 400 * loop.slow)
    -- Nothing at all gets no answer, just the end.
    c = d:connect()
    c:wait_end(1000)
    assert.equal("", c.bytes:all())
    assert.equal(0, d:stats().requests)
    d:close()
  end)

  it("to keep idle connections for ever", function()
    local d = support.start { idle_timeout = 100 }
    local c = d:connect()
    for _ = 1, 3 do
      assert.equal(200, c:send(get "/plain"):response().status)
      loop.sleep(50)
      assert.is_false(c.bytes.ended)
    end
    c:wait_end(1000)
    assert.is_nil(c.bytes.error)
    -- A request under way is not idle.
    assert.equal(200, d:connect():send(get "/slow?300"):response().status)
    d:close()
  end)

  it("more connections than it may have", function()
    local d = support.start { max_connections = 3 }
    local kept = {}
    for i = 1, 3 do
      kept[i] = d:connect()
      assert.equal(200, kept[i]:send(get "/plain"):response().status)
    end
    for _ = 1, 3 do
      local c = d:connect()
      assert.equal(503, c:send(get "/plain"):response().status)
      c:wait_end(1000)
    end
    -- Those that say nothing are few.
    for _ = 1, 20 do d:connect() end
    d:connections(11)
    d:connections(3)
    kept[1]:close()
    d:connections(2)
    assert.equal(200, d:connect():send(get "/plain"):response().status)
    d:close()
  end)

  it("an address that isn't its own", function()
    local d = support.start()
    local second = process.spawn { command = support.driver(), args = { "port=" .. d.port } }
    assert.equal(("failed ESYSTEM: can't listen on 127.0.0.1:%d: address already in use"):format(d.port),
      second:line())
    assert.equal(1, (second:wait_exit()))
    d:close()
  end)
end)
