-- src/proxy/lists/index.c and share.c: what a server offers to a client, and which sessions share that.
local H = require "spec.unit.proxy.host"
local lib, ffi = H.lib, H.ffi

describe("an index", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  local function shared(h, name) return tonumber(H.driver.pl_count(h:server(name).indexes)) end

  -- A session that has asked for a list, and the index that it sees.
  local function joined(h, capabilities, name)
    local s = h:join(capabilities)
    h:listing(name or "a", "tools", s)
    return s, h:index(name or "a", s)
  end

  -- It has used something.
  local function use(h, session) h:call("a", "tools/call", '{"name":"x"}', session) end

  -- Its client lists: whether what it saw is another now; nil: nobody was asked.
  local function again(h, session)
    local a = H.driver.pl_fetch_again(h.rig, session, h:server "a", 0)
    if a == nil then return nil end
    h:run()
    assert(a.there, "no answer yet")
    return a.differs
  end

  -- Our own words for it too.
  local changed = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'

  describe("is shared", function()
    it("by sessions of the same capabilities, to the byte, and by no others", function()
      local h = H.new("", { { "a" } })
      local _, one = joined(h, '{"roots":{}}')
      local _, same = joined(h, '{"roots":{}}')
      local _, spaced = joined(h, '{"roots": {}}')
      local _, other = joined(h, '{"roots":{},"sampling":{}}')
      local _, none = joined(h, "{}")
      assert.is_true(one == same)
      local all = { one, spaced, other, none }
      for i = 1, 4 do
        for j = i + 1, 4 do
          assert.is_false(all[i] == all[j])
          assert.is_false(lib.ln_index_same_key(all[i], all[j]))
        end
      end
      assert.equal(4, shared(h, "a"))
      assert.equal(4, h:count("a", "tools/list"))
    end)

    it("by sessions that differ in what the policy answers for both", function()
      local h = H.new("lunette.sampling(function() end)", { { "a" } })
      local _, one = joined(h, "{}")
      local _, two = joined(h, '{"sampling":{}}')
      assert.truthy(H.str(one.init_request.params):find('"capabilities":{"sampling":{}}', 1, true))
      assert.is_true(one == two)
    end)

    it("per server", function()
      local h = H.new("", { { "a" }, { "b" } })
      local s = joined(h, "{}")
      h:listing("b", "tools", s)
      assert.is_false(h:index("a", s) == h:index("b", s))
    end)

    it("past the end of the session that had it first", function()
      local h = H.new("", { { "a", tools = '{"name":"x"}' } })
      local first = joined(h)
      h:part(first)
      h.by_name.a.tools = '{"name":"y"}'
      local s = h:join()
      assert.same({ '{"name":"x"}' }, h:listing("a", "tools", s))
      assert.equal(1, h:count("a", "tools/list"))
    end)

    it("by 64 of a server at most: the one that nobody has come for longest is the first to go", function()
      local h = H.new("", { { "a" } })
      local function of(i) return ('{"experimental":{"x":{"n":%d}}}'):format(i) end
      local _, first = joined(h, of(1))
      local _, second = joined(h, of(2))
      for i = 3, 64 do joined(h, of(i)) end
      assert.equal(64, shared(h, "a"))
      local _, same = joined(h, of(1))
      assert.is_true(first == same)
      joined(h, of(65))
      assert.equal(64, shared(h, "a"))
      assert.is_true(first == select(2, joined(h, of(1))))
      assert.is_false(second == select(2, joined(h, of(2))))
    end)
  end)

  describe("of a server that", function()
    it("says it is another is another's: who comes from then on shares what it lists now", function()
      local h = H.new("", { { "a", tools = '{"name":"x"}' } })
      local one, index = joined(h)
      h.by_name.a.info, h.by_name.a.tools = '{"name":"s","version":"2"}', '{"name":"y"}'
      local two, fresh = joined(h)
      assert.is_false(index == fresh)
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", two))
      assert.is_true(h:index("a", one) == index, "its own server is still the old one")
      assert.same({ '{"name":"x"}' }, h:listing("a", "tools", one))
      assert.equal(1, shared(h, "a"))
      assert.is_true(fresh == select(2, joined(h)))
    end)

    it("says the same is the same", function()
      local h = H.new("", { { "a", info = '{"name":"s"}' } })
      local _, index = joined(h)
      assert.is_true(index == select(2, joined(h)))
    end)

    it("hung up is kept for its session, and asked again when it is there again", function()
      local h = H.new("", { { "a", tools = '{"name":"x"}' } })
      local s, index = joined(h)
      h.by_name.a.tools = '{"name":"y"}'
      h:hang_up "a"
      h:heard()
      assert.is_true(h:index("a", s) == index)
      assert.same({ '{"name":"x"}' }, h:listing("a", "tools", s))
      use(h, s)
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", s))
      assert.same({ changed }, h:heard(s))
      local late = h:join()
      h:listing("a", "tools", late)
      assert.is_true(again(h, late), "the list went with who had listed it")
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", late))
    end)
  end)

  describe("is a session's own", function()
    it("from its first use on, whatever that is, and the others' stays", function()
      for method, params in pairs { ["tools/call"] = '{"name":"x"}', ["resources/read"] = '{"uri":"u:x"}', ["prompts/get"] = '{"name":"x"}',
        ["resources/subscribe"] = '{"uri":"u:x"}', ["logging/setLevel"] = '{"level":"info"}', ["x/unknown"] = "{}" } do
        local h = H.new("", { { "a", tools = '{"name":"x"}' } })
        local one, index = joined(h)
        local two = joined(h)
        h:call("a", method, params, two)
        local own = h:index("a", two)
        assert.is_true(own.own, method)
        assert.is_false(own == index)
        assert.is_true(own.listings[0] == index.listings[0], "what is the same is in memory once")
        assert.is_true(h:index("a", one) == index)
        assert.is_false(index.own)
        assert.equal(1, shared(h, "a"))
        assert.is_true(lib.ln_index_same_key(own, index))
      end
    end)

    it("not for a ping, a list or a completion", function()
      local h = H.new("", { { "a", tools = '{"name":"x"}' } })
      local s, index = joined(h)
      for _, method in ipairs { "ping", "tools/list", "completion/complete" } do
        h:call("a", method, "{}", s)
        assert.is_true(h:index("a", s) == index, method)
      end
    end)

    it("and what its own session lists then is nobody else's", function()
      for _, capabilities in ipairs { '{"tools":{"listChanged":true}}', '{"tools":{}}' } do
        local h = H.new("lunette.configure { list_max_age = 0 }", { { "a", capabilities = capabilities, tools = '{"name":"x"}' } })
        local one = joined(h)
        local two = joined(h)
        use(h, two)
        h.by_name.a.tools = '{"name":"y"}'
        assert.is_true(again(h, two), "it has never listed itself")
        assert.same({ '{"name":"y"}' }, h:listing("a", "tools", two))
        assert.same({ '{"name":"x"}' }, h:listing("a", "tools", one))
        assert.same({ '{"name":"x"}' }, h:listing("a", "tools", h:join()))
      end
    end)

    it("where the list was being fetched while it was used: who waits besides asks for itself", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = function() return false end } } })
      local one, two = h:join(), h:join()
      local a = H.driver.pl_listing(h.rig, one, h:server "a", 0)
      h:run()
      local b = H.driver.pl_listing(h.rig, two, h:server "a", 0)
      use(h, one)
      h:answer(h.held[1], '"result":{"tools":[{"name":"mine"}]}')
      assert.same({ '{"name":"mine"}' }, H.items(a.listing))
      assert.is_false(b.there)
      h:answer(h.held[2], '"result":{"tools":[{"name":"x"}]}')
      assert.same({ '{"name":"x"}' }, H.items(b.listing))
      assert.is_false(h.held[1].channel == h.held[2].channel)
    end)

    it("before there was any, when it was used first", function()
      local h = H.new("", { { "a", tools = '{"name":"x"}' } })
      local s = h:join()
      use(h, s)
      assert.is_true(h:index("a", s).own)
      h:listing("a", "tools", s)
      h.by_name.a.tools = '{"name":"y"}'
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", h:join()))
    end)
  end)

  describe("that changes before it was used for anything", function()
    it("is everybody's: servers complete their lists when they learn of the client", function()
      local h = H.new("", { { "a", tools = '{"name":"x"}' } })
      local one, index = joined(h)
      h.by_name.a.tools = '{"name":"x"},{"name":"y"}'
      h:say("a", changed)
      h:run()
      assert.is_true(h:index("a", one) == index)
      assert.equal(2, #h:listing("a", "tools", h:join()))
    end)

    -- Two clients with links of their own that have used nothing; which answers n-th to each is up to the test.
    local function two_links(answers)
      local h = H.new("", { { "a", on = { ["tools/list"] = function(_, _, channel)
        return '"result":{"tools":[{"name":"' .. answers[channel]() .. '"}]}'
      end } } })
      answers[1] = function() return "x" end
      local one, index = joined(h)
      local two = h:join()
      h:open("a", two)
      return h, one, two, index
    end

    it("for another's link, too, where it changed for the first as well", function()
      local answers = {}
      local h, one, two, index = two_links(answers)
      answers[1], answers[2] = function() return "y" end, function() return "y" end
      h:say("a", changed, h:channel("a", two))
      h:run()
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", one))
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", two))
      assert.is_true(h:index("a", one) == index)
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", h:join()))
      assert.equal(0, h:logged "is not shared between clients")
    end)

    it("for another's link, when the first has used something, is everybody's who has not", function()
      local answers = {}
      local h, one, two, index = two_links(answers)
      use(h, one)
      answers[2] = function() return "y" end
      h:say("a", changed, h:channel("a", two))
      h:run()
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", two))
      assert.same({ '{"name":"x"}' }, h:listing("a", "tools", one))
      assert.is_true(h:index("a", two) == index)
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", h:join()))
      assert.equal(0, h:logged "is not shared between clients")
    end)

    it("and nobody says so, when the first has used something, ends all sharing", function()
      local answers = {}
      local h, one, two = two_links(answers)
      use(h, one)
      answers[2] = function() return "y" end
      local third = h:join()
      h:listing("a", "tools", third)
      h.host.settings.list_max_age_ms = 0
      assert.is_true(again(h, two))
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", two))
      assert.equal(1, h:logged "is not shared between clients")
      assert.is_true(h:index("a", third).own)
      assert.is_true(h:index("a", third).listings[0] == nil, "it asks for itself when it needs it")
    end)

    it("for another's link alone, for good, ends all sharing", function()
      local answers = {}
      local h, one, two = two_links(answers)
      answers[2] = function() return "y" end
      h:say("a", changed, h:channel("a", two))
      h:run()
      assert.same({ '{"name":"y"}' }, h:listing("a", "tools", two))
      assert.same({ '{"name":"x"}' }, h:listing("a", "tools", one))
      assert.equal(1, h:logged "is not shared between clients")
      assert.equal(0, shared(h, "a"))
      answers[3] = function() return "z" end
      assert.same({ '{"name":"z"}' }, h:listing("a", "tools", h:join()))
    end)

    it("for another's link, and changes on, is that one's, and no verdict", function()
      local answers = {}
      local h, one, two = two_links(answers)
      local n = 0
      answers[2] = function() n = n + 1 return "y" .. n end
      h:say("a", changed, h:channel("a", two))
      h:run()
      assert.same({ '{"name":"y2"}' }, h:listing("a", "tools", two))
      assert.same({ '{"name":"x"}' }, h:listing("a", "tools", one))
      assert.equal(0, h:logged "is not shared between clients")
      assert.same({ '{"name":"x"}' }, h:listing("a", "tools", h:join()))
    end)
  end)

  it("is shared by nobody from the reload on that says so, and the server keeps its sessions", function()
    local h = H.new("", { { "a", tools = '{"name":"x"}' } })
    local one, two = h:join(), h:join() -- the second has no link
    h:listing("a", "tools", one)
    local index = h:index("a", two)
    h:listing("a", "tools", two)
    h:heard(two)
    h:reload("", { { "a", tools = '{"name":"x"}', options = "lists = 'own'" } })
    h:run()
    assert.equal(0, shared(h, "a"))
    assert.is_true(h:index("a", one).own, "it was listed in its own link")
    assert.is_true(h:index("a", one).listings[0] == index.listings[0])
    assert.is_nil(h:index("a", two))
    assert.same({ changed }, h:heard(two))
    h.by_name.a.tools = '{"name":"y"}'
    assert.same({ '{"name":"y"}' }, h:listing("a", "tools", two))
    assert.same({ '{"name":"x"}' }, h:listing("a", "tools", one))
    assert.equal(2, h:count("a", "initialize"))
    assert.equal(0, h:logged "is not shared between clients")
    h:reload("", { { "a", tools = '{"name":"y"}' } })
    joined(h)
    assert.equal(1, shared(h, "a"))
  end)

  describe("of a server that all share", function()
    it("is one for all, whatever they offer, and its changes are everybody's", function()
      local h = H.new("", { { "a", tools = '{"name":"x"}', options = "session = 'shared'" } })
      local one, two = h:join '{"roots":{}}', h:join '{"sampling":{}}'
      h:listing("a", "tools", one)
      local index = h:index("a", one)
      assert.is_true(index == h:index("a", two))
      assert.is_nil(H.str(index.init_request.params):find("roots", 1, true))
      h:call("a", "tools/call", '{"name":"x"}', one)
      h.by_name.a.tools = '{"name":"y"}'
      h:heard()
      h:say("a", changed)
      h:run()
      for _, s in ipairs { one, two } do
        assert.same({ '{"name":"y"}' }, h:listing("a", "tools", s))
        assert.same({ changed }, h:heard(s))
      end
      assert.is_true(h:index("a", one) == h:index("a", two))
    end)
  end)

  it("taken out of the shared ones stays with who has it", function()
    local h = H.new("", { { "a" } })
    local one, index = joined(h)
    lib.ln_index_retire(index)
    assert.equal(0, shared(h, "a"))
    lib.ln_index_retire(index) -- once more is nothing
    assert.is_true(h:index("a", one) == index)
    local _, fresh = joined(h)
    assert.is_false(index == fresh)
  end)

  it("offers what the server's capabilities promise, as objects and in no other way", function()
    for capabilities, expected in pairs {
      ["{}"] = "", ['{"tools":{}}'] = "tools", ['{"resources":{},"prompts":{}}'] = "prompts resources templates",
      ['{"tools":null}'] = "", ['{"tools":false,"resources":[],"prompts":"x"}'] = "", ['{"tools":1,"tools":{}}'] = "tools",
      ["[]"] = "", ["null"] = "", ["7"] = "", ['"tools"'] = "", ['{"x":{"tools":{}}}'] = "", ['{"t\\u006fols":{}}'] = "tools",
    } do
      local h = H.new("", { { "a", capabilities = capabilities } })
      h:call("a", "ping", "{}")
      local offers = {}
      for kind, n in pairs(H.kinds) do
        if lib.ln_index_offers(h:index "a", n) then offers[#offers + 1] = kind end
        assert.equal(lib.ln_index_any_has(h:client(), kind), lib.ln_index_offers(h:index "a", n) and kind ~= "templates")
      end
      table.sort(offers)
      assert.equal(expected, table.concat(offers, " "), capabilities)
    end
  end)

  it("of which nothing is known could have everything", function()
    local h = H.new("", { { "a", capabilities = "{}" }, { "b", on = { initialize = function() return false end } } })
    h:call("a", "ping", "{}")
    assert.is_true(lib.ln_index_any_has(h:client(), "tools"))
    assert.is_nil(h:index "b")
  end)

  it("is hopeless as long as its list failed a moment ago, for calls; or has been waited for too long, for all", function()
    local h = H.new("lunette.configure { start_timeout = 0.03 }",
      { { "a", on = { ["tools/list"] = function(_, n) return n == 1 and '"error":{"code":1,"message":"no"}' end } } })
    local function failed(kind) return lib.ln_index_in_backoff(h:index "a", H.kinds[kind or "tools"]) end
    local function hopeless() return lib.ln_index_late(h:index "a", H.kinds.tools) end
    assert.is_nil((h:listing("a", "tools")))
    assert.is_true(failed())
    assert.is_false(hopeless())
    assert.is_false(failed "prompts")
    pcall(h.listing, h, "a", "tools") -- which stays unanswered
    assert.is_false(failed())
    assert.is_false(hopeless())
    h:wait(hopeless)
    assert.is_false(failed())
    h:answer(h.held[1], '"result":{"tools":[]}')
    assert.is_false(hopeless())
  end)

  it("goes with the session, the server and the host, whoever is last", function()
    local h = H.new("", { { "a" }, { "b" } })
    local one = joined(h)
    local two = joined(h, '{"roots":{}}')
    h:listing("b", "tools", two)
    h:part(one)
    h:reload("", { { "b" } })
    h:run()
    assert.is_truthy(h:index("b", two))
    assert.equal(1, shared(h, "b"))
    assert.equal(1, tonumber(H.driver.pl_count(h.host.servers)), "a has gone, with what was known of it")
  end)

  it("is nothing to who has none", function()
    lib.ln_index_unref(nil)
    local h = H.new("", { { "a" } })
    assert.is_nil(h:index "a")
    assert.is_true(lib.ln_index_find(h:server "a", ffi.new "struct ln_str") == nil)
  end)
end)
