-- Whose a name is: the server's whose prefix it begins with, and nobody else's.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local upstream = require "spec.support.upstream"

local function list(...)
  local items = {}
  for i, name in ipairs { ... } do
    items[i] = ('{"name":%s,"inputSchema":{"type":"object"}}'):format(json.quote(name))
  end
  return "[" .. table.concat(items, ",") .. "]"
end

-- A server that takes any name, and says who it is.
local function lenient(name, tools, fields)
  fields = fields or {}
  fields.name, fields.tools, fields.prompts = name, tools, fields.prompts or tools
  local up = upstream.new(fields)
  up:on("tools/call", function(req) req:reply(('{"content":[],"by":%q,"as":%s}'):format(name, req:at "name")) end)
  up:on("prompts/get", function(req) req:reply(('{"messages":[],"by":%q,"as":%s}'):format(name, req:at "name")) end)
  return up
end

local function names(client, kind) return json.names(json.at(client:result(kind .. "/list", "{}"), kind)) end

local function count(text, piece)
  local n, at = 0, 1
  while true do
    local from, to = text:find(piece, at, true)
    if not from then return n end
    n, at = n + 1, to + 1
  end
end

describe("a name under another server's prefix", function()
  after_each(lunette.finish)

  -- servers: { up, "its options" }…
  local function behind(policy, ...)
    local lines = {}
    for i, server in ipairs { ... } do
      lines[i] = ("lunette.upstream(%q, %s)\n"):format(server[1].name, server[1]:lua(server[2]))
    end
    local text = table.concat(lines) .. policy
    local client = lunette.stdio { policy = text }
    client:initialize()
    return client, text
  end

  -- Who gets a call and a prompt of that name, and as what.
  local function goes(client, name)
    local tool = client:result("tools/call", json.encode { name = name })
    local prompt = client:result("prompts/get", json.encode { name = name })
    assert.equal(json.at(tool, "by") .. json.at(tool, "as"), json.at(prompt, "by") .. json.at(prompt, "as"))
    return json.value(tool, "by") .. " " .. json.value(tool, "as")
  end

  local function refused(client, name)
    assert.equal(-32602, client:failure("tools/call", json.encode { name = name }).code, name)
    assert.equal(-32602, client:failure("prompts/get", json.encode { name = name }).code, name)
  end

  it("is withheld, whoever comes first", function()
    local client = behind("", { lenient("a", list("b_x", "own")), "prefix = false" }, { lenient("b", list "x") })
    assert.same({ "own", "b_x" }, names(client, "tools"))
    assert.same({ "own", "b_x" }, names(client, "prompts"))
    assert.equal("b x", goes(client, "b_x"))
    assert.equal("a own", goes(client, "own"))
    assert.equal(1, count(client.process.err:all(), 'warn a: its tool "b_x" is withheld'))
    assert.equal(1, count(client.process.err:all(), 'warn a: its prompt "b_x" is withheld'))
  end)

  it("is of the longest prefix that fits it", function()
    local client = behind("", { lenient("a", list("b_c", "b", "_b_c", "bc")) }, { lenient("a_b", list "d") })
    assert.same({ "a_b", "a__b_c", "a_bc", "a_b_d" }, names(client, "tools"))
    for name, whom in pairs { a_b = "a b", a__b_c = "a _b_c", a_bc = "a bc", a_b_d = "a_b d" } do
      assert.equal(whom, goes(client, name))
    end
    refused(client, "a_b_c")
  end)

  it("is that server's also while it can't be had", function()
    local a = lenient("a", list("b_x", "c_y", "own"))
    local client = behind("lunette.upstream('c', { command = '/no/such/program', optional = true })", { a, "prefix = false" },
      { lenient("b", "[]") })
    assert.same({ "own" }, names(client, "tools"))
    refused(client, "b_x")
    refused(client, "c_y")
    assert.equal(0, a:count "tools/call")
  end)

  it("may be given by the policy, which decides; no rule for it is taken for the server that has lost it", function()
    local rules = "for _, kind in ipairs { 'tools', 'prompts' } do lunette[kind].rename { b_x = 'mine', own = 'b_own' } end"
    local client = behind(rules .. " lunette.tools.add { name = 'b_policy', handler = function() return 'p' end }",
      { lenient("a", list("b_x", "own")), "prefix = false" }, { lenient("b", list "x") })
    assert.same({ "b_policy", "b_own", "mine" }, names(client, "tools"))
    assert.equal("b x", goes(client, "mine"))
    assert.equal("a own", goes(client, "b_own"))
    refused(client, "b_x")
  end)

  it("is told by list --explain", function()
    local client, text = behind("", { lenient("a", list("b_x", "own")), "prefix = false" }, { lenient("b", list "x") })
    client:close()
    local path = lunette.policy(text)
    local out = lunette.cli({ "list", "--explain", path }).stdout
    assert.truthy(out:find("a  b_x → withheld: names that begin with b_ are those of the server with that prefix", 1, true), out)
    local all = lunette.cli({ "list", "--explain", "--json", path }).stdout
    assert.equal("b", json.value(all, "tools", 1, "withheld"))
    assert.equal("null", json.at(all, "tools", 1, "presented"))
    assert.equal("null", json.at(all, "tools", 2, "withheld"))
  end)

  it("is told once, and many in a few lines", function()
    local all, n = {}, 20000
    for i = 1, n do all[i] = ("b_%d"):format(i) end
    local a = lenient("a", list(unpack(all, 1, 5000)), { prompts = "[]", capabilities = '{"tools":{"listChanged":true},"prompts":{}}' })
    local more = {}
    for page = 1, 3 do more[page] = list(unpack(all, page * 5000 + 1, (page + 1) * 5000)) end
    a:on("tools/list", function(req)
      local at = req.params and req:value "cursor"
      local page = tonumber(at or 0)
      req:reply(('{"tools":%s%s}'):format(page == 0 and list(unpack(all, 1, 5000)) or more[page],
        page < 3 and (',"nextCursor":"%d"'):format(page + 1) or ""))
    end)
    local b = lenient("b", list "7")
    local host = lunette.http { policy = ("lunette.upstream('a', %s)\n%s"):format(a:lua "prefix = false", lunette.bare(b)) }
    for _ = 1, 3 do
      local client = host.client()
      client:initialize()
      assert.same({ "b_7" }, names(client, "tools"))
      assert.equal("b", json.value(client:result("tools/call", '{"name":"b_7"}'), "by"))
    end
    local log = host.process.err:all()
    assert.equal(10, count(log, " is withheld: "))
    assert.equal(1, count(log, "19990 more of its tools are not shown"))
  end)
end)

describe("two equal URIs", function()
  after_each(lunette.finish)

  it("are told once", function()
    local twice = '[{"uri":"x://1","name":"1"},{"uri":"x://1","name":"2"}]'
    local a = upstream.new { name = "a", resources = twice, capabilities = '{"resources":{"listChanged":true}}' }
    local host = lunette.http { policy = lunette.bare(a) .. "\nlunette.upstream('b', { command = '/no/such/program', optional = true })" }
    for _ = 1, 5 do
      local client = host.client()
      client:initialize()
      assert.equal(1, #json.elements(json.at(client:result("resources/list", "{}"), "resources")))
      client:request("resources/read", '{"uri":"x://1"}')
    end
    assert.equal(1, count(host.process.err:all(), 'two of its resources are called "x://1"'))
  end)
end)
