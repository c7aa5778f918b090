-- Through Lunette equals direct, for every kind of component: what is listed, what a use gives, what isn't there,
-- all of several contents, binary and empty ones, metadata both ways; and what stands in the policy instead. The
-- same requests go to the same scripted server directly and through several Lunettes; results are compared as bytes.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local icon = '"icons":[{"src":"data:image/png;base64,AAAA","mimeType":"image/png","sizes":["48x48"]}]'
local fields = {
  tools = ('[{"name":"one","title":"One","description":"d","inputSchema":{"type":"object","properties":{"a":{"type":"string",'
    .. '"title":"A","default":""}},"$defs":{"x":{"oneOf":[{"type":"null"},{"type":"number"}]}}},"outputSchema":{"type":"object"},'
    .. '"annotations":{"readOnlyHint":false,"openWorldHint":true},%s,"_meta":{"v/k":1.0}},'
    .. '{"name":"empty","inputSchema":{"type":"object"}},{"name":"fails","inputSchema":{"type":"object"}}]'):format(icon),
  resources = ('[{"uri":"x://one","name":"one","title":"One","description":"d","mimeType":"text/plain","size":12345678901,%s,'
    .. '"annotations":{"audience":["user","assistant"],"priority":0.0,"lastModified":"2025-01-12T15:00:58Z"},"_meta":{"v/k":[]}},'
    .. '{"uri":"x://empty","name":"empty"},{"uri":"x://fails","name":"fails"}]'):format(icon),
  templates = '[{"uriTemplate":"x://path/{path*}","name":"path","title":"Path","_meta":{}},{"uriTemplate":"x://query{?q,r}","name":"query"}]',
  prompts = ('[{"name":"one","title":"One","description":"d","arguments":[{"name":"a","title":"A","description":"d","required":true}],%s,"_meta":{"v/k":{}}},'
    .. '{"name":"empty"},{"name":"fails"}]'):format(icon),
}

local contents = '[{"uri":"x://one","mimeType":"text/plain","text":"grüße \\u0000","_meta":{"a":1}},{"uri":"x://one#2","blob":"AAEC/w==",'
  .. '"mimeType":"application/octet-stream"},{"uri":"x://one#3","text":""}]'
local blocks = '[{"type":"text","text":"t","annotations":{"priority":1.0},"_meta":{"b":2}},{"type":"image","data":"AAEC/w==","mimeType":"image/png"},'
  .. '{"type":"audio","data":"AAAA","mimeType":"audio/wav"},{"type":"resource_link","uri":"x://one","name":"one"},'
  .. '{"type":"resource","resource":{"uri":"x://one","blob":"AAEC/w==","mimeType":"application/x"}},{"type":"text","text":""}]'
local answers = {
  ["tools/call"] = { one = '{"content":' .. blocks .. ',"structuredContent":{"n":1.0,"e":{},"l":[]},"_meta":{"r":1e2},"isError":false}',
    empty = '{"content":[]}', fails = '{"content":[{"type":"text","text":"no"}],"isError":true}' },
  ["resources/read"] = { ["x://one"] = '{"contents":' .. contents .. ',"_meta":{"r":[]}}', ["x://empty"] = '{"contents":[]}' },
  ["prompts/get"] = { one = '{"description":"d","messages":[' .. table.concat({ '{"role":"user","content":{"type":"text","text":"t"}}',
    '{"role":"assistant","content":{"type":"image","data":"AAEC/w==","mimeType":"image/png"}}' }, ",") .. '],"_meta":{"r":{}}}',
    empty = '{"messages":[]}' },
}

local function server(name)
  local up = upstream.new { name = name, tools = fields.tools, resources = fields.resources, templates = fields.templates, prompts = fields.prompts }
  for method, by_key in pairs(answers) do
    up:on(method, function(req)
      up.last = req
      local key = req:value "name" or req:value "uri"
      if by_key[key] then return by_key[key] end
      if key:find "^x://path/" or key:find "^x://query" then return ('{"contents":[{"uri":%s,"text":%s}]}'):format(req:at "uri", req:at "uri") end
      req:fail(method == "resources/read" and -32002 or -32602, "no such " .. key, ('{"uri":%s,"x":1.0}'):format(json.quote(key)))
    end)
  end
  return up
end

-- Requests and, for those that name a component, which.
local requests = {
  { "tools/list", "{}" }, { "resources/list", "{}" }, { "resources/templates/list", "{}" }, { "prompts/list", "{}" },
  { "tools/call", '{"name":"one","arguments":{"a":"x","l":[],"n":1.0},"_meta":{"c/d":{"e":1e1}}}' }, { "tools/call", '{"name":"empty"}' },
  { "tools/call", '{"name":"fails","arguments":{}}' }, { "tools/call", '{"name":"nowhere"}' },
  { "resources/read", '{"uri":"x://one","_meta":{"c/d":[]}}' }, { "resources/read", '{"uri":"x://empty"}' }, { "resources/read", '{"uri":"x://fails"}' },
  { "resources/read", '{"uri":"x://path/a/b%20c/d"}' }, { "resources/read", '{"uri":"x://query?q=1&r=%2F"}' }, { "resources/read", '{"uri":"y://nowhere"}' },
  { "prompts/get", '{"name":"one","arguments":{"a":"\\u0041"},"_meta":{"c/d":null}}' }, { "prompts/get", '{"name":"empty"}' },
  { "prompts/get", '{"name":"fails"}' }, { "prompts/get", '{"name":"nowhere"}' },
}

