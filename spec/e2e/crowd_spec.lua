-- Many at once: clients that go without a word, servers that are killed and come back while they are called, and
-- every kind of message of many clients interleaved. What is counted: what is left, and what is lost, doubled or
-- another's.
--
-- LUNETTE_CROWD=N lets N sessions come and go instead of the few that a test run has time for.
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local upstream = require "spec.support.upstream"

local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'
local work = '{"name":"work"}'

local function metric(host, name)
  local body = http.request { port = host.port, path = "/metrics" }.body
  return tonumber(body:match("\n" .. name .. " (%d+)"))
end

local function line(id, method, params)
  return ('{"jsonrpc":"2.0","id":%s,"method":"%s","params":%s}'):format(id, method, params)
end

local hello = line(0, "initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}')
local headers = { "Host: 127.0.0.1", "Content-Type: application/json", "Accept: application/json, text/event-stream" }

describe("sessions that come and go without a goodbye", function()
  after_each(lunette.finish)

  -- One that initializes, calls, and hangs up in one of several ways; never DELETE.
  local function visit(port, i)
    local conn = http.connect(port)
    conn:send(http.format { method = "POST", path = "/mcp", headers = headers, body = hello })
    local session = conn:response(20000).headers["mcp-session-id"]
    local mine = { headers[1], headers[2], headers[3], "Mcp-Session-Id: " .. session }
    local function send(method, body)
      conn:send(http.format { method = method, path = "/mcp", headers = mine, body = body })
    end
    send("POST", '{"jsonrpc":"2.0","method":"notifications/initialized"}')
    conn:response(20000)
    send("POST", line(1, "tools/call", work))
    local way = i % 5
    if way < 3 then
      local head = conn:head(20000)
      assert.equal(200, head.status)
    end
    if way == 1 then send("GET") end
    if way == 2 or way == 4 then conn:reset() else conn:close() end
  end

  it("leave no session, descriptor or memory behind", function()
    local n = tonumber(os.getenv "LUNETTE_CROWD") or (lunette.sanitized and 400 or 2000)
    local up = upstream.new { tools = tools }
    up:on("tools/call", function() return '{"content":[{"type":"text","text":"' .. ("x"):rep(1000) .. '"}]}' end)
    up:http()
    local host = lunette.http { policy = ([[lunette.configure { session_timeout = 1 }
      lunette.upstream("up", %s)
      lunette.on("tools/call", function(request, forward, ctx) ctx.session.state.seen = true return forward(request) end)]]):format(up:lua()) }
    local pid = host.process.pid
    local function settled()
      loop.wait(function()
        loop.sleep(50)
        return metric(host, "lunette_sessions") == 0
      end, "all sessions to end", 30000)
      return process.descriptors(pid), process.rss(pid)
    end
    local most = 0
    local function crowd(from, to)
      for i = from, to do
        visit(host.port, i)
        if i % 100 == 0 then
          most = math.max(most, metric(host, "lunette_sessions"))
          -- What the scripted server has heard of them is not the subject.
          for _, session in ipairs(up.sessions) do session.received, session.messages = {}, {} end
          up.requests = {}
        end
      end
    end
    -- What the most at once have needed is kept for the next: crowds of one size are compared.
    local size, descriptors, rss, descriptors_then, rss_then = math.min(n / 4, 1000), nil, nil, nil, nil
    for from = 1, n, size do
      crowd(from, math.min(from + size - 1, n))
      descriptors_then, rss_then = settled()
      if from == 1 + size then descriptors, rss = descriptors_then, rss_then end
    end
    io.write(("      %d sessions came, at most %d at once; %d descriptors, then %d; %d kB, then %d\n"):format(n, most, descriptors,
      descriptors_then, rss, rss_then))
    assert.is_true(metric(host, "lunette_sessions_total") >= n)
    assert.equal(0, metric(host, "lunette_requests_in_flight"))
    -- A few connections to the server stay for the next call.
    assert.is_true(descriptors_then <= descriptors + 32 and descriptors_then < 64)
    if not lunette.sanitized then assert.is_true(rss_then < rss + 4096) end
    -- Lunette has done with them when its DELETEs are on their way.
    loop.wait(function()
      for _, session in ipairs(up.sessions) do
        if not session.deleted then return false end
      end
      return true
    end, "the sessions to be ended at the server", 10000)
    assert.equal(0, #process.children(pid))
  end)

  it("leave no child behind", function()
    local up = upstream.new { tools = tools }
    up:on("tools/call", function() return '{"content":[]}' end)
    local host = lunette.http { policy = "lunette.configure { session_timeout = 0.5 }\n" .. lunette.bare(up) }
    for i = 1, lunette.sanitized and 10 or 40 do visit(host.port, i) end
    loop.wait(function()
      loop.sleep(50)
      local children, zombies = process.children(host.process.pid)
      return metric(host, "lunette_sessions") == 0 and #children == 0 and zombies == 0
    end, "all to end", 30000)
    for _, session in ipairs(up.sessions) do assert.truthy(session.gone) end
  end)
end)

describe("servers that are killed and come back under load", function()
  after_each(lunette.finish)

  for _, kind in ipairs { "stdio", "http" } do
    it("lose, double and misdeliver nothing over " .. kind, function()
      local up, steady = upstream.new { name = "up", tools = tools }, upstream.new { name = "steady", tools = tools }
      local executed = {}
      local function serve(req)
        local token = req:value("arguments", "token")
        executed[token] = (executed[token] or 0) + 1
        local function answer() req:reply(('{"content":[],"token":%s}'):format(json.quote(token))) end
        if executed[token] % 3 == 0 then loop.after(5, answer) else answer() end
      end
      up:on("tools/call", serve)
      steady:on("tools/call", serve)
      if kind == "http" then up:http() end
      local host = lunette.http { policy = lunette.bare(up, steady) }
      local clients = {}
      for i = 1, 6 do
        clients[i] = host.client()
        clients[i]:initialize()
        clients[i]:result "tools/list" -- else a server may be killed before anybody knows its tools
      end
      local kills, sent = 0, {}
      for round = 1, lunette.sanitized and 15 or 40 do
        for i, client in ipairs(clients) do
          for n = 1, 3 do
            local token = ("%d-%d-%d"):format(round, i, n)
            local name = n == 3 and "steady_work" or "up_work"
            sent[#sent + 1] = { token = token, steady = n == 3,
              call = client:start("tools/call", ('{"name":"%s","arguments":{"token":"%s"}}'):format(name, token)) }
          end
        end
        if round % 2 == 0 then
          local victim = up.sessions[#up.sessions - round % 6]
          if kind == "http" then
            -- One whose sessions it has all forgotten, and one that hangs up on everybody.
            if round % 4 == 0 then up:forget() else for _, conn in ipairs(up.server.connections) do conn:reset() end end
            kills = kills + 1
          elseif victim and not victim.gone then
            loop.uv.kill(victim.pid, "sigkill")
            kills = kills + 1
          end
        end
        loop.sleep(5)
      end
      local answered, failed = 0, 0
      for _, one in ipairs(sent) do
        local raw = one.call:wait(20000)
        local token = json.value(raw, "result", "token")
        if token then
          answered = answered + 1
          assert.equal(one.token, token)
          assert.equal(1, executed[token])
        else
          failed = failed + 1
          assert.is_false(one.steady, raw)
          local message = json.value(raw, "error", "message")
          assert.truthy(message:find('Server "up": ', 1, true), message)
          assert.is_true((executed[one.token] or 0) <= 1, "a call was made twice")
        end
      end
      io.write(("      %d kills, %d calls answered, %d told what happened\n"):format(kills, answered, failed))
      assert.equal(#sent, answered + failed)
      assert.is_true(kills > 0 and answered > 0 and failed > 0)
      for _, client in ipairs(clients) do
        assert.equal(0, #client.inbox)
        -- It may rest a moment after so many failures.
        loop.wait(function()
          return json.at(client:request("tools/call", '{"name":"up_work","arguments":{"token":"after"}}'), "result")
        end, "it to be back", 20000)
      end
    end)
  end
end)

describe("everything at once, of many clients,", function()
  after_each(lunette.finish)

  local transports = { { "stdio", "stdio" }, { "http", "stdio" }, { "http", "http" } }
  for _, way in ipairs(transports) do
    it("is never mixed, " .. lunette.way_name(way), function()
      local up = upstream.new { tools = tools }
      -- Each call: a log, progress, an elicitation, a sampling and a root list that name its client, in an order of
      -- its own; every fourth is never answered, to be cancelled.
      local cancelled = 0
      up:on("notifications/cancelled", function() cancelled = cancelled + 1 end)
      up:on("tools/call", function(req)
        local who = req:value("arguments", "who")
        local steps, got = {}, {}
        local function step()
          local next_step = table.remove(steps)
          if next_step then return next_step() end
          if req:value("arguments", "leave") then return end
          req:reply(('{"content":[],"who":%s,"got":%s}'):format(json.quote(who), json.encode(got)))
        end
        local function ask(method, params)
          return function()
            req:ask(method, params:gsub("WHO", who), function(response)
              got[#got + 1] = response.result and json.value(response.result, "_meta", "who") or "nobody"
              step()
            end)
          end
        end
        steps[1] = ask("elicitation/create", '{"message":"WHO","requestedSchema":{"type":"object","properties":{}}}')
        steps[2] = ask("sampling/createMessage", '{"messages":[],"maxTokens":1,"systemPrompt":"WHO"}')
        steps[3] = ask("roots/list", '{"_meta":{"who":"WHO"}}')
        if #who % 2 == 0 then steps[1], steps[3] = steps[3], steps[1] end
        for i = 1, 3 do
          req:progress(('"progress":%d,"message":%s'):format(i, json.quote(who)))
          req:notify("notifications/message", ('{"level":"info","data":%s}'):format(json.quote(who)))
        end
        step()
      end)
      if way[2] == "http" then up:http() end
      local clients, host = {}, nil
      local n = lunette.sanitized and 6 or 12
      if way[1] == "http" then host = lunette.http { policy = lunette.bare(up) } end
      for i = 1, n do
        local client = host and host.client() or lunette.stdio { policy = lunette.bare(up) }
        client:initialize { capabilities = '{"elicitation":{},"sampling":{},"roots":{}}' }
        if host then client:listen() end
        clients[i] = { client = client, calls = {}, name = "client" .. i }
      end
      for k = 1, 4 do
        for _, c in ipairs(clients) do
          local who = ("%s-%s"):format(c.name, ("k"):rep(k))
          c.calls[who] = c.client:start("tools/call", ('{"name":"work","arguments":{"who":"%s"%s},"_meta":{"progressToken":"t-%s"}}'):format(
            who, k == 4 and ',"leave":true' or "", who))
          c.seen = {}
        end
      end
      -- Whose a message is, by all that is in it; it must be this client's.
      local function own(c, message, who)
        assert.truthy(who and c.calls[who], ("%s got what is %s's: %s"):format(c.name, tostring(who), message.raw))
        local key = message.method .. who
        c.seen[key] = (c.seen[key] or 0) + 1
        return who
      end
      local takes = {
        ["notifications/message"] = function(c, m) own(c, m, json.value(m.params, "data")) end,
        ["notifications/progress"] = function(c, m)
          local who = own(c, m, json.value(m.params, "message"))
          assert.equal("t-" .. who, json.value(m.params, "progressToken"))
        end,
        ["elicitation/create"] = function(c, m) return own(c, m, json.value(m.params, "message")), '"action":"accept"' end,
        ["sampling/createMessage"] = function(c, m)
          return own(c, m, json.value(m.params, "systemPrompt")), '"role":"assistant","model":"m","content":{"type":"text","text":""}'
        end,
        ["roots/list"] = function(c, m) return own(c, m, json.value(m.params, "_meta", "who")), '"roots":[]' end,
      }
      local function pump()
        local busy = false
        for _, c in ipairs(clients) do
          while #c.client.inbox > 0 do
            local message = table.remove(c.client.inbox, 1)
            local who, result = assert(takes[message.method], message.raw)(c, message)
            if message.id then c.client:answer(message, ('{%s,"_meta":{"who":"%s"}}'):format(result, who)) end
          end
          for who, call in pairs(c.calls) do
            local leaves = who:find "kkkk$"
            if leaves and not c.left and (c.seen["roots/list" .. who] and c.seen["sampling/createMessage" .. who]
              and c.seen["elicitation/create" .. who]) then
              c.left = true
              c.client:notify("notifications/cancelled", ('{"requestId":%s}'):format(call.id))
            end
            busy = busy or (not leaves and not call.raw) or (leaves and not c.left)
          end
        end
        return not busy
      end
      loop.wait(pump, "all calls to be answered", 30000)
      loop.wait(function() return cancelled == n end, "the cancellations")
      for _, c in ipairs(clients) do
        pump()
        for who, call in pairs(c.calls) do
          assert.equal(3, c.seen["notifications/message" .. who])
          assert.equal(3, c.seen["notifications/progress" .. who])
          for _, method in ipairs { "elicitation/create", "sampling/createMessage", "roots/list" } do assert.equal(1, c.seen[method .. who]) end
          if not who:find "kkkk$" then
            assert.equal(who, json.value(call.raw, "result", "who"))
            assert.same({ who, who, who }, json.value(call.raw, "result", "got"))
          else
            assert.is_nil(call.raw)
          end
        end
      end
    end)
  end
end)

describe("several of the official client", function()
  after_each(lunette.finish)

  it("do everything at once with a server each, and none hears what is another's", function()
    local n = lunette.sanitized and 2 or 4
    local host = lunette.http { policy = peers.patience
      .. ("lunette.upstream('everything', %s)"):format(peers.lua(peers.command "everything")) }
    local result = process.run { command = "node", args = { lunette.root .. "/spec/support/peers/crowd.mjs", host.url, tostring(n) },
      timeout = 60000, name = "the SDK's clients" }
    assert.equal(0, result.code, result.stderr)
    local said = json.decode(result.stdout)
    assert.same({}, said.wrong)
    assert.equal(n * (20 + 3 + 8 + 4 + 4 + 3), said.heard)
    loop.wait(function()
      loop.sleep(50)
      return metric(host, "lunette_sessions") == 0 and #process.children(host.process.pid) == 0
    end, "their servers to end", 15000)
  end)
end)
