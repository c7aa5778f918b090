-- The policy language, end to end: what happens to a client's messages, and who answers the server. Each test is a
-- policy, one scripted server and a client of raw messages.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"
local policies = require "spec.support.policy"

local with, seen, tools = policies.with, policies.seen, policies.tools

describe("a policy", function()
  after_each(lunette.finish)

  describe("handles", function()
    it("a call: refuses it", function()
      local client, up = with [[
        lunette.on("tools/call", "write", function(request, forward, ctx)
          if request.params.arguments.path:find("..", 1, true) then return lunette.deny "no parent paths" end
          return forward(request)
        end)]]
      local refused = client:result("tools/call", '{"name":"write","arguments":{"path":"../x","text":"t"}}')
      assert.is_true(json.value(refused, "isError"))
      assert.truthy(json.value(refused, "content", 1, "text"):find("no parent paths", 1, true))
      assert.equal(0, up:count "tools/call")
      client:result("tools/call", '{"name":"write","arguments":{"path":"x","text":"t"}}')
      assert.equal(1, up:count "tools/call")
    end)

    it("refuses elsewhere with an error", function()
      local client = with 'lunette.on("resources/read", "note://*", function() return lunette.deny "not yours" end)'
      local err = client:failure("resources/read", '{"uri":"note://c"}')
      assert.truthy(err.message:find("not yours", 1, true))
      client:result("resources/read", '{"uri":"file:///a.txt"}')
    end)

    it("raises errors of its own", function()
      local client = with [[lunette.on("tools/call", function() lunette.error(-32050, "mine", { a = 1 }) end)]]
      assert.same({ code = -32050, message = "mine", data = { a = 1 } }, client:failure("tools/call", '{"name":"read"}'))
    end)

    it("edits a request there and nowhere else", function()
      local client = with [[lunette.on("tools/call", function(request, forward)
        request.params.arguments.limit = 7
        return forward(request) end)]]
      local got = json.at(client:result("tools/call", '{ "name" : "read","arguments":{"path":"\\u0061","x":[1.0,{},[]],"limit": 5,"y":1e2},"z":{} }'),
        "got")
      assert.equal('{ "name" : "read","arguments":{"path":"\\u0061","x":[1.0,{},[]],"limit": 7,"y":1e2},"z":{} }', got)
    end)

    it("edits a result there and nowhere else", function()
      local client, up = with [[lunette.on("tools/call", function(request, forward)
        local result = forward(request)
        result.content[1].text = "new"
        return result end)]]
      up:on("tools/call", function(req) req:reply '{ "content":[{"text":"old" ,"type":"text","n":1.0}],"_meta":{"e":[]},"big":12345678901234567890}' end)
      assert.equal('{ "content":[{"text":"new" ,"type":"text","n":1.0}],"_meta":{"e":[]},"big":12345678901234567890}',
        client:result("tools/call", '{"name":"read"}'))
    end)

    it("lets a handler that changes nothing change nothing", function()
      local client = with 'lunette.on("*", function(message, forward) return forward(message) end)'
      local params = '{ "name":"read","arguments":{"path":"\\/","n":[1.0,1e2,[],{}],"z":null} , "_meta":{} }'
      assert.equal(params, json.at(client:result("tools/call", params), "got"))
    end)

    it("nests handlers in the order written, the first outermost", function()
      local client = with [[
        for _, name in ipairs { "a", "b" } do
          lunette.on("tools/call", function(request, forward)
            request.params.arguments.trail = (request.params.arguments.trail or "") .. name
            local result = forward(request)
            result.trail = (result.trail or "") .. name
            return result
          end)
        end]]
      local result = client:result("tools/call", '{"name":"read","arguments":{}}')
      assert.equal("ab", json.value(result, "got", "arguments", "trail"))
      assert.equal("ba", json.value(result, "trail"))
    end)

    it("forwards again, and not at all", function()
      local client, up = with [[
        lunette.on("tools/call", "read", function(request, forward) forward(request); forward(request); return forward(request) end)
        lunette.on("tools/call", "delete", function() return lunette.text "nothing done" end)]]
      client:result("tools/call", '{"name":"read"}')
      assert.equal(3, up:count "tools/call")
      assert.equal("nothing done", json.value(client:result("tools/call", '{"name":"delete"}'), "content", 1, "text"))
      assert.equal(3, up:count "tools/call")
      local ids = {}
      for _, message in ipairs(up.sessions[1].messages) do
        if message.method == "tools/call" then
          assert.is_nil(ids[message.id])
          ids[message.id] = true
        end
      end
    end)

    it("hands an error of the server to the policy", function()
      local client, up = with [[lunette.on("tools/call", function(request, forward)
        local ok, err = pcall(forward, request)
        if not ok then return lunette.text("caught " .. err.code .. " " .. err.message) end
      end)]]
      up:on("tools/call", function(req) req:fail(-32000, "broken") end)
      assert.equal("caught -32000 broken", json.value(client:result("tools/call", '{"name":"read"}'), "content", 1, "text"))
    end)

    it("passes an error on that nobody catches", function()
      local client, up = with [[lunette.on("tools/call", function(request, forward) return forward(request) end)]]
      up:on("tools/call", function(req) req:fail(-32000, "broken", '{"n":1.0}') end)
      assert.equal('{"code":-32000,"message":"broken","data":{"n":1.0}}', json.at(client:request("tools/call", '{"name":"read"}'), "error"))
    end)

    it("tells of an error in a handler with file and line, and goes on", function()
      local client = with "\nlunette.on('tools/call', 'read', function(request) return request.nothing.at_all end)"
      local err = client:failure("tools/call", '{"name":"read"}')
      assert.equal(-32603, err.code)
      assert.truthy(client.process.err:all():find "policy%d+%.lua:3")
      client:result("tools/call", '{"name":"write"}')
    end)

    it("stops a handler that never ends, and others are served meanwhile", function()
      local client = with [[
        lunette.configure { hook_timeout = 0.3 }
        lunette.on("tools/call", "read", function() while true do end end)]]
      local err = client:failure("tools/call", '{"name":"read"}')
      assert.truthy(err.code)
      client:result("tools/call", '{"name":"write"}')
    end)

    it("refuses a handler that returns nothing for a request", function()
      local client = with 'lunette.on("tools/call", function() end)'
      assert.truthy(client:failure("tools/call", '{"name":"read"}').code)
    end)

    it("notifications: drops and edits them", function()
      local client, up = with [[
        lunette.on("notifications/message", function(notification, forward)
          if notification.params.level == "debug" then return end
          notification.params.data = "[" .. notification.params.data .. "]"
          forward(notification)
        end)
        lunette.on("notifications/vendor", function() end)]]
      local session = up:session()
      session:notify("notifications/message", '{"level":"debug","data":"one"}')
      session:notify("notifications/message", '{"level":"info","data":"two","x":1.0}')
      assert.equal('{"level":"info","data":"[two]","x":1.0}', client:expect("notifications/message").params)
      client:notify("notifications/vendor", "{}")
      client:notify("notifications/other", "{}")
      up:wait "notifications/other"
      assert.equal(0, up:count "notifications/vendor")
    end)

    it("lists", function()
      local client = with [[lunette.on("tools/list", function(request, forward)
        local result = forward(request)
        table.remove(result.tools, 1)
        return result end)]]
      assert.same({ "write", "delete" }, seen(client))
    end)

    it("5: keeps empty arrays, empty objects and null apart", function()
      local client = with [[lunette.on("tools/call", function(request, forward)
        local a = request.params.arguments
        a.made_array, a.made_object, a.made_null = lunette.array {}, {}, lunette.null
        a.copy = a.list
        assert(a.null == lunette.null)
        return forward(request) end)]]
      local got = json.at(client:result("tools/call", '{"name":"read","arguments":{"list":[],"map":{},"null":null}}'), "got", "arguments")
      for path, expected in pairs { list = "[]", map = "{}", null = "null", made_array = "[]", made_object = "{}", made_null = "null", copy = "[]" } do
        assert.equal(expected, json.at(got, path), path)
      end
    end)
  end)

  describe("waits without holding anyone up:", function()
    it("lunette.sleep", function()
      local client = with [[lunette.on("tools/call", "read", function(request, forward) lunette.sleep(0.4); return forward(request) end)]]
      local slow = client:start("tools/call", '{"name":"read"}')
      local quick = client:start("tools/call", '{"name":"write"}')
      quick:wait(300)
      assert.is_nil(slow.raw)
      slow:wait()
    end)

    it("lunette.http", function()
      local reason = lunette.lacks "local _ = lunette.http"
      if reason then pending(reason) end
      local http = require "spec.support.http"
      local asked
      local server = http.listen(function(request, conn)
        asked = request
        upstream.plain(conn, "201 Created", '{"answer":42}', "X-Test: yes\r\n")
      end)
      local client = with(([[lunette.on("tools/call", function()
        local r = lunette.http { url = "%s/path?q=1", method = "POST", headers = { ["X-Mine"] = "1" }, body = "hello", timeout = 2 }
        return lunette.text(r.status .. " " .. lunette.json.decode(r.body).answer .. " " .. r.headers["x-test"]) end)]]):format(server.url))
      assert.equal("201 42 yes", json.value(client:result("tools/call", '{"name":"read"}'), "content", 1, "text"))
      assert.equal("POST /path?q=1 HTTP/1.1", asked.start)
      assert.equal("1", asked.headers["x-mine"])
      assert.equal("hello", asked.body)
    end)

    it("ctx:call_tool, ctx:read_resource, ctx:get_prompt", function()
      local client, up = with [[lunette.tools.add { name = "all", inputSchema = { type = "object" }, handler = function(args, ctx)
        local call = ctx:call_tool("read", { path = "p" })
        local resource = ctx:read_resource "file:///a.txt"
        local prompt = ctx:get_prompt("review", { path = "q" })
        return call.got.arguments.path .. resource.contents[1].text .. prompt.got.arguments.path end }]]
      assert.equal("pbodyq", json.value(client:result("tools/call", '{"name":"all"}'), "content", 1, "text"))
      assert.equal(1, up:count "tools/call")
    end)

    it("ctx:sample, ctx:elicit, ctx:list_roots", function()
      local client = with([[lunette.tools.add { name = "ask", inputSchema = { type = "object" }, handler = function(args, ctx)
        local roots = ctx:list_roots()
        local answer = ctx:elicit { message = "sure?", requestedSchema = { type = "object", properties = { ok = { type = "boolean" } } } }
        local sample = ctx:sample { messages = { { role = "user", content = { type = "text", text = "hi" } } }, maxTokens = 5 }
        return roots.roots[1].uri .. answer.action .. tostring(answer.content.ok) .. sample.content.text end }]],
        { capabilities = '{"roots":{},"elicitation":{},"sampling":{}}' })
      local call = client:start("tools/call", '{"name":"ask"}')
      client:answer(client:expect "roots/list", '{"roots":[{"uri":"file:///r"}]}')
      local question = client:expect "elicitation/create"
      assert.equal("sure?", json.value(question.params, "message"))
      client:answer(question, '{"action":"accept","content":{"ok":true}}')
      client:answer(client:expect "sampling/createMessage", '{"role":"assistant","model":"m","content":{"type":"text","text":"!"}}')
      assert.equal("file:///raccepttrue!", json.value(call:wait(), "result", "content", 1, "text"))
    end)

    it("asking a client that can't be asked is an error, not a wait", function()
      local client = with [[lunette.tools.add { name = "ask", inputSchema = { type = "object" }, handler = function(args, ctx)
        return ctx:elicit { message = "m", requestedSchema = { type = "object", properties = {} } }.action end }]]
      local raw = client:request("tools/call", '{"name":"ask"}')
      assert.is_true(json.at(raw, "error") ~= nil or json.value(raw, "result", "isError"))
    end)

    it("ctx:log and ctx:progress reach the client", function()
      local client = with [[lunette.tools.add { name = "work", inputSchema = { type = "object" }, handler = function(args, ctx)
        ctx:log("info", { step = 1 })
        ctx:progress(1, 2, "half")
        return "done" end }]]
      client:request("tools/call", '{"name":"work","_meta":{"progressToken":"t"}}')
      assert.equal(1, json.value(client:expect("notifications/message").params, "data", "step"))
      local progress = json.decode(client:expect("notifications/progress").params)
      assert.same({ progressToken = "t", progress = 1, total = 2, message = "half" }, progress)
    end)

    it("ctx:progress of a server's own request tells the client nothing", function()
      local client, up = with([[lunette.on("roots/list", function(request, forward, ctx)
        ctx:progress(1)
        return forward(request) end)]], { capabilities = '{"roots":{}}' })
      local session = up:session()
      session:wait "notifications/initialized"
      session:send '{"jsonrpc":"2.0","id":1,"method":"roots/list","params":{"_meta":{"progressToken":"theirs"}}}'
      client:answer(client:expect "roots/list", '{"roots":[]}')
      client:result "ping"
      for _, message in ipairs(client.inbox) do assert.not_equal("notifications/progress", message.method) end
    end)

    it("ctx:progress has the client's token, digit for digit", function()
      local client = with [[lunette.tools.add { name = "work", inputSchema = { type = "object" }, handler = function(args, ctx)
        ctx:progress(1)
        return "done" end }]]
      for _, token in ipairs { "9007199254740993", ("7"):rep(100) } do
        client:request("tools/call", ('{"name":"work","_meta":{"progressToken":%s}}'):format(token))
        assert.equal(token, json.at(client:expect("notifications/progress").params, "progressToken"))
      end
    end)
  end)

  describe("answers the server", function()
    it("when the client can't be asked to sample", function()
      local client, up = with [[lunette.sampling(function(request, forward, ctx)
        if ctx.session.capabilities.sampling then return forward(request) end
        return { role = "assistant", model = "policy", content = { type = "text", text = request.params.messages[1].content.text .. "?" },
          stopReason = "endTurn" } end)]]
      assert.truthy(json.at(up:session():wait("initialize").params, "capabilities", "sampling"))
      up:on("tools/call", function(req)
        req:ask("sampling/createMessage", '{"messages":[{"role":"user","content":{"type":"text","text":"who"}}],"maxTokens":5}', function(answer)
          req:reply('{"content":[],"answer":' .. answer.result .. "}")
        end)
      end)
      local answer = json.value(client:result("tools/call", '{"name":"read"}'), "answer")
      assert.equal("who?", answer.content.text)
      assert.equal("policy", answer.model)
    end)

    it("or passes the question on when it can", function()
      local client, up = with([[lunette.on("sampling/createMessage", function(request, forward, ctx)
        if not ctx.session.capabilities.sampling then return lunette.deny "no" end
        request.params.maxTokens = 9
        return forward(request) end)]], { capabilities = '{"sampling":{}}' })
      up:on("tools/call", function(req)
        req:ask("sampling/createMessage", '{"messages":[], "maxTokens":5,"x":1.0}', function(answer)
          req:reply('{"content":[],"answer":' .. answer.result .. "}")
        end)
      end)
      local call = client:start("tools/call", '{"name":"read"}')
      local question = client:expect "sampling/createMessage"
      assert.equal('{"messages":[], "maxTokens":9,"x":1.0}', question.params)
      client:answer(question, '{"role":"assistant","model":"m","content":{"type":"text","text":"1.0"},"n":1.0}')
      assert.equal('{"role":"assistant","model":"m","content":{"type":"text","text":"1.0"},"n":1.0}', json.at(call:wait(), "result", "answer"))
    end)

    it("with roots and elicitations of its own", function()
      local client, up = with [[
        lunette.roots(function() return { roots = { { uri = "file:///policy", name = "p" } } } end)
        lunette.elicitation(function(request) return { action = "accept", content = { yes = request.params.message } } end)]]
      local capabilities = json.at(up:session():wait("initialize").params, "capabilities")
      assert.truthy(json.at(capabilities, "roots"))
      assert.truthy(json.at(capabilities, "elicitation"))
      up:on("tools/call", function(req)
        req:ask("roots/list", nil, function(roots)
          req:ask("elicitation/create", '{"message":"m","requestedSchema":{"type":"object","properties":{}}}', function(answer)
            req:reply('{"content":[],"roots":' .. roots.result .. ',"answer":' .. answer.result .. "}")
          end)
        end)
      end)
      local result = client:result("tools/call", '{"name":"read"}')
      assert.equal("file:///policy", json.value(result, "roots", "roots", 1, "uri"))
      assert.equal("m", json.value(result, "answer", "content", "yes"))
    end)

    it("and offers nothing that nobody can serve", function()
      local _, up = with ""
      local capabilities = json.at(up:session():wait("initialize").params, "capabilities")
      for _, name in ipairs { "sampling", "roots", "elicitation" } do assert.is_nil(json.at(capabilities, name)) end
    end)
  end)

  describe("knows", function()
    local function tell(expression, options)
      local client = with("lunette.on('tools/call', function(request, forward, ctx) return lunette.text(tostring(" .. expression .. ")) end)", options)
      return json.value(client:result("tools/call", '{"name":"read","arguments":{}}', '"r"'), "content", 1, "text"), client
    end

    it("who calls what", function()
      assert.equal("spec 1 stdio legacy 2025-11-25", (tell [=[table.concat({ ctx.session.client.name, ctx.session.client.version,
        ctx.session.transport, ctx.session.era, ctx.session.protocol_version }, " ")]=]))
      lunette.finish()
      assert.equal("files read", (tell 'ctx.upstream .. " " .. ctx.native_name'))
      lunette.finish()
      assert.equal("true", (tell("ctx.session.capabilities.roots ~= nil and type(ctx.session.id) == 'string'", { capabilities = '{"roots":{}}' })))
    end)

    it("the session's state and the shared one", function()
      local client = with [[lunette.on("tools/call", function(request, forward, ctx)
        ctx.session.state.n = (ctx.session.state.n or 0) + 1
        return lunette.text(ctx.session.state.n .. " " .. lunette.shared.incr("all")) end)]]
      client:request("tools/call", '{"name":"read"}')
      assert.equal("2 2", json.value(client:result("tools/call", '{"name":"read"}'), "content", 1, "text"))
    end)

    it("its environment", function()
      assert.equal("value none", (tell('lunette.env "SPEC_VALUE" .. " " .. lunette.env("SPEC_NONE", "none")', { env = { SPEC_VALUE = "value" } })))
    end)

    it("globs, JSON and the time", function()
      assert.equal("true false 1", (tell [=[tostring(lunette.match("a_*", "a_b")) .. " " .. tostring(lunette.match("a_*", "b_a")) .. " "
        .. lunette.json.decode('{"x":1}').x]=]))
      lunette.finish()
      assert.equal("true", (tell "lunette.now() > 0"))
    end)

    it("every tool, before the rules and after", function()
      local client = with([[
        lunette.tools.hide("write", "delete")
        lunette.on("tools/call", function(request, forward, ctx)
          return lunette.text(#lunette.tools.inventory() .. " " .. #lunette.tools.list(ctx)) end)]], { tools = policies.plain })
      assert.equal("3 1", json.value(client:result("tools/call", '{"name":"read"}'), "content", 1, "text"))
    end)

    it("how to do something now and then", function()
      local client = with [[
        lunette.every(0.05, function() lunette.shared.incr "ticks" end)
        lunette.on("tools/call", function() return lunette.text(tostring(lunette.shared.get "ticks")) end)]]
      loop.wait(function()
        return (tonumber(json.value(client:result("tools/call", '{"name":"read"}'), "content", 1, "text")) or 0) >= 2
      end, "two ticks")
    end)

    it("modules beside itself", function()
      local dir = loop.tempdir()
      loop.write_file(dir .. "/beside.lua", "return { word = 'found' }")
      local up = upstream.new { tools = tools }
      local path = lunette.policy(('lunette.upstream("up", %s)\nlocal m = require "beside"\n'):format(up:lua())
        .. 'lunette.on("tools/call", function() return lunette.text(m.word) end)', dir .. "/policy.lua")
      local client = lunette.stdio { targets = { path } }
      client:initialize()
      assert.equal("found", json.value(client:result("tools/call", '{"name":"read"}'), "content", 1, "text"))
    end)
  end)
end)
