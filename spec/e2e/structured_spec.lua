-- Tools with an outputSchema: what a policy answers for one has structuredContent, and who edits half of a result is told.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local TOOLS = '[{"name":"weather","inputSchema":{"type":"object"},"outputSchema":{"type":"object","properties":{"sky":{"type":"string"}}}},'
  .. '{"name":"plain","inputSchema":{"type":"object"}}]'
local SUNNY = [[{"content":[{"type":"text","text":"{\"sky\":\"sunny secret\"}"}],"structuredContent":{ "sky": "sunny secret" }}]]

-- A client that knows the tools' schemas.
local function with(text)
  local client, up = policy.with(text, { tools = TOOLS })
  up:on("tools/call", function() return SUNNY end)
  client:result "tools/list"
  return client, up
end

local function count(client, text) return select(2, client.process.err:all():gsub(text:gsub("%p", "%%%0"), "")) end

describe("what a policy answers for a tool with an outputSchema", function()
  after_each(lunette.finish)

  local where = { handler = 'lunette.on("tools/call", function(request, forward) %s end)',
    ["selected handler"] = 'lunette.on("tools/call", { name = "*" }, function(request, forward) %s end)',
    ["transform's call"] = 'lunette.tools.transform("*", { call = function(args, forward) local request = nil %s end })' }

  for name, place in pairs(where) do
    it("needs structuredContent: of a " .. name, function()
      for _, answer in ipairs { 'return "sunny"', "return lunette.text 'sunny'", "return { content = { { type = 'text', text = 'x' } } }",
        "forward(request) return 'sunny'", "local r = forward(request) r.structuredContent = nil return r" } do
        local client = with("\n" .. place:format(answer))
        assert.same({ -32603, "policy error" }, { client:failure("tools/call", '{"name":"weather"}').code,
          client:failure("tools/call", '{"name":"weather"}').message })
        local log = client.process.err:all()
        assert.truthy(log:find "policy%d+%.lua:3: what the policy answered for weather has no structuredContent, and weather has an outputSchema", log)
        assert.truthy(client:result("tools/call", '{"name":"plain"}'), answer)
        lunette.finish()
      end
    end)

    it("is fine with it, as an error, and as the server gave it: of a " .. name, function()
      for _, answer in ipairs { "return { structuredContent = { sky = 'x' } }", "return lunette.deny 'no'", "return forward(request)",
        "return { isError = true, content = { { type = 'text', text = 'x' } } }", "local r = forward(request) r._meta = { a = 1 } return r" } do
        local client, up = with(place:format(answer))
        assert.truthy(client:result("tools/call", '{"name":"weather"}'), answer)
        up:on("tools/call", function() return '{"content":[{"type":"text","text":"a sloppy server"}]}' end)
        assert.truthy(client:result("tools/call", '{"name":"weather"}'), answer)
        lunette.finish()
      end
    end)
  end

  it("is held to what the client sees", function()
    local client = with [[
      lunette.tools.transform("weather", { outputSchema = false })
      lunette.tools.transform("plain", { outputSchema = { type = "object" } })
      lunette.on("tools/call", function() return "text" end)]]
    assert.truthy(client:result("tools/call", '{"name":"weather"}'))
    assert.equal(-32603, client:failure("tools/call", '{"name":"plain"}').code)
  end)

  it("of a tool of the policy's own is the same", function()
    local client = with [[
      lunette.tools.add { name = "own", outputSchema = { type = "object" }, handler = function() return "text" end }]]
    assert.equal(-32603, client:failure("tools/call", '{"name":"own"}').code)
    assert.equal(1, count(client, "what the policy answered for own has no structuredContent"))
  end)

  it("is said by lunette call, too", function()
    local result = lunette.cli { "call", lunette.policy('\nlunette.tools.add { name = "own", outputSchema = { type = "object" },'
      .. ' handler = function() return "text" end }'), "own" }
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find("lua:2: what the policy answered for own has no structuredContent, and own has an outputSchema", 1, true),
      result.stderr)
  end)
end)

describe("a guard that edits the content alone", function()
  after_each(lunette.finish)

  local warning = "the handler edited a text in content that structuredContent has, too, where it stays as it was"
  local function guard(body)
    return '\nlunette.on("tools/call", function(request, forward) local r = forward(request) ' .. body .. " return r end)"
  end

  it("is warned of, once, with file and line", function()
    local client = with(guard "r.content[1].text = r.content[1].text:gsub('secret', '***')")
    for _ = 1, 3 do client:result("tools/call", '{"name":"weather"}') end
    assert.equal(1, count(client, warning))
    assert.truthy(client.process.err:all():find "policy%d+%.lua:3: the handler edited")
  end)

  it("is warned of where a text stands in the structured content", function()
    local client, up = with(guard "r.content = { { type = 'text', text = 'gone' } }")
    up:on("tools/call", function() return [[{"content":[{"type":"text","text":"a \"b\""}],"structuredContent":{"result":"a \"b\""}}]] end)
    client:result("tools/call", '{"name":"weather"}')
    assert.equal(1, count(client, warning))
  end)

  it("is not, when it edits both, or what only one of them has", function()
    for _, body in ipairs {
      "r.content[1].text = 'x' r.structuredContent.sky = 'x'", "r.content[1].text = 'x' r.structuredContent = { sky = 'y' }",
      "r.content[2] = { type = 'text', text = 'more' }", "r.structuredContent.sky = 'x'", "r.content[1].annotations = { priority = 1 }",
    } do
      local client = with(guard(body))
      client:result("tools/call", '{"name":"weather"}')
      assert.equal(0, count(client, warning), body)
      lunette.finish()
    end
    local client, up = with(guard "r.content[1].text = 'x'")
    up:on("tools/call", function() return '{"content":[{"type":"text","text":"other"}],"structuredContent":{"sky":"blue"}}' end)
    client:result("tools/call", '{"name":"weather"}')
    assert.equal(0, count(client, warning))
  end)

  it("may be a ready policy, which says what it does", function()
    local client = with 'require "lunette.policy.truncate" { bytes = 4 }'
    assert.truthy(json.value(client:result("tools/call", '{"name":"weather"}'), "content", 1, "text"):find "^{\"sk")
    assert.equal(0, count(client, warning))
  end)
end)
