-- src/proxy/client/peer.c: who a client is, by what its initialize says, however odd.
local S = require "spec.unit.proxy.link_support"
local ffi, lib = S.ffi, S.lib

local peer, live, messages

-- What the peer says is wrong with an initialize of these params (nil: none), or nil.
local function read(params)
  local text = '{"jsonrpc":"2.0","id":1,"method":"initialize"' .. (params and ',"params":' .. params or "") .. "}"
  local m = S.msg(text)
  local why = lib.ln_peer_read_init(peer, m)
  lib.ln_msg_unref(m)
  return why ~= nil and ffi.string(why) or nil
end

local function lacks(method)
  local s, keep = S.text(method)
  local what = lib.ln_peer_lacks(peer, s)
  return what ~= nil and ffi.string(what) or nil, keep and nil
end

local function seen()
  return { S.str(peer.version), S.str(peer.capabilities), S.str(peer.client_info) }
end

describe("a peer", function()
  before_each(function()
    live, messages = tonumber(lib.ln_bytes_live()), tonumber(lib.ln_msg_live())
    peer = ffi.new "struct ln_peer"
    lib.ln_peer_init(peer, "LN_ERA_LEGACY")
  end)
  after_each(function()
    lib.ln_peer_deinit(peer)
    assert.same({ live, messages }, { tonumber(lib.ln_bytes_live()), tonumber(lib.ln_msg_live()) })
  end)

  it("that has said nothing speaks the latest revision, has no capabilities and no level", function()
    assert.same({ "2025-11-25", "{}", "{}" }, seen())
    assert.equal(-1, peer.level)
    assert.is_true(peer.said == nil)
  end)

  it("is what its initialize says, in its own bytes", function()
    assert.is_nil(read '{"capabilities":{ "roots" : {"n":1.0}},"clientInfo":{"name":"\\u0063", "v":null},"protocolVersion":"2024-11-05"}')
    assert.same({ "2024-11-05", '{ "roots" : {"n":1.0}}', '{"name":"\\u0063", "v":null}' }, seen())
  end)

  it("of a revision that Lunette doesn't know gets the latest", function()
    for _, version in ipairs { "2099-01-01", "1", "", "2025-06-18 ", "2025-06-1", "2025\\u002d06-18" } do
      assert.is_nil(read(('{"protocolVersion":"%s"}'):format(version)))
      assert.equal("2025-11-25", S.str(peer.version), version)
    end
    for _, version in ipairs { "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25" } do
      assert.is_nil(read(('{"protocolVersion":"%s"}'):format(version)))
      assert.equal(version, S.str(peer.version))
    end
  end)

  it("must say a revision", function()
    local wrong = "initialize needs params.protocolVersion"
    for _, params in ipairs { "{}", "[]", '{"protocolVersion":1}', '{"protocolVersion":null}', '{"protocolVersion":["2025-06-18"]}',
      '{"protocolversion":"2025-06-18"}', '{"x":{"protocolVersion":"2025-06-18"}}' } do
      assert.equal(wrong, read(params), params)
    end
    assert.equal(wrong, read(nil))
  end)

  it("may have capabilities that are an object, and no other", function()
    for _, value in ipairs { "null", "[]", "true", '"roots"', "1" } do
      assert.equal("params.capabilities must be an object", read('{"protocolVersion":"2025-06-18","capabilities":' .. value .. "}"), value)
    end
    assert.is_nil(read '{"protocolVersion":"2025-06-18","capabilities":{}}')
  end)

  it("that calls itself what is no object is of no name", function()
    for _, value in ipairs { "null", "[]", "true", '"me"', "1" } do
      assert.is_nil(read('{"protocolVersion":"2025-06-18","clientInfo":' .. value .. "}"))
      assert.equal("{}", S.str(peer.client_info), value)
    end
  end)

  it("stays as it was when what it says is wrong", function()
    assert.is_nil(read '{"protocolVersion":"2025-03-26","capabilities":{"sampling":{}},"clientInfo":{"name":"a"}}')
    local before = seen()
    assert.is_string(read '{"protocolVersion":"2025-06-18","capabilities":1,"clientInfo":{"name":"b"}}')
    assert.is_string(read '{"capabilities":{"roots":{}},"clientInfo":{"name":"b"}}')
    assert.same(before, seen())
    assert.is_nil(lacks "sampling/createMessage")
  end)

  it("that begins anew is nothing of what it was", function()
    assert.is_nil(read '{"protocolVersion":"2025-03-26","capabilities":{"sampling":{}},"clientInfo":{"name":"a"}}')
    assert.is_nil(read '{"protocolVersion":"2025-06-18"}')
    assert.same({ "2025-06-18", "{}", "{}" }, seen())
    assert.equal("sampling", lacks "sampling/createMessage")
  end)

  it("can be asked what it has declared, by an object", function()
    local methods = { ["sampling/createMessage"] = "sampling", ["elicitation/create"] = "elicitation", ["roots/list"] = "roots" }
    for method, capability in pairs(methods) do
      for value, declared in pairs { ["{}"] = true, ['{"x":1}'] = true, null = false, ["true"] = false, ["[]"] = false, ["0"] = false } do
        assert.is_nil(read(('{"protocolVersion":"2025-06-18","capabilities":{"%s":%s}}'):format(capability, value)))
        assert.equal(not declared and capability or nil, lacks(method), method .. " " .. value)
      end
      assert.is_nil(read(('{"protocolVersion":"2025-06-18","capabilities":{"x":{"%s":{}}}}'):format(capability)))
      assert.equal(capability, lacks(method))
    end
  end)

  it("needs nothing for what is no such request", function()
    for _, method in ipairs { "ping", "sampling", "roots/list2", "", "tools/call", "SAMPLING/CREATEMESSAGE" } do
      assert.is_nil(lacks(method))
    end
  end)
end)
