-- src/proxy/exchange/hooks.c: the policy's handlers around a message, outermost first.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local rig, s, sink

local function result(id, value) return ('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(id, value or "{}") end
local function ended(x) return tonumber(ffi.cast("int", x.state)) == 2 end
local function call(name) return '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"' .. (name or "t") .. '"}}' end

-- Handlers that say in params.seen in which order they ran, and in the result in which order it came back.
local marks = [[
  local function mark(name) return function(request, forward)
    request.params.seen = (request.params.seen or "") .. name
    local reply = forward(request)
    reply.back = (reply.back or "") .. name
    return reply
  end end
  ]]

local function policy(text)
  rig = S.rig('lunette.upstream("up", { command = "x" })' .. marks .. text)
  s = rig:session "s"
  lib.ln_session_set_state(s, "LN_SESSION_OPEN")
  sink = rig:sink()
  lib.ln_outbox_set_general(s.outbox, sink)
end

-- A message runs through the handlers; holds its exchange.
local function run(text)
  local x = rig:exchange(s, text or call())
  lib.ln_exchange_ref(x)
  rig:later(function() lib.ln_exchange_unref(x) end)
  rig:hooks(x)
  return x
end

-- What native got of a message, as a list of marks.
local function seen(text)
  local x = run(text)
  local told = rig:told()
  lib.ln_exchange_abort(x)
  rig:told()
  return told[1] and (told[1]:match '"seen":"(%w*)"' or "-")
end

describe("handlers", function()
  setup(S.setup)
  teardown(S.teardown)
  after_each(function() rig:finish() end)

  it("that are none cost nothing: the message goes on as it is", function()
    policy ""
    local text = '{"jsonrpc":"2.0","id":"a", "method":"tools/call","params":{ "name":"t","n":1.0}}'
    run(text)
    assert.same({ "native 1 " .. text }, rig:told())
    rig:answer(1, result(3, "{ }"))
    assert.same({ 'sink 1 final {"jsonrpc":"2.0","id":"a","result":{ }}' }, rig:told())
  end)

  it("run in the order written, the first outermost", function()
    policy [[lunette.on("tools/call", mark "a") lunette.on("tools/*", mark "b") lunette.on("prompts/get", mark "x")
      lunette.on("*", mark "c")]]
    run()
    assert.same({ 'native 1 {"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","seen":"abc"}}' }, rig:told())
    rig:answer(1, result(3))
    assert.same({ 'sink 1 final {"jsonrpc":"2.0","id":7,"result":{"back":"cba"}}' }, rig:told())
  end)

  it("of a name run for what is called so", function()
    policy [[lunette.on("tools/call", "read_*", mark "a") lunette.on("tools/call", { "x", "t" }, mark "b")
      lunette.on("*", "t", mark "c")]]
    assert.equal("a", seen(call "read_file"))
    assert.equal("bc", seen(call "t"))
    assert.equal("c", seen(call("t"):gsub("tools/call", "prompts/get")))
    assert.equal("-", seen(call "read"))
    assert.equal("bc", seen(call "\\u0074"))
    assert.equal("-", seen '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}')
    assert.equal("-", seen '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":["t"]}}')
  end)

  it("of a URI run for every spelling of it", function()
    policy [[lunette.on("resources/read", "file:///a/b", mark "a")]]
    local function read(uri) return ('{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"%s"}}'):format(uri) end
    for _, uri in ipairs { "file:///a/b", "FILE:///a/b", "file:///a/x/../b", "file:///a/%62", "file:///a/./b", "file:\\/\\/\\/a\\/b", "file:///a/b/" } do
      assert.equal("a", seen(read(uri)), uri)
    end
    for _, uri in ipairs { "file:///a/c", "file:///A/b", "file:///a/b/c", "http:///a/b" } do assert.equal("-", seen(read(uri)), uri) end
  end)

  it("of a name run for the completion of its arguments", function()
    policy [[lunette.on("completion/complete", "p", mark "a") lunette.on("completion/complete", "x://{n}", mark "b")]]
    local function complete(ref) return ('{"jsonrpc":"2.0","id":7,"method":"completion/complete","params":{"ref":%s}}'):format(ref) end
    assert.equal("a", seen(complete '{"type":"ref/prompt","name":"p"}'))
    assert.equal("-", seen(complete '{"type":"ref/prompt","name":"q"}'))
    assert.equal("b", seen(complete '{"type":"ref/resource","uri":"x://{n}"}'))
  end)

  it("of a server run for what goes there", function()
    policy [[lunette.on("tools/call", { upstream = "up" }, mark "a")]]
    assert.equal("-", seen())
    local x = rig:exchange(s, call())
    lib.ln_exchange_set_server(x, rig.host.gen.servers[0])
    rig:hooks(x)
    assert.equal("a", rig:told()[1]:match '"seen":"(%w*)"')
    lib.ln_exchange_abort(x)
  end)

  it("may answer by themselves", function()
    policy [[lunette.on("tools/call", mark "a") lunette.on("tools/call", function() return { n = 1 } end)]]
    run()
    assert.same({ 'sink 1 final {"jsonrpc":"2.0","id":7,"result":{"n":1,"back":"a"}}' }, rig:told())
  end)

  it("may forward more than once, each to all that come after", function()
    policy [[lunette.on("tools/call", function(request, forward) forward(request) return forward(request) end)
      lunette.on("tools/call", mark "b")]]
    run()
    rig:answer(1, result(3, '{"n":1}'))
    assert.equal(2, #rig:told())
    rig:answer(2, result(4, '{"n":2}'))
    assert.same({ 'sink 1 final {"jsonrpc":"2.0","id":7,"result":{"n":2,"back":"b"}}' }, rig:told())
  end)

  it("that fail answer with an error, and what is outside of them goes on", function()
    policy [[lunette.on("tools/call", function(request, forward)
        local ok = pcall(forward, request)
        return { ok = ok } end)
      lunette.on("tools/call", function() error("oops") end)]]
    run()
    assert.same({ 'sink 1 final {"jsonrpc":"2.0","id":7,"result":{"ok":false}}' }, rig:told())
  end)

  it("get an error of the server's as one", function()
    policy [[lunette.on("tools/call", function(request, forward)
        local ok, why = pcall(forward, request)
        return { ok = ok, code = why.code } end)]]
    run()
    rig:told()
    rig:answer(1, '{"jsonrpc":"2.0","id":1,"error":{"code":-5,"message":"no"}}')
    assert.same({ 'sink 1 final {"jsonrpc":"2.0","id":7,"result":{"code":-5,"ok":false}}' }, rig:told())
  end)

  it("of a notification don't wait for those within; it ends with the last", function()
    policy [[lunette.on("notifications/*", function(n, forward) n.params.a = 1 forward(n) end)
      lunette.on("notifications/*", function(n, forward) n.params.b = 1 forward(n) end)]]
    local x = run '{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
    assert.same({ 'native 0 {"jsonrpc":"2.0","method":"notifications/message","params":{"a":1,"b":1}}' }, rig:told())
    assert.is_true(ended(x))
  end)

  it("that don't forward a notification drop it", function()
    policy [[lunette.on("notifications/*", function() end)]]
    local x = run '{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
    assert.same({}, rig:told())
    assert.is_true(ended(x))
  end)

  describe("of a message that ends", function()
    it("before the answer are gone, and a late answer is nobody's", function()
      policy [[lunette.on("tools/call", mark "a") lunette.on("tools/call", mark "b")]]
      local x = run()
      rig:told()
      lib.ln_exchange_abort(x)
      assert.equal(0, tonumber(lib.ln_policy_runs(rig.host.gen.policy)))
      rig:answer(1, result(3))
      assert.same({}, rig:told())
    end)

    it("take with them what they asked for themselves", function()
      policy [[lunette.on("tools/call", function(request, forward, ctx) return ctx:call_tool("other", {}) end)]]
      local x = run()
      assert.same({ "child 1 tools/call" }, rig:told())
      local y = rig:child(1)
      lib.ln_exchange_ref(y)
      lib.ln_exchange_abort(x)
      assert.is_true(ended(y))
      lib.ln_exchange_unref(y)
    end)

    it("with their session are gone", function()
      policy [[lunette.on("tools/call", function(request, forward, ctx) local r = forward(request) ctx:call_tool("x") return r end)]]
      local x = run()
      rig:told()
      lib.ln_session_end(s)
      assert.same({ "s ends" }, rig:told())
      assert.is_true(ended(x))
      assert.equal(0, tonumber(lib.ln_policy_runs(rig.host.gen.policy)))
    end)
  end)

  it("get the answer to what they asked for themselves", function()
    policy [[lunette.on("tools/call", function(request, forward, ctx) return ctx:call_tool("other", { n = 1 }) end)]]
    run()
    assert.same({ "child 1 tools/call" }, rig:told())
    lib.ln_exchange_finish(rig:child(1), S.msg(result(1, '{"content":[],"n":1.0}')))
    rig:turn()
    assert.same({ 'sink 1 final {"jsonrpc":"2.0","id":7,"result":{"content":[],"n":1.0}}' }, rig:told())
  end)

  it("that give a forward a time have what is done for it called off when that is over, and go on", function()
    policy [[lunette.on("tools/call", function(request, forward)
      local ok = pcall(forward, request, { timeout = 0.001 })
      return { ok = ok } end)]]
    local x = run()
    rig:told()
    local child = rig:exchange(s, call())
    lib.ln_exchange_set_cause(child, x)
    child.reply, child.reply_arg = S.driver.rig_reply, S.number(5)
    for _ = 1, 1e6 do -- turns of the loop, not time
      if child.state == lib.LN_EXCHANGE_ENDED then break end
      rig:turn()
    end
    rig:turn()
    assert.same({ "reply 5 " .. S.error "Cancelled", 'sink 1 final {"jsonrpc":"2.0","id":7,"result":{"ok":false}}' }, rig:told())
    rig:answer(1, result(3))
    assert.same({}, rig:told())
  end)
end)
