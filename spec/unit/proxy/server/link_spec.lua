-- src/proxy/server/link.c: a session with a server, from its opening to an end that leaves nobody waiting.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local rig, server

local function blamed(why) return S.error('Server \\"up\\": ' .. why) end
local init = '> initialize 1 {"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
local initialized = '> notification {"jsonrpc":"2.0","method":"notifications/initialized"}'
local call_text = '{"jsonrpc":"2.0","id":%d,"method":"tools/call"}'

local function close(link, why) lib.ln_link_close(link, why) end
local function state(link) return tonumber(ffi.cast("int", link.state)) end
local CONNECTING, INITIALIZING, READY, OPEN, CLOSING = 0, 1, 2, 3, 4

describe("a link", function()
  setup(S.setup)
  teardown(S.teardown)
  before_each(function()
    rig = S.rig()
    server = assert(rig:server())
  end)
  after_each(function() rig:finish() end)

  -- A link that waits for the answer to initialize; n: its channel.
  local function initializing(n, use)
    local link = assert(rig:link(server, use))
    rig:says(n or 1, "ready")
    rig:told()
    return link
  end
  local function health() return tonumber(ffi.cast("int", server.health)) end
  local UP, DOWN, STOPPED = 1, 2, 3

  describe("is used", function()
    local links = 0
    before_each(function() links = 0 end)
    local function another()
      local link = assert(rig:link(server))
      links = links + 1
      rig:answers_initialize(links)
      return link
    end

    it("by what may change what the server lists for this client, which is told once and before it is sent", function()
      for method, use in pairs {
        ["tools/call"] = true, ["resources/read"] = true, ["resources/subscribe"] = true, ["prompts/get"] = true,
        ["logging/setLevel"] = true, ["tasks/get"] = true, ["tasks/list"] = true, ["x/y"] = true, ["Ping"] = true,
        ["ping"] = false, ["tools/list"] = false, ["resources/list"] = false, ["resources/templates/list"] = false,
        ["prompts/list"] = false, ["completion/complete"] = false,
      } do
        local link = another()
        rig:tell_use()
        rig:told()
        for n = 1, 2 do rig:call(link, n, { msg = ('{"jsonrpc":"2.0","id":1,"method":"%s"}'):format(method) }) end
        assert.equal(use, link.used, method)
        local told = table.concat(rig:told(), "\n")
        assert.equal(use and 1 or 0, select(2, told:gsub("used", "")), told)
        if use then assert.truthy(told:find "used\n%d+> request", told) end
      end
    end)

    it("by notifications, but for those that only say that the client is there, or take something back", function()
      for text, use in pairs {
        ['"notifications/roots/list_changed"'] = true, ['"notifications/progress"'] = true, ['"notifications/x"'] = true,
        ['"notifications/initialized","params":{"x":1}'] = true, ['"notifications/initialized"'] = false,
        ['"notifications/cancelled","params":{"requestId":1}'] = false,
      } do
        local link = another()
        lib.ln_link_notify(link, rig:msg('{"jsonrpc":"2.0","method":' .. text .. "}"))
        assert.equal(use, link.used, text)
      end
    end)
  end)

  describe("is opened", function()
    it("by a channel, initialize, its answer and the client's word that it is ready", function()
      rig:client_ready(false)
      local link = assert(rig:link(server))
      assert.equal(CONNECTING, state(link))
      rig:says(1, "ready")
      assert.equal(INITIALIZING, state(link))
      rig:sends(1, '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-03-26","capabilities":{ "tools":{}}}}')
      assert.equal(READY, state(link))
      assert.equal('{ "tools":{}}', S.str(link.capabilities))
      lib.ln_link_client_initialized(link, rig:msg '{"jsonrpc":"2.0","method":"notifications/initialized","params":{"n":1.0}}')
      assert.equal(OPEN, state(link))
      lib.ln_link_client_initialized(link, nil)
      assert.same({ "dial 1 up", "1" .. init, "1> abandon 1", "1> initialized 2025-03-26", '1: initialized { "tools":{}}',
        '1> notification {"jsonrpc":"2.0","method":"notifications/initialized","params":{"n":1.0}}', "1: opened" }, rig:told())
      assert.equal(UP, health())
    end)

    it("at once when the client is ready", function()
      rig:link(server)
      rig:answers_initialize(1)
      assert.same({ "dial 1 up", "1" .. init, "1> abandon 1", "1> initialized 2025-06-18", "1: initialized {}",
        "1" .. initialized, "1: opened" }, rig:told())
    end)

    it("by the first call when the client isn't, and the calls go out in order", function()
      rig:client_ready(false)
      local link = assert(rig:link(server))
      rig:call(link, 1)
      rig:answers_initialize(1)
      rig:call(link, 2)
      local told = rig:told()
      assert.same({ "1" .. initialized, "1: opened", "1> request 2 " .. call_text:format(2), "1> request 3 " .. call_text:format(3) },
        { unpack(told, #told - 3) })
      local idle = assert(rig:link(server))
      rig:answers_initialize(2)
      assert.equal(READY, state(idle))
      rig:told()
      rig:call(idle, 3)
      assert.same({ "2" .. initialized, "2: opened", "2> request 2 " .. call_text:format(2) }, rig:told())
    end)

    it("and nothing is said in it before", function()
      local link = initializing()
      lib.ln_link_client_initialized(link, nil)
      lib.ln_link_notify(link, rig:msg '{"jsonrpc":"2.0","method":"x"}')
      rig:call(link, 1)
      assert.same({}, rig:told())
      assert.is_nil(link.init_reply ~= nil or nil)
    end)

    it("once: a second answer to initialize is nobody's", function()
      local link = initializing()
      rig:sends(1, S.init_reply)
      rig:told()
      rig:sends(1, S.init_reply)
      rig:says(1, "ready")
      assert.same({}, rig:told())
      assert.equal(OPEN, state(link))
    end)

    it("with capabilities that are an object, or with none", function()
      for value, seen in pairs { ["[]"] = "{}", ["null"] = "{}", ["1"] = "{}", ['{"x":1}'] = '{"x":1}' } do
        local link = assert(rig:link(server))
        local n = rig:number_of(link)
        rig:says(n, "ready")
        rig:sends(n, '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":' .. value .. "}}")
        assert.equal(seen, S.str(link.capabilities), value)
        assert.equal(OPEN, state(link))
      end
    end)

    it("with a number that is never given again", function()
      local first, second = rig:link(server), rig:link(server)
      assert.is_true(second.serial > first.serial)
    end)
  end)

  describe("comes to nothing", function()
    -- What is told of a link with a call and two watchers in it when what breaks it does; why: as the call hears it.
    -- told_later: what the server's state says of it, when that is less
    local function broken(why, act, told_later)
      local link = initializing()
      rig:call(link, 7)
      rig:watch(link, 1)
      rig:watch(link, 2)
      rig:told()
      act(link)
      local told = rig:told()
      if told[1] == "1> abandon 1" then table.remove(told, 1) end
      assert.same({ "1: detached", "reply 7 " .. blamed(why), "1: ended", "watcher 1 gone: " .. why, "watcher 2 gone: " .. why,
        "1> close" }, told)
      assert.equal(CLOSING, state(link))
      assert.equal(DOWN, health())
      assert.equal(told_later or why, ffi.string(server.last_error))
      rig:closed(1)
      assert.same({ "1: freed" }, rig:told())
    end

    it("when initialize is refused", function()
      -- Its words are for whose link it is; whoever asks for the server's state learns the number.
      broken("refused initialize: we \226\128\158are shut", function()
        rig:sends(1, '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"we \226\128\158are \\u0073hut"}}')
      end, "refused initialize (error -1)")
    end)
    it("when initialize is refused without a reason", function()
      broken("refused initialize: no reason given", function() rig:sends(1, '{"jsonrpc":"2.0","id":1,"error":{"code":1}}') end,
        "refused initialize (error 1)")
    end)
    for what, reply in pairs { ["no version"] = "{}", ["a version of another kind"] = '{"protocolVersion":20250618}',
      ["a version that nobody knows"] = '{"protocolVersion":"2030-01-01","capabilities":{}}', ["no object"] = "[]",
      ["null"] = "null" } do
      it("when initialize is answered with " .. what, function()
        broken("answered initialize with a protocol version Lunette doesn't know",
          function() rig:sends(1, '{"jsonrpc":"2.0","id":1,"result":' .. reply .. "}") end)
      end)
    end
    it("when initialize is answered with rubbish", function()
      broken("answered with what is no message", function() rig:sends(1, "<html>", 1) end)
    end)
    it("when initialize is answered with rubbish that shows its id", function()
      broken("answered with what is no message", function() rig:sends(1, '{"jsonrpc":"2.0","id":1,"result":') end)
    end)
    it("when the answer to initialize was dropped unread", function()
      local link = initializing()
      rig:told()
      rig:says(1, "failed", 0, lib.LN_ELIMIT, 0, "a line is too long")
      assert.same({ "1: detached", "1: ended", "1> close" }, rig:told())
      assert.equal(CLOSING, state(link))
    end)
    it("when initialize fails on its way", function()
      broken("no route", function() rig:says(1, "failed", 1, lib.LN_ECONNECT, 0, "no route") end)
    end)
    it("when initialize is not found, for which there is no other session to go to", function()
      broken("HTTP status 404", function() rig:says(1, "failed", 1, lib.LN_ENOTFOUND, 404, "HTTP status 404") end)
    end)
    it("when initialize is not answered in time", function()
      broken("no answer to initialize in time", function(link) rig:expire(link.init_call.deadline) end)
    end)
  end)

  it("that can't be had leaves nothing behind, and is held against the server", function()
    rig:no_dial "no such command"
    local link, why = rig:link(server)
    assert.is_nil(link)
    assert.equal("no such command", why)
    assert.equal(DOWN, health())
    assert.equal(1, server.refs)
    assert.same({ "dial fails" }, rig:told())
  end)

  it("can't be had where there is no memory for what it says", function()
    rig:no_init_request()
    local link = assert(rig:link(server))
    rig:call(link, 1)
    rig:told()
    rig:says(1, "ready")
    assert.same({ "1: detached", "reply 1 " .. blamed "out of memory", "1: ended", "1> close" }, rig:told())
  end)

  it("can't be used where there is no memory for what its server says", function()
    rig:initialized_says(lib.LN_ENOMEM)
    local link = initializing()
    rig:call(link, 1)
    rig:watch(link, 1)
    rig:sends(1, S.init_reply)
    assert.same({ "1> abandon 1", "1> initialized 2025-06-18", "1: initialized {}", "1: detached",
      "reply 1 " .. blamed "out of memory", "1: ended", "watcher 1 gone: out of memory", "1> close" }, rig:told())
  end)

  it("of a host that closes is not to be had", function()
    rig.host.closing = true
    local link, why = rig:link(server)
    assert.is_nil(link)
    assert.equal("Lunette is shutting down", why)
    rig.host.closing = false
  end)

  it("of a server that is down is to be had again when it is time", function()
    for _ = 1, 2 do
      rig:link(server)
      local n = rig:number_of(ffi.cast("struct ln_link *", server.links.next))
      rig:closed(n, lib.LN_ECONNECT, "nobody there")
    end
    rig:told()
    local link, why = rig:link(server)
    assert.is_nil(link)
    assert.equal("nobody there", why)
    assert.same({}, rig:told())
    rig:pass(251)
    assert.is_truthy(rig:link(server))
    assert.same({ "dial 3 up" }, rig:told())
  end)

  describe("whose server is gone", function()
    local function told_after(act)
      rig:told()
      act()
      return rig:told()
    end

    it("before it was ready fails all, and is the server's fault", function()
      local link = assert(rig:link(server))
      rig:call(link, 1)
      rig:watch(link, 1)
      assert.same({ "1: lost", "1: detached", "reply 1 " .. blamed "exit 1", "1: ended", "watcher 1 gone: exit 1", "1: freed" },
        told_after(function() rig:closed(1, lib.LN_ECLOSED, "exit 1") end))
      assert.equal(DOWN, health())
    end)

    it("while it initializes", function()
      rig:call(initializing(), 1)
      assert.same({ "1: lost", "1: detached", "reply 1 " .. blamed "exit 1", "1: ended", "1: freed" },
        told_after(function() rig:closed(1, lib.LN_ECLOSED, "exit 1") end))
      assert.equal(DOWN, health())
    end)

    it("before the client was ready", function()
      rig:client_ready(false)
      initializing()
      rig:sends(1, S.init_reply)
      assert.same({ "1: lost", "1: detached", "1: ended", "1: freed" },
        told_after(function() rig:closed(1, lib.LN_ECLOSED, "exit 1") end))
      assert.equal(DOWN, health()) -- it has done nothing
    end)

    it("while calls are under way, after it has worked", function()
      local link = rig:open_link(server)
      rig:call(link, 1, { x = 1 })
      rig:call(link, 2)
      rig:sends(1, '{"jsonrpc":"2.0","id":3,"result":{}}')
      assert.same({ "1: lost", "1: detached", "1: replied 2 by us", "reply 1 " .. blamed "exit 1", "release 1", "1: ended", "1: freed" },
        told_after(function() rig:closed(1, lib.LN_ECLOSED, "exit 1") end))
      assert.equal(STOPPED, health())
      assert.is_truthy(rig:link(server)) -- at once
    end)

    it("takes its time to end when it is lost: nobody waits for that", function()
      local link = rig:open_link(server)
      rig:call(link, 1)
      assert.same({ "1: lost", "1: detached", "reply 1 " .. blamed "its output is closed", "1: ended", "1> close" },
        told_after(function() rig:says(1, "lost", "its output is closed") end))
      assert.same({}, told_after(function()
        rig:says(1, "lost", "again")
        rig:sends(1, '{"jsonrpc":"2.0","id":2,"result":{}}')
        rig:says(1, "drain")
      end))
      assert.same({ "1: freed" }, told_after(function() rig:closed(1, lib.LN_ECLOSED, "exit 1") end))
      assert.equal("its output is closed", ffi.string(server.last_error))
    end)

    it("by our own wish is not its fault", function()
      local link = rig:open_link(server)
      assert.same({ "1: detached", "1: ended", "1> close", "1: freed" }, told_after(function()
        close(link, "done")
        close(link, "again")
        rig:closed(1, lib.LN_ECLOSED, "exit 1")
      end))
      assert.equal(UP, health())
    end)

    it("by its own wish is not its fault either, but lost", function()
      rig:open_link(server)
      assert.same({ "1: lost", "1: detached", "1: ended", "1: freed" }, told_after(function() rig:closed(1) end))
      assert.equal(UP, health())
    end)

    it("after ten seconds in which it did nothing has worked", function()
      rig:open_link(server)
      rig:pass(10001)
      rig:closed(1, lib.LN_ECLOSED, "exit 1")
      assert.equal(STOPPED, health())
    end)

    it("beside another that works says nothing of the server", function()
      rig:open_link(server)
      rig:open_link(server)
      rig:closed(1, lib.LN_ECLOSED, "exit 1")
      assert.equal(UP, health())
      rig:closed(2, lib.LN_ECLOSED, "exit 1")
      assert.equal(DOWN, health())
    end)

    it("answers who comes too late, a call or a watcher, at once", function()
      local link = rig:open_link(server)
      close(link, "done")
      rig:told()
      rig:call(link, 1, { x = 1 })
      rig:request(link, 2)
      rig:watch(link, 3)
      lib.ln_link_notify(link, rig:msg '{"jsonrpc":"2.0","method":"x"}')
      lib.ln_link_respond(link, ffi.new "struct ln_str", rig:msg '{"jsonrpc":"2.0","id":1,"result":{}}')
      lib.ln_link_pause(link, true)
      assert.same({ "1: replied 0 by us", "reply 1 " .. blamed "the connection was closed", "release 1",
        "reply 2 " .. blamed "the connection was closed", "watcher 3 gone: the connection was closed" }, rig:told())
    end)

    it("answers also the calls that replies make", function()
      local link = rig:open_link(server)
      local early = rig:link(server)
      rig:call(early, 1)
      rig:call(link, 2)
      rig:told()
      rig:upon("reply 2", lib.ln_link_close, early, ffi.cast("const char *", "and this"))
      close(link, "done")
      assert.same({ "1: detached", "reply 2 " .. blamed "done", "2: detached", "reply 1 " .. blamed "and this", "2: ended", "2> close",
        "1: ended", "1> close" }, rig:told())
    end)
  end)

  describe("of a shared server", function()
    local function shared()
      local why = ffi.new "const char *[1]"
      local link = lib.ln_link_shared(server, why)
      return link ~= nil and link or nil, why[0] ~= nil and ffi.string(why[0]) or nil
    end
    before_each(function() server.conf.session = "LN_SHARING_SHARED" end)

    it("is one for all, and another when that has gone", function()
      local link = shared()
      assert.equal(link, shared())
      close(link, "done")
      assert.is_true(server.shared == nil)
      assert.not_equal(link, shared())
      assert.is_false(server.shared.after_loss)
    end)

    it("that follows one which ended by itself says so when it is ready", function()
      shared()
      rig:answers_initialize(1)
      rig:closed(1, lib.LN_ECLOSED, "exit 1")
      rig:told()
      rig:pass(60000)
      assert.is_true(shared().after_loss)
      rig:answers_initialize(2)
      local told = rig:told()
      assert.equal("2: reopened", told[#told])
      close(server.shared, "done")
      rig:pass(1)
      assert.is_false(shared().after_loss)
    end)

    it("that follows by a probe says so, too", function()
      shared()
      rig:answers_initialize(1)
      rig:closed(1, lib.LN_ECLOSED, "exit 1")
      rig:pass(60000)
      lib.ln_link_probe(server)
      rig:answers_initialize(2)
      local told = rig:told()
      assert.equal("2: reopened", told[#told])
      assert.is_false(server.shared_lost)
      assert.equal(rig:channel(2), server.shared.calls.channel)
    end)

    it("knows whether one session has used it, or several", function()
      local link = shared()
      assert.equal(0, tonumber(link.user))
      rig:call(link, 1, { client = 5 })
      rig:request(link, 2)
      rig:call(link, 3, { client = 5 })
      assert.equal(5, tonumber(link.user))
      rig:call(link, 4, { client = 6 })
      rig:call(link, 5, { client = 5 })
      assert.is_true(link.user == 0xffffffffffffffffULL)
    end)
  end)

  describe("two of one server", function()
    it("answer their own calls under equal ids", function()
      local first = rig:open_link(server)
      local second = rig:open_link(server)
      rig:call(first, 1)
      rig:call(second, 2)
      rig:told()
      rig:sends(2, '{"jsonrpc":"2.0","id":2,"result":{}}')
      assert.same({ "2> abandon 2", 'reply 2 {"jsonrpc":"2.0","id":2,"result":{}}' }, rig:told())
      assert.is_true(lib.ln_link_busy(first))
    end)

    it("end one by one", function()
      local first = rig:open_link(server)
      local second = rig:open_link(server)
      rig:call(first, 1)
      rig:call(second, 2)
      close(first, "done")
      rig:told()
      rig:sends(2, '{"jsonrpc":"2.0","id":2,"result":{}}')
      assert.equal('reply 2 {"jsonrpc":"2.0","id":2,"result":{}}', rig:told()[2])
      assert.equal(OPEN, state(second))
    end)

    it("of which one is late is a late server", function()
      rig:open_link(server)
      assert.is_false(lib.ln_link_late(server))
      rig:link(server)
      assert.is_false(lib.ln_link_late(server))
      rig:pass(2001)
      assert.is_true(lib.ln_link_late(server))
      rig:answers_initialize(2)
      assert.is_false(lib.ln_link_late(server))
    end)
  end)

  describe("has watchers", function()
    it("told in order when it is ready, once, and at once when it is", function()
      local link = initializing()
      rig:watch(link, 1)
      rig:watch(link, 2)
      rig:sends(1, S.init_reply)
      rig:watch(link, 3)
      local told = rig:told()
      assert.same({ "watcher 1 ready", "watcher 2 ready", "watcher 3 ready" }, { unpack(told, #told - 2) })
      close(link, "done")
      assert.same({ "1: detached", "1: ended", "1> close" }, rig:told())
    end)

    it("before what waits goes out", function()
      rig:client_ready(false)
      local link = initializing()
      rig:watch(link, 1)
      rig:call(link, 1)
      rig:sends(1, S.init_reply)
      local told = rig:told()
      assert.same({ "watcher 1 ready", "1" .. initialized, "1: opened", "1> request 2 " .. call_text:format(2) },
        { unpack(told, #told - 3) })
    end)

    it("that unwatch each other", function()
      for _, how in ipairs { "ready", "gone" } do
        local link = assert(rig:link(server))
        local n = rig:number_of(link)
        rig:says(n, "ready")
        local w = {}
        for i = 1, 3 do w[i] = rig:watch(link, i) end
        rig:told()
        rig:upon("watcher 1", lib.ln_link_unwatch, w[2])
        rig:upon("watcher 3", lib.ln_link_unwatch, w[1])
        if how == "ready" then rig:sends(n, S.init_reply) else close(link, "x") end
        local seen = {}
        for _, line in ipairs(rig:told()) do
          if line:find "^watcher" then seen[#seen + 1] = line end
        end
        local suffix = how == "ready" and " ready" or " gone: x"
        assert.same({ "watcher 1" .. suffix, "watcher 3" .. suffix }, seen)
        lib.ln_link_unwatch(w[2])
      end
    end)

    it("of which one ends it: the others hear that", function()
      local link = initializing()
      rig:watch(link, 1)
      rig:watch(link, 2)
      rig:call(link, 7)
      rig:upon("watcher 1 ready", lib.ln_link_close, link, ffi.cast("const char *", "enough"))
      rig:sends(1, S.init_reply)
      local told = rig:told()
      assert.same({ "watcher 1 ready", "1: detached", "reply 7 " .. blamed "enough", "1: ended", "watcher 2 gone: enough",
        "1> close" }, { unpack(told, #told - 5) })
    end)
  end)

  describe("that has been forgotten", function()
    local function shared()
      server.conf.session = "LN_SHARING_SHARED"
      local why = ffi.new "const char *[1]"
      local link = lib.ln_link_shared(server, why)
      rig:answers_initialize(rig:number_of(link))
      rig:told()
      return link
    end
    local function forgets(n, tag) rig:says(n, "failed", tag, lib.LN_ENOTFOUND, 404, "HTTP status 404") end

    it("takes the call to another, once", function()
      local link = shared()
      rig:call(link, 1)
      rig:told()
      forgets(1, 2)
      assert.same({ "1: forgotten 2", "1: lost", "1: detached", "dial 2 up", "1: ended", "1> close" }, rig:told())
      rig:answers_initialize(2)
      local told = rig:told()
      assert.same({ "2> request 2 " .. call_text:format(2), "2: reopened" }, { unpack(told, #told - 1) })
      forgets(2, 2)
      assert.same({ "reply 1 " .. blamed "HTTP status 404" }, rig:told())
      assert.equal(OPEN, state(server.shared))
    end)

    it("for several calls takes each, leaves once, and ends with the last", function()
      local link = shared()
      rig:call(link, 1)
      rig:call(link, 2)
      rig:call(link, 3)
      rig:told()
      forgets(1, 2)
      assert.is_true(link.draining)
      rig:answers_initialize(2)
      rig:told()
      forgets(1, 3)
      assert.same({ "1: forgotten 3", "2> request 3 " .. call_text:format(3) }, rig:told())
      assert.equal(rig:channel(2), server.shared.calls.channel)
      rig:sends(1, '{"jsonrpc":"2.0","id":4,"result":{}}')
      assert.same({ "1> abandon 4", 'reply 3 {"jsonrpc":"2.0","id":4,"result":{}}', "1: ended", "1> close" }, rig:told())
    end)

    it("without another to be had fails the call", function()
      local link = shared()
      rig:call(link, 1)
      rig:told()
      rig:no_dial "no such host"
      forgets(1, 2)
      assert.same({ "1: forgotten 2", "1: lost", "1: detached", "dial fails", "reply 1 " .. blamed "no such host", "1: ended",
        "1> close" }, rig:told())
    end)

    it("is not what another status, or a 404 of another kind, says", function()
      local link = shared()
      rig:call(link, 1)
      rig:call(link, 2)
      rig:told()
      rig:says(1, "failed", 2, lib.LN_EPROTOCOL, 404, "no such page")
      rig:says(1, "failed", 3, lib.LN_ENOTFOUND, 410, "gone")
      assert.same({ "reply 1 " .. blamed "no such page", "reply 2 " .. blamed "gone" }, rig:told())
    end)

    it("is nobody's when nobody can be asked whose the call is", function()
      local link = rig:open_link(server)
      rig:call(link, 1)
      rig:told()
      forgets(1, 2)
      assert.same({ "1: forgotten 2", "reply 1 " .. blamed "HTTP status 404" }, rig:told())
      assert.equal(OPEN, state(link))
    end)
  end)

  describe("for one purpose ends with it:", function()
    -- With one call, which has gone out.
    local function single(use)
      local link = assert(rig:link(server, use))
      local call = rig:call(link, 1, { x = 1 })
      rig:answers_initialize(1)
      rig:told()
      return link, call
    end

    it("a probe as soon as it is ready", function()
      server.health = "LN_SERVER_DOWN"
      lib.ln_link_probe(server)
      lib.ln_link_probe(server) -- there is one
      assert.same({ "dial 1 up" }, rig:told())
      rig:answers_initialize(1)
      local told = rig:told()
      assert.same({ "1: opened", "1: detached", "1: ended", "1> close" }, { unpack(told, #told - 3) })
      assert.equal(UP, health())
      lib.ln_link_probe(server)
      assert.same({}, rig:told())
    end)

    it("a probe that comes to nothing, and the next one not before its time", function()
      server.health = "LN_SERVER_DOWN"
      for _ = 1, 2 do
        lib.ln_link_probe(server)
        rig:closed(rig:number_of(ffi.cast("struct ln_link *", server.links.next)), lib.LN_ECONNECT, "no")
      end
      rig:told()
      lib.ln_link_probe(server)
      assert.same({}, rig:told())
      rig:pass(251)
      lib.ln_link_probe(server)
      assert.same({ "dial 3 up" }, rig:told())
    end)

    it("a single call's after it, and not before", function()
      local link = single("LN_LINK_SINGLE")
      assert.equal(OPEN, state(link))
      rig:sends(1, '{"jsonrpc":"2.0","id":2,"result":{}}')
      assert.same({ "1> abandon 2", "1: replied 2 by the server", 'reply 1 {"jsonrpc":"2.0","id":2,"result":{}}', "release 1",
        "1: detached", "1: ended", "1> close" }, rig:told())
    end)

    it("a single call's when the call is dropped", function()
      local _, call = single("LN_LINK_SINGLE")
      lib.ln_call_drop(call, nil)
      assert.same({ "release 1", "1: detached", "1: ended", "1> close" }, rig:told())
    end)

    it("a task's when the call became none", function()
      single("LN_LINK_SINGLE_TASK")
      rig:sends(1, '{"jsonrpc":"2.0","id":2,"result":{}}')
      local told = rig:told()
      assert.equal("1> close", told[#told])
    end)

    it("a task's with the task", function()
      local link = single("LN_LINK_SINGLE_TASK")
      local task = ffi.new "struct ln_list" -- stands for a task's
      link.tasks.next, link.tasks.prev, task.next, task.prev = task, task, link.tasks, link.tasks
      rig:sends(1, '{"jsonrpc":"2.0","id":2,"result":{}}')
      assert.equal(OPEN, state(link))
      rig:told()
      link.tasks.next, link.tasks.prev = link.tasks, link.tasks
      lib.ln_link_close_if_idle(link)
      assert.same({ "1: detached", "1: ended", "1> close" }, rig:told())
    end)
  end)

  describe("of a server that is no longer declared", function()
    it("ends when it is idle, else after what it has under way", function()
      local idle = rig:open_link(server)
      local busy = rig:open_link(server)
      local early = rig:link(server)
      rig:call(busy, 1)
      rig:call(early, 2)
      rig:told()
      lib.ln_link_retire_all(server)
      assert.same({ "1: detached", "1: ended", "1> close" }, rig:told())
      assert.equal(CLOSING, state(idle))
      rig:sends(2, '{"jsonrpc":"2.0","id":2,"result":{}}')
      assert.same({ "2> abandon 2", 'reply 1 {"jsonrpc":"2.0","id":2,"result":{}}', "2: detached", "2: ended", "2> close" }, rig:told())
      rig:answers_initialize(3)
      assert.equal(OPEN, state(early))
      rig:sends(3, '{"jsonrpc":"2.0","id":2,"result":{}}')
      assert.equal(CLOSING, state(early))
    end)
  end)

  describe("may be left", function()
    it("and ends when the last call has", function()
      local link = rig:open_link(server)
      rig:call(link, 1)
      rig:told()
      lib.ln_link_drain(link)
      lib.ln_link_drain(link)
      assert.same({ "1: lost", "1: detached" }, rig:told())
      rig:sends(1, '{"jsonrpc":"2.0","id":2,"result":{}}')
      assert.same({ "1> abandon 2", 'reply 1 {"jsonrpc":"2.0","id":2,"result":{}}', "1: ended", "1> close" }, rig:told())
    end)

    it("while its server doesn't keep up", function()
      local link = rig:open_link(server)
      rig:channel_says(1, lib.LN_EFULL)
      rig:call(link, 1)
      rig:told()
      lib.ln_link_drain(link)
      assert.same({ "1: no longer stalled", "1: lost", "1: detached" }, rig:told())
    end)

    it("and is not lost a second time", function()
      local link = rig:open_link(server)
      rig:call(link, 1)
      lib.ln_link_drain(link)
      rig:told()
      rig:closed(1, lib.LN_ECLOSED, "exit 1")
      assert.same({ "reply 1 " .. blamed "exit 1", "1: ended", "1: freed" }, rig:told())
    end)
  end)

  describe("passes on", function()
    it("pauses, each once", function()
      local link = rig:open_link(server)
      lib.ln_link_pause(link, false)
      lib.ln_link_pause(link, true)
      lib.ln_link_pause(link, true)
      lib.ln_link_pause(link, false)
      assert.same({ "1> pause", "1> resume" }, rig:told())
    end)

    it("notifications as they are, and logs those that are lost", function()
      local link = rig:open_link(server)
      local m = rig:msg '{"jsonrpc":"2.0","method":"a/b","params":{"n":1.0}}'
      lib.ln_link_notify(link, m)
      rig:channel_says(1, lib.LN_ECLOSED)
      lib.ln_link_notify(link, m)
      rig:channel_says(1, lib.LN_EFULL)
      lib.ln_link_notify(link, m)
      assert.same({ '1> notification {"jsonrpc":"2.0","method":"a/b","params":{"n":1.0}}', "1> not taken: ECLOSED",
        '1> notification {"jsonrpc":"2.0","method":"a/b","params":{"n":1.0}}', "1: stalled" }, rig:told())
      assert.matches("a/b was lost: the connection was closed", rig:log(), 1, true)
    end)

    it("responses under the id that the server gave", function()
      local link = initializing()
      local id, keep = S.text '"s\\u0031"'
      lib.ln_link_respond(link, id, rig:msg '{"jsonrpc":"2.0","id":4,"result":{"n":1.0}}')
      assert.same({ '1> response {"jsonrpc":"2.0","id":"s\\u0031","result":{"n":1.0}}' }, rig:told(), keep and nil)
    end)

    it("that the server lets go of a stream, of an exchange's call only", function()
      local link = rig:open_link(server)
      rig:call(link, 1, { x = 1 })
      rig:call(link, 2)
      rig:told()
      for _, tag in ipairs { 2, 3, 4, 0 } do rig:says(1, "disconnected", tag, 500) end
      assert.same({ "1: disconnected 2 for 500" }, rig:told())
    end)

    it("the end of a server, when the last that knew it has gone", function()
      rig:open_link(server)
      local other = assert(rig:server { name = "other" })
      local link = assert(rig:link(other))
      lib.ln_server_unref(other)
      S.driver.rig_forget_server(rig.r)
      close(link, "done")
      rig:told()
      rig:closed(2)
      assert.same({ "2: freed", "other ends" }, rig:told())
    end)
  end)
end)
