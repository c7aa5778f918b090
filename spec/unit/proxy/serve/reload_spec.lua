-- src/proxy/serve/reload.c: another policy takes over, at one moment or not at all.
local H = require "spec.unit.proxy.host"

local head = 'local lunette = require "lunette" '
local function up(name, options) return ("lunette.upstream(%q, { command = %q, %s }) "):format(name, name, options or "") end
local function held() return false end
local function result(id, value) return ('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(id, value or "{}") end
local function changed(kind) return ('{"jsonrpc":"2.0","method":"notifications/%s/list_changed"}'):format(kind) end

local function server(name)
  return { name, tools = '{"name":"t"}', resources = '{"uri":"u:r","name":"r"}', templates = '{"uriTemplate":"u:{x}","name":"x"}',
    prompts = '{"name":"p"}', on = { ["tools/call"] = held } }
end

describe("a reload", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  -- Lists as a client asks for them, so that its session has views.
  local function look(h, s, ...)
    local out = {}
    for i, kind in ipairs { ... } do
      local told = h:hear(H.request(H.methods[kind], "{}", 90 + i), s)
      out[i] = told[#told]:match '"result":(.*)}$' or told[#told]
    end
    return unpack(out)
  end
  local function watching(h, ...)
    local s = h:join()
    look(h, s, ...)
    h:heard(s)
    h.asked = {}
    return s
  end

  describe("that fails changes nothing:", function()
    -- Each row: the policy, what is said of it, and what there is to try it on (nil: a session that has seen the tools).
    local rows = {
      ["no policy"] = { "lunette.upstream(", "policy.lua" },
      ["another server's URL"] = { up "a" .. up "b" .. "lunette.upstream('w', { url = 'http://h:99999/' })", "the port is not valid" },
      ["a rule, on what a session sees"] = { up "a" .. "lunette.tools.filter(function() error 'oh' end)", "oh" },
      ["a rule, on a list that a session hasn't seen"] = { up "a" .. "lunette.prompts.filter(function() error 'oh' end)", "oh", seen = { "tools", "prompts" } },
      ["a rule, on what is known without a session"] = { up "a" .. "lunette.tools.filter(function() error 'oh' end)", "oh", gone = true },
      ["a rule, on the policy's own, that nobody has asked for"] = { "lunette.tools.filter(function() error 'oh' end) "
        .. "lunette.tools.add { name = 'own', handler = function() return 'x' end }", "oh", gone = true },
    }
    for what, row in pairs(rows) do
      it(what, function()
        local h = H.new("lunette.tools.hide 'nothing' lunette.configure { max_in_flight = 5 }", { server "a" })
        local s = watching(h, unpack(row.seen or { "tools" }))
        local gen, view, servers = h.host.gen, s.views[0], tonumber(H.driver.pl_count(h.host.servers))
        local policies = tonumber(H.driver.pl_count(h.host.policies))
        if row.gone then h:part(s) end
        local ok, why = h:try_reload(head .. "lunette.configure { max_in_flight = 6 } " .. row[1])
        assert.is_false(ok)
        if what ~= "no policy" then assert.is_truthy(why:find(row[2], 1, true), why) end
        h:run()
        assert.is_true(h.host.gen == gen)
        assert.same({ 5, 0, servers, policies }, { tonumber(h.host.settings.max_in_flight), tonumber(h.host.reloads),
          tonumber(H.driver.pl_count(h.host.servers)), tonumber(H.driver.pl_count(h.host.policies)) })
        assert.equal(0, h:count("a", "initialize"), "nothing is started anew")
        if row.gone then return end
        assert.is_true(s.gen == gen and s.views[0] == view)
        assert.same({}, h:heard(s))
        assert.equal('{"tools":[{"name":"t"}]}', (look(h, s, "tools")))
      end)
    end
  end)

  describe("with a server", function()
    local function reload(h, text)
      assert(h:try_reload(head .. text))
      h:run()
    end

    it("that is declared as before keeps its link and its lists", function()
      local h = H.new("", { server "a" })
      local s = watching(h, "tools")
      local channel, a = h:channel("a", s), h:server "a"
      reload(h, up("a", "timeout = 7, optional = true") .. "lunette.configure { max_in_flight = 6 }")
      assert.is_true(h:server "a" == a)
      assert.equal(channel, h:channel("a", s))
      assert.equal(7000, tonumber(a.conf.timeout_ms))
      assert.is_true(a.conf.optional)
      assert.equal(6, tonumber(h.host.settings.max_in_flight))
      assert.equal('{"tools":[{"name":"t"}]}', (look(h, s, "tools")))
      assert.same({}, h.asked)
      assert.equal(1, tonumber(h.host.reloads))
    end)

    it("that is declared otherwise is another, and the old link ends after its calls", function()
      local h = H.new("", { server "a" })
      local s = watching(h, "tools")
      local channel = h:channel("a", s)
      h:hear(H.request("tools/call", '{"name":"t"}', 1), s)
      reload(h, up("a", "args = { '1' }"))
      assert.equal(1, h:count("a", "initialize"))
      local another = h:channel("a", s)
      assert.are_not.equal(channel, another)
      assert.is_nil(h.gone[channel])
      h:heard(s)
      h:answer(h.held[1], '"result":{"n":1}')
      assert.same({ result(1, '{"n":1}') }, h:heard(s))
      assert.is_true(h.gone[channel])
      assert.is_nil(h.gone[another])
    end)

    it("that is declared no more ends it at once when nothing is under way", function()
      local h = H.new("", { server "a", server "b" })
      local s = watching(h, "tools")
      local a, b = h:channel("a", s), h:channel("b", s)
      reload(h, up "b")
      assert.is_true(h.gone[a])
      assert.is_nil(h.gone[b])
      assert.equal(1, tonumber(H.driver.pl_count(h.host.servers)))
      assert.same({ changed "tools" }, h:heard(s))
      assert.equal('{"tools":[{"name":"t"}]}', (look(h, s, "tools")))
      assert.equal(1, h:logged "its tools and prompts are called NAME from now on, no longer b_NAME")
    end)

    it("that is new is started once for clients of the same capabilities, and its lists told", function()
      local h = H.new("", { server "a" })
      local one, two, other = watching(h, "tools"), watching(h, "tools"), h:join '{"roots":{}}'
      h.by_name.b = server "b"
      reload(h, up "a" .. up "b")
      assert.equal(2, h:count("b", "initialize"), "one for each offer")
      for _, s in ipairs { one, two, other } do
        local told = {}
        for _, text in ipairs(h:heard(s)) do told[text] = true end
        assert.is_true(told[changed "tools"])
        assert.equal('{"tools":[{"name":"a_t"},{"name":"b_t"}]}', (look(h, s, "tools")))
      end
    end)

    it("that is declared otherwise learns what the client has subscribed to", function()
      local h = H.new("", { server "a" })
      local s = watching(h, "resources")
      h:hear(H.request("resources/subscribe", '{"uri":"u:r"}', 1), s)
      reload(h, up "a")
      assert.equal(1, h:count("a", "resources/subscribe"), "it knows")
      reload(h, up("a", "args = { '1' }"))
      assert.equal(2, h:count("a", "resources/subscribe"))
      assert.equal('{"uri":"u:r"}', h:last("a", "resources/subscribe").params)
    end)
  end)

  describe("tells a client of the lists that differ", function()
    -- Each row: the rules that come, and what is told.
    for rules, told in pairs {
      [""] = {},
      ["lunette.tools.hide 'other'"] = {},
      ["lunette.tools.hide 't'"] = { "tools" },
      ["lunette.resources.hide 'u:r'"] = { "resources" },
      ["lunette.resource_templates.hide 'u:{x}' lunette.resources.hide 'u:r'"] = { "resources" },
      ["lunette.prompts.hide 'p' lunette.tools.hide 't'"] = { "tools", "prompts" },
    } do
      it("under " .. (rules == "" and "the same rules" or rules), function()
        local h = H.new("", { server "a" })
        local s, few, early = watching(h, "tools", "resources", "templates", "prompts"), watching(h), h:connect()
        h:hear(H.request("initialize", '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{}}'), early)
        look(h, early, "tools", "prompts") -- and isn't initialized yet
        h:heard(early)
        h.asked = {}
        h:reload(rules, { server "a" })
        h:run()
        local want = {}
        for i, kind in ipairs(told) do want[i] = changed(kind) end
        assert.same({ want, {}, {} }, { h:heard(s), h:heard(few), h:heard(early) })
        assert.equal(0, h:count("a", "tools/list"), "none is fetched for it")
        h:reload(rules, { server "a" })
        h:run()
        assert.same({}, h:heard(s), "once")
      end)
    end

    it("page for page", function()
      local page = {}
      for i = 1, 900 do page[i] = ('{"name":"t%d"}'):format(i) end
      local a = server "a"
      a.tools = table.concat(page, ",")
      local h = H.new("lunette.configure { page_size = 100 }", { a })
      local s = watching(h, "tools")
      h:reload("lunette.configure { page_size = 100 } lunette.tools.hide 't900'", { a })
      h:run()
      assert.same({ changed "tools" }, h:heard(s), "the last")
    end)
  end)

  describe("leaves what is under way", function()
    local function answering(with)
      return ([[lunette.on("tools/call", "t", function(request, forward)
        local result = forward(request)
        result.content = { { type = "text", text = %q } }
        return result
      end)]]):format(with)
    end

    it("with the policy that it began under, which goes when that has ended", function()
      local h = H.new(answering "old", { server "a" })
      local s = watching(h, "tools")
      h:hear(H.request("tools/call", '{"name":"t"}', 1), s)
      h:reload(answering "new", { server "a" })
      h:hear(H.request("tools/call", '{"name":"t"}', 2), s)
      assert.equal(2, #h.held)
      assert.equal(2, tonumber(H.driver.pl_count(h.host.policies)))
      h:answer(h.held[1], '"result":{"content":[]}')
      assert.equal("old", h:heard(s)[1]:match '"text":"(%w+)"')
      assert.equal(1, tonumber(H.driver.pl_count(h.host.policies)))
      h:answer(h.held[2], '"result":{"content":[]}')
      assert.equal("new", h:heard(s)[1]:match '"text":"(%w+)"')
    end)

    it("with that policy's names and handlers, also when these are still to come", function()
      local h = H.new("lunette.tools.rename { t = 'was' } " .. answering "old":gsub('"t"', '"was"'), { server "a" })
      local s = h:join()
      h.by_name.a.on["tools/list"] = held
      h:hear(H.request("tools/call", '{"name":"was"}', 1), s)
      assert.equal("tools/list", h.held[1].method)
      h:reload(answering "new", { server "a" })
      h.by_name.a.on["tools/list"] = nil
      h:answer(h.held[1], '"result":{"tools":[{"name":"t"}]}')
      assert.equal('{"name":"t"}', h:last("a", "tools/call").params)
      h:heard(s)
      h:answer(h.held[2], '"result":{"content":[]}')
      assert.equal("old", h:heard(s)[1]:match '"text":"(%w+)"')
    end)

    it("with its server, under its name then", function()
      local h = H.new("", { server "a", server "b" })
      local s = watching(h, "tools")
      h:hear(H.request("tools/call", '{"name":"a_t"}', 1), s)
      local a = h:channel("a", s)
      h:reload("", { server "b" })
      h:run()
      h:heard(s)
      assert.is_nil(h.gone[a])
      h:answer(h.held[1], '"result":{}')
      assert.same({ result(1) }, h:heard(s))
      assert.is_true(h.gone[a])
    end)
  end)
end)