-- What a client gets and what the server was asked, for all requests.
local function transcript(client, up)
  local list = {}
  for _, request in ipairs(requests) do
    up.last = nil
    local raw = client:request(request[1], request[2])
    list[#list + 1] = ("%s %s\n  gives %s\n  asked %s"):format(request[1], request[2], json.at(raw, "result") or json.at(raw, "error"),
      up.last and json.at(up.last.params, "_meta") and up.last.params:gsub('"progressToken":%d+', "") or "")
  end
  return list
end

local pass = [[
  for _, method in ipairs { "tools/call", "resources/read", "prompts/get" } do
    lunette.on(method, function(request, forward) return forward(request) end)
  end
  lunette.tools.transform("unrelated_*", { description = "x" })
  lunette.resource_templates.filter(function() return true end)
  lunette.prompts.transform("*", function(prompt) return prompt end)]]

describe("through Lunette", function()
  after_each(lunette.finish)

  local function compare(up, client)
    up.name = nil
    local direct = lunette.direct(up)
    for _, c in ipairs { direct, client } do c:initialize { capabilities = '{"elicitation":{}}' } end
    local expected, got = transcript(direct, up), transcript(client, up)
    for i = 1, #expected do assert.equal(expected[i], got[i]) end
  end

  for _, way in ipairs(lunette.ways) do
    it("is as direct, " .. lunette.way_name(way), function()
      local up = server()
      if way[2] == "http" then up:http() end
      local policy = lunette.bare(up)
      compare(up, way[1] == "http" and lunette.http({ policy = policy }).client() or lunette.stdio { policy = policy })
    end)
  end

  it("is as direct, with handlers and rules that change nothing", function()
    local up = server()
    compare(up, lunette.stdio { policy = ("lunette.upstream('up', %s)"):format(up:lua "unlisted = true") .. pass })
  end)

  it("is as direct, through four in a row", function()
    local up = server()
    local host = lunette.http { policy = lunette.bare(up) }
    for _ = 1, 2 do host = lunette.http { policy = ("lunette.upstream('next', { url = %q, unlisted = true })"):format(host.url) .. pass } end
    compare(up, lunette.stdio { policy = ("lunette.upstream('next', { url = %q })"):format(host.url) })
  end)

  it("is as direct beside another server, but for the names", function()
    local up, other = server "up", upstream.new { name = "other", tools = "[]" }
    local direct = lunette.direct(up)
    local client = lunette.stdio { policy = lunette.bare(up, other) }
    for _, c in ipairs { direct, client } do c:initialize() end
    for _, request in ipairs(requests) do
      local named = request[1] == "tools/call" or request[1] == "prompts/get"
      if not request[2]:find "nowhere" then
        local expected = json.at(direct:request(request[1], request[2]), "result")
        local raw = client:request(request[1], named and (request[2]:gsub('"name":"', '"name":"up_')) or request[2])
        local got = json.at(raw, "result")
        if request[1] == "tools/list" or request[1] == "prompts/list" then got = got:gsub('{"name":"up_', '{"name":"') end
        assert.equal(expected, got, request[1] .. request[2])
      end
    end
  end)

  it("what the policy has itself is there once, and in the server's place, for every kind", function()
    local up = server()
    local client = lunette.stdio { policy = lunette.bare(up) .. [[

      lunette.tools.add { name = "one", inputSchema = { type = "object" }, handler = function() return "own" end }
      lunette.resources.add { uri = "x://one", name = "own", read = function() return "own" end }
      lunette.resource_templates.add { uriTemplate = "x://path/{path*}", name = "own", read = function() return "own" end }
      lunette.prompts.add { name = "one", get = function() return "own" end }]] }
    client:initialize()
    for method, where in pairs { ["tools/list"] = { "tools", "name", "one" }, ["resources/list"] = { "resources", "uri", "x://one" },
      ["prompts/list"] = { "prompts", "name", "one" } } do
      local names, times = json.names(json.at(client:result(method, "{}"), where[1]), where[2]), 0
      for _, name in ipairs(names) do times = times + (name == where[3] and 1 or 0) end
      assert.equal(1, times, method)
      assert.equal(where[3], names[1], "the policy's come first")
      assert.equal(3, #names)
    end
    assert.equal("own", json.value(client:result("tools/call", '{"name":"one"}'), "content", 1, "text"))
    assert.equal("own", json.value(client:result("resources/read", '{"uri":"x://one"}'), "contents", 1, "text"))
    assert.equal("own", json.value(client:result("resources/read", '{"uri":"x://path/a/b"}'), "contents", 1, "text"))
    assert.equal("own", json.value(client:result("prompts/get", '{"name":"one"}'), "messages", 1, "content", "text"))
    for method in pairs(answers) do assert.equal(0, up:count(method)) end
    assert.equal('{"content":[]}', client:result("tools/call", '{"name":"empty"}'))
  end)
end)

describe("elicitation", function()
  after_each(lunette.finish)

  for _, mode in ipairs { "client", "shared", "request" } do
    it("keeps its schema's defaults and every answer, twice in a call and in the next, in mode " .. mode, function()
      local schema = '{"type":"object","properties":{"s":{"type":"string","default":"","title":"S"},"n":{"type":"number","default":1.0},'
        .. '"b":{"type":"boolean","default":false},"e":{"type":"string","enum":["a","b"],"enumNames":["A","B"],"default":"b"}},"required":[]}'
      local asked = ('{"message":"m","requestedSchema":%s,"_meta":{"k":1}}'):format(schema)
      local up = upstream.new { tools = '[{"name":"one","inputSchema":{"type":"object"}}]' }
      up:on("tools/call", function(req)
        req:ask("elicitation/create", asked, function(first)
          req:ask("elicitation/create", asked, function(second)
            req:reply(('{"content":[],"answers":[%s,%s]}'):format(first.result or first.error, second.result or second.error))
          end)
        end)
      end)
      local policy = ("lunette.elicitation(function(request, forward) return forward(request) end)\nlunette.upstream('up', %s)"):format(
        up:lua(("session = %q"):format(mode)))
      local client = lunette.stdio { policy = policy }
      client:initialize { capabilities = '{"elicitation":{}}' }
      for _, answers_given in ipairs { { '{"action":"accept","content":{"s":"","n":1.50,"b":false}}', '{"action":"decline"}' },
        { '{"action":"cancel"}', '{"action":"accept","content":{}}' }, { '{"action":"decline","_meta":{"x":[]}}', '{"action":"cancel"}' } } do
        local call = client:start("tools/call", '{"name":"one"}')
        for _, answer in ipairs(answers_given) do
          local question = client:expect "elicitation/create"
          assert.equal(asked, question.params)
          client:answer(question, answer)
        end
        assert.equal("[" .. table.concat(answers_given, ",") .. "]", json.at(call:wait(), "result", "answers"))
      end
      local call = client:start("tools/call", '{"name":"one"}')
      client:refuse(client:expect "elicitation/create", -32601, "can't")
      client:answer(client:expect "elicitation/create", '{"action":"cancel"}')
      assert.equal(-32601, json.value(call:wait(), "result", "answers", 1, "code"))
    end)
  end
end)

describe("names", function()
  after_each(lunette.finish)

  it("under a prefix are fit for model APIs, and told of when they are too long", function()
    local long = ("n"):rep(60)
    local tools = ('[{"name":"%s","inputSchema":{"type":"object"}},{"name":"short","inputSchema":{"type":"object"}}]'):format(long)
    local a, b = upstream.new { name = "my.server", tools = tools }, upstream.new { name = "b", tools = tools }
    local client = lunette.stdio { policy = lunette.bare(a, b) }
    client:initialize()
    for _, name in ipairs(json.names(json.at(client:result("tools/list", "{}"), "tools"))) do assert.truthy(name:find "^[%w_-]+$", name) end
    local log = client.process.err:all()
    assert.truthy(log:find(('its tool "my_server_%s" has a name of 70 bytes'):format(long), 1, true), log)
    assert.falsy(log:find("_short", 1, true))
    assert.falsy(log:find(('"b_%s"'):format(long), 1, true), "62 bytes are fine")
  end)

  it("that change because another server was added are told of, and list_changed is sent", function()
    local tools = '[{"name":"work","inputSchema":{"type":"object"}}]'
    local a, b = upstream.new { name = "a", tools = tools }, upstream.new { name = "b", tools = tools }
    local path = lunette.policy(lunette.bare(a))
    local host = lunette.http { targets = { path } }
    local client = host.client()
    client:initialize()
    client:listen()
    assert.same({ "work" }, json.names(json.at(client:result("tools/list", "{}"), "tools")))
    lunette.policy(lunette.bare(a, b), path)
    client:expect "notifications/tools/list_changed"
    host.process:wait_stderr "a: its tools and prompts are called a_NAME from now on, no longer NAME"
    loop.wait(function() return json.names(json.at(client:result("tools/list", "{}"), "tools"))[2] end, "both servers' tools")
    assert.same({ "a_work", "b_work" }, json.names(json.at(client:result("tools/list", "{}"), "tools")))
    lunette.policy(lunette.bare(a), path)
    host.process:wait_stderr "a: its tools and prompts are called NAME from now on, no longer a_NAME"
  end)
end)
