-- URIs and ids that clients know under another name than the server that gave them: because a rule
-- says so, or because two servers gave the same. Everywhere they stand, and nowhere inside text.
-- Numbers at the front of names are those of the protocol checklist.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local capabilities = '{"sampling":{},"elicitation":{"form":{},"url":{}}}'

local function server(name, fields)
  fields = fields or {}
  fields.name = name
  fields.resources = fields.resources or '[{"uri":"ui://w","name":"w"},{"uri":"x://1","name":"1"}]'
  fields.templates = fields.templates or '[{"uriTemplate":"x://t/{id}","name":"t"}]'
  fields.tools = fields.tools or '[{"name":"show","inputSchema":{"type":"object"},"_meta":{ "ui":{"resourceUri":"ui://w","z":1},'
    .. '"ui/resourceUri":"ui://w"},"description":"ui://w"},{"name":"plain","inputSchema":{"type":"object"}}]'
  fields.prompts = '[{"name":"p"}]'
  local up = upstream.new(fields)
  up:on("resources/read", function(req) req:reply(('{"contents":[{"uri":%s,"text":%q}]}'):format(req:at "uri", name)) end)
  return up
end

describe("URIs of two servers that list the same", function()
  after_each(lunette.finish)
  local client, a, b

  before_each(function()
    a, b = server "alpha", server "beta"
    client = lunette.stdio { policy = lunette.bare(a, b) }
    client:initialize { capabilities = capabilities }
  end)

  local function known()
    client:result("resources/list", "{}")
    client:result("resources/templates/list", "{}")
  end

  it("are the client's own in what shows a tool, wherever the list is asked for first", function()
    local tools = json.at(client:result("tools/list", "{}"), "tools")
    for i, uri in ipairs { "ui://w", false, "beta+ui://w" } do
      if uri then
        assert.equal(('{ "ui":{"resourceUri":"%s","z":1},"ui/resourceUri":"%s"}'):format(uri, uri), json.at(tools, i, "_meta"))
        assert.equal("ui://w", json.value(tools, i, "description"))
        assert.equal(i == 1 and "alpha" or "beta", json.value(client:result("resources/read", json.encode { uri = uri }), "contents", 1, "text"))
      end
    end
    assert.equal('"ui://w"', b:wait("resources/read"):at "uri")
  end)

  it("are the client's own in results of tools, prompts and tasks", function()
    known()
    local blocks = '[{"type":"resource_link","uri":"%s1","name":"x://1"},{"type":"resource","resource":{"uri":"%st/7","text":"x://1"}},'
      .. '{"type":"text","text":"x://1"}]'
    local body = '"content":' .. blocks .. ',"structuredContent":{"uri":"x://1","content":[{"uri":"x://1"}]},"_meta":{"ui":{"resourceUri":"%s1"},"uri":"x://1"}'
    local native, shown = body:gsub("%%s", "x://"), body:gsub("%%s", "beta+x://")
    b:on("tools/call", function(req) req:reply("{" .. native .. "}") end)
    assert.equal("{" .. shown .. "}", client:result("tools/call", '{"name":"beta_plain"}'))
    b:on("tasks/result", function(req) req:reply("{" .. native .. "}") end)
    assert.equal("{" .. shown .. "}", client:result("tasks/result", '{"taskId":"beta:1"}'))
    b:on("prompts/get", function(req)
      req:reply('{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"x://1","text":"x://1"}}}]}')
    end)
    assert.equal('{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"beta+x://1","text":"x://1"}}}]}',
      client:result("prompts/get", '{"name":"beta_p"}'))
  end)

  it("are the client's own in errors that name them", function()
    known()
    b:on("resources/read", function(req) req:fail(-32002, "not there: x://1", '{"uri":' .. req:at "uri" .. ',"text":"x://1"}') end)
    local err = json.at(client:request("resources/read", '{"uri":"beta+x://1"}'), "error")
    assert.equal('{"code":-32002,"message":"not there: x://1","data":{"uri":"beta+x://1","text":"x://1"}}', err)
  end)

  it("are the client's own in what a server wants sampled, blocks within blocks too", function()
    known()
    b:on("tools/call", function(req)
      req:ask("sampling/createMessage", '{"maxTokens":1,"messages":[{"role":"user","content":{"type":"resource_link","uri":"x://1","name":"n"}},'
        .. '{"role":"user","content":[{"type":"tool_result","toolUseId":"u","content":[{"type":"resource","resource":{"uri":"x://t/5","text":""}}]},'
        .. '{"type":"text","text":"x://1"}]}]}', function() req:reply '{"content":[]}' end)
    end)
    local call = client:start("tools/call", '{"name":"beta_plain"}')
    local question = client:expect "sampling/createMessage"
    assert.equal('{"maxTokens":1,"messages":[{"role":"user","content":{"type":"resource_link","uri":"beta+x://1","name":"n"}},'
      .. '{"role":"user","content":[{"type":"tool_result","toolUseId":"u","content":[{"type":"resource","resource":{"uri":"beta+x://t/5","text":""}}]},'
      .. '{"type":"text","text":"x://1"}]}]}', question.params)
    client:answer(question, '{"role":"assistant","model":"m","content":{"type":"text","text":"x"}}')
    call:wait()
  end)

  it("are the server's own in what is completed, subscribed and told of", function()
    known()
    b:on("completion/complete", function(req) req:reply '{"completion":{"values":[]}}' end)
    client:result("completion/complete", '{"ref":{"type":"ref/resource","uri":"beta+x://t/{id}"},"argument":{"name":"id","value":""}}')
    assert.equal('{"type":"ref/resource","uri":"x://t/{id}"}', b:wait("completion/complete"):at "ref")
    client:result("resources/subscribe", '{"uri":"beta+x://1"}')
    assert.equal('"x://1"', b:wait("resources/subscribe"):at "uri")
    b:session():notify("notifications/resources/updated", '{"uri":"x://1","title":"x://1"}')
    assert.equal('{"uri":"beta+x://1","title":"x://1"}', client:expect("notifications/resources/updated").params)
    a:session():notify("notifications/resources/updated", '{"uri":"x://1"}')
    assert.equal('{"uri":"x://1"}', client:expect("notifications/resources/updated").params)
    assert.equal(0, a:count "resources/subscribe")
  end)

  -- A client that never asked for a list would read the other server's resource by the link it was given.
  it("are the client's own before it has asked for any list", function()
    b:on("tools/call", function(req)
      req:ask("sampling/createMessage", '{"maxTokens":1,"messages":[{"role":"user","content":{"type":"resource_link","uri":"x://1","name":"n"}}]}',
        function() req:reply '{"content":[{"type":"resource_link","uri":"x://t/7","name":"n"}]}' end)
    end)
    local call = client:start("tools/call", '{"name":"beta_plain"}')
    local question = client:expect "sampling/createMessage"
    assert.equal("beta+x://1", json.value(question.params, "messages", 1, "content", "uri"))
    client:answer(question, '{"role":"assistant","model":"m","content":{"type":"text","text":"x"}}')
    local uri = json.value(call:wait(), "result", "content", 1, "uri")
    assert.equal("beta+x://t/7", uri)
    assert.equal("beta", json.value(client:result("resources/read", json.encode { uri = uri }), "contents", 1, "text"))
    for _, up in ipairs { a, b } do
      assert.equal(1, up:count "resources/list")
      assert.equal(1, up:count "resources/templates/list")
    end
  end)

  it("cost no list when a result names none", function()
    client:result("tools/list", "{}")
    b:on("tools/call", function(req) req:reply '{"content":[{"type":"text","text":"x://1"}],"structuredContent":{"uri":"x://1"}}' end)
    client:result("tools/call", '{"name":"beta_plain"}')
    local before = b:count "resources/list"
    client:result("tools/call", '{"name":"beta_plain"}')
    assert.equal(before, b:count "resources/list")
    assert.equal(2, b:count "tools/call")
  end)

  it("are completed for as resources, too: a ref names a template or a URI", function()
    for _, up in ipairs { a, b } do
      up:on("completion/complete", function(req) req:reply(('{"completion":{"values":[%q]},"ref":%s}'):format(up.name, req:at "ref")) end)
    end
    local function complete(uri)
      return client:request("completion/complete", ('{"ref":{"type":"ref/resource","uri":"%s"},"argument":{"name":"id","value":""}}'):format(uri))
    end
    for shown, native in pairs { ["x://1"] = "x://1", ["beta+x://1"] = "x://1", ["x://t/7"] = "x://t/7", ["beta+x://t/7"] = "x://t/7",
      ["beta+x://t/{id}"] = "x://t/{id}" } do
      local result = json.at(complete(shown), "result")
      assert.equal(shown:find "beta" and "beta" or "alpha", json.value(result, "completion", "values", 1), shown)
      assert.equal(native, json.value(result, "ref", "uri"))
    end
    assert.equal(-32602, tonumber(json.at(complete "y://none", "error", "code")))
  end)
end)

