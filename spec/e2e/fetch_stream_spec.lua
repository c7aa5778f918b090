-- lunette.http: responses that are read as they come, and that nothing of a request is left when its handler ends in
-- any way. The servers are bytes.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local process = require "spec.support.process"
local fetching = require "spec.support.fetch"

local fetch_tool = fetching.fetch_tool
local client_of = fetching.client_of
local start = fetching.start
local text_of = fetching.text_of
local call = fetching.call
local fetch = fetching.fetch
local server = fetching.server
local ok = fetching.ok

describe("lunette.http", function()
  after_each(lunette.finish)

  local function chunk(text) return ("%x\r\n%s\r\n"):format(#text, text) end
  local chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

  it("gives a stream's pieces as they come", function()
    local conn
    local s = server(function(_, c)
      conn = c
      c:send(chunked)
    end)
    local client = client_of [[
lunette.tools.add { name = "stream", handler = function(o, ctx)
  local response = lunette.http { url = o.url, stream = true }
  ctx:log("info", tostring(response.status) .. tostring(response.body))
  for piece in response:chunks() do ctx:log("info", piece) end
  return "end" end }]]
    local under_way = start(client, "stream", json.encode { url = s.url })
    local function heard() return json.value(client:expect("notifications/message").raw, "params", "data") end
    assert.equal("200nil", heard())
    for _, text in ipairs { "one", "two\n", "three" } do
      conn:send(chunk(text))
      assert.equal(text, heard())
    end
    conn:send "0\r\n\r\n"
    assert.equal("end", (text_of(under_way)))
  end)

  local lines_tool = [[
lunette.tools.add { name = "lines", handler = function(o)
  local list = lunette.array {}
  local response = lunette.http { url = o.url, stream = true }
  local ok, why = pcall(function() for line in response:lines() do list[#list + 1] = line end end)
  if not ok then list[#list + 1] = why end
  return lunette.json.encode(list) end }]]

  it("gives a stream's lines, however they are cut", function()
    local bytes = "data: a\r\n\r\nb\n\n\rc\r\nlast"
    local client = client_of(lines_tool)
    for _, step in ipairs { 1, 5, 100 } do
      local s = server(function(_, conn)
        loop.after(0, function()
          conn:send("HTTP/1.0 200 OK\r\n\r\n" .. bytes, step)
          conn:shutdown()
        end)
      end)
      assert.equal('["data: a","","b","","\\rc","last"]', (call(client, "lines", json.encode { url = s.url })))
    end
  end)

  it("gives what came of a stream before it broke, then says that it broke", function()
    local s = server(function(_, conn)
      conn:send(chunked .. chunk "a\nb\n")
      conn:shutdown()
    end)
    local list = json.decode((call(client_of(lines_tool), "lines", json.encode { url = s.url })))
    assert.equal("a", list[1])
    assert.equal("b", list[2])
    assert.truthy(list[3]:find("policy%d+%.lua:%d+: lunette%.http: GET .*: the server closed the connection before the end"), list[3])
    assert.equal(3, #list)
  end)

  it("reads a stream no faster than the policy does, and loses nothing of it", function()
    local piece, pieces = ("0123456789abcdef"):rep(4096), 200 -- 12.5 MiB
    local conn
    local s = server(function(_, c)
      conn = c
      c:send(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#piece * pieces))
      for _ = 1, pieces do c:send(piece) end
    end)
    local client = client_of [[
lunette.tools.add { name = "stream", handler = function(o, ctx)
  local response = lunette.http { url = o.url, stream = true }
  local n, right = 0, true
  for chunk in response:chunks() do
    if n == 0 then
      ctx:log("info", "first")
      lunette.sleep(1)
    end
    local want = ("0123456789abcdef"):rep(#chunk / 16 + 2)
    right = right and want:sub(n % 16 + 1, n % 16 + #chunk) == chunk
    n = n + #chunk
  end
  return ("%d %s"):format(n, tostring(right)) end }]]
    local under_way = start(client, "stream", json.encode { url = s.url })
    client:expect "notifications/message"
    loop.sleep(300)
    assert.is_true(conn.tcp:get_write_queue_size() > 1000000, "the server could send all to a policy that sleeps")
    assert.equal(("%d true"):format(#piece * pieces), (text_of(under_way)))
  end)

  it("has no limit for what is streamed but its time", function()
    local s = server(function(_, conn) conn:send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" .. ("x"):rep(100000)) end)
    local client = client_of [[
lunette.configure { max_http_bytes = 1024 }
lunette.tools.add { name = "stream", handler = function(o)
  local n = 0
  for chunk in lunette.http { url = o.url, stream = true }:chunks() do n = n + #chunk end
  return tostring(n) end }
lunette.tools.add { name = "lines", handler = function(o)
  for _ in lunette.http { url = o.url, stream = true }:lines() do error "no" end end }]]
    assert.equal("100000", (call(client, "stream", json.encode { url = s.url })))
    start(client, "lines", json.encode { url = s.url })
    client.process:wait_stderr "a line is longer than max_http_bytes"
  end)

  it("is gone with its handler, or when it is closed", function()
    local s = server(function(_, conn) conn:send(chunked .. chunk "a") end)
    local client = client_of [[
local kept
lunette.tools.add { name = "keep", handler = function(o)
  kept = lunette.http { url = o.url, stream = true }
  return "kept" end }
lunette.tools.add { name = "use", handler = function()
  local ok, why = pcall(function() for _ in kept:chunks() do break end end)
  return why end }
lunette.tools.add { name = "close", handler = function(o)
  local response = lunette.http { url = o.url, stream = true }
  for _ in response:chunks() do response:close() break end
  response:close()
  local ok, why = pcall(function() for _ in response:chunks() do break end end)
  return why end }]]
    local at = json.encode { url = s.url }
    assert.equal("kept", (call(client, "keep", at)))
    loop.wait(function() return s.connections[1].gone end, "the connection to be closed")
    local text = call(client, "use")
    assert.truthy(text:find(":6: the response is closed, or gone with the handler that asked", 1, true), text)
    text = call(client, "close", at)
    assert.truthy(text:find(":12: the response is closed, or gone", 1, true), text)
    loop.wait(function() return s.connections[2].gone end, "the connection to be closed")
  end)

  -- --- callers and their ends --------------------------------------------------------------------------------

  -- A server that never answers, and the connection that asks it.
  local function silent()
    local s = server(function() end)
    function s.asked(n) loop.wait(function() return #s.requests == (n or 1) end, "a request") end
    function s.left(n)
      loop.wait(function() return s.connections[n or 1].gone end, "the connection to be closed")
    end
    return s
  end

  it("ends with its handler when the client cancels", function()
    local s = silent()
    local client = client_of()
    local under_way = start(client, "fetch", json.encode { url = s.url })
    s.asked()
    client:notify("notifications/cancelled", ('{"requestId":%s}'):format(under_way.id))
    s.left()
    assert.is_nil(under_way:done(50))
    assert.equal("{}", client:result "ping")
  end)

  it("ends with its session, while streaming too", function()
    local s = server(function(_, conn) conn:send(chunked .. chunk "a") end)
    local host = lunette.http { policy = [[
lunette.tools.add { name = "stream", handler = function(o)
  for _ in lunette.http { url = o.url, stream = true }:chunks() do end end }]] }
    local client = host.client()
    client:initialize()
    start(client, "stream", json.encode { url = s.url })
    loop.wait(function() return #s.requests == 1 end, "a request")
    client:close()
    loop.wait(function() return s.connections[1].gone end, "the connection to be closed")
  end)

  it("is there for inner handlers of a notification, whose outer ones don't wait for them", function()
    local held
    local s = server(function(_, conn) held = conn end)
    local policy = ([[
lunette.on("notifications/initialized", function(notification, forward) forward(notification) end)
lunette.on("notifications/initialized", function(notification, forward, ctx)
  lunette.log.info("got " .. lunette.http(%q).body)
  forward(notification)
  lunette.log.info("from " .. ctx.session.client.name) end)]]):format(s.url)
    local client = client_of(policy)
    loop.wait(function() return held end, "a request")
    held:send(ok)
    client.process:wait_stderr "got ok"
    client.process:wait_stderr "from spec"
    held = nil
    client = client_of(policy)
    loop.wait(function() return held end, "a request")
    client:close()
    loop.wait(function() return held.gone end, "the connection to be closed")
    assert.is_nil(client.process.err:all():find("got", 1, true))
  end)

  it("ends with Lunette, whoever asks", function()
    local s = silent()
    local client = client_of("lunette.configure { drain_timeout = 0.1 } " .. fetch_tool
      .. ("lunette.every(0.01, function() lunette.http %q end)"):format(s.url))
    start(client, "fetch", json.encode { url = s.url })
    s.asked(2)
    client.process:kill "sigterm"
    client.process:wait_exit()
    assert.is_nil(client.process.err:all():find("error", 1, true), client.process.err:all())
  end)

  it("is for handlers of messages, for timers and for what servers ask", function()
    local s = server(ok)
    local client, up = lunette.between({ "stdio", "stdio" }, { tools = '[{"name":"work","inputSchema":{"type":"object"}}]' }, {
      policy = ([[
local url = %q
lunette.on("tools/call", function(request, forward)
  request.params.arguments.got = lunette.http(url .. "/hook").body
  local result = forward(request)
  result.after = lunette.http(url .. "/after").status
  return result
end)
lunette.sampling(function()
  return { role = "assistant", model = "m", content = { type = "text", text = lunette.http(url .. "/sampling").body } }
end)
lunette.every(0.01, function()
  lunette.http(url .. "/timer")
  lunette.sleep(1000)
end)]]):format(s.url) })
    up:on("tools/call", function(req)
      req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(answer)
        req:reply(('{"content":[],"got":%s,"sampled":%s}'):format(req:at("arguments", "got"), answer.result))
      end)
    end)
    client:initialize()
    local result = json.decode(client:result("tools/call", '{"name":"work","arguments":{}}'))
    assert.equal("ok", result.got)
    assert.equal("ok", result.sampled.content.text)
    assert.equal(200, result.after)
    loop.wait(function()
      for _, request in ipairs(s.requests) do
        if request.path == "/timer" then return true end
      end
    end, "the timer's request")
  end)

  it("goes on under the policy it began with", function()
    local held
    local s = server(function(_, conn) held = conn end)
    local path = lunette.policy(fetch_tool)
    local client = lunette.stdio { targets = { path }, flags = { "--no-watch" } }
    client:initialize()
    local under_way = start(client, "fetch", json.encode { url = s.url })
    loop.wait(function() return held end, "a request")
    lunette.policy("", path)
    client.process:kill "sighup"
    client.process:wait_stderr "a new policy is in force"
    held:send(ok)
    assert.truthy(text_of(under_way):find('"body":"ok"', 1, true))
  end)

  it("holds on to nothing over many requests and many servers", function()
    local s = server(ok)
    local client = client_of()
    for i = 1, 40 do
      local other = server(ok)
      fetch(client, { url = other.url })
      if i % 4 == 0 then fetch(client, { url = s.url }) end
    end
    -- Connections are kept for a few seconds each, but not for every server there ever was.
    assert.is_true(process.descriptors(client.process.pid) < 60)
  end)
end)
