-- Numbers: the shortest text for a double, and integers out of text.
local J = require "spec.unit.json.support"
local lib, ffi = J.lib, J.ffi

ffi.cdef [[
  char *setlocale(int category, const char *locale);
  int setenv(const char *name, const char *value, int overwrite);
  int unsetenv(const char *name);
  int snprintf(char *out, size_t n, const char *format, ...);
]]

-- Runs fn in a locale that writes a decimal comma, made for the purpose. False when localedef is
-- missing.
local function with_comma(fn)
  local LC_NUMERIC = 1
  local was = ffi.string(ffi.C.setlocale(LC_NUMERIC, nil))
  local dir = os.tmpname()
  os.remove(dir)
  -- It complains of all that a locale of numbers alone lacks, and makes it.
  os.execute(([[mkdir %s && cd %s && printf 'LC_NUMERIC\ndecimal_point ","\nthousands_sep "."\n]] ..
    [[grouping 3;3\nEND LC_NUMERIC\n' >comma && LD_PRELOAD= localedef -c -i ./comma ]] ..
    [[-f ANSI_X3.4-1968 ./xx_XX >/dev/null 2>&1]]):format(dir, dir))
  ffi.C.setenv("LOCPATH", dir, 1)
  local found = ffi.C.setlocale(LC_NUMERIC, "xx_XX") ~= nil
  ffi.C.unsetenv "LOCPATH"
  if found then
    local written = ffi.new "char[8]"
    ffi.C.snprintf(written, 8, "%.1f", 0.5)
    assert.are.equal("0,5", ffi.string(written))
    fn()
  end
  ffi.C.setlocale(LC_NUMERIC, was)
  os.execute("rm -rf " .. dir)
  return found
end

local function number(d)
  local b = J.buf()
  local rc = lib.ln_json_number(b, d)
  return rc == 0 and J.held(b) or J.err(rc)
end

local function int(raw)
  local out = ffi.new("int64_t[1]", 77)
  if lib.ln_json_int(J.text(raw), out) then return tostring(out[0]):match "-?%d+" end
  assert.are.equal("77LL", tostring(out[0]))
  return nil
end

describe("numbers", function()
  after_each(function() assert.are.equal(0, J.release()) end)

  describe("ln_json_number", function()
    it("writes integers up to 2^53 plainly", function()
      for text, d in pairs {
        ["0"] = 0, ["1"] = 1, ["-1"] = -1, ["10"] = 10, ["1000000"] = 1e6, ["123456789"] = 123456789,
        ["-2147483648"] = -2147483648, ["1000000000000000"] = 1e15, ["9007199254740991"] = 2 ^ 53 - 1,
        ["9007199254740992"] = 2 ^ 53, ["-9007199254740992"] = -2 ^ 53,
      } do
        assert.are.equal(text, number(d))
      end
      assert.are.equal("-0", number(-0.0 * 1))
      for i = -1000, 1000 do assert.are.equal(i == 0 and "0" or ("%d"):format(i), number(i)) end
    end)

    it("writes the fewest digits that read back", function()
      for text, d in pairs {
        ["0.1"] = 0.1, ["0.2"] = 0.2, ["0.30000000000000004"] = 0.1 + 0.2, ["1.5"] = 1.5, ["-2.25"] = -2.25,
        ["98.6"] = 98.6, ["3.141592653589793"] = math.pi, ["0.3333333333333333"] = 1 / 3,
        ["0.6666666666666666"] = 2 / 3, ["1e21"] = 1e21, ["1e22"] = 1e22, ["1e23"] = 1e23, ["1e100"] = 1e100,
        ["100000000000000000000"] = 1e20, ["123456789012345680000"] = 123456789012345678901,
        ["0.001"] = 1e-3, ["0.000001"] = 1e-6, ["1e-7"] = 1e-7, ["1.5e-7"] = 1.5e-7, ["0.0000123"] = 1.23e-5,
        ["5e-324"] = 2 ^ -1074, ["1e-323"] = 2 ^ -1073, ["2.2250738585072014e-308"] = 2 ^ -1022,
        ["2.225073858507201e-308"] = 2 ^ -1022 - 2 ^ -1074, ["1.7976931348623157e308"] = (2 - 2 ^ -52) * 2 ^ 1023,
        ["9007199254740994"] = 2 ^ 53 + 2, ["18014398509481984"] = 2 ^ 54, ["18446744073709552000"] = 2 ^ 64,
        ["123456.789"] = 123456.789, ["1.0000000000000002"] = 1 + 2 ^ -52, ["0.9999999999999999"] = 1 - 2 ^ -53,
        ["4.35"] = 4.35, ["5.684341886080802e-14"] = 2 ^ -44, ["9.5367431640625e-7"] = 2 ^ -20,
        ["1234567890123456.8"] = 1234567890123456.75,
      } do
        assert.are.equal(text, number(d))
        assert.are.equal(d, tonumber(text))
      end
    end)

    it("reads back, is JSON, and no shorter text would do", function()
      math.randomseed(4711)
      local union = ffi.new "union { double d; uint32_t u[2]; }"
      for i = 1, 20000 do
        union.u[0], union.u[1] = math.random(0, 2 ^ 31) * 2, math.random(0, 2 ^ 31) * 2
        if i % 4 == 0 then union.u[0], union.u[1] = 0, math.random(0, 2046) * 2 ^ 20 end -- powers of two
        if i % 4 == 1 then union.d = math.random() * 10 ^ math.random(-5, 20) end
        if i % 4 == 2 then union.d = math.random(0, 10 ^ 9) / 10 ^ math.random(0, 9) end
        local d = union.d
        if d == d and d ~= math.huge and d ~= -math.huge then
          local text = number(d)
          if tonumber(text) ~= d then error(("%.17g became %s"):format(d, text)) end
          if J.scan(text) ~= "OK" then error(("%.17g became %s, no JSON"):format(d, text)) end
          local digits = #text:gsub("e.*", ""):gsub("[-.]", ""):gsub("^0+", ""):gsub("0+$", "")
          if digits > 1 and tonumber(("%." .. digits - 2 .. "e"):format(d)) == d then
            error(("%.17g became %s, which has a digit too many"):format(d, text))
          end
        end
        if i % 1000 == 0 then J.release() end
      end
    end)

    it("refuses what JSON can't say, and appends nothing", function()
      local b = J.buf()
      for _, d in ipairs { 0 / 0, math.huge, -math.huge } do
        assert.are.equal("EINVALID", J.err(lib.ln_json_number(b, d)))
      end
      assert.are.equal("", J.held(b))
      assert.are.equal("ELIMIT", J.err(lib.ln_json_number(J.buf(2), 123)))
    end)

    it("writes a point in every locale", function()
      local texts
      local found = with_comma(function()
        texts = { number(0.5), number(1 / 3), number(2 ^ -1074), number(1.5e300) }
      end)
      if not found then return pending "localedef is missing: no locale with a decimal comma" end
      assert.are.same({ "0.5", "0.3333333333333333", "5e-324", "1.5e300" }, texts)
    end)
  end)

  describe("ln_json_int", function()
    it("takes integers that fit", function()
      for _, text in ipairs { "0", "1", "-1", "42", "1000000", "9007199254740993", "9223372036854775807",
                              "-9223372036854775808", "1234567890123456789" } do
        assert.are.equal(text, int(text))
      end
    end)
    it("refuses what doesn't fit, isn't an integer or isn't a number", function()
      for _, text in ipairs {
        "9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999",
        "10000000000000000000000000", "-0", "1.0", "1e2", "1E2", "0.5", "-0.0", "0e0", "", "-", "--1", "+1", "00",
        "01", "-01", " 1", "1 ", '"1"', "null", "true", "[]", "1a", "a1",
      } do
        assert.is_nil(int(text))
      end
      assert.is_nil(int(nil))
    end)
  end)
end)
