-- src/proxy/exchange/exchange.c: one message under way, which ends once.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local rig, s, sink, link

local function result(id, value) return ('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(id, value or "{}") end
local function cancelled(id, reason)
  return ('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d,"reason":"%s"}}'):format(id, reason)
end
local no_longer = "no longer needed"

local function request(id, on, session) return rig:exchange(session or s, ('{"jsonrpc":"2.0","id":%s,"method":"tools/call"}'):format(id or 7), on) end
local function finish(x, text) lib.ln_exchange_finish(x, S.msg(text or result(0))) end
local function ended(x) return tonumber(ffi.cast("int", x.state)) == 2 end
local function call(x, n, over) return lib.ln_exchange_call(x, over or link, x.msg, ffi.new "struct ln_str", nil, S.driver.rig_reply, S.number(n)) end

-- Holds x while the test looks at it.
local function kept(x)
  lib.ln_exchange_ref(x)
  rig:later(function() lib.ln_exchange_unref(x) end)
  return x
end

-- A request of the server's for the client, under this raw id.
local function asked(id, over)
  local x = kept(rig:exchange(s, ('{"jsonrpc":"2.0","id":%s,"method":"sampling/createMessage"}'):format(id)))
  x.from_server = true
  lib.ln_exchange_set_asker(x, over or link)
  return x
end
-- The client is asked that.
local function ask(x, n)
  x.ask_id = lib.ln_outbox_ask(s.outbox, nil, x.msg, S.driver.rig_reply, S.number(n))
  rig:told()
end

-- A message that x made necessary, whose answer shows as "reply N".
local function child(x, n)
  local y = kept(request(n))
  y.reply, y.reply_arg = S.driver.rig_reply, S.number(n)
  lib.ln_exchange_set_cause(y, x)
  return y
end
-- A notification that x's reply waits for.
local function holder(x)
  local y = kept(rig:exchange(s, '{"jsonrpc":"2.0","method":"notifications/message"}'))
  lib.ln_exchange_set_cause(y, x)
  lib.ln_exchange_hold_cause(y)
  return y
end

describe("an exchange", function()
  setup(S.setup)
  teardown(S.teardown)
  before_each(function()
    rig = S.rig [[lunette.upstream("up", { command = "x" })]]
    s = rig:session "s"
    lib.ln_session_set_state(s, "LN_SESSION_OPEN")
    sink = rig:sink()
    lib.ln_outbox_set_general(s.outbox, sink)
    link = rig:open_link(rig.host.gen.servers[0])
  end)
  after_each(function() rig:finish() end)

  describe("that is finished", function()
    it("is answered under the client's own id, on its own stream", function()
      local own = rig:sink()
      finish(request('"a\\u0062"', own), '{"jsonrpc":"2.0","id":99,"result":{ "n":1.0}}')
      finish(request "0")
      assert.same({ 'sink 2 final {"jsonrpc":"2.0","id":"a\\u0062","result":{ "n":1.0}}', "sink 1 final " .. result(0) }, rig:told())
      assert.equal(1, own.refs)
      assert.equal(0, tonumber(s.n_exchanges))
    end)

    it("is finished once, whatever is done to it then", function()
      local x = kept(request())
      finish(x)
      rig:told()
      finish(x)
      lib.ln_exchange_fail(x, -32603, "again")
      lib.ln_exchange_close(x)
      lib.ln_exchange_abort(x)
      assert.same({}, rig:told())
    end)

    it("by an error counts as one", function()
      lib.ln_exchange_fail(request(), -32602, "no \"such\" thing")
      assert.same({ 'sink 1 final {"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no \\"such\\" thing"}}' }, rig:told())
      assert.equal(1, tonumber(rig.host.count.errors))
    end)

    it("for want of a reply says so", function()
      lib.ln_exchange_finish(request(), nil)
      assert.same({ 'sink 1 final {"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"Out of memory"}}' }, rig:told())
    end)

    it("gives its reply to who asked for it inside the process", function()
      local x = request()
      x.reply, x.reply_arg = S.driver.rig_reply, S.number(3)
      finish(x)
      assert.same({ "reply 3 " .. result(0) }, rig:told())
    end)

    it("calls off what servers still work at for it", function()
      local x = request()
      call(x, 1)
      call(x, 2)
      rig:told()
      finish(x)
      assert.same({ "1> notification " .. cancelled(2, no_longer), "1> abandon 2", "1> notification " .. cancelled(3, no_longer),
        "1> abandon 3", "sink 1 final " .. result(7) }, rig:told())
    end)

    it("is no request under way any more", function()
      local x = kept(request())
      lib.ln_exchange_count(x)
      assert.same({ 1, 1 }, { tonumber(s.in_flight), tonumber(rig.host.in_flight) })
      finish(x)
      finish(x)
      assert.same({ 0, 0 }, { tonumber(s.in_flight), tonumber(rig.host.in_flight) })
    end)

    it("says nothing where the session is over", function()
      local x = kept(request())
      x.sink = nil
      lib.ln_session_end(s)
      assert.is_true(ended(x))
      rig:told()
      finish(x)
      assert.same({}, rig:told())
    end)
  end)

  describe("with notifications on their way to the client", function()
    it("is answered after them", function()
      local x = kept(request())
      local first, second = holder(x), holder(x)
      finish(x, result(1))
      finish(x, result(2)) -- too late
      assert.is_false(ended(x))
      assert.same({}, rig:told())
      lib.ln_exchange_close(second)
      lib.ln_exchange_close(second)
      assert.same({}, rig:told())
      lib.ln_exchange_close(first)
      assert.same({ "sink 1 final " .. result(7) }, rig:told())
      assert.is_true(ended(x))
    end)

    it("is answered when its handlers were cancelled, too", function()
      local x = request()
      local y = holder(x)
      finish(x)
      lib.ln_exchange_abort(y)
      assert.same({ "sink 1 final " .. result(7) }, rig:told())
    end)

    it("is not answered when it was cancelled meanwhile", function()
      local x = kept(request())
      local y = holder(x)
      finish(x)
      lib.ln_exchange_abort(x)
      lib.ln_exchange_close(y)
      assert.same({}, rig:told())
      assert.is_true(ended(x))
    end)

    it("waits for none that comes before its answer is there", function()
      local x = request()
      lib.ln_exchange_close(holder(x))
      finish(x)
      assert.same({ "sink 1 final " .. result(7) }, rig:told())
    end)
  end)

  describe("that is cancelled", function()
    it("is answered by nobody, and its stream gives up", function()
      local own = rig:sink()
      local x = request(7, own)
      call(x, 1)
      rig:told()
      lib.ln_exchange_abort(x)
      assert.same({ "1> notification " .. cancelled(2, no_longer), "1> abandon 2", "sink 2 gives up" }, rig:told())
      rig:sends(1, result(2))
      assert.same({}, rig:told())
    end)

    it("before its call went out is never sent", function()
      rig:client_ready(false)
      local early = assert(rig:link(link.server))
      local x = request()
      call(x, 1, early)
      lib.ln_exchange_abort(x)
      rig:told()
      rig:answers_initialize(2)
      for _, line in ipairs(rig:told()) do assert.is_nil(line:find("tools/call", 1, true), line) end
    end)

    it("tells who asked for it inside the process", function()
      local x = request()
      x.reply, x.reply_arg = S.driver.rig_reply, S.number(3)
      lib.ln_exchange_abort(x)
      assert.same({ "reply 3 " .. S.error "Cancelled" }, rig:told())
    end)

    it("cancels what was asked on its behalf, and what was on behalf of that", function()
      local x = kept(request(1))
      local y, other = child(x, 2), child(kept(request(9)), 3)
      local z = child(y, 4)
      lib.ln_exchange_abort(x)
      assert.same({ "reply 4 " .. S.error "Cancelled", "reply 2 " .. S.error "Cancelled" }, rig:told())
      assert.is_true(ended(y) and ended(z))
      assert.is_false(ended(other))
    end)

    it("also when a child's end ends others of its children", function()
      local x = kept(request(1))
      child(x, 2)
      local last = child(x, 3)
      child(x, 4)
      rig:upon("reply 2", lib.ln_exchange_abort, last)
      lib.ln_exchange_abort(x)
      assert.same({ "reply 2 " .. S.error "Cancelled", "reply 3 " .. S.error "Cancelled", "reply 4 " .. S.error "Cancelled" }, rig:told())
    end)

    it("takes back what the client is asked for it", function()
      local x = asked "1"
      ask(x, 5)
      lib.ln_exchange_abort(x)
      local told = rig:told()
      assert.equal("sink 1 " .. cancelled(1, no_longer), told[1])
      assert.equal(0, tonumber(s.outbox.asks.len))
    end)

    it("is answered by us where its server goes on: a shared one", function()
      local x = asked '"q"'
      lib.ln_exchange_abort(x)
      assert.same({ '1> response {"jsonrpc":"2.0","id":"q","error":{"code":-32603,"message":"The client has gone"}}' }, rig:told())
    end)

    it("is not answered where its server goes with the client, or wants no answer", function()
      local own = rig:open_link(link.server, nil, s)
      lib.ln_exchange_abort(asked("1", own))
      own.owner = nil
      local x = asked "2"
      lib.ln_exchange_forget_asker(x)
      lib.ln_exchange_abort(x)
      assert.same({}, rig:told())
    end)

    it("counts no longer", function()
      local x = request()
      lib.ln_exchange_count(x)
      lib.ln_exchange_abort(x)
      assert.same({ 0, 0, 0 }, { tonumber(s.in_flight), tonumber(rig.host.in_flight), tonumber(s.n_exchanges) })
    end)
  end)

  describe("that is called off", function()
    it("goes on without what was done for it", function()
      local x = kept(request())
      local y = child(x, 2)
      call(x, 1)
      rig:told()
      lib.ln_exchange_call_off(x, "timed out")
      assert.same({ "1> notification " .. cancelled(2, "timed out"), "1> abandon 2", "reply 2 " .. S.error "Cancelled" }, rig:told())
      assert.is_true(ended(y))
      finish(x)
      assert.same({ "sink 1 final " .. result(7) }, rig:told())
    end)

    it("asks the client no more", function()
      local x = asked "1"
      ask(x, 5)
      lib.ln_exchange_call_off(x, "timed out")
      assert.same({ "sink 1 " .. cancelled(1, no_longer) }, rig:told())
      assert.equal(0, tonumber(x.ask_id))
      finish(x)
    end)
  end)

  describe("of a server", function()
    it("is answered there, under the server's own id", function()
      local x = asked '"q"'
      finish(x, '{"jsonrpc":"2.0","id":4,"result":{"n":1.0}}')
      assert.same({ '1> response {"jsonrpc":"2.0","id":"q","result":{"n":1.0}}' }, rig:told())
    end)

    it("that has gone is answered nowhere", function()
      local x = asked "1"
      lib.ln_exchange_forget_asker(x)
      finish(x)
      assert.same({}, rig:told())
    end)

    it("ends with the link that it came over, whatever is asked there", function()
      local first, second, done = asked "1", asked "2", asked "3"
      ask(first, 5)
      finish(done)
      rig:told()
      rig:closed(1, lib.LN_ECLOSED, "exit 1")
      assert.same({ "1: lost", "1: detached", "1: ended", "sink 1 " .. cancelled(1, no_longer), "1: freed" }, rig:told())
      assert.is_true(ended(first) and ended(second))
    end)

    it("is no request of the client's under the same id", function()
      asked "7"
      local x = request(7)
      local id, keep = S.text "7"
      assert.equal(x, lib.ln_exchange_find(s, id))
      assert.is_string(ffi.string(keep))
    end)
  end)

  describe("is found", function()
    local function find(id, session)
      local text, keep = S.text(id)
      local x = lib.ln_exchange_find(session or s, text)
      return x ~= nil and x or nil, keep and nil
    end

    it("by its id as the client wrote it", function()
      local number, text = kept(request "1"), kept(request '"1"')
      assert.equal(number, (find "1"))
      assert.equal(text, (find '"1"'))
      assert.is_nil((find "2"))
      assert.is_nil((find ""))
      assert.is_nil((find("1", rig:session "o")))
      finish(number)
      assert.is_nil((find "1"))
    end)

    it("by nobody when it is a notification, or made inside", function()
      local x = kept(request "1")
      x.reply, x.reply_arg = S.driver.rig_reply, S.number(3)
      rig:exchange(s, '{"jsonrpc":"2.0","method":"x"}')
      assert.is_nil((find "1"))
    end)
  end)

  describe("of a notification", function()
    local function notification() return kept(rig:exchange(s, '{"jsonrpc":"2.0","method":"x"}')) end

    it("is closed when its last handler has ended", function()
      local x = notification()
      x.handlers = 1
      lib.ln_exchange_close(x)
      assert.is_false(ended(x))
      x.handlers = 0
      lib.ln_exchange_close(x)
      assert.is_true(ended(x))
      assert.same({}, rig:told())
    end)

    it("may be aborted while it closes", function()
      local x = notification()
      x.handlers = 1
      lib.ln_exchange_close(x)
      x.handlers = 0
      lib.ln_exchange_abort(x)
      assert.is_true(ended(x))
      assert.same({}, rig:told())
    end)
  end)

  it("that stands in for a session's request asks for nothing, under the generation it is given", function()
    local headers = lib.ln_bytes_copy("a: b\r\n", 6)
    lib.ln_session_set_headers(s, headers)
    local g = assert(rig:generation "")
    local x = lib.ln_exchange_stand_in(s, g, "tools/list")
    assert.equal(g, x.gen)
    assert.equal(headers, x.headers)
    assert.equal(tonumber(ffi.cast("int", ffi.C.LN_ROUTE_LIST)), tonumber(ffi.cast("int", x.method.route)))
    lib.ln_exchange_close(x)
    assert.equal(1, g.refs)
    lib.ln_generation_unref(g)
    lib.ln_bytes_unref(headers)
    assert.same({}, rig:told())
  end)

  it("works by the generation that it began under", function()
    local old = rig.host.gen
    local x = kept(request())
    local g = assert(rig:generation "")
    rig.host.gen = g
    lib.ln_session_set_generation(s, g)
    assert.equal(old, x.gen)
    lib.ln_generation_unref(old)
    assert.is_true(lib.ln_generation_has(x.gen, link.server))
    finish(x)
  end)

  it("lives while a call at a server belongs to it", function()
    rig:heard() -- the call goes on without it
    local x = kept(request())
    call(x, 1)
    assert.equal(3, x.refs)
    lib.ln_exchange_abort(x)
    assert.equal(1, x.refs)
  end)

  it("makes calls as the session it is of", function()
    local x = request()
    assert.equal(s.key, call(x, 1).client)
    assert.equal(s.key, link.user)
    finish(x)
  end)

  it("ends with its session, in each of its states", function()
    local own = rig:sink()
    local waits, holds, closing = kept(request(1, own)), kept(request(2)), kept(rig:exchange(s, '{"jsonrpc":"2.0","method":"x"}'))
    call(waits, 1)
    holder(holds)
    finish(holds)
    child(waits, 3)
    closing.handlers = 1
    lib.ln_exchange_close(closing)
    rig:told()
    lib.ln_session_end(s)
    assert.same({ "1> notification " .. cancelled(2, no_longer), "1> abandon 2", "sink 2 gives up", "reply 3 " .. S.error "Cancelled",
      "s ends" }, rig:told())
    for _, x in ipairs { waits, holds, closing } do assert.is_true(ended(x)) end
  end)
end)
