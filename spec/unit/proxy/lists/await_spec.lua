-- src/proxy/lists/await.c: which servers' lists a message waits for, and for how long.
local H = require "spec.unit.proxy.host"

describe("waiting for late lists", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  local function held() return false end
  local function late(name, method) return { name, on = { [method] = held } } end

  -- A request that is under way: its answer.
  local function begin(h, method, params)
    local a
    H.with_msg(H.request(method, params), function(m) a = H.driver.pl_resolve(h.rig, h:client(), m) end)
    h:run()
    return a
  end

  local function call(h, name) return begin(h, "tools/call", ('{"name":"%s"}'):format(name)) end
  local function read(h, uri) return begin(h, "resources/read", ('{"uri":"%s"}'):format(uri)) end

  local tool = '"result":{"tools":[{"name":"x"}]}'

  it("asks only whose prefix it is, or whoever has none", function()
    local h = H.new("", { late("a", "tools/list"), late("b", "tools/list") })
    local a = call(h, "a_x")
    assert.same({ 1, 0 }, { h:count("a", "tools/list"), h:count("b", "tools/list") })
    assert.is_true(call(h, "x").there, "which is nobody's")
    h:answer(h.held[1], tool)
    assert.is_true(a.there and a.found)
    assert.equal(0, h:count("b", "tools/list"))
  end)

  it("asks all where a rule could have given the name", function()
    for _, rule in ipairs { "rename { b_x = 'a_y' }", "rename(function(name) return name end)", "transform('b_x', { name = 'a_y' })" } do
      local h = H.new("lunette.tools." .. rule, { { "a" }, late("b", "tools/list") })
      local a = call(h, "a_y")
      assert.is_false(a.there, rule)
      h:answer(h.held[1], tool)
      assert.is_true(a.there)
      assert.equal(not rule:find "function", a.found, rule)
    end
  end)

  it("asks for a server's templates when its resources don't have the URI", function()
    local h = H.new("", { late("a", "resources/list"), { "b", templates = '{"uriTemplate":"t:{i}"}' } })
    local a = read(h, "t:1")
    assert.same({ 0, 1 }, { h:count("a", "resources/templates/list"), h:count("b", "resources/templates/list") })
    assert.is_false(a.there, "a could have that resource, and comes first")
    h:answer(h.held[1], '"result":{"resources":[]}')
    assert.is_true(a.there and a.found)
  end)

  it("ends with the request", function()
    for _, how in ipairs { "cancel", "part" } do
      local h = H.new("", { { "a" }, late("b", "tools/list") })
      local s = h:client()
      local a = call(h, "b_x")
      if how == "cancel" then H.driver.pl_cancel(a) else h:part(s) end
      assert.is_false(a.there or a.found)
    end
  end)

  it("is over after late_timeout, for whoever comes later at once", function()
    local h = H.new("lunette.configure { start_timeout = 0.01, late_timeout = 0.03 }", { { "a" }, late("b", "tools/list") })
    h:view "prompts" -- it has answered initialize
    local a = call(h, "b_x")
    h:wait(function() return a.there end)
    assert.is_false(a.found)
    assert.truthy(H.reply(a):find("has not answered tools/list yet", 1, true))
    assert.is_true(call(h, "b_x").there)
    assert.equal(1, h:count("b", "tools/list"))
  end)
end)
