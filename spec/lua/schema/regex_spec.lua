-- The regular expressions of JSON Schema.
local regex = require "lunette.schema.regex"

describe("a regular expression", function()
  -- pattern, texts that it is found in, texts that it isn't
  local cases = {
    { "a+b", { "ab", "xaaabx" }, { "b", "aac", "" } },
    { "^a+b$", { "aaab" }, { "xab", "abx", "ab\n" } },
    { "a|b|", { "", "x" }, {} },
    { "^(a|bc)*d$", { "d", "abcad" }, { "abd", "abcda" } },
    { "^(?:a|b)c$", { "ac", "bc" }, { "c" } },
    { "^(?<name>a)b$", { "ab" }, { "b" } },
    { "^a?$", { "", "a" }, { "aa" } },
    { "^a{2}$", { "aa" }, { "a", "aaa" } },
    { "^a{2,}$", { "aa", "aaaa" }, { "a" } },
    { "^a{1,2}?$", { "a", "aa" }, { "", "aaa" } },
    { "^(ab){2,3}$", { "abab", "ababab" }, { "ab", "abababab" } },
    { "^a+?b*?$", { "a", "aab", "abb" }, { "b" } },
    { "^(a*)*$", { "", "aaaa" }, { "aaab" } },
    { "^(a*)+b$", { "b", "aab" }, { "aa" } },
    { "^(){2,}x$", { "x" }, { "" } },
    { "^.$", { "a", "é", "月", "🌙", "\t" }, { "", "\n", "\r", "\226\128\168", "ab" } },
    { "^[a-c]$", { "a", "b", "c" }, { "d", "-" } },
    { "^[^a-c]$", { "d", "月", "\n" }, { "b" } },
    { "^[-a]$", { "-", "a" }, { "b" } },
    { "^[a-]$", { "-", "a" }, {} },
    { "^[\\d-z]$", { "5", "-", "z" }, { "a" } },
    { "^[\\]\\\\]$", { "]", "\\" }, { "[" } },
    { "^[à-ü]$", { "é" }, { "e", "\195" } },
    { "[]", {}, { "", "a" } },
    { "^[^]$", { "a", "\n" }, { "" } },
    { "^[\\b]$", { "\8" }, { "b" } },
    { "^\\d\\D\\w\\W\\s\\S$", { "1aa- a", "1aa-\194\160a" }, { "aaa- a", "1a月- a" } },
    { "^\\t\\n\\v\\f\\r\\0\\cJ\\x41\\u00e9$", { "\t\n\v\f\r\0\10Aé" }, { "" } },
    { "^\\u{1F319}\\uD83C\\uDF19$", { "🌙🌙" }, { "🌙" } },
    { "^🌙+$", { "🌙🌙" }, { "" } },
    { "^\\^\\$\\.\\*\\/\\-$", { "^$.*/-" }, { "xxxxxx" } },
    { "\\bmoon\\b", { "moon", "a moon." }, { "moons", "_moon" } },
    { "a\\Bb", { "ab" }, { "a b" } },
    { "a(?=b)", { "ab" }, { "a", "ac" } },
    { "^(?!.*\\.\\.).+$", { "a.b" }, { "a..b", "" } },
    { "^(?=.*\\d)(?=.*[a-z]).{4,}$", { "abc1" }, { "abcd", "1234", "ab1" } },
    { "^x{$", { "x{" }, { "x" } },
    { "^a{,2}$", { "a{,2}" }, { "aa" } },
    { "^[0-9a-f]{8}-[0-9a-f]{4}$", { "01234567-89ab" }, { "0123456-89ab" } },
  }

  for _, case in ipairs(cases) do
    it(case[1], function()
      local found = assert(regex.compile(case[1]))
      for _, text in ipairs(case[2]) do assert.is_true(found(text), ("is not found in %q"):format(text)) end
      for _, text in ipairs(case[3]) do assert.is_false(found(text), ("is found in %q"):format(text)) end
    end)
  end

  it("says what is not supported or not one", function()
    local wrong = {
      ["\\p{L}"] = "\\p{…}: classes of Unicode", ["(a)\\1"] = "\\1: what a group matched before", ["(?<=a)b"] = "(?<…): looking behind",
      ["(?<!a)b"] = "(?<…): looking behind", ["(a"] = "a group without its end", ["a)"] = "a ) too many", ["*a"] = "nothing to repeat",
      ["[a"] = "it ends too early", ["a\\"] = "it ends with a backslash", ["[b-a]"] = "a range that is none",
      ["a{2,1}"] = "a number of times that is none", ["\\u12"] = "\\u without a number", ["\\Z"] = "\\Z is no escape",
      ["(?i)a"] = "(? with something unknown", [("("):rep(200)] = "groups in too many groups",
    }
    for pattern, why in pairs(wrong) do
      local found, said = regex.compile(pattern)
      assert.is_nil(found, pattern)
      assert.equal(why, said)
    end
  end)

  it("takes long texts, and gives up on what would take for ever", function()
    assert.is_true(regex.compile "^[a-z]*$"(("a"):rep(100000)))
    assert.is_true(regex.compile "^(?:[a-z])*$"(("a"):rep(100000)))
    local started = os.clock()
    for _, pattern in ipairs { "^(a+)+$", "^(a|a)*$", "^(a*)*b$", "^(?:a?){30}a{30}$", "^(ab|b)*$" } do
      local result, why = regex.compile(pattern)(("a"):rep(29) .. "!")
      if result == nil then assert.equal("it takes too long to match", why) end
    end
    assert.is_true(os.clock() - started < 5)
    local _, why = regex.compile "^(?:ab)*$"(("ab"):rep(200000))
    assert.equal("it takes too long to match", why)
  end)

  it("can be used again, in and after a failure", function()
    local found = regex.compile "^(a+)+$"
    assert.is_nil((found(("a"):rep(60) .. "!")))
    assert.is_true(found "aaa")
  end)
end)
