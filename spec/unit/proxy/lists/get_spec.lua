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
      assert.is_false(h:view("tools", two) == view)
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
    assert.equal('Server "a": no', why)
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
    local request = ffi.new("struct ln_view_request", h:client(), h.host.gen, nil, 0, 1)
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
