-- A child's stderr as lines, and the tail that is kept.
local support = require "spec.support.ffi"
local ffi = require "ffi"

local lib = support.include "transport/child_tail.h"

describe("transport/child_tail", function()
  local tail, live, lines
  -- Called from ln_tail_feed, which nothing but the spec calls here.
  local on_line = ffi.cast("void (*)(void *, const char *)", function(_, line)
    lines[#lines + 1] = ffi.string(line)
  end)

  before_each(function()
    live, lines = lib.ln_bytes_live(), {}
    tail = ffi.new "struct ln_tail"
    lib.ln_tail_init(tail)
  end)
  after_each(function()
    lib.ln_tail_deinit(tail)
    assert.equal(live, lib.ln_bytes_live())
  end)
  teardown(function() on_line:free() end)

  local function feed(s) lib.ln_tail_feed(tail, s, #s, on_line, nil) end
  local function finish() lib.ln_tail_end(tail, on_line, nil) end
  local function kept() return support.tostring(lib.ln_tail_str(tail)) end

  it("makes lines of bytes however they are cut", function()
    local text = "one\r\n\ntwo\027[1;31m red\027[0m\nfünf €\nodd \255\n\027]\127\nend"
    local expected = { "one", "two red", "fünf €", "odd ?", "end" }
    for cut = 1, #text do
      lines = {}
      feed(text:sub(1, cut))
      feed(text:sub(cut + 1))
      finish()
      assert.same(expected, lines)
      assert.equal(table.concat(expected, "\n"), kept())
      lib.ln_tail_deinit(tail)
      lib.ln_tail_init(tail)
    end
    for i = 1, #text do feed(text:sub(i, i)) end
    finish()
    assert.equal(expected[5], lines[#lines])
  end)

  it("cuts long lines, not within a character", function()
    local text = ("x"):rep(1022) .. "€€" .. ("y"):rep(3000) .. "\nend\n"
    feed(text)
    finish()
    assert.equal(("x"):rep(1022), lines[1])
    assert.equal("end", lines[#lines])
    assert.equal(text:sub(1, -6), table.concat(lines, "", 1, #lines - 1))
    for _, line in ipairs(lines) do assert.is_true(#line <= 1024) end
  end)

  it("survives bytes that are no text at all", function()
    local seed, bytes = 7, {}
    for i = 1, 20000 do
      seed = (seed * 1103515245 + 12345) % 2147483648
      bytes[i] = string.char(math.floor(seed / 65536) % 256)
    end
    feed(table.concat(bytes))
    feed(("\128"):rep(5000))
    finish()
    for _, line in ipairs(lines) do assert.is_nil(line:find "[%z\1-\8\10-\31\127]") end
    assert.is_true(#kept() <= 4096)
  end)

  it("keeps the last twenty lines and four KiB", function()
    for i = 1, 50 do feed(("line %d\n"):format(i)) end
    local expected = {}
    for i = 31, 50 do expected[#expected + 1] = "line " .. i end
    assert.equal(table.concat(expected, "\n"), kept())
    for i = 1, 9 do feed(tostring(i):rep(1000) .. "\n") end
    assert.equal(("6"):rep(1000) .. "\n" .. ("7"):rep(1000) .. "\n" .. ("8"):rep(1000) .. "\n" .. ("9"):rep(1000), kept())
    assert.equal(59, #lines)
  end)
end)
