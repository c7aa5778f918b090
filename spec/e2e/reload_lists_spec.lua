-- Reload and clients: who is told that lists have changed, and what is kept for whom.
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"
local reload = require "spec.support.reload"

local changed = reload.changed
local server = reload.server
local says = reload.says
local version = reload.version
local tool_names = reload.tool_names
local start = reload.start

describe("list_changed after a reload", function()
  after_each(lunette.finish)

  local function told(client, kind)
    local n = 0
    for _, message in ipairs(client.inbox) do
      if message.method == changed[kind] then n = n + 1 end
    end
    return n
  end

  -- Everybody's every list changes: what a client heard by the time it hears of this is all it heard.
  local function all_change(host, text, clients)
    host:reload(text .. "\n" .. says "everybody" .. "lunette.resources.add { uri = 'note://all', name = 'all', read = "
      .. "function() return '' end }\nlunette.prompts.add { name = 'all', get = function() return '' end }")
    for _, client in ipairs(clients) do
      client.heard = {}
      local before = #client.inbox
      loop.wait(function() return told(client, "prompts") > 0 end, "the last list_changed")
      for _, kind in ipairs { "tools", "resources", "prompts" } do client.heard[kind] = told(client, kind) - 1 end
      assert.is_true(#client.inbox >= before)
    end
  end

  local function three()
    return upstream.new { name = "up", tools = '[{"name":"read","inputSchema":{"type":"object"}},'
      .. '{"name":"write","inputSchema":{"type":"object"}}]', resources = '[{"uri":"file:///a.txt","name":"a"}]',
      prompts = '[{"name":"review"}]' }
  end

  local function list_all(client)
    client:result("tools/list", "{}")
    client:result("resources/list", "{}")
    client:result("prompts/list", "{}")
  end

  it("names the kinds whose list is another, and no others", function()
    local up = three()
    local cases = {
      { "lunette.tools.hide 'write'", { tools = 1, resources = 0, prompts = 0 } },
      { "lunette.resources.hide 'file:*'", { tools = 0, resources = 1, prompts = 0 } },
      { "lunette.resource_templates.add { uriTemplate = 'n://{x}', name = 'n', read = function() return '' end }",
        { tools = 0, resources = 1, prompts = 0 } },
      { "lunette.prompts.rename { review = 'revise' }", { tools = 0, resources = 0, prompts = 1 } },
      { "lunette.tools.hide 'nothing*'\nlunette.on('tools/call', function(r, f) return f(r) end)",
        { tools = 0, resources = 0, prompts = 0 } },
    }
    local bare = lunette.bare(up)
    local host = start(bare)
    for _, case in ipairs(cases) do
      local client = host:client()
      list_all(client)
      client:result("resources/templates/list", "{}")
      host:reload(bare .. "\n" .. case[1])
      list_all(client)
      client:result("resources/templates/list", "{}")
      all_change(host, bare .. "\n" .. case[1], { client })
      assert.same(case[2], client.heard, case[1])
      client:close()
      host:reload(bare)
    end
    assert.equal(1, up:count "tools/list")
  end)

  it("goes to the sessions whose list is another, and to no others", function()
    local up = three()
    local bare = lunette.bare(up)
    local function rule(name)
      return bare .. ("\nlunette.tools.filter(function(tool, ctx) return ctx.session.client.name ~= %q or tool.name ~= 'write' end)")
        :format(name)
    end
    local host = start(bare)
    local red = host:client { info = '{"name":"red","version":"1"}' }
    local blue = host:client { info = '{"name":"blue","version":"1"}' }
    local green = host:client { info = '{"name":"green","version":"1"}' }
    local quiet = host:client { info = '{"name":"red","version":"1"}', unlisted = true }
    local everyone = { red, blue, green }
    for _, client in ipairs(everyone) do list_all(client) end
    quiet:result("prompts/list", "{}")
    host:reload(rule "red")
    assert.same({ "read" }, tool_names(red))
    assert.same({ "read", "write" }, tool_names(blue))
    assert.equal(-32602, red:failure("tools/call", '{"name":"write"}').code)
    host:reload(rule "blue")
    assert.same({ "read", "write" }, tool_names(red))
    assert.same({ "read" }, tool_names(blue))
    host:reload(rule "nobody")
    assert.same({ "read", "write" }, tool_names(blue))
    all_change(host, rule "nobody", { red, blue, green, quiet })
    assert.same({ tools = 2, resources = 0, prompts = 0 }, red.heard)
    assert.same({ tools = 2, resources = 0, prompts = 0 }, blue.heard)
    assert.same({ tools = 0, resources = 0, prompts = 0 }, green.heard)
    assert.equal(0, told(quiet, "tools"), "one that never asked for tools has nothing to learn anew")
  end)

  describe("with rules by headers", function()
    local up

    local function rule(team)
      return lunette.bare(up) .. ("\nlunette.tools.filter(function(tool, ctx) return tool.name ~= 'write' "
        .. "or ctx.headers['x-team'] == %q end)"):format(team)
    end

    local function teams()
      up = three()
      local host = start(rule "red")
      local red = host:client { headers = { "X-Team: red" } }
      local blue = host:client { headers = { "X-Team: blue" } }
      list_all(red)
      list_all(blue)
      return host, red, blue
    end

    it("holds each client to its own", function()
      local host, red, blue = teams()
      assert.same({ "read", "write" }, tool_names(red))
      assert.same({ "read" }, tool_names(blue))
      host:reload(rule "red" .. " -- again")
      -- A call comes before any list.
      assert.equal(-32602, blue:failure("tools/call", '{"name":"write"}').code)
      up:on("tools/call", function(req) req:reply '{"content":[]}' end)
      red:result("tools/call", '{"name":"write"}')
      assert.same({ "read", "write" }, tool_names(red))
      assert.same({ "read" }, tool_names(blue))
      host:reload(rule "blue")
      assert.equal(-32602, red:failure("tools/call", '{"name":"write"}').code)
      blue:result("tools/call", '{"name":"write"}')
      assert.same({ "read" }, tool_names(red))
      assert.same({ "read", "write" }, tool_names(blue))
      assert.equal(2, up:count "tools/call")
    end)

    it("tells those whose list is another", function()
      local host, red, blue = teams()
      host:reload(rule "red" .. " -- again")
      host:reload(rule "blue")
      all_change(host, rule "blue", { red, blue })
      assert.equal(1, red.heard.tools)
      assert.equal(1, blue.heard.tools)
    end)
  end)

  it("reaches a client on stdio", function()
    local up = three()
    local host = start(lunette.bare(up), { stdio = true })
    local client = host.stdio
    client:initialize()
    list_all(client)
    host:reload(lunette.bare(up) .. "\nlunette.tools.hide 'write'")
    client:expect(changed.tools)
    assert.same({ "read" }, tool_names(client))
    host:reload(lunette.bare(up) .. "\nlunette.tools.hide 'write' -- the same")
    client:result("ping", "{}")
    assert.equal(0, #client.inbox)
    assert.equal(0, (client:close()))
  end)

  it("waits for a client that has no stream yet", function()
    local up = three()
    local host = start(lunette.bare(up))
    local client = host.new_client {}
    client:initialize()
    tool_names(client)
    host:reload(lunette.bare(up) .. "\nlunette.tools.hide 'write'")
    client:listen()
    client:expect(changed.tools)
    assert.same({ "read" }, tool_names(client))
  end)
end)

describe("across reloads", function()
  after_each(lunette.finish)

  it("lunette.shared is kept, and nothing else of the old policy", function()
    local text = "leaked = (rawget(_G, 'leaked') or 0) + 1\nlunette.tools.add { name = 'version', description = 'd', "
      .. "inputSchema = { type = 'object' }, handler = function() "
      .. "return lunette.shared.incr 'n' .. ' ' .. rawget(_G, 'leaked') end }"
    local host = start(text)
    local client = host:client()
    assert.equal("1 1", version(client))
    for i = 2, 6 do
      host:reload(text .. " -- " .. i)
      assert.equal(i .. " 1", version(client))
    end
  end)

  it("lunette.every of the old policy stops, that of the new runs", function()
    local function ticking(name)
      return ("lunette.every(0.01, function() lunette.shared.incr %q end)\n"):format(name)
    end
    local read = "lunette.tools.add { name = 'version', inputSchema = { type = 'object' }, handler = function() "
      .. "return (lunette.shared.get 'old' or 0) .. ' ' .. (lunette.shared.get 'new' or 0) end }"
    local host = start(ticking "old" .. read)
    local client = host:client()
    local function counts()
      local old, new = version(client):match "^(%d+) (%d+)$"
      return tonumber(old), tonumber(new)
    end
    loop.wait(function() return counts() > 2 end, "the old policy's timer")
    host:reload(ticking "new" .. read)
    local stopped_at, began_at = counts()
    loop.wait(function() return select(2, counts()) > began_at + 10 end, "the new policy's timer")
    assert.equal(stopped_at, (counts()))
  end)

  it("settings of the new policy hold", function()
    local tools = {}
    for i = 1, 10 do tools[i] = ('{"name":"t%d","inputSchema":{"type":"object"}}'):format(i) end
    local up = server("up", "[" .. table.concat(tools, ",") .. "]")
    local host = start(lunette.bare(up))
    local client = host:client()
    assert.equal(10, #tool_names(client))
    host:reload(lunette.bare(up) .. "\nlunette.configure { page_size = 4 }")
    local result = client:result("tools/list", "{}")
    assert.equal(4, #json.elements(json.at(result, "tools")))
    assert.truthy(json.at(result, "nextCursor"))
  end)
end)
