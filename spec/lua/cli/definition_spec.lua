-- Definitions as lines, and what is different between two.
local definition = require "lunette.cli.definition"

describe("a definition", function()
  it("is shown as lines, a value each", function()
    assert.same({ 'a: "x"', "b:", "  c: 1.50", "  d: []", "  e: {}", "  f: null", "g:", "  [0]: 1", "  [1]:", '    h: "y"' },
      definition.lines '{"a":"x","b":{"c":1.50,"d":[],"e":{},"f":null},"g":[1,{"h":"y"}]}')
    assert.same({ "t: |", "  one", "", 'u: "\\t\\x1b"' }, (function()
      local lines = definition.lines '{"t":"one\\n","u":"\\t\\u001b"}'
      lines[3] = lines[3]:match "^%s*(.-)%s*$"
      return lines
    end)())
  end)

  it("hides nothing", function()
    assert.same({ 'a\\u{200b}: "\\u{202e}\\u{e0041}\\u{feff}é月"' },
      definition.lines('{"a\226\128\139":"\226\128\174\243\160\129\129\239\187\191é月"}'))
  end)

  local function marks(old, new, context)
    local function lines(s)
      local list = {}
      for c in s:gmatch "." do list[#list + 1] = c end
      return list
    end
    local rows = definition.compare(lines(old), lines(new))
    if context then rows = definition.shorten(rows, context) end
    local out = {}
    for i, row in ipairs(rows) do out[i] = row.mark .. row.line end
    return table.concat(out, ",")
  end

  it("is compared by its lines, with the fewest changes", function()
    assert.equal(" a, b, c", marks("abc", "abc"))
    assert.equal(" a,-b,+x, c", marks("abc", "axc"))
    assert.equal("+a,+b", marks("", "ab"))
    assert.equal("-a,-b", marks("ab", ""))
    assert.equal(" a,+x, b, c,-d", marks("abcd", "axbc"))
    assert.equal("", marks("", ""))
  end)

  it("is cut to what is near a change", function()
    assert.equal(" …, c,-d,+x, e, …", marks("abcdefgh", "abcxefgh", 1))
    assert.equal(" …", marks("abc", "abc", 1))
    assert.equal("-a, b, …, g,-h", marks("abcdefgh", "bcdefg", 1))
    assert.equal("-a, b, c,-d", marks("abcd", "bc", 1))
  end)

  it("is told as wholly different when it is too long to compare", function()
    local rows = definition.compare({ "a", "b" }, (function()
      local list = {}
      for i = 1, 2000 do list[i] = "a" end
      return list
    end)())
    assert.equal(2002, #rows)
    assert.equal("-", rows[1].mark)
    assert.equal("+", rows[2002].mark)
  end)
end)
