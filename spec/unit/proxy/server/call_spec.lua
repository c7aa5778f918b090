-- src/proxy/server/call.c: requests to a server, numbered, timed, each answered exactly once.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local rig, link, n, server

local function result(id) return ('{"jsonrpc":"2.0","id":%s,"result":{}}'):format(id) end
local function cancelled(id, reason)
  return ('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d,"reason":"%s"}}'):format(id, reason)
end
local function blamed(why) return S.error('Server \\"up\\": ' .. why) end

describe("a call", function()
  setup(S.setup)
  teardown(S.teardown)
  before_each(function()
    rig = S.rig()
    rig.host.settings.request_timeout_ms = 100000
    rig.host.settings.max_request_timeout_ms = 1000000
    link, n, server = rig:open_link() -- initialize was request 1
  end)
  after_each(function() rig:finish() end)

  local function answers(id, text) rig:sends(n, text or result(id)) end
  local function minutes(timer) return math.floor(rig:left(timer) / 10000 + 0.5) * 10 end

  describe("goes out", function()
    it("under an id of the link's own, which is its progress token too, and else as it came", function()
      rig:call(link, 1, { msg = '{"jsonrpc":"2.0","id":"abc","method":"tools/call","params":{"_meta":{"progressToken":"t"},"n":1.0 }}' })
      rig:call(link, 2, { msg = '{"jsonrpc":"2.0","id":0,"method":"x/y"}' })
      assert.same({ '1> request 2 {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"_meta":{"progressToken":2},"n":1.0 }}',
        '1> request 3 {"jsonrpc":"2.0","id":3,"method":"x/y"}' }, rig:told())
      assert.equal(3, tonumber(rig.host.count.server_requests))
    end)

    it("with the server's name in place of the client's", function()
      rig:call(link, 1, { msg = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"b","_meta":{"progressToken":1}}}',
        name = '"a \\" b"' })
      assert.same({ '1> request 2 {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a \\" b","_meta":{"progressToken":2}}}' },
        rig:told())
    end)

    it("as one line to a child", function()
      rig:call(link, 1, { msg = '{"jsonrpc":"2.0",\n"id":7,\r\n"method":"x"}' })
      assert.same({ '1> request 2 {"jsonrpc":"2.0","id":2,"method":"x"}' }, rig:told())
    end)

    it("and tells once that the server doesn't keep up, until it does", function()
      rig:channel_says(n, lib.LN_EFULL)
      rig:call(link, 1)
      rig:channel_says(n, lib.LN_EFULL)
      rig:call(link, 2)
      rig:says(n, "drain")
      rig:says(n, "drain")
      local told = rig:told()
      assert.equal("1: stalled", told[2])
      assert.equal("1: no longer stalled", told[4])
      assert.equal(4, #told)
    end)

    it("or fails at once where the channel has no room for it", function()
      rig:channel_says(n, lib.LN_ELIMIT)
      rig:call(link, 1)
      rig:channel_says(n, lib.LN_ENOMEM)
      rig:call(link, 2)
      assert.same({ "1> not taken: ELIMIT", "reply 1 " .. blamed "it reads too slowly; too much is waiting",
        "1> not taken: ENOMEM", "reply 2 " .. blamed "out of memory" }, rig:told())
    end)

    it("and waits for the end of a child that takes nothing more, which says why", function()
      rig:channel_says(n, lib.LN_ECLOSED)
      rig:call(link, 1)
      assert.same({ "1> not taken: ECLOSED" }, rig:told())
      rig:closed(n, lib.LN_ECLOSED, "it died")
      assert.same({ "1: lost", "1: detached", "reply 1 " .. blamed "it died", "1: ended", "1: freed" }, rig:told())
    end)

    it("and fails at once at an HTTP server that takes nothing more", function()
      local other, m = rig:open_link { name = "web", transport = "LN_VIA_HTTP", url = "http://127.0.0.1:1/" }
      rig:channel_says(m, lib.LN_ECLOSED)
      rig:call(other, 1)
      assert.same({ "2> not taken: ECLOSED", "reply 1 " .. S.error 'Server \\"web\\": the connection was closed' }, rig:told())
    end)
  end)

  describe("is answered", function()
    it("once, whatever comes under its id later", function()
      rig:call(link, 1)
      rig:call(link, 2)
      rig:told()
      answers(3)
      answers(2, '{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"no"}}')
      answers(2)
      answers(3)
      assert.same({ "1> abandon 3", "reply 2 " .. result(3), "1> abandon 2",
        'reply 1 {"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"no"}}' }, rig:told())
      assert.is_false(lib.ln_link_busy(link))
    end)

    it("by nothing under another id, or one of another type", function()
      rig:call(link, 1)
      rig:told()
      for _, id in ipairs { '"2"', "1", "3", "0", "-2", '"abc"', "18446744073709551618", '"c"' } do answers(id) end
      answers(2, '{"jsonrpc":"2.0","id":null,"result":{}}')
      answers(2, '{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}')
      assert.same({}, rig:told())
      assert.is_true(lib.ln_link_busy(link))
      answers(2)
      assert.same({ "1> abandon 2", "reply 1 " .. result(2) }, rig:told())
    end)

    it("upward when it is for an exchange, whose reference goes then", function()
      rig:call(link, 1, { x = 5 })
      rig:told()
      answers(2)
      assert.same({ "1> abandon 2", "1: replied 2 by the server", "reply 1 " .. result(2), "release 5" }, rig:told())
    end)

    it("by us when it fails, in the server's name once", function()
      rig:call(link, 1, { x = 5 })
      rig:call(link, 2)
      rig:told()
      rig:says(n, "failed", 2, lib.LN_EPROTOCOL, 500, 'Server "up": HTTP status 500')
      rig:says(n, "failed", 3, lib.LN_EPROTOCOL, 500, "HTTP status 500")
      rig:says(n, "failed", 3, lib.LN_EPROTOCOL, 500, "HTTP status 500")
      assert.same({ "1: replied 2 by us", "reply 1 " .. blamed "HTTP status 500", "release 5",
        "reply 2 " .. blamed "HTTP status 500" }, rig:told())
    end)

    it("also when its reply makes another one, or ends the link", function()
      rig:call(link, 1)
      rig:call(link, 2)
      rig:told()
      rig:upon("reply 1", lib.ln_link_close, link, ffi.cast("const char *", "enough"))
      answers(2)
      assert.same({ "1> abandon 2", "reply 1 " .. result(2), "1: detached", "reply 2 " .. blamed "enough", "1: ended",
        "1> close" }, rig:told())
    end)
  end)

  describe("has a deadline", function()
    it("that is the server's own, or else the policy's", function()
      local call = rig:call(link, 1)
      assert.equal(100, minutes(call.deadline))
      server.conf.timeout_ms = 500000
      assert.equal(500, minutes(rig:call(link, 2).deadline))
      server.conf.timeout_ms = 2000000 -- more than the hard maximum
      assert.equal(2000, minutes(rig:call(link, 3).deadline))
    end)

    it("that starts anew with progress, within the hard maximum from its beginning", function()
      local call = rig:call(link, 1)
      rig:pass(90000)
      lib.ln_call_progress(call)
      assert.equal(100, minutes(call.deadline))
      rig:pass(880000) -- 970 s
      lib.ln_call_progress(call)
      assert.equal(30, minutes(call.deadline))
      rig:pass(20000)
      lib.ln_call_progress(call)
      assert.equal(10, minutes(call.deadline))
      rig:pass(1000000)
      lib.ln_call_progress(call)
      assert.equal(0, minutes(call.deadline))
    end)

    it("that is all of the hard maximum for who waits for a task's result", function()
      local call = rig:call(link, 1, { msg = '{"jsonrpc":"2.0","id":1,"method":"tasks/result"}' })
      assert.equal(1000, minutes(call.deadline))
      rig:pass(400000)
      lib.ln_call_progress(call)
      assert.equal(600, minutes(call.deadline))
    end)

    it("after which the server is told, and who waits", function()
      local call = rig:call(link, 1, { x = 1 })
      rig:told()
      rig:expire(call.deadline)
      assert.same({ "1> notification " .. cancelled(2, "timed out"), "1> abandon 2", "1: replied 2 by us",
        "reply 1 " .. blamed "no answer to the request in time", "release 1" }, rig:told())
      assert.matches("no answer to tools/call in time", rig:log(), 1, true)
      answers(2)
      assert.same({}, rig:told())
    end)

    it("that runs before it was sent, too", function()
      local early = assert(rig:link(server))
      local call = rig:call(early, 1)
      rig:told()
      rig:expire(call.deadline)
      assert.same({ "reply 1 " .. blamed "no answer to initialize in time" }, rig:told())
      assert.is_false(lib.ln_link_busy(early))
    end)

    it("after which somebody else may be to hear the answer", function()
      rig:heard()
      local call = rig:call(link, 1, { x = 4 })
      rig:told()
      rig:expire(call.deadline)
      assert.same({ "release 4", "reply 1 " .. S.error "The server made no task of the request in time" }, rig:told())
      answers(2)
      assert.same({ "1> abandon 2", "1: heard " .. result(2) }, rig:told())
    end)
  end)

  describe("that nobody waits for", function()
    it("is dropped, and the server told for that reason", function()
      lib.ln_call_drop(rig:call(link, 1, { x = 1 }), "no longer needed")
      assert.same({ '1> request 2 {"jsonrpc":"2.0","id":2,"method":"tools/call"}',
        "1> notification " .. cancelled(2, "no longer needed"), "1> abandon 2", "release 1" }, rig:told())
      answers(2)
      assert.same({}, rig:told())
    end)

    it("is dropped without a word where there is no reason", function()
      lib.ln_call_drop(rig:call(link, 1), nil)
      assert.same({ '1> request 2 {"jsonrpc":"2.0","id":2,"method":"tools/call"}' }, rig:told())
      assert.is_false(lib.ln_link_busy(link))
    end)

    it("is never sent when it was not yet", function()
      local early = assert(rig:link(server))
      local first, second = rig:call(early, 1, { x = 1 }), rig:call(early, 2, { x = 2 })
      rig:call(early, 3)
      rig:told()
      lib.ln_call_drop(first, "no longer needed")
      lib.ln_call_cancel(second, rig:msg(cancelled(0, "bored")))
      rig:answers_initialize(2)
      assert.same({ "release 1", "release 2" }, { unpack(rig:told(), 1, 2) })
      rig:sends(2, result(2))
      local told = rig:told()
      assert.equal("reply 3 " .. result(2), told[#told])
    end)

    it("is cancelled in the client's words, with the link's id in them", function()
      local call = rig:call(link, 1, { x = 1 })
      rig:told()
      lib.ln_call_cancel(call,
        rig:msg '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"I \\" said","requestId":"c", "x":1.0}}')
      assert.same({
        '1> notification {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"I \\" said","requestId":2, "x":1.0}}',
        "1> abandon 2", "release 1" }, rig:told())
    end)

    it("is let go of in no words where the client's have no id", function()
      local call = rig:call(link, 1, { x = 1 })
      rig:told()
      lib.ln_call_cancel(call, rig:msg '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}')
      lib.ln_call_cancel(rig:call(link, 2, { x = 2 }), rig:msg '{"jsonrpc":"2.0","method":"notifications/cancelled"}')
      assert.same({ "release 1", '1> request 3 {"jsonrpc":"2.0","id":3,"method":"tools/call"}', "release 2" }, rig:told())
      assert.is_false(lib.ln_link_busy(link))
    end)

    it("may be heard by somebody else: the server is told nothing, and its time begins anew", function()
      rig:heard()
      local drop, cancel = rig:call(link, 1, { x = 1 }), rig:call(link, 2, { x = 2 })
      rig:told()
      rig:pass(950000)
      lib.ln_call_drop(drop, "no longer needed")
      lib.ln_call_cancel(cancel, rig:msg(cancelled(0, "bored")))
      assert.same({ "release 1", "release 2" }, rig:told())
      assert.equal(100, minutes(drop.deadline))
      rig:expire(drop.deadline)
      assert.same({ "1> notification " .. cancelled(2, "timed out"), "1> abandon 2",
        "1: heard " .. blamed "no answer to the request in time" }, rig:told())
      answers(3)
      assert.same({ "1> abandon 3", "1: heard " .. result(3) }, rig:told())
    end)

    it("may be heard by nobody else when it is Lunette's own, or was not sent", function()
      rig:heard()
      lib.ln_call_drop(rig:call(link, 1), "no longer needed")
      local early = assert(rig:link(server))
      lib.ln_call_drop(rig:call(early, 2, { x = 2 }), "no longer needed")
      assert.same({ '1> request 2 {"jsonrpc":"2.0","id":2,"method":"tools/call"}',
        "1> notification " .. cancelled(2, "no longer needed"), "1> abandon 2", "dial 2 up", "release 2" }, rig:told())
    end)
  end)

  describe("all of a link's", function()
    it("fail with it, those that wait first", function()
      local early = assert(rig:link(server))
      rig:call(early, 1)
      rig:call(early, 2)
      rig:told()
      lib.ln_link_close(early, "why not")
      assert.same({ "2: detached", "reply 1 " .. blamed "why not", "reply 2 " .. blamed "why not", "2: ended", "2> close" },
        rig:told())
    end)

    it("fail also when the first one's reply drops the second", function()
      local early = assert(rig:link(server))
      rig:call(early, 1)
      local second = rig:call(early, 2, { x = 2 })
      rig:call(early, 3)
      rig:told()
      rig:upon("reply 1", lib.ln_call_drop, second)
      lib.ln_link_close(early, "why not")
      assert.same({ "2: detached", "reply 1 " .. blamed "why not", "release 2", "reply 3 " .. blamed "why not", "2: ended",
        "2> close" }, rig:told())
    end)

    it("fail while initialize is under way, and before it was sent", function()
      local early = assert(rig:link(server))
      rig:call(early, 1)
      rig:says(2, "ready")
      rig:told()
      rig:says(2, "failed", 1, lib.LN_ECONNECT, 0, "no route")
      assert.same({ "2: detached", "reply 1 " .. blamed "no route", "2: ended", "2> close" }, rig:told())
    end)
  end)
end)
