-- src/proxy/client/outbox.c: what is said to a client, in which order, what waits for a stream, and who hears the
-- answers to what it is asked.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local rig, outbox

local function note(text) return ('{"jsonrpc":"2.0","method":"%s"}'):format(text) end
local function request(id, method)
  return ('{"jsonrpc":"2.0","id":%s,"method":"%s"}'):format(id, method or "roots/list")
end
local function result(id, value) return ('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(id, value or "{}") end

local function send(text, sink, final)
  local out = ffi.new "struct ln_out"
  lib.ln_out_init(out, rig:msg(text))
  lib.ln_outbox_send(outbox, sink, out, final or false)
  lib.ln_out_deinit(out)
end

-- Asks the client; the answer shows as "reply N". Returns the id.
local function ask(n, text, sink)
  return tonumber(lib.ln_outbox_ask(outbox, sink, rig:msg(text or request '"s"'), S.driver.rig_reply, S.number(n)))
end
local function answer(text) lib.ln_outbox_answer(outbox, rig:msg(text)) end

-- A stream for what is related to nothing.
local function general(one_line)
  local sink = rig:sink(one_line)
  lib.ln_outbox_set_general(outbox, sink)
  return sink
end

local function open()
  outbox.state = "LN_OUTBOX_OPEN"
  lib.ln_outbox_flush(outbox)
end

describe("an outbox", function()
  setup(S.setup)
  teardown(S.teardown)
  before_each(function()
    rig = S.rig()
    outbox = ffi.new "struct ln_outbox"
    S.driver.rig_outbox(rig.r, outbox)
    outbox.state = "LN_OUTBOX_OPEN"
  end)
  after_each(function()
    lib.ln_outbox_close(outbox)
    rig:finish()
  end)

  describe("sends", function()
    it("each message on the stream it belongs to, at once and as it is", function()
      general()
      local own = rig:sink()
      send(note "a/b")
      send(result(1, "{ \"n\" : 1.0 }"), own, true)
      send(note "c", own)
      assert.same({ "sink 1 " .. note "a/b", 'sink 2 final {"jsonrpc":"2.0","id":1,"result":{ "n" : 1.0 }}',
        "sink 2 " .. note "c" }, rig:told())
    end)

    it("one line where the stream must have one", function()
      general(true)
      send '{"jsonrpc":"2.0",\n"method":\r\n"a"}'
      assert.same({ "sink 1 " .. '{"jsonrpc":"2.0","method":"a"}' }, rig:told())
    end)

    it("notifications of its own", function()
      general()
      lib.ln_outbox_notify(outbox, "notifications/tools/list_changed")
      assert.same({ "sink 1 " .. note "notifications/tools/list_changed" }, rig:told())
    end)

    it("nothing after its end, and lets go of the stream", function()
      local sink = general()
      assert.equal(2, sink.refs)
      lib.ln_outbox_close(outbox)
      assert.equal(1, sink.refs)
      send(note "a", sink)
      send(note "b")
      lib.ln_outbox_notify(outbox, "c")
      assert.equal(0, ask(1))
      assert.equal(0, tonumber(outbox.n_waiting))
      assert.same({}, rig:told())
    end)

    it("on the stream that came last, and waits again when that has gone", function()
      local first = general()
      general()
      send(note "a")
      lib.ln_outbox_set_general(outbox, nil)
      send(note "b")
      assert.equal(1, first.refs)
      assert.same({ "sink 2 " .. note "a" }, rig:told())
      assert.equal(1, tonumber(outbox.n_waiting))
    end)
  end)

  describe("without a stream", function()
    it("keeps what is said, and says it in that order when one comes", function()
      send(note "a")
      ask(1)
      send(note "b")
      assert.same({}, rig:told())
      general()
      send(note "c")
      assert.same({ "sink 1 " .. note "a", "sink 1 " .. request(1), "sink 1 " .. note "b", "sink 1 " .. note "c" }, rig:told())
      assert.equal(0, tonumber(outbox.n_waiting))
      assert.equal(0, tonumber(outbox.waiting_bytes))
    end)

    it("keeps one of what has changed and changes again, at the last one's place", function()
      local tools, updated = "notifications/tools/list_changed", "notifications/resources/updated"
      local function of(uri) return ('{"jsonrpc":"2.0","method":"%s","params":{"uri":"%s"}}'):format(updated, uri) end
      for _, text in ipairs { note(tools), of "a:1", note "notifications/prompts/list_changed", of "a:2", note(tools), of "a:1" } do
        send(text)
      end
      general()
      assert.same({ "sink 1 " .. note "notifications/prompts/list_changed", "sink 1 " .. of "a:2", "sink 1 " .. note(tools),
        "sink 1 " .. of "a:1" }, rig:told())
    end)

    it("merges nothing else, however equal", function()
      local log = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}'
      send(log)
      send(log)
      ask(1)
      ask(2)
      general()
      assert.same({ "sink 1 " .. log, "sink 1 " .. log, "sink 1 " .. request(1), "sink 1 " .. request(2) }, rig:told())
    end)

    it("drops the oldest of more than 256, and says so in the log", function()
      for i = 1, 258 do send(note("n/" .. i)) end
      assert.equal(256, tonumber(outbox.n_waiting))
      local log = rig:log()
      assert.matches("no stream to send on: dropped n/1\n", log, 1, true)
      assert.matches("dropped n/2\n", log, 1, true)
      assert.is_nil(log:find("dropped n/3\n", 1, true))
      general()
      local told = rig:told()
      assert.equal("sink 1 " .. note "n/3", told[1])
      assert.equal("sink 1 " .. note "n/258", told[256])
    end)

    it("tells who asked when the question is dropped", function()
      ask(1)
      ask(2)
      for i = 1, 255 do send(note("n/" .. i)) end
      assert.same({ "reply 1 " .. S.error "The client does not listen" }, rig:told())
      assert.equal(1, tonumber(outbox.asks.len))
      answer(result(1)) -- too late
      answer(result(2))
      assert.same({ "reply 2 " .. result(2) }, rig:told())
    end)

    it("drops the oldest of too many bytes, but never the only one", function()
      rig.host.settings.max_message_bytes = 100
      local function long(c) return ('{"jsonrpc":"2.0","method":"x","params":{"a":"%s"}}'):format(c:rep(60)) end
      send(long "a")
      send(long "b")
      assert.equal(1, tonumber(outbox.n_waiting))
      ask(1, ('{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"%s"}}'):format(("c"):rep(400)))
      assert.equal(1, tonumber(outbox.n_waiting))
      assert.is_true(tonumber(outbox.waiting_bytes) > 400)
      assert.same({}, rig:told())
      send(note "z")
      assert.same({ "reply 1 " .. S.error "The client does not listen" }, rig:told())
    end)

    it("may be asked again by who hears that its question was dropped", function()
      ask(1)
      for i = 1, 254 do send(note("n/" .. i)) end
      rig:upon("reply 1", lib.ln_outbox_notify, outbox, "again")
      ask(2)
      ask(3)
      assert.equal(256, tonumber(outbox.n_waiting))
      general()
      local told = rig:told()
      assert.equal("reply 1 " .. S.error "The client does not listen", told[1])
      assert.equal("sink 1 " .. note "n/2", told[2]) -- what came from inside cost one more
      assert.same({ "sink 1 " .. request(2), "sink 1 " .. request(3), "sink 1 " .. note "again" },
        { told[#told - 2], told[#told - 1], told[#told] })
    end)

    it("drops what waits when it ends", function()
      send(note "a")
      ask(1)
      lib.ln_outbox_close(outbox)
      assert.same({ "reply 1 " .. S.error "The client's session has ended" }, rig:told())
      assert.equal(0, tonumber(outbox.waiting_bytes))
    end)
  end)

  describe("of a client that is not ready yet", function()
    before_each(function() outbox.state = "LN_OUTBOX_EARLY" end)

    it("keeps requests, and sends all else", function()
      general()
      ask(1)
      send(note "a")
      send(result(7), nil, true)
      assert.same({ "sink 1 " .. note "a", "sink 1 final " .. result(7) }, rig:told())
      open()
      assert.same({ "sink 1 " .. request(1) }, rig:told())
    end)

    it("sends what else has waited as soon as there is a stream", function()
      send(note "a")
      ask(1)
      send(note "b")
      general()
      send(note "c")
      assert.same({ "sink 1 " .. note "a", "sink 1 " .. note "b", "sink 1 " .. note "c" }, rig:told())
      open()
      assert.same({ "sink 1 " .. request(1) }, rig:told())
    end)

    it("sends a request on the stream it belongs to once it is ready", function()
      local own = rig:sink()
      ask(1, nil, own)
      assert.same({}, rig:told())
      open()
      assert.same({ "sink 1 " .. request(1) }, rig:told())
      answer(result(1))
      assert.equal(1, own.refs)
    end)

    it("says nothing of a request that is not wanted any more before it was sent", function()
      general()
      local first, second = ask(1), ask(2)
      ask(3)
      lib.ln_outbox_ask_cancel(outbox, first, nil)
      lib.ln_outbox_ask_withdraw(outbox, second, S.msg(S.error "withdrawn"))
      open()
      assert.same({ "reply 2 " .. S.error "withdrawn", "sink 1 " .. request(3) }, rig:told())
      assert.equal(0, tonumber(outbox.n_waiting))
    end)
  end)

  describe("asks", function()
    it("under ids of its own, and with them as tokens", function()
      general()
      assert.equal(1, ask(1, '{"jsonrpc":"2.0","id":"s","method":"m","params":{"_meta":{"progressToken":"t"},"x":1}}'))
      assert.equal(2, ask(2, request(0)))
      assert.same({ 'sink 1 {"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1},"x":1}}',
        "sink 1 " .. request(2) }, rig:told())
    end)

    it("and tells who asked, each once and as the client said it", function()
      general()
      ask(1)
      ask(2)
      rig:told()
      answer(result(2, "{ }"))
      answer(S.error("no", -1):gsub('"id":0', '"id":1'))
      answer(result(2))
      answer(result(1))
      assert.same({ "reply 2 " .. result(2, "{ }"), "reply 1 " .. '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}' },
        rig:told())
    end)

    it("and ignores answers under any other id", function()
      general()
      ask(1)
      rig:told()
      for _, id in ipairs { "0", "2", "-1", '"1"', "10", "9223372036854775807", "9223372036854775808",
        "18446744073709551617", ("9"):rep(400), '""' } do
        answer(result(id))
      end
      answer '{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}'
      assert.same({}, rig:told())
      assert.equal(1, tonumber(outbox.asks.len))
    end)

    it("as many at once as one may have under way", function()
      rig.host.settings.max_in_flight = 2
      assert.same({ 1, 2, 0 }, { ask(1), ask(2), ask(3) })
      answer(result(1))
      assert.same({ "reply 1 " .. result(1) }, rig:told())
      assert.equal(3, ask(4))
    end)

    it("nothing that can't be sent", function()
      local sink = rig:sink()
      rig:sink_says(sink, lib.LN_ECLOSED)
      assert.equal(0, ask(1, nil, sink))
      assert.equal(1, sink.refs)
      assert.same({ "sink 1 does not take it: ECLOSED" }, rig:told())
      lib.ln_outbox_close(outbox)
      assert.same({}, rig:told())
    end)

    it("and says so when what waited can't be sent", function()
      outbox.state = "LN_OUTBOX_EARLY"
      local own = rig:sink()
      ask(1, nil, own)
      rig:sink_says(own, lib.LN_ECLOSED)
      open()
      assert.same({ "sink 1 does not take it: ECLOSED", "reply 1 " .. S.error "The client can't be asked" }, rig:told())
      assert.equal(1, own.refs)
    end)

    it("and says so when it is not wanted any more, on the same stream", function()
      general()
      local own = rig:sink()
      local id = ask(1, nil, own)
      lib.ln_outbox_ask_cancel(outbox, id, nil)
      lib.ln_outbox_ask_cancel(outbox, id, nil)
      answer(result(id))
      assert.equal(1, own.refs)
      assert.same({ "sink 2 " .. request(1),
        'sink 2 {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"no longer needed"}}' },
        rig:told())
    end)

    it("and takes it back in the server's own words, with the client's id in them", function()
      general()
      ask(1)
      local id = ask(2)
      rig:told()
      lib.ln_outbox_ask_cancel(outbox, id,
        rig:msg '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"bored","requestId":"s"}}')
      assert.same({ 'sink 1 {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"bored","requestId":2}}' },
        rig:told())
    end)

    it("and takes it back in no words where the server's lack the id", function()
      general()
      local id = ask(1)
      rig:told()
      lib.ln_outbox_ask_cancel(outbox, id, rig:msg(note "notifications/cancelled"))
      assert.same({}, rig:told())
      assert.equal(0, tonumber(outbox.asks.len))
    end)

    it("and tells who asked, and the client, when it is withdrawn; nobody, when that was answered", function()
      general()
      local id = ask(1)
      rig:told()
      lib.ln_outbox_ask_withdraw(outbox, id, S.msg(S.error "No longer needed"))
      lib.ln_outbox_ask_withdraw(outbox, id, S.msg(S.error "again"))
      assert.same({
        'sink 1 {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"no longer needed"}}',
        "reply 1 " .. S.error "No longer needed" }, rig:told())
    end)

    it("of which those without an answer end with it, and ask nothing more", function()
      general()
      ask(1)
      ask(2)
      rig:told()
      lib.ln_outbox_close(outbox)
      local told = rig:told()
      table.sort(told)
      assert.same({ "reply 1 " .. S.error "The client's session has ended",
        "reply 2 " .. S.error "The client's session has ended" }, told)
    end)

    it("and may end in the middle of an answer", function()
      general()
      ask(1)
      ask(2)
      ask(3)
      rig:told()
      rig:upon("reply 2", lib.ln_outbox_close, outbox)
      rig:upon("reply 3", lib.ln_outbox_close, outbox)
      answer(result(2))
      local told = rig:told()
      assert.equal("reply 2 " .. result(2), told[1])
      assert.equal(3, #told)
      assert.equal(0, tonumber(outbox.asks.len))
    end)
  end)

  describe("of a client that does not read", function()
    local function fill(sink)
      rig:sink_says(sink, lib.LN_EFULL)
      send(note "full", sink)
    end

    it("stops the sources until it has drained", function()
      local sink = general()
      fill(sink)
      assert.same({ "sink 1 " .. note "full", "client clogged" }, rig:told())
      send(note "a")
      lib.ln_outbox_drained(outbox)
      assert.same({ "sink 1 " .. note "a", "client flows" }, rig:told())
      lib.ln_outbox_drained(outbox)
      assert.same({}, rig:told())
    end)

    it("on two streams starts them when both have drained", function()
      fill(general())
      fill(rig:sink())
      lib.ln_outbox_drained(outbox)
      assert.same({ "sink 1 " .. note "full", "client clogged", "sink 2 " .. note "full" }, rig:told())
      lib.ln_outbox_drained(outbox)
      assert.same({ "client flows" }, rig:told())
    end)

    it("starts nothing any more when it has ended", function()
      fill(general())
      lib.ln_outbox_close(outbox)
      rig:told()
      lib.ln_outbox_drained(outbox)
      assert.same({}, rig:told())
    end)

    it("has been asked all the same", function()
      local sink = general()
      rig:sink_says(sink, lib.LN_EFULL)
      assert.equal(1, ask(1))
      answer(result(1))
      assert.same({ "sink 1 " .. request(1), "client clogged", "reply 1 " .. result(1) }, rig:told())
    end)

    it("is told what waited all the same, once", function()
      send(note "a")
      send(note "b")
      local sink = rig:sink()
      rig:sink_says(sink, lib.LN_EFULL)
      lib.ln_outbox_set_general(outbox, sink)
      assert.same({ "sink 1 " .. note "a", "client clogged", "sink 1 " .. note "b" }, rig:told())
    end)
  end)

  it("may end while it says what waited", function()
    send(note "a")
    send(note "b")
    rig:upon("sink 1 ", lib.ln_outbox_close, outbox)
    general()
    assert.same({ "sink 1 " .. note "a" }, rig:told())
    assert.equal(0, tonumber(outbox.n_waiting))
  end)
end)
