-- lunette.on and the like: which messages a handler gets, what it may do with them, and that of what it doesn't
-- touch every byte stays.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local with, says = policy.with, policy.says

local everything = '{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"prompts":{"listChanged":true},'
  .. '"logging":{},"completions":{}}'

describe("a handler", function()
  after_each(lunette.finish)

  describe("of a method gets that method's messages:", function()
    -- { method, what the client sends, what the server gives }
    local requests = {
      { "ping", nil, "{}" },
      { "tools/list", "{}" },
      { "tools/call", '{"name":"read"}' },
      { "resources/list", "{}" },
      { "resources/templates/list", "{}" },
      { "resources/read", '{"uri":"note://c"}' },
      { "resources/subscribe", '{"uri":"note://c"}', "{}" },
      { "resources/unsubscribe", '{"uri":"note://c"}', "{}" },
      { "prompts/list", "{}" },
      { "prompts/get", '{"name":"plan"}' },
      { "completion/complete", '{"ref":{"type":"ref/prompt","name":"plan"},"argument":{"name":"a","value":"b"}}', '{"completion":{"values":[]}}' },
      { "logging/setLevel", '{"level":"info"}', "{}" },
      { "vendor/thing", '{"x":1.0}', '{"y":1.0}' },
    }
    for _, row in ipairs(requests) do
      local method = row[1]
      it(method, function()
        local family = method:match "^(.*)/" or method:sub(1, 2)
        local client, up = with(([[
          lunette.on("%s", function(request, forward) lunette.shared.incr "exact"; return forward(request) end)
          lunette.on("%s*", function(request, forward) lunette.shared.incr "glob"; return forward(request) end)
          lunette.on("tools/call", "delete", function() return lunette.json.encode {
            lunette.shared.get "exact" or 0, lunette.shared.get "glob" or 0 } end)]]):format(method, family), { server = everything })
        if row[3] then up:on(method, function(req) req:reply(row[3]) end) end
        local through = json.at(client:request(method, row[2]), "result")
        assert.truthy(through)
        if row[3] then assert.equal(row[3], through) end
        local told = json.decode(says(client, "delete"))
        -- The call that asks may be one of them.
        local own = method == "tools/call" and 1 or 0
        assert.same({ 1 + own, 1 + (family == "tools" and 1 or 0) }, told)
      end)
    end

    it("ping, of the server's side, too", function()
      local client, up = with([[lunette.on("ping", function(request, forward, ctx)
        local result = forward(request)
        result.seen = ctx.upstream or "client"
        return result end)]])
      local pong
      up:on("tools/call", function(req)
        req:ask("ping", nil, function(raw)
          pong = raw
          req:reply '{"content":[]}'
        end)
      end)
      client:result("tools/call", '{"name":"read"}')
      assert.equal('{"seen":"files"}', pong.result)
      assert.equal('{"seen":"client"}', client:result "ping")
    end)

    it("initialize", function()
      local up = policy.server { server = everything }
      local client = lunette.between({ "stdio", "stdio" }, up, { policy = [[
        lunette.on("initialize", function(request, forward, ctx)
          local result = forward(request)
          result.instructions = "hello " .. request.params.clientInfo.name
          return result end)]] })
      local result = client:initialize()
      assert.equal("hello spec", json.value(result, "instructions"))
      assert.truthy(json.at(result, "capabilities", "tools"))
    end)

    it("initialize, and refuses it also after the servers' answer", function()
      local client = lunette.between({ "stdio", "stdio" }, policy.server(), { policy = [[
        lunette.on("initialize", function(request, forward)
          local result = forward(request)
          return request.params.clientInfo.name == "friend" and result or lunette.deny "not you" end)]] })
      local hello = '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"%s","version":"1"}}'
      assert.equal("not you", client:failure("initialize", hello:format "foe").message)
      client:notify "notifications/initialized"
      assert.equal("Not initialized: send initialize first", client:failure("tools/list", "{}").message)
      client:result("initialize", hello:format "friend")
      client:notify "notifications/initialized"
      client:result("tools/list", "{}")
    end)

    it("all, with *, and changes nothing when it forwards", function()
      local client, up = with('lunette.on("*", function(message, forward) return forward(message) end)', { server = everything })
      for _, row in ipairs(requests) do
        if row[3] then up:on(row[1], function(req) req:reply(row[3]) end) end
        assert.truthy(json.at(client:request(row[1], row[2]), "result"), row[1])
      end
      local session = up:session()
      for _, note in ipairs { { "notifications/message", '{"level":"info", "data":[1.0,{}]}' },
        { "notifications/resources/updated", '{"uri":"note://c" }' }, { "notifications/vendor", '{"b":1,"a":12345678901234567890}' } } do
        session:notify(note[1], note[2])
        assert.equal(note[2], client:expect(note[1]).params)
      end
    end)
  end)

  describe("may forward", function()
    it("later, and others pass meanwhile", function()
      local client = with [[lunette.on("tools/call", "read", function(request, forward)
        lunette.sleep(0.2) return forward(request) end)]]
      local slow = client:start("tools/call", '{"name":"read"}')
      client:result("tools/call", '{"name":"write"}')
      assert.is_nil(slow.raw)
      assert.truthy(json.at(slow:wait(), "result"))
    end)

    it("again until it works", function()
      local client, up = with [[lunette.on("tools/call", function(request, forward)
        for i = 1, 5 do
          local ok, result = pcall(forward, request)
          if ok then result.tries = i return result end
          assert(result.code == -32000 and result.message == "busy" and result.data.n == i)
        end end)]]
      local n = 0
      up:on("tools/call", function(req)
        n = n + 1
        if n < 3 then return req:fail(-32000, "busy", '{"n":' .. n .. "}") end
        req:reply '{ "content":[] }'
      end)
      assert.equal('{ "content":[],"tries":3 }', client:result("tools/call", '{"name":"read"}'))
    end)

    it("never", function()
      local client, up = with [[lunette.on("tools/call", function() return { content = {}, isError = false, made = { 1, "2", lunette.null } } end)]]
      assert.same({ content = {}, isError = false, made = { 1, "2", json.null } }, json.decode(client:result("tools/call", '{"name":"read"}')))
      assert.equal(0, up:count "tools/call")
    end)

    it("another name, which is found by the same rules", function()
      local client, up = with [[
        lunette.tools.rename { read = "load" }
        lunette.tools.hide "delete"
        lunette.on("tools/call", "write", function(request, forward)
          request.params.name = request.params.arguments.to
          return forward(request) end)]]
      client:result("tools/call", '{"name":"write","arguments":{"to":"load"}}')
      assert.equal('"read"', up:wait("tools/call"):at "name")
      for _, hidden in ipairs { "delete", "read" } do
        assert.equal(-32602, client:failure("tools/call", '{"name":"write","arguments":{"to":"' .. hidden .. '"}}').code)
      end
      assert.equal(1, up:count "tools/call")
    end)

    describe("another name", function()
      local function servers()
        local a, b = policy.server { tools = policy.plain }, policy.server { tools = policy.plain }
        a.name, b.name = "a", "b"
        return a, b
      end
      -- Two servers, behind handlers that note what they know; `reroute` stands between them.
      local function behind(reroute)
        local a, b = servers()
        local client = lunette.stdio { policy = lunette.bare(a, b) .. ([[
          local way = {}
          local function note(word) return function(request, forward, ctx)
            local function tell() way[#way + 1] = ("%%s %%s %%s.%%s"):format(word, request.params.name, ctx.upstream, ctx.native_name) end
            tell()
            local result = forward(request)
            tell()
            return result end
          end
          lunette.on("tools/call", { name = { "a_*", "b_*" } }, note "outer")
          lunette.on("tools/call", "b_*", note "b before")
          %s
          lunette.on("tools/call", "a_*", note "a after")
          lunette.on("tools/call", { upstream = "b" }, note "of b")
          lunette.on("tools/call", { where = function(tool) return tool.name == "b_write" and tool.description == "Writes" end }, note "where")
          lunette.tools.add { name = "way", handler = function() local text = table.concat(way, ", ") way = {} return text end }]]):format(reroute) }
        client:initialize()
        return client, a, b
      end
      local reroute = [[lunette.on("tools/call", "a_*", function(request, forward)
        request.params.name = request.params.arguments.to
        return forward(request) end)]]

      it("is told truly to later handlers, and to earlier ones once it is back", function()
        local client, a, b = behind(reroute)
        local result = client:result("tools/call", '{"name":"a_read","arguments":{"to":"b_write"}}')
        assert.equal("write", json.value(result, "got", "name"))
        assert.same({ 0, 1 }, { a:count "tools/call", b:count "tools/call" })
        assert.equal("outer a_read a.read, of b b_write b.write, where b_write b.write, where b_write b.write, of b b_write b.write, "
          .. "outer a_read b.write", policy.says(client, "way"))
        client:result("tools/call", '{"name":"a_read","arguments":{"to":"a_delete"}}')
        assert.equal("outer a_read a.read, a after a_delete a.delete, a after a_delete a.delete, outer a_read a.delete", policy.says(client, "way"))
      end)

      it("that there is not is an error each time, and the first name can still be sent", function()
        local client, a, b = behind [[lunette.on("tools/call", "a_*", function(request, forward)
          local codes = {}
          for _, name in ipairs { "b_none", "b_none", "secret", "b_write" } do
            request.params.name = name
            local ok, err = pcall(forward, request)
            codes[#codes + 1] = ok and "ok" or err.code
          end
          request.params.name = "a_read"
          forward(request)
          return table.concat(codes, " ") end)
          lunette.tools.add { name = "secret", handler = function() return "s" end }
          lunette.tools.hide "secret"]]
        assert.equal("-32602 -32602 -32602 ok", policy.says(client, "a_delete"))
        assert.same({ '"read"' }, { a:wait("tools/call"):at "name" })
        assert.same({ 1, 1 }, { a:count "tools/call", b:count "tools/call" })
        assert.equal("outer a_delete a.delete, of b b_write b.write, where b_write b.write, where b_write b.write, of b b_write b.write, "
          .. "a after a_read a.read, a after a_read a.read, outer a_delete a.read", policy.says(client, "way"))
      end)

      it("goes through the transforms of what it names", function()
        local client = behind(reroute .. [[ lunette.tools.transform("b_write", { call = function(args, forward, ctx)
          return ctx.upstream .. "." .. ctx.native_name .. " " .. forward(args).got.name end })]])
        assert.equal("b.write write", policy.says(client, "a_read", '{"to":"b_write"}'))
      end)

      it("is what the audit tells", function()
        local a, b = servers()
        local client = lunette.stdio { policy = lunette.bare(a, b) .. '\nrequire "lunette.policy.audit" {}\n' .. reroute }
        client:initialize()
        client:result("tools/call", '{"name":"a_read","arguments":{"to":"b_write"}}')
        client:result("tools/call", '{"name":"a_read","arguments":{"to":"a_read"}}')
        local lines = {}
        for line in client.process.err:all():gmatch '{"[^\n]*}' do lines[#lines + 1] = json.decode(line) end
        assert.same({ "a_read", "a", "b", "write" }, { lines[1].name, lines[1].upstream, lines[2].upstream, lines[2].native_name })
        assert.same({ "a_read", "a" }, { lines[3].name, lines[3].upstream, lines[4].upstream, lines[4].native_name })
      end)
    end)

    it("nothing instead of the request: that sends it as it stands", function()
      local client = with [[lunette.on("tools/call", function(request, forward) request.params.arguments.n = 2 return forward() end)]]
      assert.equal('{"m":1.0,"n":2}', policy.call(client, "read", '{"m":1.0}'))
    end)

    it("a request of its own making", function()
      local client = with [[lunette.on("tools/call", function(request, forward)
        return forward { method = "tools/call", params = { name = "write", arguments = { list = lunette.array {} } } } end)]]
      assert.equal('{"name":"write","arguments":{"list":[]}}', json.at(client:result("tools/call", '{"name":"read","arguments":{"a":1}}'), "got"))
    end)

    it("not another method, nor anything else", function()
      for _, what in ipairs { '{ method = "tools/list", params = {} }', '"x"', "7" } do
        local client = with("\nlunette.on('tools/call', function(request, forward) return forward(" .. what .. ") end)")
        assert.equal(-32603, client:failure("tools/call", '{"name":"read"}').code)
        assert.truthy(client.process.err:all():find "policy%d+%.lua:3: ")
        lunette.finish()
      end
    end)
  end)

  describe("edits only what it touches:", function()
    local request = '{ "name" : "read","arguments":{"a":{"b":[1.0,{"c":"\\u00e9"},[]],"d":1e2},"e":12345678901234567890 ,"f":null},'
      .. '"_meta":{"x": []} }'
    for edit, expected in pairs {
      ["a.a.d = 7"] = { '"d":1e2', '"d":7' },
      ["a.a.b[2].c = 'x'"] = { '"\\u00e9"', '"x"' },
      ["a.a.b[1] = nil a.a.b[1] = 1"] = { "", "" },
      ["a.f = true"] = { '"f":null', '"f":true' },
      ["a.new = { 1 }"] = { '"f":null', '"f":null,"new":[1]' },
      ["a.a.d = nil"] = { ',"d":1e2', "" },
      ["table.insert(a.a.b, 'z')"] = { "[]]", '[],"z"]' },
      ["table.remove(a.a.b, 1)"] = { "[1.0,", "[" },
      ["a.e = nil"] = { ',"e":12345678901234567890', "" },
      ["request.params._meta.y = 1"] = { '{"x": []}', '{"x": [],"y":1}' },
      ["a.a.b[3] = {}"] = { "", "" },
    } do
      it("of a request: " .. edit, function()
        local client = with("lunette.on('tools/call', function(request, forward) local a = request.params.arguments "
          .. edit .. " return forward(request) end)")
        local from, to = expected[1]:gsub("%p", "%%%0"), expected[2]:gsub("%%", "%%%%")
        assert.equal(from == "" and request or (request:gsub(from, to, 1)), json.at(client:result("tools/call", request), "got"))
      end)

      it("of a result: " .. edit, function()
        local client, up = with("lunette.on('tools/call', function(request, forward) local result = forward(request) local a = result.arguments "
          .. edit:gsub("request%.params", "result") .. " return result end)")
        up:on("tools/call", function(req) req:reply(request) end)
        local from, to = expected[1]:gsub("%p", "%%%0"), expected[2]:gsub("%%", "%%%%")
        assert.equal(from == "" and request or (request:gsub(from, to, 1)), client:result("tools/call", '{"name":"read"}'))
      end)
    end
  end)

  describe("nests:", function()
    it("by glob and name alike, in the order written", function()
      local client = with [[
        local function mark(letter)
          return function(request, forward)
            local a = request.params.arguments
            a.way = (a.way or "") .. letter
            local result = forward(request)
            result.back = (result.back or "") .. letter
            return result
          end
        end
        lunette.on("*", "read", mark "a")
        lunette.on("tools/call", { upstream = "files" }, mark "b")
        lunette.on("tools/*", "r*", mark "c")
        lunette.on("tools/call", "write", mark "x")
        lunette.on("tools/call", { where = function(t) return t.title end }, mark "d")]]
      local result = client:result("tools/call", '{"name":"read"}')
      assert.equal("abcd", json.value(result, "got", "arguments", "way"))
      assert.equal("dcba", json.value(result, "back"))
    end)

    it("the outer one sees what the inner one made of it: results, refusals, errors", function()
      local client = with([[
        lunette.on("tools/call", function(request, forward)
          local ok, result = pcall(forward, request)
          if not ok then return "error " .. result.code end
          return (result.isError and "refused " or "text ") .. result.content[1].text
        end)
        lunette.on("tools/call", "read", function() return lunette.deny "no" end)
        lunette.on("tools/call", "write", function() lunette.error(-32001, "x") end)
        lunette.on("tools/call", "delete", function() return "gone" end)]], { tools = policy.plain })
      assert.equal("refused no", says(client, "read"))
      assert.equal("error -32001", says(client, "write"))
      assert.equal("text gone", says(client, "delete"))
    end)

    it("outside of a tool's transforms", function()
      local client = with [[
        lunette.tools.transform("read", { arguments = { path = { name = "file" } },
          call = function(args, forward) args.file = args.file .. "-call" return forward(args) end })
        lunette.on("tools/call", "read", function(request, forward)
          request.params.arguments.file = request.params.arguments.file .. "-handler"
          return forward(request) end)]]
      assert.equal('{"path":"x-handler-call"}', policy.call(client, "read", '{"file":"x"}'))
    end)
  end)

  describe("refuses and fails", function()
    for method, params in pairs {
      ["resources/read"] = '{"uri":"note://c"}', ["prompts/get"] = '{"name":"plan"}', ["tools/list"] = "{}",
      ["resources/subscribe"] = '{"uri":"note://c"}', ["vendor/x"] = "{}",
    } do
      it("lunette.deny of " .. method .. " is a JSON-RPC error", function()
        local client = with(('lunette.on("%s", function() return lunette.deny "not you" end)'):format(method), { server = everything })
        local err = client:failure(method, params)
        assert.equal(-32600, err.code)
        assert.equal("not you", err.message)
      end)
    end

    it("lunette.error with data, raised from a function deep inside", function()
      local client = with [[
        local function deep() lunette.error(-32077, "mine", { list = lunette.array {}, n = 1 }) end
        lunette.on("tools/call", function() local ok = pcall(error, "x") deep() return ok end)]]
      assert.equal('{"code":-32077,"data":{"list":[],"n":1},"message":"mine"}', json.at(client:request("tools/call", '{"name":"read"}'), "error"))
    end)

    it("an error caught and raised again goes out as it came, or as it was changed", function()
      local client, up = with [[lunette.on("tools/call", function(request, forward)
        local _, err = pcall(forward, request)
        if request.params.name == "read" then err.message = "new" end
        error(err) end)]]
      up:on("tools/call", function(req) req:fail(-32000, "old", '{"n":1.0, "x":[]}') end)
      assert.equal('{"code":-32000,"message":"old","data":{"n":1.0, "x":[]}}', json.at(client:request("tools/call", '{"name":"write"}'), "error"))
      assert.equal('{"code":-32000,"message":"new","data":{"n":1.0, "x":[]}}', json.at(client:request("tools/call", '{"name":"read"}'), "error"))
    end)
  end)

  describe("of notifications", function()
    it("from servers may forward twice, late, and edited", function()
      local client, up = with [[lunette.on("notifications/message", function(note, forward)
        forward(note)
        lunette.sleep(0.01)
        note.params.data.n = 2
        forward(note) end)]]
      up:session():notify("notifications/message", '{"level":"info", "data":{"n":1.0,"m":1.0}}')
      assert.equal('{"level":"info", "data":{"n":1.0,"m":1.0}}', client:expect("notifications/message").params)
      assert.equal('{"level":"info", "data":{"n":2,"m":1.0}}', client:expect("notifications/message").params)
    end)

    it("of progress and of resources", function()
      local client, up = with [[
        lunette.on("notifications/progress", function(note, forward) note.params.message = "m" forward(note) end)
        lunette.on("notifications/resources/updated", "note://*", function() end)]]
      up:on("tools/call", function(req)
        req:progress '"progress":1.0'
        req:reply '{"content":[]}'
      end)
      client:request("tools/call", '{"name":"read","_meta":{"progressToken":7}}')
      local params = client:expect("notifications/progress").params
      assert.equal("m", json.value(params, "message"))
      assert.equal("7", json.at(params, "progressToken"))
      up:session():notify("notifications/resources/updated", '{"uri":"note://c"}')
      up:session():notify("notifications/resources/updated", '{"uri":"file:///a.txt"}')
      assert.equal('{"uri":"file:///a.txt"}', client:expect("notifications/resources/updated").params)
    end)

    it("from clients: roots that changed, a cancellation that is kept back", function()
      local client, up = with([[
        lunette.on("notifications/roots/list_changed", function(note, forward) note.params.seen = true forward(note) end)
        lunette.on("notifications/cancelled", function() end)]], { capabilities = '{"roots":{"listChanged":true}}' })
      client:notify("notifications/roots/list_changed", "{}")
      assert.equal('{"seen":true}', up:wait("notifications/roots/list_changed").params)
      local held
      up:on("tools/call", function(req) held = req end)
      local call = client:start("tools/call", '{"name":"read"}')
      loop.wait(function() return held end, "the call")
      client:notify("notifications/cancelled", '{"requestId":' .. call.id .. "}")
      client:result("ping")
      held:reply '{"content":[],"late":1.0}'
      assert.equal("1.0", json.at(call:wait(), "result", "late"))
    end)

    it("that fails drops its message and is told of in the log", function()
      local client, up = with '\nlunette.on("notifications/message", function(note) return note.params.data.x.y end)'
      up:session():notify("notifications/message", '{"level":"info","data":{}}')
      up:session():notify("notifications/vendor", "{}")
      client:expect "notifications/vendor"
      assert.is_nil(client:maybe("notifications/message", 50))
      assert.truthy(client.process.err:all():find "policy%d+%.lua:3: ")
    end)
  end)

  describe("of what servers ask", function()
    local function asks(up, method, params)
      up:on("tools/call", function(req)
        req:ask(method, params, function(reply)
          req:reply('{"content":[],"reply":' .. (reply.result or reply.error) .. "}")
        end)
      end)
    end

    for name, row in pairs {
      sampling = { "sampling/createMessage", '{"messages":[],"maxTokens":1}', '{"role":"assistant","model":"m","content":{"type":"text",'
        .. '"text":"t"}}' },
      elicitation = { "elicitation/create", '{"message":"m","requestedSchema":{"type":"object","properties":{}}}', '{"action":"decline"}' },
      roots = { "roots/list", nil, '{"roots":[]}' },
    } do
      it("lunette." .. name .. " offers the capability and answers", function()
        local client, up = with(('lunette.%s(function() return lunette.json.decode [==[%s]==] end)'):format(name, row[3]))
        assert.truthy(json.at(up:session():wait("initialize").params, "capabilities", name))
        asks(up, row[1], row[2])
        assert.same(json.decode(row[3]), json.value(client:result("tools/call", '{"name":"read"}'), "reply"))
      end)

      it("lunette." .. name .. " refuses by lunette.deny", function()
        local client, up = with(('lunette.%s(function() return lunette.deny "never" end)'):format(name))
        asks(up, row[1], row[2])
        local err = json.value(client:result("tools/call", '{"name":"read"}'), "reply")
        assert.equal(name == "sampling" and -1 or -32600, err.code)
        assert.equal("never", err.message)
      end)

      it("lunette." .. name .. " that forwards to a client without it gets an error", function()
        local client, up = with(('lunette.%s(function(request, forward) return forward(request) end)'):format(name))
        asks(up, row[1], row[2])
        assert.equal(-32601, json.value(client:result("tools/call", '{"name":"read"}'), "reply", "code"))
      end)
    end

    it("doesn't offer anything by a handler of all methods", function()
      local _, up = with 'lunette.on("*", function(message, forward) return forward(message) end)'
      assert.equal("{}", json.at(up:session():wait("initialize").params, "capabilities"))
    end)

    it("knows the server that asks and can ask itself", function()
      local client, up = with([[lunette.elicitation(function(request, forward, ctx)
        if ctx:call_tool("write").got.name ~= "write" then return lunette.deny "odd" end
        request.params.message = ctx.upstream .. ": " .. request.params.message
        local answer = forward(request)
        answer.content.by = "policy"
        return answer end)]], { capabilities = '{"elicitation":{}}' })
      up:on("tools/call", function(req)
        if req:value "name" == "write" then return req:reply('{"content":[],"got":' .. req.params .. "}") end
        req:ask("elicitation/create", '{"message":"sure?", "requestedSchema":{"type":"object","properties":{}}}', function(reply)
          req:reply('{"content":[],"reply":' .. reply.result .. "}")
        end)
      end)
      local call = client:start("tools/call", '{"name":"read"}')
      local question = client:expect "elicitation/create"
      assert.equal('{"message":"files: sure?", "requestedSchema":{"type":"object","properties":{}}}', question.params)
      client:answer(question, '{"action":"accept", "content":{"a":1.0}}')
      assert.equal('{"action":"accept", "content":{"a":1.0,"by":"policy"}}', json.at(call:wait(), "result", "reply"))
    end)
  end)
end)
