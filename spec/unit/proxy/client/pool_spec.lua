-- src/proxy/client/pool.c: which link serves which session, and what becomes of that when a link ends.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local rig, s

local call_text = '{"jsonrpc":"2.0","id":%d,"method":"tools/call"}'

local function server(i) return rig.host.gen.servers[i] end
local OWN, SHARED, EACH = 0, 1, 2

-- The link for a need, or nil and why.
local function want(how, session, i, task)
  local why = ffi.new "const char *[1]"
  local link
  if how == "call" then
    link = lib.ln_pool_link_for_call(session, server(i), task or false, why)
  else
    link = lib.ln_pool_link(session, server(i), why)
  end
  if link ~= nil then return link end
  return nil, ffi.string(why[0])
end
local function current(session, i)
  local link = lib.ln_pool_current(session, server(i))
  return link ~= nil and link or nil
end
local function use(link) return tonumber(ffi.cast("int", link.use)) end
local LASTING, SINGLE, SINGLE_TASK = 0, 1, 2

local function exchange_call(link, n, session)
  local x = rig:exchange(session or s, call_text:format(n))
  return x, lib.ln_exchange_call(x, link, x.msg, ffi.new "struct ln_str", nil, S.driver.rig_reply, S.number(n))
end
local function finish(x) lib.ln_exchange_finish(x, S.msg '{"jsonrpc":"2.0","id":0,"result":{}}') end

