-- Rule 68 of the protocol checklist: what a client doesn't read, or isn't there to read, is bounded and holds up
-- nobody else; what changes is told once; answers always come.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

describe("streams that nobody reads", function()
  after_each(lunette.finish)

  local function flooding(kind)
    local up = upstream.new { tools = '[{"name":"echo","inputSchema":{"type":"object"}}]', resources = '[{"uri":"x://1","name":"1"}]' }
    if kind == "http" then up:http() end
    local host = lunette.http { policy = lunette.bare(up) }
    return up, host
  end

  for _, kind in ipairs { "stdio", "http" } do
    it("68: of a call are bounded and hold up nobody else; the response comes whatever went before, " .. kind, function()
      local up, host = flooding(kind)
      local pad, n = ("x"):rep(4000), 2000
      up:on("tools/call", function(req)
        if not req:at("_meta", "progressToken") then return '{"content":[]}' end
        for i = 1, n do req:progress(('"progress":%d,"message":"%s"'):format(i, pad)) end
        req:reply '{"content":[],"flooded":true}'
      end)
      local deaf, other = host.client(), host.client()
      deaf:initialize()
      other:initialize()
      other:result("tools/call", '{"name":"echo"}')
      local before = process.rss(host.process.pid)
      local conn = http.connect(host.port)
      conn:send(http.format { method = "POST", path = "/mcp", port = host.port, headers = deaf:headers "POST",
        body = '{"jsonrpc":"2.0","id":"f","method":"tools/call","params":{"name":"echo","_meta":{"progressToken":"p"}}}' })
      conn.tcp:read_stop()
      up:wait "tools/call"
      for _ = 1, 20 do other:result("tools/call", '{"name":"echo"}') end
      if not lunette.sanitized then assert.is_true(process.rss(host.process.pid) - before < 24 * 1024) end
      local seen, last, answer = 0, 0, nil
      local parser = http.sse_parser()
      conn.tcp:read_start(loop.guard(function(_, chunk) if chunk then parser.feed((chunk:gsub("\r\n%x+\r\n", ""))) end end))
      loop.wait(function()
        for event in parser.take do
          local data = event.data or ""
          if data:find('"method":"notifications/progress"', 1, true) then
            local at = tonumber(data:match '"progress":(%d+)')
            assert.is_true(at > last, "progress goes back")
            seen, last = seen + 1, at
          elseif data:find('"id":"f"', 1, true) then
            answer = data
          end
        end
        return answer
      end, "the response", 30000)
      assert.equal('{"content":[],"flooded":true}', json.at(answer, "result"))
      assert.equal(n, last, "the latest is never the one that goes")
      assert.is_true(seen > 0)
      conn:close()
    end)
  end

  it("68: what waits for a client that doesn't listen is bounded, the latest is kept, and questions are answered", function()
    local up, host = flooding "stdio"
    up:on("tools/call", function() return '{"content":[]}' end)
    local client = host.client()
    client:initialize { capabilities = '{"roots":{}}' }
    client:result("tools/call", '{"name":"echo"}')
    local before, n, refused = process.rss(host.process.pid), 3000, 0
    up:session():ask("roots/list", nil, function(response) refused = refused + (response.error and 1 or 0) end)
    for i = 1, n do up:session():notify("notifications/message", ('{"level":"info","data":%d,"pad":"%s"}'):format(i, ("x"):rep(500))) end
    loop.wait(function() return refused == 1 end, "the question to be answered")
    client:result("tools/call", '{"name":"echo"}')
    if not lunette.sanitized then assert.is_true(process.rss(host.process.pid) - before < 24 * 1024) end
    client:listen()
    local last, seen = 0, 0
    loop.wait(function()
      local message = client:maybe("notifications/message", 1)
      if message then
        local at = json.value(message.params, "data")
        assert.is_true(at > last)
        last, seen = at, seen + 1
      end
      return last == n
    end, "the latest", 20000)
    assert.is_true(seen < n)
  end)

  it("68: lists that change and change again are one change to who was not looking", function()
    local up, host = flooding "stdio"
    local client = host.client()
    client:initialize()
    client:result("tools/list", "{}")
    client:result("resources/list", "{}")
    local n = 0
    up:on("tools/list", function()
      n = n + 1
      return ('{"tools":[{"name":"t%d","inputSchema":{"type":"object"}}]}'):format(n)
    end)
    for _ = 1, 50 do
      local heard = up:count "tools/list"
      up:session():notify "notifications/tools/list_changed"
      loop.wait(function() return up:count "tools/list" > heard end, "the list to be fetched")
    end
    loop.wait(function()
      return json.value(client:result("tools/list", "{}"), "tools", 1, "name") == "t" .. n
    end, "the last change to be known")
    client:listen()
    client:expect "notifications/tools/list_changed"
    client:result "ping"
    assert.is_nil(client:maybe("notifications/tools/list_changed", 100))
    assert.equal("t" .. n, json.value(client:result("tools/list", "{}"), "tools", 1, "name"))
  end)
end)
