-- Strings: comparing raw ones, taking escapes out and putting them in, and UTF-8.
local J = require "spec.unit.json.support"
local lib, ffi = J.lib, J.ffi

local function unescape(raw, lossy, max)
  local b = J.buf(max)
  local rc = lib.ln_json_unescape(J.text(raw), lossy or false, b)
  return J.err(rc), J.held(b)
end

local function quote(s, max)
  local b = J.buf(max)
  local rc = lib.ln_json_quote(b, J.text(s))
  return J.err(rc), J.held(b)
end

-- U+0000 and up, as the UTF-8 that this spec believes in.
local function utf8(cp)
  if cp < 0x80 then return string.char(cp) end
  if cp < 0x800 then return string.char(0xc0 + math.floor(cp / 64), 0x80 + cp % 64) end
  if cp < 0x10000 then
    return string.char(0xe0 + math.floor(cp / 4096), 0x80 + math.floor(cp / 64) % 64, 0x80 + cp % 64)
  end
  return string.char(0xf0 + math.floor(cp / 262144), 0x80 + math.floor(cp / 4096) % 64,
    0x80 + math.floor(cp / 64) % 64, 0x80 + cp % 64)
end

local bad_sequences = {
  "\128", "\191", "\192\128", "\193\191", "\224\128\128", "\224\159\191", "\237\160\128", "\237\191\191",
  "\240\128\128\128", "\240\143\191\191", "\244\144\128\128", "\245\128\128\128", "\248\136\128\128\128",
  "\254", "\255", "\195", "\226", "\226\130", "\240", "\240\159", "\240\159\152", "\195A", "\226\130A",
  "\226A\172", "\240A\152\128", "\240\159A\128", "\240\159\152A",
}

