-- src/proxy/core/host.c: what a host begins with, and when it says that it has closed.
local H = require "spec.unit.proxy.host"
local lib, ffi = H.lib, H.ffi

local function counter() return ffi.new "int[1]" end

describe("a host", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  -- Another on the loop of one that is played, with nothing in it: it, what its closed counts, and its end.
  local function bare()
    local h, host, n = H.new("", { { "a" } }), ffi.new "struct ln_host", counter()
    lib.ln_host_init(host, h.host.loop, h.host.log)
    local fetcher = host.fetcher
    host.closed, host.closed_arg = H.driver.pl_count_up, n
    return host, n, function()
      local gone = counter()
      lib.ln_fetcher_close(fetcher, H.driver.pl_count_up, gone)
      h:wait(function() return gone[0] == 1 end)
      lib.ln_host_deinit(host)
      assert.is_true(host.loop == nil and host.shared == nil and host.watchdog == nil)
    end
  end

  -- As long as this is in the list.
  local function enter(list)
    local node = ffi.new "struct ln_list"
    node.next, node.prev, list.next, list.prev = list, list, node, node
    return function()
      assert(node)
      list.next, list.prev = list, list
    end
  end

  it("has closed when it closes and the last session, server and connection has gone, whichever that is", function()
    for _, last in ipairs { "sessions", "servers", "fetcher", "closing" } do
      local host, n, finish = bare()
      local leave = { sessions = enter(host.sessions), servers = enter(host.servers),
        fetcher = function() host.fetcher = nil end, closing = function() host.closing = true end }
      for what, go in pairs(leave) do
        if what ~= last then go() end
        lib.ln_host_check_closed(host)
        assert.equal(0, n[0], "without " .. last)
      end
      leave[last]()
      lib.ln_host_check_closed(host)
      assert.equal(1, n[0], last)
      lib.ln_host_check_closed(host)
      assert.equal(1, n[0], "it says so once")
      finish()
    end
  end)

  it("waits for neither views nor policies", function()
    local host, n, finish = bare()
    local views, policies = enter(host.views), enter(host.policies)
    host.fetcher, host.closing = nil, true
    lib.ln_host_check_closed(host)
    assert.equal(1, n[0])
    views()
    policies()
    finish()
  end)

  it("with clients, links and calls ends all of them, and then says so once", function()
    local h = H.new("", { { "a", tools = '{"name":"x"}', on = { ["tools/call"] = function() return false end } }, { "b" } })
    local one, n = h:join(), counter()
    h:join()
    h:hear(H.request("tools/list", "{}"), one)
    h:hear(H.request("tools/call", '{"name":"a_x"}'), one)
    local a, b = h:channel("a", one), h:channel("b", one)
    H.driver.pl_close(h.rig, n)
    assert.equal(0, tonumber(h.host.n_sessions))
    assert.is_nil(h.gone[a] or h.gone[b])
    h:run()
    assert.is_true(h.gone[a] and h.gone[b])
    assert.equal(0, n[0], "who took the clients in still has their sessions, and these their servers")
    H.driver.pl_part(h.rig, nil)
    h:wait(function() return n[0] > 0 end)
    assert.equal(0, tonumber(H.driver.pl_count(h.host.servers)))
    lib.ln_host_check_closed(h.host)
    h:run()
    assert.equal(1, n[0])
  end)

  it("that nobody has used closes, too", function()
    local h, n = H.new("", { { "a" } }), counter()
    H.driver.pl_close(h.rig, n)
    h:wait(function() return n[0] > 0 end)
    assert.is_true(lib.ln_session_new(h.host, "stdio", "late", nil) == nil)
    assert.equal(1, n[0])
  end)
end)
