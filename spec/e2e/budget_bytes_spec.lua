-- What is kept for clients has a budget, max_buffered_bytes: who holds most of it gives way, and nobody else.
local flood = require "spec.support.flood"
local http = require "spec.support.http"
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local loop = require "spec.support.loop"
local upstream = require "spec.support.upstream"

local MIB = 1024 * 1024
local TOOLS = '[{"name":"work","inputSchema":{"type":"object"}},{"name":"hang","inputSchema":{"type":"object"}},'
  .. '{"name":"big","inputSchema":{"type":"object"}}]'

local function start(settings, answer)
  local up = upstream.new { name = "up", tools = TOOLS, resources = "[]", templates = '[{"uriTemplate":"x://{+a}","name":"t"}]' }
  up:on("tools/call", function(req)
    local name = req:value "name"
    if name == "hang" then return end
    req:reply(name == "big" and answer or '{"content":[]}')
  end)
  up:on("resources/subscribe", function() return "{}" end)
  return lunette.http { policy = ("lunette.upstream('up', %s)\nlunette.configure { %s }"):format(
    up:lua "session = 'shared'", settings or "") }, up
end

local function client(host, from)
  local c = host.client { from = from }
  c:initialize()
  c:result("tools/list", "{}")
  return c
end

local function metric(host, name)
  local body = http.request({ port = host.port, path = "/metrics", from = "127.0.0.9" }).body
  return tonumber(body:match("\n" .. name .. " (%S+)"))
end

local function buffered(host) return metric(host, "lunette_buffered_bytes") end

local function big(c, n, from)
  return flood.posts(c.port, 1, ('{"jsonrpc":"2.0","id":"big","method":"tools/call","params":{"name":"work","arguments":{"a":"%s"}}}')
    :format(("a"):rep(n)), { from = from, lines = { "Mcp-Session-Id: " .. c.session } })[1].status
end

-- Connections of the flooder that send a head and half of a body of n bytes.
local function halves(host, count, n)
  local all = {}
  for i = 1, count do
    all[i] = http.connect(host.port)
    all[i]:send(flood.post(("a"):rep(n)):sub(1, -math.floor(n / 2)))
  end
  return all
end

