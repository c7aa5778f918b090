-- src/proxy/lists/fetch.c: getting what an index lacks; when a server says that a list has changed, and when nobody
-- could have heard so.
local H = require "spec.unit.proxy.host"
local lib, ffi = H.lib, H.ffi

describe("fetching a list", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  local changed = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
  local function held() return false end
  local function tool(name) return ('{"name":"%s"}'):format(name) end
  local function page(name, next) return ('"result":{"tools":[%s]%s}'):format(tool(name), next and ',"nextCursor":' .. next or "") end

  -- One that is under way: its answer, which is .there once it is.
  local function begin(h, kind, session)
    local a = H.driver.pl_listing(h.rig, session or h:client(), h:server "a", H.kinds[kind or "tools"])
    h:run()
    return a
  end

  local function why(a) return a.there and a.listing == nil and ffi.string(a.why) end

  describe("asks for", function()
    it("nothing that is not promised: such a list is empty", function()
      local h = H.new("", { { "a", capabilities = '{"tools":{}}' } })
      for _, kind in ipairs { "resources", "templates", "prompts" } do assert.same({}, h:listing("a", kind), kind) end
      assert.same({}, h:listing("a", "tools"))
      assert.equal(1, h:count("a", "tools/list"))
      assert.equal(3, #h.asked, "initialize, initialized and one list")
    end)

    it("each list once, whoever asks and however many at once", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = held } } })
      local one, two = h:join(), h:join()
      local waiting = {}
      for i = 1, 6 do waiting[i] = begin(h, "tools", i % 2 == 0 and one or two) end
      assert.equal(1, h:count("a", "tools/list"))
      h:answer(h.held[1], page "x")
      for _, a in ipairs(waiting) do
        assert.same({ tool "x" }, H.items(a.listing))
        assert.is_true(a.listing == waiting[1].listing)
      end
      assert.is_true(begin(h, "tools", h:join()).listing == waiting[1].listing)
      assert.equal(1, h:count("a", "tools/list"))
    end)

    it("all pages, with the server's own cursors, to the byte", function()
      local cursors = { '"\\u0061 \\"b\\""', '""', '"' .. ("c"):rep(5000) .. '"' }
      local h = H.new("", { { "a", on = { ["tools/list"] = function(_, n) return page("t" .. n, cursors[n]) end } } })
      assert.same({ tool "t1", tool "t2", tool "t3", tool "t4" }, h:listing("a", "tools"))
      local asked = {}
      for _, request in ipairs(h.asked) do
        if request.method == "tools/list" then asked[#asked + 1] = request.params or "none" end
      end
      assert.same({ "none", '{"cursor":' .. cursors[1] .. "}", '{"cursor":""}', '{"cursor":' .. cursors[3] .. "}" }, asked)
    end)

    it("no page after one whose cursor is no string", function()
      for _, cursor in ipairs { "null", "1", "true", "{}", "[]" } do
        local h = H.new("", { { "a", on = { ["tools/list"] = function(_, n) return page("t" .. n, cursor) end } } })
        assert.same({ tool "t1" }, h:listing("a", "tools"), cursor)
      end
    end)

    it("no more than 1,000 pages", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = function(_, n) return page("t" .. n, '"c' .. n .. '"') end } } })
      assert.equal(1000, #h:listing("a", "tools"))
      assert.equal(1000, h:count("a", "tools/list"))
      assert.equal(1, h:logged "its tools/list has pages without end: stopped after 1000")
    end)

    for name, round in pairs {
      ["the same for ever"] = { 2, function() return '"c"' end },
      ["in turn"] = { 4, function(n) return '"c' .. n % 3 .. '"' end },
      ["that lead back to the beginning's"] = { 2, function() return '""' end },
      ["that go round after a while"] = { 7, function(n) return '"c' .. (n < 4 and n or 4 + n % 3) .. '"' end },
    } do
      it("no more pages where cursors come again: " .. name, function()
        local h = H.new("", { { "a", on = { ["tools/list"] = function(_, n) return page("t" .. n, round[2](n)) end } } })
        local items = h:listing("a", "tools")
        assert.equal(round[1], #items)
        assert.equal(#items, h:count("a", "tools/list"))
        assert.equal(1, h:logged "has pages without end")
      end)
    end
  end)

  describe("that fails", function()
    it("because the server lacks the method is an empty list, which is kept", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = function() return '"error":{"code":-32601,"message":"no"}' end } } })
      assert.same({}, h:listing("a", "tools"))
      assert.same({}, h:listing("a", "tools"))
      assert.equal(1, h:count("a", "tools/list"))
    end)

    it("says what the server said, and is tried again with the next need", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = function(_, n)
        return n < 3 and '"error":{"code":-32000,"message":"not \\u006eow"}' or page "x"
      end } } })
      for i = 1, 2 do
        assert.equal("its list is refused (error -32000)\nnot now", why(begin(h)), i)
        assert.equal(i, h:logged "tools/list failed: its list is refused (error -32000)")
        assert.equal(i, h:logged "not now")
      end
      assert.same({ tool "x" }, h:listing("a", "tools"))
      assert.is_false(lib.ln_index_in_backoff(h:index "a", 0))
    end)

    it("because a page is none says so, and keeps nothing of those before", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = function(_, n)
        return n % 2 == 1 and page("x", '"c"') or '"result":{"items":[]}'
      end } } })
      assert.equal("its list is unusable: the peer broke the protocol", why(begin(h)))
      assert.equal(2, h:count("a", "tools/list"))
      assert.equal("its list is unusable: the peer broke the protocol", why(begin(h)))
      assert.equal(4, h:count("a", "tools/list"))
    end)

    it("because the server has gone between two pages", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = function(_, n) return n == 1 and page("x", '"c"') or n > 2 and page "y" end } } })
      local a = begin(h)
      assert.is_false(a.there)
      h:hang_up "a"
      assert.equal('Server "a": it hung up', why(a))
      assert.same({ tool "y" }, h:listing("a", "tools"))
    end)

    it("under another session is tried again in one's own, once", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = held } } })
      local one, two = h:join(), h:join()
      local a, b = begin(h, "tools", one), begin(h, "tools", two)
      h:call("a", "ping", "{}", two) -- has its own link
      local c = begin(h, "tools", two)
      h:answer(h.held[1], '"error":{"code":1,"message":"first"}')
      assert.equal("its list is refused (error 1)\nfirst", why(a))
      assert.is_false(b.there or c.there)
      assert.equal(2, h:count("a", "tools/list"))
      assert.is_false(h.held[1].channel == h.held[2].channel)
      h:answer(h.held[2], '"error":{"code":1,"message":"second"}')
      assert.equal("its list is refused (error 1)\nsecond", why(b))
      assert.equal("its list is refused (error 1)\nsecond", why(c))
      assert.equal(2, h:count("a", "tools/list"))
    end)

    it("under two others is not tried a third time", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = held } } })
      local waiting = {}
      for i = 1, 3 do waiting[i] = begin(h, "tools", h:join()) end
      h:answer(h.held[1], '"error":{"code":1,"message":"first"}')
      h:answer(h.held[2], '"error":{"code":1,"message":"second"}')
      assert.equal("its list is refused (error 1)\nfirst", why(waiting[1]))
      assert.equal("its list is refused (error 1)\nsecond", why(waiting[2]))
      assert.equal("its list is refused (error 1)", why(waiting[3]), "it was said to the second")
      assert.equal(2, h:count("a", "tools/list"))
    end)

    it("with the session that began it, and goes on with the next that waits", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = function(_, n) return n > 1 and page "x" end } } })
      local one, two = h:join(), h:join()
      local a, b = begin(h, "tools", one), begin(h, "tools", two)
      h:part(one)
      assert.is_truthy(why(a))
      assert.same({ tool "x" }, H.items(b.listing))
    end)

    it("at a server that can't be started, and not again at once", function()
      local h = H.new("", { { "a", on = { initialize = function() return '"error":{"code":1,"message":"go away"}' end } } })
      assert.equal("refused initialize: go away", why(begin(h)))
      -- The next ones get no words that were for another.
      for _ = 1, 2 do assert.equal("refused initialize (error 1)", why(begin(h))) end
      assert.equal(1, h:count("a", "initialize"))
    end)

    it("for a session that ended while the server was starting", function()
      local h = H.new("", { { "a", options = "session = 'shared'", on = { initialize = held } } })
      local s = h:join()
      local a = begin(h, "tools", s)
      h:part(s)
      h:answer(h.held[1], '"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}}')
      assert.equal("the session has ended", why(a))
      assert.equal(0, h:count("a", "tools/list"))
    end)
  end)

  describe("that changed", function()
    it("while it was fetched is fetched once more, and nobody gets the first", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = held } } })
      local a = begin(h)
      h:heard()
      h:say("a", changed)
      h:run()
      assert.same({ changed }, h:heard(h:client()))
      h:answer(h.held[1], page "old")
      assert.is_false(a.there)
      local b = begin(h)
      h:answer(h.held[2], page "new")
      assert.same({ tool "new" }, H.items(a.listing))
      assert.same({ tool "new" }, H.items(b.listing))
      assert.equal(2, h:count("a", "tools/list"))
    end)

    it("each time that it was fetched is given as it was the second time, and asked for again by who lists next", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = held } } })
      local a = begin(h)
      local function again(i)
        h:say("a", changed)
        h:answer(h.held[i], page("t" .. i))
      end
      again(1)
      assert.is_false(a.there)
      again(2)
      assert.same({ tool "t2" }, H.items(a.listing))
      assert.equal(2, h:count("a", "tools/list"), "not in a circle")
      local b = H.driver.pl_fetch_again(h.rig, h:client(), h:server "a", H.kinds.tools)
      h:run()
      h:answer(h.held[3], page "t3")
      assert.is_true(b.there and b.differs)
      assert.same({ tool "t3" }, h:listing("a", "tools"))
    end)

    it("before anybody had asked for it is passed on, and nothing is asked", function()
      local h = H.new("", { { "a" } })
      h:call("a", "ping", "{}")
      h:heard()
      h:say("a", changed)
      h:run()
      assert.same({ changed }, h:heard(h:client()))
      assert.equal(0, h:count("a", "tools/list"))
    end)

    it("is there before the client hears so", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = function(_, n) return n == 1 and page "x" end } } })
      h:listing("a", "tools")
      h:heard()
      h:say("a", changed)
      h:run()
      assert.same({}, h:heard(h:client()))
      h:answer(h.held[1], page "y")
      assert.same({ changed }, h:heard(h:client()))
      assert.same({ tool "y" }, h:listing("a", "tools"))
      assert.equal(2, h:count("a", "tools/list"))
    end)

    it("and can't be had stays what it was", function()
      local h = H.new("", { { "a", on = { ["tools/list"] = function(_, n)
        return n == 1 and page "x" or '"error":{"code":1,"message":"no"}'
      end } } })
      h:listing("a", "tools")
      h:say("a", changed)
      h:run()
      assert.same({ tool "x" }, h:listing("a", "tools"))
      assert.equal(1, h:logged "a changed list could not be fetched: its list is refused (error 1)")
    end)

    it("is asked for in the link that said so, for each of its kinds", function()
      local h = H.new("", { { "a", resources = '{"uri":"x:1"}', templates = '{"uriTemplate":"x:{y}"}' } })
      h:listing("a", "resources")
      h:listing("a", "templates")
      h:say("a", '{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}')
      h:run()
      assert.equal(2, h:count("a", "resources/list"))
      assert.equal(2, h:count("a", "resources/templates/list"))
      assert.equal(0, h:count("a", "prompts/list"))
    end)

    it("says whether it differs, at once where nothing is known", function()
      local h = H.new("", { { "a", tools = tool "x" } })
      h:call("a", "ping", "{}")
      local function differs()
        local a = H.driver.pl_fetch_changed(h.rig, lib.ln_pool_current(h:client(), h:server "a"), 0)
        h:run()
        assert.is_true(a.there)
        return a.differs
      end
      assert.is_true(differs())
      h:listing("a", "tools")
      assert.is_false(differs())
      h.by_name.a.tools = tool "y"
      assert.is_true(differs())
      assert.is_false(differs())
    end)
  end)

  describe("again, of an HTTP server", function()
    local quiet = '{"tools":{},"resources":{}}' -- announces nothing

    -- What becomes of it: "asked", "differs" or "same".
    local function again(h, session, kind)
      local a = H.driver.pl_fetch_again(h.rig, session or h:client(), h:server "a", H.kinds[kind or "tools"])
      if a == nil then return "not asked" end
      h:run()
      return a.there and (a.differs and "differs" or "same") or "asked"
    end

    local function http(rules, server)
      server[1], server.url = "a", "http://127.0.0.1:9/mcp"
      return H.new(rules .. " lunette.configure { list_max_age = 0 }", { server })
    end

    it("is done where its lists are older than they may be and nobody would hear", function()
      local h = http("", { capabilities = quiet, tools = tool "x" })
      assert.equal("not asked", again(h), "nothing is known yet")
      h:listing("a", "tools")
      assert.equal("same", again(h))
      h.by_name.a.tools = tool "y"
      assert.equal("differs", again(h))
      assert.same({ tool "y" }, h:listing("a", "tools"))
      assert.equal("not asked", again(h, nil, "prompts"), "which it doesn't promise")
      h:listing("a", "prompts")
      assert.equal("not asked", again(h, nil, "prompts"))
    end)

    it("is not done while they are young", function()
      local h = H.new("", { { "a", url = "http://127.0.0.1:9/mcp", capabilities = quiet } })
      h:listing("a", "tools")
      assert.equal("not asked", again(h))
    end)

    it("is not done where an open link would tell, unless that hears nothing", function()
      local h = http("", { tools = tool "x" })
      h:listing("a", "tools")
      assert.equal("not asked", again(h))
      H.driver.pl_deaf(h.rig, h.by_name.a.channel, true)
      assert.equal("same", again(h))
    end)

    it("is done of a child that tells nothing, in the link that listed it, and else in one's own", function()
      local h = H.new("lunette.configure { list_max_age = 0 }", { { "a", capabilities = quiet, tools = tool "x" } })
      local one, two = h:join(), h:join()
      h:listing("a", "tools", one)
      h:listing("a", "tools", two)
      local first = h:last("a", "tools/list").channel
      assert.equal("same", again(h, two))
      assert.equal(first, h:last("a", "tools/list").channel)
      h:call("a", "tools/call", '{"name":"x"}', one)
      assert.equal("same", again(h, two))
      assert.is_false(first == h:last("a", "tools/list").channel, "what a used one lists is nobody else's")
      assert.equal("same", again(h, one))
      assert.equal(first, h:last("a", "tools/list").channel)
    end)

    it("is done once for all who ask meanwhile", function()
      local h = http("", { capabilities = quiet, on = { ["tools/list"] = held } })
      local one, two = h:join(), h:join()
      begin(h, "tools", one)
      h:answer(h.held[1], page "x")
      begin(h, "tools", two)
      local waiting = {}
      for i, s in ipairs { one, two, one } do waiting[i] = H.driver.pl_fetch_again(h.rig, s, h:server "a", 0) end
      h:run()
      assert.equal(2, h:count("a", "tools/list"))
      h:answer(h.held[2], page "y")
      for i = 1, 3 do assert.is_true(waiting[i].there and waiting[i].differs, i) end
      assert.same({ tool "y" }, h:listing("a", "tools", two))
    end)

    it("is not done while it is fetched for the first time", function()
      local h = http("", { capabilities = quiet, on = { ["tools/list"] = held } })
      begin(h)
      assert.equal("not asked", again(h))
      h:answer(h.held[1], page "x")
      assert.equal("asked", again(h))
    end)

    it("keeps what was known when it fails", function()
      local h = http("", { capabilities = quiet, on = { ["tools/list"] = function(_, n)
        return n == 1 and page "x" or '"error":{"code":1,"message":"no"}'
      end } })
      h:listing("a", "tools")
      assert.equal("same", again(h))
      assert.same({ tool "x" }, h:listing("a", "tools"))
    end)

    it("changes it for all who share it; who has no open link is told", function()
      local h = http("", { capabilities = quiet, tools = tool "x" })
      local one, two, three = h:join(), h:join(), h:join()
      h:listing("a", "tools", one)
      h:listing("a", "tools", two)
      h:open("a", three)
      h:listing("a", "tools", three)
      h:hang_up("a", 1)
      local index = h:index("a", one)
      h.by_name.a.tools = tool "y"
      h:heard()
      assert.equal("differs", again(h, three))
      for _, s in ipairs { one, two, three } do
        assert.is_true(h:index("a", s) == index)
        assert.same({ tool "y" }, h:listing("a", "tools", s))
      end
      assert.equal(1, #h:heard(one))
      assert.equal(0, #h:heard(three), "who asked knows")
    end)

    it("tells all who share the one link with it but who asked", function()
      local h = http("", { capabilities = quiet, tools = tool "x", options = "session = 'shared'" })
      local one, two = h:join(), h:join()
      h:listing("a", "tools", one)
      h:listing("a", "tools", two)
      h.by_name.a.tools = tool "y"
      h:heard()
      assert.equal("differs", again(h, one))
      assert.same({}, h:heard(one))
      assert.same({ changed }, h:heard(two))
    end)

    it("makes those forget it who know something else, of other capabilities", function()
      local h = http("", { capabilities = quiet, tools = tool "x" })
      local one, two = h:join(), h:join '{"roots":{}}'
      h:listing("a", "tools", one)
      h:listing("a", "tools", two)
      local index = h:index("a", two)
      h.by_name.a.tools = tool "y"
      assert.equal("differs", again(h, one))
      assert.is_true(h:index("a", two) == index, "its link is open, and has not told")
      local late = h:join '{"roots":{}}'
      h:listing("a", "tools", late)
      assert.equal("differs", again(h, late))
      assert.same({ tool "y" }, h:listing("a", "tools", late))
      assert.is_true(h:index("a", late) == index)
    end)
  end)
end)
