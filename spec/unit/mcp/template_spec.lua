-- URI templates read backwards: at least everything that a server's own matching takes.
local S = require "spec.unit.mcp.support"

local cases = {
  -- template, what it matches, what not
  { "", { "" }, { "a" } },
  { "x://a", { "x://a" }, { "x://", "x://ab", "X://a", "" } },
  { "x://{id}", { "x://1", "x://a?b", "x://a#b", "x://{id}", "x://%2F" }, { "x://", "x://a/b", "x:/a", "x://a/" } },
  { "x://{a}/{b}", { "x://1/2" }, { "x://1", "x://1/", "x:///2", "x://1/2/3" } },
  { "x://{a}-{b}", { "x://1-2", "x://1-2-3", "x://---" }, { "x://1-", "x://-1", "x://-" } },
  { "x://{a}{b}", { "x://12", "x://123" }, { "x://1", "x://" } },
  { "x://{+path}", { "x://a/b/c", "x://a", "x://", "x://?#" }, { "y://a" } },
  { "x://{+dir}/{name}", { "x://a/b", "x://a/b/c", "x:///c", "x://a/b/c/d" }, { "x://a", "x://a/", "x://a/b/" } },
  { "{+a}/{b}/{c}", { "1/2/3", "0/1/2/3", "/1/2" }, { "1/2", "1/2/", "//" } },
  { "x://{path*}", { "x://a/b", "x://", "x://a" }, { "x:/" } },
  { "x://{a,b}", { "x://1,2", "x://1" }, { "x://1/2", "x://" } },
  { "x://a{#frag}", { "x://a", "x://a#", "x://a#b/c" }, { "x://ab", "x://a/b" } },
  { "x://a{.ext}", { "x://a", "x://a.md", "x://a.tar.gz" }, { "x://amd" } },
  { "x://a{/seg}", { "x://a", "x://a/b", "x://a/b/c" }, { "x://ab" } },
  { "x://a{;p}", { "x://a", "x://a;p=1" }, { "x://a?p=1", "x://ap" } },
  { "x://a{?q,r}", { "x://a", "x://a?q=1&r=/", "x://a?" }, { "x://ab", "x://a&q", "x://a/b" } },
  { "x://a?x=1{&q}", { "x://a?x=1", "x://a?x=1&q=2" }, { "x://a?x=12" } },
  { "x://{id}{?q}", { "x://1", "x://1?q=2", "x://1?q=a/b" }, { "x://?q=2/", "x://" } },
  { "{+a}{+b}{+c}", { "", "abc" }, {} },
  { "{a}", { "a", "\0" }, { "", "/" } },
  { "{a}b{c}b{d}", { "1b2b3", "bbbbb" }, { "1b2b", "b2b3", "bbbb" } },
}
local malformed = { "{", "}", "x{", "x}", "{}", "{+}", "{*}", "{+*}", "x{a", "{a}{", "{a{b}}", "a}b", "{a}}", "{?}", "{{a}}" }

describe("mcp/template", function()
  after_each(function() assert.equal(0, (select(2, S.R.left()))) end)

  for _, case in ipairs(cases) do
    it(("matches %q"):format(case[1]), function()
      for _, uri in ipairs(case[2]) do assert.is_true(S.match(case[1], uri), uri) end
      for _, uri in ipairs(case[3]) do assert.is_false(S.match(case[1], uri), uri) end
    end)
  end

  it("matches nothing when malformed", function()
    for _, template in ipairs(malformed) do
      for _, uri in ipairs { template, "", "a", "x", "xa", "{a}", "ab" } do assert.is_false(S.match(template, uri), template .. " " .. uri) end
    end
  end)

  it("matches nothing that is too long", function()
    assert.is_true(S.match(("a"):rep(4096), ("a"):rep(4096)))
    assert.is_false(S.match(("a"):rep(4097), ("a"):rep(4097)))
    assert.is_true(S.match("{+a}", ("a"):rep(16384)))
    assert.is_false(S.match("{+a}", ("a"):rep(16385)))
  end)

  it("takes no longer than a product of lengths", function()
    local started = os.clock()
    assert.is_false(S.match(("{+a}b"):rep(800), ("b"):rep(799)))
    assert.is_false(S.match(("{+a}b"):rep(800) .. "c", ("b"):rep(16384)))
    assert.is_false(S.match(("{a}"):rep(1300) .. "/x", ("a"):rep(16384)))
    assert.is_false(S.match("{+a}" .. ("a"):rep(4000) .. "b", ("a"):rep(16384)))
    assert.is_true(os.clock() - started < 2)
  end)
end)
