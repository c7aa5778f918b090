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

  it("goes out without an answer that doesn't fit", function()
    local h, s = client(nil, "lunette.configure { max_message_bytes = 1024 }")
    h:hear(array(call(1), call(2), ping(3)), s)
    local big = ('"result":{"x":"%s"}'):format(("x"):rep(900))
    for _, request in ipairs { unpack(h.held) } do h:answer(request, big) end
    local fits = ('{"jsonrpc":"2.0","id":1,%s}'):format(big)
    assert.same({ array(result(3), fits, fits:gsub('"id":1', '"id":2') .. "") }, h:heard(s), "two of them fit")
    h:hear(array(call(1), call(2), call(4), ping(3)), s)
    for i = 3, 5 do h:answer(h.held[i], big) end
    assert.same({ array(result(3), fits, fits:gsub('"id":1', '"id":2') .. "") }, h:heard(s), "and three don't")
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
