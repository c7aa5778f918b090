-- Globs against globs. core.glob, which they stand on, is the C side's own.
local c = require "spec.support.ffi"

c.include "script/policy.h"

local had = package.loaded["lunette.core"]
package.loaded["lunette.core"] = {
  glob = function(glob, text)
    local s, keep = c.str(text)
    return c.lib.ln_glob_match(glob, s) and keep ~= nil
  end,
}
package.loaded["lunette.rules.globs"] = nil
local globs = require "lunette.rules.globs"
package.loaded["lunette.core"] = had
package.loaded["lunette.rules.globs"] = nil

describe("a glob", function()
  local rows = {
    -- big, small, covers, meet
    { "*", "a*b", true, true },
    { "a*", "ab*", true, true },
    { "ab*", "a*", false, true },
    { "a*", "*a", false, true },
    { "a*c", "abc", true, true },
    { "a?c", "abc", true, true },
    { "a?c", "a*c", false, true },
    { "a*", "a?", true, true },
    { "a", "b", false, false },
    { "a*", "b*", false, false },
    { "*a", "*b", false, false },
    { "a*b*c", "axbyc", true, true },
    { "[ab]x", "ax", true, true },
    { "[ab]x", "cx", false, false },
    { "[ab]x", "[ab]x", true, true },
    { "[ab]x", "[bc]x", false, true },
    { "ax", "[ab]x", false, true },
    { "a\\*", "a*", false, true },
    { "a\\*", "a\\*", true, true },
    { "a\\*", "ab", false, false },
    { "", "a", false, false },
    { "*", "", true, true },
    { "[]]", "]", true, true },
    { "a**", "a*", true, true },
  }
  for _, row in ipairs(rows) do
    it(("%s over %s"):format(row[1], row[2]), function()
      assert.equal(row[3], globs.covers(row[1], row[2]))
      assert.equal(row[4], globs.meet(row[1], row[2]))
      assert.equal(row[4], globs.meet(row[2], row[1]))
    end)
  end

  it("is quick with many stars", function()
    local stars = ("*a"):rep(60) .. "b"
    assert.is_false(globs.covers(stars, ("*a"):rep(60)))
    assert.is_true(globs.meet(stars, ("a*"):rep(60)))
  end)

  it("may stand for one name", function()
    assert.equal("a*b", globs.name "a\\*b")
    assert.is_nil(globs.name "a*b")
    assert.equal("a\\*\\?\\[\\\\", globs.literal "a*?[\\")
    assert.equal("a*?[\\", globs.name(globs.literal "a*?[\\"))
  end)
end)
