-- Text for people: nothing that a terminal would obey, and columns that line up.
local text = require "lunette.cli.text"

describe("cli.text", function()
  it("shows control characters instead of sending them", function()
    assert.equal("\\x1b[2J\\x00\\x07", text.clean "\27[2J\0\7")
    assert.equal("a\nb\tc", text.clean "a\r\nb\tc")
    assert.equal("a\\x0db", text.clean "a\rb")
    assert.equal("\\xc2\\x9b31m", text.clean "\194\15531m")
    assert.equal("\\x7f", text.clean "\127")
  end)

  it("shows what is no UTF-8 byte by byte, and leaves what is", function()
    assert.equal("é月😀", text.clean "é月😀")
    assert.equal("\\xff\\xc3", text.clean "\255\195")
    assert.equal("\\xed\\xa0\\x80", text.clean "\237\160\128")
    assert.equal("\\xc0\\xaf", text.clean "\192\175")
    assert.equal("é\\x9b", text.clean "é\155")
  end)

  it("tells UTF-8 from what is none", function()
    for _, good in ipairs { "", "abc", "é", "月", "😀", "\0", "a\244\143\191\191" } do assert.is_true(text.is_utf8(good), good) end
    for _, bad in ipairs { "\128", "\192\128", "\224\128\128", "\237\160\128", "\240\128\128\128", "\244\144\128\128",
      "\245\128\128\128", "é\195", "\226\130" } do
      assert.is_false(text.is_utf8(bad))
    end
  end)

  it("makes one line of many", function()
    assert.equal("first line", text.one_line "\n   \n  first \t line  \nsecond")
    assert.equal("", text.one_line " \n ")
    assert.equal("", text.one_line "")
  end)

  it("measures in columns", function()
    assert.equal(3, text.width "abc")
    assert.equal(1, text.width "é")
    assert.equal(1, text.width "e\204\129")
    assert.equal(4, text.width "月光")
    assert.equal(2, text.width "😀")
    assert.equal("月  |", text.pad("月", 4) .. "|")
  end)

  it("cuts to columns, never a character in two", function()
    assert.equal("abc", text.cut("abc", 3))
    assert.equal("ab…", text.cut("abcd", 3))
    assert.equal("月…", text.cut("月光x", 4))
    assert.equal("a…", text.cut("a b", 2))
    assert.equal("abcd", text.cut("abcd", nil))
  end)

  it("counts", function()
    assert.equal("0 tools", text.count(0, "tool"))
    assert.equal("1 tool", text.count(1, "tool"))
  end)
end)
