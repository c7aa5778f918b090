-- The policy language, end to end: what a client sees, what happens to its messages, who answers the
-- server. Each test is a policy, one scripted server and a client of raw messages.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local tools = [=[
[{"name":"read","title":"Read","description":"Reads a file",
"inputSchema":{ "type":"object","$defs":{"p":{"type":"string","maxLength":4096}},
"properties":{"path":{"$ref":"#/$defs/p","description":"where"},"limit":{"type":"integer","minimum":1.0}},
"required":["path"],"dependentRequired":{"limit":["path"]},"additionalProperties":false},
"outputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]},"annotations":{"readOnlyHint":true},"_meta":{"v":1.0}},
{"name":"write","description":"Writes",
"inputSchema":{"type":"object","properties":{"path":{"type":"string"},"text":{"type":"string"}},"required":["path","text"]},
"annotations":{"destructiveHint":true}},{"name":"delete","inputSchema":{"type":"object"},"annotations":{"destructiveHint":true,"title":"Delete"}}]]=]
tools = tools:gsub("\n", "")
local resources = '[{"uri":"file:///a.txt","name":"a"},{"uri":"file:///b.txt","name":"b","mimeType":"text/plain"},{"uri":"note://c","name":"c"}]'
local templates = '[{"uriTemplate":"file:///{path}","name":"files"},{"uriTemplate":"note://{id}","name":"notes"}]'
local prompts = '[{"name":"review","description":"R","arguments":[{"name":"path","required":true}]},{"name":"plan"}]'

describe("a policy", function()
  after_each(lunette.finish)

  -- A client behind `policy`; its calls are echoed by the server: the result's `got` is the params.
  local function with(policy, options)
    options = options or {}
    local up = upstream.new { name = "files", tools = tools, resources = resources, templates = templates, prompts = prompts }
    up:on("tools/call", function(req) req:reply('{"content":[],"got":' .. req.params .. "}") end)
    up:on("resources/read", function(req) req:reply('{"contents":[{"uri":' .. req:at "uri" .. ',"text":"body"}]}') end)
    up:on("prompts/get", function(req) req:reply('{"messages":[],"got":' .. req.params .. "}") end)
    local client = lunette.between(options.way or { "stdio", "stdio" }, up, { policy = policy, env = options.env, flags = options.flags })
    client:initialize { capabilities = options.capabilities }
    return client, up
  end

  local kinds = {
    tools = { "tools/list", "tools", "name" },
    resources = { "resources/list", "resources", "uri" },
    resource_templates = { "resources/templates/list", "resourceTemplates", "uriTemplate" },
    prompts = { "prompts/list", "prompts", "name" },
  }

  local function seen(client, kind)
    local k = kinds[kind or "tools"]
    return json.names(json.at(client:result(k[1], "{}"), k[2]), k[3])
  end

  local function tool(client, name)
    for _, raw in ipairs(json.elements(json.at(client:result("tools/list", "{}"), "tools"))) do
      if json.value(raw, "name") == name then return raw end
    end
  end

  describe("shows", function()
    it("everything when it says nothing", function()
      local client = with ""
      assert.same({ "read", "write", "delete" }, seen(client))
      assert.same({ "file:///a.txt", "file:///b.txt", "note://c" }, seen(client, "resources"))
      assert.same({ "file:///{path}", "note://{id}" }, seen(client, "resource_templates"))
      assert.same({ "review", "plan" }, seen(client, "prompts"))
    end)

    local verbs = {
      tools = { glob = "*e", hidden = { "write", "delete" }, left = { "read" }, last = "delete" },
      resources = { glob = "file:*", hidden = { "file:///a.txt", "file:///b.txt" }, left = { "note://c" }, last = "note://c" },
      resource_templates = { glob = "file:*", hidden = { "file:///{path}" }, left = { "note://{id}" }, last = "note://{id}" },
      prompts = { glob = "re*", hidden = { "review" }, left = { "plan" }, last = "plan" },
    }
    for kind, case in pairs(verbs) do
      it("what lunette." .. kind .. ".hide leaves", function()
        assert.same(case.left, seen(with(("lunette.%s.hide(%q)"):format(kind, case.glob)), kind))
      end)
      it("what lunette." .. kind .. ".only names", function()
        assert.same(case.hidden, seen(with(("lunette.%s.only(%q)"):format(kind, case.glob)), kind))
      end)
      it("what a filter of lunette." .. kind .. " lets through", function()
        local k = kinds[kind]
        assert.same({ case.last }, seen(with(("lunette.%s.filter(function(item) return item.%s == %q end)"):format(
          kind, k[3], case.last)), kind))
      end)
    end

    it("a filter by annotations", function()
      assert.same({ "read" }, seen((with "lunette.tools.filter(function(t) return not (t.annotations or {}).destructiveHint end)")))
    end)

    it("what selectors with where and upstream choose", function()
      assert.same({ "read", "delete" },
        seen((with 'lunette.tools.hide { name = "*", upstream = "files", where = function(t) return t.description == "Writes" end }')))
      assert.same({ "read", "write", "delete" }, seen((with 'lunette.tools.hide { name = "*", upstream = "other" }')))
    end)

    it("rules in the order written, each seeing what the one before left", function()
      assert.same({ "fetch" }, seen((with [[
        lunette.tools.rename { read = "fetch", write = "put" }
        lunette.tools.hide("write", "read")
        lunette.tools.only("f*")]])))
    end)

    it("new names, by table and by function, and calls go to the old ones", function()
      local client, up = with [[
        lunette.tools.rename { read = "load" }
        lunette.tools.rename(function(name, t) if t.annotations.destructiveHint then return "danger_" .. name end end)
        lunette.prompts.rename { review = "check" }]]
      assert.same({ "load", "danger_write", "danger_delete" }, seen(client))
      assert.same({ "check", "plan" }, seen(client, "prompts"))
      assert.equal('{"name":"read","arguments":{"path": 1.0}}',
        json.at(client:result("tools/call", '{"name":"load","arguments":{"path": 1.0}}'), "got"))
      assert.equal('"write"', json.at(client:result("tools/call", '{"name":"danger_write"}'), "got", "name"))
      assert.equal('"review"', json.at(client:result("prompts/get", '{"name":"check","arguments":{"path":"x"}}'), "got", "name"))
      assert.equal(-32602, client:failure("tools/call", '{"name":"read"}').code)
      assert.equal(2, up:count "tools/call")
    end)

    it("renamed tools under the handlers that were written for their old names, alone or in a list", function()
      for _, which in ipairs { '"write"', '{ "write", "zzz" }' } do
        local client, up = with(('lunette.on("tools/call", %s, function() return lunette.deny "no" end)\n'):format(which)
          .. 'lunette.tools.rename { write = "put" }')
        assert.equal("no", json.value(client:result("tools/call", '{"name":"put"}'), "content", 1, "text"))
        assert.equal(0, up:count "tools/call")
      end
    end)

    it("nothing of a hidden tool to a call that carries no id", function()
      local client, up = with 'lunette.tools.hide "delete"'
      client:notify("tools/call", '{"name":"delete"}')
      client:result("tools/call", '{"name":"read"}')
      assert.equal(1, up:count "tools/call")
    end)

    it("an error where a component calls itself without end", function()
      local client = with 'lunette.tools.add { name = "again", handler = function(_, ctx) return ctx:call_tool("again", {}) end }'
      local reply = client:start("tools/call", '{"name":"again"}'):wait()
      assert.truthy(json.encode(json.value(reply)):find("too deeply", 1, true))
    end)

    it("a renamed item with nothing else changed, to the byte", function()
      local client = with 'lunette.tools.rename { read = "load" }'
      assert.equal(json.with(json.elements(tools)[1], "name", '"load"'), tool(client, "load"))
      assert.equal(json.elements(tools)[2], tool(client, "write"))
    end)

    it("a hidden item as if it did not exist", function()
      local client, up = with [[
        lunette.tools.hide("write")
        lunette.resources.hide("note://*")
        lunette.resource_templates.hide("note://*")
        lunette.prompts.hide("plan")]]
      assert.equal(-32602, client:failure("tools/call", '{"name":"write","arguments":{"path":"a","text":"b"}}').code)
      local read = client:failure("resources/read", '{"uri":"note://c"}').code
      assert.truthy(read == -32002 or read == -32602)
      assert.equal(-32602, client:failure("prompts/get", '{"name":"plan"}').code)
      assert.equal(0, up:count "tools/call" + up:count "resources/read" + up:count "prompts/get")
      local ref = '{"ref":{"type":"ref/prompt","name":"plan"},"argument":{"name":"x","value":""}}'
      assert.equal(-32602, client:failure("completion/complete", ref).code)
      assert.equal(0, up:count "completion/complete")
    end)

    it("each client what its rules with ctx say", function()
      local up = upstream.new { tools = tools }
      local host = lunette.http { policy = lunette.bare(up)
        .. '\nlunette.tools.filter(function(t, ctx) return ctx.session.client.name == "boss" or t.name == "read" end)' }
      local boss, other = host.client(), host.client()
      boss:initialize { info = '{"name":"boss","version":"1"}' }
      other:initialize { info = '{"name":"clerk","version":"1"}' }
      assert.same({ "read", "write", "delete" }, seen(boss))
      assert.same({ "read" }, seen(other))
      assert.equal(-32602, other:failure("tools/call", '{"name":"write"}').code)
    end)
  end)

  describe("transforms", function()
    it("name, title, description and annotations, and leaves the rest to the byte", function()
      local client = with [[lunette.tools.transform("read", { name = "load", title = "Load", description = "Loads",
        annotations = { readOnlyHint = true, openWorldHint = false } })]]
      local raw = tool(client, "load")
      assert.equal('"Load"', json.at(raw, "title"))
      assert.equal('"Loads"', json.at(raw, "description"))
      assert.same({ readOnlyHint = true, openWorldHint = false }, json.value(raw, "annotations"))
      local original = json.elements(tools)[1]
      for _, member in ipairs { "inputSchema", "outputSchema", "_meta" } do
        assert.equal(json.at(original, member), json.at(raw, member))
      end
    end)

    it("arguments: hidden with a constant", function()
      local client, up = with [[lunette.tools.transform("write", { arguments = { path = { hide = true, default = "/fixed" } } })]]
      local raw = tool(client, "write")
      assert.is_nil(json.at(raw, "inputSchema", "properties", "path"))
      assert.equal('["text"]', json.at(raw, "inputSchema", "required"))
      local got = json.at(client:result("tools/call", '{"name":"write","arguments":{"text": "\\u0061"}}'), "got")
      assert.equal('"\\u0061"', json.at(got, "arguments", "text"))
      assert.equal('"/fixed"', json.at(got, "arguments", "path"))
      assert.truthy(json.at(client:request("tools/call", '{"name":"write","arguments":{"text":"a","path":"/other"}}'), "error")
        or json.value(client:request("tools/call", '{"name":"write","arguments":{"text":"a","path":"/other"}}'), "result", "isError"))
      assert.equal(1, up:count "tools/call", "a hidden argument that is sent all the same is refused")
    end)

    it("arguments: hidden with a function of ctx", function()
      local client = with [[lunette.tools.transform("write", { arguments = { path = { hide = true,
        default = function(ctx) return "/home/" .. ctx.session.client.name end } } })]]
      assert.equal('"/home/spec"', json.at(client:result("tools/call", '{"name":"write","arguments":{"text":"a"}}'), "got", "arguments", "path"))
    end)

    it("arguments: renamed everywhere the schema names them", function()
      local client = with [[lunette.tools.transform("read", { arguments = { path = { name = "file", description = "the file" } } })]]
      local schema = json.at(tool(client, "read"), "inputSchema")
      assert.is_nil(json.at(schema, "properties", "path"))
      assert.equal("the file", json.value(schema, "properties", "file", "description"))
      assert.equal("#/$defs/p", json.value(schema, "properties", "file", "$ref"))
      assert.equal('["file"]', json.at(schema, "required"))
      assert.same({ limit = { "file" } }, json.value(schema, "dependentRequired"))
      assert.equal('{"p":{"type":"string","maxLength":4096}}', json.at(schema, "$defs"))
      assert.equal('{"type":"integer","minimum":1.0}', json.at(schema, "properties", "limit"))
      local names = {}
      for i, member in ipairs(json.members(json.at(schema, "properties"))) do names[i] = member.key end
      assert.same({ "file", "limit" }, names)
      assert.equal('{"path":"x","limit":1.0}',
        json.at(client:result("tools/call", '{"name":"read","arguments":{"file":"x","limit":1.0}}'), "got", "arguments"))
    end)

    it("arguments: schema, required and examples", function()
      local client = with [[lunette.tools.transform("read", { arguments = { limit = { required = true, examples = { 10 },
        schema = { type = "integer", maximum = 50 } } } })]]
      local schema = json.at(tool(client, "read"), "inputSchema")
      assert.equal(50, json.value(schema, "properties", "limit", "maximum"))
      assert.same({ 10 }, json.value(schema, "properties", "limit", "examples"))
      assert.same({ "path", "limit" }, json.value(schema, "required"))
    end)

    it("the output schema: kept, replaced, removed", function()
      assert.equal(json.at(json.elements(tools)[1], "outputSchema"),
        json.at(tool(with 'lunette.tools.transform("read", { title = "x" })', "read"), "outputSchema"))
      lunette.finish()
      assert.same({ type = "object" },
        json.value(tool(with 'lunette.tools.transform("read", { outputSchema = { type = "object" } })', "read"), "outputSchema"))
      lunette.finish()
      assert.is_nil(json.at(tool(with 'lunette.tools.transform("read", { outputSchema = false })', "read"), "outputSchema"))
    end)

    it("the call, with arguments as the client named them", function()
      local client = with [[lunette.tools.transform("read", { arguments = { path = { name = "file" } },
        call = function(args, forward)
          args.file = args.file .. "!"
          local result = forward(args)
          result.extra = args.file
          return result
        end })]]
      local result = client:result("tools/call", '{"name":"read","arguments":{"file":"x"}}')
      assert.equal("x!", json.value(result, "got", "arguments", "path"))
      assert.equal("x!", json.value(result, "extra"))
    end)

    it("by a function over many tools", function()
      local client = with [[lunette.tools.transform("*", function(t) t.description = (t.description or "none"):sub(1, 4); return t end)]]
      assert.equal("Read", json.value(tool(client, "read"), "description"))
      assert.equal("none", json.value(tool(client, "delete"), "description"))
      local original = json.elements(tools)[1]
      assert.equal(json.at(original, "inputSchema"), json.at(tool(client, "read"), "inputSchema"))
      assert.equal(json.at(original, "_meta"), json.at(tool(client, "read"), "_meta"))
    end)

    it("in chains", function()
      local client = with [[
        lunette.tools.transform("read", { name = "load", arguments = { path = { name = "file" } } })
        lunette.tools.transform("load", { name = "open", arguments = { file = { name = "what" } } })]]
      assert.same({ "open", "write", "delete" }, seen(client))
      assert.equal('{"path":"x"}', json.at(client:result("tools/call", '{"name":"open","arguments":{"what":"x"}}'), "got", "arguments"))
    end)

    it("not what can't be applied: that tool is withheld and the log says why with file and line", function()
      for problem, policy in pairs {
        ["unknown argument"] = 'lunette.tools.transform("read", { arguments = { nonsense = { description = "x" } } })',
        ["two arguments of one name"] = 'lunette.tools.transform("write", { arguments = { path = { name = "text" } } })',
        ["a required argument hidden without a default"] = 'lunette.tools.transform("read", { arguments = { path = { hide = true } } })',
      } do
        local client = with("\n\n" .. policy)
        local withheld = policy:match '"(%w+)"'
        assert.is_nil(tool(client, withheld), problem)
        assert.equal(-32602, client:failure("tools/call", '{"name":"' .. withheld .. '"}').code, problem)
        assert.truthy(client.process.err:all():find "policy%d+%.lua:4", problem .. "\n" .. client.process.err:all())
        lunette.finish()
      end
    end)
  end)

  describe("adds", function()
    it("tools, whose handlers give text, content or a whole result", function()
      local client, up = with [[
        lunette.tools.add { name = "now", description = "The time", inputSchema = { type = "object" },
          handler = function(args) return "it is " .. args.zone end }
        lunette.tools.add { name = "list", inputSchema = { type = "object" },
          handler = function() return { { type = "text", text = "a" }, { type = "text", text = "b" } } end }
        lunette.tools.add { name = "full", inputSchema = { type = "object" },
          handler = function() return { content = lunette.array {}, structuredContent = { n = 1 }, isError = true } end }]]
      assert.same({ "now", "list", "full", "read", "write", "delete" }, seen(client))
      assert.same({ { type = "text", text = "it is UTC" } },
        json.value(client:result("tools/call", '{"name":"now","arguments":{"zone":"UTC"}}'), "content"))
      assert.same({ { type = "text", text = "a" }, { type = "text", text = "b" } },
        json.value(client:result("tools/call", '{"name":"list"}'), "content"))
      local full = client:result("tools/call", '{"name":"full"}')
      assert.equal("[]", json.at(full, "content"))
      assert.is_true(json.value(full, "isError"))
      assert.equal(0, up:count "tools/call")
    end)

    it("a tool in place of the server's", function()
      local client, up = with [[lunette.tools.add { name = "read", inputSchema = { type = "object" }, handler = function() return "mine" end }]]
      assert.same({ "read", "write", "delete" }, seen(client))
      assert.equal("mine", json.value(client:result("tools/call", '{"name":"read"}'), "content", 1, "text"))
      assert.equal(0, up:count "tools/call")
    end)

    it("resources and templates", function()
      local client = with [[
        lunette.resources.add { uri = "mine://today", name = "Today", mimeType = "text/plain", read = function(uri) return "day of " .. uri end }
        lunette.resource_templates.add { uriTemplate = "mine://day/{day}", name = "A day",
          read = function(uri, ctx, params) return params.day .. " " .. ctx.session.client.name end }]]
      assert.equal("mine://today", seen(client, "resources")[1])
      assert.equal("mine://day/{day}", seen(client, "resource_templates")[1])
      local contents = json.value(client:result("resources/read", '{"uri":"mine://today"}'), "contents")
      assert.equal("mine://today", contents[1].uri)
      assert.equal("text/plain", contents[1].mimeType)
      assert.equal("day of mine://today", contents[1].text)
      assert.equal("monday spec", json.value(client:result("resources/read", '{"uri":"mine://day/monday"}'), "contents", 1, "text"))
      assert.equal("body", json.value(client:result("resources/read", '{"uri":"file:///a.txt"}'), "contents", 1, "text"))
    end)

    it("prompts", function()
      local client = with [[lunette.prompts.add { name = "mine", description = "M", arguments = { { name = "path", required = true } },
        get = function(args) return "look at " .. args.path end }]]
      assert.same({ "mine", "review", "plan" }, seen(client, "prompts"))
      local result = client:result("prompts/get", '{"name":"mine","arguments":{"path":"x"}}')
      assert.equal("look at x", json.value(result, "messages", 1, "content", "text"))
      assert.equal("user", json.value(result, "messages", 1, "role"))
    end)

    it("everything with no server at all", function()
      local client = lunette.stdio { policy = 'lunette.tools.add { name = "one", inputSchema = { type = "object" }, handler = function() return "1" end }' }
      local result = client:initialize()
      assert.truthy(json.at(result, "capabilities", "tools"))
      assert.is_nil(json.at(result, "capabilities", "prompts"))
      assert.same({ "one" }, seen(client))
      assert.equal("1", json.value(client:result("tools/call", '{"name":"one"}'), "content", 1, "text"))
      assert.equal(-32602, client:failure("tools/call", '{"name":"two"}').code)
    end)
  end)

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
      local client = with [[
        lunette.tools.hide("write", "delete")
        lunette.on("tools/call", function(request, forward, ctx)
          return lunette.text(#lunette.tools.inventory() .. " " .. #lunette.tools.list(ctx)) end)]]
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
