-- Which components a rule or a handler is about: globs, lists, tables of name, upstream and where, for all four
-- kinds, in lists and at call time alike.
local json = require "spec.support.json"
local lunette = require "spec.support.lunette"
local policy = require "spec.support.policy"

local with, seen, says = policy.with, policy.seen, policy.says

describe("a selector", function()
  after_each(lunette.finish)

  local chosen = {
    { '"read"', "read" },
    { '"r*"', "read" },
    { '"?????"', "write" },
    { '"[a-d]*"', "delete" },
    { '"[!rw]*"', "delete" },
    { '{ "read", "del*" }', "read delete" },
    { '{ name = "read" }', "read" },
    { '{ name = { "read", "write" } }', "read write" },
    { '{ upstream = "files" }', "read write delete" },
    { '{ upstream = { "x", "f*" } }', "read write delete" },
    { '{ upstream = files, name = "w*" }', "write" },
    { '{ upstream = "other" }', "" },
    { '{ where = function(t) return t.description == nil end }', "delete" },
    { '{ where = function(t, ctx) return ctx.session.client.name == "spec" and t.title end }', "read" },
    { '{ name = "*e", upstream = "files", where = function(t) return t.annotations.destructiveHint end }', "write delete" },
    { '{ where = function(t) return t.upstream == "files" and t.name ~= "read" end }', "write delete" },
    { '"READ"', "" },
  }

  local declared = 'local files = { name = "files" } '

  for _, row in ipairs(chosen) do
    it(row[1] .. " chooses what only leaves, and what a handler gets", function()
      local client, up = with(declared .. ("lunette.tools.only(%s)"):format(row[1]))
      assert.equal(row[2], table.concat(seen(client), " "))
      for _, name in ipairs { "read", "write", "delete" } do
        local there = (" " .. row[2] .. " "):find(" " .. name .. " ", 1, true)
        local raw = client:request("tools/call", '{"name":"' .. name .. '"}')
        assert.equal(there ~= nil, json.at(raw, "result") ~= nil, raw)
      end
      local _, n = row[2]:gsub("%S+", "")
      assert.equal(n, up:count "tools/call")
      lunette.finish()
      client = with(declared .. ('lunette.on("tools/call", %s, function() return "mine" end)'):format(row[1]), { tools = policy.plain })
      for _, name in ipairs { "read", "write", "delete" } do
        local there = (" " .. row[2] .. " "):find(" " .. name .. " ", 1, true)
        assert.equal(there and "mine" or nil, says(client, name))
      end
    end)
  end

  it("of several takes what any of them chooses", function()
    assert.same({ "write" }, seen((with 'lunette.tools.hide("read", { where = function(t) return not t.description end })')))
  end)

  it("is about the presented name, with the server's in front when there are several", function()
    local a, b = policy.server { tools = policy.plain }, policy.server { tools = policy.plain }
    a.name, b.name = "a", "b"
    local client = lunette.stdio { policy = lunette.bare(a, b) .. [[
      lunette.tools.hide("a_*e", "delete", "read")
      lunette.on("tools/call", "b_re*", function() return "mine" end)
      lunette.on("tools/call", { upstream = "a" }, function() return "a's" end)]] }
    client:initialize()
    assert.same({ "a_read", "b_read", "b_write", "b_delete" }, seen(client))
    assert.equal("mine", says(client, "b_read"))
    assert.equal("a's", says(client, "a_read"))
    assert.is_nil(says(client, "b_write"))
  end)

  describe("with where at call time", function()
    it("sees the definition though there is no rule that needs one", function()
      local client, up = with [[
        lunette.on("tools/call", { where = function(t) return (t.annotations or {}).destructiveHint end },
          function() return lunette.deny "not that" end)]]
      assert.equal("not that", says(client, "delete"))
      assert.equal("not that", says(client, "write", '{"path":"x","text":"y"}'))
      assert.is_nil(says(client, "read"))
      assert.equal(1, up:count "tools/call")
      assert.equal(1, up:count "tools/list", "a list once, not for every call")
    end)

    it("sees the name and what rules written before made of it, and not what later ones make", function()
      local tell = [[lunette.on("tools/call", { where = function(t)
        return t.name == "%s" and t.description == "%s" and t.inputSchema.properties.%s end }, function() return "seen" end)]]
      local change = [[lunette.tools.transform("read", { name = "load", description = "Loads", arguments = { path = { name = "file" } } })]]
      local client = with(change .. "\n" .. tell:format("load", "Loads", "file"), { tools = policy.plain })
      assert.equal("seen", says(client, "load", '{"file":"x"}'))
      lunette.finish()
      client = with(tell:format("read", "Reads a file", "path") .. "\n" .. change, { tools = policy.plain })
      assert.equal("seen", says(client, "load", '{"file":"x"}'))
    end)

    it("sees tools of the policy's own, and which server one is of", function()
      local client = with [[
        lunette.tools.add { name = "own", description = "Mine", handler = function() return "own" end }
        lunette.on("tools/call", { where = function(t) return t.description == "Mine" and t.upstream == nil end },
          function(request, forward) return forward(request).content[1].text .. "!" end)]]
      assert.equal("own!", says(client, "own"))
      assert.is_nil(says(client, "read"))
    end)

    it("sees resources, templates and prompts", function()
      local client = with [[
        lunette.on("resources/read", { where = function(r) return r.mimeType == "text/plain" end }, function() return "typed" end)
        lunette.on("resources/read", { where = function(r) return r.title == "Notes" and r.uri end },
          function(request) return "note " .. request.params.uri end)
        lunette.on("prompts/get", { where = function(p) return p.description == "R" end }, function() return "reviewed" end)]]
      local function read(uri)
        return json.value(client:result("resources/read", '{"uri":"' .. uri .. '"}'), "contents", 1, "text")
      end
      assert.equal("typed", read "file:///b.txt")
      assert.equal("body", read "file:///a.txt")
      assert.equal("note note://77", read "note://77")
      assert.equal("body", read "note://c")
      assert.equal("reviewed", json.value(client:result("prompts/get", '{"name":"review"}'), "messages", 1, "content", "text"))
      assert.equal("[]", json.at(client:result("prompts/get", '{"name":"plan"}'), "messages"))
    end)

    for what, where in pairs { ["by name"] = '"rev*"', ["by where"] = "{ where = function(p) return p.title == 'Review' or p.name == 'notes' end }" } do
      it("chooses what a completion's ref names, " .. what, function()
        for _, rule in ipairs { "", 'lunette.prompts.hide("x")' } do
          local up = policy.server { server = '{"prompts":{},"resources":{},"completions":{}}' }
          up:on("completion/complete", function(req) req:reply '{"completion":{"values":["server"]}}' end)
          local client = with(rule .. ([[
            lunette.on("completion/complete", %s, function() return { completion = { values = { "prompt" } } } end)
            lunette.on("completion/complete", "note:*", function() return { completion = { values = { "template" } } } end)]])
            :format(where), { up = up })
          local function completes(ref)
            local params = '{"ref":' .. ref .. ',"argument":{"name":"path","value":""}}'
            return json.value(client:result("completion/complete", params), "completion", "values", 1)
          end
          assert.equal("prompt", completes '{"type":"ref/prompt","name":"review"}')
          assert.equal("server", completes '{"type":"ref/prompt","name":"plan"}')
          assert.equal("server", completes '{"type":"ref/resource","uri":"file:///{path}","name":"review"}')
          if what == "by name" then assert.equal("template", completes '{"type":"ref/resource","uri":"note://{id}"}') end
          lunette.finish()
        end
      end)
    end

    it("that fails refuses the call, with file and line", function()
      local client, up = with '\n\nlunette.on("tools/call", { where = function(t) return t.no.such end }, function() end)'
      assert.equal(-32603, client:failure("tools/call", '{"name":"read"}').code)
      assert.truthy(client.process.err:all():find "policy%d+%.lua:4: ")
      assert.equal(0, up:count "tools/call")
    end)
  end)

  describe("is refused when it is written, with what would be right:", function()
    for text, complaint in pairs {
      ["42"] = "must be a glob or a table",
      ["{}"] = "selects nothing",
      ['{ nam = "x" }'] = "unknown option nam; did you mean name",
      ['"[a"'] = "is not closed",
      ['{ where = 1 }'] = "where must be a function",
      ['""'] = "must not be empty",
    } do
      it(text, function()
        local result = lunette.cli { "check", lunette.policy("\nlunette.tools.hide(" .. text .. ")") }
        assert.equal(1, result.code)
        assert.truthy(result.stderr:find "policy%d+%.lua:2: ", result.stderr)
        assert.truthy(result.stderr:find(complaint, 1, true), result.stderr)
      end)
    end
  end)
end)
