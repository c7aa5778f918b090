-- The same session whatever pieces its bytes come in: one at a time, a few, or many messages in one.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"echo","description":"grüß \240\159\140\153","inputSchema":{"type":"object"}}]'

local function server()
  local up = upstream.new { tools = tools }
  up:on("tools/call", function(req) req:reply('{"content":[],"got":' .. req.params .. "}") end)
  return up
end

local params = '{"name":"echo","arguments":{"t":"\240\159\140\153 \\ud83c\\udf19 ü","n":1.0}}'

describe("bytes in pieces", function()
  after_each(lunette.finish)

  for _, step in ipairs { 1, 2, 3, 7 } do
    for _, transport in ipairs { "stdio", "http" } do
      it(("of %d from a client over %s"):format(step, transport), function()
        local client, up = lunette.between({ transport, "stdio" }, server(), { step = step })
        client:initialize()
        assert.equal(tools, json.at(client:result("tools/list", "{}"), "tools"))
        assert.equal(params, json.at(client:result("tools/call", params), "got"))
        assert.equal(params, up:wait("tools/call").params)
      end)
    end
  end

  it("of one from a child", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server())
    client:initialize()
    up:on("tools/call", function(req)
      local text = ('{"jsonrpc":"2.0","id":%s,"result":{"content":[],"t":"\240\159\140\153"}}\r\n'):format(req.id)
      for c in text:gmatch "." do req.session:raw(c) end
    end)
    assert.equal('{"content":[],"t":"\240\159\140\153"}', client:result("tools/call", params))
  end)

  -- A response of an HTTP server, byte by byte, each in a packet of its own as far as the kernel lets.
  local responses = {
    ["with a length"] = function(body)
      return ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body)
    end,
    ["in chunks"] = function(body)
      local half = math.floor(#body / 2)
      return ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n%x;a=b\r\n%s\r\n%X\r\n%s\r\n0\r\nX-T: 1\r\n\r\n"):format(
        half, body:sub(1, half), #body - half, body:sub(half + 1))
    end,
    ["as SSE"] = function(body)
      local text = ": c\n\nid: 7\nevent: message\ndata: " .. body .. "\n\n"
      return ("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"):format(#text, text)
    end,
    ["until the end of the connection"] = function(body)
      return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" .. body, true
    end,
  }
  for name, format in pairs(responses) do
    it("of one from an HTTP server, " .. name, function()
      local client, up = lunette.between({ "stdio", "http" }, server())
      client:initialize()
      up:on("tools/call", function(req)
        req.via.finished = true
        local text, close = format(('{"jsonrpc":"2.0","id":%s,"result":{"content":[],"t":"\240\159\140\153"}}'):format(req.id))
        local i = 0
        local function step()
          i = i + 1
          if i > #text then
            if close then req.via.conn:close() end
            return
          end
          req.via.conn.tcp:write(text:sub(i, i), step)
        end
        step()
      end)
      assert.equal('{"content":[],"t":"\240\159\140\153"}', client:result("tools/call", params))
      up:on("tools/call", function(req) req:reply '{"content":[]}' end)
      client:result("tools/call", params)
    end)
  end

  it("many messages in one write, over stdio", function()
    local client, up = lunette.between({ "stdio", "stdio" }, server())
    client:initialize()
    local text, calls = {}, {}
    for i = 1, 200 do
      local raw = ('{"jsonrpc":"2.0","id":"m%d","method":"tools/call","params":{"name":"echo","arguments":{"i":%d}}}'):format(i, i)
      text[i] = raw .. (i % 3 == 0 and "\r\n" or "\n") .. (i % 7 == 0 and "\n" or "")
      calls[i] = ('"m%d"'):format(i)
      client.calls[calls[i]] = { id = calls[i] }
    end
    client.process:write(table.concat(text))
    loop.wait(function()
      for _, id in ipairs(calls) do
        if not client.calls[id].raw then return false end
      end
      return true
    end, "200 responses")
    for i, id in ipairs(calls) do assert.equal(tostring(i), json.at(client.calls[id].raw, "result", "got", "arguments", "i")) end
    assert.equal(200, up:count "tools/call")
  end)

  it("a message of four megabytes, there and back", function()
    local client, up = lunette.between({ "http", "stdio" }, server(), { policy = "lunette.configure { max_message_bytes = 16 * 1024 * 1024 }" })
    client:initialize()
    local big = ("0123456789abcdef"):rep(250000)
    local p = '{"name":"echo","arguments":{"big":"' .. big .. '"}}'
    local raw = client:request("tools/call", p)
    assert.is_true(p == json.at(raw, "result", "got"))
    assert.is_true(p == up:wait("tools/call").params)
  end)

  it("a client that reads slowly holds up nobody but itself, and loses nothing", function()
    local up = server()
    local host = lunette.http { policy = lunette.bare(up) }
    local slow, quick = host.client(), host.client()
    slow:initialize()
    quick:initialize()
    local big = ("x"):rep(1000000)
    up:on("tools/call", function(req)
      if req:value("arguments", "big") then req:reply('{"content":[],"big":"' .. big .. '"}') else req:reply '{"content":[]}' end
    end)
    local conn = http.connect(host.port)
    conn.tcp:read_stop()
    for i = 1, 3 do
      conn:send(http.format { method = "POST", path = "/mcp", headers = slow:headers "POST",
        body = ('{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"big":1}}}'):format(i) })
    end
    for _ = 1, 50 do quick:result("tools/call", '{"name":"echo"}') end
    conn.bytes = loop.collect(conn.tcp, function() if conn.on_data then conn.on_data() end end)
    for _ = 1, 3 do
      local response = conn:response(10000)
      local raw = response.body:match "data: (.-)\n" or response.body
      assert.equal(1000000 + 2, #json.at(raw, "result", "big"))
    end
  end)

  it("a client that never finishes its request is let go, others are served", function()
    local up = server()
    local host = lunette.http { policy = lunette.bare(up) }
    local stuck = {}
    for i = 1, 20 do
      stuck[i] = http.connect(host.port)
      stuck[i]:send "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le"
    end
    local client = host.client()
    client:initialize()
    client:result("tools/call", params)
  end)
end)