describe("the pool", function()
  setup(S.setup)
  teardown(S.teardown)
  before_each(function()
    rig = S.rig [[lunette.upstream("own", { command = "x" }) lunette.upstream("all", { command = "x", session = "shared" })
      lunette.upstream("each", { command = "x", session = "request" })]]
    s = rig:session "s"
  end)
  after_each(function() rig:finish() end)

  it("has nothing before it is asked", function()
    for i = OWN, EACH do
      assert.is_nil(current(s, i))
      assert.is_true(lib.ln_pool_find(s, server(i)) == nil)
    end
    assert.same({}, rig:told())
  end)

  it("gives each session a link of its own, and always that", function()
    local other = rig:session "o"
    local mine = want("lasting", s, OWN)
    assert.equal(mine, want("lasting", s, OWN))
    assert.equal(mine, want("call", s, OWN))
    assert.equal(mine, current(s, OWN))
    assert.is_nil(current(other, OWN))
    assert.not_equal(mine, want("call", other, OWN))
    assert.same({ s, LASTING }, { mine.owner, use(mine) })
    assert.same({ "dial 1 own", "dial 2 own" }, rig:told())
  end)

  it("gives all sessions the one that they share, which is nobody's", function()
    local other = rig:session "o"
    local link = want("call", s, SHARED)
    assert.equal(link, want("lasting", other, SHARED))
    assert.equal(link, current(other, SHARED))
    assert.is_true(link.owner == nil)
    lib.ln_session_end(s)
    assert.equal(link, current(other, SHARED))
    assert.same({ "dial 1 all", "s ends" }, rig:told())
  end)

  it("gives each call its own where that is declared, beside one for lists", function()
    local lasting = want("lasting", s, EACH)
    local first, second, task = want("call", s, EACH), want("call", s, EACH), want("call", s, EACH, true)
    assert.equal(lasting, current(s, EACH))
    assert.same({ LASTING, SINGLE, SINGLE, SINGLE_TASK }, { use(lasting), use(first), use(second), use(task) })
    assert.is_true(first ~= second and first ~= lasting)
    assert.equal(s, first.owner)
  end)

  it("opens another when one has ended, which follows it only if that ended by itself", function()
    local link = want("lasting", s, OWN)
    rig:answers_initialize(1)
    lib.ln_link_close(link, "cleared")
    assert.is_nil(current(s, OWN))
    link = want("lasting", s, OWN)
    assert.is_false(link.after_loss)
    rig:answers_initialize(2)
    rig:closed(2, lib.LN_ECLOSED, "exit 1")
    assert.is_nil(current(s, OWN))
    assert.is_true(want("lasting", s, OWN).after_loss)
    rig:answers_initialize(3)
    local told = rig:told()
    assert.equal("3: reopened", told[#told])
    lib.ln_link_close(current(s, OWN), "cleared")
    assert.is_false(want("lasting", s, OWN).after_loss)
  end)

  it("forgets no link for the end of a single call's", function()
    local lasting = want("lasting", s, EACH)
    want("call", s, EACH)
    rig:closed(2, lib.LN_ECLOSED, "exit 1")
    assert.equal(lasting, current(s, EACH))
    assert.is_false(lib.ln_pool_find(s, server(EACH)).lost)
  end)

  it("says why there is none", function()
    rig:no_dial "no such command"
    for i = OWN, EACH do
      assert.same({ nil, "no such command" }, { want("lasting", s, i) })
      assert.same({ nil, "no such command" }, { want("call", s, i) })
      assert.is_nil(current(s, i))
    end
  end)

  it("gives a session that is over nothing of its own, and takes all it had", function()
    local own = want("lasting", s, OWN)
    local each = want("call", s, EACH)
    local all = want("call", s, SHARED)
    rig:told()
    lib.ln_session_end(s)
    assert.same({ "1: detached", "1: ended", "1> close", "2: detached", "2: ended", "2> close", "s ends" }, rig:told())
    assert.is_true(own.owner == nil and each.owner == nil)
    assert.same({ nil, "the client's session has ended" }, { want("lasting", s, OWN) })
    assert.same({ nil, "the client's session has ended" }, { want("call", s, EACH) })
    assert.is_true(lib.ln_pool_slot_of(s, server(OWN)) == nil)
    assert.equal(0, tonumber(s.n_slots))
    assert.equal(all, server(SHARED).shared)
  end)

  describe("of a session that ends", function()
    it("while a link opens leaves nobody waiting", function()
      local link = want("lasting", s, OWN)
      local x = exchange_call(link, 1)
      rig:watch(link, 1)
      rig:says(1, "ready")
      rig:told()
      lib.ln_session_end(s)
      assert.same({ "1: detached", "1: ended", "watcher 1 gone: the client's session has ended", "1> close", "s ends" }, rig:told())
      assert.is_true(x ~= nil)
      rig:sends(1, S.init_reply)
      rig:closed(1)
      assert.same({ "1: freed" }, rig:told())
    end)

    it("when its link is ready, from a watcher, opens no more", function()
      local link = want("lasting", s, OWN)
      exchange_call(link, 1)
      rig:watch(link, 1)
      rig:says(1, "ready")
      rig:upon("watcher 1 ready", lib.ln_session_end, s)
      rig:told()
      rig:sends(1, S.init_reply)
      local told = rig:told()
      assert.same({ "watcher 1 ready", "1: detached", "1: ended", "1> close", "s ends" }, { unpack(told, #told - 4) })
    end)

    it("in the middle of a reply", function()
      local link = want("lasting", s, OWN)
      local x = exchange_call(link, 1)
      exchange_call(link, 2)
      rig:answers_initialize(1)
      rig:told()
      rig:upon("reply 1", lib.ln_session_end, s)
      rig:sends(1, '{"jsonrpc":"2.0","id":2,"result":{}}')
      assert.same({ "1> abandon 2", "1: replied 2 by the server", 'reply 1 {"jsonrpc":"2.0","id":2,"result":{}}',
        '1> notification {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3,"reason":"no longer needed"}}',
        "1> abandon 3", "1: detached", "1: ended", "1> close", "s ends" }, rig:told())
      assert.is_true(x ~= nil)
    end)

    it("is not stalled by its links any more", function()
      local link = want("lasting", s, OWN)
      rig:answers_initialize(1)
      rig:channel_says(1, lib.LN_EFULL)
      exchange_call(link, 1)
      assert.equal(1, s.stalled)
      lib.ln_session_end(s)
      assert.equal(0, s.stalled)
    end)
  end)

  describe("when a server has forgotten a session", function()
    local function forgets(n, tag) rig:says(n, "failed", tag, lib.LN_ENOTFOUND, 404, "HTTP status 404") end
    local function opened(how, i)
      local link = want(how, s, i)
      local x = exchange_call(link, 1)
      rig:answers_initialize(rig:number_of(link))
      rig:told()
      return link, x
    end

    it("takes the call to another link of the same owner", function()
      local link, x = opened("lasting", OWN)
      forgets(1, 2)
      assert.same({ "1: forgotten 2", "1: lost", "1: detached", "dial 2 own", "1: ended", "1> close" }, rig:told())
      assert.not_equal(link, current(s, OWN))
      assert.equal(s, current(s, OWN).owner)
      rig:answers_initialize(2)
      local told = rig:told()
      assert.same({ "2> request 2 " .. call_text:format(2), "2: reopened" }, { unpack(told, #told - 1) })
      rig:sends(2, '{"jsonrpc":"2.0","id":2,"result":{}}')
      finish(x)
      assert.same({ "2> abandon 2", "2: replied 2 by the server", 'reply 1 {"jsonrpc":"2.0","id":2,"result":{}}' }, rig:told())
    end)

    it("takes the second call there, too, after the link was left", function()
      local link, x = opened("lasting", OWN)
      local y = exchange_call(link, 2)
      forgets(1, 2)
      rig:answers_initialize(2)
      rig:told()
      forgets(1, 3)
      assert.same({ "1: forgotten 3", "2> request 3 " .. call_text:format(3), "1: ended", "1> close" }, rig:told())
      finish(x)
      finish(y)
    end)

    it("fails the call of a session that has ended meanwhile", function()
      local link, x = opened("lasting", OWN)
      exchange_call(link, 2)
      forgets(1, 2)
      rig:told()
      lib.ln_session_end(s)
      assert.is_true(x ~= nil)
      forgets(1, 3)
      local told = rig:told()
      assert.equal("s ends", told[#told])
    end)

    it("takes a single call to a link of its own again", function()
      local lasting = want("lasting", s, EACH)
      local link, x = opened("call", EACH)
      forgets(2, 2)
      assert.same({ "2: forgotten 2", "2: lost", "2: detached", "dial 3 each", "2: ended", "2> close" }, rig:told())
      assert.equal(lasting, current(s, EACH))
      assert.is_true(link ~= nil)
      rig:answers_initialize(3)
      rig:told()
      rig:sends(3, '{"jsonrpc":"2.0","id":2,"result":{}}')
      local told = rig:told()
      assert.same({ "3: detached", "3: ended", "3> close" }, { unpack(told, #told - 2) })
      finish(x)
    end)

    it("takes a call that becomes a task to a link that stays with the task", function()
      local _, x = opened("call", EACH)
      local task = want("call", s, EACH, true)
      local y = exchange_call(task, 2)
      rig:answers_initialize(2)
      forgets(2, 2)
      local fresh = rig:channel(3)
      assert.equal(SINGLE_TASK, use(ffi.cast("struct ln_link *", fresh.arg)))
      finish(x)
      finish(y)
    end)
  end)

  describe("after a reload", function()
    it("drops the slots of servers that are no more, but for those whose link is still at work", function()
      local dropped = ffi.cast("void (*)(struct ln_index *)", lib.ln_index_unref)
      local link = want("lasting", s, OWN)
      lib.ln_pool_slot_of(s, server(SHARED))
      lib.ln_pool_slot_of(s, server(EACH))
      assert.equal(3, tonumber(s.n_slots))
      local own, all = server(OWN), server(SHARED)
      local g = assert(rig:generation [[lunette.upstream("each", { command = "x", session = "request" })]])
      lib.ln_generation_unref(rig.host.gen)
      rig.host.gen = g
      lib.ln_session_set_generation(s, g)
      rig:told()
      lib.ln_pool_drop_slots(s, dropped)
      assert.same({ "all ends" }, rig:told())
      assert.is_true(lib.ln_pool_find(s, all) == nil)
      assert.equal(link, lib.ln_pool_find(s, own).link)
      lib.ln_link_close(link, "done")
      lib.ln_pool_drop_slots(s, dropped)
      assert.equal(1, tonumber(s.n_slots))
    end)
  end)
end)
