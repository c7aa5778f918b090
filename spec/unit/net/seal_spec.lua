-- src/net/seal.c: what is sealed comes back whole, and nothing else opens.
local bit = require "bit"
local ffi = require "ffi"
local c = require "spec.support.ffi"
local lib = c.include "net/seal.h"
c.include "base/err.h"

local key = ("k"):rep(32)
local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local function use(fn, text, options)
  options = options or {}
  local buf = ffi.new "struct ln_buf"
  lib.ln_buf_init(buf, options.max or 65536)
  local context, a = c.str(options.context or "session")
  local slice, b = c.str(text)
  local rc = fn(ffi.cast("const unsigned char *", options.key or key), context, slice, buf)
  local out = rc == 0 and ffi.string(buf.data, buf.len) or ffi.string(lib.ln_err_name(rc))
  assert(rc == 0 or buf.len == 0)
  lib.ln_buf_deinit(buf)
  return rc == 0, out, a, b
end

local function seal(text, options)
  local ok, out = use(lib.ln_seal_write, text, options)
  assert.is_true(ok, out)
  return out
end

local function open(text, options)
  local ok, out = use(lib.ln_seal_read, text, options)
  return ok and out or nil, out
end

describe("a seal", function()
  local live
  before_each(function() live = tonumber(lib.ln_bytes_live()) end)
  after_each(function() assert.equal(live, tonumber(lib.ln_bytes_live())) end)

  it("opens to what was sealed, of every length", function()
    for n = 0, 70 do
      local plain = ("\0\255ab"):rep(20):sub(1, n)
      local text = seal(plain)
      assert.equal(math.ceil((n + 28) * 4 / 3), #text)
      assert.is_nil(text:find "[^%w_-]")
      assert.equal(plain, open(text))
    end
    local large = ("x"):rep(20000)
    assert.equal(large, open(seal(large)))
  end)

  it("is never the same twice, nor its first sixteen characters", function()
    local seen = {}
    for _ = 1, 200 do
      local name = seal("same"):sub(1, 16)
      assert.is_nil(seen[name])
      seen[name] = true
    end
  end)

  it("does not show what is in it", function()
    local text = seal(("secret"):rep(10))
    assert.is_nil(text:find("c2VjcmV0", 1, true))
  end)

  it("stays shut when any of its characters is another one", function()
    for _, plain in ipairs { "", "a", "ab", '{"name":"someone"}' } do
      local text = seal(plain)
      for i = 1, #text do
        local d = digits:find(text:sub(i, i), 1, true) - 1
        for position = 0, 5 do
          local flipped = bit.bxor(d, 2 ^ position)
          local other = text:sub(1, i - 1) .. digits:sub(flipped + 1, flipped + 1) .. text:sub(i + 1)
          local got, why = open(other)
          assert.is_nil(got, ("character %d, bit %d of %q"):format(i, position, text))
          assert.equal("EINVALID", why)
        end
      end
    end
  end)

  it("stays shut when it is cut or grows, at either end", function()
    local text = seal "abc"
    for i = 0, #text - 1 do
      assert.is_nil(open(text:sub(1, i)))
      assert.is_nil(open(text:sub(#text - i + 1)))
    end
    for _, more in ipairs { "A", "AA", "AAA", "AAAA", "=", "==", "\n", " ", "\0" } do
      local got, why = open(text .. more)
      assert.is_nil(got)
      assert.equal("EINVALID", why)
      assert.is_nil(open(more .. text))
    end
  end)

  it("has one spelling", function()
    for n = 1, 3 do
      local text = seal(("a"):rep(n))
      assert.is_nil(open(text:sub(1, -2) .. "+"))
      assert.is_nil(open((text:gsub("^.", "/"))))
      assert.is_nil(open((text:gsub(".$", "%%%0"))))
    end
  end)

  it("stays shut for another key, and for another context", function()
    local text = seal "abc"
    assert.equal("abc", open(text))
    assert.is_nil(open(text, { key = ("k"):rep(31) .. "l" }))
    for _, context in ipairs { "", "sessio", "session1", "Session" } do
      assert.is_nil(open(text, { context = context }))
    end
    assert.equal("abc", open(seal("abc", { context = "" }), { context = "" }))
  end)

  it("is no longer than it may be", function()
    local ok, why = use(lib.ln_seal_write, ("x"):rep(100), { max = 100 })
    assert.is_false(ok)
    assert.equal("ELIMIT", why)
    ok, why = use(lib.ln_seal_read, seal(("x"):rep(100)), { max = 99 })
    assert.is_false(ok)
    assert.equal("ELIMIT", why)
  end)

  it("is not found by chance", function()
    math.randomseed(7)
    for n = 0, 200 do
      local letters = {}
      for i = 1, n do
        local at = math.random(64)
        letters[i] = digits:sub(at, at)
      end
      local got, why = open(table.concat(letters))
      assert.is_nil(got)
      assert.equal("EINVALID", why)
    end
  end)
end)
