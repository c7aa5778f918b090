-- SSE replies of the HTTP server: bytes, bounds, ends.
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local support = require "spec.unit.transport.http_server_support"

local get = support.get
-- What the server itself keeps while it is open: a pooled parser's head, the fields of events.
local own_blocks = 2

describe("an SSE reply", function()
  setup(support.build)
  teardown(support.remove)
  after_each(loop.finish)

  it("is a chunk for each event and leaves the connection usable", function()
    local d = support.start()
    local c = d:connect():send(get "/sse?2" .. get "/plain")
    local head = c:head()
    assert.equal("text/event-stream", head.headers["content-type"])
    assert.equal("no-cache", head.headers["cache-control"])
    assert.equal("no", head.headers["x-accel-buffering"])
    assert.equal("chunked", head.headers["transfer-encoding"])
    assert.equal("abc", head.headers["mcp-session-id"])
    assert.is_nil(head.headers["content-length"])
    assert.is_nil(head.headers.connection)
    local body = "15\r\nid: 0\ndata: {\"n\":0}\n\n\r\n15\r\nid: 1\ndata: {\"n\":1}\n\n\r\n0\r\n\r\n"
    loop.wait(function() return #c.bytes.data > #body end, "the body")
    assert.equal(body, c.bytes:take(#body))
    assert.equal(support.plain_body, c:response().body)
    assert.same({ "request GET /sse" }, d:wait "done /sse whole")
    d:close()
  end)

  it("carries every kind of event", function()
    local d = support.start()
    local c = d:connect():send(get "/sse-kinds")
    assert.equal("id: p-1\ndata: \n\nevent: endpoint\ndata: {\"a\":1}\n\nretry: 1500\n\n:\n\ndata: {\"a\":1}\n\n",
      c:response().body)
    assert.same({ "request GET /sse-kinds", "kinds 0 0 0 0 0 EINVALID EINVALID" }, d:wait "done /sse-kinds whole")
    d:close()
  end)

  it("lasts until the connection's end for 1.0", function()
    local d = support.start()
    local c = d:connect():send "GET /sse?2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    local head = c:head()
    assert.equal("close", head.headers.connection)
    assert.is_nil(head.headers["transfer-encoding"])
    c:wait_end()
    assert.equal("id: 0\ndata: {\"n\":0}\n\nid: 1\ndata: {\"n\":1}\n\n", c.bytes.data)
    assert.is_nil(c.bytes.error)
    d:wait "done /sse whole"
    d:close()
  end)

  it("has no body for HEAD", function()
    local d = support.start()
    local c = d:connect():send("HEAD /sse?2 HTTP/1.1\r\nHost: a\r\n\r\n" .. get "/plain")
    assert.equal("text/event-stream", c:response(nil, "HEAD").headers["content-type"])
    assert.equal(support.plain_body, c:response().body)
    d:close()
  end)

  it("goes out event by event", function()
    local d = support.start()
    local c = d:connect():send(get "/sse-hold")
    local events = c:events(c:head())
    for _, text in ipairs { "one", "two" } do
      d:tell("say " .. text)
      assert.equal(text, events:event().data)
    end
    d:tell "comment"
    loop.wait(function() return events.parser.keep_alives == 1 end, "a comment")
    d:tell "end"
    assert.is_nil(events:event())
    assert.is_true(events.complete())
    c.on_data = nil
    assert.equal(200, c:send(get "/plain"):response().status)
    d:close()
  end)

  it("comes from timers, in small pieces of time", function()
    local d = support.start()
    local c = d:connect():send(get "/sse-slow?5" .. get "/plain")
    local events = c:events(c:head())
    for i = 0, 4 do
      local event = events:event()
      assert.equal(tostring(i), event.id)
      assert.equal(('{"n":%d}'):format(i), event.data)
    end
    assert.is_nil(events:event())
    c.on_data = nil
    assert.equal(200, c:response().status)
    d:close()
  end)

  it("is held back for a slow reader, in bounded memory, and is whole in the end", function()
    local d = support.start()
    local c = http.connect(d.port)
    c.tcp:recv_buffer_size(64 * 1024)
    c.tcp:read_stop()
    local n = 4000
    c:send(get("/flood?" .. n))
    assert.equal("request GET /flood", d:line())
    assert.equal("full /flood", d:line())
    loop.sleep(50)
    -- The connection alone is stopped; others are served.
    assert.equal(200, d:connect():send(get "/plain"):response().status)
    local stats = d:stats()
    assert.equal(1, stats.done)
    -- 256 KiB in blocks of 16 KiB, and what is written at the moment.
    assert.is_true(stats.live <= 40, stats.live)

    local data = "data: " .. support.pattern(16 * 1024) .. "\n\n"
    local chunk = ("%x\r\n%s\r\n"):format(#data, data)
    local got, bytes = 0, {}
    local size = n * #chunk + 5
    local head
    c.tcp:read_start(function(_, piece)
      if not piece then return end
      bytes[#bytes + 1] = piece
      got = got + #piece
      if not head then
        local all = table.concat(bytes)
        local _, to = all:find("\r\n\r\n", 1, true)
        if to then
          head = all:sub(1, to)
          bytes = { all:sub(to + 1) }
          got = #all - to
        end
      end
    end)
    loop.wait(function() return head and got >= size end, "all events", 60000)
    assert.is_true(table.concat(bytes) == chunk:rep(n) .. "0\r\n\r\n")
    local lines = d:wait "done /flood whole"
    local sent, most = lines[#lines]:match "^sent (%d+) most_live (%d+)$"
    assert.equal(n, tonumber(sent))
    assert.is_true(tonumber(most) <= 40, most)
    local fulls = 0
    for _, line in ipairs(lines) do if line == "full /flood" then fulls = fulls + 1 end end
    assert.is_true(fulls > 1, fulls)
    d:close()
  end)

  it("ends with its reader, full or not", function()
    local d = support.start()
    local c = http.connect(d.port)
    c.tcp:read_stop()
    c:send(get "/flood?4000")
    d:wait "full /flood"
    c:reset()
    local lines = d:wait("done /flood gone", 2000)
    assert.truthy(lines[#lines]:find "^sent %d+ most_live")
    local stats = d:stats()
    assert.equal(1, stats.gone)
    assert.is_true(stats.live <= own_blocks, stats.live)
    d:close()
  end)

  it("has an end to its queue even when the owner knows no bounds", function()
    local d = support.start()
    local c = http.connect(d.port)
    c.tcp:read_stop()
    c:send(get "/rude")
    assert.equal("request GET /rude", d:line())
    local why, after = d:line(20000):match "^rude (%u+) after (%d+)$"
    assert.equal("ELIMIT", why)
    assert.is_true(tonumber(after) < 100, after)
    assert.same({}, d:wait "done /rude gone")
    assert.is_true(d:stats().live <= own_blocks)
    d:close()
  end)

  it("ends with the server", function()
    local d = support.start()
    local c = d:connect():send(get "/sse-hold")
    local events = c:events(c:head())
    d:tell "say one"
    assert.equal("one", events:event().data)
    d:close()
    c:wait_end()
    assert.is_false(events.complete())
  end)
end)