describe("what is buffered", function()
  after_each(lunette.finish)

  it("has a limit for bodies that do not end, and who sends them gives way to others", function()
    local host = start("max_buffered_bytes = " .. MIB)
    local neighbour = client(host, flood.NEIGHBOUR)
    local conns, refused, open = halves(host, 20, 200000), 0, {}
    for _, conn in ipairs(conns) do
      if loop.within(500, function() return conn.bytes.data:find("\r\n\r\n", 1, true) end) then
        local head = conn:response()
        assert.equal(503, head.status)
        assert.truthy(tonumber(head.headers["retry-after"]))
        assert.same({ -32603, true },
          { json.value(head.body, "error", "code"), json.value(head.body, "error", "message"):find "max_buffered_bytes" ~= nil })
        refused = refused + 1
      else
        open[#open + 1] = conn
      end
    end
    assert.same({ 15, 5 }, { refused, #open })
    assert.equal(200, big(neighbour, 300000, flood.NEIGHBOUR))
    local worst = flood.longest(neighbour, "work")
    assert.is_true(worst < flood.PATIENCE, worst .. " ms")
    assert.equal(503, open[1]:response().status)
    for _, conn in ipairs(conns) do conn:close() end
    assert.truthy(loop.within(3000, function() return buffered(host) < 50000 end), tostring(buffered(host)))
  end)

  it("counts requests whose clients have gone, and ends the session that they are of", function()
    local host = start("max_buffered_bytes = " .. MIB)
    local neighbour, wild = client(host, flood.NEIGHBOUR), client(host)
    for i = 1, 5 do
      local conn = http.connect(host.port)
      conn:send(flood.post(('{"jsonrpc":"2.0","id":"h%d","method":"tools/call","params":{"name":"hang","arguments":{"a":"%s"}}}')
        :format(i, ("a"):rep(180000)), { "Mcp-Session-Id: " .. wild.session }))
      loop.sleep(30)
      conn:close()
    end
    assert.truthy(loop.within(3000, function() return buffered(host) > 800000 end), tostring(buffered(host)))
    assert.equal(200, big(neighbour, 300000, flood.NEIGHBOUR))
    assert.equal(404, big(wild, 10))
    assert.truthy(host.process.err:all():find("ending one of 127.0.0.1, the longest unused, to make room (max_buffered_bytes)", 1, true))
    assert.truthy(loop.within(3000, function() return buffered(host) < 50000 end), tostring(buffered(host)))
  end)

  it("counts answers that nobody reads", function()
    local answer = ('{"content":[{"type":"text","text":"%s"}]}'):format(("a"):rep(3 * MIB))
    local host, up = start("max_buffered_bytes = " .. 8 * MIB, answer)
    local neighbour, wild = client(host, flood.NEIGHBOUR), client(host)
    local conns = {}
    for i = 1, 8 do
      local tcp, sent = loop.uv.new_tcp(), false
      tcp:connect("127.0.0.1", host.port, loop.guard(function()
        tcp:write(flood.post(('{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"big"}}'):format(i),
          { "Mcp-Session-Id: " .. wild.session }))
        sent = true
      end))
      loop.wait(function() return sent end)
      conns[i] = tcp
    end
    -- This process answers for the server: the stopwatch is for when it has nothing else to do.
    loop.wait(function() return up:count "tools/call" == 8 end, "the calls")
    loop.sleep(1500)
    local worst = flood.longest(neighbour, "work")
    assert.is_true(worst < flood.PATIENCE, worst .. " ms")
    assert.is_true(buffered(host) <= 10 * MIB, tostring(buffered(host)))
    assert.equal(200, big(neighbour, 2 * MIB, flood.NEIGHBOUR))
    for _, tcp in ipairs(conns) do loop.close(tcp) end
  end)

  it("counts subscriptions, as long as their session lasts", function()
    local host = start()
    local c = client(host)
    local before = buffered(host)
    for i = 1, 20 do c:result("resources/subscribe", ('{"uri":"x://%s%d"}'):format(("a"):rep(8000), i)) end
    assert.is_true(buffered(host) - before > 160000, tostring(buffered(host)))
    local conn = http.connect(host.port)
    conn:send("DELETE /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nMcp-Session-Id: " .. c.session .. "\r\n\r\n")
    assert.equal(200, conn:response().status)
    assert.truthy(loop.within(3000, function() return buffered(host) < before + 50000 end), tostring(buffered(host)))
  end)
end)

describe("an initialize request", function()
  after_each(lunette.finish)

  it("is no longer than max_initialize_bytes", function()
    local host = start()
    local function sized(n)
      local text = flood.initialize('{"experimental":{"a":"@"}}')
      return (text:gsub("@", ("a"):rep(n - #text + 1)))
    end
    assert.equal(200, flood.posts(host.port, 1, sized(65536))[1].status)
    local refused = flood.posts(host.port, 1, sized(65537))[1]
    assert.equal(413, refused.status)
    assert.equal("initialize has 65537 bytes, which is more than max_initialize_bytes (65536)",
      json.value(refused.body, "error", "message"))
    assert.equal(413, flood.posts(host.port, 1, sized(3 * MIB))[1].status)
  end)

  it("is refused over stdio, too", function()
    local up = upstream.new { name = "up", tools = TOOLS }
    local c = lunette.stdio { policy = lunette.bare(up) .. "\nlunette.configure { max_initialize_bytes = 2000 }" }
    local failure = c:failure("initialize", ('{"protocolVersion":"2025-11-25","capabilities":{"experimental":{"a":"%s"}},'
      .. '"clientInfo":{"name":"n","version":"1"}}'):format(("a"):rep(2000)))
    assert.equal(-32603, failure.code)
    assert.truthy(failure.message:find "more than max_initialize_bytes %(2000%)")
    c:initialize()
  end)
end)

describe("what a session is shown", function()
  after_each(lunette.finish)

  it("is counted where it is for that session alone, and who has most of it gives way", function()
    local many = {}
    for i = 1, 1000 do many[i] = ('{"name":"t%d","inputSchema":{"type":"object"}}'):format(i) end
    local up = upstream.new { name = "up", tools = "[" .. table.concat(many, ",") .. "]" }
    up:on("tools/call", function() return '{"content":[]}' end)
    local host = lunette.http { policy = ("lunette.upstream('up', %s)\nlunette.configure { max_buffered_bytes = %d }\n"
      .. "lunette.tools.filter(function(tool, ctx) return tool.name ~= 't1' end)"):format(up:lua "session = 'shared'", 8 * MIB) }
    local neighbour = client(host, flood.NEIGHBOUR)
    local one = buffered(host)
    assert.is_true(one > 300000, one .. " bytes for a list of 1000")
    for _ = 1, 40 do client(host) end
    -- While some are told to go a quarter more is let in.
    assert.is_true(buffered(host) < 10.5 * MIB, buffered(host) .. " bytes")
    assert.is_true(metric(host, "lunette_sessions") < 30)
    neighbour:result("tools/call", '{"name":"t2"}')
    local before = buffered(host)
    assert.equal(200, (neighbour:close()))
    assert.truthy(loop.within(3000, function() return buffered(host) < before - 300000 end), "given back")
  end)
end)
