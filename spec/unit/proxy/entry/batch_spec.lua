-- src/proxy/entry/batch.c: an array of messages, answered by one.
local H = require "spec.unit.proxy.host"

local function ping(id) return ('{"jsonrpc":"2.0","id":%s,"method":"ping"}'):format(id) end
local function result(id) return ('{"jsonrpc":"2.0","id":%s,"result":{}}'):format(id) end
local function call(id) return H.request("tools/call", '{"name":"t"}', id) end
local function array(...) return "[" .. table.concat({ ... }, ",") .. "]" end
local function refusal(code, text) return ('{"jsonrpc":"2.0","error":{"code":%d,"message":"%s"}}'):format(code, text) end
local notification = '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}'
local function held() return false end

describe("an array of messages", function()
  setup(H.setup)
  teardown(H.teardown)
  after_each(H.finish)

  -- A host with a server whose calls are held, and a client of this version of the protocol.
  local function client(version, rules)
    local h = H.new(rules or "", { { "a", tools = '{"name":"t"}', on = { ["tools/call"] = held } } })
    local s = h:connect()
    h:hear(H.request("initialize", ('{"protocolVersion":"%s","capabilities":{},"clientInfo":{}}'):format(version or "2025-03-26")), s)
    h:hear('{"jsonrpc":"2.0","method":"notifications/initialized"}', s)
    return h, s
  end

  it("is answered by one, in the order in which answers come, when the last is there", function()
    local h, s = client()
    local told, n = h:hear(array(call(1), ping '"2"', notification, call(3)), s)
    assert.same({ {}, 3 }, { told, n })
    h:answer(h.held[2], '"result":{}')
    assert.same({}, h:heard(s))
    h:answer(h.held[1], '"result":{}')
    assert.same({ array(result '"2"', result(3), result(1)) }, h:heard(s))
  end)

  it("of one answer is an array yet", function()
    local h, s = client()
    assert.same({ array(result(1)) }, (h:hear(array(ping(1)), s)))
  end)

  it("of notifications gets no answer, and each is carried out", function()
    local h, s = client()
    h:hear(array(call(1)), s)
    h:hear(array(notification, notification), s)
    local told, n = h:hear(array(notification), s)
    assert.same({ {}, 0 }, { told, n })
    assert.equal(3, h:count("a", "notifications/roots/list_changed"))
  end)

  it("lets what is no answer through at once", function()
    local h, s = client()
    h:hear(array(H.request("tools/call", '{"name":"t","_meta":{"progressToken":"p"}}', 1)), s)
    local token = h.held[1].params:match '"progressToken":(%d+)'
    h:say("a", ('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}'):format(token))
    h:run()
    assert.same({ '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}' }, h:heard(s))
    h:answer(h.held[1], '"result":{}')
    assert.same({ array(result(1)) }, h:heard(s))
  end)

  it("has errors for members that are no messages, and the answers of the others", function()
    local h, s = client()
    local told, n = h:hear(array(ping(1), '{"jsonrpc":"2.0","id":2}', "7", '{"jsonrpc":"2.0","id":3,"method":"ping","method":"ping"}', ping(4)), s)
    assert.equal(5, n)
    assert.equal(1, #told)
    local all, errors = told[1]:gsub('"error":', "")
    assert.equal(3, errors, told[1])
    for _, id in ipairs { 1, 4 } do assert.is_truthy(told[1]:find(result(id), 1, true)) end
    assert.is_truthy(all:find('"id":2,', 1, true))
  end)

  it("answers a request whose id another has with that one's answer only", function()
    local h, s = client()
    h:hear(array(call(1), call(1), ping(2)), s)
    h:answer(h.held[1], '"result":{}')
    assert.equal(1, #h.held)
    assert.same({ array(result(2), result(1)) }, h:heard(s))
  end)

  it("goes out without the answer to a request that was called off", function()
    local h, s = client()
    h:hear(array(call(1), ping(2)), s)
    local cancelled = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}'
    assert.same({ array(result(2)) }, (h:hear(cancelled:format(1), s)))
    h:hear(array(call(3)), s)
    assert.same({ "given up" }, (h:hear(cancelled:format(3), s)), "no answer is left")
  end)

  describe("whose answers take more than twice the longest message", function()
    local rules = "lunette.configure { max_message_bytes = 1024 }"
    local function big(n) return ('"result":{"x":"%s"}'):format(("x"):rep(n)) end
    local function answer(id, members) return ('{"jsonrpc":"2.0","id":%s,%s}'):format(id, members) end
    local lacking = '"error":{"code":-32603,"message":"The answers to the batch are longer than twice max_message_bytes"}'

    it("has errors in place of those that don't fit, under whatever ids", function()
      local h, s = client(nil, rules)
      local long = '"' .. ("i"):rep(600) .. '"'
      h:hear(array(call(1), call(2), call(3)), s)
      h:hear(array(call(4), call(5), call(long), ping(6)), s)
      for i = 1, 2 do h:answer(h.held[i], big(900)) end
      assert.same({}, h:heard(s))
      h:answer(h.held[3], '"result":{}')
      assert.same({ array(answer(1, big(900)), answer(2, big(900)), result(3)) }, h:heard(s), "these fit")
      for i = 4, 6 do h:answer(h.held[i], big(900)) end
      assert.same({ array(result(6), answer(4, big(900)), answer(5, big(900)), answer(long, lacking)) }, h:heard(s))
    end)

    it("is sent when it is as long as it may be to a byte, and ends as an array", function()
      local function of(id, bytes) return answer(id, big(bytes - #answer(id, big(0)))) end
      for n = 2046, 2050 do -- the bytes before the last bracket
        local h, s = client(nil, rules)
        h:hear(array(call(1), call(2)), s)
        local first, second = of(1, 1024), of(2, n - 1026)
        h:answer(h.held[1], first:match '("result".*)}$')
        h:answer(h.held[2], second:match '("result".*)}$')
        assert.same({ array(first, n <= 2048 and second or answer(2, lacking)) }, h:heard(s), n)
      end
    end)

    it("has all errors for members that are no messages", function()
      local h, s = client(nil, rules)
      local bad = {}
      for i = 1, 100 do bad[i] = ("%d"):format(i) end
      local told = h:hear(array(unpack(bad)), s)
      local _, errors = told[1]:gsub('"error":', "")
      assert.same({ 1, 100 }, { #told, errors })
    end)
  end)

  -- What is no batch: its text, and why.
  local hundred = {}
  for i = 1, 100 do hundred[i] = ping(i) end
  for what, row in pairs {
    ["without members"] = { "[]", -32600, "Not a batch of 1 to 100 messages" },
    ["of more than a hundred"] = { array(ping(0), unpack(hundred)), -32600, "Not a batch of 1 to 100 messages" },
    ["with another in it"] = { array(ping(1), array(ping(2))), -32600, "Not a batch of 1 to 100 messages" },
    ["with initialize in it"] = { array(ping(1), H.request "initialize"), -32600, "initialize can't be part of a batch" },
    ["that is not JSON"] = { array(ping(1), "{"), -32700, "Parse error at byte 43" },
  } do
    it(what .. " is refused whole, and nothing of it carried out", function()
      local h, s = client()
      local told, n = h:hear(row[1], s)
      assert.same({ { refusal(row[2], row[3]) }, 0 }, { told, n })
    end)
  end

  it("may have a hundred", function()
    local h, s = client()
    local told, n = h:hear(array(unpack(hundred)), s)
    local _, answers = told[1]:gsub('"result":{}', "")
    assert.same({ 1, 100, 100 }, { #told, n, answers })
  end)

  for _, version in ipairs { "2024-11-05", "2025-06-18", "2025-11-25" } do
    it("is none in version " .. version, function()
      local h, s = client(version)
      assert.same({ refusal(-32600, "Batches are for protocol version 2025-03-26 only") }, (h:hear(array(ping(1)), s)))
    end)
  end
end)
