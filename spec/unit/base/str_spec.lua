-- Slices of bytes: comparing without regard to ASCII case, and trimming.
local B = require "spec.unit.base.support"
local lib, ffi = B.lib, B.ffi

local function slice(s)
  if not s then return ffi.new "struct ln_str" end
  return (B.str(s))
end

describe("ln_str", function()
  -- Slices point into Lua's memory: nothing may collect it meanwhile.
  setup(function() collectgarbage "stop" end)
  teardown(function() collectgarbage "restart" end)

  it("compares letters of both cases as equal, and nothing else", function()
    for a = 0, 255 do
      for b = 0, 255 do
        local expected = string.char(a):lower() == string.char(b):lower()
        if lib.ln_str_ieq(slice(string.char(a)), slice(string.char(b))) ~= expected then
          error(("%d and %d"):format(a, b))
        end
      end
    end
  end)

  it("compares eight bytes at once as it compares one", function()
    local others = { "abcdefg", "\255\127\128z@[`{", ("\0"):rep(7) }
    for a = 0, 255 do
      for b = 0, 255 do
        local expected = string.char(a):lower() == string.char(b):lower()
        local at, rest = (a + b) % 8, others[(a + b) % 3 + 1]:sub(1, 7)
        local x = rest:sub(1, at) .. string.char(a) .. rest:sub(at + 1)
        local y = rest:upper():sub(1, at) .. string.char(b) .. rest:upper():sub(at + 1)
        if lib.ln_str_ieq(slice(x), slice(y)) ~= expected then error(("%d and %d"):format(a, b)) end
      end
    end
    for n = 8, 40 do
      local text = ("Content-Length"):rep(3):sub(1, n)
      assert.is_true(lib.ln_str_ieq(slice(text), slice(text:upper())))
      for at = 1, n do
        assert.is_false(lib.ln_str_ieq(slice(text), slice(text:sub(1, at - 1) .. "!" .. text:sub(at + 1))))
      end
    end
  end)

  it("compares to the last byte, NUL included", function()
    assert.is_true(lib.ln_str_ieq(slice "Content-Type", slice "content-TYPE"))
    assert.is_true(lib.ln_str_ieq(slice "", slice ""))
    assert.is_true(lib.ln_str_ieq(slice "a\0B", slice "A\0b"))
    assert.is_false(lib.ln_str_ieq(slice "a\0b", slice "a\0c"))
    assert.is_false(lib.ln_str_ieq(slice "ab", slice "abc"))
    assert.is_false(lib.ln_str_ieq(slice "abc", slice "ab"))
    assert.is_false(lib.ln_str_ieq(slice "a", slice ""))
    assert.is_true(lib.ln_str_ieq(slice "BEARER", slice "bearer"))
    assert.is_false(lib.ln_str_ieq(slice "bearer\0", slice "bearer"))
    assert.is_false(lib.ln_str_ieq(slice "\195\137", slice "\195\169"))
  end)

  it("trims spaces and tabs, and nothing else", function()
    local function trim(s) return B.tostring(lib.ln_str_trim(slice(s))) end
    assert.are.equal("a b", trim " \t a b\t ")
    assert.are.equal("a", trim "a")
    assert.are.equal("", trim " \t \t")
    assert.are.equal("", trim "")
    assert.are.equal("\na\r", trim " \na\r ")
    assert.are.equal("\0", trim " \0 ")
    assert.is_nil(trim(nil))
  end)
end)

describe("ln_digits", function()
  it("writes the digits of any number, and nothing behind them", function()
    local out = ffi.new("char[?]", lib.LN_DIGITS + 1)
    local function digits(n, base)
      ffi.fill(out, lib.LN_DIGITS + 1, 0x2e)
      local len = tonumber(lib.ln_digits(out, n, base or 10))
      assert.equal(".", ffi.string(out + len, 1))
      return ffi.string(out, len)
    end
    assert.same({ "0", "9", "10", "1234567890" }, { digits(0), digits(9), digits(10), digits(1234567890) })
    assert.equal("18446744073709551615", digits(0xffffffffffffffffULL))
    assert.same({ "0", "f", "10", "ffffffffffffffff" },
      { digits(0, 16), digits(15, 16), digits(16, 16), digits(0xffffffffffffffffULL, 16) })
  end)
end)
