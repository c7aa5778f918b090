-- The ready policy validate: what doesn't fit a tool's schemas goes neither to the server nor to the client.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local tools = [=[[{"name":"find","inputSchema":{"type":"object","$defs":{"p":{"type":"string","pattern":"^/"}},
"properties":{"path":{"$ref":"#/$defs/p"},"depth":{"type":"integer","minimum":1}},"required":["path"],"additionalProperties":false}},
{"name":"count","inputSchema":{"type":"object"},"outputSchema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}},
{"name":"far","inputSchema":{"type":"object","properties":{"x":{"$ref":"https://h.test/x"}}}},
{"name":"odd","inputSchema":{"type":"object","properties":{"x":{"type":"string","pattern":"^\\p{L}$"}}}}]]=]
tools = tools:gsub("\n", "")

describe("the ready policy validate", function()
  after_each(lunette.finish)

  local function with(text, options)
    options = options or {}
    options.tools = tools
    return policy.with('require "lunette.policy.validate" ' .. (text or "{}"), options)
  end

  local function call(client, name, arguments)
    return json.decode(client:result("tools/call", ('{"name":"%s","arguments":%s}'):format(name, arguments or "{}")))
  end

  local function refused(client, ...)
    local result = call(client, ...)
    assert.is_true(result.isError, json.encode(result))
    return result.content[1].text
  end

  it("lets arguments that fit pass as they came", function()
    local client, up = with()
    client:result("tools/call", '{"name":"find","arguments":{"path": "/a",  "depth":2.0}}')
    assert.equal('{"path": "/a",  "depth":2.0}', up:wait("tools/call"):at "arguments")
  end)

  it("tells the model what doesn't fit, and not the server", function()
    local client, up = with()
    assert.equal("find: wrong arguments: arguments lacks path", refused(client, "find"))
    assert.equal("find: wrong arguments: arguments has no member pth; arguments lacks path", refused(client, "find", '{"pth":"/a"}'))
    assert.equal("find: wrong arguments: arguments.depth must be at least 1; arguments.path must match the pattern ^/",
      refused(client, "find", '{"path":"a","depth":0}'))
    assert.equal("find: wrong arguments: arguments must be of type object, not an array", refused(client, "find", '["a"]'))
    assert.equal(0, up:count "tools/call")
  end)

  it("holds results against what was promised", function()
    local client, up = with()
    local answers = { '{"content":[],"structuredContent":{"n":1.0,"m":2}}', '{"content":[],"structuredContent":{"n":"1"}}',
      '{"content":[]}', '{"content":[],"isError":true}', '{"content":[],"structuredContent":null}' }
    local n = 0
    up:on("tools/call", function(req)
      n = n + 1
      req:reply(answers[n])
    end)
    assert.equal(answers[1], client:result("tools/call", '{"name":"count"}'))
    assert.equal('count: wrong structuredContent: structuredContent.n must be of type integer, not "1"', refused(client, "count"))
    assert.equal("count: the server's answer lacks the structuredContent that its outputSchema promises", refused(client, "count"))
    assert.equal(answers[4], client:result("tools/call", '{"name":"count"}'))
    assert.equal("count: wrong structuredContent: structuredContent must be of type object, not null", refused(client, "count"))
    assert.truthy(client.process.err:all():find("validate: count: wrong structuredContent", 1, true))
  end)

  it("refuses what it can't tell, and says what it leaves out", function()
    local client, up = with()
    assert.equal("far: the schema of its arguments can't be used: it refers to https://h.test/x, which is not in it, and nothing is fetched",
      refused(client, "far", '{"x":1}'))
    assert.equal("odd: wrong arguments: arguments.x must be of type string, not 1", refused(client, "odd", '{"x":1}'))
    assert.equal(0, up:count "tools/call")
    for _ = 1, 2 do call(client, "odd", '{"x":"1"}') end
    local said = client.process.err:all()
    assert.truthy(said:find("validate: odd: not checked: the pattern ^\\p{L}$ (\\p{…}: classes of Unicode)", 1, true)
      or said:find("validate: odd: not checked: the pattern ^\\\\p{L}$", 1, true), said)
    assert.equal(1, select(2, said:gsub("not checked", "")))
    assert.equal(-32602, client:failure("tools/call", '{"name":"unlisted"}').code)
    lunette.finish()
    client = policy.with('require "lunette.policy.validate" {}', { tools = tools, extra = "unlisted = true" })
    assert.equal("unlisted: no list shows it, so nothing is known of its arguments", refused(client, "unlisted"))
  end)

  it("goes by what the client is shown, wherever it stands", function()
    local transform = [[lunette.tools.transform("find", { name = "look", arguments = {
      path = { name = "where" }, depth = { hide = true, default = 3 } } }) ]]
    for _, text in ipairs { '{}; ' .. transform, nil } do
      local client, up = policy.with(text and 'require "lunette.policy.validate" ' .. text
        or transform .. 'require "lunette.policy.validate" {}', { tools = tools })
      assert.equal("look: wrong arguments: arguments has no member path; arguments lacks where", refused(client, "look", '{"path":"/"}'))
      call(client, "look", '{"where":"/"}')
      assert.same({ path = "/", depth = 3 }, json.decode(up:wait("tools/call"):at "arguments"))
    end
  end)

  it("looks at the policy's own tools too", function()
    local client = with [[{ "mine" }
      lunette.tools.add { name = "mine", inputSchema = { type = "object", required = { "a" } },
        outputSchema = { type = "object", required = { "b" } },
        handler = function(args) return { structuredContent = args } end }]]
    assert.equal("mine: wrong arguments: arguments lacks a", refused(client, "mine"))
    assert.equal("mine: wrong structuredContent: structuredContent lacks b", refused(client, "mine", '{"a":1}'))
    assert.is_nil(call(client, "mine", '{"a":1,"b":2}').isError)
  end)

  it("looks only where it is told to", function()
    local client = with '{ tools = "c*", arguments = false }'
    call(client, "find", "{}")
    assert.equal("count: the server's answer lacks the structuredContent that its outputSchema promises", refused(client, "count"))
    client = with "{ results = false }"
    assert.is_nil(call(client, "count").isError)
  end)
end)

describe("ctx.definition", function()
  after_each(lunette.finish)

  it("is what the client sees of what it uses", function()
    local client = policy.with([[
      lunette.on("*/*", function(request, forward, ctx)
        local d = ctx.definition
        if d then lunette.log.info(("<%s %s>"):format(d.name, d.description or d.uri or "")) end
        forward(request)
        return forward(request) end)
      lunette.resources.hide "x:*"
      lunette.prompts.hide "x"
      lunette.tools.transform("read", { name = "see", description = "Sees" })]])
    client:result("tools/call", '{"name":"see","arguments":{"path":"x"}}')
    client:result("resources/read", '{"uri":"file:///a.txt"}')
    client:result("prompts/get", '{"name":"plan"}')
    client:result "tools/list"
    client.process:wait_stderr "<see Sees>"
    client.process:wait_stderr "<a file:///a.txt>"
    client.process:wait_stderr "<plan >"
    assert.equal(3, select(2, client.process.err:all():gsub("<%w+ [^>]*>", "")))
  end)
end)
