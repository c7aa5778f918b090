-- What initialize says that is not as the specification has it. Whatever a server or a client declares, what
-- Lunette sends is JSON, a capability that is no object declares nothing, and a policy's own components and
-- handlers are there beside it.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local OWN = [[
lunette.tools.add { name = "own", inputSchema = { type = "object" }, handler = function() return "fine" end }
lunette.resources.add { uri = "own://x", name = "own", read = function() return "fine" end }
]]
local ADDED = '{"listChanged":true}'

-- The server's result: members after protocolVersion, raw (false: nothing more).
local function server(name, members)
  local up = upstream.new { name = name, tools = "[]", prompts = "[]", resources = "[]", templates = "[]" }
  up:on("initialize", function(req)
    req:reply(('{"protocolVersion":%s%s}'):format(req:at "protocolVersion", members and "," .. members or ""))
  end)
  return up
end

local function between(policy, ...)
  local text = {}
  for i, up in ipairs { ... } do text[i] = ("lunette.upstream(%q, %s)\n"):format(up.name, up:lua()) end
  return lunette.stdio { policy = table.concat(text) .. policy }
end

-- Reads all of it: an error unless it is JSON.
local function proven(raw)
  json.decode(raw)
  return raw
end

-- { the result's members, what its capabilities are with the policy's own }
local both = ('"tools":%s,"resources":%s'):format(ADDED, ADDED)
local info = '"serverInfo":{"name":"s","version":"1"}'
local odd = {
  { false, "{" .. both .. "}" },
  { '"capabilities":[]', "{" .. both .. "}" },
  { '"capabilities":[ {} , 1 ],' .. info, "{" .. both .. "}" },
  { '"capabilities":"x",' .. info, "{" .. both .. "}" },
  { info .. ',"capabilities":""', "{" .. both .. "}" },
  { '"capabilities":null', "{" .. both .. "}" },
  { '"capabilities":5', "{" .. both .. "}" },
  { '"capabilities":true , "serverInfo":null', "{" .. both .. "}" },
  { '"capabilities":[],"capabilities":{}', "{" .. both .. "}" },
  { '"capabilities":{},"capabilities":[]', "{" .. both .. "}" },
  { '"capabilities":{ }', "{ " .. both .. "}" },
  { '"capabilities":{"tools":5}', ('{"tools":%s,"resources":%s}'):format(ADDED, ADDED) },
  { '"capabilities":{"tools":null,"resources":[] ,"x":[1]}', ('{"tools":%s,"resources":%s ,"x":[1]}'):format(ADDED, ADDED) },
  { '"capabilities":{"tools":"{}","tools":[{}]}', ('{"tools":"{}","tools":%s,"resources":%s}'):format(ADDED, ADDED) },
  { '"capabilities":{"tools":{"listChanged":5}}', ('{"tools":{"listChanged":5},"resources":%s}'):format(ADDED) },
  { '"capabilities":{"logging":null,"completions":7,"tasks":5}', '{"logging":null,"completions":7,"tasks":5,' .. both .. "}" },
  { '"capabilities":{"tasks":{"list":null,"cancel":1,"requests":[]}}', '{"tasks":{"list":null,"cancel":1,"requests":[]},' .. both .. "}" },
  { info:gsub("{.*", "[]") .. ',"instructions":{"a":1},"capabilities":{}', "{" .. both .. "}" },
  { '"serverInfo":7,"instructions":null,"capabilities":{}', "{" .. both .. "}" },
}

-- What several servers' capabilities come to that declare nothing, with and without the policy's own.
local NOTHING, BOTH = "{}", ('{"tools":%s,"resources":%s}'):format(ADDED, ADDED)

describe("a server that says in initialize", function()
  after_each(lunette.finish)

  for _, case in ipairs(odd) do
    local members, mended = case[1], case[2]
    describe(tostring(members or "nothing more"), function()
      it("is shown as it is", function()
        local client = between("", server("a", members))
        assert.equal(('{"protocolVersion":"2025-11-25"%s}'):format(members and "," .. members or ""), proven(client:initialize()))
        client:result "ping"
      end)

      it("leaves room for the policy's own", function()
        local client = between(OWN, server("a", members))
        assert.equal(mended, json.at(proven(client:initialize()), "capabilities"))
        assert.equal("own", json.value(client:result("tools/list", "{}"), "tools", 1, "name"))
        assert.equal("own://x", json.value(client:result("resources/list", "{}"), "resources", 1, "uri"))
        assert.equal("fine", json.value(client:result("tools/call", '{"name":"own"}'), "content", 1, "text"))
      end)

      it("leaves room for it in another version", function()
        local a = server("a", members)
        a:on("initialize", function(req)
          req:reply(('{%s"protocolVersion":"2025-06-18"}'):format(members and members .. "," or ""))
        end)
        local client = between(OWN, a)
        local result = proven(client:initialize())
        assert.equal("2025-11-25", json.value(result, "protocolVersion"))
        assert.equal(mended, json.at(result, "capabilities"))
      end)

      it("takes nothing from others, and adds nothing", function()
        local nothing = not (members or ""):find '"listChanged":5' and not (members or ""):find '"list":null'
        for _, policy in ipairs { "", OWN } do
          local client = between(policy, server("a", members), server("b", members))
          local got = json.at(proven(client:initialize()), "capabilities")
          if nothing then assert.equal(policy == OWN and BOTH or NOTHING, got) end
          client:result "ping"
          if policy == OWN then
            assert.equal("fine", json.value(client:result("tools/call", '{"name":"own"}'), "content", 1, "text"))
          elseif nothing then
            assert.equal(-32601, client:failure("tools/list", "{}").code)
          end
          client:close()
        end
        local good = upstream.new { name = "b", tools = '[{"name":"t","inputSchema":{"type":"object"}}]' }
        local client = between("", server("a", members), good)
        assert.equal(ADDED, json.at(proven(client:initialize()), "capabilities", "tools"))
        assert.equal("b_t", json.value(client:result("tools/list", "{}"), "tools", 1, "name"))
      end)
    end)
  end
end)