describe("URIs that a rule renames", function()
  after_each(lunette.finish)

  for _, way in ipairs { { "stdio", "stdio" }, { "http", "http" } } do
    it("are renamed both ways, " .. lunette.way_name(way), function()
      local client, up = lunette.between(way, server(nil), { policy = [[
        lunette.resources.rename { ["ui://w"] = "ui://mine" }
        lunette.resource_templates.rename { ["x://t/{id}"] = "y://{id}" }]] })
      client:initialize { capabilities = capabilities }
      local tools = json.at(client:result("tools/list", "{}"), "tools")
      assert.equal('{ "ui":{"resourceUri":"ui://mine","z":1},"ui/resourceUri":"ui://mine"}', json.at(tools, 1, "_meta"))
      assert.equal('{"uri":"ui://mine","text":"%s"}', (json.at(client:result("resources/read", '{"uri":"ui://mine"}'), "contents", 1)
        :gsub('"text":"[^"]*"', '"text":"%%s"')))
      assert.equal('"ui://w"', up:wait("resources/read"):at "uri")
      assert.equal(-32602, client:failure("resources/read", '{"uri":"ui://w"}').code)
    end)
  end
end)

describe("elicitations by URL", function()
  after_each(lunette.finish)
  local params = '{"mode":"url","message":"m","url":"https://example.com/%s","elicitationId":"%s"}'

  it("with one id from two servers are two to the client", function()
    local a, b = server "alpha", server "beta"
    local client = lunette.stdio { policy = lunette.bare(a, b) }
    client:initialize { capabilities = capabilities }
    client:result("tools/list", "{}")
    for _, case in ipairs { { a, "e", "e" }, { b, "e", "beta:e" }, { b, "f", "f" } } do
      local answered
      case[1]:session():ask("elicitation/create", params:format("e", case[2]), function() answered = true end)
      local question = client:expect "elicitation/create"
      assert.equal(params:format("e", case[3]), question.params)
      client:answer(question, '{"action":"accept"}')
      loop.wait(function() return answered end, "the answer")
    end
    for _, case in ipairs { { b, "e", "beta:e" }, { a, "e", "e" }, { b, "f", "f" } } do
      case[1]:session():notify("notifications/elicitation/complete", ('{"elicitationId":"%s", "x":1.0}'):format(case[2]))
      assert.equal(('{"elicitationId":"%s", "x":1.0}'):format(case[3]), client:expect("notifications/elicitation/complete").params)
    end
    b:on("tools/call", function(req)
      req:fail(-32042, "first this", '{"elicitations":[' .. params:format("e", "e") .. "," .. params:format("e", "g") .. '],"more":1}')
    end)
    local err = json.at(client:request("tools/call", '{"name":"beta_plain"}'), "error")
    assert.equal('{"code":-32042,"message":"first this","data":{"elicitations":[' .. params:format("e", "beta:e") .. ","
      .. params:format("e", "g") .. '],"more":1}}', err)
  end)

  it("are told done to the client that was asked, where many share a server", function()
    local up = server "up"
    local host = lunette.http { policy = ('lunette.upstream("up", %s)'):format(up:lua 'session = "shared"') }
    local clients = { host.client(), host.client() }
    for i, client in ipairs(clients) do
      client:initialize { capabilities = capabilities }
      client:listen()
      up:on("tools/call", function(req) req:fail(-32042, "m", '{"elicitations":[' .. params:format("e", "e" .. i) .. "]}") end)
      assert.equal("-32042", json.at(client:request("tools/call", '{"name":"plain"}'), "error", "code"))
    end
    for i, client in ipairs(clients) do
      up:session():notify("notifications/elicitation/complete", '{"elicitationId":"e' .. i .. '"}')
      assert.equal('{"elicitationId":"e' .. i .. '"}', client:expect("notifications/elicitation/complete").params)
    end
    for _, client in ipairs(clients) do assert.is_nil(client:maybe("notifications/elicitation/complete", 20)) end
  end)
end)
