-- What a transform changes of definitions, knob by knob and for all four kinds, and that it changes nothing else.
-- Arguments are in arguments_spec.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local with, seen, item, call = policy.with, policy.seen, policy.item, policy.call

-- The raw members of a definition, without those named.
local function rest(raw, ...)
  local skip, list = {}, {}
  for i = 1, select("#", ...) do skip[(select(i, ...))] = true end
  for _, member in ipairs(json.members(raw)) do
    if not skip[member.key] then list[#list + 1] = member.key .. "=" .. member.value end
  end
  return table.concat(list, " ")
end

describe("a transform", function()
  after_each(lunette.finish)

  -- { kind, item, what is written, member, raw value after (nil: gone), presented name when it changes }
  local rows = {
    { "tools", "read", 'name = "load"', "name", '"load"', "load" },
    { "tools", "read", 'title = "T"', "title", '"T"' },
    { "tools", "read", "title = false", "title", nil },
    { "tools", "delete", 'title = "T"', "title", '"T"' },
    { "tools", "read", 'description = "D\\n2"', "description", '"D\\n2"' },
    { "tools", "read", 'description = ""', "description", '""' },
    { "tools", "read", "description = false", "description", nil },
    { "tools", "delete", 'description = "D"', "description", '"D"' },
    { "tools", "read", "annotations = { idempotentHint = true }", "annotations", '{"readOnlyHint":true,"idempotentHint":true}' },
    { "tools", "read", "annotations = { readOnlyHint = false }", "annotations", '{"readOnlyHint":false}' },
    { "tools", "delete", "annotations = { title = lunette.null }", "annotations", '{"destructiveHint":true}' },
    { "tools", "read", "annotations = false", "annotations", nil },
    { "tools", "read", '_meta = { ["com.x/y"] = { 1 } }', "_meta", '{"v":1.0,"w":[],"com.x/y":[1]}' },
    { "tools", "delete", "_meta = { v = 1 }", "_meta", '{"v":1}' },
    { "tools", "read", "_meta = { v = lunette.null }", "_meta", '{"w":[]}' },
    { "tools", "read", "_meta = false", "_meta", nil },
    { "tools", "read", 'icons = { { src = "data:,y" } }', "icons", '[{"src":"data:,y"}]' },
    { "tools", "read", "icons = {}", "icons", "[]" },
    { "tools", "read", "icons = false", "icons", nil },
    { "tools", "delete", 'icons = { { src = "data:,y" } }', "icons", '[{"src":"data:,y"}]' },
    { "tools", "read", 'outputSchema = { type = "object", required = {} }', "outputSchema", '{"type":"object","required":[]}' },
    { "tools", "read", "outputSchema = false", "outputSchema", nil },
    { "tools", "read", "enabled = true", "name", '"read"' },
    { "resources", "file:///b.txt", 'name = "N"', "name", '"N"' },
    { "resources", "file:///b.txt", 'title = "T"', "title", '"T"' },
    { "resources", "file:///b.txt", "title = false", "title", nil },
    { "resources", "file:///b.txt", 'description = "D"', "description", '"D"' },
    { "resources", "file:///b.txt", 'mimeType = "text/x"', "mimeType", '"text/x"' },
    { "resources", "file:///b.txt", "mimeType = false", "mimeType", nil },
    { "resources", "file:///b.txt", 'annotations = { audience = { "user" } }', "annotations", '{"audience":["user"]}' },
    { "resources", "file:///b.txt", "_meta = { v = 1 }", "_meta", '{"v":1}' },
    { "resources", "file:///b.txt", 'icons = { { src = "data:,y" } }', "icons", '[{"src":"data:,y"}]' },
    { "resources", "file:///b.txt", 'uri = "doc://b"', "uri", '"doc://b"', "doc://b" },
    { "resource_templates", "note://{id}", 'name = "N"', "name", '"N"' },
    { "resource_templates", "note://{id}", 'title = "T"', "title", '"T"' },
    { "resource_templates", "note://{id}", 'description = "D"', "description", '"D"' },
    { "resource_templates", "note://{id}", 'mimeType = "text/x"', "mimeType", '"text/x"' },
    { "resource_templates", "note://{id}", "_meta = { v = 1 }", "_meta", '{"v":1}' },
    { "prompts", "review", 'name = "check"', "name", '"check"', "check" },
    { "prompts", "review", 'title = "T"', "title", '"T"' },
    { "prompts", "review", "title = false", "title", nil },
    { "prompts", "review", 'description = "D"', "description", '"D"' },
    { "prompts", "review", "_meta = { v = 1 }", "_meta", '{"v":1}' },
    { "prompts", "review", 'icons = { { src = "data:,y" } }', "icons", '[{"src":"data:,y"}]' },
  }

  for _, row in ipairs(rows) do
    local kind, name, written, member, value, presented = unpack(row, 1, 6)
    it(("of lunette.%s with { %s } changes that and no other byte"):format(kind, written), function()
      local before = item((with ""), name, kind)
      lunette.finish()
      local client = with(("lunette.%s.transform(%q, { %s })"):format(kind, name, written))
      local after = item(client, presented or name, kind)
      assert.truthy(after, table.concat(seen(client, kind), " "))
      -- What a table writes has no order: its members are compared one by one.
      local is = json.at(after, member)
      if value and value:sub(1, 1) == "{" then
        assert.same(json.decode(value), json.decode(is))
        for _, part in ipairs(json.members(value)) do assert.equal(part.value, json.at(is, part.key)) end
      else
        assert.equal(value, is)
      end
      assert.equal(rest(before, member), rest(after, member))
      for _, other in ipairs(policy.items(client, kind)) do
        local key = json.value(other, policy.kinds[kind][3])
        if key ~= (presented or name) then
          assert.truthy(policy[({ resource_templates = "templates" })[kind] or kind]:find(other, 1, true), other)
        end
      end
    end)
  end

  it("with enabled = false takes the component away, everywhere", function()
    local client, up = with [[
      lunette.tools.transform("w*", { enabled = false })
      lunette.resources.transform("note:*", { enabled = false })
      lunette.resource_templates.transform("notes", { enabled = false })
      lunette.prompts.transform({ where = function(p) return p.arguments end }, { enabled = false })]]
    assert.same({ "read", "delete" }, seen(client))
    assert.same({ "file:///a.txt", "file:///b.txt" }, seen(client, "resources"))
    assert.same({ "file:///{path}" }, seen(client, "resource_templates"))
    assert.same({ "plan" }, seen(client, "prompts"))
    assert.equal(-32602, client:failure("tools/call", '{"name":"write"}').code)
    assert.equal(-32602, client:failure("prompts/get", '{"name":"review"}').code)
    assert.truthy(client:failure("resources/read", '{"uri":"note://c"}').code)
    assert.equal(0, up:count "tools/call" + up:count "prompts/get" + up:count "resources/read")
  end)

  it("with enabled = true shows again what rules before it hid", function()
    local client, up = with [[
      lunette.tools.hide("*")
      lunette.tools.rename { read = "load" }
      lunette.tools.transform("load", { enabled = true, title = "L" })
      lunette.tools.transform("write", { enabled = false })
      lunette.resources.only "note:*"
      lunette.resources.transform("file:///a.txt", { enabled = true })
      lunette.prompts.transform("*", { enabled = true })
      lunette.prompts.hide "plan"]]
    assert.same({ "load" }, seen(client))
    assert.equal('"L"', json.at(item(client, "load"), "title"))
    assert.same({ "file:///a.txt", "note://c" }, seen(client, "resources"))
    assert.same({ "review" }, seen(client, "prompts"))
    client:result("tools/call", '{"name":"load","arguments":{"path":"x"}}')
    assert.equal('"read"', up:wait("tools/call"):at "name")
    assert.equal(-32602, client:failure("tools/call", '{"name":"write"}').code)
    assert.equal(-32602, client:failure("tools/call", '{"name":"read"}').code)
    assert.is_nil(client.process.err:all():find("can match no", 1, true))
  end)

  it("with enabled = true shows nothing that was withheld", function()
    local client = with [[
      lunette.tools.filter(function(tool) return tool.nothing.there end)
      lunette.tools.transform("*", { enabled = true })]]
    assert.same({}, seen(client))
  end)

  it("by a function that makes an outputSchema that is no object's withholds the tool", function()
    local client = with [[lunette.tools.transform("read", function(tool) tool.outputSchema = { type = "array" } return tool end)
      lunette.tools.transform("write", function(tool) tool.outputSchema = { type = "object" } return tool end)
      lunette.tools.transform("delete", function(tool) tool.outputSchema = { type = "object" } return tool end)
      lunette.tools.transform("delete", function(tool) tool.outputSchema.type = nil return tool end)]]
    assert.same({ "write" }, seen(client))
    local log = client.process.err:all()
    assert.truthy(log:find "policy%d+%.lua:2: transform failed, tool read is withheld: the outputSchema must be the schema of an object", log)
  end)

  it("by a function that leaves no object's inputSchema withholds the tool", function()
    local client = with [[lunette.tools.transform("read", function(tool) tool.inputSchema = { type = "string" } return tool end)
      lunette.tools.transform("write", function(tool) return { name = tool.name } end)
      lunette.tools.transform("delete", function(tool) tool.inputSchema.title = "T" return tool end)]]
    assert.same({ "delete" }, seen(client))
    local log = client.process.err:all()
    assert.truthy(log:find "policy%d+%.lua:2: transform failed, tool read is withheld: the inputSchema must be the schema of an object", log)
    assert.truthy(log:find("tool write is withheld: the inputSchema", 1, true), log)
  end)

  it("may have an empty table", function()
    local client = with [[lunette.tools.transform("read", {}) lunette.tools.transform("read", { arguments = {} })]]
    assert.same({ "read", "write", "delete" }, seen(client))
    assert.equal(item((with ""), "read"), item(client, "read"))
  end)

  it("gives a resource another URI, under which it is read", function()
    local client, up = with 'lunette.resources.transform("file:///a.txt", { uri = "doc://a", title = "A" })'
    assert.same({ "doc://a", "file:///b.txt", "note://c" }, seen(client, "resources"))
    client:result("resources/read", '{"uri":"doc://a"}')
    assert.equal('"file:///a.txt"', up:wait("resources/read"):at "uri")
    assert.truthy(client:failure("resources/read", '{"uri":"file:///a.txt"}').code)
  end)

  it("applies to all that its selector chooses", function()
    local client = with [[lunette.tools.transform({ where = function(t) return (t.annotations or {}).destructiveHint end },
      { description = "Careful!" })]]
    local said = {}
    for i, raw in ipairs(policy.items(client)) do said[i] = json.value(raw, "description") end
    assert.same({ "Reads a file", "Careful!", "Careful!" }, said)
  end)

  it("that gives several one name leaves the first of them, and says so", function()
    local client = with 'lunette.tools.transform("*", { name = "same" })'
    assert.same({ "same" }, seen(client))
    client.process:wait_stderr 'two of its tools are called "same": its "read" is shown, its "write" is not'
  end)

  describe("by a function", function()
    it("may edit the item in place, or give a new one", function()
      local client = with [[
        lunette.tools.transform("read", function(t) t.title = nil; t.annotations.openWorldHint = false; return t end)
        lunette.tools.transform("write", function(t)
          return { name = "put", description = t.description .. "!", inputSchema = { type = "object" } } end)]]
      local read = item(client, "read")
      assert.is_nil(json.at(read, "title"))
      assert.equal('{"readOnlyHint":true,"openWorldHint":false}', json.at(read, "annotations"))
      assert.equal(json.at(json.elements(policy.tools)[1], "inputSchema"), json.at(read, "inputSchema"))
      assert.same({ name = "put", description = "Writes!", inputSchema = { type = "object" } }, json.decode(item(client, "put")))
      assert.equal('{"x":1.0}', call(client, "put", '{"x":1.0}'))
    end)

    it("knows the name by now, the server, and with ctx the client", function()
      local client = with [[
        lunette.tools.rename { read = "load" }
        lunette.tools.transform("*", function(t, ctx)
          t.description = t.name .. " of " .. t.upstream .. " for " .. ctx.session.client.name
          return t end)]]
      assert.equal("load of files for spec", json.value(item(client, "load"), "description"))
      assert.is_nil(json.at(item(client, "load"), "upstream"))
    end)

    it("that gives back nothing withholds the item and says where and what to do", function()
      local client = with '\nlunette.tools.transform("read", function(t) t.title = "x" end)'
      assert.same({ "write", "delete" }, seen(client))
      assert.truthy(client.process.err:all():find "withheld: transform must return the tool, not nothing")
      assert.equal(-32602, client:failure("tools/call", '{"name":"read"}').code)
    end)

    it("that fails or gives what can't be sent withholds the item", function()
      for _, body in ipairs { "return t.a.b", "t.f = function() end; return t", "t[1] = 1; return t", "return 5",
        "t.name = {}; return t", "t.name = ''; return t", "t.x = 0/0; return t" } do
        local client = with("\nlunette.tools.transform('read', function(t) " .. body .. " end)")
        assert.same({ "write", "delete" }, seen(client), body)
        assert.truthy(client.process.err:all():find "policy%d+%.lua:3: ", body)
        lunette.finish()
      end
    end)

    it("works for resources, templates and prompts", function()
      local client = with [[
        lunette.resources.transform("*", function(r) r.title = r.name:upper(); return r end)
        lunette.resource_templates.transform("*", function(r) r.title = r.uriTemplate; return r end)
        lunette.prompts.transform("*", function(p) p.description = #(p.arguments or {}) .. " arguments"; return p end)]]
      assert.equal('{"uri":"file:///b.txt","name":"b","title":"B","mimeType":"text/plain","size":12345678901234567890}',
        item(client, "file:///b.txt", "resources"))
      assert.equal('{"uri":"file:///a.txt","name":"a","title":"A"}', item(client, "file:///a.txt", "resources"))
      assert.equal("note://{id}", json.value(item(client, "note://{id}", "resource_templates"), "title"))
      assert.equal('{"name":"plan","description":"0 arguments"}', item(client, "plan", "prompts"))
    end)

    it("keeps big numbers, unknown members and their order", function()
      local tools = '[{"z":1.0,"name":"a","big":12345678901234567890,"inputSchema":{"type":"object","x-y":{"b":1,"a":[{}]}},"e":1E5,"n":null}]'
      local client = with('lunette.tools.transform("a", function(t) t.description = "d"; return t end)', { tools = tools })
      assert.equal(tools:sub(2, -3) .. ',"description":"d"}', item(client, "a"))
    end)
  end)

  describe("in a chain", function()
    it("each sees what the one before left, renames among them", function()
      local client = with [[
        lunette.tools.rename { read = "a" }
        lunette.tools.transform("a", { name = "b", description = "1" })
        lunette.tools.transform("b", function(t) t.description = t.description .. "2"; t.name = "c"; return t end)
        lunette.tools.rename(function(name) return name == "c" and "d" or nil end)
        lunette.tools.transform("d", { title = "3" })
        lunette.tools.transform("read", { title = "never" })
        lunette.tools.hide("a", "b", "c")]]
      assert.same({ "d", "write", "delete" }, seen(client))
      local raw = item(client, "d")
      assert.equal("12", json.value(raw, "description"))
      assert.equal("3", json.value(raw, "title"))
      assert.equal('{"n":1.0}', call(client, "d", '{"n":1.0}'))
      for _, old in ipairs { "read", "a", "b", "c" } do
        assert.equal(-32602, client:failure("tools/call", '{"name":"' .. old .. '"}').code, old)
      end
    end)

    it("two may swap their names", function()
      local client, up = with [[
        lunette.tools.rename { read = "write", write = "read" }]]
      assert.same({ "write", "read", "delete" }, seen(client))
      call(client, "read", "{}")
      assert.equal('"write"', up:wait("tools/call"):at "name")
    end)

    it("is per client only where it takes ctx", function()
      local up = policy.server()
      local host = lunette.http { policy = lunette.bare(up) .. [[

        local asked = {}
        lunette.tools.transform("read", function(t) lunette.shared.incr "once"; return t end)
        lunette.resources.transform("*a.txt", function(r, ctx) lunette.shared.incr "each"; return r end)
        lunette.tools.add { name = "counts", handler = function()
          return lunette.shared.get "once" .. " " .. (lunette.shared.get "each" or 0) end }]] }
      local clients = {}
      for i = 1, 3 do
        clients[i] = host.client()
        clients[i]:initialize()
        seen(clients[i])
        seen(clients[i], "resources")
      end
      assert.equal("1 3", policy.says(clients[1], "counts"))
    end)
  end)

  describe("is refused when it is written, with file and line:", function()
    for text, complaint in pairs {
      ['tools.transform("read", { descripton = "x" })'] = "descripton can't be transformed; did you mean description",
      ['tools.transform("read")'] = "must be a table or a function",
      ['tools.transform("read", { name = "" })'] = "name must not be empty",
      ['tools.transform("read", { title = 5 })'] = "title must be a string",
      ['tools.transform("read", { annotations = "x" })'] = "annotations must be a table",
      ['tools.transform("read", { icons = { src = "x" } })'] = "icons must be a list",
      ['tools.transform("read", { enabled = "no" })'] = "enabled must be a boolean",
      ['tools.transform("read", { call = 1 })'] = "call must be a function",
      ['tools.transform("read", { inputSchema = {} })'] = "inputSchema can't be transformed",
      ['tools.transform("read", { uri = "x" })'] = "uri can't be transformed",
      ['resources.transform("x", { name = false })'] = "name must be a string",
      ['resources.transform("x", { arguments = {} })'] = "arguments can't be transformed",
      ['prompts.transform("x", { call = print })'] = "call can't be transformed",
    } do
      it(text, function()
        local result = lunette.cli { "check", lunette.policy("\nlunette." .. text) }
        assert.equal(1, result.code)
        assert.truthy(result.stderr:find "policy%d+%.lua:2: ", result.stderr)
        assert.truthy(result.stderr:find(complaint, 1, true), result.stderr)
      end)
    end
  end)
end)
