-- src/proxy/server/server.c: how a server fares, and how long it is left alone after it failed.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local rig, server

local function now() return tonumber(lib.ln_loop_now(rig.host.loop)) end
local function health() return ({ [0] = "unknown", "up", "down", "stopped" })[tonumber(ffi.cast("int", server.health))] end

-- A failure; what: { worked =, elsewhere =, ready =, opened_at =, why = }.
local function fails(what)
  local failure = ffi.new "struct ln_server_failure"
  local why = ffi.new("char[?]", #(what.why or "x") + 1, what.why or "x")
  failure.why, failure.worked, failure.elsewhere = why, what.worked or false, what.elsewhere or false
  failure.ready, failure.opened_at = what.ready or false, what.opened_at or now()
  lib.ln_server_failed(server, failure)
end

describe("a server", function()
  setup(S.setup)
  teardown(S.teardown)
  before_each(function()
    rig = S.rig()
    rig.host.settings.list_max_age_ms = 60000
    server = assert(rig:server())
  end)
  after_each(function() rig:finish() end)

  it("that was never asked for is unknown, and knows what it is called", function()
    assert.equal("unknown", health())
    assert.equal("upstream up", ffi.string(server.topic))
    assert.is_false(lib.ln_server_in_backoff(server))
  end)

  it("that keeps failing is left alone for twice as long each time, up to 30 s", function()
    local pauses = {}
    for i = 1, 12 do
      fails {}
      pauses[i] = tonumber(server.retry_at) - now()
    end
    assert.same({ 0, 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000 }, pauses)
    assert.equal("down", health())
  end)

  it("that has worked may be tried at once, and begins anew", function()
    for _ = 1, 5 do fails {} end
    fails { worked = true }
    assert.equal("stopped", health())
    assert.equal(now(), tonumber(server.retry_at))
    fails {}
    assert.equal(250, tonumber(server.retry_at) - now())
  end)

  it("of which others work is no worse for what ends here", function()
    lib.ln_server_works(server)
    fails { worked = true, elsewhere = true }
    assert.equal("up", health())
    lib.ln_server_works(server)
    fails { elsewhere = true }
    assert.equal("down", health())
  end)

  it("is done without and not started for no longer than lists may be old, however long it took or often it failed", function()
    rig.host.settings.list_max_age_ms = 3000
    fails { opened_at = now() - 7000 }
    rig:pass(2999)
    assert.is_true(lib.ln_server_in_backoff(server))
    rig:pass(1)
    assert.is_false(lib.ln_server_in_backoff(server))
    for _ = 1, 20 do fails {} end
    assert.equal(now() + 3000, tonumber(server.retry_at))
  end)

  it("whose start took long is done without as long, and at least a second", function()
    fails { opened_at = now() }
    assert.is_true(lib.ln_server_in_backoff(server))
    rig:pass(999)
    assert.is_true(lib.ln_server_in_backoff(server))
    rig:pass(1)
    assert.is_false(lib.ln_server_in_backoff(server))
    fails { opened_at = now() - 7000 }
    rig:pass(6999)
    assert.is_true(lib.ln_server_in_backoff(server))
    rig:pass(1)
    assert.is_false(lib.ln_server_in_backoff(server))
  end)

  it("that was ready, or is up again, is not done without", function()
    fails { ready = true }
    assert.is_false(lib.ln_server_in_backoff(server))
    fails {}
    assert.is_true(lib.ln_server_in_backoff(server))
    lib.ln_server_works(server)
    assert.is_false(lib.ln_server_in_backoff(server))
  end)

  it("remembers why it failed last, whole and no further than there is room", function()
    fails { why = ("a"):rep(2047) }
    assert.equal(("a"):rep(2047), ffi.string(server.last_error))
    fails { why = ("b"):rep(5000) }
    assert.equal(("b"):rep(2047), ffi.string(server.last_error))
    local failure = ffi.new("struct ln_server_failure", { why = server.last_error })
    lib.ln_server_failed(server, failure) -- of what it said itself
    assert.equal(("b"):rep(2047), ffi.string(server.last_error))
  end)

  it("is blamed once, in as much room as there is", function()
    local function blame(why, size)
      local out = ffi.new("char[?]", size or 256)
      lib.ln_server_error_text(server, why, out, size or 256)
      return ffi.string(out)
    end
    assert.equal('Server "up": exit 1', blame "exit 1")
    assert.equal('Server "up": exit 1', blame 'Server "up": exit 1')
    assert.equal('Server "up": Server "upper": x', blame 'Server "upper": x')
    assert.equal('Server "up": ', blame "")
    assert.equal('Server "up": exi', blame("exit 1", 17))
    assert.equal("", blame("exit 1", 1))
  end)

  it("is reached as it is declared", function()
    local child = assert(rig:server { name = "c", command = "cat", args = { "-u", "x" }, env = { "A=1" }, cwd = "/" })
    assert.equal("cat -u A=1 /", ("%s %s %s %s"):format(ffi.string(child.child.command), ffi.string(child.child.args[0]),
      ffi.string(child.child.env[0]), ffi.string(child.child.cwd)))
    assert.is_true(child.pool == nil)
    assert.equal(4 * 2 ^ 20, tonumber(child.child.max_message))
    local web = assert(rig:server { name = "w", transport = "LN_VIA_SSE", url = "http://h:1/x", headers = { "A: b" } })
    assert.is_true(web.pool ~= nil and web.http.sse)
    assert.equal("A: b", ffi.string(web.http.headers[0]))
  end)

  it("at a URL that is none can't be had, and leaves nothing behind", function()
    for _, url in ipairs { "", "x", "ftp://h/", "http://", "http://h:99999/" } do
      local none, why = rig:server { name = "w", transport = "LN_VIA_HTTP", url = url }
      assert.is_nil(none, url)
      assert.is_true(#why > 0)
    end
  end)

  it("has a number that is never given again", function()
    assert.is_true(assert(rig:server { name = "b" }).serial > server.serial)
  end)
end)
