local c = require "spec.support.ffi"

c.include "script/policy.h"

local function matches(glob, text)
  local s, keep = c.str(text)
  local yes = c.lib.ln_glob_match(glob, s)
  return yes, keep and nil
end

describe("ln_glob_match", function()
  local cases = {
    -- glob, what it matches, what it does not
    { "", { "" }, { "a" } },
    { "abc", { "abc" }, { "", "ab", "abcd", "ABC", "xabc" } },
    { "*", { "", "a", "files_read", "a\0b" }, {} },
    { "files_*", { "files_", "files_read" }, { "files", "xfiles_a" } },
    { "*_file", { "_file", "a_file", "_file_file" }, { "file", "a_files" } },
    { "a*b*c", { "abc", "aXbYc", "abbcc", "a_bc_bc" }, { "ac", "acb", "abcd" } },
    { "**a**", { "a", "bab" }, { "", "b" } },
    { "?", { "a", "*" }, { "", "ab" } },
    { "a?c", { "abc", "a?c" }, { "ac", "abbc" } },
    { "[abc]x", { "ax", "cx" }, { "dx", "x", "abcx" } },
    { "[a-c0-9]", { "b", "5" }, { "d", "-" } },
    { "[!a-c]", { "d", "!" }, { "a", "" } },
    { "[^a]", { "b" }, { "a" } },
    { "[]a]", { "]", "a" }, { "b" } },
    { "[!]a]", { "b" }, { "]", "a" } },
    { "[a-]", { "a", "-" }, { "b" } },
    { "[\\]]", { "]" }, { "\\", "a" } },
    { "[abc", { "[abc" }, { "a", "abc" } },
    { "a[", { "a[" }, { "a" } },
    { "\\*", { "*" }, { "a", "" } },
    { "\\?\\[\\\\", { "?[\\" }, { "a[\\" } },
    { "a\\", { "a\\" }, { "a" } },
    { "file:///*.txt", { "file:///a.txt", "file:///a/b.txt" }, { "file:///a.md" } },
    { "*.md", { ".md", "a.md" }, { "amd" } },
    { "é?", { "éx" }, { "e" } },
  }
  for _, case in ipairs(cases) do
    it(("%q"):format(case[1]), function()
      for _, text in ipairs(case[2]) do assert.is_true(matches(case[1], text), ("%q"):format(text)) end
      for _, text in ipairs(case[3]) do assert.is_false(matches(case[1], text), ("%q"):format(text)) end
    end)
  end

  it("takes no time to fail on many stars", function()
    local began = os.clock()
    assert.is_false(matches(("*a"):rep(50) .. "b", ("a"):rep(20000)))
    assert.is_true(os.clock() - began < 1)
  end)

  -- A second, plain matcher to compare with: tries everything.
  local function plain(glob, text)
    if glob == "" then return text == "" end
    local g = glob:sub(1, 1)
    if g == "*" then
      for i = 1, #text + 1 do
        if plain(glob:sub(2), text:sub(i)) then return true end
      end
      return false
    end
    return text ~= "" and (g == "?" or g == text:sub(1, 1)) and plain(glob:sub(2), text:sub(2))
  end

  it("agrees with a matcher that tries everything", function()
    math.randomseed(11)
    local function random(alphabet, n)
      local out = {}
      for i = 1, math.random(0, n) do
        local k = math.random(#alphabet)
        out[i] = alphabet:sub(k, k)
      end
      return table.concat(out)
    end
    for _ = 1, 20000 do
      local glob, text = random("ab*?", 6), random("ab", 8)
      assert.equal(plain(glob, text), matches(glob, text), glob .. " on " .. text)
    end
  end)
end)
