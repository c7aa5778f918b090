-- The policy language's own examples, each run as it is written against real messages, and the sentences about
-- them that no other file is about.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local seen, says, item = policy.seen, policy.says, policy.item

local function schema(properties, required)
  return '{"type":"object","properties":' .. properties .. (required and ',"required":' .. required or "") .. "}"
end

local tools = '[{"name":"read_text_file","description":"Read a file as text.","inputSchema":' .. schema('{"path":{"type":"string"}}', '["path"]')
  .. ',"annotations":{"readOnlyHint":true}},'
  .. '{"name":"search_files","description":"Search.","inputSchema":'
  .. schema('{"path":{"type":"string"},"pattern":{"type":"string"},"excludePatterns":{"type":"array"}}', '["path","pattern"]')
  .. ',"outputSchema":{"type":"object"}},'
  .. '{"name":"write_file","description":"Write.","inputSchema":' .. schema('{"path":{"type":"string"}}')
  .. ',"annotations":{"destructiveHint":true}},'
  .. '{"name":"write_all","description":"Write all.","inputSchema":{"type":"object"}},'
  .. '{"name":"move_file","description":"Move.","inputSchema":{"type":"object"}}]'

describe("the language's example of", function()
  after_each(lunette.finish)

  -- A client of a server "files" with the prefix of that name, and a second one, "docs".
  local function with(text, options)
    options = options or {}
    local files = policy.server { tools = tools, server = '{"tools":{},"resources":{},"prompts":{},"logging":{}}' }
    local docs = policy.server { tools = '[{"name":"find","description":"Find.","inputSchema":{"type":"object"}}]', resources = "[]",
      templates = "[]", prompts = "[]" }
    local client = lunette.stdio { policy = ([[
      local files = lunette.upstream("files", %s)
      lunette.upstream("docs", %s)
      ]]):format(files:lua 'prefix = "files", session = "client", timeout = 60, optional = false', docs:lua()) .. text }
    client:initialize { capabilities = options.capabilities }
    return client, files, docs
  end

  local all = { "files_read_text_file", "files_search_files", "files_write_file", "files_write_all", "files_move_file", "docs_find" }

  it("two servers", function()
    local client, files, docs = with ""
    assert.same(all, seen(client))
    client:result("tools/call", '{"name":"files_move_file"}')
    client:result("tools/call", '{"name":"docs_find"}')
    assert.equal('"move_file"', files:wait("tools/call"):at "name")
    assert.equal('"find"', docs:wait("tools/call"):at "name")
    assert.equal(-32602, client:failure("tools/call", '{"name":"move_file"}').code)
  end)

  it("files:clear()", function()
    local client, files = with [[
      lunette.tools.add { name = "clear", handler = function() files:clear() return "cleared" end }]]
    client:result("tools/call", '{"name":"files_move_file"}')
    client:result("tools/call", '{"name":"files_move_file"}')
    assert.equal(1, #files.sessions)
    assert.equal("cleared", says(client, "clear"))
    client:result("tools/call", '{"name":"files_move_file"}')
    assert.equal(2, #files.sessions)
  end)

  it("hide", function()
    assert.same({ all[1], all[2], all[6] }, seen((with 'lunette.tools.hide("files_write_*", "files_move_file")')))
  end)

  it("only", function()
    assert.same({ all[1], all[6] }, seen((with 'lunette.tools.only("docs_*", "files_read_*")')))
  end)

  it("filter", function()
    assert.same({ all[1], all[2], all[4], all[5], all[6] }, seen((with [[
      lunette.tools.filter(function(tool) return not (tool.annotations or {}).destructiveHint end)]])))
  end)

  it("rename", function()
    local client, files = with "lunette.tools.rename { files_read_text_file = \"read\" }"
    assert.equal("read", seen(client)[1])
    client:result("tools/call", '{"name":"read","arguments":{"path":"p"}}')
    assert.equal('"read_text_file"', files:wait("tools/call"):at "name")
  end)

  local find = [[
    lunette.tools.transform("files_search_files", {
      name = "find", title = "Find files", description = "…", annotations = { readOnlyHint = true },
      arguments = {
        path    = { hide = true, default = "/srv" },                  -- a value or function(ctx)
        pattern = { name = "glob", description = "…", schema = { type = "string", maxLength = 80 },
                    required = true, examples = { "*.md" } } },
      outputSchema = nil,                                             -- a schema replaces, false removes
      call = function(args, forward, ctx) return forward(args) end }) -- args as the client named them]]

  it("a transform of a tool", function()
    local client, files = with(find)
    local raw = item(client, "find")
    assert.equal("Find files", json.value(raw, "title"))
    assert.equal("…", json.value(raw, "description"))
    assert.equal('{"readOnlyHint":true}', json.at(raw, "annotations"))
    assert.equal('{"type":"object"}', json.at(raw, "outputSchema"))
    local input = json.at(raw, "inputSchema")
    assert.same({ type = "string", maxLength = 80, description = "…", examples = { "*.md" } }, json.value(input, "properties", "glob"))
    assert.equal('["glob"]', json.at(input, "required"))
    assert.equal('{"type":"array"}', json.at(input, "properties", "excludePatterns"))
    client:result("tools/call", '{"name":"find","arguments":{"glob":"*.md"}}')
    assert.equal('{"pattern":"*.md","path":"/srv"}', files:wait("tools/call"):at "arguments")
    assert.equal(-32602, client:failure("tools/call", '{"name":"find","arguments":{"glob":"x","path":"/etc"}}').code)
    assert.equal(-32602, client:failure("tools/call", '{"name":"files_search_files","arguments":{"pattern":"x"}}').code)
    assert.equal(1, files:count "tools/call")
  end)

  it("a transform by a function", function()
    local client = with [[
      lunette.tools.transform("*", function(tool) tool.description = tool.description:sub(1, 4); return tool end)]]
    local texts = {}
    for i, raw in ipairs(policy.items(client)) do texts[i] = json.value(raw, "description") end
    assert.same({ "Read", "Sear", "Writ", "Writ", "Move", "Find" }, texts)
  end)

  it("components of the policy's own", function()
    local client = with [[
      lunette.tools.add { name = "now", description = "The time", inputSchema = { type = "object" },
        handler = function(args, ctx) return os.date "!%FT%TZ" end }    -- string, content list, or a full result
      lunette.resources.add { uri = "note://today", name = "Today", mimeType = "text/plain",
        read = function(uri, ctx) return uri end }
      lunette.resource_templates.add { uriTemplate = "note://{day}", name = "A day",
        read = function(uri, ctx, params) return params.day end }
      lunette.prompts.add { name = "review", arguments = { { name = "path", required = true } },
        get = function(args, ctx) return args.path end }]]
    assert.equal("now", seen(client)[1])
    assert.truthy(says(client, "now"):find "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$")
    assert.same({ uri = "note://today", mimeType = "text/plain", text = "note://today" },
      json.value(client:result("resources/read", '{"uri":"note://today"}'), "contents", 1))
    assert.equal("monday", json.value(client:result("resources/read", '{"uri":"note://monday"}'), "contents", 1, "text"))
    assert.equal("a.lua", json.value(client:result("prompts/get", '{"name":"review","arguments":{"path":"a.lua"}}'), "messages", 1, "content", "text"))
    assert.equal(-32602, client:failure("prompts/get", '{"name":"review"}').code)
  end)

  it("a handler of calls", function()
    local client, files = with [[
      lunette.on("tools/call", "files_*", function(request, forward, ctx)
        if request.params.arguments.path:find("..", 1, true) then return lunette.deny "no parent paths" end
        local result = forward(request)            -- may be called again, later, or not at all
        return result end)]]
    local refused = client:result("tools/call", '{"name":"files_read_text_file","arguments":{"path":"../x"}}')
    assert.same({ content = { { type = "text", text = "no parent paths" } }, isError = true }, json.decode(refused))
    assert.equal(0, files:count "tools/call")
    client:result("tools/call", '{"name":"files_read_text_file","arguments":{"path":"x"}}')
    assert.equal(1, files:count "tools/call")
    client:result("tools/call", '{"name":"docs_find","arguments":{"path":"../x"}}')
  end)

  it("a handler of notifications: what is not forwarded is dropped", function()
    local client, files = with [[
      lunette.on("notifications/message", function(notification, forward, ctx)
        if notification.params.data ~= "secret" then forward(notification) end end)]]
    local session = files:session()
    session:notify("notifications/message", '{"level":"info","data":"secret"}')
    session:notify("notifications/message", '{"level":"info", "data":"open"}')
    assert.equal('{"level":"info", "data":"open"}', client:expect("notifications/message").params)
  end)

  local sampling = [[
    local function answer(request) return "policy says " .. request.params.messages[1].content.text end
    lunette.on("sampling/createMessage", function(request, forward, ctx)              -- the server asks
      if ctx.session.capabilities.sampling then return forward(request) end
      return { role = "assistant", model = "policy", content = { type = "text", text = answer(request) }, stopReason = "endTurn" } end)]]
  local asked = '{"messages":[{"role":"user","content":{"type":"text","text":"hi"}}], "maxTokens":5}'

  it("sampling, for a client that has none and for one that has", function()
    local client, files = with(sampling)
    assert.truthy(json.at(files:session():wait("initialize").params, "capabilities", "sampling"))
    files:on("tools/call", function(req)
      req:ask("sampling/createMessage", asked, function(reply) req:reply('{"content":[],"reply":' .. reply.result .. "}") end)
    end)
    local reply = json.value(client:result("tools/call", '{"name":"files_move_file"}'), "reply")
    assert.same({ role = "assistant", model = "policy", content = { type = "text", text = "policy says hi" }, stopReason = "endTurn" }, reply)
    lunette.finish()

    client, files = with(sampling, { capabilities = '{"sampling":{}}' })
    files:on("tools/call", function(req)
      req:ask("sampling/createMessage", asked, function(r) req:reply('{"content":[],"reply":' .. r.result .. "}") end)
    end)
    local call = client:start("tools/call", '{"name":"files_move_file"}')
    local question = client:expect "sampling/createMessage"
    assert.equal(asked, question.params)
    client:answer(question, '{"role":"assistant", "model":"m","content":{"type":"text","text":"1"}}')
    assert.equal('{"role":"assistant", "model":"m","content":{"type":"text","text":"1"}}', json.at(call:wait(), "result", "reply"))
  end)
end)

describe("the language says that", function()
  after_each(lunette.finish)

  it("a name that no list has is passed on to the only server when there is no rule for its kind", function()
    local client, up = policy.with 'lunette.tools.hide("secret_*")'
    for _, name in ipairs { "unlisted", "secret_door" } do
      assert.equal(-32602, client:failure("tools/call", json.encode { name = name }).code)
    end
    assert.equal(0, up:count "tools/call")
    client:result("resources/read", '{"uri":"x://unlisted"}')
    client:result("prompts/get", '{"name":"unlisted"}')
    lunette.finish()
    for _, rule in ipairs { 'lunette.tools.only("read")', "lunette.tools.filter(function(t) return true end)",
      'lunette.tools.hide { where = function() return false end }', 'lunette.tools.transform("un*", { arguments = { x = { hide = true } } })' } do
      client, up = policy.with(rule)
      assert.equal(-32602, client:failure("tools/call", '{"name":"unlisted"}').code, rule)
      assert.equal(0, up:count "tools/call")
      lunette.finish()
    end
  end)

  it("the first of a name wins, the policy's own before the servers', and the log says so once", function()
    local a, b = policy.server(), policy.server()
    a.name, b.name = "a", "b"
    local text = ('lunette.upstream("a", %s)\nlunette.upstream("b", %s)\n'):format(a:lua "prefix = false", b:lua "prefix = false")
      .. 'lunette.tools.add { name = "delete", handler = function() return "own" end }'
    local host = lunette.http { policy = text }
    for _ = 1, 2 do
      local client = host.client()
      client:initialize()
      assert.same({ "delete", "read", "write" }, seen(client))
      client:result("tools/call", '{"name":"read"}')
      assert.equal("own", says(client, "delete"))
    end
    assert.equal(2, a:count "tools/call")
    assert.equal(0, b:count "tools/call")
    local _, n = host.process.err:all():gsub('its tool "read" is not shown', "")
    assert.equal(1, n)
  end)

  it("requests of one client that wait hold up nobody", function()
    local client = policy.with [[
      lunette.on("tools/call", "read", function(request, forward)
        while not lunette.shared.get "go" do lunette.sleep(0.01) end
        return forward(request) end)
      lunette.on("tools/call", "write", function(request, forward) lunette.shared.set("go", true) return forward(request) end)]]
    local first = client:start("tools/call", '{"name":"read"}')
    client:result("tools/call", '{"name":"delete"}')
    assert.is_nil(first.raw)
    client:result("tools/call", '{"name":"write"}')
    first:wait()
  end)

  it("a policy finds its modules beside itself and Lunette's own, and may be several files", function()
    local dir = loop.tempdir()
    assert(loop.uv.fs_mkdir(dir .. "/rules", 448))
    loop.write_file(dir .. "/rules/names.lua", "return { delete = 'remove' }")
    loop.write_file(dir .. "/first.lua", 'local lunette = require "lunette"\nlunette.tools.rename(require "rules.names")')
    loop.write_file(dir .. "/second.lua", 'require "lunette.policy.deny" "remove"')
    local up = policy.server()
    local client = lunette.stdio { targets = { up:http().url }, flags = { "--policy", dir .. "/first.lua", "--policy", dir .. "/second.lua" } }
    client:initialize()
    assert.same({ "read", "write" }, seen(client))
  end)
end)
