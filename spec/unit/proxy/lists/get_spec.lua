-- src/proxy/lists/view_get.c: the view of a session, made of lists that are fetched first, or another's that sees the
-- same.
local H = require "spec.unit.proxy.host"
local lib, ffi = H.lib, H.ffi

describe("the view of a session", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  local per_client = "lunette.tools.filter(function(t, ctx) return t.name ~= ctx.session.client.name end)"
  local function held() return false end

  -- One that is under way: its answer.
  local function begin(h, kind, session, use)
    local a = H.driver.pl_view(h.rig, session or h:client(), H.kinds[kind or "tools"], use or 1)
    h:run()
    return a
  end

  local function shown(a) return (H.page_of(a.view)) end

  describe("is made once", function()
    it("for all that see the same lists, and as long as they do", function()
      local h = H.new("lunette.tools.hide 'x'", { { "a", tools = '{"name":"x"}' } })
      local one, two = h:join(), h:join()
      local view = h:view("tools", one)
      assert.is_true(h:view("tools", one) == view)
      assert.is_true(h:view("tools", two) == view)
      assert.is_true(h:view("tools", two, "use") == view)
      assert.is_true(one.views[0] == view and two.views[0] == view)
      assert.equal(1, tonumber(H.driver.pl_count(h.host.views)))
      h:call("a", "ping", "{}", one)
      h:say("a", '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
      h:run()
      assert.is_true(h:view("tools", one) == view, "nothing differed")
    end)

    it("for each that sees other lists", function()
      local h = H.new("", { { "a" }, { "b" } })
      local one, two = h:join(), h:join '{"roots":{}}'
      local view = h:view("tools", one)
      assert.is_true(h:view("tools", two) == view, "who can be told apart sees the same bytes")
      assert.is_false(h:view("resources", one) == view)
      h.by_name.b.tools = '{"name":"x"}'
      h:say("b", '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}', h:channel("b", one))
      h:run()
      local fresh = h:view("tools", one)
      assert.is_false(fresh == view)
      assert.equal('{"tools":[{"name":"b_x"}]}', (H.page_of(fresh)))
    end)

    it("for each session where a rule takes ctx, and kept for that one", function()
      local h = H.new(per_client, { { "a", tools = '{"name":"x"},{"name":"c"}' } })
      local one, two = h:join(), h:join()
      local view = h:view("tools", one)
      assert.is_false(h:view("tools", two) == view)
      assert.is_true(h:view("tools", one) == view)
      assert.equal('{"tools":[{"name":"x"}]}', (H.page_of(view)))
      assert.equal(0, tonumber(H.driver.pl_count(h.host.views)), "it is nobody else's")
      assert.is_true(h:view("resources", one) == h:view("resources", two), "of which no rule does")
    end)

    it("under each policy", function()
      local servers = { { "a", tools = '{"name":"x"},{"name":"y"}' } }
      local h = H.new("lunette.tools.hide 'x'", servers)
      local before = begin(h)
      local view = before.view
      h:reload("lunette.tools.hide 'y'", servers)
      assert.equal('{"tools":[{"name":"x"}]}', (h:page "tools"))
      assert.is_false(h:view "tools" == view)
      local after = H.driver.pl_view_again(h.rig, before)
      assert.equal('{"tools":[{"name":"y"}]}', shown(after), "for what began before")
      assert.is_false(h:view "tools" == after.view)
      assert.equal(1, h:count("a", "tools/list"))
    end)

    it("and anew to explain it", function()
      local h = H.new("", { { "a" } })
      local view = h:view "tools"
      local explained = h:view("tools", nil, "explain")
      assert.is_false(explained == view)
      assert.is_false(h:view("tools", nil, "explain") == explained)
      assert.is_true(h:view "tools" == view)
      assert.equal(1, h:count("a", "tools/list"))
    end)
  end)

  describe("where a rule reads headers", function()
    local rule = "lunette.tools.filter(function(t, ctx) return t.name ~= 'x' or ctx.headers.a == '1' end)"
    local servers = { { "a", tools = '{"name":"x"},{"name":"y"}' } }

    -- The view for a request with this value of the header a, and another that no rule reads.
    local function of(h, session, value)
      local text = (value and "a\0" .. value .. "\0" or "") .. "b\0" .. math.random(1e6) .. "\0"
      local bytes = lib.ln_bytes_copy(text, #text)
      lib.ln_session_set_headers(session, bytes)
      lib.ln_bytes_unref(bytes)
      return h:view("tools", session)
    end
    local function variants(list) return tonumber(H.driver.pl_count(list)) end

    it("is made for each value, and kept for the last few", function()
      local h = H.new(rule, servers)
      local s = h:join()
      local views = {}
      for i = 1, 8 do views[i] = of(h, s, tostring(i)) end
      assert.equal('{"tools":[{"name":"x"},{"name":"y"}]}', (H.page_of(views[1])))
      assert.equal('{"tools":[{"name":"y"}]}', (H.page_of(views[2])))
      for i = 1, 8 do assert.is_true(of(h, s, tostring(i)) == views[i], i) end
      assert.equal(7, variants(s.variants[0]))
      assert.is_true(of(h, s, "1") == views[1])
      assert.is_false(of(h, s, nil) == views[1], "of a request without it")
      assert.equal(7, variants(s.variants[0]))
      assert.equal(7, variants(h.host.variants))
      for i = 3, 8 do assert.is_true(of(h, s, tostring(i)) == views[i], i) end
      assert.is_true(of(h, s, "1") == views[1])
      assert.is_false(of(h, s, "2") == views[2], "which had not been asked for the longest")
      h:part(s)
      assert.equal(0, variants(h.host.variants))
      assert.equal(0, tonumber(h.host.kept))
    end)

    it("is nobody else's", function()
      local h = H.new(rule, servers)
      local one, two = h:join(), h:join()
      local view = of(h, one, "1")
      assert.is_false(of(h, two, "1") == view)
      of(h, one, "2")
      assert.is_true(of(h, one, "1") == view)
      assert.equal(0, variants(h.host.views))
    end)

    it("is one for all requests where none was read for this client", function()
      local h = H.new("lunette.tools.filter(function(t, ctx) return not ctx.headers or t.name ~= ctx.session.client.name end)", servers)
      local s = h:join()
      assert.is_true(of(h, s, "1") == of(h, s, "2"))
      assert.equal(0, variants(s.variants[0]))
    end)

    it("is not kept when what was read is long", function()
      local h = H.new(rule, servers)
      local s = h:join()
      local short = of(h, s, "3")
      for value, kept in pairs { [("1"):rep(4000)] = true, [("1"):rep(5000)] = false } do
        local view = of(h, s, value)
        assert.equal('{"tools":[{"name":"y"}]}', (H.page_of(view)))
        assert.equal(kept, of(h, s, value) == view)
        assert.is_true(of(h, s, "3") == short)
        assert.equal(kept, of(h, s, value) == view)
      end
      h = H.new("lunette.tools.filter(function(t, ctx) return t.name ~= 'x' or next(ctx.headers) end)", servers)
      s = h:join()
      local function same(text)
        local bytes, views = lib.ln_bytes_copy(text, #text), {}
        lib.ln_session_set_headers(s, bytes)
        lib.ln_bytes_unref(bytes)
        for i = 1, 2 do views[i] = h:view("tools", s) end
        return views[1] == views[2]
      end
      assert.is_true(same "c\0d\0")
      assert.is_false(same("c\0" .. ("d"):rep(5000) .. "\0"))
      assert.is_true(same "c\0d\0")
    end)

    it("goes with the lists that it was made of", function()
      local h = H.new(rule, servers)
      local s = h:join()
      of(h, s, "1")
      of(h, s, "2")
      h.by_name.a.tools = '{"name":"x"},{"name":"z"}'
      h:say("a", '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}', h:channel("a", s))
      h:run()
      assert.equal('{"tools":[{"name":"x"},{"name":"z"}]}', (H.page_of(of(h, s, "1"))))
      assert.equal(0, variants(s.variants[0]))
      assert.equal('{"tools":[{"name":"z"}]}', (H.page_of(of(h, s, "2"))))
    end)

    it("is kept for other requests only while all that are kept have not too many entries", function()
      local items = {}
      for i = 1, 100000 do items[i] = ('{"name":"t%d"}'):format(i) end
      local h = H.new("lunette.tools.rename(function(name, _, ctx) return ctx.headers.a .. name end) "
        .. "lunette.configure { max_message_bytes = 8000000, hook_timeout = 30 }", { { "a", tools = table.concat(items, ",") } })
      local one, two = h:join(), h:join()
      for i = 1, 2 do of(h, one, tostring(i)) of(h, two, tostring(i)) end
      assert.equal(2, variants(h.host.variants))
      of(h, one, "3")
      assert.equal(2, variants(h.host.variants), "the oldest went")
      assert.equal(200032, tonumber(h.host.kept))
    end)
  end)

  it("waits for all lists, and is told once", function()
    local h = H.new("", { { "a", on = { ["tools/list"] = held } }, { "b", on = { ["tools/list"] = held } } })
    local a, b = begin(h), begin(h)
    assert.equal(2, #h.held)
    h:answer(h.held[2], '"result":{"tools":[{"name":"y"}]}')
    assert.is_false(a.there or b.there)
    h:answer(h.held[1], '"result":{"tools":[{"name":"x"}]}')
    assert.equal('{"tools":[{"name":"a_x"},{"name":"b_y"}]}', shown(a))
    assert.is_true(a.view == b.view)
  end)

  it("is one without the list of a server that failed, of several", function()
    local h = H.new("", { { "a", on = { ["tools/list"] = function() return '"error":{"code":1,"message":"no"}' end } },
      { "b", tools = '{"name":"x"}' } })
    local view = h:view "tools"
    assert.equal('{"tools":[{"name":"b_x"}]}', (H.page_of(view)))
    assert.is_true(view.listings[0] == nil)
    h:view("tools", nil, "use")
    assert.equal(1, h:count("a", "tools/list"), "which a call doesn't ask again a moment later")
    h:view "tools"
    assert.equal(2, h:count("a", "tools/list"))
  end)

  it("waits for no server longer than clients are made to, and has its list the next time", function()
    local h = H.new("lunette.configure { start_timeout = 0.02 }", { { "a", on = { ["tools/list"] = held } }, { "b", tools = '{"name":"x"}' } })
    local a = begin(h)
    assert.is_false(a.there)
    h:wait(function() return a.there end)
    assert.equal('{"tools":[{"name":"b_x"}]}', shown(a))
    h:wait(function() return begin(h).there end) -- hopeless by now: not waited for
    h:answer(h.held[1], '"result":{"tools":[{"name":"y"}]}')
    assert.equal('{"tools":[{"name":"a_y"},{"name":"b_x"}]}', (h:page "tools"))
    assert.equal(1, h:count("a", "tools/list"))
  end)

  it("is none when the only server can't be asked, which is said", function()
    local h = H.new("", { { "a", on = { ["tools/list"] = function() return '"error":{"code":1,"message":"no"}' end } } })
    local view, why = h:view "tools"
    assert.is_nil(view)
    assert.equal('Server "a": its list is refused (error 1)\nno', why, "what the server said is behind the first line")
  end)

  it("is of the policy's own components when the only server can't be asked", function()
    local h = H.new("lunette.tools.add { name = 'x', inputSchema = { type = 'object' }, handler = function() end }",
      { { "a", on = { ["tools/list"] = function() return '"error":{"code":1,"message":"no"}' end } } })
    assert.truthy((h:page "tools"):find('"name":"x"', 1, true))
  end)

  it("is of nothing without servers", function()
    assert.equal('{"tools":[]}', (H.new("", {}):page "tools"))
  end)

  it("that has ended is told, and nothing is kept", function()
    local h = H.new("", { { "a", on = { ["tools/list"] = held } }, { "b" } })
    local s = h:join()
    local a = begin(h, "tools", s)
    assert.is_false(a.there)
    h:part(s)
    assert.is_true(a.there)
  end)

  it("can be had of what is known, without waiting", function()
    local h = H.new("", { { "a", tools = '{"name":"x"}' }, { "b", tools = '{"name":"y"}' } })
    h:listing("a", "tools")
    local request = ffi.new("struct ln_view_request", h:client(), h.host.gen, nil, nil, 0, 1)
    local view = lib.ln_view_get_now(request)
    assert.equal('{"tools":[{"name":"a_x"}]}', (H.page_of(view)))
    assert.is_nil(h:index "b")
    lib.ln_view_unref(view)
    view = h:view "tools"
    local same = lib.ln_view_get_now(request)
    assert.is_true(same == view)
    lib.ln_view_unref(same)
  end)
end)
