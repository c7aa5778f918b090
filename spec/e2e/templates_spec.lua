-- Resource templates: a policy's own with what their variables were, and servers' under another form, told
-- both ways.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local function server(name)
  local up = upstream.new { name = name, resources = "[]",
    templates = '[{"uriTemplate":"x://t/{id}{?q*}","name":"t"},{"uriTemplate":"f:///{+path}","name":"f"}]' }
  return up:on("resources/read", function(req)
    req:reply(('{"contents":[{"uri":%s,"text":%q}]}'):format((json.quote(req:value "uri"):gsub("\\/", "/")), name or "up"))
  end)
end

describe("resource templates", function()
  after_each(lunette.finish)

  local function read(client, uri) return client:result("resources/read", ('{"uri":"%s"}'):format(uri)) end

  it("of a policy are read with their variables", function()
    local client = lunette.stdio { policy = [[
      lunette.resource_templates.add { uriTemplate = "note://{day}{/parts*}{?q,lang}", name = "n", read = function(uri, ctx, params)
        return lunette.json.encode { params.day, params.parts and table.concat(params.parts, "+") or "none", params.q or "-", params.lang or "-" }
      end }]] }
    client:initialize()
    for uri, expected in pairs {
      ["note://monday"] = '["monday","none","-","-"]', ["note://mon%20day/a/b"] = '["mon day","a+b","-","-"]',
      ["note://x?lang=de&q=a%26b"] = '["x","none","a&b","de"]',
    } do
      assert.equal(expected, json.value(read(client, uri), "contents", 1, "text"), uri)
    end
    assert.equal(-32602, client:failure("resources/read", '{"uri":"note://"}').code)
  end)

  for _, way in ipairs { { "stdio", "stdio" }, { "http", "http" } } do
    it("under another form are read by it, and by no other, " .. lunette.way_name(way), function()
      local client, up = lunette.between(way, server(nil), { policy = [[
        lunette.resource_templates.rename { ["x://t/{id}{?q*}"] = "y://{id}/of{?q*}" }
        lunette.resources.hide("x://t/secret*")]] })
      client:initialize()
      local templates = json.at(client:result("resources/templates/list", "{}"), "resourceTemplates")
      assert.same({ "y://{id}/of{?q*}", "f:///{+path}" }, json.names(templates, "uriTemplate"))
      assert.equal('{"contents":[{"uri":"y://5%2F6/of?q=1&q=2","text":"up"}]}', read(client, "y://5%2F6/of?q=1&q=2"))
      assert.equal("x://t/5%2F6?q=1&q=2", up:wait("resources/read"):value "uri")
      client:result("resources/subscribe", '{"uri":"y://7/of"}')
      assert.equal('"x://t/7"', up:wait("resources/subscribe"):at "uri")
      up:session():notify("notifications/resources/updated", '{"uri":"x://t/7"}')
      if way[1] == "http" then client:listen() end
      assert.equal('{"uri":"y://7/of"}', client:expect("notifications/resources/updated").params)
      assert.equal(-32602, client:failure("resources/read", '{"uri":"x://t/5"}').code)
      assert.equal(-32602, client:failure("resources/read", '{"uri":"y://secret1/of"}').code)
      assert.equal(1, up:count "resources/read")
    end)
  end

  it("that lose an expression by a rule are withheld, and the log says why", function()
    local client = lunette.between({ "stdio", "stdio" }, server(nil), { policy = [[
      lunette.resource_templates.rename { ["x://t/{id}{?q*}"] = "y://{id}" }]] })
    client:initialize()
    local templates = json.at(client:result("resources/templates/list", "{}"), "resourceTemplates")
    assert.same({ "f:///{+path}" }, json.names(templates, "uriTemplate"))
    assert.truthy(client.process.err:all():find("policy%d+%.lua:%d+: .*same expressions"))
  end)

  it("of two servers that are the same are told apart", function()
    local a, b = server "alpha", server "beta"
    local client = lunette.stdio { policy = lunette.bare(a, b) }
    client:initialize()
    local templates = json.names(json.at(client:result("resources/templates/list", "{}"), "resourceTemplates"), "uriTemplate")
    assert.same({ "x://t/{id}{?q*}", "f:///{+path}", "beta+x://t/{id}{?q*}", "beta+f:///{+path}" }, templates)
    assert.equal('{"contents":[{"uri":"beta+f:///a/b c","text":"beta"}]}', read(client, "beta+f:///a/b c"))
    assert.equal("f:///a/b c", b:wait("resources/read"):value "uri")
    assert.equal('{"contents":[{"uri":"x://t/1","text":"alpha"}]}', read(client, "x://t/1"))
  end)
end)
