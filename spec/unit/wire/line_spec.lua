-- src/wire/line.c: lines out of bytes, however the bytes come (checklist 11, 12).
local feed = require "spec.unit.wire.feed"

local function lines(message, max)
  return feed.same(message, function(parts) return feed.lines(parts, max) end)
end

describe("line framing", function()
  it("gives each line without its end", function()
    assert.same({ '{"a":1}', "b" }, lines '{"a":1}\nb\n')
  end)

  it("drops one CR before the LF and no other", function()
    assert.same({ "a", "b\r", "c\rd", "\re" }, lines "a\r\nb\r\r\nc\rd\n\re\n")
  end)

  it("skips empty lines, with and without a CR", function()
    assert.same({ "a", "b", " " }, lines "\n\r\na\n\n\r\n\nb\r\n \n")
  end)

  it("takes a line of CRs for a line but for the last", function()
    assert.same({ "\r" }, lines "\r\r\n")
  end)

  it("does not deliver a half message at the end", function()
    assert.same({ "a" }, lines "a\nhalf")
    assert.same({}, lines "half")
    assert.same({}, lines "")
  end)

  it("keeps every byte but the line end, NUL and broken UTF-8 too", function()
    local all = {}
    for b = 0, 255 do
      if b ~= 10 then all[#all + 1] = string.char(b) end
    end
    local line = table.concat(all) .. "."
    assert.same({ line }, lines(line .. "\n"))
  end)

  it("delivers a line of just the limit, whichever its end", function()
    assert.same({ "12345", "abcde" }, lines("12345\nabcde\r\n", 5))
  end)

  it("reports a longer line once, drops it, and goes on", function()
    assert.same({ "a", "!ELIMIT", "b" }, lines("a\n123456\nb\n", 5))
    assert.same({ "!ELIMIT", "b" }, lines("12345678901234567890\r\nb\n", 5))
    assert.same({ "!ELIMIT", "!ELIMIT", "b" }, lines("123456\n123456\nb\n", 5))
  end)

  it("reports a longer line as soon as it is one, not at its end", function()
    assert.same({ "!ELIMIT" }, lines("123456", 5))
    assert.same({ "!ELIMIT" }, lines(("x"):rep(100), 5))
  end)

  it("doesn't take a CR at the limit for content before its LF", function()
    assert.same({ "12345" }, lines("12345\r\n", 5))
    assert.same({}, lines("12345\r", 5))
    assert.same({ "!ELIMIT" }, lines("12345\rx", 5))
    assert.same({ "!ELIMIT" }, lines("12345\r\r\n", 5))
    assert.same({ "!ELIMIT", "x" }, lines("123456\r\nx\n", 5))
  end)

  it("refuses every line that is not empty when the limit is nothing", function()
    assert.same({ "!ELIMIT" }, lines("\n\r\na\n", 0))
  end)

  it("hands over big lines in blocks of their size", function()
    local support = require "spec.support.ffi"
    local ffi, lib = support.ffi, feed.lib
    local line, frame = ffi.new "struct ln_line", ffi.new "struct ln_bytes *[1]"
    lib.ln_line_init(line, 1e6)
    local big = ("x"):rep(300000)
    for _, part in ipairs { big, big, big .. "\nrest" } do
      local data, hold = support.str(part)
      local rc = lib.ln_line_next(line, data, frame)
      assert.truthy(hold)
      if part == big then
        assert.equal(lib.LN_EAGAIN, rc)
      else
        assert.equal(lib.LN_OK, rc)
        assert.equal(4, tonumber(data.n))
      end
    end
    assert.equal(900000, tonumber(frame[0].len))
    assert.equal(0, tonumber(line.held.cap))
    lib.ln_bytes_unref(frame[0])
    lib.ln_line_deinit(line)
  end)
end)
