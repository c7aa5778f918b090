-- src/proxy/server/receive.c: what comes in over a link, however little a server keeps to the protocol.
local S = require "spec.unit.proxy.link_support"
local lib = S.lib

local rig, link

local function result(id) return ('{"jsonrpc":"2.0","id":%s,"result":{}}'):format(id) end
local function blamed(why) return S.error('Server \\"up\\": ' .. why) end
local rubbish = blamed "answered with what is no message"
local note = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}'

describe("what a server sends:", function()
  setup(S.setup)
  teardown(S.teardown)
  before_each(function()
    rig = S.rig()
    link = rig:open_link()
  end)
  after_each(function() rig:finish() end)

  -- Calls with the ids 2, 3, …, which show as reply 1, 2, …
  local function calls(count)
    for i = 1, count do rig:call(link, i) end
    rig:told()
  end

  describe("responses", function()
    it("find their calls, in any order", function()
      calls(3)
      for _, id in ipairs { 4, 2, 3 } do rig:sends(1, result(id)) end
      assert.same({ "1> abandon 4", "reply 3 " .. result(4), "1> abandon 2", "reply 1 " .. result(2), "1> abandon 3",
        "reply 2 " .. result(3) }, rig:told())
    end)

    it("of nobody's, or that come twice, are dropped", function()
      calls(1)
      for _, id in ipairs { 2, 2, 7, 1, 0 } do rig:sends(1, result(id)) end
      assert.same({ "1> abandon 2", "reply 1 " .. result(2) }, rig:told())
      assert.matches("a response nobody waits for was dropped", rig:log(), 1, true)
    end)

    it("on the stream of another call find their own", function()
      calls(2)
      rig:sends(1, result(3), 2)
      assert.same({ "1> abandon 3", "reply 2 " .. result(3) }, rig:told())
    end)

    it("with white space around and within are what they are", function()
      calls(1)
      rig:sends(1, ' \n{"jsonrpc":"2.0" ,"id": 2,\t"result":{ }}\r\n')
      assert.same({ "1> abandon 2", 'reply 1 {"jsonrpc":"2.0" ,"id": 2,\t"result":{ }}' }, rig:told())
    end)

    it("show that the server does more than initialize", function()
      assert.is_false(link.served)
      calls(1)
      rig:sends(1, result(2))
      assert.is_true(link.served)
    end)
  end)

  describe("an error without an id", function()
    local fault = '{"jsonrpc":"2.0","error":{"code":-32700,"message":"what?"}}'
    it("belongs to the call on whose stream it came", function()
      calls(2)
      rig:sends(1, fault, 3)
      rig:sends(1, '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"huh", "data":[1.0]}}', 2)
      assert.same({ "1> abandon 3", "reply 2 " .. S.error("what?", -32700), "1> abandon 2",
        'reply 1 {"jsonrpc":"2.0","id":0,"error":{"code":-32600,"message":"huh", "data":[1.0]}}' }, rig:told())
    end)

    it("on no stream, or on one whose call has gone, is nobody's", function()
      calls(1)
      rig:sends(1, fault)
      rig:sends(1, fault, 9)
      assert.same({}, rig:told())
      assert.is_true(lib.ln_link_busy(link))
    end)
  end)

  describe("requests and notifications", function()
    it("go up, with the call on whose stream they came", function()
      calls(1)
      local request = '{"jsonrpc":"2.0","id":2,"method":"sampling/createMessage","params":{"n":1.0}}'
      rig:sends(1, note)
      rig:sends(1, note, 2)
      rig:sends(1, request, 9)
      assert.same({ "1: message 0 " .. note, "1: message 2 " .. note, "1: message 0 " .. request }, rig:told())
    end)

    it("go up before the link is ready, too", function()
      assert(rig:link(link.server))
      rig:says(2, "ready")
      rig:told()
      rig:sends(2, '{"jsonrpc":"2.0","id":1,"method":"ping"}')
      assert.same({ '2: message 0 {"jsonrpc":"2.0","id":1,"method":"ping"}' }, rig:told())
    end)

    it("may have twin members, of which the last counts", function()
      rig:sends(1, '{"jsonrpc":"2.0","method":"a","method":"b"}')
      assert.same({ '1: message 0 {"jsonrpc":"2.0","method":"a","method":"b"}' }, rig:told())
    end)
  end)

  describe("what is no message", function()
    it("is the answer to the call on whose stream it came", function()
      for i, text in ipairs { "", "<html>", "null", "{}", "[]", '{"jsonrpc":"2.0"', "\0", "\255\254", '"x"', "1", "{}{}" } do
        calls(1)
        rig:sends(1, text, i + 1)
        local told = rig:told()
        if text == "[]" then -- a batch of nothing
          assert.same({}, told)
          rig:sends(1, result(i + 1))
        else
          assert.same({ ("1> abandon %d"):format(i + 1), "reply 1 " .. rubbish }, told, text)
        end
        rig:told()
      end
      assert.is_false(lib.ln_link_busy(link))
    end)

    it("is the answer to the call whose id it shows, where there are no streams", function()
      calls(3)
      rig:sends(1, '{"jsonrpc":"2.0","id" : 3,"result":')
      rig:sends(1, '{"jsonrpc":"2.0","id":2.0,"result":{}}')
      rig:sends(1, '{"id":99,"result":')
      rig:sends(1, '{"id":"4","result":')
      rig:sends(1, '{"id":-4,"result":')
      rig:sends(1, '{"id":44444444444444444444444,"result":')
      assert.same({ "1> abandon 3", "reply 2 " .. rubbish, "1> abandon 2", "reply 1 " .. rubbish }, rig:told())
      rig:sends(1, '{"id":4')
      assert.same({ "1> abandon 4", "reply 3 " .. rubbish }, rig:told())
    end)

    it("is nobody's answer where it is words that the server prints", function()
      calls(1)
      for _, text in ipairs { "Listening on port 2", "2", "id 2", '"id"', '"id":', '{"id":null', "" } do rig:sends(1, text) end
      assert.same({}, rig:told())
      assert.matches("sent what is no message (Parse error: malformed input at byte 0): Listening on port 2\n", rig:log(), 1, true)
      assert.is_true(lib.ln_link_busy(link))
    end)

    it("is logged by its beginning, and not without end", function()
      rig:sends(1, ("x"):rep(300))
      local log = rig:log()
      assert.matches(("x"):rep(120) .. "\n", log, 1, true)
      assert.is_nil(log:find(("x"):rep(121), 1, true))
      for _ = 1, 500 do rig:sends(1, "x") end
      local _, lines = rig:log():gsub("\n", "\n")
      assert.equal(lib.LN_LOG_FIRST - 1, lines)
    end)

    it("is what has an id of another kind", function()
      calls(1)
      for _, id in ipairs { "{}", "[2]", "true", "1.5" } do rig:sends(1, result(id)) end
      assert.same({}, rig:told())
    end)

    it("is what is nested too deeply, or too long", function()
      rig.host.settings.max_depth = 8
      calls(2)
      rig:sends(1, ('{"jsonrpc":"2.0","id":2,"result":%s%s}'):format(("["):rep(20), ("]"):rep(20)))
      assert.same({ "1> abandon 2", "reply 1 " .. rubbish }, rig:told())
      rig.host.settings.max_message_bytes = 100
      rig:sends(1, '{"jsonrpc":"2.0","id":3,"result":{"a":"' .. ("x"):rep(100) .. '"}}')
      assert.same({ "1> abandon 3", "reply 2 " .. rubbish }, rig:told())
    end)
  end)

  describe("a batch", function()
    it("is its messages, in their order", function()
      calls(2)
      rig:sends(1, " [ " .. note .. " , " .. result(3) .. "," .. '{"jsonrpc":"2.0","id":"r","method":"ping"}' .. ",\n" .. result(2) .. " ] ")
      assert.same({ "1: message 0 " .. note, "1> abandon 3", "reply 2 " .. result(3),
        '1: message 0 {"jsonrpc":"2.0","id":"r","method":"ping"}', "1> abandon 2", "reply 1 " .. result(2) }, rig:told())
    end)

    it("with rubbish in it is the rest of it", function()
      calls(2)
      rig:sends(1, "[1,null,[" .. result(2) .. '],"x",{},' .. result(3) .. "]")
      assert.same({ "1> abandon 2", "reply 1 " .. rubbish, "1> abandon 3", "reply 2 " .. result(3) }, rig:told())
    end)

    it("belongs to the stream it came on, whatever is in it", function()
      calls(2)
      rig:sends(1, "[" .. note .. ",1]", 2)
      assert.same({ "1: message 2 " .. note, "1> abandon 2", "reply 1 " .. rubbish }, rig:told())
    end)

    it("is given up when the link ends in its midst", function()
      calls(2)
      rig:upon("reply 2", lib.ln_link_close, link, S.ffi.cast("const char *", "enough"))
      rig:sends(1, "[" .. result(3) .. "," .. note .. "," .. result(2) .. "]")
      assert.same({ "1> abandon 3", "reply 2 " .. result(3), "1: detached", "reply 1 " .. blamed "enough", "1: ended", "1> close" },
        rig:told())
    end)

    it("has a thousand messages at most", function()
      calls(1)
      rig:sends(1, "[" .. (note .. ","):rep(999) .. result(2) .. "]")
      local told = rig:told()
      assert.same({ 1001, "reply 1 " .. result(2) }, { #told, told[1001] })
      calls(1)
      rig:sends(1, "[" .. (note .. ","):rep(1000) .. result(3) .. "]")
      assert.same({ "1> abandon 3", "reply 1 " .. rubbish }, rig:told())
    end)

    it("that is cut short is no message", function()
      calls(1)
      rig:sends(1, "[" .. result(2) .. ",")
      assert.same({ "1> abandon 2", "reply 1 " .. rubbish }, rig:told())
    end)
  end)

  describe("what was dropped unread", function()
    local function dropped(err) rig:says(1, "failed", 0, err or lib.LN_ELIMIT, 0, "a line is too long") end

    it("was the answer to the only call there is", function()
      calls(1)
      dropped()
      assert.same({ "reply 1 " .. blamed "a line is too long" }, rig:told())
      calls(1)
      dropped(lib.LN_ENOMEM)
      assert.same({ "reply 1 " .. blamed "a line is too long" }, rig:told())
    end)

    it("was nobody's when there are two, or none", function()
      dropped()
      calls(2)
      dropped()
      assert.same({}, rig:told())
    end)

    it("was no answer when it failed for another reason", function()
      calls(1)
      dropped(lib.LN_ECLOSED)
      dropped(lib.LN_EPROTOCOL)
      assert.same({}, rig:told())
      assert.is_true(lib.ln_link_busy(link))
    end)
  end)

  it("after its end is nothing", function()
    calls(1)
    lib.ln_link_close(link, "done")
    rig:told()
    for _, text in ipairs { result(2), note, "rubbish", "[" .. note .. "]" } do rig:sends(1, text, 2) end
    assert.same({}, rig:told())
  end)
end)
