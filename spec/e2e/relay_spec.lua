-- What goes back and forth besides answers: questions of the server (sampling, elicitation, roots),
-- progress, cancellation, logging, changed lists, subscriptions, over both transports.
-- Numbers at the front of names are those of the protocol checklist.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"

local options = {
  tools = '[{"name":"work","inputSchema":{"type":"object"}}]',
  resources = '[{"uri":"test://a","name":"a"},{"uri":"test://b","name":"b"}]',
  prompts = '[{"name":"p"}]',
}
local all = '{"sampling":{},"elicitation":{"form":{},"url":{}},"roots":{"listChanged":true}}'

for _, way in ipairs(lunette.ways) do
  describe("relaying from " .. lunette.way_name(way), function()
    local client, up

    local function start(fields, policy)
      client, up = lunette.between(way, fields or options, { policy = policy })
      client:initialize { capabilities = all }
      if way[1] == "http" then client:listen() end
      return client, up
    end
    after_each(lunette.finish)

    local function on_call(fn) up:on("tools/call", fn) end
    local work = '{"name":"work"}'
    local function work_with(token) return '{"name":"work","_meta":{"progressToken":' .. token .. "}}" end

    it("tells the server what the client can", function()
      start()
      local capabilities = json.at(up:session():wait("initialize").params, "capabilities")
      for _, name in ipairs { "sampling", "elicitation", "roots" } do assert.truthy(json.at(capabilities, name), name) end
      assert.equal('{"form":{},"url":{}}', json.at(capabilities, "elicitation"))
    end)

    it("13: an empty elicitation stays what it is", function()
      client, up = lunette.between(way, options)
      client:initialize { capabilities = '{"elicitation":{}}' }
      local capabilities = json.at(up:session():wait("initialize").params, "capabilities")
      assert.equal("{}", json.at(capabilities, "elicitation"))
      assert.is_nil(json.at(capabilities, "sampling"))
    end)

    it("sampling, elicitation and roots one after the other in one call, then again in the next", function()
      start()
      on_call(function(req)
        req:ask("elicitation/create", '{"message":"1","requestedSchema":{"type":"object","properties":{}}}', function(one)
          req:ask("elicitation/create", '{"message":"2","requestedSchema":{"type":"object","properties":{}}}', function(two)
            req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function(three)
              req:ask("roots/list", nil, function(four)
                req:reply(('{"content":[],"answers":[%s,%s,%s,%s]}'):format(one.result, two.result, three.result, four.result))
              end)
            end)
          end)
        end)
      end)
      for _ = 1, 2 do
        local call = client:start("tools/call", work)
        local question = client:expect "elicitation/create"
        assert.equal("1", json.value(question.params, "message"))
        client:answer(question, '{"action":"accept","content":{"a":1.0}}')
        question = client:expect "elicitation/create"
        assert.equal("2", json.value(question.params, "message"))
        client:answer(question, '{"action":"decline"}')
        client:answer(client:expect "sampling/createMessage", '{"role":"assistant","model":"m","content":{"type":"text","text":"x"}}')
        client:answer(client:expect "roots/list", '{"roots":[]}')
        assert.equal('[{"action":"accept","content":{"a":1.0}},{"action":"decline"},'
          .. '{"role":"assistant","model":"m","content":{"type":"text","text":"x"}},{"roots":[]}]', json.at(call:wait(), "result", "answers"))
      end
    end)

    it("a question that belongs to no call", function()
      start()
      client:request("tools/list", "{}")
      local answered
      up:session():ask("roots/list", nil, function(answer) answered = answer.result end)
      client:answer(client:expect "roots/list", '{"roots":[{"uri":"file:///x"}]}')
      loop.wait(function() return answered end, "the answer")
      assert.equal('{"roots":[{"uri":"file:///x"}]}', answered)
    end)

    it("answers out of order, each to its question", function()
      start()
      local got = {}
      on_call(function(req)
        for i = 1, 3 do
          req:ask("sampling/createMessage", ('{"messages":[],"maxTokens":%d}'):format(i), function(answer)
            got[i] = json.value(answer.result, "model")
            if got[1] and got[2] and got[3] then req:reply '{"content":[]}' end
          end)
        end
      end)
      local call = client:start("tools/call", work)
      local questions = { client:expect "sampling/createMessage", client:expect "sampling/createMessage", client:expect "sampling/createMessage" }
      for i = 3, 1, -1 do
        client:answer(questions[i], ('{"role":"assistant","model":"m%d","content":{"type":"text","text":""}}'):format(
          json.value(questions[i].params, "maxTokens")))
      end
      call:wait()
      assert.same({ "m1", "m2", "m3" }, got)
    end)

    it("an answer to a question that nobody asked is dropped", function()
      start()
      client:send '{"jsonrpc":"2.0","id":4711,"result":{}}'
      client:send '{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"m"}}'
      on_call(function(req) req:reply '{"content":[]}' end)
      client:result("tools/call", work)
      for _, message in ipairs(up:session().messages) do assert.truthy(message.method) end
    end)

    it("a ping of the server is answered by Lunette itself", function()
      start()
      local answer
      up:session():ask("ping", nil, function(response) answer = response end)
      loop.wait(function() return answer end, "the answer to ping")
      assert.equal("{}", answer.result)
      assert.is_nil(client:maybe("ping", 20))
    end)

    it("15, 16: progress in order, before the response, none after it", function()
      start()
      on_call(function(req)
        for i = 1, 20 do req:progress(('"progress":%d,"total":20'):format(i)) end
        req:reply '{"content":[]}'
        loop.after(20, function()
          req.session:notify("notifications/progress", '{"progressToken":' .. req:at("_meta", "progressToken") .. ',"progress":21}')
        end)
      end)
      client:request("tools/call", work_with '"tok"')
      local list = {}
      for i = 1, 20 do
        local message = client:expect "notifications/progress"
        assert.equal('"tok"', json.at(message.params, "progressToken"))
        list[i] = json.value(message.params, "progress")
      end
      for i = 1, 20 do assert.equal(i, list[i]) end
      assert.is_nil(client:maybe("notifications/progress", 100))
      local response_at, last_progress = nil, 0
      for i, raw in ipairs(client.traffic) do
        if json.at(raw, "result") and not json.at(raw, "result", "capabilities") then response_at = i end
        if raw:find("notifications/progress", 1, true) then last_progress = i end
      end
      assert.is_true(last_progress < response_at)
    end)

    it("17: progress that does not rise is dropped, a handler's own among it", function()
      start(nil, [[lunette.on("tools/call", function(request, forward, ctx)
        ctx:progress(5)
        local result = forward(request)
        ctx:progress(7)
        ctx:progress(9)
        return result
      end)]])
      on_call(function(req)
        for _, n in ipairs { "1", "5", "5.0", "6", "6e0", "-1", "8.5" } do req:progress('"progress":' .. n) end
        req:reply '{"content":[]}'
      end)
      client:request("tools/call", work_with '"tok"')
      for _, n in ipairs(os.getenv "LUNETTE_DIRECT" and {} or { 5, 6, 8.5, 9 }) do
        assert.equal(n, json.value(client:expect("notifications/progress").params, "progress"))
      end
      assert.is_nil(client:maybe("notifications/progress", 20))
    end)

    it("the client's progress on what the server asked, under the server's token", function()
      start()
      on_call(function(req)
        req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1,"_meta":{"progressToken":"st"}}', function() req:reply '{"content":[]}' end)
      end)
      local call = client:start("tools/call", work)
      local question = client:expect "sampling/createMessage"
      client:notify("notifications/progress", ('{"progressToken":%s,"progress":1, "x":1.0}'):format(
        json.at(question.params, "_meta", "progressToken")))
      assert.equal('{"progressToken":"st","progress":1, "x":1.0}', up:wait("notifications/progress").params)
      client:answer(question, '{"role":"assistant","model":"m","content":{"type":"text","text":""}}')
      call:wait()
    end)

    it("progress of two calls with one token is kept apart", function()
      start()
      local calls = {}
      on_call(function(req) calls[#calls + 1] = req end)
      local one = client:start("tools/call", work_with "1")
      local two = client:start("tools/call", work_with "2")
      loop.wait(function() return #calls == 2 end, "two calls")
      assert.not_equal(calls[1]:at("_meta", "progressToken"), calls[2]:at("_meta", "progressToken"))
      calls[2]:progress '"progress":2'
      calls[1]:progress '"progress":1'
      calls[1]:reply '{"content":[]}'
      calls[2]:reply '{"content":[]}'
      one:wait()
      two:wait()
      local seen = {}
      for _ = 1, 2 do
        local params = client:expect("notifications/progress").params
        seen[json.at(params, "progressToken")] = json.value(params, "progress")
      end
      assert.same({ ["1"] = 1, ["2"] = 2 }, seen)
    end)

    it("progress with a token that nobody gave is dropped", function()
      start()
      on_call(function(req)
        req:notify("notifications/progress", '{"progressToken":"stray","progress":1}')
        req:reply '{"content":[]}'
      end)
      client:request("tools/call", work)
      assert.is_nil(client:maybe("notifications/progress", 50))
    end)

    it("18: cancellation, with the server's own id, and no response afterwards", function()
      start()
      local held
      on_call(function(req) held = req end)
      local call = client:start("tools/call", work_with "9", '"c"')
      loop.wait(function() return held end, "the call")
      client:notify("notifications/cancelled", '{"requestId":"c","reason":"enough \\u0021","x":1.0}')
      local cancelled = up:wait "notifications/cancelled"
      assert.equal(held.id, cancelled:at "requestId")
      assert.equal('"enough \\u0021"', cancelled:at "reason")
      assert.equal("1.0", cancelled:at "x")
      held:progress '"progress":1'
      held:reply '{"content":[]}'
      assert.is_nil(call:done(60))
      assert.is_nil(client:maybe("notifications/progress", 1))
      on_call(function(req) req:reply '{"content":[]}' end)
      client:result("tools/call", work)
    end)

    it("20: a cancellation of what is not in flight is ignored", function()
      start()
      on_call(function(req) req:reply '{"content":[]}' end)
      client:request("tools/call", work, "5")
      for _, id in ipairs { "5", '"5"', "77", "null", "{}" } do
        client:notify("notifications/cancelled", '{"requestId":' .. id .. "}")
      end
      client:result("tools/call", work)
      assert.equal(0, up:count "notifications/cancelled")
    end)

    it("a cancellation by the server of what it asked", function()
      start()
      local asked
      on_call(function(req)
        req:ask("sampling/createMessage", '{"messages":[],"maxTokens":1}', function() asked = "answered" end, '"q"')
        loop.after(30, function()
          req:notify("notifications/cancelled", '{"requestId":"q","reason":"r"}')
          req:reply '{"content":[]}'
        end)
      end)
      local call = client:start("tools/call", work)
      local question = client:expect "sampling/createMessage"
      local cancelled = client:expect "notifications/cancelled"
      assert.equal(question.id, json.at(cancelled.params, "requestId"))
      call:wait()
      client:answer(question, '{"role":"assistant","model":"m","content":{"type":"text","text":""}}')
      client:request("ping")
      assert.is_nil(loop.within(30, function() return asked end))
    end)

    it("19: a second response, or one to nothing, is dropped", function()
      start()
      on_call(function(req)
        req.session:send('{"jsonrpc":"2.0","id":987654,"result":{}}', nil)
        req:reply '{"content":[],"n":1}'
        if way[2] == "stdio" then req:reply '{"content":[],"n":2}' end
      end)
      for _ = 1, 3 do assert.equal('{"content":[],"n":1}', client:result("tools/call", work)) end
      assert.equal(0, #client.inbox)
    end)

    it("log messages of a call and of nobody", function()
      start()
      on_call(function(req)
        req:notify("notifications/message", '{"level":"error","logger":"l","data":{"x":[1.0]}}')
        req:reply '{"content":[]}'
      end)
      client:request("tools/call", work)
      assert.equal('{"level":"error","logger":"l","data":{"x":[1.0]}}', client:expect("notifications/message").params)
      up:session():notify("notifications/message", '{"level":"debug","data":null}')
      assert.equal('{"level":"debug","data":null}', client:expect("notifications/message").params)
    end)

    it("the level of the log", function()
      start()
      assert.equal("{}", client:result("logging/setLevel", '{"level":"notice"}'))
      assert.equal('"notice"', up:wait("logging/setLevel"):at "level")
    end)

    it("34: every message once, however many streams there are", function()
      start()
      local held = {}
      on_call(function(req) held[#held + 1] = req end)
      local one, two = client:start("tools/call", work), client:start("tools/call", work)
      loop.wait(function() return #held == 2 end, "two calls")
      for i = 1, 5 do up:session():notify("notifications/message", ('{"level":"info","data":%d}'):format(i)) end
      held[1]:reply '{"content":[]}'
      held[2]:reply '{"content":[]}'
      one:wait()
      two:wait()
      local seen = {}
      for i = 1, 5 do
        local n = json.value(client:expect("notifications/message").params, "data")
        assert.is_nil(seen[n])
        seen[n] = i
      end
      assert.is_nil(client:maybe("notifications/message", 40))
    end)

    it("changed lists: once for each, and the new list is there at once", function()
      local fields = { tools = options.tools, resources = options.resources, prompts = options.prompts }
      start(fields)
      assert.equal(1, #json.elements(json.at(client:result("tools/list", "{}"), "tools")))
      fields.tools = '[{"name":"work","inputSchema":{"type":"object"}},{"name":"more","inputSchema":{"type":"object"}}]'
      up:session():notify "notifications/tools/list_changed"
      client:expect "notifications/tools/list_changed"
      assert.equal(2, #json.elements(json.at(client:result("tools/list", "{}"), "tools")))
      assert.is_nil(client:maybe("notifications/prompts/list_changed", 30))
      assert.is_nil(client:maybe("notifications/tools/list_changed", 1))
      fields.prompts = "[]"
      up:session():notify "notifications/prompts/list_changed"
      client:expect "notifications/prompts/list_changed"
      assert.equal("[]", json.at(client:result("prompts/list", "{}"), "prompts"))
    end)

    it("changed roots", function()
      start()
      client:notify "notifications/roots/list_changed"
      up:wait "notifications/roots/list_changed"
    end)

    it("subscriptions and updates", function()
      start()
      client:result("resources/subscribe", '{"uri":"test://a"}')
      assert.equal('"test://a"', up:wait("resources/subscribe"):at "uri")
      up:session():notify("notifications/resources/updated", '{"uri":"test://a","title":"x"}')
      assert.equal('{"uri":"test://a","title":"x"}', client:expect("notifications/resources/updated").params)
      client:result("resources/unsubscribe", '{"uri":"test://a"}')
      up:wait "resources/unsubscribe"
    end)

    it("elicitations that a page completes", function()
      start()
      on_call(function(req)
        req:ask("elicitation/create", '{"mode":"url","message":"m","url":"https://example.com","elicitationId":"e1"}', function()
          req:reply '{"content":[]}'
          req.session:notify("notifications/elicitation/complete", '{"elicitationId":"e1"}')
        end)
      end)
      local call = client:start("tools/call", work)
      client:answer(client:expect "elicitation/create", '{"action":"accept"}')
      call:wait()
      assert.equal('{"elicitationId":"e1"}', client:expect("notifications/elicitation/complete").params)
    end)

    it("a call that asks for a URL first", function()
      start()
      local data = '{"elicitations":[{"mode":"url","url":"https://example.com","message":"m","elicitationId":"e"}]}'
      on_call(function(req) req:fail(-32042, "URL needed", data) end)
      local err = json.at(client:request("tools/call", work), "error")
      assert.equal("-32042", json.at(err, "code"))
      assert.equal(data, json.at(err, "data"))
    end)

    it("a slow call does not hold up a quick one", function()
      start()
      local held
      on_call(function(req)
        if req:value("arguments", "slow") then held = req else req:reply '{"content":[]}' end
      end)
      local slow = client:start("tools/call", '{"name":"work","arguments":{"slow":true}}')
      for _ = 1, 10 do client:result("tools/call", work) end
      assert.is_nil(slow.raw)
      held:reply '{"content":[],"slow":true}'
      slow:wait()
    end)

    it("a hundred calls at once, each with its answer", function()
      start()
      on_call(function(req) req:reply('{"content":[],"n":' .. req:at("arguments", "n") .. "}") end)
      local calls = {}
      for i = 1, 100 do calls[i] = client:start("tools/call", ('{"name":"work","arguments":{"n":%d}}'):format(i)) end
      for i, call in ipairs(calls) do assert.equal(tostring(i), json.at(call:wait(), "result", "n")) end
    end)
  end)
end

describe("relaying", function()
  after_each(lunette.finish)

  it("36: a client that goes away from its POST has not cancelled the call", function()
    local client, up = lunette.between({ "http", "stdio" }, options)
    client:initialize()
    local held
    up:on("tools/call", function(req) held = req end)
    local call = client:start("tools/call", '{"name":"work"}')
    loop.wait(function() return held end, "the call")
    call.conn:close()
    loop.sleep(80)
    assert.equal(0, up:count "notifications/cancelled")
    held:reply '{"content":[]}'
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    client:result("tools/call", '{"name":"work"}')
  end)

  it("35: over HTTP, what a call causes comes on its stream and the rest on the GET stream", function()
    local client, up = lunette.between({ "http", "http" }, options)
    client:initialize { capabilities = all }
    client:listen()
    loop.wait(function() return up.sessions[1].get end, "the GET stream upstream")
    local held = {}
    up:on("tools/call", function(req) held[req:value("arguments", "n")] = req end)
    local one = client:start("tools/call", '{"name":"work","arguments":{"n":1}}', '"one"')
    local two = client:start("tools/call", '{"name":"work","arguments":{"n":2}}', '"two"')
    loop.wait(function() return held[1] and held[2] end, "two calls")
    held[2]:notify("notifications/message", '{"level":"info","data":2}')
    held[1]:notify("notifications/message", '{"level":"info","data":1}')
    up.sessions[1]:notify("notifications/message", '{"level":"info","data":0}')
    local streams = {}
    for _ = 1, 3 do
      local message = client:expect "notifications/message"
      streams[json.value(message.params, "data")] = message.stream
    end
    assert.same({ [0] = "get", [1] = '"one"', [2] = '"two"' }, streams)
    held[1]:ask("roots/list", nil, function() held[1]:reply '{"content":[]}' end)
    local question = client:expect "roots/list"
    assert.equal('"one"', question.stream)
    client:answer(question, '{"roots":[]}')
    held[2]:reply '{"content":[]}'
    one:wait()
    two:wait()
  end)

  it("75: a server that was started again is told the level and the subscriptions again", function()
    local client, up = lunette.between({ "stdio", "stdio" }, options)
    client:initialize { capabilities = all }
    client:result("logging/setLevel", '{"level":"error"}')
    client:result("resources/subscribe", '{"uri":"test://b"}')
    up.sessions[1]:exit(1)
    up:on("tools/call", function(req) req:reply '{"content":[]}' end)
    loop.wait(function()
      return json.at(client:request("tools/call", '{"name":"work"}'), "result") and up.sessions[2]
    end, "the server to be back")
    assert.equal('"error"', up.sessions[2]:wait("logging/setLevel"):at "level")
    assert.equal('"test://b"', up.sessions[2]:wait("resources/subscribe"):at "uri")
    assert.equal(json.at(up.sessions[1]:wait("initialize").params, "capabilities"),
      json.at(up.sessions[2]:wait("initialize").params, "capabilities"))
  end)

  it("what no method's row knows goes to the one server, and to none of several", function()
    local client, up = lunette.between({ "stdio", "stdio" }, options)
    client:initialize()
    up:on("vendor/ask", function(req) req:reply('{"got":' .. req.params .. "}") end)
    assert.equal('{"got":{"x": 1.0}}', client:result("vendor/ask", '{"x": 1.0}'))
    client:notify("notifications/vendor", '{"y": 2.0}')
    assert.equal('{"y": 2.0}', up:wait("notifications/vendor").params)
    up:session():notify("notifications/vendor/back", '{"z": 3.0}')
    assert.equal('{"z": 3.0}', client:expect("notifications/vendor/back").params)

    local upstream = require "spec.support.upstream"
    local a, b = upstream.new { name = "alpha", tools = "[]" }, upstream.new { name = "beta", tools = "[]" }
    client = lunette.stdio { policy = lunette.bare(a, b) }
    client:initialize()
    assert.equal(-32601, client:failure("vendor/ask", "{}").code)
    client:notify("notifications/vendor", "{}")
    client:result "ping"
    for _, up2 in ipairs { a, b } do assert.equal(0, up2:count "vendor/ask" + up2:count "notifications/vendor") end
    b:session():notify("notifications/vendor/back", "{}")
    client:expect "notifications/vendor/back"
  end)
end)
