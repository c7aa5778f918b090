-- The policy language, end to end: what a client sees. Each test is a policy, one scripted server and a client of raw
-- messages.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"
local policies = require "spec.support.policy"

local with, seen, tool = policies.with, policies.seen, policies.item
local kinds, tools = policies.kinds, policies.tools

describe("a policy", function()
  after_each(lunette.finish)

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

    it("not what can't hold: that tool is withheld and the log says why with file and line", function()
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

end)