describe("strings", function()
  after_each(function() assert.are.equal(0, J.release()) end)

  describe("ln_json_str_is", function()
    local function is(raw, plain) return lib.ln_json_str_is(J.text(raw), plain) end

    it("compares plain strings to the last byte", function()
      assert.is_true(is("abc", "abc"))
      assert.is_true(is("", ""))
      assert.is_false(is("abc", "abd"))
      assert.is_false(is("abc", "ab"))
      assert.is_false(is("ab", "abc"))
      assert.is_false(is("", "a"))
      assert.is_false(is("a", ""))
      assert.is_false(is("abc", "ABC"))
    end)
    it("compares escapes by what they mean", function()
      assert.is_true(is([[\u0061bc]], "abc"))
      assert.is_true(is([[ab\u0063]], "abc"))
      assert.is_true(is([[\"\\\/\b\f\n\r\t]], '"\\/\b\f\n\r\t'))
      assert.is_true(is([[\u00e9\u20ac\ud83d\ude00]], "\195\169\226\130\172\240\159\152\128"))
      assert.is_false(is([[\u0062bc]], "abc"))
      assert.is_false(is([[\u0061bcd]], "abc"))
      assert.is_false(is([[\u0061b]], "abc"))
    end)
    it("does not take an escape's letters for themselves", function()
      assert.is_false(is([[\n]], [[\n]]))
      assert.is_false(is([[\u0061]], [[\u0061]]))
      assert.is_true(is([[\\n]], [[\n]]))
    end)
    it("sees an escaped NUL, which no plain name has", function()
      assert.is_false(is([[a\u0000]], "a"))
      assert.is_false(is([[\u0000]], ""))
    end)
    it("finds nothing in an absent string", function()
      assert.is_false(is(nil, ""))
      assert.is_false(is(nil, "a"))
    end)
  end)

  describe("ln_json_str_eq", function()
    local function eq(a, b)
      local there = lib.ln_json_str_eq(J.text(a), J.text(b))
      assert.are.equal(there, lib.ln_json_str_eq(J.text(b), J.text(a)))
      return there
    end

    it("compares what both mean", function()
      assert.is_true(eq("abc", "abc"))
      assert.is_true(eq("", ""))
      assert.is_true(eq([[a\u0062c]], "abc"))
      assert.is_true(eq([[a\u0062c]], [[\u0061bc]]))
      assert.is_true(eq([[\n]], [[\u000a]]))
      assert.is_true(eq([[\/]], "/"))
      assert.is_true(eq([[\ud83d\ude00]], "\240\159\152\128"))
      assert.is_true(eq([[\uD83D\uDE00]], [[\ud83d\ude00]]))
      assert.is_false(eq("abc", "abd"))
      assert.is_false(eq("abc", "abcd"))
      assert.is_false(eq([[a\u0062c]], "abd"))
      assert.is_false(eq([[a\u0062]], "abc"))
      assert.is_false(eq([[\n]], "n"))
      assert.is_false(eq([[\\n]], [[\n]]))
      assert.is_false(eq([[\\u0061]], "a"))
      assert.is_false(eq([[\u0000]], ""))
    end)
    it("keeps halves of pairs apart", function()
      assert.is_true(eq([[\ud83d]], [[\uD83D]]))
      assert.is_false(eq([[\ud83d]], [[\ud83e]]))
      assert.is_false(eq([[\ud83d]], "\239\191\189"))
      assert.is_false(eq([[\ud83d\ude00]], [[\ude00\ud83d]]))
    end)
    it("keeps absent and empty apart", function()
      assert.is_true(eq(nil, nil))
      assert.is_false(eq(nil, ""))
      assert.is_false(eq("a", nil))
    end)
  end)

  it("ln_json_inside takes the quotes off a string", function()
    local function inside(s) return J.str(lib.ln_json_inside(J.text(s))) end
    assert.are.equal("abc", inside '"abc"')
    assert.are.equal("", inside '""')
    assert.are.equal(" a ", inside ' " a "\n')
    assert.are.equal('\\"', inside '"\\""')
    for _, other in ipairs { "1", "null", "[]", '["a"]', "{}", "", '"' } do assert.is_nil(inside(other)) end
    assert.is_nil(inside(nil))
  end)

  describe("ln_json_unescape", function()
    it("replaces every escape", function()
      assert.are.same({ "OK", 'a"b\\c/d\be\ff\ng\rh\ti' },
        { unescape [[a\"b\\c\/d\be\ff\ng\rh\ti]] })
      assert.are.same({ "OK", "\0\1\127\194\128\223\191\224\160\128\239\191\191" },
        { unescape [[\u0000\u0001\u007f\u0080\u07ff\u0800\uffff]] })
      assert.are.same({ "OK", "\240\144\128\128\244\143\191\191\240\159\152\128" },
        { unescape [[\ud800\udc00\udbff\udfff\uD83D\uDE00]] })
      assert.are.same({ "OK", "\\u0041" }, { unescape [[\\u0041]] })
    end)
    it("copies what has no escape", function()
      for _, s in ipairs { "", "a", ("x"):rep(1000), "\195\169\240\159\152\128", "a/b" } do
        assert.are.same({ "OK", s }, { unescape(s) })
      end
    end)
    it("agrees on every code point of the basic plane", function()
      for cp = 0, 0xffff do
        if cp < 0xd800 or cp > 0xdfff then
          local err, got = unescape(("\\u%04x"):format(cp))
          if err ~= "OK" or got ~= utf8(cp) then error(("U+%04X gave %s"):format(cp, err)) end
        end
        if cp % 4096 == 0 then J.release() end
      end
    end)
    it("agrees on pairs all over the other planes", function()
      for cp = 0x10000, 0x10ffff, 97 do
        local v = cp - 0x10000
        local err, got = unescape(("\\u%04X\\u%04x"):format(0xd800 + math.floor(v / 1024), 0xdc00 + v % 1024))
        if err ~= "OK" or got ~= utf8(cp) then error(("U+%X gave %s"):format(cp, err)) end
      end
    end)
    it("finds an escape at any offset", function()
      for before = 0, 70 do
        for after = 0, 20 do
          assert.are.same({ "OK", ("x"):rep(before) .. "\n" .. ("y"):rep(after) },
            { unescape(("x"):rep(before) .. "\\n" .. ("y"):rep(after)) })
        end
      end
    end)
    it("refuses half a pair and keeps what came before", function()
      for _, raw in ipairs { [[ab\ud800]], [[ab\udc00x]], [[ab\ud800\n]], [[ab\ud800\ud800\udc00]],
                             [[ab\ud800x\udc00]], [[ab\udfff\ud800]], [[ab\ud800\\udc00]] } do
        assert.are.same({ "EUTF8", "ab" }, { unescape(raw) })
      end
      assert.are.same({ "EUTF8", "" }, { unescape [[\ud800]] })
    end)
    it("replaces each half when told to", function()
      local r = "\239\191\189"
      for raw, plain in pairs {
        [ [[a\ud800b]] ] = "a" .. r .. "b", [ [[\udc00\ud800]] ] = r .. r, [ [[\ud800\n]] ] = r .. "\n",
        [ [[\ud800\ud83d\ude00\ude00]] ] = r .. "\240\159\152\128" .. r, [ [[\ud800\\udc00]] ] = r .. "\\udc00",
        [ [[\ud800\u0041]] ] = r .. "A",
      } do
        assert.are.same({ "OK", plain }, { unescape(raw, true) })
      end
    end)
    it("appends", function()
      local b = J.buf()
      assert.are.equal(0, lib.ln_json_unescape(J.text "a\\n", false, b))
      assert.are.equal(0, lib.ln_json_unescape(J.text "\\tb", false, b))
      assert.are.equal(0, lib.ln_json_unescape(J.text(nil), false, b))
      assert.are.equal("a\n\tb", J.held(b))
    end)
    it("leaves a buffer that has failed as it is", function()
      local b = J.buf(3)
      assert.are.equal("EUTF8", J.err(lib.ln_json_unescape(J.text [[a\ud800]], false, b)))
      assert.are.equal("EUTF8", J.err(lib.ln_json_unescape(J.text "b", false, b)))
      assert.are.equal("EUTF8", J.err(lib.ln_json_unescape(J.text "", false, b)))
      assert.are.equal("EUTF8", J.err(lib.ln_json_quote(b, J.text "")))
      assert.are.equal("a", J.held(b))
      lib.ln_buf_truncate(b, 1)
      assert.are.equal("ELIMIT", J.err(lib.ln_json_unescape(J.text "bcd", false, b)))
      assert.are.equal("ELIMIT", J.err(lib.ln_json_unescape(J.text "b", false, b)))
      assert.are.equal("a", J.held(b))
    end)
    it("goes by the result's size where the buffer is small", function()
      local raw = ("\\u0061"):rep(10)
      assert.are.same({ "OK", ("a"):rep(10) }, { unescape(raw, false, 10) })
      assert.are.same({ "ELIMIT", "" }, { unescape(raw, false, 9) })
      assert.are.same({ "OK", "" }, { unescape("", false, 0) })
      assert.are.same({ "ELIMIT", "" }, { unescape("a", false, 0) })
      assert.are.same({ "EUTF8", "ab" }, { unescape([[ab\ud800]], false, 2) })
      assert.are.same({ "EUTF8", "" }, { unescape([[\ud800]], false, 0) })
    end)
  end)

  describe("ln_json_plain", function()
    it("gives the bytes themselves when nothing is escaped", function()
      local raw, scratch, out = J.text "caf\195\169", J.buf(), ffi.new "struct ln_str[1]"
      assert.are.equal(0, lib.ln_json_plain(raw, scratch, out))
      assert.are.equal(raw.p, out[0].p)
      assert.are.equal(5, tonumber(out[0].n))
      assert.are.equal(0, tonumber(scratch.cap))
    end)
    it("gives a slice of the scratch buffer otherwise", function()
      local scratch, out = J.buf(), ffi.new "struct ln_str[1]"
      assert.are.equal(0, lib.ln_json_plain(J.text [[old\n]], scratch, out))
      assert.are.equal(0, lib.ln_json_plain(J.text [[a\tb]], scratch, out))
      assert.are.equal("a\tb", J.str(out[0]))
      assert.are.equal(scratch.data, out[0].p)
      assert.are.equal(3, tonumber(scratch.len))
    end)
    it("takes empty and absent as they are", function()
      local out = ffi.new "struct ln_str[1]"
      assert.are.equal(0, lib.ln_json_plain(J.text "", J.buf(), out))
      assert.are.equal("", J.str(out[0]))
      assert.are.equal(0, lib.ln_json_plain(J.text(nil), J.buf(), out))
      assert.is_nil(J.str(out[0]))
    end)
    it("refuses half a pair and what does not fit", function()
      local out = ffi.new "struct ln_str[1]"
      assert.are.equal("EUTF8", J.err(lib.ln_json_plain(J.text [[\udead]], J.buf(), out)))
      assert.are.equal("ELIMIT", J.err(lib.ln_json_plain(J.text [[abc\n]], J.buf(3), out)))
    end)
  end)

  describe("ln_json_quote", function()
    it("escapes what it must in the shortest form, and nothing else", function()
      assert.are.same({ "OK", [["\"\\\b\f\n\r\t"]] }, { quote '"\\\b\f\n\r\t' })
      assert.are.same({ "OK", [["\u0000\u0001\u000b\u001f"]] }, { quote "\0\1\v\31" })
      assert.are.same({ "OK", '"/\127<>&\'\226\128\168"' }, { quote "/\127<>&'\226\128\168" })
      assert.are.same({ "OK", '"caf\195\169 \226\130\172 \240\159\152\128"' },
        { quote "caf\195\169 \226\130\172 \240\159\152\128" })
      assert.are.same({ "OK", '""' }, { quote "" })
      assert.are.same({ "OK", '""' }, { quote(nil) })
    end)
    it("writes every control character so that it reads back", function()
      for c = 0, 255 do
        local ch = c < 128 and string.char(c) or utf8(c)
        local _, text = quote(ch)
        assert.are.equal("OK", (J.scan(text)))
        assert.are.same({ "OK", ch }, { unescape(text:sub(2, -2)) })
        local expected = c < 32 and (("\b\f\n\r\t"):find(ch, 1, true) and 4 or 8) or (ch == '"' or ch == "\\") and 4
        assert.are.equal(expected or #ch + 2, #text)
      end
    end)
    it("finds what to escape at any offset", function()
      for _, special in ipairs { { '"', '\\"' }, { "\n", "\\n" }, { "\195\169", "\195\169" }, { "\255", "\239\191\189" } } do
        for before = 0, 40 do
          for after = 0, 20 do
            assert.are.same({ "OK", '"' .. ("x"):rep(before) .. special[2] .. ("y"):rep(after) .. '"' },
              { quote(("x"):rep(before) .. special[1] .. ("y"):rep(after)) })
          end
        end
        J.release()
      end
    end)
    it("replaces each byte that is not UTF-8", function()
      local r = "\239\191\189"
      assert.are.same({ "OK", '"a' .. r .. 'b"' }, { quote "a\255b" })
      assert.are.same({ "OK", '"' .. r .. r .. 'A"' }, { quote "\226\130A" })
      assert.are.same({ "OK", '"' .. r:rep(3) .. '"' }, { quote "\237\160\128" })
      assert.are.same({ "OK", '"\195\169' .. r .. '\195\169"' }, { quote "\195\169\169\195\169" })
      for _, bad in ipairs(bad_sequences) do
        local _, text = quote("ok" .. bad .. "ok")
        assert.are.equal("OK", (J.scan(text)))
        assert.is_true(text:find(r, 1, true) == 4)
      end
    end)
    it("appends, or on an error leaves the buffer as it was", function()
      local b = J.buf(9)
      assert.are.equal(0, lib.ln_json_quote(b, J.text "ab"))
      assert.are.equal(0, lib.ln_json_quote(b, J.text "c"))
      assert.are.equal("ELIMIT", J.err(lib.ln_json_quote(b, J.text "d")))
      assert.are.equal('"ab""c"', J.held(b))
      b = J.buf(8)
      assert.are.equal("ELIMIT", J.err(lib.ln_json_quote(b, J.text "abc\1")))
      lib.ln_buf_truncate(b, 0)
      assert.are.equal("ELIMIT", J.err(lib.ln_json_quote(b, J.text "abcde\n")))
      assert.are.equal("", J.held(b))
      assert.are.equal("ELIMIT", J.err(lib.ln_json_quote(b, J.text "abcd\n")))
      lib.ln_buf_truncate(b, 0)
      assert.are.equal(0, lib.ln_json_quote(b, J.text "abcd\n"))
      assert.are.equal('"abcd\\n"', J.held(b))
    end)
  end)

  describe("ln_utf8_valid", function()
    local function valid(s) return lib.ln_utf8_valid(J.text(s)) end
    it("takes ASCII, NUL included, and nothing", function()
      assert.is_true(valid "")
      assert.is_true(valid(nil))
      assert.is_true(valid "a\0\127")
      assert.is_true(valid(("x"):rep(1000)))
    end)
    it("takes every code point but surrogates", function()
      for cp = 0, 0x10ffff, 31 do
        local surrogate = cp >= 0xd800 and cp <= 0xdfff
        if valid(utf8(cp)) == surrogate then error(("U+%X"):format(cp)) end
        if cp % 3100 == 0 then J.release() end
      end
      assert.is_true(valid "\127\194\128\223\191\224\160\128\237\159\191\238\128\128\239\191\191\240\144\128\128\244\143\191\191")
    end)
    it("refuses everything else, at any offset", function()
      for _, bad in ipairs(bad_sequences) do
        for before = 0, 34 do
          assert.is_false(valid(("x"):rep(before) .. bad))
          assert.is_false(valid(("x"):rep(before) .. bad .. ("y"):rep(20)))
          assert.is_false(valid(("\195\169"):rep(before) .. bad .. "\195\169"))
        end
        J.release()
      end
    end)
    it("agrees with the definition on every pair of bytes", function()
      for a = 0, 255 do
        for b = 0, 255 do
          local expected = (a < 128 and b < 128) or (a >= 0xc2 and a <= 0xdf and b >= 0x80 and b <= 0xbf)
          if valid(string.char(a, b)) ~= expected then error(("%02x %02x"):format(a, b)) end
        end
        J.release()
      end
    end)
  end)
end)
