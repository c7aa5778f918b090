-- src/proxy/client/session.c: what a session counts, and whom it tells.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local rig

local function outbox_state(s) return ({ [0] = "early", "open", "closed" })[tonumber(ffi.cast("int", s.outbox.state))] end

describe("a session", function()
  setup(S.setup)
  teardown(S.teardown)
  before_each(function() rig = S.rig [[lunette.upstream("a", { command = "x" })]] end)
  after_each(function() rig:finish() end)

  it("has a key that is never given again, by which it is found as long as it lives", function()
    local a, b = rig:session "a", rig:session "b"
    assert.is_true(b.key > a.key)
    assert.equal(a, lib.ln_session_by_key(rig.host, a.key))
    assert.is_true(lib.ln_session_by_key(rig.host, 0) == nil)
    lib.ln_session_end(a)
    assert.is_true(lib.ln_session_by_key(rig.host, a.key) == nil)
    assert.equal(b, lib.ln_session_by_key(rig.host, b.key))
    assert.is_true(rig:session("c").key > b.key)
  end)

  it("is refused where there are as many as there may be, or the host closes", function()
    rig.host.settings.max_sessions = 2
    local a = rig:session "a"
    assert.is_truthy(rig:session "b")
    assert.is_nil(rig:session "c")
    lib.ln_session_end(a)
    assert.is_truthy(rig:session "d")
    assert.equal(2, tonumber(rig.host.n_sessions))
    assert.equal(3, tonumber(rig.host.count.sessions))
    rig.host.settings.max_sessions = 9
    rig.host.closing = true
    assert.is_nil(rig:session "e")
    rig.host.closing = false
  end)

  it("of a long name is called by its beginning", function()
    assert.equal(("x"):rep(39), ffi.string(rig:session(("x"):rep(100)).id))
  end)

  it("opens its outbox when it is open, and not before", function()
    local s = rig:session()
    local states = { NEW = "early", INITIALIZING = "early", INITIALIZED = "early", OPEN = "open" }
    for _, state in ipairs { "NEW", "INITIALIZING", "INITIALIZED", "OPEN", "NEW" } do
      lib.ln_session_set_state(s, "LN_SESSION_" .. state)
      assert.equal(states[state], outbox_state(s), state)
    end
  end)

  it("that is gone stays so", function()
    local s = rig:session()
    lib.ln_session_end(s)
    lib.ln_session_set_state(s, "LN_SESSION_OPEN")
    assert.equal("closed", outbox_state(s))
    lib.ln_session_end(s)
    assert.same({ "s ends" }, rig:told())
  end)

  it("counts once in the level of the log that it wants", function()
    local a, b = rig:session "a", rig:session "b"
    local levels = rig.host.levels
    lib.ln_session_set_level(a, 0)
    lib.ln_session_set_level(b, 0)
    lib.ln_session_set_level(a, 7)
    lib.ln_session_set_level(a, 7)
    assert.same({ 1, 1 }, { tonumber(levels[0]), tonumber(levels[7]) })
    lib.ln_session_set_level(b, -1)
    assert.same({ 0, 1 }, { tonumber(levels[0]), tonumber(levels[7]) })
    lib.ln_session_end(a)
    assert.equal(0, tonumber(levels[7]))
  end)

  it("keeps the headers of its last request only", function()
    local s = rig:session()
    local first, second = lib.ln_bytes_copy("a", 1), lib.ln_bytes_copy("b", 1)
    lib.ln_session_set_headers(s, first)
    lib.ln_session_set_headers(s, second)
    assert.same({ 1, 2 }, { first.refs, second.refs })
    lib.ln_session_set_headers(s, second)
    assert.equal(2, second.refs)
    lib.ln_session_set_headers(s, nil)
    assert.equal(1, second.refs)
    lib.ln_bytes_unref(first)
    lib.ln_bytes_unref(second)
  end)

  it("counts what is under way, its own and the host's", function()
    local a, b = rig:session "a", rig:session "b"
    lib.ln_session_begin_request(a)
    lib.ln_session_begin_request(b)
    lib.ln_session_begin_request(b)
    lib.ln_session_end_request(b)
    assert.same({ 1, 1, 2 }, { tonumber(a.in_flight), tonumber(b.in_flight), tonumber(rig.host.in_flight) })
    lib.ln_session_end(a)
    assert.equal(1, tonumber(rig.host.in_flight))
  end)

  it("is told to stop reading by the first link that doesn't keep up, and to go on by the last", function()
    local s = rig:session()
    lib.ln_session_stall(s, true)
    lib.ln_session_stall(s, true)
    lib.ln_session_stall(s, false)
    assert.same({ "s stalled" }, rig:told())
    lib.ln_session_stall(s, false)
    assert.same({ "s started" }, rig:told())
    s.on_stall = nil
    lib.ln_session_stall(s, true)
    lib.ln_session_stall(s, false)
  end)

  it("is crowded by four times as many messages as it may have requests", function()
    local s = rig:session()
    rig.host.settings.max_in_flight = 2
    local x = {}
    for i = 1, 8 do
      assert.is_false(lib.ln_session_crowded(s), i)
      x[i] = rig:exchange(s)
    end
    assert.is_true(lib.ln_session_crowded(s))
    lib.ln_exchange_abort(x[3])
    assert.is_false(lib.ln_session_crowded(s))
  end)

  it("whose client does not read makes its own links wait, also those that come then", function()
    local s = rig:session()
    lib.ln_session_set_state(s, "LN_SESSION_OPEN")
    local server = rig.host.gen.servers[0]
    local why = ffi.new "const char *[1]"
    lib.ln_pool_link(s, server, why)
    rig:answers_initialize(1)
    local other = rig:session "other"
    lib.ln_pool_link(other, server, why)
    local sink = rig:sink()
    lib.ln_outbox_set_general(s.outbox, sink)
    rig:told()
    rig:sink_says(sink, lib.LN_EFULL)
    lib.ln_outbox_notify(s.outbox, "x")
    assert.same({ 'sink 1 {"jsonrpc":"2.0","method":"x"}', "1> pause" }, rig:told())
    lib.ln_pool_link_for_call(s, assert(rig:server { name = "b", session = "LN_SHARING_REQUEST" }), false, why)
    assert.same({ "dial 3 b", "3> pause" }, rig:told())
    lib.ln_outbox_drained(s.outbox)
    local told = rig:told()
    table.sort(told)
    assert.same({ "1> resume", "3> resume" }, told)
  end)
end)