describe("servers that say in initialize", function()
  after_each(lunette.finish)

  it("instructions that are no text, or no whole one, are told as far as they go", function()
    local a, b = server("a", '"instructions":{"x":1}'), server("b", '"instructions":"half \\ud800 a pair"')
    local client = between("", a, b)
    assert.equal("# b\n\nhalf \239\191\189 a pair", json.value(proven(client:initialize()), "instructions"))
  end)
end)

describe("a client that says in initialize", function()
  after_each(lunette.finish)

  local HANDLER = [[
    lunette.on("sampling/createMessage", function()
      return { role = "assistant", model = "m", content = { type = "text", text = "the policy's" } } end)
  ]]
  local function hello(members)
    return ('{"protocolVersion":"2025-11-25"%s}'):format(members and "," .. members or "")
  end
  local me = '"clientInfo":{"name":"c","version":"1"}'

  -- { members, what the server is offered with a handler for sampling }
  for _, case in ipairs {
    { false, '{"sampling":{}}' },
    { me, '{"sampling":{}}' },
    { me .. ',"capabilities":{ }', '{ "sampling":{}}' },
    { '"capabilities":{"sampling":null}', '{"sampling":{}}' },
    { '"capabilities":{"sampling":55},' .. me, '{"sampling":{}}' },
    { '"capabilities":{"roots":[],"sampling":[]},"clientInfo":5', '{"roots":[],"sampling":{}}' },
    { '"clientInfo":null,"capabilities":{"sampling":{ "tools":{}}}', '{"sampling":{ "tools":{}}}' },
    { '"clientInfo":[],"capabilities":{"elicitation":"x"}', '{"elicitation":"x","sampling":{}}' },
  } do
    local members, offered = case[1], case[2]
    it(tostring(members or "nothing more"), function()
      local up = server("a", '"capabilities":{}')
      local client = between("", up)
      client:result("initialize", hello(members))
      assert.equal(hello(members), proven(up:wait("initialize").params))
      client:close()

      up = server("a", '"capabilities":{}')
      client = between(HANDLER .. [[
        lunette.tools.add { name = "own", inputSchema = { type = "object" }, handler = function(_, ctx)
          return type(ctx.session.capabilities) .. type(ctx.session.client) end }]], up)
      client:result("initialize", hello(members))
      assert.equal(offered, json.at(proven(up:wait("initialize").params), "capabilities"))
      client:notify "notifications/initialized"
      assert.equal("tabletable", json.value(client:result("tools/call", '{"name":"own"}'), "content", 1, "text"))
    end)
  end

  for _, capabilities in ipairs { "[]", "null", "5", '"x"', "true" } do
    it("capabilities that are " .. capabilities .. " is refused, and may try again", function()
      local client = between(OWN, server("a", '"capabilities":[]'))
      assert.equal(-32602, client:failure("initialize", hello('"capabilities":' .. capabilities)).code)
      client:initialize()
    end)
  end

  it("sampling that is no object has none of it", function()
    local up = server("a", '"capabilities":{}')
    local client = between([[
      lunette.on("sampling/createMessage", function(request, forward) return forward(request) end)
      lunette.tools.add { name = "ask", inputSchema = { type = "object" }, handler = function(_, ctx)
        local ok, why = pcall(ctx.sample, ctx, { messages = {}, maxTokens = 1 })
        return tostring(ok) .. (type(why) == "table" and why.message or tostring(why))
      end }]], up)
    client:result("initialize", hello '"capabilities":{"sampling":null}')
    client:notify "notifications/initialized"
    assert.truthy(json.value(client:result("tools/call", '{"name":"ask"}'), "content", 1, "text"):find("false", 1, true))
  end)
end)
