-- What clients that share one session with a server (mode "shared") set there: the level of its log and what they
-- listen to. Each is served as if the server were its own, and the server is told what is right for all of them,
-- once. And the same settings where sessions are not shared.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local work = '{"name":"work"}'
local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'

-- The levels, or URIs, that a server was told, in order: "+x://1" for a subscription, "-x://1" for its end.
local function told(up, method)
  local list = {}
  for _, session in ipairs(up.sessions) do
    for _, message in ipairs(session.messages) do
      if message.method == method then list[#list + 1] = message:value "level" end
      if not method and message.method == "resources/subscribe" then list[#list + 1] = "+" .. message:value "uri" end
      if not method and message.method == "resources/unsubscribe" then list[#list + 1] = "-" .. message:value "uri" end
    end
  end
  return list
end

local function levels(up) return told(up, "logging/setLevel") end
local function listened(up) return told(up) end

for _, kind in ipairs { "stdio", "http" } do
  describe("clients that share a server over " .. kind, function()
    local up, host
    after_each(lunette.finish)

    local function start(extra, policy)
      up = upstream.new { name = "up", tools = tools, resources = '[{"uri":"x://1","name":"1"},{"uri":"x://2","name":"2"}]' }
      up:on("tools/call", function() return '{"content":[]}' end)
      if kind == "http" then up:http() end
      host = lunette.http { policy = ("local up = lunette.upstream('up', %s)\n"):format(up:lua(extra or "session = 'shared'")) .. (policy or "") }
    end

    local function client()
      local c = host.client()
      c:initialize()
      c:listen()
      return c
    end

    local function level(c, name) assert.equal("{}", c:result("logging/setLevel", ('{"level":%q}'):format(name))) end
    local function listen(c, uri) assert.equal("{}", c:result("resources/subscribe", ('{"uri":%q}'):format(uri))) end
    local function ignore(c, uri) assert.equal("{}", c:result("resources/unsubscribe", ('{"uri":%q}'):format(uri))) end

    local function log(name)
      up.sessions[#up.sessions]:notify("notifications/message", ('{"level":%q,"data":%q}'):format(name, name))
    end

    local function updated(uri)
      up.sessions[#up.sessions]:notify("notifications/resources/updated", ('{"uri":%q}'):format(uri))
    end

    local function stream_upstream()
      if kind == "http" then loop.wait(function() return up.sessions[#up.sessions].get end, "the GET stream upstream") end
    end

    -- All that came, in order, as these methods' data or uri.
    local function heard(c, n)
      local list = {}
      loop.wait(function() return #c.inbox >= n end, n .. " messages")
      for i, message in ipairs(c.inbox) do
        list[i] = json.value(message.params, message.method == "notifications/message" and "data" or "uri")
      end
      c.inbox = {}
      return list
    end

    it("get a new session when a policy clears it, after the calls that are under way", function()
      start("session = 'shared'", 'lunette.tools.add { name = "anew", handler = function() up:clear() return "ok" end }')
      local a, b = client(), client()
      level(a, "warning")
      listen(b, "x://1")
      local first = up.sessions[#up.sessions]
      up:on("tools/call", function() end)
      local slow = a:start("tools/call", work)
      local held = up:wait "tools/call"
      assert.truthy(b:result("tools/call", '{"name":"anew"}'):find("ok", 1, true))
      assert.falsy(slow:done(0))
      up:on("tools/call", function() return '{"content":[{"type":"text","text":"from the new one"}]}' end)
      assert.truthy(b:result("tools/call", work):find("from the new one", 1, true))
      local second = up.sessions[#up.sessions]
      assert.not_equal(first, second)
      held:reply '{"content":[{"type":"text","text":"held"}]}'
      assert.truthy(slow:wait():find("held", 1, true))
      loop.wait(function() return first.gone or first.deleted end, "the end of the cleared session")
      stream_upstream()
      updated "x://1"
      assert.same({ "x://1" }, heard(b, 1))
      assert.same({ "warning", "warning" }, levels(up))
      assert.truthy(a:result("tools/call", work):find("from the new one", 1, true))
      assert.equal(second, up.sessions[#up.sessions])
    end)

    describe("and of whom there is one", function()
      local asks = { ["sampling/createMessage"] = '{"messages":[],"maxTokens":1}', ["roots/list"] = "{}",
        ["elicitation/create"] = '{"message":"?","requestedSchema":{"type":"object","properties":{}}}' }
      local function able()
        local c = host.client()
        c:initialize { capabilities = '{"sampling":{},"elicitation":{},"roots":{}}' }
        c:listen()
        return c
      end
      -- What the server hears when it asks, on no stream of a call's.
      local function ask(method)
        local answer
        up.sessions[#up.sessions]:ask(method, asks[method], function(response) answer = response end)
        return function() return loop.wait(function() return answer end, "an answer to " .. method) end
      end

      it("has it asked, and told, whether it has called or not", function()
        start()
        local a = able()
        for _, called in ipairs { false, true } do
          if called then a:result("tools/call", work) else a:result "tools/list" end
          stream_upstream()
          for method in pairs(asks) do
            local answer = ask(method)
            a:answer(a:expect(method), '{"mine":true}')
            assert.equal('{"mine":true}', answer().result)
          end
          log "error"
          a:expect "notifications/message"
          up.sessions[#up.sessions]:notify("x/y", '{"of":"a"}')
          a:expect "x/y"
        end
      end)

      it("is offered what that one declares, and others are asked for no more than they declare", function()
        start()
        up:on("tools/call", function(req)
          if not req:at("arguments", "ask") then return '{"content":[]}' end
          req:ask("elicitation/create", asks["elicitation/create"], function(response)
            req:reply(('{"content":[],"told":%s}'):format(response.result or response.error))
          end)
        end)
        local a = able()
        a:result("tools/call", work)
        local offered = json.value(up.sessions[1].received[1], "params", "capabilities")
        for _, name in ipairs { "sampling", "elicitation", "roots" } do assert.truthy(offered[name], name) end
        local call = a:start("tools/call", '{"name":"work","arguments":{"ask":true}}')
        a:answer(a:expect "elicitation/create", '{"action":"accept","content":{"whose":"a"}}')
        loop.wait(function() return call.raw end, "the answer to a's call")
        assert.truthy(call.raw:find '"whose":"a"')
        local b = client()
        assert.truthy(b:result("tools/call", '{"name":"work","arguments":{"ask":true}}'):find '"code":%-32601')
        assert.equal(0, #b.inbox)
        assert.equal(1, up:count "initialize")
      end)

      it("is over with a second one, and after another that has used it", function()
        start()
        local a, b = able(), able()
        a:result "tools/list"
        stream_upstream()
        for method in pairs(asks) do assert.truthy(ask(method)().error, method) end
        a:result("tools/call", work)
        if kind == "http" then
          for method in pairs(asks) do assert.truthy(ask(method)().error, method) end
        end
        assert.equal(200, a:close())
        -- What the server says now may be about what the first has called.
        for method in pairs(asks) do assert.truthy(ask(method)().error, method) end
        up.sessions[#up.sessions]:notify("x/y", '{"of":"a"}')
        b:result("tools/call", work)
        for method in pairs(asks) do assert.truthy(ask(method)().error, method) end
        up.sessions[#up.sessions]:notify("x/y", '{"of":"a"}')
        log "error"
        b:result "ping"
        assert.equal(0, #b.inbox)
      end)
    end)

    it("have the server log at the most verbose of their levels, told when that changes", function()
      start()
      local a, b, c = client(), client(), client()
      level(a, "warning")
      level(b, "error")
      level(b, "critical")
      level(c, "debug")
      level(c, "notice")
      level(a, "alert")
      assert.same({ "warning", "debug", "notice" }, levels(up))
      assert.equal(200, c:close())
      loop.wait(function() return #levels(up) == 4 end, "the level of those that are left")
      assert.same({ "warning", "debug", "notice", "critical" }, levels(up))
      assert.equal(200, b:close())
      loop.wait(function() return #levels(up) == 5 end, "the level of the last")
      assert.equal("alert", levels(up)[5])
      assert.equal(200, a:close())
      client():result("tools/call", work)
      assert.equal(5, #levels(up))
    end)

    it("hear of the log what their own level lets through, whatever the others set, before anybody has made a call", function()
      start()
      local loud, quiet, unset = client(), client(), client()
      level(loud, "debug")
      level(quiet, "error")
      stream_upstream()
      for _, name in ipairs { "debug", "info", "error", "emergency" } do log(name) end
      assert.same({ "debug", "info", "error", "emergency" }, heard(loud, 4))
      assert.same({ "error", "emergency" }, heard(quiet, 2))
      level(quiet, "info")
      level(loud, "emergency")
      for _, name in ipairs { "debug", "info", "emergency" } do log(name) end
      assert.same({ "info", "emergency" }, heard(quiet, 2))
      assert.same({ "emergency" }, heard(loud, 1))
      assert.is_nil(unset:maybe("notifications/message", 50))
    end)

    -- What it says may be of any one's call.
    it("hear nothing of the log that can't be told to be their own, whatever they set", function()
      start()
      local loud, quiet, unset = client(), client(), client()
      for _, c in ipairs { loud, quiet, unset } do c:result("tools/call", work) end
      stream_upstream()
      level(loud, "debug")
      level(quiet, "error")
      for _, name in ipairs { "debug", "info", "error", "emergency" } do log(name) end
      for _, c in ipairs { loud, quiet, unset } do
        c:result("tools/call", work)
        assert.is_nil(c:maybe("notifications/message", 20))
      end
    end)

    it("hear the log of their own call: who set no level all of it, who did at that level", function()
      start()
      if kind == "stdio" then return end -- a child can't say whose call it speaks of
      up:on("tools/call", function(req)
        for _, name in ipairs { "debug", "warning" } do
          req:notify("notifications/message", ('{"level":%q,"data":%q}'):format(name, name))
        end
        req:reply '{"content":[]}'
      end)
      local loud, quiet, unset = client(), client(), client()
      level(loud, "debug")
      level(quiet, "warning")
      unset:result("tools/call", work)
      assert.same({ "debug", "warning" }, heard(unset, 2))
      quiet:result("tools/call", work)
      assert.same({ "warning" }, heard(quiet, 1))
      assert.equal(0, #loud.inbox)
    end)

    it("that is alone with it hears all its log without asking", function()
      start()
      local c = client()
      c:result("tools/call", work)
      stream_upstream()
      log "debug"
      assert.same({ "debug" }, heard(c, 1))
    end)

    it("are refused a level that there is none of, and keep the one they had when the server refuses", function()
      start()
      local a, b = client(), client()
      level(a, "error")
      stream_upstream()
      assert.equal(-32602, a:failure("logging/setLevel", '{"level":"loud"}').code)
      up:on("logging/setLevel", function(req) req:fail(-32000, "not now") end)
      assert.equal("not now", b:failure("logging/setLevel", '{"level":"debug"}').message)
      assert.equal("not now", a:failure("logging/setLevel", '{"level":"info"}').message)
      level(b, "error")
      log "warning"
      log "error"
      assert.same({ "error" }, heard(a, 1))
      assert.same({ "error" }, heard(b, 1))
    end)

    it("75: find their levels and subscriptions again after a restart of the server, once each", function()
      start()
      local a, b = client(), client()
      level(a, "info")
      level(b, "error")
      listen(a, "x://1")
      listen(b, "x://1")
      listen(b, "x://2")
      if kind == "stdio" then
        up.sessions[1]:exit(1)
        host.process:wait_stderr "exited with status 1"
      else
        up:forget()
      end
      loop.wait(function() return json.at(a:request("tools/call", work), "result") end, "the server to be back")
      loop.wait(function() return up.sessions[2]:count "resources/subscribe" == 2 end, "subscriptions at the new one")
      assert.equal("info", up.sessions[2]:wait "logging/setLevel":value "level")
      stream_upstream()
      log "info"
      updated "x://2"
      updated "x://1"
      assert.same({ "info", "x://1" }, heard(a, 2))
      assert.same({ "x://2", "x://1" }, heard(b, 2))
      a:result "ping"
      assert.equal(1, up.sessions[2]:count "logging/setLevel")
      assert.equal(2, up.sessions[2]:count "resources/subscribe")
    end)

    it("75: find them again after a restart that a second one cut short", function()
      start()
      local c = client()
      level(c, "info")
      listen(c, "x://1")
      local held = {}
      local function hold(req) if req.session.number == 2 then held[#held + 1] = req else return "{}" end end
      up:on("resources/subscribe", hold):on("logging/setLevel", hold)
      local function restart()
        local n = #up.sessions
        if kind == "stdio" then up.sessions[n]:exit(0) else up:forget() end
        loop.wait(function() return json.at(c:request("tools/call", work), "result") and up.sessions[n + 1] end, "the server to be back")
      end
      restart()
      loop.wait(function() return #held == 2 end, "what it is told again")
      restart()
      assert.equal("x://1", up.sessions[3]:wait "resources/subscribe":value "uri")
      assert.equal("info", up.sessions[3]:wait "logging/setLevel":value "level")
    end)

    it("that are refused an unsubscription stay subscribed", function()
      start()
      local c = client()
      listen(c, "x://1")
      up:on("resources/unsubscribe", function(req) req:fail(-32000, "not now") end)
      assert.equal("not now", c:failure("resources/unsubscribe", '{"uri":"x://1"}').message)
      stream_upstream()
      updated "x://1"
      assert.same({ "x://1" }, heard(c, 1))
      up:on("resources/unsubscribe", function() return "{}" end)
      ignore(c, "x://1")
      updated "x://1"
      c:result "ping"
      assert.equal(0, #c.inbox)
    end)

    it("subscribe for themselves: the server hears of the first and of the last", function()
      start()
      local a, b, c = client(), client(), client()
      listen(a, "x://1")
      listen(b, "x://1")
      listen(b, "x://2")
      stream_upstream()
      updated "x://1"
      updated "x://2"
      updated "x://3"
      assert.same({ "x://1" }, heard(a, 1))
      assert.same({ "x://1", "x://2" }, heard(b, 2))
      ignore(c, "x://1")
      ignore(a, "x://1")
      ignore(a, "x://1")
      assert.same({ "+x://1", "+x://2" }, listened(up))
      updated "x://1"
      assert.same({ "x://1" }, heard(b, 1))
      ignore(b, "x://1")
      assert.same({ "+x://1", "+x://2", "-x://1" }, listened(up))
      updated "x://1"
      updated "x://2"
      assert.same({ "x://2" }, heard(b, 1))
      assert.equal(0, #a.inbox)
      assert.equal(0, #c.inbox)
    end)

    it("are unsubscribed by their end, where nobody else listens", function()
      start()
      local a, b = client(), client()
      listen(a, "x://1")
      listen(a, "x://2")
      listen(b, "x://2")
      assert.equal(200, a:close())
      loop.wait(function() return #listened(up) == 3 end, "the end of a subscription")
      assert.same({ "+x://1", "+x://2", "-x://1" }, listened(up))
      stream_upstream()
      updated "x://2"
      assert.same({ "x://2" }, heard(b, 1))
    end)

    it("hear once of a part of what they listen to, however they have spelt it", function()
      start()
      local a, b = client(), client()
      listen(a, "file:///srv")
      listen(a, "file:///srv/a.txt")
      listen(b, "file:///srv/%61.txt")
      listen(b, "file:///srv2")
      stream_upstream()
      updated "file:///srv/a.txt"
      updated "file:///srv2"
      assert.same({ "file:///srv/a.txt" }, heard(a, 1))
      assert.same({ "file:///srv/a.txt", "file:///srv2" }, heard(b, 2))
    end)

    it("that subscribe at once are one subscription, and one that gives up takes none away", function()
      start()
      local held
      up:on("resources/subscribe", function(req) held = req end)
      local a, b, c = client(), client(), client()
      local first = a:start("resources/subscribe", '{"uri":"x://1"}')
      loop.wait(function() return held end, "the subscription")
      local second, third = b:start("resources/subscribe", '{"uri":"x://1"}'), c:start("resources/subscribe", '{"uri":"x://1"}', "77")
      c:result "ping"
      c:notify("notifications/cancelled", '{"requestId":77}')
      held:reply '{"_meta":{"said":"by the server"}}'
      assert.equal('{"_meta":{"said":"by the server"}}', json.at(first:wait(), "result"))
      assert.equal("{}", json.at(second:wait(), "result"))
      assert.is_nil(third.raw)
      ignore(a, "x://1")
      assert.same({ "+x://1" }, listened(up))
      ignore(b, "x://1")
      assert.same({ "+x://1", "-x://1" }, listened(up))
    end)

    it("are told when the server refuses, and the next one is asked about anew", function()
      start()
      local a, b = client(), client()
      up:on("resources/subscribe", function(req) req:fail(-32002, "no such resource") end)
      assert.equal(-32002, a:failure("resources/subscribe", '{"uri":"x://9"}').code)
      up:on("resources/subscribe", function() return "{}" end)
      listen(b, "x://9")
      assert.same({ "+x://9", "+x://9" }, listened(up))
      stream_upstream()
      updated "x://9"
      assert.same({ "x://9" }, heard(b, 1))
      assert.equal(0, #a.inbox)
    end)

    it("that ask for the same at once are refused at once, also when the first has given up", function()
      start()
      local held
      up:on("resources/subscribe", function(req) held = req end)
      local a, b, c = client(), client(), client()
      a:start("resources/subscribe", '{"uri":"x://9"}', "77")
      loop.wait(function() return held end, "the subscription")
      local second, third = b:start("resources/subscribe", '{"uri":"x://9"}'), c:start("resources/subscribe", '{"uri":"x://9"}')
      a:notify("notifications/cancelled", '{"requestId":77}')
      for _, each in ipairs { a, b, c } do each:result "ping" end
      held:fail(-32002, "no such resource")
      assert.equal("-32002", json.at(second:wait(), "error", "code"))
      assert.equal("-32002", json.at(third:wait(), "error", "code"))
      assert.same({ "+x://9" }, listened(up))
    end)

    it("that ask for the same at once hear what the server says to one of them only as a number", function()
      start()
      local held
      up:on("resources/subscribe", function(req) held = req end)
      local a, b = client(), client()
      local first = a:start("resources/subscribe", '{"uri":"x://9","_meta":{"who":"MARKER"}}')
      loop.wait(function() return held end, "the subscription")
      local second = b:start("resources/subscribe", '{"uri":"x://9"}')
      b:result "ping"
      held:fail(-32002, "not for MARKER", '{"who":"MARKER"}')
      assert.truthy(first:wait():find('"not for MARKER","data":{"who":"MARKER"}', 1, true))
      assert.equal("-32002", json.at(second:wait(), "error", "code"))
      assert.is_nil(second.raw:find("MARKER", 1, true), second.raw)
    end)

    it("get no log of what another has said in a subscription or with a level", function()
      for _, row in ipairs { { "resources/subscribe", '{"uri":"x://MARKER"}' }, { "logging/setLevel", '{"level":"debug","_meta":{"who":"MARKER"}}' } } do
        start()
        local a, b = client(), client()
        level(b, "info")
        up.sessions[1]:notify("notifications/message", '{"level":"error","data":"nobody\'s"}')
        b:expect "notifications/message"
        b:result("tools/call", work)
        a:request(row[1], row[2])
        up.sessions[1]:notify("notifications/message", '{"level":"error","data":"of MARKER"}')
        assert.is_nil(b:maybe("notifications/message", 100), row[1])
        lunette.finish()
      end
    end)

    it("that ask and give up are asked for only so often", function()
      start(nil, "lunette.configure { max_in_flight = 3 }")
      local held = {}
      up:on("resources/subscribe", function(req) held[#held + 1] = req end)
      local a = client()
      for i = 1, 3 do
        a:start("resources/subscribe", ('{"uri":"x://9/%d"}'):format(i), tostring(100 + i))
        loop.wait(function() return #held == i end, "the subscription")
        a:notify("notifications/cancelled", ('{"requestId":%d}'):format(100 + i))
        a:result "ping"
      end
      assert.equal("Too many requests at once", a:failure("resources/subscribe", '{"uri":"x://1"}').message)
      held[1]:reply "{}"
      loop.wait(function() return #listened(up) == 4 end, "the end of what nobody wants")
      a:result("tools/call", work) -- by then the server's answer is in, too
      local last = a:start("resources/subscribe", '{"uri":"x://1"}')
      loop.wait(function() return #held == 4 end, "the subscription")
      held[4]:reply "{}"
      assert.equal("{}", json.at(last:wait(), "result"))
    end)

    it("that change their minds often end where they said last", function()
      start()
      local a, b = client(), client()
      local last
      for i = 1, 15 do
        last = a:start(i % 2 == 1 and "resources/subscribe" or "resources/unsubscribe", '{"uri":"x://1"}')
        a:start("logging/setLevel", ('{"level":"%s"}'):format(i % 2 == 1 and "debug" or "error"))
        b:start(i % 2 == 0 and "resources/subscribe" or "resources/unsubscribe", '{"uri":"x://1"}')
        if kind == "http" then -- on one connection each; without, any order is the client's own doing
          last:wait()
          loop.wait(function() for _, call in pairs(a.calls) do if not call.raw then return end end return true end, "a's calls")
          loop.wait(function() for _, call in pairs(b.calls) do if not call.raw then return end end return true end, "b's calls")
        end
      end
      loop.wait(function()
        for _, c in ipairs { a, b } do for _, call in pairs(c.calls) do if not call.raw then return end end end
        return true
      end, "all calls")
      ignore(b, "x://1")
      listen(a, "x://1")
      level(a, "debug")
      local list, on = listened(up), false
      for _, one in ipairs(list) do
        assert.is_not.equal(on, one:sub(1, 1) == "+", table.concat(list, " "))
        on = not on
      end
      assert.is_true(on)
      assert.equal("debug", levels(up)[#levels(up)])
      stream_upstream()
      updated "x://1"
      assert.same({ "x://1" }, heard(a, 1))
      assert.equal(0, #b.inbox)
    end)

    it("set them through handlers, which have the last word", function()
      start(nil, [[
        lunette.on("logging/setLevel", function(request, forward)
          if request.params.level == "debug" then request.params.level = "notice" end
          if request.params.level == "emergency" then return {} end
          return forward(request) end)
        lunette.on("resources/subscribe", function(request, forward)
          if request.params.uri == "x://1" then return {} end
          return forward(request) end)]])
      local a = client()
      level(a, "debug")
      level(a, "emergency")
      listen(a, "x://1")
      listen(a, "x://2")
      assert.same({ "notice" }, levels(up))
      assert.same({ "+x://2" }, listened(up))
    end)

    it("with one session for each call have settings that last all the same", function()
      start "session = 'request'"
      local a = client()
      level(a, "warning")
      listen(a, "x://1")
      a:result("tools/call", work)
      a:result("tools/call", work)
      assert.same({ "warning", "warning", "warning" }, levels(up))
      assert.same({ "+x://1" }, listened(up))
      local lasting
      for _, session in ipairs(up.sessions) do if session:count "resources/subscribe" == 1 then lasting = session end end
      assert.falsy(lasting.gone or lasting.deleted)
      if kind == "http" then loop.wait(function() return lasting.get end, "the GET stream upstream") end
      lasting:notify("notifications/resources/updated", '{"uri":"x://1"}')
      assert.same({ "x://1" }, heard(a, 1))
      ignore(a, "x://1")
      assert.equal(1, lasting:count "resources/unsubscribe")
    end)
  end)
end

describe("levels and subscriptions with several servers", function()
  after_each(lunette.finish)

  it("reach the shared one too, and are each client's own there", function()
    local own = upstream.new { name = "own", tools = tools }
    local pool = upstream.new { name = "pool", tools = tools, resources = '[{"uri":"x://1","name":"1"}]' }
    local mute = upstream.new { name = "mute", capabilities = '{"tools":{}}', tools = tools }
    own:on("tools/call", function() return '{"content":[]}' end)
    local host = lunette.http { policy = ("lunette.upstream('own', %s)\nlunette.upstream('pool', %s)\nlunette.upstream('mute', %s)"):format(
      own:lua(), pool:lua "session = 'shared'", mute:lua "session = 'shared'") }
    local a, b = host.client(), host.client()
    for _, c in ipairs { a, b } do
      c:initialize()
      c:listen()
      c:result("tools/call", '{"name":"own_work"}')
    end
    a:result("logging/setLevel", '{"level":"debug"}')
    b:result("logging/setLevel", '{"level":"error"}')
    assert.same({ "debug" }, levels(pool))
    assert.same({ "debug", "error" }, levels(own))
    assert.same({}, levels(mute))
    b:result("resources/subscribe", '{"uri":"x://1"}')
    pool.sessions[1]:notify("notifications/message", '{"level":"info","data":1}')
    pool.sessions[1]:notify("notifications/resources/updated", '{"uri":"x://1"}')
    a:expect "notifications/message"
    b:expect "notifications/resources/updated"
    assert.equal(0, #a.inbox + #b.inbox)
    assert.equal(200, a:close())
    loop.wait(function() return #levels(pool) == 2 end, "the level of those that are left")
    assert.same({ "debug", "error" }, levels(pool))
    assert.same({ "debug", "error" }, levels(own))
  end)
end)
