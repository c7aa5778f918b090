-- src/proxy/client/headers.c: what a policy is told of a request's headers.
local ffi = require "ffi"
local S = require "spec.unit.proxy.support"
local lib = S.include "proxy/client/headers.h"

-- The JSON of these header lines, kept as a copy that must not need the request any more.
local function json(...)
  local copy = S.with_head({ "GET /mcp HTTP/1.1", "Host: h", ... }, function(head) return lib.ln_headers_copy(head) end)
  local out = S.buf()
  assert.equal(0, lib.ln_headers_json(copy, out))
  lib.ln_bytes_unref(copy)
  return S.take(out)
end

describe("the headers of a request", function()
  local live
  before_each(function() live = tonumber(lib.ln_bytes_live()) end)
  after_each(function() assert.equal(live, tonumber(lib.ln_bytes_live())) end)

  it("are an object of lower-case names and the values as they were sent", function()
    assert.equal('{"host":"h","x-one":"A b","x_two":"","authorization":"Bearer \\"x\\\\y\\""}',
      json("X-One:  A b ", "X_TWO:", 'Authorization: Bearer "x\\y"'))
  end)

  it("of one name are one, joined in their order, at the first one's place", function()
    assert.equal('{"host":"h","a":"1, 2, 3","b":"x"}', json("A: 1", "B: x", "a: 2", "A: 3"))
  end)

  it("of which one's name begins with another's are two", function()
    assert.equal('{"host":"h","ab":"1","a":"2","abc":"3"}', json("ab: 1", "a: 2", "abc: 3"))
  end)

  it("are JSON whatever bytes they have", function()
    assert.equal('{"host":"h","x":"\195\164\\t\239\191\189"}', json("X: \195\164\t\255"))
  end)

  it("are an object too when there are none", function()
    local none, out = lib.ln_bytes_copy("", 0), S.buf()
    assert.equal(0, lib.ln_headers_json(none, out))
    lib.ln_bytes_unref(none)
    assert.equal("{}", S.take(out))
  end)

  it("agree on a name when both have the same values for it in the same order", function()
    local function agree(name, a, b)
      local list = { a and lib.ln_bytes_copy(a, #a), b and lib.ln_bytes_copy(b, #b) }
      local yes = lib.ln_headers_agree(list[1], list[2], ffi.new("struct ln_str", name, #name))
      for i = 1, 2 do if list[i] then lib.ln_bytes_unref(list[i]) end end
      return yes
    end
    for _, case in ipairs {
      { true, "a", nil, nil }, { true, "a", nil, "" }, { true, "a", "b\0001\0", nil }, { false, "a", "a\0001\0", nil },
      { false, "a", nil, "a\0\0" }, { true, "a", "a\0001\0b\0x\0", "b\0y\0a\0001\0" }, { false, "a", "a\0001\0", "a\0002\0" },
      { false, "a", "a\0001\0a\0002\0", "a\0001\0" }, { true, "a", "a\0001\0b\0\0a\0002\0", "a\0001\0a\0002\0" },
      { false, "a", "a\0001\0a\0002\0", "a\0002\0a\0001\0" }, { true, "ab", "a\0001\0", "abc\0001\0" },
      { true, "1", "a\0001\0", "b\0001\0" },
    } do
      assert.equal(case[1], agree(case[2], case[3], case[4]), case[2] .. " " .. tostring(case[3]):gsub("%z", "|"))
    end
  end)

  it("can be had by their names alone, or all of them", function()
    for _, case in ipairs {
      { "b\0", "a\0001\0b\0002\0c\0003\0b\0\0", "b\0002\0b\0\0" }, { "c\0a\0", "a\0001\0b\0002\0c\0003\0", "c\0003\0a\0001\0" },
      { "x\0", "a\0001\0", "nothing" }, { "x\0", "", "nothing" }, { nil, "a\0001\0", "a\0001\0" },
      { "a\0", "a\0" .. ("1"):rep(17) .. "\0", "a\0" .. ("1"):rep(17) .. "\0" }, { "a\0", "a\0" .. ("1"):rep(18) .. "\0", "too long" },
      { nil, "a\0" .. ("1"):rep(18) .. "\0", "too long" },
    } do
      local from, names = lib.ln_bytes_copy(case[2], #case[2]), case[1] and lib.ln_bytes_copy(case[1], #case[1])
      local out = ffi.new "struct ln_bytes *[1]"
      local rc = lib.ln_headers_some(from, names, 20, out)
      local got = rc == lib.LN_ELIMIT and "too long" or out[0] == nil and "nothing" or ffi.string(out[0].data, out[0].len)
      assert.equal(case[3], got)
      lib.ln_bytes_unref(from)
      if names then lib.ln_bytes_unref(names) end
      lib.ln_bytes_unref(out[0])
    end
  end)

  it("don't fit where there is no room", function()
    local copy = S.with_head({ "GET / HTTP/1.1", "Host: h", "X: " .. ("x"):rep(100) }, function(head) return lib.ln_headers_copy(head) end)
    local out = S.buf(64)
    assert.equal(lib.LN_ELIMIT, lib.ln_headers_json(copy, out))
    lib.ln_bytes_unref(copy)
    S.take(out)
  end)
end)
