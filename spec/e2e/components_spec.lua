-- A policy's own tools, resources, templates and prompts: all that their functions may give, and how they stand
-- among the servers'.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local with, seen, item = policy.with, policy.seen, policy.item

describe("of the policy's own", function()
  after_each(lunette.finish)

  describe("tools give", function()
    for body, expected in pairs {
      ['"text"'] = '{"content":[{"type":"text","text":"text"}]}',
      ['""'] = '{"content":[{"type":"text","text":""}]}',
      ["42"] = '{"content":[{"type":"text","text":"42"}]}',
      ['{ "a", "b" }'] = '{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}',
      ["{}"] = '{"content":[]}',
      ["lunette.array {}"] = '{"content":[]}',
      ['{ { type = "image", data = "QQ==", mimeType = "image/png" }, "b" }'] =
        '{"content":[{"type":"image","data":"QQ==","mimeType":"image/png"},{"type":"text","text":"b"}]}',
      ['{ type = "text", text = "one block" }'] = '{"content":[{"type":"text","text":"one block"}]}',
      ['lunette.text "t"'] = '{"content":[{"type":"text","text":"t"}]}',
      ['{ content = {}, isError = true }'] = '{"content":[],"isError":true}',
      ['{ content = { { type = "text", text = "x" } }, structuredContent = { n = 1 }, _meta = { a = lunette.null } }'] =
        '{"content":[{"type":"text","text":"x"}],"structuredContent":{"n":1},"_meta":{"a":null}}',
      ["{ structuredContent = { n = 1 } }"] = '{"content":[{"type":"text","text":"{\\"n\\":1}"}],"structuredContent":{"n":1}}',
      ['lunette.deny "no"'] = '{"content":[{"type":"text","text":"no"}],"isError":true}',
    } do
      it(body, function()
        local client = with("lunette.tools.add { name = 't', handler = function() return " .. body .. " end }")
        assert.same(json.decode(expected), json.decode(client:result("tools/call", '{"name":"t"}')))
      end)
    end

    for body, why in pairs {
      ["nil"] = "returned nothing",
      ["true"] = "returned a boolean, not a result",
      ["{ ok = true }"] = "what t returned has no content; return a text, a list of content or a result",
      ["{ f = print, content = {} }"] = "result.f: a function can't be sent",
      ["error('x')"] = ": x",
    } do
      it("an error with file and line for " .. body, function()
        local client = with("\nlunette.tools.add { name = 't', handler = function() return " .. body .. " end }")
        assert.same({ code = -32603, message = "policy error" }, client:failure("tools/call", '{"name":"t"}'))
        local log = client.process.err:all()
        assert.truthy(log:find "policy%d+%.lua:3", log)
        assert.truthy(log:find(why, 1, true), log)
      end)
    end

    it("lunette.error as it is", function()
      local client = with "lunette.tools.add { name = 't', handler = function() lunette.error(-32001, 'm', { 1 }) end }"
      assert.same({ code = -32001, message = "m", data = { 1 } }, client:failure("tools/call", '{"name":"t"}'))
    end)
  end)

  it("tools are shown with all that they are declared with, in the protocol's names", function()
    local client = with [[lunette.tools.add { name = "t", title = "T", description = "D",
      inputSchema = { type = "object", properties = { a = { type = "string", enum = {} } }, required = {} },
      outputSchema = { type = "object" }, annotations = { readOnlyHint = true }, icons = { { src = "data:,x" } },
      _meta = { ["x/y"] = {} }, execution = { taskSupport = "forbidden" },
      handler = function() return "x" end }]]
    local raw = item(client, "t")
    assert.same({ name = "t", title = "T", description = "D",
      inputSchema = { type = "object", properties = { a = { type = "string", enum = {} } }, required = {} },
      outputSchema = { type = "object" }, annotations = { readOnlyHint = true }, icons = { { src = "data:,x" } },
      _meta = { ["x/y"] = {} }, execution = { taskSupport = "forbidden" } }, json.decode(raw))
    assert.equal("[]", json.at(raw, "inputSchema", "required"))
    assert.equal("[]", json.at(raw, "inputSchema", "properties", "a", "enum"))
    assert.equal("{}", json.at(raw, "_meta", "x/y"))
  end)

  describe("resources give", function()
    for body, expected in pairs {
      ['"text"'] = '[{"uri":"n://1","mimeType":"text/plain","text":"text"}]',
      ['{ text = "t", mimeType = "text/x" }'] = '[{"uri":"n://1","mimeType":"text/x","text":"t"}]',
      ['{ blob = "QQ==" }'] = '[{"uri":"n://1","mimeType":"text/plain","blob":"QQ=="}]',
      ['{ "a", { uri = "n://2", text = "b" } }'] = '[{"uri":"n://1","mimeType":"text/plain","text":"a"},{"uri":"n://2",'
        .. '"mimeType":"text/plain","text":"b"}]',
      ['{ contents = { { uri = "x", text = "t" } } }'] = '[{"uri":"x","text":"t"}]',
      ["{}"] = "[]",
    } do
      it(body, function()
        local client = with("lunette.resources.add { uri = 'n://1', name = 'n', mimeType = 'text/plain', read = function() return " .. body .. " end }")
        assert.same(json.decode(expected), json.value(client:result("resources/read", '{"uri":"n://1"}'), "contents"))
      end)
    end

    it("an error for what is none", function()
      local client = with "\nlunette.resources.add { uri = 'n://1', name = 'n', read = function() return { txt = 'x' } end }"
      assert.equal(-32603, client:failure("resources/read", '{"uri":"n://1"}').code)
      assert.truthy(client.process.err:all():find "policy%d+%.lua:3: what n://1 returned has no contents")
    end)

    it("what templates find in the URI", function()
      local client = with [[
        lunette.resource_templates.add { uriTemplate = "db://{table}/{id}{?full,lang}", name = "rows",
          read = function(uri, ctx, params) return lunette.json.encode(params) .. " " .. uri end }
        lunette.resource_templates.add { uriTemplate = "files:///{+path}", name = "files",
          read = function(uri, ctx, params) return params.path end }]]
      local function read(uri) return json.value(client:result("resources/read", '{"uri":"' .. uri .. '"}'), "contents", 1, "text") end
      assert.equal('{"id":"7 8","table":"users"} db://users/7%208', read "db://users/7%208")
      assert.equal('{"full":"yes","id":"7","table":"users"} db://users/7?full=yes', read "db://users/7?full=yes")
      assert.equal("a/b/c.txt", read "files:///a/b/c.txt")
    end)

    it("what templates find in the URI that rules have them presented by, and nothing by the old one", function()
      local client, up = with [[
        lunette.resource_templates.add { uriTemplate = "db://{table}/{id}{?full}", name = "rows",
          read = function(uri, ctx, params) return lunette.json.encode(params) .. " " .. uri end }
        lunette.resource_templates.rename { ["db://{table}/{id}{?full}"] = "sql:///{id}/of/{table}{?full}" }
        lunette.resource_templates.transform("sql:*", function(template)
          template.uriTemplate = template.uriTemplate:gsub("^sql:", "rows:")
          return template end)]]
      up:on("resources/read", function() return '{"contents":[]}' end)
      local result = client:result("resources/read", '{"uri":"rows:///7%208/of/users?full=yes"}')
      assert.equal("rows:///7%208/of/users?full=yes", json.value(result, "contents", 1, "uri"))
      assert.equal('{"full":"yes","id":"7 8","table":"users"} rows:///7%208/of/users?full=yes', json.value(result, "contents", 1, "text"))
      assert.equal("{}", client:result("resources/subscribe", '{"uri":"rows:///7/of/users"}'))
      assert.equal(-32602, client:failure("resources/read", '{"uri":"db://users/7"}').code)
      assert.equal(0, up:count "resources/read" + up:count "resources/subscribe")
    end)
  end)

  describe("prompts give", function()
    for body, expected in pairs {
      ['"text"'] = '[{"role":"user","content":{"type":"text","text":"text"}}]',
      ['{ { role = "assistant", content = { type = "text", text = "a" } } }'] = '[{"role":"assistant","content":{"type":"text","text":"a"}}]',
      ['{ "a", { role = "assistant", content = "b" } }'] =
        '[{"role":"user","content":{"type":"text","text":"a"}},{"role":"assistant","content":{"type":"text","text":"b"}}]',
      ['{ role = "user", content = "one" }'] = '[{"role":"user","content":{"type":"text","text":"one"}}]',
      ['{ messages = { { role = "user", content = "x" } }, description = "d" }'] = '[{"role":"user","content":{"type":"text","text":"x"}}]',
      ["{}"] = "[]",
    } do
      it(body, function()
        local client = with("lunette.prompts.add { name = 'p', get = function() return " .. body .. " end }")
        assert.same(json.decode(expected), json.value(client:result("prompts/get", '{"name":"p"}'), "messages"))
      end)
    end

    it("nothing without the arguments they require", function()
      local client = with [[lunette.prompts.add { name = "p", arguments = { { name = "a", required = true }, { name = "b" } },
        get = function(args) return args.a .. (args.b or "") end }]]
      assert.truthy(client:failure("prompts/get", '{"name":"p","arguments":{"b":"x"}}').message:find("a", 1, true))
      assert.equal("12", json.value(client:result("prompts/get", '{"name":"p","arguments":{"a":"1","b":"2"}}'), "messages", 1, "content", "text"))
      assert.same({ { name = "a", required = true }, { name = "b" } }, json.value(item(client, "p", "prompts"), "arguments"))
    end)
  end)

  it("come before the servers' and go through rules and handlers as they do", function()
    local client, up = with [[
      for _, name in ipairs { "one", "two", "read" } do
        lunette.tools.add { name = name, inputSchema = { type = "object", properties = { x = { type = "string" } } },
          handler = function(args) return name .. tostring(args.x) end }
      end
      lunette.tools.hide("two", "delete")
      lunette.tools.transform("one", { name = "uno", arguments = { x = { name = "y" } } })
      lunette.on("tools/call", "uno", function(request, forward)
        local result = forward(request)
        result.content[1].text = result.content[1].text .. "!"
        return result end)]]
    assert.same({ "uno", "read", "write" }, seen(client))
    assert.equal("one5!", policy.says(client, "uno", '{"y":"5"}'))
    assert.equal("readnil", policy.says(client, "read"))
    assert.equal(-32602, client:failure("tools/call", '{"name":"two"}').code)
    assert.equal(0, up:count "tools/call")
  end)

  it("are what rules hold for, also those written before them", function()
    local client = with [[
      lunette.tools.only("read", "mine")
      lunette.tools.rename { mine = "ours" }
      for _, name in ipairs { "mine", "other" } do lunette.tools.add { name = name, handler = function() return name end } end]]
    assert.same({ "ours", "read" }, seen(client))
    assert.equal("mine", policy.says(client, "ours"))
    assert.equal(-32602, client:failure("tools/call", '{"name":"other"}').code)
  end)

  it("have no prefix beside several servers", function()
    local a, b = policy.server(), policy.server()
    a.name, b.name = "a", "b"
    local client = lunette.stdio { policy = lunette.bare(a, b) .. '\nlunette.tools.add { name = "own", handler = function() return "x" end }' }
    client:initialize()
    assert.same({ "own", "a_read", "a_write", "a_delete", "b_read", "b_write", "b_delete" }, seen(client))
  end)

  it("are offered though the server has nothing of their kind", function()
    local up = policy.server { server = '{"tools":{}}' }
    local client = lunette.between({ "stdio", "stdio" }, up, { policy = [[
      lunette.resources.add { uri = "n://1", name = "n", read = function() return "x" end }
      lunette.prompts.add { name = "p", get = function() return "x" end }]] })
    local capabilities = json.at(client:initialize(), "capabilities")
    for _, name in ipairs { "tools", "resources", "prompts" } do assert.truthy(json.at(capabilities, name), name) end
    assert.same({ "n://1" }, seen(client, "resources"))
    assert.same({ "p" }, seen(client, "prompts"))
  end)

  describe("are refused when they are written, with file and line:", function()
    for text, why in pairs {
      ["tools.add { handler = print }"] = "name must be a string",
      ["tools.add { name = 't' }"] = "t needs a function handler",
      ["tools.add { name = 't', handler = print, descripton = 'x' }"] = "unknown option descripton; did you mean description?",
      ["tools.add { name = 't', handler = print, inputSchema = { type = 'string' } }"] = 'inputSchema.type must be "object"',
      ["tools.add { name = 't', handler = print } lunette.tools.add { name = 't', handler = print }"] = "a tool t is added already at",
      ["resources.add { uri = 'n://1', read = print }"] = "name must be a string",
      ["resources.add { uri = 'n://1', name = 'n', handler = print }"] = "unknown option handler",
      ["resource_templates.add { uriTemplate = 'n://{x', name = 'n', read = print }"] = "a brace without its partner",
      ["prompts.add { name = 'p', arguments = { 'a' }, get = print }"] = "arguments[1] must be a table",
      ["prompts.add { name = 'p', arguments = { { name = 'a', default = 1 } }, get = print }"] = "unknown option default",
    } do
      it(text, function()
        local result = lunette.cli { "check", lunette.policy("\nlunette." .. text) }
        assert.equal(1, result.code)
        assert.truthy(result.stderr:find "policy%d+%.lua:2: ", result.stderr)
        assert.truthy(result.stderr:find(why, 1, true), result.stderr)
      end)
    end
  end)
end)
