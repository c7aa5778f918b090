-- The ctx: what it knows, and what can be asked of it, in every place that is handed one.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local with, says, item = policy.with, policy.says, policy.item

describe("ctx", function()
  after_each(lunette.finish)

  describe("knows", function()
    local function tell(expression, options)
      options = options or {}
      options.tools = policy.plain
      return with("lunette.on('tools/call', 'read', function(request, forward, ctx) local s = ctx.session return lunette.json.encode { "
        .. expression .. " } end)", options)
    end

    it("the session and the client", function()
      local client = tell("s.transport, s.era, s.protocol_version, s.client.name, s.client.version, s.client.x or 0, s.capabilities.roots or 0, type(s.id)",
        { info = '{"name":"me","version":"2","x":{"y":1}}', capabilities = '{"roots":{"listChanged":true}}' })
      assert.same({ "stdio", "legacy", "2025-11-25", "me", "2", { y = 1 }, { listChanged = true }, "string" }, json.decode(says(client, "read")))
    end)

    it("the version and the transport of each", function()
      local client = tell("s.transport, s.protocol_version", { way = { "http", "stdio" }, version = "2025-06-18" })
      assert.same({ "http", "2025-06-18" }, json.decode(says(client, "read")))
    end)

    it("the headers of HTTP, in lower case, and none elsewhere", function()
      local up = policy.server()
      local host = lunette.http { policy = lunette.bare(up) .. [[

        lunette.on("tools/call", function(request, forward, ctx) return ctx.headers["x-team"] or "none" end)]] }
      local client = host.client { headers = { "X-Team: blue" } }
      client:initialize()
      assert.equal("blue", says(client, "read"))
      lunette.finish()
      assert.equal("none", says((with [[lunette.on("tools/call", function(r, f, ctx) return ctx.headers["x-team"] or "none" end)]]), "read"))
    end)

    it("what is called: the server, its own name, the id, the time that is left", function()
      local client = with([[
        lunette.tools.rename { read = "load" }
        lunette.configure { request_timeout = 30 }
        lunette.on("tools/call", function(request, forward, ctx)
          local left = ctx.deadline - lunette.now()
          return lunette.json.encode { ctx.upstream, ctx.native_name, request.params.name, ctx.request_id, left > 20 and left <= 30 } end)]],
        { tools = policy.plain })
      local raw = client:request("tools/call", '{"name":"load"}', '"r-1"')
      assert.same({ "files", "read", "load", "r-1", true }, json.decode(json.value(raw, "result", "content", 1, "text")))
    end)

    it("no more of a principal than there is", function()
      assert.equal('[0,0,"table",null]', says((tell "#ctx.principal.scopes, ctx.principal.subject or 0, type(ctx.principal.claims), lunette.null"), "read"))
    end)

    it("the state that a session keeps, and only that session", function()
      local up = policy.server()
      local host = lunette.http { policy = lunette.bare(up) .. [[

        lunette.on("tools/call", function(request, forward, ctx)
          local state = ctx.session.state
          state.n = (state.n or 0) + 1
          return state.n end)]] }
      local a, b = host.client(), host.client()
      a:initialize()
      b:initialize()
      assert.equal("1", says(a, "read"))
      assert.equal("2", says(a, "read"))
      assert.equal("1", says(b, "read"))
    end)

    it("and says so when it is asked what it can't", function()
      for body, why in pairs {
        ["ctx.session.name = 1"] = "ctx.session is read-only; keep name in ctx.session.state",
        ["ctx.log('info', 1)"] = "call it with a colon: ctx:log(…)",
        ["ctx:log('warn', 1)"] = "level must be debug, info, notice, warning",
        ["ctx:elicit('x')"] = "must be a table",
        ["ctx:elicit { message = '' }"] = "message must not be empty",
        ["ctx:call_tool()"] = "name must be a string",
        ["ctx:progress('x')"] = "done must be a number",
      } do
        local client = with("\nlunette.on('tools/call', function(request, forward, ctx) " .. body .. " return 'x' end)")
        assert.equal(-32603, client:failure("tools/call", '{"name":"read"}').code)
        local log = client.process.err:all()
        assert.truthy(log:find "policy%d+%.lua:3: " and log:find(why, 1, true), log)
        lunette.finish()
      end
    end)
  end)

  -- Everything that waits, from every kind of function that may wait. Each is a policy whose `read` (or what
  -- stands for it) runs WORK with a ctx and answers with what it gives.
  local places = {
    ["a handler of calls"] = { [[lunette.on("tools/call", "read", function(request, forward, ctx) return WORK(ctx) end)]] },
    ["a tool"] = { [[lunette.tools.add { name = "read", handler = function(args, ctx) return WORK(ctx) end }]] },
    ["a transform's call"] = { [[lunette.tools.transform("read", { call = function(args, forward, ctx) return WORK(ctx) end })]] },
    ["an argument's default"] = { [[lunette.tools.transform("read", { arguments = { path = { hide = true,
      default = function(ctx) return WORK(ctx) end } } })]], result = function(raw) return json.value(raw, "got", "arguments", "path") end },
    ["a resource"] = { [[lunette.resources.add { uri = "own://r", name = "r", read = function(uri, ctx) return WORK(ctx) end }]],
      method = "resources/read", params = '{"uri":"own://r"}', result = function(raw) return json.value(raw, "contents", 1, "text") end },
    ["a template"] = { [[lunette.resource_templates.add { uriTemplate = "own://{x}", name = "r", read = function(uri, ctx) return WORK(ctx) end }]],
      method = "resources/read", params = '{"uri":"own://r"}', result = function(raw) return json.value(raw, "contents", 1, "text") end },
    ["a prompt"] = { [[lunette.prompts.add { name = "own", get = function(args, ctx) return WORK(ctx) end }]],
      method = "prompts/get", params = '{"name":"own"}', result = function(raw) return json.value(raw, "messages", 1, "content", "text") end },
    ["a selector's where"] = { [[lunette.on("tools/call", { name = "read", where = function(t, ctx) told = WORK(ctx) return true end },
      function() return told end)]], before = "local told " },
    ["a handler of lists"] = { [[lunette.on("tools/list", function(request, forward, ctx)
      local result = forward(request) result.told = WORK(ctx) return result end)]], method = "tools/list", params = "{}",
      result = function(raw) return json.value(raw, "told") end },
  }
  local work = [[local function WORK(ctx)
    ctx:log("warning", { a = lunette.array {} }, "me")
    ctx:progress(1, 2, "half")
    local told = {}
    told[1] = ctx:call_tool("write", { path = "p" }).got.arguments.path
    told[2] = ctx:read_resource("file:///a.txt").contents[1].text
    told[3] = ctx:get_prompt("review", { path = "q" }).got.arguments.path
    told[4] = ctx:sample({ messages = {}, maxTokens = 1 }).content.text
    told[5] = ctx:elicit({ message = "one\ntwo", requestedSchema = { type = "object", properties = {} } }).action
    told[6] = ctx:list_roots().roots[1].uri
    return table.concat(told, " ")
  end
  ]]

  it("logs what the level that the client asked for lets through, as handlers of it left it", function()
    local client, up = with([[
      lunette.on("logging/setLevel", function(request, forward)
        if request.params.level == "info" then request.params.level = "error" end
        return forward(request) end)
      lunette.tools.add { name = "own", handler = function(_, ctx) ctx:log("debug", 1) ctx:log("error", 2) return "" end }]],
      { server = '{"tools":{},"logging":{}}' })
    local function logged()
      client:result("tools/call", '{"name":"own"}')
      local levels = {}
      while true do
        local m = client:maybe("notifications/message", 0)
        if not m then return levels end
        levels[#levels + 1] = json.value(m.params, "level")
      end
    end
    assert.same({ "debug", "error" }, logged())
    client:result("logging/setLevel", '{"level":"info"}')
    assert.equal('{"level":"error"}', up:wait("logging/setLevel").params)
    assert.same({ "error" }, logged())
    client:result("logging/setLevel", '{"level":"emergency"}')
    assert.same({}, logged())
    client:result("logging/setLevel", '{"level":"debug"}')
    assert.same({ "debug", "error" }, logged())
  end)

  for name, place in pairs(places) do
    it("in " .. name .. " can call, read, get, sample, ask, and tell", function()
      local client, up = with((place.before or "") .. work .. place[1], { tools = policy.plain, capabilities = '{"sampling":{},"elicitation":{},"roots":{}}' })
      local params = place.params or '{"name":"read","arguments":{}}'
      local call = client:start(place.method or "tools/call", (params:gsub("}$", (params == "{}" and "" or ",") .. '"_meta":{"progressToken":"tok"}}')))
      assert.equal('{"a":[]}', json.at(client:expect("notifications/message").params, "data"))
      assert.same({ progressToken = "tok", progress = 1, total = 2, message = "half" }, json.decode(client:expect("notifications/progress").params))
      client:answer(client:expect "sampling/createMessage", '{"role":"assistant","model":"m","content":{"type":"text","text":"s"}}')
      local question = client:expect "elicitation/create"
      assert.equal("one\ntwo", json.value(question.params, "message"))
      client:answer(question, '{"action":"accept","content":{}}')
      client:answer(client:expect "roots/list", '{"roots":[{"uri":"file:///r"}]}')
      local raw = call:wait()
      local result = json.at(raw, "result")
      assert.truthy(result, raw)
      local get = place.result or function(r) return json.value(r, "content", 1, "text") end
      assert.equal("p body q s accept file:///r", get(result))
      assert.equal(1, up:count "resources/read")
    end)
  end

  it("in filters, renames and transforms knows who sees the list, and says that nothing can wait there", function()
    local client = with [[
      lunette.tools.filter(function(t, ctx) return ctx.session.client.name == "spec" end)
      lunette.tools.rename(function(name, t, ctx) return name .. "_" .. ctx.session.protocol_version end)
      lunette.tools.transform("write*", function(t, ctx) return ctx:call_tool("x") end)]]
    assert.same({ "read_2025-11-25", "delete_2025-11-25" }, policy.seen(client))
    assert.truthy(client.process.err:all():find("only a handler can do", 1, true))
    assert.truthy(item(client, "read_2025-11-25"))
  end)

  it("raises the errors of what it asked, as tables that can be looked at", function()
    local client, up = with([[lunette.tools.add { name = "ask", handler = function(args, ctx)
      local told = {}
      for _, f in ipairs {
        function() return ctx:call_tool "nowhere" end, function() return ctx:read_resource "x://nowhere" end,
        function() return ctx:get_prompt "nowhere" end, function() return ctx:sample { messages = {}, maxTokens = 1 } end,
        function() return ctx:list_roots() end } do
        local ok, err = pcall(f)
        told[#told + 1] = tostring(ok) .. (type(err) == "table" and err.code or tostring(err))
      end
      return table.concat(told, " ") end }]])
    for _, method in ipairs { "tools/call", "resources/read", "prompts/get" } do
      up:on(method, function(req) req:fail(-32044, "no") end)
    end
    assert.equal("false-32044 false-32044 false-32044 false-32601 false-32601", says(client, "ask"))
  end)

  it("is good only while its handler runs", function()
    local client = with [[
      local kept
      lunette.on("tools/call", function(request, forward, ctx)
        if kept then kept:log("info", "too late") end
        kept = ctx
        return "fine" end)]]
    client:result("tools/call", '{"name":"read"}')
    assert.equal(-32603, client:failure("tools/call", '{"name":"read"}').code)
    assert.truthy(client.process.err:all():find("this ctx belongs to a request that is over", 1, true))
  end)
end)
