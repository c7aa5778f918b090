-- lua/README.md tells the truth: every block of Lua in it is a policy that loads, and those under Recipes and
-- Transforms do what their text says.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local says = policy.says

-- { { text =, line =, title = (the bold words before it), section = } … }
local function blocks()
  local list, line, block, title, section = {}, 0, nil, nil, nil
  for text in loop.read_file(lunette.root .. "/lua/README.md"):gmatch "([^\n]*)\n" do
    line = line + 1
    if text:find "^```" then
      if block then
        if block.lua then list[#list + 1] = block end
        block = nil
      else
        block = { lua = text == "```lua", text = "", line = line, title = title, section = section }
      end
    elseif block then
      block.text = block.text .. text .. "\n"
    else
      title = text:match "^%*%*(.-)%.%*%*" or title
      section = text:match "^##+ (.*)" or section
    end
  end
  return list
end

-- As a policy of its own. What reads the environment finds something.
local function whole(text)
  return (text:gsub('local lunette = require "lunette"\n', ""))
end

describe("lua/README.md", function()
  after_each(lunette.finish)

  for _, block in ipairs(blocks()) do
    if not block.text:find("lunette.test", 1, true) then
      it(("has a policy that loads in line %d"):format(block.line), function()
        local result = lunette.cli({ "check", lunette.policy(whole(block.text)) }, { env = { TICKETS_TOKEN = "t", TEAM_TOKEN = "t" } })
        assert.equal(0, result.code, result.stderr)
      end)
    end
  end

  local tried = {}

  local function recipe(title, options, fn)
    tried[title] = true
    it(("has a recipe that works: %s"):format(title), function()
      for _, block in ipairs(blocks()) do
        if block.title == title and block.section == "Recipes" then return fn(policy.with(block.text, options)) end
      end
      error("there is no recipe " .. title)
    end)
  end

  recipe("An argument that clients neither see nor choose", {
    way = { "http", "stdio" },
    tools = '[{"name":"read","inputSchema":{"type":"object","properties":{"team":{"type":"string"}},"required":["team"]}},'
      .. '{"name":"plain","inputSchema":{"type":"object","properties":{}}}]',
  }, function(client, _, host)
    assert.equal('{"type":"object","properties":{}}', json.at(policy.item(client, "read"), "inputSchema"))
    assert.equal("who are you?", client:failure("tools/call", '{"name":"read"}').message)
    client:result("tools/call", '{"name":"plain"}')
    local blue = host.client { headers = { "X-Team: blue" } }
    blue:initialize()
    assert.equal('{"team":"blue"}', policy.call(blue, "read", "{}"))
  end)

  recipe("Over HTTP only with a token", {
    way = { "http", "stdio" }, env = { TEAM_TOKEN = "sesame" }, headers = { "Authorization: Bearer sesame" },
  }, function(client, up, host)
    assert.same({ "read", "write", "delete" }, policy.seen(client))
    up:on("tools/call", function(req)
      req:notify("notifications/message", '{"level":"info","data":"has no headers"}')
      req:reply '{"content":[]}'
    end)
    client:result("tools/call", '{"name":"read"}')
    client:expect "notifications/message"
    local stranger = host.client { headers = { "Authorization: Bearer simsim" } }
    local hello = '{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}'
    assert.equal("a token is needed", stranger:failure("initialize", hello).message)
    assert.equal(1, up:count "initialize")
  end)

  recipe("A person says yes first", { capabilities = '{"elicitation":{}}' }, function(client, up)
    for action, expected in pairs { accept = 1, decline = 1 } do
      local call = client:start("tools/call", '{"name":"delete","arguments":{"x":1}}')
      local question = client:expect "elicitation/create"
      assert.equal('Call delete with\n{"x":1}?', json.value(question.params, "message"))
      client:answer(question, '{"action":"' .. action .. '","content":{}}')
      assert.equal(action == "decline", json.value(call:wait(), "result", "isError") == true)
      assert.is_true(up:count "tools/call" <= expected)
    end
    client:result("tools/call", '{"name":"read"}')
    assert.equal(2, up:count "tools/call")
  end)

  recipe("Tools that show once a session has earned them", { server = '{"tools":{"listChanged":true}}' }, function(client)
    assert.same({ "unlock", "read", "write" }, policy.seen(client))
    assert.equal(-32602, client:failure("tools/call", '{"name":"delete"}').code)
    assert.equal("that is not the word", says(client, "unlock", '{"word":"friend"}'))
    assert.equal("there are more tools now", says(client, "unlock", '{"word":"mellon"}'))
    client:expect "notifications/tools/list_changed"
    assert.same({ "unlock", "read", "write", "delete" }, policy.seen(client))
    client:result("tools/call", '{"name":"delete"}')
  end)

  recipe("One tool out of two", nil, function(client, up)
    up:on("tools/call", function(req) req:reply('{"content":[{"type":"text","text":"' .. req:value "name" .. ' done"}]}') end)
    assert.equal("write done", says(client, "copy", '{"from":"a","to":"b"}'))
    assert.equal('{"path":"a"}', up:wait("tools/call", 1):at "arguments")
    assert.same({ path = "b", text = "read done" }, json.decode(up:wait("tools/call", 2):at "arguments"))
  end)

  recipe("A second try elsewhere", nil, function(client, up)
    up:on("tools/call", function(req)
      if req:value("arguments", "path") == "/a" then return req:fail(-32000, "gone") end
      req:reply '{"content":[],"mirror":1.0}'
    end)
    assert.equal('{"content":[],"mirror":1.0}', client:result("tools/call", '{"name":"read","arguments":{"path":"/a"}}'))
    assert.equal('{"path":"/mirror/a"}', up:wait("tools/call", 2):at "arguments")
  end)

  recipe("Questions of servers that a machine answers", nil, function(client, up)
    local schema = '{"type":"object","properties":{"n":{"type":"integer"%s}}}'
    up:on("tools/call", function(req)
      local asked = schema:format(req:value "name" == "read" and ',"default":3' or "")
      req:ask("elicitation/create", '{"message":"m","requestedSchema":' .. asked .. "}", function(r)
        req:reply('{"content":[],"answer":' .. r.result .. "}")
      end)
    end)
    assert.same({ action = "accept", content = { n = 3 } }, json.value(client:result("tools/call", '{"name":"read"}'), "answer"))
    assert.same({ action = "decline" }, json.value(client:result("tools/call", '{"name":"write"}'), "answer"))
  end)

  recipe("Numbers every minute", nil, function(client)
    client:result("tools/call", '{"name":"read"}')
    client:result("tools/call", '{"name":"read"}')
  end)

  it("has no recipe that nobody tried", function()
    for _, block in ipairs(blocks()) do
      if block.section == "Recipes" then assert.is_true(tried[block.title], block.title) end
    end
  end)
end)
