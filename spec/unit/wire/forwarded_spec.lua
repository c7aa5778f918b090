-- src/wire/forwarded.c: which networks there are, and whom a proxy speaks for.
local support = require "spec.support.ffi"
local ffi, lib = support.ffi, support.include "wire/forwarded.h"

local function network(text)
  local n = ffi.new "struct ln_network"
  return lib.ln_network_read(support.str(text), n) and n or nil
end

local function address(text) return assert(network(text), text).address end

local function name(bytes) return support.tostring(lib.ln_peer_name(bytes, ffi.new "char[48]")) end

-- Whose a request is that came from there, with these headers ({ name, value } each).
local function peer(from, trusted, headers)
  local head, list, keep = ffi.new "struct ln_http_head", ffi.new("const char *[?]", #trusted + 1), {}
  for i, text in ipairs(trusted) do
    keep[i] = text
    list[i - 1] = text
  end
  for i, header in ipairs(headers) do
    head.headers[i - 1].name, head.headers[i - 1].value = support.str(header[1]), support.str(header[2])
  end
  head.n_headers = #headers
  local bytes = ffi.new "unsigned char[16]"
  ffi.copy(bytes, address(from), 16)
  lib.ln_forwarded_peer(head, list, bytes)
  return name(bytes), keep
end

describe("ln_network_read", function()
  it("takes addresses and networks", function()
    for _, text in ipairs { "1.2.3.4", "10.0.0.0/8", "0.0.0.0/0", "::/0", "::1", "fd00::/8", "2001:db8::/33", "1.2.3.4/32" } do
      assert.truthy(network(text), text)
    end
  end)

  it("takes nothing else", function()
    for _, text in ipairs { "", "/8", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/a", "10.0.0.0/-1", "10.0.0.0/0008",
      "10.0.0/8", "h", "::/129", "fd00::1/8", "1.2.3.4:80", "10.0.0.0/8/8", "1.2.3.4 " } do
      assert.is_nil(network(text), text)
    end
  end)

  it("has what has its first bits", function()
    for text, inside in pairs { ["10.0.0.0/8"] = "10.255.0.1", ["192.168.128.0/17"] = "192.168.255.1", ["fd00::/9"] = "fd7f::1" } do
      assert.is_true(lib.ln_network_has(network(text), address(inside)), text)
    end
    for text, outside in pairs { ["10.0.0.0/8"] = "11.0.0.1", ["192.168.128.0/17"] = "192.168.127.1", ["fd00::/9"] = "fd80::1",
      ["::/96"] = "1.2.3.4", ["10.0.0.0/32"] = "10.0.0.1" } do
      assert.is_false(lib.ln_network_has(network(text), address(outside)), text)
    end
  end)
end)

describe("ln_forwarded_peer", function()
  local inside = { "10.0.0.0/8", "fd00::/8" }

  it("is the connection's address without a proxy that is trusted", function()
    assert.equal("1.2.3.4", peer("1.2.3.4", inside, { { "X-Forwarded-For", "9.9.9.9" } }))
    assert.equal("10.0.0.1", peer("10.0.0.1", {}, { { "X-Forwarded-For", "9.9.9.9" } }))
    assert.equal("10.0.0.1", peer("10.0.0.1", inside, {}))
  end)

  it("is read from the right as far as who wrote it is trusted", function()
    assert.equal("9.9.9.9", peer("10.0.0.1", inside, { { "X-Forwarded-For", "9.9.9.9" } }))
    assert.equal("8.8.8.8", peer("10.0.0.1", inside, { { "X-Forwarded-For", "9.9.9.9, 8.8.8.8 ,10.0.0.2" } }))
    assert.equal("8.8.8.8", peer("10.0.0.1", inside, { { "X-Forwarded-For", "9.9.9.9,8.8.8.8" }, { "x-forwarded-for", "10.0.0.2" } }))
    assert.equal("10.0.0.3", peer("10.0.0.1", inside, { { "X-Forwarded-For", "10.0.0.3, 10.0.0.2" } }))
    assert.equal("8.8.8.8", peer("fd00::1", inside, { { "X-Forwarded-For", "8.8.8.8:99" } }))
  end)

  it("is the last that is trusted where what it says is no address", function()
    for _, value in ipairs { "", "unknown", "9.9.9.9,", "9.9.9.9, _hidden", "9.9.9.9, 1.2.3" } do
      assert.equal("10.0.0.1", peer("10.0.0.1", inside, { { "X-Forwarded-For", value } }), value)
    end
  end)

  it("reads Forwarded where there is no X-Forwarded-For", function()
    assert.equal("9.9.9.9", peer("10.0.0.1", inside, { { "Forwarded", "proto=https; for=9.9.9.9" } }))
    assert.equal("2001:db8:0:1::/64", peer("10.0.0.1", inside, { { "Forwarded", 'For="[2001:db8:0:1::7]:80";by=x' } }))
    assert.equal("8.8.8.8", peer("10.0.0.1", inside, { { "Forwarded", 'for="9.9.9.9, for=8.8.8.8, for=10.0.0.9' } }))
    assert.equal("8.8.8.8", peer("10.0.0.1", inside, { { "Forwarded", "for=9.9.9.9" }, { "X-Forwarded-For", "8.8.8.8" } }))
    assert.equal("10.0.0.1", peer("10.0.0.1", inside, { { "Forwarded", "for=unknown" } }))
  end)

  it("names networks of 64 bits, in which one host may have all addresses", function()
    assert.equal("::1", name(address "::1"))
    assert.equal("2001:db8::/64", name(address "2001:db8::99"))
    assert.equal("1.2.3.4", name(address "::ffff:1.2.3.4"))
  end)
end)
